//! What can be wrong with bytes, and where.

use core::fmt;

/// Bytes that belong to no packet were passed over. Never terminal: the stream goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Bytes were passed over.
    #[error("{bytes} bytes passed over{}", LooksLike(*.looks_like))]
    Skipped {
        /// How many; at least one. They are gone from the buffer.
        bytes: usize,
        /// The protocol that they look like, if it is recognised.
        looks_like: Option<&'static str>,
    },
}

struct LooksLike(Option<&'static str>);

impl fmt::Display for LooksLike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .map_or(Ok(()), |name| write!(f, " (looks like {name})"))
    }
}

/// A delimited packet that cannot be read: which field, and at which byte of the packet.
///
/// ```
/// use milepost_protocol_ais140::{DecodeError, DecodeErrorKind};
///
/// let e = DecodeError::new("tracking", "imei", 24, DecodeErrorKind::Missing);
/// assert_eq!(e.to_string(), "tracking: missing in field imei at byte 24");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{message}: {kind} in field {field} at byte {offset}")]
pub struct DecodeError {
    message: &'static str,
    field: &'static str,
    offset: u32,
    kind: DecodeErrorKind,
}

/// What is wrong with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// It is not there.
    Missing,
    /// Its bytes mean nothing.
    Malformed,
    /// The packet ends before it.
    Truncated {
        /// How many bytes are missing.
        needed: u32,
    },
}

impl DecodeError {
    /// An error in a field of a message.
    #[must_use]
    pub const fn new(
        message: &'static str,
        field: &'static str,
        offset: u32,
        kind: DecodeErrorKind,
    ) -> Self {
        Self {
            message,
            field,
            offset,
            kind,
        }
    }

    /// The message's name.
    #[must_use]
    pub const fn message(&self) -> &'static str {
        self.message
    }

    /// The field that could not be read.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        self.field
    }

    /// The byte of the packet at which that field starts or was expected; `$` is at 0.
    #[must_use]
    pub const fn offset(&self) -> u32 {
        self.offset
    }

    /// What is wrong.
    #[must_use]
    pub const fn kind(&self) -> DecodeErrorKind {
        self.kind
    }
}

impl fmt::Display for DecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::Malformed => f.write_str("malformed"),
            Self::Truncated { needed } => write!(f, "truncated ({needed} more bytes needed)"),
        }
    }
}
