//! The names of the forms, for configuration.

use core::fmt;
use core::str::FromStr;

use super::ByteOrder;
use super::cannelloni;
use super::deframe::{AGREEMENT, TEXT_LIMIT};
use super::{socketcan, thirteen};

/// A form in which frames arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Form {
    /// `thirteen-byte`: records of CAN-to-Ethernet converters.
    ThirteenByte,
    /// `candump`: lines of `candump -L` and of plain `candump`.
    Candump,
    /// `slcan`: text of serial adapters.
    Slcan,
    /// `socketcan-le`, `socketcan-be`: the kernel's `struct can_frame`.
    SocketCan(ByteOrder),
    /// `cannelloni`: over TCP.
    Cannelloni,
    /// `cannelloni-udp`: in datagrams.
    CannelloniUdp,
    /// `socketcand`: frames in angle brackets.
    Socketcand,
    /// `elm327`: text of diagnostic adapters.
    Elm327,
}

impl Form {
    /// Every form.
    pub const ALL: [Self; 9] = [
        Self::ThirteenByte,
        Self::Candump,
        Self::Slcan,
        Self::SocketCan(ByteOrder::Little),
        Self::SocketCan(ByteOrder::Big),
        Self::Cannelloni,
        Self::CannelloniUdp,
        Self::Socketcand,
        Self::Elm327,
    ];

    /// The name in configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ThirteenByte => "thirteen-byte",
            Self::Candump => "candump",
            Self::Slcan => "slcan",
            Self::SocketCan(ByteOrder::Little) => "socketcan-le",
            Self::SocketCan(ByteOrder::Big) => "socketcan-be",
            Self::Cannelloni => "cannelloni",
            Self::CannelloniUdp => "cannelloni-udp",
            Self::Socketcand => "socketcand",
            Self::Elm327 => "elm327",
        }
    }

    /// The most bytes that stay undecided in the buffer: the memory of a connection beyond what one
    /// read delivers.
    #[must_use]
    pub const fn max_pending(self) -> usize {
        match self {
            Self::ThirteenByte => AGREEMENT * thirteen::LEN,
            // In sync a CAN FD record; out of sync four classic ones.
            Self::SocketCan(_) => socketcan::FD_LEN,
            Self::Cannelloni | Self::CannelloniUdp => cannelloni::LONGEST,
            Self::Candump | Self::Slcan | Self::Socketcand | Self::Elm327 => TEXT_LIMIT,
        }
    }

    /// What the time stamps of the form are.
    #[must_use]
    pub const fn stamps(self) -> Stamps {
        match self {
            Self::Candump | Self::Socketcand => Stamps::Seconds,
            Self::Slcan => Stamps::Counter,
            _ => Stamps::None,
        }
    }

    /// Whether the form can carry remote frames.
    #[must_use]
    pub const fn carries_remote(self) -> bool {
        !matches!(self, Self::Socketcand | Self::Elm327)
    }
}

/// What the time stamps of a form are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stamps {
    /// None: the receiver stamps frames on arrival, and the time is an estimate.
    None,
    /// Microseconds of the sender's clock: Unix time, or since a capture began. May be absent.
    Seconds,
    /// Milliseconds of an adapter's counter from an unknown moment, continued over its wraps. May
    /// be absent.
    Counter,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Form {
    type Err = UnknownForm;

    fn from_str(name: &str) -> Result<Self, UnknownForm> {
        let mut all = Self::ALL.into_iter();
        all.find(|form| form.name() == name).ok_or(UnknownForm)
    }
}

/// How a port or a file is read: by a stated form, or by one that is detected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Setting {
    /// `detect`: by agreement over several records.
    #[default]
    Detect,
    /// The form's name.
    Form(Form),
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Detect => f.write_str("detect"),
            Self::Form(form) => form.fmt(f),
        }
    }
}

impl FromStr for Setting {
    type Err = UnknownForm;

    fn from_str(name: &str) -> Result<Self, UnknownForm> {
        match name {
            "detect" => Ok(Self::Detect),
            name => name.parse().map(Self::Form),
        }
    }
}

impl From<Form> for Setting {
    fn from(form: Form) -> Self {
        Self::Form(form)
    }
}

/// A name that is no form's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a form: use thirteen-byte, candump, slcan, socketcan-le, socketcan-be, cannelloni, \
     cannelloni-udp, socketcand, elm327 or detect"
)]
pub struct UnknownForm;

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn each_name_is_read_back_and_named_in_the_error() {
        for form in Form::ALL {
            assert_eq!(form.name().parse(), Ok(Setting::Form(form)));
            assert!(UnknownForm.to_string().contains(form.name()));
        }
        assert_eq!("detect".parse(), Ok(Setting::Detect));
        assert_eq!("can".parse::<Form>(), Err(UnknownForm));
    }
}
