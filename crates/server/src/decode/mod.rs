//! `milepost decode`: what do these frames say?
//!
//! Reads one message per line, in order, as one device's connection, and prints one JSON object
//! per message. An empty line starts a new connection; a line's end counts as a pause of the
//! sender. What cannot be read gives an object too, with `error`.

mod gt06;

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use milepost_protocol_gt06::{Dialect, Profile};
use milepost_telemetry::{Report, Tenant, Timestamp};
use serde::Serialize;

use crate::config::{NO_ZONE, minutes_east};
use crate::failure::Failure;

/// The longest line that is read, in bytes: twice the longest frame, with blanks between.
const MAX_LINE: u64 = 512 * 1_024;

/// The flags of `milepost decode`.
#[derive(Debug, Args)]
pub struct Options {
    /// The protocol that the lines speak.
    #[arg(long, value_enum)]
    protocol: Protocol,
    /// Print each byte range with its name, raw value and meaning, for people.
    #[arg(long)]
    explain: bool,
    /// Print each report's frame too, as hex in `raw`.
    #[arg(long)]
    raw: bool,
    /// Read the device's frames by the rules of this family (concox, jimi, lynkworld, …), whatever
    /// they tell.
    #[arg(long, value_name = "NAME", value_parser = dialect)]
    dialect: Option<Dialect>,
    /// The zone of the device's times where the protocol leaves it open, such as +08:00.
    #[arg(long, value_name = "OFFSET", allow_hyphen_values = true, value_parser = zone)]
    zone: Option<i16>,
    /// The time at which all lines count as received (RFC 3339); without it, now.
    #[arg(long, value_name = "TIME")]
    received_at: Option<Timestamp>,
    /// The tenant whose device it is: part of a report's identity.
    #[arg(long, default_value = "default")]
    tenant: Tenant,
    /// The file to read; `-` is standard input.
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Protocol {
    /// GT06 / Concox / Jimi; lines of hex.
    Gt06,
}

/// One line of output.
#[derive(Debug, Default, Serialize)]
struct Output {
    /// The line of the input, from 1.
    line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    frame: Option<FrameInfo>,
    reports: Vec<Report>,
    /// The reply, if the protocol answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Fault>,
    /// What each byte is, for people; not part of the JSON.
    #[serde(skip)]
    explanation: Option<Explanation>,
}

#[derive(Debug, Serialize)]
struct FrameInfo {
    kind: String,
    checksum: milepost_telemetry::Checksum,
    direction: &'static str,
}

#[derive(Debug, Serialize)]
struct Fault {
    field: &'static str,
    /// Byte of the frame, or of the line's bytes where there is no frame.
    offset: u64,
    message: String,
}

#[derive(Debug)]
struct Explanation {
    title: String,
    fields: Vec<String>,
}

/// What all lines have in common.
#[derive(Debug, Clone)]
struct Setting {
    tenant: Tenant,
    received_at: Option<Timestamp>,
    explain: bool,
    raw: bool,
    /// What is known about the device before its first frame.
    profile: Profile,
}

impl Setting {
    fn now(&self) -> Timestamp {
        self.received_at
            .unwrap_or_else(|| Timestamp::from_millis(jiff::Timestamp::now().as_millisecond()))
    }
}

/// Does what the flags say.
///
/// # Errors
/// When the input cannot be read or the output cannot be written. Lines that cannot be decoded are
/// output, not errors.
pub fn run(options: Options) -> Result<ExitCode, Failure> {
    let unreadable =
        |e: io::Error| Failure::new(format!("cannot read {}: {e}", options.file.display()));
    let input: Box<dyn BufRead> = if options.file.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(
            File::open(&options.file).map_err(unreadable)?,
        ))
    };
    let mut profile = Profile::default();
    profile.configured_dialect = options.dialect;
    profile.zones.configured = options.zone;
    let setting = Setting {
        tenant: options.tenant,
        received_at: options.received_at,
        explain: options.explain,
        raw: options.raw,
        profile,
    };
    let Protocol::Gt06 = options.protocol;
    let mut out = BufWriter::new(io::stdout().lock());
    match decode(
        input,
        gt06::Connection::new(setting),
        options.explain,
        &mut out,
    ) {
        Err(Trouble::Read(e)) => Err(unreadable(e)),
        // Whoever reads our output has seen enough.
        Err(Trouble::Write(e)) if e.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(Trouble::Write(e)) => Err(e.into()),
        Ok(()) => Ok(ExitCode::SUCCESS),
    }
}

fn dialect(name: &str) -> Result<Dialect, String> {
    let known: Vec<_> = Dialect::ALL.iter().map(|dialect| dialect.name()).collect();
    name.parse()
        .map_err(|_| format!("one of {}", known.join(", ")))
}

fn zone(offset: &str) -> Result<i16, &'static str> {
    minutes_east(offset).ok_or(NO_ZONE)
}

enum Trouble {
    Read(io::Error),
    Write(io::Error),
}

fn decode(
    mut input: impl BufRead,
    mut connection: gt06::Connection,
    explain: bool,
    out: &mut impl Write,
) -> Result<(), Trouble> {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = io::Read::take(&mut input, MAX_LINE)
            .read_until(b'\n', &mut line)
            .map_err(Trouble::Read)?;
        if read == 0 {
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
            connection = connection.next();
            continue;
        }
        let mut write = |mut output: Output| {
            output.line = number;
            write_output(output, explain, out)
        };
        if too_long {
            let message = format!("the line is longer than {MAX_LINE} bytes");
            write(Output {
                error: Some(Fault {
                    field: "line",
                    offset: MAX_LINE,
                    message,
                }),
                ..Output::default()
            })
            .map_err(Trouble::Write)?;
            continue;
        }
        connection.line(text, &mut write).map_err(Trouble::Write)?;
    }
    out.flush().map_err(Trouble::Write)
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

fn write_output(mut output: Output, explain: bool, out: &mut impl Write) -> io::Result<()> {
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
fn from_hex(text: &[u8]) -> Result<Vec<u8>, Fault> {
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
            message: "no hexadecimal digits behind 0x".to_owned(),
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
