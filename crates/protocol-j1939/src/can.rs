//! One classic CAN frame: identifier, up to eight data bytes, and the carrier's time stamp.

use core::fmt;
use core::hash::{Hash, Hasher};

/// A CAN identifier. The width is part of the identity: the same number as an 11-bit and as a
/// 29-bit identifier on one bus is two identifiers.
///
/// ```
/// use milepost_protocol_j1939::CanId;
///
/// assert!(CanId::standard(0x7FF).is_some());
/// assert!(CanId::standard(0x800).is_none());
/// assert_eq!(CanId::extended(0x18FEF100).unwrap().to_string(), "18FEF100");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CanId {
    /// 11 bits, at most `0x7FF`.
    Standard(u16),
    /// 29 bits, at most `0x1FFF_FFFF`.
    Extended(u32),
}

impl CanId {
    /// The largest 11-bit identifier.
    pub const MAX_STANDARD: u16 = 0x7FF;
    /// The largest 29-bit identifier.
    pub const MAX_EXTENDED: u32 = 0x1FFF_FFFF;

    /// An 11-bit identifier; `None` if `raw` is larger than [`CanId::MAX_STANDARD`].
    #[must_use]
    pub const fn standard(raw: u16) -> Option<Self> {
        if raw <= Self::MAX_STANDARD {
            Some(Self::Standard(raw))
        } else {
            None
        }
    }

    /// A 29-bit identifier; `None` if `raw` is larger than [`CanId::MAX_EXTENDED`].
    #[must_use]
    pub const fn extended(raw: u32) -> Option<Self> {
        if raw <= Self::MAX_EXTENDED {
            Some(Self::Extended(raw))
        } else {
            None
        }
    }

    /// The number, whichever width it has.
    #[must_use]
    pub const fn raw(self) -> u32 {
        match self {
            // Widening: `u32::from` is not a const function.
            Self::Standard(raw) => raw as u32,
            Self::Extended(raw) => raw,
        }
    }

    /// Whether the identifier has 29 bits.
    #[must_use]
    pub const fn is_extended(self) -> bool {
        matches!(self, Self::Extended(_))
    }
}

/// Three or eight upper-case hexadecimal digits, as `candump` writes them.
impl fmt::Display for CanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standard(raw) => write!(f, "{raw:03X}"),
            Self::Extended(raw) => write!(f, "{raw:08X}"),
        }
    }
}

/// A carrier's time stamp in microseconds.
///
/// The zero point is the carrier's: Unix time for `candump -L`, the start of an adapter for
/// others. Differences between stamps of one carrier are always meaningful.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct CanTime(pub u64);

impl CanTime {
    /// From seconds and microseconds; saturates at the end of the range.
    #[must_use]
    pub const fn new(seconds: u64, micros: u32) -> Self {
        Self(
            seconds
                .saturating_mul(1_000_000)
                .saturating_add(micros as u64),
        )
    }

    /// Microseconds.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Microseconds since `earlier`; 0 if `earlier` is later.
    #[must_use]
    pub const fn micros_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// One classic CAN frame.
///
/// Holds at most eight bytes; longer CAN FD payloads cannot be represented. Copying one allocates
/// nothing.
///
/// ```
/// use milepost_protocol_j1939::{CanFrame, CanId};
///
/// let id = CanId::extended(0x18FEF100).unwrap();
/// let frame = CanFrame::new(id, &[0xF3, 0x00, 0x3C])?;
/// assert_eq!(frame.data(), [0xF3, 0x00, 0x3C]);
/// # Ok::<(), milepost_protocol_j1939::CanFrameError>(())
/// ```
#[derive(Clone, Copy)]
pub struct CanFrame {
    id: CanId,
    len: u8,
    data: [u8; 8],
    remote: bool,
    time: Option<CanTime>,
}

impl CanFrame {
    /// The largest number of data bytes.
    pub const MAX_LEN: usize = 8;

    /// A data frame without a time stamp.
    ///
    /// # Errors
    /// If the identifier exceeds its width, or there are more than eight bytes.
    pub fn new(id: CanId, data: &[u8]) -> Result<Self, CanFrameError> {
        let mut bytes = [0; 8];
        let len = data.len();
        bytes
            .get_mut(..len)
            .ok_or(CanFrameError::TooLong { len })?
            .copy_from_slice(data);
        Ok(Self {
            id: checked(id)?,
            len: u8::try_from(len).map_err(|_| CanFrameError::TooLong { len })?,
            data: bytes,
            remote: false,
            time: None,
        })
    }

    /// A remote frame: it asks for `len` bytes and carries none.
    ///
    /// # Errors
    /// If the identifier exceeds its width, or `len` exceeds eight.
    pub fn remote(id: CanId, len: u8) -> Result<Self, CanFrameError> {
        if usize::from(len) > Self::MAX_LEN {
            return Err(CanFrameError::TooLong {
                len: usize::from(len),
            });
        }
        Ok(Self {
            id: checked(id)?,
            len,
            data: [0; 8],
            remote: true,
            time: None,
        })
    }

    /// With the carrier's time stamp.
    #[must_use]
    pub const fn with_time(mut self, time: Option<CanTime>) -> Self {
        self.time = time;
        self
    }

    /// The identifier.
    #[must_use]
    pub const fn id(&self) -> CanId {
        self.id
    }

    /// The data bytes; none for a remote frame.
    #[must_use]
    #[inline]
    pub fn data(&self) -> &[u8] {
        let len = if self.remote {
            0
        } else {
            usize::from(self.len)
        };
        self.data.get(..len).unwrap_or(&[])
    }

    /// The data length code, 0 to 8. A remote frame has one too, but no data.
    #[must_use]
    pub const fn dlc(&self) -> u8 {
        self.len
    }

    /// Whether this is a remote frame.
    #[must_use]
    pub const fn is_remote(&self) -> bool {
        self.remote
    }

    /// The carrier's time stamp, if the carrier sends one.
    #[must_use]
    pub const fn time(&self) -> Option<CanTime> {
        self.time
    }
}

fn checked(id: CanId) -> Result<CanId, CanFrameError> {
    match id {
        CanId::Standard(raw) => CanId::standard(raw),
        CanId::Extended(raw) => CanId::extended(raw),
    }
    .ok_or_else(|| CanFrameError::IdOutOfRange { id: id.raw() })
}

impl PartialEq for CanFrame {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
            && self.len == other.len
            && self.remote == other.remote
            && self.time == other.time
            && self.data() == other.data()
    }
}

impl Eq for CanFrame {}

impl Hash for CanFrame {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
        self.len.hash(state);
        self.remote.hash(state);
        self.time.hash(state);
        self.data().hash(state);
    }
}

/// `18FEF100#F3003C`, as `candump` writes a frame; the time stamp is not shown.
impl fmt::Display for CanFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#", self.id)?;
        if self.remote {
            return write!(f, "R{}", self.len);
        }
        self.data().iter().try_for_each(|b| write!(f, "{b:02X}"))
    }
}

impl fmt::Debug for CanFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.time {
            Some(time) => write!(f, "({}) {self}", time.0),
            None => write!(f, "{self}"),
        }
    }
}

/// Why a CAN frame cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CanFrameError {
    /// More than eight data bytes.
    #[error("{len} data bytes: a classic CAN frame holds at most 8")]
    TooLong {
        /// How many.
        len: usize,
    },
    /// The identifier does not fit its width.
    #[error("identifier {id:#x} does not fit its width")]
    IdOutOfRange {
        /// The number.
        id: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn limits_are_checked() {
        let id = CanId::Standard(0x7E8);
        assert!(CanFrame::new(id, &[0; 8]).is_ok());
        assert_eq!(
            CanFrame::new(id, &[0; 9]),
            Err(CanFrameError::TooLong { len: 9 })
        );
        assert_eq!(
            CanFrame::remote(id, 9),
            Err(CanFrameError::TooLong { len: 9 })
        );
        assert_eq!(
            CanFrame::new(CanId::Standard(0x800), &[]),
            Err(CanFrameError::IdOutOfRange { id: 0x800 })
        );
        assert_eq!(
            CanFrame::new(CanId::Extended(0x2000_0000), &[]),
            Err(CanFrameError::IdOutOfRange { id: 0x2000_0000 })
        );
    }

    #[test]
    fn the_width_is_part_of_the_identifier() {
        assert_ne!(CanId::Standard(0x123), CanId::Extended(0x123));
        assert_eq!(CanId::Standard(0x23).to_string(), "023");
        assert_eq!(CanId::Extended(0x23).to_string(), "00000023");
    }

    #[test]
    fn a_remote_frame_has_a_length_and_no_data() {
        let frame = CanFrame::remote(CanId::Standard(0x7DF), 8).unwrap();
        assert_eq!((frame.dlc(), frame.data()), (8, &[][..]));
        assert_eq!(frame.to_string(), "7DF#R8");
    }

    #[test]
    fn a_frame_is_small() {
        assert!(size_of::<CanFrame>() <= 40);
    }
}
