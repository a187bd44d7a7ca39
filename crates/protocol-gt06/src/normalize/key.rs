//! What identifies a fact.

use crate::field::{DateTime, Position};

/// What stays the same when a device sends the same fact again, besides the time that it is a
/// fact of, which is in the id itself.
///
/// | bytes | content; all ones where it is not known |
/// |---|---|
/// | 0–7 | latitude and longitude |
/// | 8 | number |
/// | 9 | hemispheres and validity |
/// | 10–11 | upload mode |
/// | 12–13 | alarm |
/// | 14–15 | place in a list |
///
/// After it the position's own time, where the report is of another time, and what else distinguishes
/// the fact from others ([`Context::distinguish`](super::Context::distinguish)).
///
/// A change of this makes every re-upload a new row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    // In registers, the first byte lowest, so that a key is made without a detour through memory.
    place: u64,
    what: u64,
}

impl Key {
    /// The key of a message without values yet. The same for numbers by which the same fact is
    /// sent live and later.
    #[inline(always)]
    #[must_use]
    pub const fn new(number: u8) -> Self {
        Self {
            place: u64::MAX,
            what: !0xff | number as u64,
        }
    }

    /// A key in which the second half's bytes from `at` on are those of `value`, the first one
    /// lowest.
    #[inline(always)]
    const fn with(self, at: u32, len: u32, value: u16) -> Self {
        let mask = ((1 << (len * 8)) - 1) << (at * 8);
        Self {
            what: self.what & !mask | (value as u64) << (at * 8),
            ..self
        }
    }

    /// With a position, as sent: coordinates, hemispheres and validity.
    #[inline(always)]
    #[must_use]
    pub const fn position(self, position: &Position) -> Self {
        let latitude = position.raw_latitude.swap_bytes() as u64;
        let longitude = position.raw_longitude.swap_bytes() as u64;
        let key = self.with(1, 1, position.course_status.hemispheres() as u16);
        Self {
            place: latitude | longitude << 32,
            ..key
        }
    }

    /// With an upload mode.
    #[inline(always)]
    #[must_use]
    pub const fn upload_mode(self, mode: Option<u8>) -> Self {
        match mode {
            Some(mode) => self.with(2, 2, (mode as u16).swap_bytes()),
            None => self,
        }
    }

    /// With an alarm's code.
    #[inline]
    #[must_use]
    pub const fn alarm(self, code: Option<u16>) -> Self {
        match code {
            Some(code) => self.with(4, 2, code.swap_bytes()),
            None => self,
        }
    }

    /// With the place in a list, where a message has several items.
    #[inline]
    #[must_use]
    pub const fn index(self, index: u16) -> Self {
        self.with(6, 2, index.swap_bytes())
    }

    /// The key.
    #[inline(always)]
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        ((self.what as u128) << 64 | self.place as u128).to_le_bytes()
    }

    /// The key of a position that is of another time than its report.
    pub(super) fn with_time(self, time: DateTime) -> [u8; 22] {
        let mut bytes = [0; 22];
        let (front, back) = bytes.split_at_mut(16);
        front.copy_from_slice(&self.to_bytes());
        back.copy_from_slice(&time.to_bytes());
        bytes
    }
}
