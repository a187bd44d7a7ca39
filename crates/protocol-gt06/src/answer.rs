//! The texts of command answers.
//!
//! A device answers a command with text for people (0x15, 0x21). Whether the command was carried
//! out is only stated there; so are, by model, a position, the battery, the numbers of the SIM card
//! and the firmware. [`Reading::read`] finds what it knows in any text and leaves the rest: the
//! wording is from manuals and from devices, and a text that matches nothing gives nothing.

mod outcome;
mod position;

use alloc::string::String;

use nom::branch::alt;
use nom::bytes::complete::{tag_no_case, take_till, take_while, take_while1};
use nom::character::complete::{one_of, satisfy};
use nom::combinator::{map_res, not, opt, recognize, value, verify};
use nom::error::Error;
use nom::sequence::{preceded, terminated};
use nom::{IResult, Parser};

use crate::field::DateTime;

/// Whether a command was carried out, as far as its answer states it.
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

/// A position as text.
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

/// What the text of an answer contains.
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
    /// When the firmware was built, as written in the text.
    pub firmware_build: Option<&'a str>,
}

impl<'a> Reading<'a> {
    /// Reads a text; padding before and after does not matter.
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
            position: position::read(text),
            battery_v: after(text, &["battery:"], volts),
            external_v: after(
                text,
                &[
                    "external voltage:",
                    "power voltage:",
                    "external power voltage:",
                ],
                volts,
            ),
            ignition: after(text, &["acc:"], on_or_off),
            armed: after(text, &["defense:", "defence:"], on_or_off),
            iccid: after(text, &["iccid"], digits(18..=22)),
            imsi: after(text, &["imsi"], digits(14..=16)),
            imei: after(text, &["imei"], digits(14..=16)),
            firmware: match labelled(text, "[version]") {
                Some(_) => after(text, &["[version]"], name("[\r\n")),
                None => after(text, &["version:"], name(";,\r\n")),
            },
            firmware_build: after(text, &["[build]"], name("[\r\n")),
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

/// What is read after the first of these labels that the text has.
fn after<'a, V>(
    text: &'a str,
    labels: &[&str],
    mut read: impl Parser<&'a str, Output = V, Error = Error<&'a str>>,
) -> Option<V> {
    let rest = labels.iter().find_map(|label| labelled(text, label))?;
    read.parse(rest).ok().map(|(_, value)| value)
}

fn space(text: &str) -> IResult<&str, &str> {
    take_while(char::is_whitespace).parse(text)
}

fn on_or_off(text: &str) -> IResult<&str, bool> {
    let word = alt((
        value(true, tag_no_case("on")),
        value(false, tag_no_case("off")),
    ));
    terminated(word, not(satisfy(|c| c.is_ascii_alphabetic()))).parse(text)
}

/// A decimal number, with its sign.
fn number(text: &str) -> IResult<&str, f64> {
    let digits = take_while1(|c: char| c.is_ascii_digit() || c == '.');
    let number = map_res(recognize((opt(one_of("+-")), digits)), str::parse);
    preceded(space, number).parse(text)
}

#[expect(clippy::cast_possible_truncation, reason = "volts with two decimals")]
fn volts(text: &str) -> IResult<&str, f32> {
    let volts = terminated(number, (space, one_of("Vv"))).map(|volts| volts as f32);
    verify(volts, |volts| (0.0..=1_000.0).contains(volts)).parse(text)
}

/// A number of so many digits, whatever is between it and its label: `<ICCID:…>`, `ICCID = …`.
fn digits<'a>(
    len: core::ops::RangeInclusive<usize>,
) -> impl Parser<&'a str, Output = &'a str, Error = Error<&'a str>> {
    let between = verify(take_till(|c: char| c.is_ascii_digit()), |between: &str| {
        between.len() <= 4
    });
    let number = take_while1(|c: char| c.is_ascii_alphanumeric())
        .map(|number: &str| number.trim_end_matches(['F', 'f']));
    verify(preceded(between, number), move |number: &str| {
        len.contains(&number.len()) && number.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

/// A name up to one of these characters.
fn name<'a>(ends: &'static str) -> impl Parser<&'a str, Output = &'a str, Error = Error<&'a str>> {
    let name = take_till(|c: char| ends.contains(c))
        .map(|name: &str| name.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\0'));
    verify(name, |name: &str| !name.is_empty())
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
    /// Adds the values of the text to a report, except the position's time, whose zone the caller
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
