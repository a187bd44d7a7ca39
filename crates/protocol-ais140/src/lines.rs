//! Lines of text as a device's connection (feature `telemetry`): what `milepost decode` prints.
//!
//! A line is packet text, or `hex:` and hexadecimal digits where it holds raw bytes. A line's end
//! counts as the end of what the sender has to say.

use bytes::BytesMut;
use milepost_telemetry::{Origin, Report, Tenant, Timestamp};

use crate::dialect::Dialects;
use crate::message::Message;
use crate::normalize::{Arrival, ReportSource, normalize};
use crate::profile::{Checksum, Profile};
use crate::reply::ReplyPolicy;
use crate::session::Session;
use crate::{DecodeError, DecodeErrorKind, Form, Frame};

/// A device's connection, line by line.
#[derive(Debug, Clone)]
pub struct Lines {
    session: Session,
    stream: BytesMut,
    source: ReportSource,
    tenant: Option<Tenant>,
    /// What is known about each device before its first packet.
    profile: Profile,
    origin: Origin,
}

/// What came of one packet, or of bytes that are none.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Line {
    /// The packet; `None` for bytes that belong to none.
    pub frame: Option<Frame>,
    /// The header or, without one, the form: what to call the packet.
    pub kind: String,
    /// The verdict on its checksum.
    pub checksum: Checksum,
    /// Whether it comes from a server.
    pub is_from_server: bool,
    /// What it reports.
    pub reports: Vec<Report>,
    /// What it is answered.
    pub reply: Option<bytes::Bytes>,
    /// Why it cannot be read.
    pub error: Option<DecodeError>,
    /// Each byte of it, for people; empty unless asked for.
    pub parts: Vec<crate::Part>,
}

/// What bytes that are no packet are called in errors.
const STREAM: &str = "stream";

impl Lines {
    /// A connection of a device about which `profile` is known.
    #[must_use]
    pub fn new(
        dialects: Dialects,
        policy: ReplyPolicy,
        tenant: Option<Tenant>,
        profile: Profile,
    ) -> Self {
        let mut session = Session::new(dialects, policy);
        session.on_identified(Some(profile.clone()));
        Self {
            session,
            stream: BytesMut::new(),
            source: ReportSource::new(None, None),
            tenant,
            profile,
            origin: Origin {
                epoch: 0,
                connection: 1,
                frame: 0,
            },
        }
    }

    /// Begins the next connection: nothing learned is kept.
    pub fn next_connection(&mut self) {
        let connection = self.origin.connection + 1;
        let dialects = self.session.dialects().clone();
        *self = Self::new(
            dialects,
            self.session.policy().clone(),
            self.tenant,
            self.profile.clone(),
        );
        self.origin.connection = connection;
    }

    /// Reads one line, without its end.
    #[must_use]
    pub fn line(&mut self, text: &[u8], now: Timestamp, explain: bool) -> Vec<Line> {
        let mut out = Vec::new();
        let text = text.trim_ascii_end();
        match text.strip_prefix(b"hex:") {
            Some(digits) => match from_hex(digits) {
                Ok(bytes) => self.stream.extend_from_slice(&bytes),
                Err(at) => {
                    out.push(Line::error("hex", at + 4, DecodeErrorKind::Malformed));
                    return out;
                }
            },
            None => self.stream.extend_from_slice(text),
        }
        let total = self.stream.len();
        let mut finished = false;
        loop {
            let at = total.saturating_sub(self.stream.len());
            match self.session.next_frame(&mut self.stream) {
                Ok(Some(frame)) => out.push(self.frame(frame, now, explain)),
                Err(_) => out.push(Line::error("frame", at, DecodeErrorKind::Malformed)),
                Ok(None) if finished => {
                    self.stream.clear();
                    return out;
                }
                Ok(None) => {
                    self.session.finish();
                    finished = true;
                }
            }
        }
    }

    fn frame(&mut self, frame: Frame, now: Timestamp, explain: bool) -> Line {
        self.origin.frame += 1;
        let mut known = self.session.profile().known(self.session.dialects());
        let mut handled = self.session.on_frame(&frame, now.as_unix());
        if let Some(imei) = handled.identify {
            self.session.on_identified(Some(self.profile.clone()));
            self.source = ReportSource::new(self.tenant, imei.device_id());
            known = self.session.profile().known(self.session.dialects());
            handled = self.session.on_frame(&frame, now.as_unix());
        }
        let mut line = Line {
            kind: kind(&frame),
            checksum: handled.checksum,
            is_from_server: handled.message.as_ref().is_ok_and(Message::is_from_server),
            reports: Vec::new(),
            reply: handled.reply.as_ref().map(|reply| reply.bytes.clone()),
            error: handled.message.as_ref().err().copied(),
            parts: Vec::new(),
            frame: None,
        };
        let arrival = Arrival {
            at: now,
            origin: self.origin,
        };
        normalize(&handled, &self.source, arrival, &mut line.reports);
        if explain {
            line.parts = Message::explain(&frame, self.session.dialects(), &known).1;
        }
        line.frame = Some(frame);
        line
    }
}

impl Line {
    fn error(field: &'static str, at: usize, kind: DecodeErrorKind) -> Self {
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        Self {
            frame: None,
            kind: String::new(),
            checksum: Checksum::Absent,
            is_from_server: false,
            reports: Vec::new(),
            reply: None,
            error: Some(DecodeError::new(STREAM, field, at, kind)),
            parts: Vec::new(),
        }
    }
}

/// What a packet is called.
fn kind(frame: &Frame) -> String {
    match frame.form() {
        Form::Sentence | Form::Batch => String::from_utf8_lossy(frame.header()).into_owned(),
        Form::Fixed => {
            let raw = frame.raw();
            let text = raw.strip_prefix(b"vltdata=").unwrap_or(raw);
            String::from_utf8_lossy(text.get(..3).unwrap_or_default()).into_owned()
        }
        Form::Bare => {
            String::from_utf8_lossy(frame.raw().get(..5).unwrap_or_default()).into_owned()
        }
        Form::TranSync => "3A3A".into(),
        Form::Command => "command".into(),
        Form::Foreign => "foreign".into(),
    }
}

/// The bytes of hexadecimal digits, blanks between them allowed; or the place of what is none.
fn from_hex(text: &[u8]) -> Result<Vec<u8>, usize> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut high = None;
    for (at, byte) in text.iter().enumerate() {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            b' ' => continue,
            _ => return Err(at),
        };
        high = match high {
            None => Some(digit),
            Some(high) => {
                bytes.push(high << 4 | digit);
                None
            }
        };
    }
    match high {
        None => Ok(bytes),
        Some(_) => Err(text.len()),
    }
}
