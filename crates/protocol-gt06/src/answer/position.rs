//! Positions as text.

use core::ops::RangeInclusive;
use core::str::FromStr;

use nom::branch::alt;
use nom::bytes::complete::{take_while, take_while1};
use nom::character::complete::{char, digit1, one_of, satisfy};
use nom::combinator::{eof, map_opt, map_res, not, opt, peek, value, verify};
use nom::error::Error;
use nom::sequence::{delimited, preceded, separated_pair};
use nom::{IResult, Parser};

use super::{TextPosition, after, contains, labelled, number, space};
use crate::field::DateTime;

/// The position that a text has.
pub(super) fn read(text: &str) -> Option<TextPosition> {
    let (latitude, longitude) = match labelled(text, "lat:") {
        Some(_) => (
            after(text, &["lat:"], degrees('n', 's'))?,
            after(text, &["lon:", "lng:", "long:"], degrees('e', 'w'))?,
        ),
        // A link to a map: `?q=N22.577,E113.916`.
        None => {
            let comma = (space, char(','));
            let both = separated_pair(degrees('n', 's'), comma, degrees('e', 'w'));
            after(text, &["q="], both)?
        }
    };
    if !(-90.0..=90.0).contains(&latitude)
        || !(-180.0..=180.0).contains(&longitude)
        || (latitude, longitude) == (0.0, 0.0)
    {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "two or four decimals")]
    let small = |label, range: RangeInclusive<f32>| {
        after(text, &[label], number)
            .map(|value| value as f32)
            .filter(|value| range.contains(value))
    };
    Some(TextPosition {
        latitude,
        longitude,
        speed_kmh: small("speed:", 0.0..=2_000.0),
        course_deg: small("course:", 0.0..=360.0),
        time: after(text, &["datetime:", "date time:", "time:"], date_time),
        last_known: contains(text, &["last position", "last known"]),
    })
}

/// Degrees, with a hemisphere before or after them, or a sign: `N23.1`, `23.1N`, `-23.1`; with
/// minutes: `N23d5.1708m`, `N23 06.7009'`, `23°6.7'N`.
///
/// The number must end where it seems to: what continues in another way is not understood, and a
/// place that is half understood would be a wrong one.
fn degrees<'a>(
    positive: char,
    negative: char,
) -> impl Parser<&'a str, Output = f64, Error = Error<&'a str>> {
    let hemisphere = move |text: &'a str| {
        let is = |side: char| satisfy(move |c| c.eq_ignore_ascii_case(&side));
        alt((value(1.0, is(positive)), value(-1.0, is(negative)))).parse(text)
    };
    let is_signed = peek(opt(one_of("+-"))).map(|sign| sign.is_some());
    let spaces = take_while(|c| c == ' ');
    let parts = (
        preceded(space, opt(hemisphere)),
        preceded(space, is_signed),
        number,
        minutes,
        opt(delimited(spaces, hemisphere, peek(end))),
        peek(end),
    );
    map_opt(
        parts,
        |(before, is_signed, degrees, minutes, after, _)| match (minutes, before, after) {
            (_, Some(_), Some(_)) => None,
            (Some(_), ..) if is_signed || degrees % 1.0 != 0.0 => None,
            (_, None, None) => Some(degrees + minutes.unwrap_or(0.0) / 60.0),
            // With a sign besides, which of them holds is unclear.
            _ if is_signed => None,
            (_, Some(side), None) | (_, None, Some(side)) => {
                Some((degrees + minutes.unwrap_or(0.0) / 60.0) * side)
            }
        },
    )
}

/// The minutes after degrees, which end with a mark; `None` where no number follows the degrees.
fn minutes(text: &str) -> IResult<&str, Option<f64>> {
    let is_mark = |c| matches!(c, 'd' | 'D' | '°' | ' ');
    let digit = || satisfy(|c| c.is_ascii_digit());
    let number = verify(preceded(peek(digit()), number), |minutes| *minutes < 60.0);
    let minutes = delimited(take_while1(is_mark), number, one_of("mM'′"));
    let none = preceded(opt(char('°')), not((take_while(is_mark), digit())));
    alt((minutes.map(Some), none.map(|()| None))).parse(text)
}

/// What may follow a number.
fn end(text: &str) -> IResult<&str, ()> {
    let mark = satisfy(|c| c.is_whitespace() || ",;><&)!".contains(c));
    alt((mark.map(drop), eof.map(drop))).parse(text)
}

/// `yy-mm-dd hh:mm:ss` or `yyyy-mm-dd hh:mm:ss`, with anything but digits between.
fn date_time(text: &str) -> IResult<&str, DateTime> {
    fn part<V: FromStr>(text: &str) -> IResult<&str, V> {
        let between = take_while(|c: char| !c.is_ascii_digit());
        preceded(between, map_res(digit1, str::parse)).parse(text)
    }
    let parts = (part::<u16>, part, part, part, part, part);
    map_opt(parts, |(year, month, day, hour, minute, second)| {
        let year = u8::try_from(year.checked_sub(2_000).unwrap_or(year)).ok()?;
        let time = DateTime::from_bytes([year, month, day, hour, minute, second]);
        time.to_unix().map(|_| time)
    })
    .parse(text)
}
