//! Dates and times as devices print them.

use core::fmt;

use crate::read::{digits, whole};

/// A date and time as sent, in UTC unless the device's clock is wrong. It need not exist.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "calendar fields")]
pub struct DateTime {
    pub year: u16,
    pub month: u8,
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
}

impl DateTime {
    /// Whether it is a date and time of this century; 29 February is not checked against the year.
    #[must_use]
    pub const fn is_plausible(&self) -> bool {
        self.year >= 2000
            && self.year < 2100
            && self.month >= 1
            && self.month <= 12
            && self.day >= 1
            && self.day <= 31
            && self.is_clock()
    }

    const fn is_clock(&self) -> bool {
        self.hour < 24 && self.minute < 60 && self.second <= 60
    }

    /// Seconds since 1970, read as UTC; `None` if there is no such time.
    #[must_use]
    pub fn to_unix(&self) -> Option<i64> {
        if !self.is_plausible() {
            return None;
        }
        // Days since 1970 by counting years from March (proleptic Gregorian).
        let (y, m) = (i64::from(self.year), i64::from(self.month));
        let y = if m <= 2 { y - 1 } else { y };
        let from_march = (m + 9) % 12;
        let days =
            365 * y + y / 4 - y / 100 + y / 400 + (from_march * 153 + 2) / 5 + i64::from(self.day)
                - 719_469;
        Some(
            days * 86_400
                + i64::from(self.hour) * 3_600
                + i64::from(self.minute) * 60
                + i64::from(self.second),
        )
    }

    /// The date and time of a number of seconds since 1970, within this century.
    #[must_use]
    pub fn from_unix(unix: i64) -> Option<Self> {
        let (days, clock) = (unix.div_euclid(86_400), unix.rem_euclid(86_400));
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let day_of_era = z.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let month = (from_march + 2) % 12 + 1;
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let byte = |v: i64| u8::try_from(v).ok();
        let time = Self {
            year: u16::try_from(year).ok()?,
            month: byte(month)?,
            day: byte(day_of_year - (153 * from_march + 2) / 5 + 1)?,
            hour: byte(clock / 3_600)?,
            minute: byte(clock / 60 % 60)?,
            second: byte(clock % 60)?,
        };
        time.is_plausible().then_some(time)
    }

    /// Sets the date from `DDMMYYYY`, `DDMMYY`.
    pub(crate) fn set_date(&mut self, item: &[u8]) -> bool {
        let (value, year) = match item.len() {
            8 => match whole(digits::<8, 8>, item) {
                Some(v) => (v / 10_000, v % 10_000),
                None => return false,
            },
            6 => match whole(digits::<6, 6>, item) {
                Some(v) => (v / 100, century(v % 100, v)),
                None => return false,
            },
            _ => return false,
        };
        self.set_date_parts(value, year);
        true
    }

    /// Sets the time from `hhmmss`.
    pub(crate) fn set_clock(&mut self, item: &[u8]) -> bool {
        let Some(v) = (item.len() == 6)
            .then(|| whole(digits::<6, 6>, item))
            .flatten()
        else {
            return false;
        };
        self.set_clock_number(v);
        true
    }

    fn set_date_parts(&mut self, day_and_month: u64, year: u64) {
        (self.day, self.month) = (two(day_and_month / 100), two(day_and_month));
        self.year = u16::try_from(year).unwrap_or(0);
    }

    /// Sets the date from the eight digits of `DDMMYYYY` as a number.
    pub(crate) fn set_date_number(&mut self, value: u64) {
        self.set_date_parts(value / 10_000, value % 10_000);
    }

    /// Sets the time from the six digits of `hhmmss` as a number.
    pub(crate) fn set_clock_number(&mut self, v: u64) {
        (self.hour, self.minute, self.second) = (two(v / 10_000), two(v / 100), two(v));
    }

    /// Reads date and time of 14 or 12 digits in one item.
    ///
    /// 14 digits are `DDMMYYYYhhmmss`, or `YYYYMMDDhhmmss` (IS 16833) where the first reading is no
    /// date and the second is one. 12 digits are `DDMMYYhhmmss`.
    /// A blank may stand between date and time.
    pub(crate) fn joined(item: &[u8]) -> Option<Self> {
        let date_len = match item.len() {
            14 | 15 => 8,
            12 => 6,
            _ => return None,
        };
        let (date, clock) = item.split_at_checked(date_len)?;
        // `DDMMYYYY hhmmss`
        let clock = if item.len() == 15 {
            clock.strip_prefix(b" ")?
        } else {
            clock
        };
        let mut time = Self::default();
        if !time.set_date(date) || !time.set_clock(clock) {
            return None;
        }
        if date_len == 8 && !time.is_plausible() {
            let v = whole(digits::<8, 8>, date)?;
            let other = Self {
                year: u16::try_from(v / 10_000).ok()?,
                month: two(v / 100),
                day: two(v),
                ..time
            };
            if other.is_plausible() {
                return Some(other);
            }
        }
        Some(time)
    }
}

/// The last two digits.
fn two(value: u64) -> u8 {
    u8::try_from(value % 100).unwrap_or(0)
}

/// Two-digit years are of this century; a date of zeros stays zero.
const fn century(year: u64, date: u64) -> u64 {
    if date == 0 { 0 } else { 2000 + year }
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
        } = self;
        write!(
            f,
            "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(year: u16, month: u8, day: u8, hour: u8, minute: u8, second: u8) -> DateTime {
        DateTime {
            year,
            month,
            day,
            hour,
            minute,
            second,
        }
    }

    #[test]
    fn seconds_are_those_of_the_calendar_both_ways() {
        let time = of(2024, 3, 5, 6, 15, 30);
        assert_eq!(time.to_unix(), Some(1_709_619_330));
        for unix in [946_684_800, 1_709_619_330, 1_709_164_800, 4_102_444_799] {
            assert_eq!(DateTime::from_unix(unix).unwrap().to_unix(), Some(unix));
        }
        assert_eq!(DateTime::from_unix(0), None);
        assert_eq!(of(0, 0, 0, 0, 0, 0).to_unix(), None);
    }

    #[test]
    fn fourteen_digits_begin_with_the_year_only_if_they_cannot_begin_with_the_day() {
        let expected = Some(of(2024, 3, 5, 6, 15, 30));
        assert_eq!(DateTime::joined(b"05032024061530"), expected);
        assert_eq!(DateTime::joined(b"20240305061530"), expected);
        assert_eq!(DateTime::joined(b"050324061530"), expected);
        // 20 December of the year 1012 is no date, 12 October 2012 is one.
        assert_eq!(
            DateTime::joined(b"20121012000000"),
            Some(of(2012, 10, 12, 0, 0, 0))
        );
        assert_eq!(DateTime::joined(b"1234567"), None);
    }
}
