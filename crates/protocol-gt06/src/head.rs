//! What is known of a frame without its bytes: start, number, lengths, and the verdict on its checksum.

use core::fmt;
use core::ops::Range;

/// The longest frame with a one-byte length.
pub const MAX_SHORT: usize = 260;
/// The longest frame with a two-byte length.
pub const MAX_LONG: usize = 65_541;
/// Number, serial, checksum: no announced length is less.
pub(crate) const MIN_LENGTH: u16 = 5;
pub(crate) const STOP: [u8; 2] = [0x0d, 0x0a];

/// How a frame starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Start {
    /// `78 78` and a length of one byte.
    Short,
    /// `79 79` and a length of two bytes.
    Long,
    /// `78 78` and a length of two bytes, the first of them 0: only address replies (0x97) of a
    /// server, as an old manual prints them.
    Wide,
}

impl Start {
    /// The start marker.
    #[must_use]
    pub const fn marker(self) -> [u8; 2] {
        match self {
            Self::Short | Self::Wide => [0x78, 0x78],
            Self::Long => [0x79, 0x79],
        }
    }

    /// The number's place in the frame: after marker and length.
    #[must_use]
    pub const fn number_offset(self) -> usize {
        match self {
            Self::Short => 3,
            Self::Long | Self::Wide => 4,
        }
    }

    /// What the length does not count: marker, the length itself, stop.
    pub(crate) const fn overhead(self) -> usize {
        self.number_offset() + 2
    }
}

/// The verdict on a frame's checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Checksum {
    /// It is right.
    Valid,
    /// It is wrong; some devices always send a wrong one.
    Mismatch,
    /// The dialect has neither checksum nor serial number.
    Absent,
}

/// Everything about a frame but its bytes.
///
/// Packed, so that it is handed around in a register: put into memory part by part and taken from
/// there as a whole it made every frame wait.
///
/// | bits | content |
/// |---|---|
/// | 0–19 | size |
/// | 20–35 | announced length |
/// | 36–51 | serial |
/// | 52–59 | number |
/// | 60–61 | start |
/// | 62–63 | checksum |
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Head(u64);

impl Head {
    #[inline(always)]
    pub(crate) const fn new(
        start: Start,
        number: u8,
        checksum: Checksum,
        announced: u16,
        serial: u16,
        len: usize,
    ) -> Self {
        debug_assert!(len <= MAX_LONG, "no frame is longer");
        Self(
            (len as u64 & 0xf_ffff)
                | (announced as u64) << 20
                | (serial as u64) << 36
                | (number as u64) << 52
                | (start as u64) << 60
                | (checksum as u64) << 62,
        )
    }

    /// How the frame starts.
    #[inline]
    #[must_use]
    pub const fn start(&self) -> Start {
        match self.0 >> 60 & 0b11 {
            0 => Start::Short,
            1 => Start::Long,
            _ => Start::Wide,
        }
    }

    /// The message's number (protocol number).
    #[inline]
    #[must_use]
    pub const fn number(&self) -> u8 {
        (self.0 >> 52 & 0xff) as u8
    }

    /// The verdict on the checksum.
    #[inline]
    #[must_use]
    pub const fn checksum(&self) -> Checksum {
        match self.0 >> 62 {
            0 => Checksum::Valid,
            1 => Checksum::Mismatch,
            _ => Checksum::Absent,
        }
    }

    /// The length that the frame announces, true or not.
    #[inline]
    #[must_use]
    pub const fn announced(&self) -> u16 {
        (self.0 >> 20 & 0xffff) as u16
    }

    /// The length that a correct frame with this body announces: the L of the manuals' tables.
    #[inline]
    #[must_use]
    pub const fn length(&self) -> usize {
        self.len().saturating_sub(self.start().overhead())
    }

    /// The device's counter of frames.
    #[inline]
    #[must_use]
    pub const fn serial(&self) -> Option<u16> {
        match self.checksum() {
            Checksum::Absent => None,
            Checksum::Valid | Checksum::Mismatch => Some((self.0 >> 36 & 0xffff) as u16),
        }
    }

    /// The size of the whole frame in bytes.
    #[inline]
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a frame is never empty")]
    pub const fn len(&self) -> usize {
        (self.0 & 0xf_ffff) as usize
    }

    /// The same of another start. It does not give the place of the body.
    pub(crate) const fn under(self, start: Start) -> Self {
        Self(self.0 & !(0b11 << 60) | (start as u64) << 60)
    }

    /// The place of the body in the frame.
    #[inline]
    #[must_use]
    pub const fn body(&self) -> Range<usize> {
        let after = match self.checksum() {
            Checksum::Absent => 2,
            Checksum::Valid | Checksum::Mismatch => 6,
        };
        let start = self.start().number_offset() + 1;
        let end = self.len().saturating_sub(after);
        start..if end < start { start } else { end }
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head")
            .field("start", &self.start())
            .field("number", &self.number())
            .field("checksum", &self.checksum())
            .field("announced", &self.announced())
            .field("serial", &self.serial())
            .field("len", &self.len())
            .finish()
    }
}

/// What is known about the frames of a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Framing {
    /// Serial and checksum are expected, frames without are recognised by their shape.
    #[default]
    Checked,
    /// The device belongs to the relatives without serial and checksum.
    Bare,
}
