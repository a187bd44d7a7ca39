//! `milepost decode`: what do these frames say?
//!
//! Reads one message per line, in order, as one device's connection, and prints one JSON object
//! per message. An empty line starts a new connection; a line's end counts as a pause of the
//! sender. What cannot be read gives an object too, with `error`.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use milepost_telemetry::{Report, Tenant, Timestamp};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::config::setting::{NO_ZONE, minutes_east};
use crate::failure::Failure;
use crate::protocol::Protocols;

/// The longest line that is read, in bytes: twice the longest frame, with blanks between.
const MAX_LINE: u64 = 512 * 1_024;

/// The flags of `milepost decode`.
#[derive(Debug, Args)]
pub struct Options {
    /// The protocol of the lines.
    #[arg(long, value_name = "NAME")]
    protocol: String,
    /// Print each byte range with its name, raw value and meaning, for people.
    #[arg(long)]
    explain: bool,
    /// Print each report's frame too, as hex in `raw`.
    #[arg(long)]
    raw: bool,
    /// Read the device's frames by the rules of this family of devices, whatever they indicate.
    #[arg(long, value_name = "NAME")]
    dialect: Option<String>,
    /// A file of further dialects, for a protocol whose dialects are tables; can be repeated.
    #[arg(long, value_name = "FILE")]
    dialects: Vec<PathBuf>,
    /// The form of the lines, for a protocol that comes in several: lines of hex, or text where the
    /// form is text.
    #[arg(long, value_name = "NAME")]
    form: Option<String>,
    /// A DBC file whose signals are read besides or instead of the built-in ones, for CAN frames.
    #[arg(long, value_name = "FILE")]
    dbc: Option<PathBuf>,
    /// How trouble codes of CAN frames are read whose bit says that they are not of version 4: as
    /// version 1, 2 or 3; 4 reads all as version 4.
    #[arg(long, value_name = "VERSION", value_parser = clap::value_parser!(u8).range(1..=4))]
    spn_conversion: Option<u8>,
    /// The zone of the device's times if the protocol leaves it open, such as +08:00.
    #[arg(long, value_name = "OFFSET", allow_hyphen_values = true, value_parser = zone)]
    zone: Option<i16>,
    /// The time at which all lines count as received (RFC 3339); without it, now.
    #[arg(long, visible_alias = "at", value_name = "TIME")]
    received_at: Option<Timestamp>,
    /// The tenant whose device it is: part of a report's identity.
    #[arg(long, default_value = "default")]
    tenant: Tenant,
    /// A file to read, `-` for standard input, or messages themselves, as hex or whatever a line of
    /// the protocol holds.
    #[arg(value_name = "FILE|MESSAGE", default_value = "-")]
    input: Vec<String>,
}

/// One object of output: a message, or a line that cannot be read.
#[derive(Debug, Default, Serialize)]
pub struct Decoded {
    /// The line of the input, from 1. Set for each [`Lines::line`] by its caller.
    pub line: u64,
    /// The frame's outside, in the protocol's own keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame: Option<Box<RawValue>>,
    /// What the message says.
    pub reports: Vec<Report>,
    /// The reply, if the protocol answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply: Option<String>,
    /// Why the line or the message cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Fault>,
    /// What each byte is, for people; not part of the JSON.
    #[serde(skip)]
    pub explanation: Option<Explanation>,
}

impl Decoded {
    /// A line, or part of one, that cannot be read.
    pub fn unreadable(error: Fault) -> Self {
        Self {
            error: Some(error),
            ..Self::default()
        }
    }
}

/// Why a line or a message cannot be read.
#[derive(Debug, Serialize)]
pub struct Fault {
    /// The field.
    pub field: &'static str,
    /// Byte of the frame, or of the line's bytes if there is no frame.
    pub offset: u64,
    /// What is wrong.
    pub message: String,
}

/// What each byte of a message is.
#[derive(Debug)]
pub struct Explanation {
    /// The message's name and verdicts.
    pub title: String,
    /// A line for each range of bytes.
    pub fields: Vec<String>,
}

/// What all lines have in common.
#[derive(Debug, Clone, Default)]
pub struct Decoding {
    /// The tenant of the device.
    pub tenant: Tenant,
    /// When all lines count as received; else now.
    pub received_at: Option<Timestamp>,
    /// Whether explanations are wanted.
    pub explain: bool,
    /// Whether reports carry their frame.
    pub raw: bool,
    /// The family of devices whose rules apply, whatever the frames indicate.
    pub dialect: Option<String>,
    /// Files of further dialects.
    pub dialects: Vec<PathBuf>,
    /// The form of the lines; without it, the protocol's usual one.
    pub form: Option<String>,
    /// A file of signal definitions.
    pub dbc: Option<PathBuf>,
    /// The version in which trouble codes are read, 1 to 4.
    pub spn_conversion: Option<u8>,
    /// The zone of times whose zone the protocol leaves open, in minutes east of Greenwich.
    pub zone: Option<i16>,
}

impl Decoding {
    /// When a line counts as received.
    pub fn now(&self) -> Timestamp {
        self.received_at
            .unwrap_or_else(|| Timestamp::from_millis(jiff::Timestamp::now().as_millisecond()))
    }
}

/// Takes the objects of a line.
pub type Write<'a> = dyn FnMut(Decoded) -> io::Result<()> + 'a;

/// A protocol's lines, as one device's connection.
pub trait Lines {
    /// Reads one line, without blanks at its ends; gives each of its messages, and whatever else
    /// it holds, to `write`. The end of the line is a pause of the sender.
    ///
    /// # Errors
    /// Those of `write`.
    fn line(&mut self, text: &[u8], write: &mut Write<'_>) -> io::Result<()>;

    /// The lines that follow are another connection's.
    fn next_connection(&mut self);

    /// The input has ended: gives what still waited for more.
    ///
    /// # Errors
    /// Those of `write`.
    fn end(&mut self, _write: &mut Write<'_>) -> io::Result<()> {
        Ok(())
    }
}

/// Reads what the flags name. The exit code is 1 if there were lines and none could be read.
///
/// # Errors
/// When the input cannot be read or the output cannot be written. Lines that cannot be decoded are
/// output, not errors.
pub fn run(options: Options, protocols: Protocols) -> Result<ExitCode, Failure> {
    let protocol = protocols
        .named(&options.protocol)
        .ok_or_else(|| Failure::new(format!("no protocol is named {:?}", options.protocol)))?;
    let decoding = Decoding {
        tenant: options.tenant,
        received_at: options.received_at,
        explain: options.explain,
        raw: options.raw,
        dialect: options.dialect,
        dialects: options.dialects,
        form: options.form,
        dbc: options.dbc,
        spn_conversion: options.spn_conversion,
        zone: options.zone,
    };
    if !protocol.has_signal_definitions()
        && (decoding.dbc.is_some() || decoding.spn_conversion.is_some())
    {
        return Err(Failure::new(format!(
            "--dbc and --spn-conversion mean nothing for {}",
            protocol.title()
        )));
    }
    let mut lines = protocol.lines(&decoding)?;
    let unreadable = |name: &str, e: io::Error| Failure::new(format!("cannot read {name}: {e}"));
    let (name, input): (&str, Box<dyn BufRead>) = match options.input.as_slice() {
        [] => ("-", Box::new(io::stdin().lock())),
        [name] if name == "-" => ("-", Box::new(io::stdin().lock())),
        [name] if Path::new(name).exists() || !protocol.is_message(name) => {
            let file = File::open(name).map_err(|e| unreadable(name, e))?;
            (name, Box::new(BufReader::new(file)))
        }
        messages => {
            if let Some(other) = messages.iter().find(|text| !protocol.is_message(text)) {
                return Err(Failure::new(format!(
                    "{other:?} is no message of {}",
                    protocol.title()
                ))
                .remedy("name one file, or give messages only"));
            }
            ("", Box::new(io::Cursor::new(messages.join("\n"))))
        }
    };
    let mut out = BufWriter::new(io::stdout().lock());
    match decode(input, lines.as_mut(), options.explain, &mut out) {
        Err(Trouble::Read(e)) => Err(unreadable(name, e)),
        // Whoever reads our output has seen enough.
        Err(Trouble::Write(e)) if e.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(Trouble::Write(e)) => Err(e.into()),
        Ok(seen) if seen.unreadable > 0 && seen.readable == 0 => Ok(ExitCode::FAILURE),
        Ok(_) => Ok(ExitCode::SUCCESS),
    }
}

fn zone(offset: &str) -> Result<i16, &'static str> {
    minutes_east(offset).ok_or(NO_ZONE)
}

enum Trouble {
    Read(io::Error),
    Write(io::Error),
}

/// How many objects were written.
#[derive(Debug, Default)]
struct Seen {
    readable: u64,
    unreadable: u64,
}

fn decode(
    mut input: impl BufRead,
    lines: &mut dyn Lines,
    explain: bool,
    out: &mut impl io::Write,
) -> Result<Seen, Trouble> {
    let mut line = Vec::new();
    let mut seen = Seen::default();
    for number in 1.. {
        let mut write = |mut decoded: Decoded| {
            decoded.line = number;
            match decoded.error {
                None => seen.readable += 1,
                Some(_) => seen.unreadable += 1,
            }
            write_output(decoded, explain, out)
        };
        line.clear();
        let read = io::Read::take(&mut input, MAX_LINE)
            .read_until(b'\n', &mut line)
            .map_err(Trouble::Read)?;
        if read == 0 {
            lines.end(&mut write).map_err(Trouble::Write)?;
            break;
        }
        let too_long = line.last() != Some(&b'\n') && line.len() as u64 >= MAX_LINE;
        if too_long {
            skip_line(&mut input).map_err(Trouble::Read)?;
        }
        let mut text = line.trim_ascii();
        if number == 1 {
            // Some editors mark a file as UTF-8.
            text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        }
        if text.is_empty() {
            lines.next_connection();
        } else if too_long {
            let too_long = Fault {
                field: "line",
                offset: MAX_LINE,
                message: format!("the line is longer than {MAX_LINE} bytes"),
            };
            write(Decoded::unreadable(too_long)).map_err(Trouble::Write)?;
        } else {
            lines.line(text, &mut write).map_err(Trouble::Write)?;
        }
    }
    out.flush().map_err(Trouble::Write)?;
    Ok(seen)
}

fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(buffer.len(), |at| at + 1);
        input.consume(used);
        if end.is_some() {
            return Ok(());
        }
    }
}

fn write_output(mut output: Decoded, explain: bool, out: &mut impl io::Write) -> io::Result<()> {
    if !explain {
        serde_json::to_writer(&mut *out, &output)?;
        writeln!(out)?;
        // A person may be typing.
        return out.flush();
    }
    let explanation = output.explanation.take();
    match &explanation {
        Some(explanation) => {
            writeln!(out, "line {}: {}", output.line, explanation.title)?;
            for field in &explanation.fields {
                writeln!(out, "  {}", field.trim_end())?;
            }
        }
        None => writeln!(out, "line {}: no frame", output.line)?,
    }
    if let Some(error) = &output.error {
        writeln!(out, "  error: {error}")?;
    }
    if let Some(reply) = &output.reply {
        writeln!(out, "  reply: {reply}")?;
    }
    for report in &output.reports {
        writeln!(out, "  report: {}", serde_json::to_string(report)?)?;
    }
    writeln!(out)?;
    out.flush()
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (field {}, byte {})",
            self.message, self.field, self.offset
        )
    }
}

/// Reads hex, with blanks anywhere between bytes and an optional `0x` in front.
///
/// # Errors
/// The first digit that is none, or that one is missing.
pub fn from_hex(text: &[u8]) -> Result<Vec<u8>, Fault> {
    let bare = text
        .strip_prefix(b"0x")
        .or_else(|| text.strip_prefix(b"0X"));
    let digits: Vec<u8> = bare
        .unwrap_or(text)
        .iter()
        .copied()
        .filter(|b| !b.is_ascii_whitespace())
        .collect();
    if digits.is_empty() {
        // A line of blanks is not read as hex: so there was a prefix.
        return Err(Fault {
            field: "line",
            offset: 0,
            message: "no hexadecimal digits after 0x".to_owned(),
        });
    }
    hex::decode(&digits).map_err(|_| {
        // What is no digit at all comes first: it also makes the count of the digits odd.
        let strange = digits.iter().zip(1..).find(|(b, _)| !b.is_ascii_hexdigit());
        let (digit, message) = match strange {
            Some((b, digit)) => (
                digit,
                format!("not hexadecimal: {:?} at digit {digit}", char::from(*b)),
            ),
            None => (
                digits.len(),
                "half a byte: an odd number of hexadecimal digits".to_owned(),
            ),
        };
        Fault {
            field: "line",
            offset: (digit - 1) as u64 / 2,
            message,
        }
    })
}
