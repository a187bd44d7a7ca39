//! The Protobuf form (feature `proto`): how envelopes travel between gateways and workers, and
//! reports to other consumers of the topics.
//!
//! `proto/milepost/v1/milepost.proto` is its definition, for readers in other languages. It says all
//! that the JSON form says, and what an envelope has besides. A reader passes over fields that it
//! does not know, and refuses a word that it does not know (a new kind of event, say): upgrade
//! workers before gateways.
//!
//! ```
//! use milepost_telemetry::proto::{self, LogPosition};
//! # use milepost_telemetry::{Content, Envelope, Name, Origin, Timestamp};
//! # let envelope = Envelope::new(
//! #     Origin { epoch: 1, connection: 1, frame: 1 },
//! #     Timestamp::UNIX_EPOCH,
//! #     Name::new("gt06"),
//! #     Default::default(),
//! #     Content::Filtered(Name::new("echo")),
//! # );
//!
//! let mut bytes = proto::encode("gateway-1", &envelope);
//! // The position is known only after the encoded envelope was appended to the log.
//! proto::append_position(&mut bytes, LogPosition { log: 7, position: 42 });
//!
//! let wire = proto::decode(bytes.into())?;
//! assert_eq!(&*wire.gateway, "gateway-1");
//! assert_eq!(wire.position.map(|at| at.position), Some(42));
//! assert_eq!(wire.envelope, envelope);
//! # Ok::<(), proto::ProtoError>(())
//! ```

mod decode;
mod encode;
#[rustfmt::skip]
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::use_self,
    clippy::indexing_slicing,
    reason = "generated from proto/milepost/v1/milepost.proto, which documents it"
)]
mod generated;
mod words;

use core::fmt;

use bytes::Bytes;
use prost::Message as _;
use serde::de::value::StrDeserializer;
use serde::de::{Deserialize, IntoDeserializer as _};
use serde::ser::Serialize;

use crate::{Envelope, Report};

/// An envelope as it arrives from a gateway.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Wire {
    /// The gateway's name.
    pub gateway: Box<str>,
    /// Where it stands in the gateway's log; `None` from a gateway without one.
    pub position: Option<LogPosition>,
    /// The envelope.
    pub envelope: Envelope,
}

/// A place in a gateway's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogPosition {
    /// The log's id.
    pub log: u128,
    /// The position, which never falls.
    pub position: u64,
}

/// Bytes that are no envelope or no report, or hold a value that none may have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ProtoError {
    field: &'static str,
    reason: String,
}

impl ProtoError {
    fn new(field: &'static str, reason: String) -> Self {
        Self { field, reason }
    }

    /// The field at fault; empty if the bytes are not Protobuf.
    pub const fn field(&self) -> &'static str {
        self.field
    }
}

impl fmt::Display for ProtoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field {
            "" => write!(f, "not Protobuf: {}", self.reason),
            field => write!(f, "in field {field}: {}", self.reason),
        }
    }
}

/// Writes an envelope without a position.
pub fn encode(gateway: &str, envelope: &Envelope) -> Vec<u8> {
    encode::envelope(gateway, envelope).encode_to_vec()
}

/// Adds the position to an envelope that is already written.
pub fn append_position(encoded: &mut Vec<u8>, at: LogPosition) {
    // Protobuf messages that follow each other are read as one.
    let tail = generated::Envelope {
        log_id: Some(Bytes::copy_from_slice(&at.log.to_be_bytes())),
        log_position: Some(at.position),
        ..Default::default()
    };
    encoded.extend_from_slice(&tail.encode_to_vec());
}

/// Reads an envelope. Its frame shares the memory of `bytes`.
///
/// # Errors
/// See [`ProtoError`].
pub fn decode(bytes: Bytes) -> Result<Wire, ProtoError> {
    decode::envelope(generated::Envelope::decode(bytes).map_err(not_protobuf)?)
}

/// Writes a report.
pub fn encode_report(report: &Report) -> Vec<u8> {
    encode::report(report).encode_to_vec()
}

/// Reads a report.
///
/// # Errors
/// See [`ProtoError`].
pub fn decode_report(bytes: Bytes) -> Result<Report, ProtoError> {
    decode::report(generated::Report::decode(bytes).map_err(not_protobuf)?)
}

fn not_protobuf(error: prost::DecodeError) -> ProtoError {
    ProtoError::new("", error.to_string())
}

/// The word of a unit variant in the JSON form.
fn word<T: Serialize>(word: T) -> String {
    struct Shown<T>(T);
    impl<T: Serialize> fmt::Display for Shown<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.serialize(f)
        }
    }
    Shown(word).to_string()
}

fn from_word<'de, T: Deserialize<'de>>(
    field: &'static str,
    word: &'de str,
) -> Result<T, ProtoError> {
    let text: StrDeserializer<'de, serde::de::value::Error> = word.into_deserializer();
    T::deserialize(text).map_err(|error| ProtoError::new(field, error.to_string()))
}
