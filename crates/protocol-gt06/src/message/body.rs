//! What every message is: how it is found, read, written, answered and reported.

use bytes::BytesMut;

use crate::address::Question;
use crate::field::DateTime;
use crate::frame::{Head, Start};
use crate::parse::{Reader, Trace};
use crate::reply::Answer;
use crate::{DecodeError, Dialect};

/// What a message's decoder may know besides the bytes.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The frame without its bytes.
    pub head: &'a Head,
    /// The body.
    pub body: &'a [u8],
    /// The family of devices.
    pub dialect: Dialect,
}

impl Context<'_> {
    /// The message's number.
    #[inline]
    #[must_use]
    pub const fn number(&self) -> u8 {
        self.head.number()
    }

    /// The L of the manuals' tables: the length that a correct frame with this body announces.
    #[inline]
    #[must_use]
    pub const fn length(&self) -> usize {
        self.body.len() + 5
    }

    /// Whether the frame starts with `78 78` and has a serial and a checksum.
    #[inline]
    #[must_use]
    pub fn is_short(&self) -> bool {
        matches!(self.head.start(), Start::Short) && self.head.serial().is_some()
    }

    /// The length byte of a frame of the relatives without serial and checksum: devices put various
    /// things into it. `None` for all other frames.
    #[inline]
    #[must_use]
    pub fn bare(&self) -> Option<u8> {
        match self.head.serial() {
            Some(_) => None,
            None => u8::try_from(self.head.announced()).ok(),
        }
    }

    /// Whether the frame starts with `79 79`.
    #[inline]
    #[must_use]
    pub const fn is_long(&self) -> bool {
        matches!(self.head.start(), Start::Long)
    }
}

/// Which way a message travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From a device to a server.
    Device,
    /// From a server to a device. Devices send such ones back as echoes; they give no report.
    Server,
}

impl Direction {
    /// `device` or `server`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Server => "server",
        }
    }
}

/// How well a frame fits a message.
///
/// A message judges by what it knows about itself, never by what others look like. Of several that a
/// frame fits the best is taken; ties go to the first in the list of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// It is another message.
    No,
    /// Nothing contradicts it: start and length, or a position in its place.
    Possible,
    /// Something that only this message has is in its place.
    Certain,
}

impl Fit {
    /// Possible, or not this message.
    #[inline]
    #[must_use]
    pub const fn possible_if(fits: bool) -> Self {
        if fits { Self::Possible } else { Self::No }
    }

    /// Certain, or as it is.
    #[inline]
    #[must_use]
    pub const fn or_certain_if(self, is_certain: bool) -> Self {
        if is_certain { Self::Certain } else { self }
    }
}

/// One message: how its body is read and written, what it is answered, and its reports.
///
/// A message keeps all that was sent: raw integers, unknown bits, bytes after what is known. So
/// `encode` writes what `decode` read.
pub trait Body: Sized {
    /// The name, in lower case.
    const NAME: &'static str;

    /// The answer where the body cannot be read, and what [`Body::answer`] is without more.
    const ANSWER: Answer = Answer::Silent;

    /// How well a frame with one of the type's numbers fits this message: by start, length, content
    /// or dialect. Unless stated otherwise any `78 78` frame with serial and checksum may be it.
    #[inline]
    fn fit(cx: &Context<'_>) -> Fit {
        Fit::possible_if(cx.is_short() && !cx.body.is_empty())
    }

    /// Reads the body.
    ///
    /// # Errors
    /// When it cannot be read.
    fn decode<T: Trace>(r: &mut Reader<'_, T>, cx: &Context<'_>) -> Result<Self, DecodeError>;

    /// Writes the body.
    fn encode(&self, out: &mut BytesMut);

    /// The message's number.
    fn number(&self) -> u8;

    /// The name, in lower case.
    #[inline]
    fn name(&self) -> &'static str {
        Self::NAME
    }

    /// How its frames start.
    #[inline]
    fn start(&self) -> Start {
        Start::Short
    }

    /// The length byte, if it goes in a frame of the relatives without serial and checksum.
    #[inline]
    fn bare(&self) -> Option<u8> {
        None
    }

    /// The answer where the body cannot be read.
    #[inline]
    fn unread(_: &Context<'_>) -> Answer {
        Self::ANSWER
    }

    /// What it is answered.
    #[inline]
    fn answer(&self) -> Answer {
        Self::ANSWER
    }

    /// Which way it travels.
    #[inline]
    fn direction(&self) -> Direction {
        Direction::Device
    }

    /// The family of devices, where only one sends such a message.
    #[inline]
    fn dialect(&self) -> Option<Dialect> {
        None
    }

    /// Whether a device of this family would not send this message: a conclusion from one frame
    /// alone is given up by it.
    #[inline]
    fn contradicts(&self, _: Dialect) -> bool {
        false
    }

    /// The battery in the unit that some devices count in percent and others in levels.
    #[inline]
    fn raw_battery(&self) -> Option<u8> {
        None
    }

    /// The device's clock when it sent this, in messages whose zone no manual states,
    /// and whether the message is marked as live: by this a session finds the zone.
    #[inline]
    fn clock(&self) -> Option<(DateTime, Option<bool>)> {
        None
    }

    /// The address that it asks for, or that may follow its acknowledgement.
    #[inline]
    fn question(&self) -> Option<Question> {
        None
    }

    /// Its reports.
    #[cfg(feature = "telemetry")]
    fn normalize(&self, cx: &crate::normalize::Context<'_>, out: &mut crate::normalize::Reports);
}
