//! The parameters of a query, each taken once; what is left over is refused, since a mistyped
//! `from` that is passed over would give an answer to another question.

use axum::extract::{FromRequestParts, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use milepost_telemetry::Timestamp;

use crate::problem::Problem;
use crate::store::{Cursor, Page, Span};

/// The parameters of one request.
#[derive(Debug)]
pub(crate) struct Parameters {
    left: Vec<(String, String)>,
    asked: Vec<&'static str>,
}

/// What a page holds when nothing is said.
pub(crate) const DEFAULT_LIMIT: u32 = 100;
/// The most reports that an estimate may look ahead: more gains nothing.
const MAX_LAG: usize = 60;
/// The most that a page holds.
const MAX_LIMIT: u32 = 1_000;

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Query(left) = Query::try_from_uri(&parts.uri).map_err(|error| {
            Problem::new(
                StatusCode::BAD_REQUEST,
                format!("the query cannot be read: {error}"),
            )
        })?;
        Ok(Self {
            left,
            asked: Vec::new(),
        })
    }
}

impl Span {
    /// From one time to another.
    pub(crate) fn between(from: Option<Timestamp>, to: Option<Timestamp>) -> Result<Self, Problem> {
        if let (Some(from), Some(to)) = (from, to)
            && from > to
        {
            return Err(Problem::parameter("to", "`to` is before `from`"));
        }
        let raw = false;
        Ok(Self { from, to, raw })
    }
}

impl Parameters {
    /// A parameter's text, if it was given.
    pub(crate) fn take(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        self.asked.push(name);
        let mut found = self.left.extract_if(.., |(key, _)| key == name);
        let first = found.next().map(|(_, value)| value);
        if found.next().is_some() {
            return Err(Problem::parameter(name, format!("`{name}` is given twice")));
        }
        Ok(first)
    }

    /// `limit` and `cursor`: how much of a list is wanted.
    pub(crate) fn page(&mut self) -> Result<Page, Problem> {
        self.page_or(DEFAULT_LIMIT).map(|(page, _)| page)
    }

    /// The same, with so many on a page where the request does not say; and whether it does.
    pub(crate) fn page_or(&mut self, default: u32) -> Result<(Page, bool), Problem> {
        let limit = self.limit()?;
        let cursor = self.take("cursor")?;
        let page = Page {
            limit: limit.unwrap_or(default),
            after: cursor.map(Cursor::new),
        };
        Ok((page, limit.is_some()))
    }

    fn limit(&mut self) -> Result<Option<u32>, Problem> {
        let Some(text) = self.take("limit")? else {
            return Ok(None);
        };
        text.parse()
            .ok()
            .filter(|limit| (1..=MAX_LIMIT).contains(limit))
            .map(Some)
            .ok_or_else(|| {
                Problem::parameter(
                    "limit",
                    format!("`limit` must be a whole number from 1 to {MAX_LIMIT}, not {text:?}"),
                )
            })
    }

    /// A time: RFC 3339 or Unix seconds.
    pub(crate) fn time(&mut self, name: &'static str) -> Result<Option<Timestamp>, Problem> {
        let Some(text) = self.take(name)? else {
            return Ok(None);
        };
        match parse_time(&text) {
            Some(time) => Ok(Some(time)),
            None => Err(Problem::parameter(
                name,
                format!(
                    "`{name}` must be a time such as 2026-11-20T07:00:00Z, or Unix seconds, not \
                     {text:?} (a `+` must be written %2B in a query)"
                ),
            )),
        }
    }

    /// `lag`: how many following reports an estimate may use; 0 for none.
    pub(crate) fn lag(&mut self) -> Result<usize, Problem> {
        let Some(text) = self.take("lag")? else {
            return Ok(0);
        };
        text.parse()
            .ok()
            .filter(|lag| *lag <= MAX_LAG)
            .ok_or_else(|| {
                Problem::parameter(
                    "lag",
                    format!("`lag` must be a whole number from 0 to {MAX_LAG}, not {text:?}"),
                )
            })
    }

    /// A switch: `1` or `true`, `0` or `false`.
    pub(crate) fn flag(&mut self, name: &'static str) -> Result<bool, Problem> {
        match self.take(name)?.as_deref() {
            None | Some("0" | "false") => Ok(false),
            Some("1" | "true") => Ok(true),
            Some(text) => Err(Problem::parameter(
                name,
                format!("`{name}` must be 1 or 0, not {text:?}"),
            )),
        }
    }

    /// Refuses what nobody has asked for.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        match self.left.first() {
            None => Ok(()),
            Some((name, _)) => Err(Problem::new(
                StatusCode::BAD_REQUEST,
                if self.asked.is_empty() {
                    format!("unknown parameter {name:?}; there are none here")
                } else {
                    format!(
                        "unknown parameter {name:?}; the parameters are {}",
                        self.asked.join(", ")
                    )
                },
            )),
        }
    }
}

/// 400: a cursor that no answer gave.
pub(crate) fn bad_cursor() -> Problem {
    Problem::parameter(
        "cursor",
        "`cursor` must be a `next` that an earlier page of the same list gave",
    )
}

fn parse_time(text: &str) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse::<i64>() {
        // Milliseconds given for seconds would be the year 50,000: no fact is there.
        return (0..=253_402_300_799)
            .contains(&seconds)
            .then(|| Timestamp::from_unix(seconds));
    }
    if let Ok(seconds) = text.parse::<f64>() {
        let millis = (seconds * 1000.0).round();
        #[expect(
            clippy::cast_possible_truncation,
            reason = "in range: checked in this line"
        )]
        return (0.0..=253_402_300_799_999.0)
            .contains(&millis)
            .then(|| Timestamp::from_millis(millis as i64));
    }
    // In a query an unescaped `+` arrives as a blank.
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => Some(Timestamp::from_millis(time.as_millisecond())),
        Err(_) if is_end_of_time(text) => Some(Timestamp::from_millis(i64::MAX)),
        Err(_) => None,
    }
}

/// Whether this is one of the last two days of the year 9999, which many programs mean as "for
/// ever", and which jiff's instants leave out so that every offset can be applied to them.
fn is_end_of_time(text: &str) -> bool {
    let Ok(pieces) = jiff::fmt::temporal::Pieces::parse(text) else {
        return false;
    };
    let is_instant = pieces.time().is_some() && pieces.offset().is_some();
    let date = pieces.date();
    is_instant && (date.year(), date.month()) == (9999, 12) && date.day() >= 30
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(pairs: &[(&str, &str)]) -> Parameters {
        Parameters {
            left: pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            asked: Vec::new(),
        }
    }

    #[test]
    fn times_are_rfc_3339_or_unix_seconds() {
        let expected = Some(Timestamp::from_unix(1_451_357_465));
        assert_eq!(parse_time("1451357465"), expected);
        assert_eq!(parse_time("1451357465.0"), expected);
        assert_eq!(parse_time("2015-12-29T02:51:05Z"), expected);
        assert_eq!(parse_time("2015-12-29T03:51:05+01:00"), expected);
        let end = Some(Timestamp::from_millis(i64::MAX));
        assert_eq!(parse_time("9999-12-31T23:59:59Z"), end);
        assert_eq!(parse_time("9999-12-31T23:59:59.999+02:00"), end);
        for wrong in [
            "",
            "9999-12-31",
            "9999-12-31T23:59:59",
            "9999-12-32T23:59:59Z",
            "yesterday",
            "2015-12-29",
            "2015-12-29T02:51:05",
            "-1",
            "1451357465000",
            "NaN",
            "1e300",
        ] {
            assert_eq!(parse_time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn limits_have_bounds() {
        assert_eq!(parameters(&[]).limit().unwrap(), None);
        assert_eq!(parameters(&[]).page().unwrap().limit, DEFAULT_LIMIT);
        assert_eq!(parameters(&[("limit", "7")]).limit().unwrap(), Some(7));
        for wrong in ["0", "1001", "-1", "ten", ""] {
            parameters(&[("limit", wrong)]).limit().unwrap_err();
        }
    }

    #[test]
    fn twice_and_unknown_are_refused() {
        parameters(&[("raw", "1"), ("raw", "0")])
            .flag("raw")
            .unwrap_err();
        let mut one = parameters(&[("form", "0")]);
        assert_eq!(one.time("from").unwrap(), None);
        one.finish().unwrap_err();
    }
}
