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
    /// use protocol_gt06::field::DateTime;
    /// let t = DateTime::from_unix(1_451_357_465).expect("in this century");
    /// assert_eq!(t.to_string(), "2015-12-29 02:51:05");
    /// assert_eq!(t.to_unix(), Some(1_451_357_465));
    /// ```
    #[must_use]
    pub fn from_unix(seconds: i64) -> Option<Self> {
        let days = seconds.div_euclid(DAY.into()) - i64::from(DAYS_TO_2000);
        let clock = seconds.rem_euclid(DAY.into());
        let byte = |v: i64| u8::try_from(v).ok();
        // 2000 is a leap year, and so is every fourth one up to 2096.
        let (cycle, in_cycle) = (days.div_euclid(1_461), days.rem_euclid(1_461));
        let year_in_cycle = if in_cycle < 366 {
            0
        } else {
            (in_cycle - 1) / 365
        };
        let year = cycle * 4 + year_in_cycle;
        let first = if year_in_cycle == 0 {
            0
        } else {
            year_in_cycle * 365 + 1
        };
        let mut day = in_cycle - first;
        let mut number = 1;
        loop {
            let Month(days, _) = month(number, year_in_cycle == 0);
            if day < days.into() {
                break;
            }
            day -= i64::from(days);
            number += 1;
        }
        let year = byte(year).filter(|year| *year <= 99)?;
        Some(Self::from_bytes([
            year,
            number,
            byte(day + 1)?,
            byte(clock / 3_600)?,
            byte(clock / 60 % 60)?,
            byte(clock % 60)?,
        ]))
    }

    /// Read as UTC, in seconds since 1970. `None` if there is no such time: an impossible one is
    /// how devices say that they have none.
    #[inline]
    #[must_use]
    pub fn to_unix(self) -> Option<u32> {
        // One test for all parts: of each byte the highest bit tells whether it is in its range.
        const HIGH: u64 = 0x8080_8080_8080;
        const LEAST: u64 = DateTime::from_bytes([0, 1, 1, 0, 0, 0]).0;
        const MOST: u64 = DateTime::from_bytes([99, 12, 31, 23, 59, 59]).0;
        let not_above = (MOST | HIGH).wrapping_sub(self.0);
        let not_below = (self.0 | HIGH).wrapping_sub(LEAST);
        let is_in_range = not_above & not_below & !self.0 & HIGH == HIGH;
        let (year, day) = (u32::from(self.year()), u32::from(self.day()));
        let Month(days, days_before) = month(self.month(), year.is_multiple_of(4));
        if !(is_in_range & (day <= u32::from(days))) {
            return None;
        }
        // Of four years the first one has 366 days.
        let days = (year * 1_461).div_ceil(4) + u32::from(days_before) + day - 1;
        let minutes = u32::from(self.hour()) * 60 + u32::from(self.minute());
        Some((DAYS_TO_2000 + days) * DAY + minutes * 60 + u32::from(self.second()))
    }

    /// The six bytes as a number, the first one lowest.
    #[cfg(feature = "telemetry")]
    #[inline(always)]
    pub(crate) const fn packed(self) -> u64 {
        self.0
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

const DAYS_TO_2000: u32 = 10_957;

/// A month's days, and those of the year before it.
#[derive(Clone, Copy)]
struct Month(u16, u16);

/// What is no month has no days.
const NONE: Month = Month(0, 0);

/// The months by number; those of leap years from 16 on.
#[rustfmt::skip]
static MONTHS: [Month; 32] = [
    NONE, Month(31, 0), Month(28, 31), Month(31, 59), Month(30, 90), Month(31, 120), Month(30, 151),
    Month(31, 181), Month(31, 212), Month(30, 243), Month(31, 273), Month(30, 304), Month(31, 334), NONE, NONE, NONE,
    NONE, Month(31, 0), Month(29, 31), Month(31, 60), Month(30, 91), Month(31, 121), Month(30, 152),
    Month(31, 182), Month(31, 213), Month(30, 244), Month(31, 274), Month(30, 305), Month(31, 335), NONE, NONE, NONE,
];

#[inline(always)]
fn month(number: u8, leap: bool) -> Month {
    let index = usize::from(leap) << 4 | usize::from(number & 0xf);
    MONTHS.get(index).copied().unwrap_or(NONE)
}

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
                let Month(in_month, _) = month(number, year % 4 == 0);
                for day in 1..=u8::try_from(in_month).unwrap() {
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
