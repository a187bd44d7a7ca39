//! What can be wrong with a message, and where.

use core::fmt;

use crate::id::Pgn;

/// A message whose content cannot be read: which group, which field, at which byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeError {
    pgn: Option<Pgn>,
    field: &'static str,
    offset: u32,
    kind: DecodeErrorKind,
}

/// What is wrong with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The payload ends too early.
    Truncated {
        /// How many bytes are missing.
        needed: u32,
    },
    /// The bytes mean nothing.
    Malformed,
    /// A number that cannot be.
    OutOfRange {
        /// The number as sent.
        value: u32,
    },
}

impl DecodeError {
    /// An error in a field of a group.
    #[must_use]
    pub const fn new(pgn: Pgn, field: &'static str, offset: u32, kind: DecodeErrorKind) -> Self {
        Self {
            pgn: Some(pgn),
            field,
            offset,
            kind,
        }
    }

    /// An error in a message of OBD-II.
    #[must_use]
    pub const fn obd(field: &'static str, offset: u32, kind: DecodeErrorKind) -> Self {
        Self {
            pgn: None,
            field,
            offset,
            kind,
        }
    }

    pub(crate) fn truncated(pgn: Pgn, field: &'static str, offset: u32, needed: usize) -> Self {
        let needed = u32::try_from(needed).unwrap_or(u32::MAX);
        Self::new(pgn, field, offset, DecodeErrorKind::Truncated { needed })
    }

    /// The group; `None` for OBD-II.
    #[must_use]
    pub const fn pgn(&self) -> Option<Pgn> {
        self.pgn
    }

    /// The field that could not be read.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        self.field
    }

    /// The byte of the payload at which that field starts.
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
        match self.pgn {
            Some(pgn) => write!(f, "{pgn}: ")?,
            None => f.write_str("obd: ")?,
        }
        let Self {
            field,
            offset,
            kind,
            ..
        } = self;
        write!(f, "{kind} in field {field} at byte {offset}")
    }
}

impl core::error::Error for DecodeError {}

impl fmt::Display for DecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { needed } => write!(f, "truncated ({needed} more bytes needed)"),
            Self::Malformed => f.write_str("malformed"),
            Self::OutOfRange { value } => write!(f, "{value} is out of range"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_small() {
        assert!(size_of::<DecodeError>() <= 48);
    }
}
