//! What a carrier yields: records, passed-over bytes and their counts.

use core::fmt;

use bytes::Bytes;

use crate::CanFrame;

/// One record of a carrier with its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The record as received, with its delimiter.
    pub raw: Bytes,
    /// What it holds.
    pub kind: RecordKind,
}

impl Record {
    pub(super) const fn new(raw: Bytes, kind: RecordKind) -> Self {
        Self { raw, kind }
    }

    /// The frame, if the record holds a classic CAN frame.
    #[must_use]
    #[inline]
    pub const fn frame(&self) -> Option<CanFrame> {
        match self.kind {
            RecordKind::Frame(frame) => Some(frame),
            _ => None,
        }
    }
}

/// What a record holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordKind {
    /// A classic CAN frame, data or remote.
    Frame(CanFrame),
    /// A diagnostic payload without a CAN identifier: an ELM327 with headers off reassembles
    /// ISO-TP itself and does not report which controller answered.
    Payload(Bytes),
    /// A CAN FD or CAN XL frame. Passed over: J1939-21 and OBD-II on classic CAN do not use them.
    Fd,
    /// A SocketCAN error frame: the state of the controller, not traffic of the bus.
    ErrorFrame,
    /// A record without a frame: handshakes, prompts, status lines, blank lines.
    Notice,
}

/// Bytes were passed over that hold no readable record. Never terminal: call
/// [`Carrier::next_frame`](super::Carrier::next_frame) again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} bytes passed over: {reason}", .raw.len())]
#[non_exhaustive]
pub struct Skipped {
    /// The bytes, at least one. They are gone from the buffer.
    pub raw: Bytes,
    /// Why.
    pub reason: Reason,
}

impl Skipped {
    pub(super) const fn new(raw: Bytes, reason: Reason) -> Self {
        Self { raw, reason }
    }
}

/// Why bytes were passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// A delimited record with an unreadable field.
    Malformed {
        /// The field.
        field: &'static str,
        /// The byte of the record at which it begins, from 0.
        offset: usize,
    },
    /// No delimiter within the limit.
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// Bytes between records of a form without delimiters.
    OutOfSync,
    /// The form has no way to find the next record: close the connection.
    Lost,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { field, offset } => {
                write!(f, "malformed field {field} at byte {offset}")
            }
            Self::TooLong { limit } => write!(f, "no end of record within {limit} bytes"),
            Self::OutOfSync => f.write_str("not part of a record"),
            Self::Lost => f.write_str("record boundaries are lost; the connection must restart"),
        }
    }
}

/// Number of records of each kind since the carrier was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Classic CAN frames.
    pub frames: u64,
    /// Payloads without an identifier.
    pub payloads: u64,
    /// CAN FD and XL frames passed over.
    pub fd: u64,
    /// Error frames passed over.
    pub error_frames: u64,
    /// Records without a frame.
    pub notices: u64,
    /// Returns of [`Skipped`].
    pub skips: u64,
    /// Bytes in them.
    pub skipped_bytes: u64,
}

impl Counts {
    #[inline]
    pub(super) const fn add(&mut self, kind: &RecordKind) {
        let count = match kind {
            RecordKind::Frame(_) => &mut self.frames,
            RecordKind::Payload(_) => &mut self.payloads,
            RecordKind::Fd => &mut self.fd,
            RecordKind::ErrorFrame => &mut self.error_frames,
            RecordKind::Notice => &mut self.notices,
        };
        *count = count.saturating_add(1);
    }

    pub(super) const fn skip(&mut self, bytes: usize) {
        self.skips = self.skips.saturating_add(1);
        // Widening on every platform that Rust supports.
        self.skipped_bytes = self.skipped_bytes.saturating_add(bytes as u64);
    }
}
