//! Lines of text as an AIS 140 connection: the same session as behind a socket, without the socket.

use std::io;

use milepost_protocol_ais140::{Line, Lines as Reader, Profile, ReplyPolicy};
use serde::Serialize;

use super::keys;
use crate::decode::{Decoded, Decoding, Explanation, Fault, Lines, Write};
use crate::failure::Failure;

/// A device's connection, line by line.
pub(super) struct Connection {
    decoding: Decoding,
    lines: Reader,
}

#[derive(Debug, Serialize)]
struct FrameInfo<'a> {
    kind: &'a str,
    checksum: &'static str,
    direction: &'static str,
}

impl Connection {
    pub(super) fn new(decoding: &Decoding) -> Result<Self, Failure> {
        let dialects = keys::dialects(&decoding.dialects)?;
        let mut profile = Profile::default();
        if let Some(name) = &decoding.dialect {
            if dialects.by_name(name).is_none() {
                let known: Vec<_> = dialects.iter().map(|dialect| dialect.name()).collect();
                return Err(Failure::new(format!("no dialect is named {name:?}"))
                    .remedy(format!("--dialect is one of {}", known.join(", "))));
            }
            profile.configured_dialect = Some(name.clone());
        }
        profile.configured_zone = decoding.zone;
        let tenant = Some(decoding.tenant);
        Ok(Self {
            decoding: decoding.clone(),
            lines: Reader::new(dialects, ReplyPolicy::default(), tenant, profile),
        })
    }

    fn decoded(&self, line: Line) -> io::Result<Decoded> {
        let direction = if line.is_from_server {
            "server"
        } else {
            "device"
        };
        let info = FrameInfo {
            kind: &line.kind,
            checksum: line.checksum.name(),
            direction,
        };
        let mut decoded = Decoded {
            reply: line
                .reply
                .as_ref()
                .map(|reply| String::from_utf8_lossy(reply).into_owned()),
            error: line.error.map(|error| Fault {
                field: error.field(),
                offset: u64::from(error.offset()),
                message: error.to_string(),
            }),
            ..Decoded::default()
        };
        let Some(frame) = &line.frame else {
            return Ok(decoded);
        };
        decoded.frame = Some(serde_json::value::to_raw_value(&info)?);
        if self.decoding.explain {
            decoded.explanation = Some(Explanation {
                title: format!(
                    "{}, checksum {}, from a {direction}",
                    line.kind, info.checksum
                ),
                fields: line.parts.iter().map(ToString::to_string).collect(),
            });
        }
        decoded.reports = line.reports;
        if self.decoding.raw {
            for report in &mut decoded.reports {
                report.more.raw = Some(frame.raw().as_ref().into());
            }
        }
        Ok(decoded)
    }
}

impl Lines for Connection {
    fn next_connection(&mut self) {
        self.lines.next_connection();
    }

    fn line(&mut self, text: &[u8], write: &mut Write<'_>) -> io::Result<()> {
        let now = self.decoding.now();
        for line in self.lines.line(text, now, self.decoding.explain) {
            write(self.decoded(line)?)?;
        }
        Ok(())
    }
}
