//! Which reports are surely new, so that they need no comparison with what is stored.

use milepost_telemetry::Timestamp;

const DAY: i64 = 24 * 3_600_000;

/// Whether a report's key_time is so far from its arrival that it goes to the plain table: more
/// than 2 days after, more than 30 days before, or before the oldest chunk that is kept.
pub fn is_odd(key_time: Timestamp, received_at: Timestamp, kept_since: Option<Timestamp>) -> bool {
    let age = received_at.as_millis() - key_time.as_millis();
    !(-2 * DAY..=30 * DAY).contains(&age) || kept_since.is_some_and(|since| key_time < since)
}

/// What is stored of a device, as far as it says which reports are new. Part of its lane state.
///
/// An id contains its key_time, so a report whose key_time is above all that are stored cannot be
/// stored. A clock that was wrong for a while leaves reports in the future; their range is kept
/// apart, so that they do not make the check useless until then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Newness {
    /// The highest key_time in the hypertable.
    highest: Option<Timestamp>,
    /// The lowest and highest key_time in the plain table.
    odd: Option<(Timestamp, Timestamp)>,
}

impl Newness {
    /// Notes a report that is about to be stored; whether it is surely new.
    pub fn note(&mut self, key_time: Timestamp, is_odd: bool) -> bool {
        if is_odd {
            self.odd = Some(self.odd.map_or((key_time, key_time), |(low, high)| {
                (low.min(key_time), high.max(key_time))
            }));
            return false;
        }
        let is_above = self.highest.is_none_or(|highest| key_time > highest);
        if is_above {
            self.highest = Some(key_time);
        }
        is_above
            && self
                .odd
                .is_none_or(|(low, high)| key_time < low || key_time > high)
    }

    /// Its form in the lane state.
    pub fn to_bytes(self) -> Vec<u8> {
        let (low, high) = self.odd.unzip();
        [self.highest, low, high]
            .into_iter()
            .flat_map(|time| time.map_or(i64::MIN, Timestamp::as_millis).to_be_bytes())
            .collect()
    }

    /// From the lane state; `None` if it is of another form. A device of which nothing is stored
    /// begins with the default, one of which something unknown is stored with [`Newness::NOTHING`].
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (chunks, []) = bytes.as_chunks::<8>() else {
            return None;
        };
        let times: Vec<Option<Timestamp>> = chunks
            .iter()
            .map(|chunk| i64::from_be_bytes(*chunk))
            .map(|millis| (millis != i64::MIN).then(|| Timestamp::from_millis(millis)))
            .collect();
        let [highest, low, high] = *times else {
            return None;
        };
        Some(Self {
            highest,
            odd: low.zip(high),
        })
    }

    /// Nothing is surely new.
    pub const NOTHING: Self = Self {
        highest: Some(Timestamp::from_millis(i64::MAX)),
        odd: None,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_millis(day * DAY)
    }

    #[test]
    fn only_what_rises_is_surely_new() {
        let mut newness = Newness::default();
        assert!(newness.note(at(1), false));
        assert!(!newness.note(at(1), false), "the same instant");
        assert!(!newness.note(at(0), false));
        assert!(newness.note(at(2), false));
        assert_eq!(Newness::from_bytes(&newness.to_bytes()), Some(newness));
        let mut nothing = Newness::NOTHING;
        assert!(!nothing.note(at(3), false));
    }

    #[test]
    fn a_time_that_was_stored_as_odd_is_compared_when_it_comes() {
        let mut newness = Newness::default();
        assert!(!newness.note(at(10), true));
        assert!(!newness.note(at(12), true));
        assert!(newness.note(at(2), false), "nothing of that time is stored");
        assert!(!newness.note(at(11), false), "this may be stored as odd");
        assert!(newness.note(at(13), false));
        assert_eq!(Newness::from_bytes(&newness.to_bytes()), Some(newness));
        assert_eq!(Newness::from_bytes(b"short"), None);
    }

    #[test]
    fn odd_is_far_from_the_arrival_or_before_what_is_kept() {
        for (key, odd) in [
            (68, true),
            (70, false),
            (100, false),
            (102, false),
            (103, true),
        ] {
            assert_eq!(is_odd(at(key), at(100), None), odd, "day {key}");
        }
        assert!(is_odd(at(90), at(100), Some(at(91))));
    }
}
