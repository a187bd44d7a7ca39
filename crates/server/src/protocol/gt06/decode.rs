//! Lines of hex as a GT06 connection: the same session as behind a socket, without the socket.

use std::io;

use bytes::{Bytes, BytesMut};
use milepost_protocol_gt06::normalize::{self, ReportSource};
use milepost_protocol_gt06::{
    AckPolicy, Dialect, Direction, Frame, Message, Profile, Session, Upload,
};
use milepost_telemetry::{Checksum, Origin};

use serde::Serialize;

use crate::decode::{Decoded, Decoding, Explanation, Fault, Lines, Write, from_hex};
use crate::failure::Failure;

/// A device's connection, line by line.
pub(super) struct Connection {
    decoding: Decoding,
    /// What is known about the device before its first frame.
    profile: Profile,
    session: Session,
    stream: BytesMut,
    speaker: ReportSource,
    origin: Origin,
}

#[derive(Debug, Serialize)]
struct FrameInfo {
    kind: String,
    checksum: Checksum,
    direction: &'static str,
}

impl Connection {
    pub(super) fn new(decoding: &Decoding) -> Result<Self, Failure> {
        let mut profile = Profile::default();
        if let Some(name) = &decoding.dialect {
            let dialect = name.parse().map_err(|_| {
                let known: Vec<_> = Dialect::ALL.iter().map(|dialect| dialect.name()).collect();
                Failure::new(format!("no dialect is named {name:?}"))
                    .remedy(format!("--dialect is one of {}", known.join(", ")))
            })?;
            profile.configured_dialect = Some(dialect);
        }
        profile.zones.configured = decoding.zone;
        if !decoding.dialects.is_empty() {
            return Err(Failure::new("GT06 reads no files of dialects")
                .remedy("--dialects is for protocols whose dialects are tables"));
        }
        let origin = Origin {
            epoch: 0,
            connection: 1,
            frame: 0,
        };
        Ok(Self {
            decoding: decoding.clone(),
            session: session(&profile),
            profile,
            stream: BytesMut::new(),
            speaker: ReportSource::new(None, None),
            origin,
        })
    }

    fn frame(&mut self, frame: &Frame) -> io::Result<Decoded> {
        self.origin.frame += 1;
        let now = self.decoding.now();
        // A frame is read by what was known before it.
        let mut known = self.session.profile().clone();
        let handled = self.session.on_frame(frame, now.as_unix());
        if let Some(id) = handled.identify {
            known = self.profile.clone();
            self.session.on_identified(Some(known.clone()));
            self.speaker = ReportSource::new(Some(self.decoding.tenant), id.device_id());
        }
        let info = FrameInfo {
            kind: format!("{:#04x}", frame.number()),
            checksum: match frame.checksum() {
                milepost_protocol_gt06::Checksum::Valid => Checksum::Valid,
                milepost_protocol_gt06::Checksum::Mismatch => Checksum::Mismatch,
                milepost_protocol_gt06::Checksum::Absent => Checksum::Absent,
            },
            direction: handled.direction.name(),
        };
        let mut decoded = Decoded {
            frame: Some(serde_json::value::to_raw_value(&info)?),
            reply: handled.reply.map(|reply| hex::encode(reply.bytes)),
            explanation: self
                .decoding
                .explain
                .then(|| explain(frame, &known, handled.direction)),
            ..Decoded::default()
        };
        match &handled.message {
            Ok(message) => {
                let cx =
                    normalize::Context::new(frame.head(), &known, &self.speaker, now, self.origin);
                let raw = self.decoding.raw.then(|| frame.raw());
                decoded.reports = reports(message, handled.upload.as_deref(), &cx, raw);
            }
            Err(error) => {
                decoded.error = Some(Fault {
                    field: error.field(),
                    offset: u64::from(error.offset()),
                    message: error.to_string(),
                });
            }
        }
        Ok(decoded)
    }
}

fn session(profile: &Profile) -> Session {
    let mut session = Session::new(AckPolicy::default());
    session.on_identified(Some(profile.clone()));
    session
}

impl Lines for Connection {
    fn next_connection(&mut self) {
        self.session = session(&self.profile);
        self.stream.clear();
        self.speaker = ReportSource::new(None, None);
        self.origin.connection += 1;
        self.origin.frame = 0;
    }

    fn line(&mut self, text: &[u8], write: &mut Write<'_>) -> io::Result<()> {
        match from_hex(text) {
            Ok(bytes) => self.stream.extend_from_slice(&bytes),
            Err(error) => return write(Decoded::unreadable(error)),
        }
        let total = self.stream.len();
        let mut paused = false;
        loop {
            let offset = (total - self.stream.len()) as u64;
            match self.session.next_frame(&mut self.stream) {
                Ok(Some(frame)) => write(self.frame(&frame)?)?,
                Err(error) => write(fault(offset, error.to_string()))?,
                Ok(None) if !paused => {
                    self.session.on_pause();
                    paused = true;
                }
                Ok(None) if self.stream.is_empty() => return Ok(()),
                Ok(None) => {
                    let left = self.stream.len();
                    self.stream.clear();
                    return write(fault(
                        offset,
                        format!("{left} bytes that are no whole frame"),
                    ));
                }
            }
        }
    }
}

fn reports(
    message: &Message,
    upload: Option<&Upload>,
    cx: &normalize::Context<'_>,
    raw: Option<&Bytes>,
) -> Vec<milepost_telemetry::Report> {
    let mut reports = Vec::new();
    normalize::normalize(message, cx, &mut reports);
    if let Some(upload) = upload {
        normalize::normalize_upload(message, upload, cx, &mut reports);
    }
    if let Some(raw) = raw {
        for report in &mut reports {
            report.more.raw = Some(raw.as_ref().into());
        }
    }
    reports
}

fn explain(frame: &Frame, known: &Profile, direction: Direction) -> Explanation {
    let (message, fields) = Message::explain(frame, known.dialect());
    let name = message.as_ref().map_or("unreadable", Message::name);
    let checksum = match frame.checksum() {
        milepost_protocol_gt06::Checksum::Valid => "checksum right",
        milepost_protocol_gt06::Checksum::Mismatch => "checksum wrong",
        milepost_protocol_gt06::Checksum::Absent => "no checksum",
    };
    let from = match direction {
        Direction::Device => "from a device",
        Direction::Server => "from a server",
    };
    Explanation {
        title: format!("{:#04x} {name}, {checksum}, {from}", frame.number()),
        fields: fields.iter().map(ToString::to_string).collect(),
    }
}

fn fault(offset: u64, message: String) -> Decoded {
    Decoded::unreadable(Fault {
        field: "frame",
        offset,
        message,
    })
}
