//! T6: date and time, one plain binary byte each.

use alloc::format;
use alloc::string::ToString;
use core::fmt;

use bytes::{BufMut, BytesMut};

use crate::DecodeError;
use crate::parse::{Reader, Trace};

/// A date and time as sent: year − 2000, month, day, hour, minute, second. It need not exist.
///
/// Held as one number of 48 bits, the first byte lowest, so that it is compared, checked and handed
/// on in one go.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct DateTime(u64);

const DAY: u32 = 86_400;

impl DateTime {
    /// The fields of an instant in UTC, in seconds since 1970. `None` outside 2000 to 2099.
    ///
    /// ```
    /// use milepost_protocol_gt06::field::DateTime;
    /// let t = DateTime::from_unix(1_451_357_465).expect("in this century");
    /// assert_eq!(t.to_string(), "2015-12-29 02:51:05");
    /// assert_eq!(t.to_unix(), Some(1_451_357_465));
    /// ```
    #[must_use]
    pub fn from_unix(seconds: i64) -> Option<Self> {
        let seconds = u32::try_from(seconds).ok()?;
        let begun = MONTHS.partition_point(|start| *start <= seconds);
        let index = begun.checked_sub(1).filter(|index| *index < CENTURY)?;
        let since = seconds - MONTHS.get(index)?;
        let byte = |v: u32| u8::try_from(v).ok();
        Some(Self::from_bytes([
            u8::try_from(index / 12).ok()?,
            u8::try_from(index % 12 + 1).ok()?,
            byte(since / DAY + 1)?,
            byte(since % DAY / 3_600)?,
            byte(since % 3_600 / 60)?,
            byte(since % 60)?,
        ]))
    }

    /// Read as UTC, in seconds since 1970. `None` if there is no such time: an impossible one is
    /// how devices report that they have none.
    #[inline]
    #[must_use]
    pub fn to_unix(self) -> Option<u32> {
        // One test for all parts: the highest bit of each byte indicates whether it is in its range.
        const HIGH: u64 = 0x8080_8080_8080;
        const LEAST: u64 = DateTime::from_bytes([0, 1, 1, 0, 0, 0]).0;
        const MOST: u64 = DateTime::from_bytes([99, 12, 31, 23, 59, 59]).0;
        let not_above = (MOST | HIGH).wrapping_sub(self.0);
        let not_below = (self.0 | HIGH).wrapping_sub(LEAST);
        let is_in_range = not_above & not_below & !self.0 & HIGH == HIGH;
        let index = usize::from(self.year()) * 12 + usize::from(self.month());
        let (Some(start), Some(end)) = (MONTHS.get(index.wrapping_sub(1)), MONTHS.get(index))
        else {
            return None;
        };
        let days = u32::from(self.day()).wrapping_sub(1).wrapping_mul(DAY);
        let clock = u32::from(self.hour()) * 3_600
            + u32::from(self.minute()) * 60
            + u32::from(self.second());
        let unix = start.wrapping_add(days).wrapping_add(clock);
        (is_in_range & (unix < *end)).then_some(unix)
    }

    /// From its bytes: years since 2000, month, day, hour, minute, second.
    #[inline(always)]
    #[must_use]
    pub const fn from_bytes([year, month, day, hour, minute, second]: [u8; 6]) -> Self {
        // Two numbers, so that each is read from memory in one go.
        let front = u32::from_le_bytes([year, month, day, hour]);
        Self(front as u64 | (u16::from_le_bytes([minute, second]) as u64) << 32)
    }

    /// Years since 2000, month, day, hour, minute, second.
    #[inline]
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 6] {
        let [bytes @ .., _, _] = self.0.to_le_bytes();
        bytes
    }

    /// Years since 2000: 0 to 99 when sane.
    #[inline]
    #[must_use]
    pub const fn year(self) -> u8 {
        (self.0 & 0xff) as u8
    }

    /// 1 to 12 when sane.
    #[inline]
    #[must_use]
    pub const fn month(self) -> u8 {
        (self.0 >> 8 & 0xff) as u8
    }

    /// 1 to 31 when sane.
    #[inline]
    #[must_use]
    pub const fn day(self) -> u8 {
        (self.0 >> 16 & 0xff) as u8
    }

    /// 0 to 23 when sane.
    #[inline]
    #[must_use]
    pub const fn hour(self) -> u8 {
        (self.0 >> 24 & 0xff) as u8
    }

    /// 0 to 59 when sane.
    #[inline]
    #[must_use]
    pub const fn minute(self) -> u8 {
        (self.0 >> 32 & 0xff) as u8
    }

    /// 0 to 59 when sane.
    #[inline]
    #[must_use]
    pub const fn second(self) -> u8 {
        (self.0 >> 40 & 0xff) as u8
    }

    /// Whether all bytes are zero: no time.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }

    /// Reads the block.
    ///
    /// # Errors
    /// When bytes are missing.
    #[inline]
    pub fn decode<T: Trace>(r: &mut Reader<'_, T>) -> Result<Self, DecodeError> {
        let time = Self::from_bytes(r.array("time")?);
        r.note(|| match time.to_unix() {
            Some(_) => time.to_string(),
            None => format!("no time ({time})"),
        });
        Ok(time)
    }

    /// Writes the block.
    #[inline]
    pub fn encode(self, out: &mut BytesMut) {
        out.put_slice(&self.to_bytes());
    }
}

/// The months from 2000 to 2099.
const CENTURY: usize = 1_200;

/// When each of them begins, and the last one ends, in seconds since 1970.
#[expect(clippy::indexing_slicing, reason = "worked out by the compiler")]
static MONTHS: [u32; CENTURY + 1] = {
    const DAYS: [u32; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut starts = [946_684_800; CENTURY + 1];
    let mut index = 0;
    while index < CENTURY {
        // 2000 is a leap year, and so is every fourth one up to 2096.
        let is_leap_day = index % 48 == 1;
        starts[index + 1] = starts[index] + (DAYS[index % 12] + is_leap_day as u32) * DAY;
        index += 1;
    }
    starts
};

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [year, month, day, hour, minute, second] = self.to_bytes();
        let year = 2_000 + u16::from(year);
        write!(
            f,
            "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"
        )
    }
}

impl fmt::Debug for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DateTime({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_the_century_converts_both_ways() {
        let mut days = 0;
        let first = DateTime::from_bytes([0, 1, 1, 0, 0, 0]);
        assert_eq!(first.to_unix(), Some(946_684_800));
        for year in 0..=99 {
            for number in 1..=12 {
                let in_month = match number {
                    2 if year % 4 == 0 => 29,
                    2 => 28,
                    4 | 6 | 9 | 11 => 30,
                    _ => 31,
                };
                for day in 1..=in_month {
                    let t = DateTime::from_bytes([year, number, day, 23, 59, 58]);
                    let expected = 946_684_800 + days * DAY + DAY - 2;
                    assert_eq!(t.to_unix(), Some(expected), "{t}");
                    assert_eq!(DateTime::from_unix(expected.into()), Some(t));
                    days += 1;
                }
            }
        }
        assert_eq!(DateTime::from_unix(946_684_799), None);
        assert_eq!(DateTime::from_unix(4_102_444_800), None, "2100");
        assert_eq!(DateTime::from_unix(i64::MAX), None);
        assert_eq!(DateTime::from_unix(i64::MIN), None);
    }

    #[test]
    fn impossible_times_are_no_time() {
        let t = DateTime::from_bytes([15, 12, 29, 2, 51, 5]);
        assert!(t.to_unix().is_some());
        for bad in [
            [0; 6],
            [15, 0, 29, 2, 51, 5],
            [15, 13, 29, 2, 51, 5],
            [15, 2, 29, 2, 51, 5],
            [15, 4, 31, 0, 0, 0],
            [99, 12, 32, 0, 0, 0],
            [15, 12, 0, 2, 51, 5],
            [15, 12, 32, 2, 51, 5],
            [15, 12, 29, 24, 51, 5],
            [15, 12, 29, 2, 60, 5],
            [15, 12, 29, 2, 51, 60],
            [15, 12, 29, 2, 51, 0x80],
            [15, 12, 29, 2, 0xff, 5],
            [100, 12, 29, 2, 51, 5],
            [0xff, 12, 29, 2, 51, 5],
        ]
        .map(DateTime::from_bytes)
        {
            assert_eq!(bad.to_unix(), None, "{bad}");
        }
    }
}
