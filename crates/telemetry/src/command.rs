//! What a device's answer says about a command.

/// An answer to a command, as a decoder reads it.
///
/// A store matches it to a command that was sent: by the flag where the protocol repeats one, else
/// by the verb and the time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommandAnswer {
    /// The number of the command, if the device repeats it.
    pub flag: Option<u32>,
    /// What the answer says became of the command, if it says so.
    pub outcome: Option<CommandOutcome>,
    /// The command that the answer names, in the device's spelling.
    pub verb: Option<Box<str>>,
    /// The answer, as the device wrote it.
    pub text: Box<str>,
}

/// What an answer says became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CommandOutcome {
    /// It was carried out.
    Success,
    /// It will not be carried out.
    Refused,
    /// It is accepted and is not carried out yet: another answer may follow.
    Deferred,
}

impl CommandAnswer {
    /// An answer of which nothing but its text is known.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }
}

impl CommandOutcome {
    /// The outcome's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Refused => "refused",
            Self::Deferred => "deferred",
        }
    }
}
