//! What can be wrong with bytes, and where.

use core::fmt;

/// Bytes that belong to no frame were passed over. Never terminal: the stream goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Bytes were passed over.
    #[error("{bytes} bytes passed over{}", LooksLike(*.looks_like))]
    Skipped {
        /// How many; at least one. They are gone from the buffer.
        bytes: usize,
        /// What they look like, where that is recognised: `http`, `tls`, another tracker's
        /// protocol.
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

/// A whole frame whose body cannot be read: which field, and at which byte of the frame.
///
/// ```
/// use milepost_protocol_gt06::{DecodeError, DecodeErrorKind};
///
/// let e = DecodeError::new(0x22, "location", "latitude", 11, DecodeErrorKind::Malformed);
/// assert_eq!(e.to_string(), "0x22 location: malformed in field latitude at byte 11");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeError {
    number: u8,
    message: &'static str,
    field: &'static str,
    offset: u32,
    kind: DecodeErrorKind,
}

/// What is wrong with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The body ends too early.
    Truncated {
        /// How many bytes are missing.
        needed: u32,
    },
    /// The bytes mean nothing.
    Malformed,
    /// A number that cannot be.
    OutOfRange {
        /// The number as sent.
        value: u64,
    },
    /// Bytes are left over where none may be.
    Trailing {
        /// How many.
        len: u32,
    },
}

impl DecodeError {
    /// An error in a field of a message.
    #[must_use]
    pub const fn new(
        number: u8,
        message: &'static str,
        field: &'static str,
        offset: u32,
        kind: DecodeErrorKind,
    ) -> Self {
        Self {
            number,
            message,
            field,
            offset,
            kind,
        }
    }

    /// The message's number.
    #[must_use]
    pub const fn number(&self) -> u8 {
        self.number
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

    /// The byte of the frame at which that field starts; the start marker is at 0.
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

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            number,
            message,
            field,
            offset,
            kind,
        } = self;
        write!(
            f,
            "{number:#04x} {message}: {kind} in field {field} at byte {offset}"
        )
    }
}

impl core::error::Error for DecodeError {}

impl fmt::Display for DecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { needed } => write!(f, "truncated ({needed} more bytes needed)"),
            Self::Malformed => f.write_str("malformed"),
            Self::OutOfRange { .. } => f.write_str("out of range"),
            Self::Trailing { len } => write!(f, "{len} bytes left over"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn errors_are_small() {
        assert!(size_of::<DecodeError>() <= 56);
        assert!(size_of::<FrameError>() <= 24);
    }

    #[test]
    fn errors_name_field_and_byte() {
        let e = |kind| DecodeError::new(0x22, "location", "latitude", 11, kind);
        assert_eq!(
            e(DecodeErrorKind::OutOfRange { value: 0xffff_ffff }).to_string(),
            "0x22 location: out of range in field latitude at byte 11"
        );
        assert_eq!(
            e(DecodeErrorKind::Truncated { needed: 2 }).to_string(),
            "0x22 location: truncated (2 more bytes needed) in field latitude at byte 11"
        );
        let skipped = FrameError::Skipped {
            bytes: 18,
            looks_like: Some("http"),
        };
        assert_eq!(
            skipped.to_string(),
            "18 bytes passed over (looks like http)"
        );
    }
}
