//! Instants, and the time a device sent before anybody interpreted it.

use core::fmt;
use core::num::NonZeroU64;
use core::str::FromStr;
use core::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Malformed;

/// An instant in UTC with a resolution of one millisecond.
///
/// Written as RFC 3339 in UTC; the fraction appears when there is one.
///
/// ```
/// use milepost_telemetry::Timestamp;
/// let t = Timestamp::from_civil(2015, 12, 29, 2, 51, 5).expect("a date that exists");
/// assert_eq!(t.to_string(), "2015-12-29T02:51:05Z");
/// assert_eq!(Timestamp::from_civil(2015, 2, 29, 0, 0, 0), None);
/// ```
// Milliseconds with the sign flipped: in the order of the instants, and never zero, so that an
// `Option` takes no more room.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(NonZeroU64);

const SIGN: u64 = 1 << 63;

/// 9999-12-30T21:59:59.999Z: the last instant that jiff can hold whatever the offset.
const MAX_MILLIS: i64 = 253_402_207_200_000 - 1;
/// 0001-01-01 with a margin for offsets.
const MIN_MILLIS: i64 = -62_135_596_800_000;

impl Timestamp {
    /// The Unix epoch.
    pub const UNIX_EPOCH: Self = Self::from_millis(0);

    /// From milliseconds since the Unix epoch; values outside the years 1 to 9999 are brought to
    /// that range's ends.
    pub const fn from_millis(millis: i64) -> Self {
        if millis > MAX_MILLIS {
            Self::within(MAX_MILLIS)
        } else if millis < MIN_MILLIS {
            Self::within(MIN_MILLIS)
        } else {
            Self::within(millis)
        }
    }

    #[inline(always)]
    const fn within(millis: i64) -> Self {
        match NonZeroU64::new(millis.cast_unsigned() ^ SIGN) {
            Some(flipped) => Self(flipped),
            // Not within the range.
            None => Self(NonZeroU64::MIN),
        }
    }

    /// From whole seconds since the Unix epoch.
    pub const fn from_unix(seconds: i64) -> Self {
        Self::from_millis(seconds.saturating_mul(1_000))
    }

    /// From whole seconds since the Unix epoch, as devices count them in 32 bits.
    #[inline]
    pub const fn from_unix_u32(seconds: u32) -> Self {
        Self::within(seconds as i64 * 1_000)
    }

    /// Whether a device's clock can have shown this time for a message that arrived at
    /// `received_at`.
    ///
    /// Two faults are recognised, for all protocols alike:
    ///
    /// | the time is | why |
    /// |---|---|
    /// | more than 24 hours after the arrival | a clock that was never set, or a wrong date |
    /// | a multiple of 1,024 weeks before the arrival (from 7 days before that to 1 hour after) | a receiver whose GPS week number rolled over (seen on devices) |
    ///
    /// Any other time in the past is plausible: devices keep data for months.
    #[inline]
    pub const fn is_plausible_device_time(self, received_at: Self) -> bool {
        const HOUR: i64 = 3_600_000;
        const DAY: i64 = 24 * HOUR;
        const ROLLOVER: i64 = 1_024 * 7 * DAY;
        let age = received_at.as_millis() - self.as_millis();
        if age < -DAY {
            return false;
        }
        // An hour after the rolled-over arrival is an age of one hour less than the multiple.
        let weeks = (age + HOUR) / ROLLOVER;
        let rest = (age + HOUR) % ROLLOVER;
        weeks < 1 || rest > 7 * DAY + HOUR
    }

    /// From the fields of a calendar date and time in UTC; `None` if there is no such time.
    #[inline]
    pub fn from_civil(
        year: i16,
        month: u8,
        day: u8,
        hour: u8,
        minute: u8,
        second: u8,
    ) -> Option<Self> {
        let signed = |v: u8| i8::try_from(v).ok();
        let civil = jiff::civil::DateTime::new(
            year,
            signed(month)?,
            signed(day)?,
            signed(hour)?,
            signed(minute)?,
            signed(second)?,
            0,
        )
        .ok()?;
        let instant = jiff::tz::Offset::UTC.to_timestamp(civil).ok()?;
        Some(Self::from_millis(instant.as_millisecond()))
    }

    /// Milliseconds since the Unix epoch.
    #[inline]
    pub const fn as_millis(self) -> i64 {
        (self.0.get() ^ SIGN).cast_signed()
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn as_unix(self) -> i64 {
        self.as_millis().div_euclid(1_000)
    }

    /// This instant moved by a number of milliseconds (negative: earlier).
    #[must_use]
    pub const fn offset_millis(self, millis: i64) -> Self {
        Self::from_millis(self.as_millis().saturating_add(millis))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(
            u64::try_from(self.as_millis().saturating_sub(earlier.as_millis())).unwrap_or(0),
        )
    }

    fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.as_millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }

    /// The calendar fields in UTC: year, month, day, hour, minute, second.
    pub fn to_civil(self) -> (i16, u8, u8, u8, u8, u8) {
        let c = jiff::tz::Offset::UTC.to_datetime(self.to_jiff());
        (
            c.year(),
            c.month().unsigned_abs(),
            c.day().unsigned_abs(),
            c.hour().unsigned_abs(),
            c.minute().unsigned_abs(),
            c.second().unsigned_abs(),
        )
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({self})")
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.as_millis() % 1_000 == 0 {
            write!(f, "{}", self.to_jiff())
        } else {
            write!(f, "{:.3}", self.to_jiff())
        }
    }
}

impl FromStr for Timestamp {
    type Err = Malformed;

    /// Reads RFC 3339, any offset; finer than a millisecond is cut off.
    fn from_str(s: &str) -> Result<Self, Malformed> {
        let t: jiff::Timestamp = s
            .parse()
            .map_err(|_| Malformed::new("time", "not an RFC 3339 instant"))?;
        Ok(Self::from_millis(t.as_millisecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// A device's time exactly as it was sent, plausible or not, before any zone is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RawTime {
    /// Calendar fields as sent; they need not be a date that exists.
    Civil {
        /// The full year; two-digit years are counted from 2000 by the decoder.
        year: u16,
        /// Month as sent, 1 to 12 when sane.
        month: u8,
        /// Day of the month as sent.
        day: u8,
        /// Hour as sent.
        hour: u8,
        /// Minute as sent.
        minute: u8,
        /// Second as sent.
        second: u8,
    },
    /// Seconds since 1970 as sent.
    Unix(u32),
}

impl RawTime {
    /// Reads the raw time as if it were UTC; `None` if there is no such date.
    #[inline]
    pub fn as_utc(self) -> Option<Timestamp> {
        match self {
            Self::Civil {
                year,
                month,
                day,
                hour,
                minute,
                second,
            } => Timestamp::from_civil(i16::try_from(year).ok()?, month, day, hour, minute, second),
            Self::Unix(s) => Some(Timestamp::from_unix(i64::from(s))),
        }
    }
}

impl fmt::Display for RawTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Civil {
                year,
                month,
                day,
                hour,
                minute,
                second,
            } => write!(
                f,
                "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"
            ),
            Self::Unix(s) => write!(f, "{s}"),
        }
    }
}

impl FromStr for RawTime {
    type Err = Malformed;

    fn from_str(s: &str) -> Result<Self, Malformed> {
        let bad = || Malformed::new("raw time", "neither `YYYY-MM-DD hh:mm:ss` nor Unix seconds");
        if let Ok(seconds) = s.parse() {
            return Ok(Self::Unix(seconds));
        }
        let (date, clock) = s.split_once(' ').ok_or_else(bad)?;
        let mut date = date.split('-');
        let mut clock = clock.split(':');
        let year = date.next().and_then(|v| v.parse().ok()).ok_or_else(bad)?;
        let next = |it: &mut dyn Iterator<Item = &str>| -> Result<u8, Malformed> {
            it.next().and_then(|v| v.parse().ok()).ok_or_else(bad)
        };
        let raw = Self::Civil {
            year,
            month: next(&mut date)?,
            day: next(&mut date)?,
            hour: next(&mut clock)?,
            minute: next(&mut clock)?,
            second: next(&mut clock)?,
        };
        match (date.next(), clock.next()) {
            (None, None) => Ok(raw),
            _ => Err(bad()),
        }
    }
}

impl Serialize for RawTime {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RawTime {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// Where a report's ordering time comes from, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TimeSource {
    /// The time of a position fix.
    Fix,
    /// The device's clock, without a fix.
    Device,
    /// Our clock when the frame arrived.
    Received,
    /// Worked out from neighbouring reports.
    Estimated,
}

/// How the zone of a device's time was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Zone {
    /// The protocol specifies UTC for this message.
    Utc,
    /// The zone that the device named when it logged in.
    Login,
    /// Set by hand for this device.
    Configured,
    /// Found by comparing live reports with their arrival.
    Detected,
    /// Nobody said; read as UTC.
    Assumed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_that_does_not_exist_is_absent() {
        for (m, d, h) in [
            (2, 29, 0),
            (0, 1, 0),
            (1, 0, 0),
            (13, 1, 0),
            (1, 32, 0),
            (1, 1, 24),
        ] {
            assert_eq!(
                Timestamp::from_civil(2015, m, d, h, 0, 0),
                None,
                "{m}-{d} {h}h"
            );
        }
        assert_eq!(Timestamp::from_civil(2015, 1, 1, 0, 255, 0), None);
    }

    #[test]
    fn a_fraction_has_three_digits_and_only_appears_when_there_is_one() {
        assert_eq!(
            Timestamp::from_millis(10).to_string(),
            "1970-01-01T00:00:00.010Z"
        );
        assert_eq!(
            Timestamp::from_millis(2_000).to_string(),
            "1970-01-01T00:00:02Z"
        );
    }

    #[test]
    fn extreme_instants_can_be_written_and_read_back() {
        for millis in [i64::MIN, i64::MAX, -1, 0, 1, 1_700_000_000_123] {
            let t = Timestamp::from_millis(millis);
            assert_eq!(t.to_string().parse(), Ok(t), "{millis}");
        }
    }

    #[test]
    fn raw_times_round_trip_even_when_impossible() {
        let raw = RawTime::Civil {
            year: 2255,
            month: 99,
            day: 0,
            hour: 255,
            minute: 60,
            second: 61,
        };
        assert_eq!(raw.to_string().parse(), Ok(raw));
        assert_eq!(raw.as_utc(), None);
        assert_eq!(RawTime::Unix(7).to_string().parse(), Ok(RawTime::Unix(7)));
        assert!("2015-1-1 1:1".parse::<RawTime>().is_err());
        assert!("2015-1-1-1 1:1:1".parse::<RawTime>().is_err());
    }

    #[test]
    fn since_never_goes_negative() {
        let (a, b) = (Timestamp::from_millis(5), Timestamp::from_millis(9));
        assert_eq!(b.since(a), Duration::from_millis(4));
        assert_eq!(a.since(b), Duration::ZERO);
    }

    #[test]
    fn a_clock_ahead_or_rolled_over_is_not_plausible() {
        let arrival = Timestamp::from_civil(2026, 11, 20, 12, 0, 0).unwrap();
        let hours = |h: i64| arrival.offset_millis(h * 3_600_000);
        let rollover = -1_024 * 7 * 24;
        for (hours_from_arrival, is_plausible) in [
            (0, true),
            (24, true),
            (25, false),
            (-24 * 365 * 5, true),
            (rollover + 2, true),
            (rollover + 1, false),
            (rollover, false),
            (rollover - 7 * 24, false),
            (rollover - 7 * 24 - 1, true),
            (2 * rollover, false),
        ] {
            let time = hours(hours_from_arrival);
            assert_eq!(
                time.is_plausible_device_time(arrival),
                is_plausible,
                "{hours_from_arrival} h"
            );
        }
    }
}
