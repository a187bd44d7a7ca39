//! What devices say in words: the texts of command answers.
//!
//! A device answers a command with text for people (0x15, 0x21). Whether the command was carried
//! out is only said there; so are, by model, a position, the battery, the numbers of the SIM card
//! and the firmware. [`Reading::read`] finds what it knows in any text and leaves the rest: the
//! wording is from manuals and from devices, and a text that matches nothing says nothing.

mod outcome;

use alloc::string::String;

use crate::field::DateTime;

/// Whether a command was carried out, as far as its answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// It was.
    Success,
    /// The device has taken it and waits: no fix, or too fast to cut the fuel now.
    Deferred,
    /// It was not: unknown, forbidden, or nothing to do ("already in the state of …").
    Refused,
}

impl Outcome {
    /// The name, as it is written in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Deferred => "deferred",
            Self::Refused => "refused",
        }
    }
}

#[cfg(feature = "telemetry")]
impl From<Outcome> for milepost_telemetry::CommandOutcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Success => Self::Success,
            Outcome::Deferred => Self::Deferred,
            Outcome::Refused => Self::Refused,
        }
    }
}

/// A position in words.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct TextPosition {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Kilometres per hour.
    pub speed_kmh: Option<f32>,
    /// Degrees clockwise from north.
    pub course_deg: Option<f32>,
    /// In no stated zone.
    pub time: Option<DateTime>,
    /// The text calls it the last one, not the current one.
    pub last_known: bool,
}

/// What the text of an answer says.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct Reading<'a> {
    /// Whether the command was carried out.
    pub outcome: Option<Outcome>,
    /// The name of the command that the outcome is of, where the text begins with it: `DYD` of
    /// `DYD=Success!`.
    pub verb: Option<&'a str>,
    /// Where the device is.
    pub position: Option<TextPosition>,
    /// Volts of the device's own battery.
    pub battery_v: Option<f32>,
    /// Volts of the external supply.
    pub external_v: Option<f32>,
    /// Whether the ignition is on.
    pub ignition: Option<bool>,
    /// Whether the device's alarm system is armed.
    pub armed: Option<bool>,
    /// Number of the SIM card.
    pub iccid: Option<&'a str>,
    /// Number of the subscriber.
    pub imsi: Option<&'a str>,
    /// Number of the modem.
    pub imei: Option<&'a str>,
    /// Firmware.
    pub firmware: Option<&'a str>,
    /// When the firmware was built, as the text says it.
    pub firmware_build: Option<&'a str>,
}

impl<'a> Reading<'a> {
    /// Reads a text; padding in front and after does not matter.
    ///
    /// ```
    /// use milepost_protocol_gt06::answer::{Reading, Outcome};
    ///
    /// assert_eq!(Reading::read("DYD=Success!").outcome, Some(Outcome::Success));
    /// let where_ = Reading::read("Current position!Lat:N23.111682,Lon:E114.409217,Course:0.00,\
    ///     Speed:0.3518,DateTime:11-11-15  11:53:43");
    /// assert_eq!(where_.position.unwrap().longitude, 114.409217);
    /// ```
    #[must_use]
    pub fn read(text: &'a str) -> Self {
        let outcome = outcome::read(text);
        Self {
            outcome: outcome.map(|(outcome, _)| outcome),
            verb: outcome.and_then(|(_, verb)| verb),
            position: position(text),
            battery_v: labelled(text, "battery:").and_then(volts),
            external_v: [
                "external voltage:",
                "power voltage:",
                "external power voltage:",
            ]
            .iter()
            .find_map(|label| labelled(text, label))
            .and_then(volts),
            ignition: labelled(text, "acc:").and_then(on_or_off),
            armed: ["defense:", "defence:"]
                .iter()
                .find_map(|label| labelled(text, label))
                .and_then(on_or_off),
            iccid: numbered(text, "iccid", 18..=22),
            imsi: numbered(text, "imsi", 14..=16),
            imei: numbered(text, "imei", 14..=16),
            firmware: firmware(text),
            firmware_build: build(text),
        }
    }
}

/// Where `needle` (lower case) begins, whatever the case of the text.
fn find(text: &str, needle: &str) -> Option<usize> {
    text.as_bytes()
        .windows(needle.len())
        .position(|window| window.eq_ignore_ascii_case(needle.as_bytes()))
}

fn contains(text: &str, any: &[&str]) -> bool {
    any.iter().any(|needle| find(text, needle).is_some())
}

/// What follows a label that begins a word.
fn labelled<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    let mut rest = text;
    loop {
        let at = find(rest, label)?;
        let after = rest.get(at + label.len()..)?;
        let is_word = label.starts_with(|c: char| c.is_ascii_alphanumeric());
        let goes_on = rest.get(..at).is_some_and(|before| {
            before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        });
        if !(is_word && goes_on) {
            return Some(after.trim_start());
        }
        rest = after;
    }
}

fn on_or_off(text: &str) -> Option<bool> {
    let word = text.split(|c: char| !c.is_ascii_alphabetic()).next()?;
    if word.eq_ignore_ascii_case("on") {
        Some(true)
    } else if word.eq_ignore_ascii_case("off") {
        Some(false)
    } else {
        None
    }
}

/// The number at the front of a text, with its sign.
fn number(text: &str) -> Option<(f64, &str)> {
    let text = text.trim_start();
    let end = text
        .char_indices()
        .find(|(at, c)| !(c.is_ascii_digit() || *c == '.' || *at == 0 && matches!(c, '-' | '+')))
        .map_or(text.len(), |(at, _)| at);
    let (digits, rest) = text.split_at_checked(end)?;
    digits.parse().ok().map(|number| (number, rest))
}

fn volts(text: &str) -> Option<f32> {
    let (number, rest) = number(text)?;
    #[expect(clippy::cast_possible_truncation, reason = "volts with two decimals")]
    rest.trim_start()
        .starts_with(['V', 'v'])
        .then_some(number as f32)
        .filter(|volts| (0.0..=1_000.0).contains(volts))
}

/// A number of digits after a label, whatever is between them: `<ICCID:…>`, `ICCID = …`.
fn numbered<'a>(
    text: &'a str,
    label: &str,
    digits: core::ops::RangeInclusive<usize>,
) -> Option<&'a str> {
    let rest = labelled(text, label)?;
    let begin = rest
        .find(|c: char| c.is_ascii_digit())
        .filter(|at| *at <= 4)?;
    let rest = rest.get(begin..)?;
    let end = rest
        .find(|c: char| !c.is_ascii_alphanumeric())
        .unwrap_or(rest.len());
    let found = rest.get(..end)?.trim_end_matches(['F', 'f']);
    (digits.contains(&found.len()) && found.bytes().all(|b| b.is_ascii_hexdigit())).then_some(found)
}

/// `[VERSION]name[BUILD]date`, or `VERSION:name`.
fn firmware(text: &str) -> Option<&str> {
    let name = match labelled(text, "[version]") {
        Some(after) => after.split(['[', '\r', '\n']).next()?,
        None => labelled(text, "version:")?
            .split([';', ',', '\r', '\n'])
            .next()?,
    };
    let name = name.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\0');
    (!name.is_empty()).then_some(name)
}

/// The date of build after `[BUILD]`.
fn build(text: &str) -> Option<&str> {
    let date = labelled(text, "[build]")?.split(['[', '\r', '\n']).next()?;
    let date = date.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\0');
    (!date.is_empty()).then_some(date)
}

/// Degrees, and what follows them. With a hemisphere in front or after, or a sign:
/// `N23.1`, `23.1N`, `-23.1`. With minutes: `N23d5.1708m`, `N23 06.7009'`, `23°6.7'N`.
///
/// The number must end where it seems to: what goes on in some other way is not understood, and a
/// place that is half understood would be a wrong one.
fn degrees(text: &str, positive: char, negative: char) -> Option<(f64, &str)> {
    let side = |c: char| match c.to_ascii_uppercase() {
        c if c == positive => Some(1.0),
        c if c == negative => Some(-1.0),
        _ => None,
    };
    let text = text.trim_start();
    let front = text.chars().next().and_then(side);
    let text = text.get(front.map_or(0, |_| 1)..)?;
    let is_signed = text.trim_start().starts_with(['-', '+']);
    let (mut value, rest) = number(text)?;
    let mut rest = match minutes(rest) {
        Minutes::None(after) => after,
        Minutes::Some(minutes, after) => {
            if is_signed || value % 1.0 != 0.0 {
                return None;
            }
            value += minutes / 60.0;
            after
        }
        Minutes::Unclear => return None,
    };
    let mut after = rest.trim_start_matches(' ').chars();
    let hemisphere = after
        .next()
        .and_then(side)
        .filter(|_| ends_number(after.as_str()));
    if hemisphere.is_some() {
        rest = after.as_str();
    }
    let sign = match (front, hemisphere) {
        (Some(_), Some(_)) => return None,
        (None, None) => 1.0,
        // A sign besides would be a riddle.
        (Some(sign), None) | (None, Some(sign)) if !is_signed => sign,
        _ => return None,
    };
    ends_number(rest).then_some((value * sign, rest))
}

enum Minutes<'a> {
    /// There are none, and this follows the degrees.
    None(&'a str),
    /// How many, and what follows them.
    Some(f64, &'a str),
    /// Something that might be.
    Unclear,
}

/// The minutes after degrees, which end with a mark.
fn minutes(text: &str) -> Minutes<'_> {
    let after = text.trim_start_matches(['d', 'D', '°', ' ']);
    let is_marked = text.starts_with(['d', 'D', '°']);
    if !after.starts_with(|c: char| c.is_ascii_digit()) {
        return match text.strip_prefix('°') {
            Some(after) => Minutes::None(after),
            None if is_marked => Minutes::Unclear,
            None => Minutes::None(text),
        };
    }
    if after.len() == text.len() {
        return Minutes::Unclear;
    }
    let found = number(after).filter(|(minutes, _)| *minutes < 60.0);
    let found = found.and_then(|(minutes, rest)| {
        let rest = rest.strip_prefix(['m', 'M', '\'', '′'])?;
        Some((minutes, rest))
    });
    found.map_or(Minutes::Unclear, |(minutes, rest)| {
        Minutes::Some(minutes, rest)
    })
}

/// Whether a number may be over where this begins.
fn ends_number(text: &str) -> bool {
    let ends = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '>' | '<' | '&' | ')' | '!');
    text.chars().next().is_none_or(ends)
}

fn position(text: &str) -> Option<TextPosition> {
    let (latitude, longitude) = match labelled(text, "lat:") {
        Some(latitude) => {
            let longitude = ["lon:", "lng:", "long:"]
                .iter()
                .find_map(|l| labelled(text, l))?;
            (
                degrees(latitude, 'N', 'S')?.0,
                degrees(longitude, 'E', 'W')?.0,
            )
        }
        // A link to a map: `?q=N22.577,E113.916`.
        None => {
            let after = labelled(text, "q=")?;
            let (latitude, rest) = degrees(after, 'N', 'S')?;
            let (longitude, _) = degrees(rest.trim_start().strip_prefix(',')?, 'E', 'W')?;
            (latitude, longitude)
        }
    };
    if !(-90.0..=90.0).contains(&latitude)
        || !(-180.0..=180.0).contains(&longitude)
        || (latitude, longitude) == (0.0, 0.0)
    {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "two or four decimals")]
    let small = |label, range: core::ops::RangeInclusive<f32>| {
        labelled(text, label)
            .and_then(number)
            .map(|(value, _)| value as f32)
            .filter(|value| range.contains(value))
    };
    Some(TextPosition {
        latitude,
        longitude,
        speed_kmh: small("speed:", 0.0..=2_000.0),
        course_deg: small("course:", 0.0..=360.0),
        time: ["datetime:", "date time:", "time:"]
            .iter()
            .find_map(|label| labelled(text, label))
            .and_then(date_time),
        last_known: contains(text, &["last position", "last known"]),
    })
}

/// `yy-mm-dd hh:mm:ss` or `yyyy-mm-dd hh:mm:ss`, any space between.
fn date_time(text: &str) -> Option<DateTime> {
    let mut parts = text
        .split(|c: char| !c.is_ascii_digit())
        .filter(|part| !part.is_empty())
        .map(|part| part.parse::<u16>().ok());
    let mut next = || parts.next().flatten();
    let year = next()?;
    let mut byte = || next().and_then(|part| u8::try_from(part).ok());
    let time = DateTime::from_bytes([
        u8::try_from(year.checked_sub(2_000).unwrap_or(year)).ok()?,
        byte()?,
        byte()?,
        byte()?,
        byte()?,
        byte()?,
    ]);
    time.to_unix().map(|_| time)
}

/// The text of bytes that a device calls ASCII: padding off, other bytes replaced.
pub(crate) fn ascii(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    String::from(text.trim_matches(|c: char| c == '\0' || c.is_ascii_whitespace()))
}

/// The text of UTF-16, high byte first, without the zeros that pad it.
pub(crate) fn utf16(bytes: &[u8]) -> String {
    let (pairs, _) = bytes.as_chunks::<2>();
    let text: String = char::decode_utf16(pairs.iter().map(|pair| u16::from_be_bytes(*pair)))
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    String::from(text.trim_matches('\0'))
}

#[cfg(feature = "telemetry")]
impl Reading<'_> {
    /// Notes in a report what the text says, but for the position's time, whose zone the caller
    /// knows.
    pub fn normalize(&self, report: &mut milepost_telemetry::Report) {
        use milepost_telemetry::{
            Coordinates, Course, Fix, FixSource, IgnitionSource, Speed, Voltage,
        };
        if let Some(outcome) = self.outcome {
            report.more.signals.push(
                milepost_telemetry::Signal::named("gt06.command_outcome").text(outcome.name()),
            );
        }
        if let Some(verb) = self.verb {
            let verb = milepost_telemetry::Signal::named("gt06.command_verb").text(verb);
            report.more.signals.push(verb);
        }
        if let Some(position) = &self.position
            && let Ok(coordinates) =
                Coordinates::from_degrees(position.latitude, position.longitude)
        {
            let source = if position.last_known {
                FixSource::LastKnown
            } else {
                FixSource::Gnss
            };
            let mut fix = Fix::new(coordinates, !position.last_known, source);
            fix.speed = position.speed_kmh.and_then(|v| Speed::from_kmh(v).ok());
            fix.course = position
                .course_deg
                .and_then(|v| Course::from_degrees(v).ok());
            fix.live = Some(!position.last_known);
            report.fix = Some(fix);
        }
        let volts = |v: Option<f32>| v.and_then(|v| Voltage::from_volts(v).ok());
        report.power.battery = volts(self.battery_v).or(report.power.battery);
        report.power.external = volts(self.external_v).or(report.power.external);
        if let Some(on) = self.ignition {
            report.io.note_ignition(on, IgnitionSource::Status);
        }
        report.io.armed = self.armed.or(report.io.armed);
        if let Some(build) = self.firmware_build {
            let build = milepost_telemetry::Signal::named("gt06.firmware_build").text(build);
            report.more.signals.push(build);
        }
        if self
            .iccid
            .or(self.imsi)
            .or(self.imei)
            .or(self.firmware)
            .is_some()
        {
            let identity = report.identity_mut();
            identity.iccid = self.iccid.map(Into::into);
            identity.imsi = self.imsi.map(Into::into);
            identity.imei = self.imei.map(Into::into);
            identity.firmware = self.firmware.map(Into::into);
        }
    }
}

#[cfg(test)]
mod tests;
