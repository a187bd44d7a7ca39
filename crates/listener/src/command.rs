//! What is said to a device unasked.

use std::borrow::Cow;
use std::fmt;

/// A command on its way to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Command {
    /// A number that is unique for the device; where the protocol allows, the device repeats it
    /// in its answer.
    pub flag: u32,
    /// The command, in the device's own words.
    pub text: Box<str>,
}

impl Command {
    /// A command with a number that is unique for the device.
    pub fn new(flag: u32, text: impl Into<Box<str>>) -> Self {
        Self {
            flag,
            text: text.into(),
        }
    }
}

/// A session could not send a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct CommandRefused {
    reason: Cow<'static, str>,
    retry: bool,
}

impl CommandRefused {
    /// The protocol has no commands.
    pub const fn unsupported() -> Self {
        Self {
            reason: Cow::Borrowed("this protocol has no commands"),
            retry: false,
        }
    }

    /// It will never be sent; why.
    pub fn never(reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            reason: reason.into(),
            retry: false,
        }
    }

    /// It cannot be sent now but may be later; why.
    pub fn not_now(reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            reason: reason.into(),
            retry: true,
        }
    }

    /// Whether it may be sent later.
    pub const fn may_retry(&self) -> bool {
        self.retry
    }
}

impl fmt::Display for CommandRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}
