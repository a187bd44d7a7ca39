//! The one error of this crate: a value that cannot be.

use core::fmt;

/// A value that no report may hold.
///
/// A constructor returns it instead of clamping: a caller that cannot place a value leaves the
/// field absent, and keeps the raw bytes.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{what} out of range: {value}")]
pub struct OutOfRange {
    what: &'static str,
    value: f64,
}

impl OutOfRange {
    /// Names the quantity and the value that was refused.
    pub const fn new(what: &'static str, value: f64) -> Self {
        Self { what, value }
    }

    /// The quantity's name, for example `latitude`.
    pub const fn what(&self) -> &'static str {
        self.what
    }

    /// The value that was refused.
    pub const fn value(&self) -> f64 {
        self.value
    }
}

/// A text that is not what its type promises (a device id, an identifier of a report, a time).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Malformed {
    what: &'static str,
    reason: &'static str,
}

impl Malformed {
    pub(crate) const fn new(what: &'static str, reason: &'static str) -> Self {
        Self { what, reason }
    }

    /// What was expected, for example `device id`.
    pub const fn what(&self) -> &'static str {
        self.what
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed {}: {}", self.what, self.reason)
    }
}
