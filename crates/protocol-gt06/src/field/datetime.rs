//! T6: date and time, one plain binary byte each.

use alloc::format;
use alloc::string::ToString;
use core::fmt;

use bytes::{BufMut, BytesMut};

use crate::DecodeError;
use crate::parse::{Reader, Trace};

/// A date and time as sent: year − 2000, month, day, hour, minute, second. It need not exist.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct DateTime {
    /// Years since 2000.
    pub year: u8,
    /// 1 to 12 when sane.
    pub month: u8,
    /// 1 to 31 when sane.
    pub day: u8,
    /// 0 to 23 when sane.
    pub hour: u8,
    /// 0 to 59 when sane.
    pub minute: u8,
    /// 0 to 59 when sane.
    pub second: u8,
}

const DAY: i64 = 86_400;

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
        let days = seconds.div_euclid(DAY) - DAYS_TO_2000;
        let clock = seconds.rem_euclid(DAY);
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
        let mut month = 1_u8;
        while day >= i64::from(days_in(month, year_in_cycle == 0)) {
            day -= i64::from(days_in(month, year_in_cycle == 0));
            month += 1;
        }
        let year = byte(year).filter(|year| *year <= 99)?;
        Some(Self {
            year,
            month,
            day: byte(day + 1)?,
            hour: byte(clock / 3_600)?,
            minute: byte(clock / 60 % 60)?,
            second: byte(clock % 60)?,
        })
    }

    /// Read as UTC, in seconds since 1970. `None` if there is no such time: an impossible one is
    /// how devices say that they have none.
    #[inline]
    #[must_use]
    pub const fn to_unix(self) -> Option<i64> {
        let Self {
            year,
            month,
            day,
            hour,
            minute,
            second,
        } = self;
        let leap = year.is_multiple_of(4);
        // One test for all that nearly never fails. (Day 0 wraps, and is too large then.)
        let is_day = day.wrapping_sub(1) < days_in(month, leap);
        if !(is_day & (year <= 99) & (hour <= 23) & (minute <= 59) & (second <= 59)) {
            return None;
        }
        let (year, month_before) = (year as u32, days_before(month) as u32);
        let leap_day = (leap & (month > 2)) as u32;
        let days = year * 365 + year.div_ceil(4) + month_before + leap_day + day as u32 - 1;
        let clock = hour as u32 * 3_600 + minute as u32 * 60 + second as u32;
        Some((DAYS_TO_2000 + days as i64) * DAY + clock as i64)
    }

    /// Whether all bytes are zero: no time.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }

    pub(crate) const fn bytes(self) -> [u8; 6] {
        let Self {
            year,
            month,
            day,
            hour,
            minute,
            second,
        } = self;
        [year, month, day, hour, minute, second]
    }

    /// Reads the block.
    ///
    /// # Errors
    /// When bytes are missing.
    #[inline]
    pub fn decode<T: Trace>(r: &mut Reader<'_, T>) -> Result<Self, DecodeError> {
        let [year, month, day, hour, minute, second] = r.array("time")?;
        let time = Self {
            year,
            month,
            day,
            hour,
            minute,
            second,
        };
        r.note(|| match time.to_unix() {
            Some(_) => time.to_string(),
            None => format!("no time ({time})"),
        });
        Ok(time)
    }

    /// Writes the block.
    #[inline]
    pub fn encode(self, out: &mut BytesMut) {
        out.put_slice(&self.bytes());
    }
}

const DAYS_TO_2000: i64 = 10_957;

/// 0 where there is no such month.
const fn days_in(month: u8, leap: bool) -> u8 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + leap as u8,
        _ => 0,
    }
}

/// The days of a common year before a month.
const fn days_before(month: u8) -> u16 {
    match month {
        2 => 31,
        3 => 59,
        4 => 90,
        5 => 120,
        6 => 151,
        7 => 181,
        8 => 212,
        9 => 243,
        10 => 273,
        11 => 304,
        12 => 334,
        _ => 0,
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            year,
            month,
            day,
            hour,
            minute,
            second,
        } = *self;
        let year = 2_000 + u16::from(year);
        write!(
            f,
            "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_the_century_converts_both_ways() {
        let mut days = 0;
        let first = DateTime {
            year: 0,
            month: 1,
            day: 1,
            hour: 0,
            minute: 0,
            second: 0,
        };
        assert_eq!(first.to_unix(), Some(946_684_800));
        for year in 0..=99 {
            for month in 1..=12 {
                for day in 1..=days_in(month, year % 4 == 0) {
                    let t = DateTime {
                        year,
                        month,
                        day,
                        hour: 23,
                        minute: 59,
                        second: 58,
                    };
                    let expected = 946_684_800 + days * DAY + DAY - 2;
                    assert_eq!(t.to_unix(), Some(expected), "{t}");
                    assert_eq!(DateTime::from_unix(expected), Some(t));
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
        let t = DateTime {
            year: 15,
            month: 12,
            day: 29,
            hour: 2,
            minute: 51,
            second: 5,
        };
        assert!(t.to_unix().is_some());
        for bad in [
            DateTime::default(),
            DateTime { month: 13, ..t },
            DateTime {
                month: 2,
                day: 29,
                ..t
            },
            DateTime { day: 0, ..t },
            DateTime { hour: 24, ..t },
            DateTime { minute: 60, ..t },
            DateTime { second: 60, ..t },
            DateTime { year: 100, ..t },
        ] {
            assert_eq!(bad.to_unix(), None, "{bad}");
        }
    }
}
