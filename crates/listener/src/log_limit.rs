//! A bound on log lines that anybody on the network can cause.

use std::sync::atomic::{AtomicU64, Ordering};

use milepost_telemetry::Timestamp;

/// Bounds log lines of one kind: some per minute, and how many were left out.
///
/// Anyone can connect and make a server write lines; without a bound a full disk would be the
/// least of it.
#[derive(Debug, Default)]
pub struct LogLimit {
    /// The minute, and in the lowest bits how many lines were admitted in it: one value, so that
    /// no burst at the turn of a minute gets between the two.
    admitted: AtomicU64,
    left_out: AtomicU64,
}

/// Bits of the count of lines.
const COUNT_BITS: u32 = 8;

impl LogLimit {
    /// Lines in a minute.
    pub const PER_MINUTE: u32 = 30;

    /// Whether one more line may be written now; if so, how many were left out since the last.
    /// A clock that is set back opens no new minute.
    pub fn admit(&self, now: Timestamp) -> Option<u64> {
        let minute = now.as_unix().unsigned_abs() / 60;
        let take = |admitted: u64| {
            let (known, count) = (admitted >> COUNT_BITS, admitted & ((1 << COUNT_BITS) - 1));
            if minute > known {
                Some((minute << COUNT_BITS) | 1)
            } else {
                (count < u64::from(Self::PER_MINUTE)).then_some(admitted + 1)
            }
        };
        let taken = self
            .admitted
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, take);
        if taken.is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.left_out.swap(0, Ordering::Relaxed))
    }
}

/// One limit for each kind of line that a peer can cause.
#[derive(Debug, Default)]
pub(crate) struct LogLimits {
    pub(crate) foreign_protocol: LogLimit,
    pub(crate) login: LogLimit,
    pub(crate) parallel_login: LogLimit,
    pub(crate) refused: LogLimit,
    pub(crate) stranger: LogLimit,
    pub(crate) bad_frame: LogLimit,
    pub(crate) gave_way: LogLimit,
    pub(crate) defect: LogLimit,
    pub(crate) accept: LogLimit,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_lines_a_minute_are_written_and_the_rest_is_counted() {
        let limit = LogLimit::default();
        let noon = Timestamp::from_unix(1_800_000_000);
        let admitted = (0..100).filter_map(|_| limit.admit(noon)).count();
        assert_eq!(admitted, 30);
        assert_eq!(limit.admit(noon.offset_millis(60_000)), Some(70));
    }

    #[test]
    fn threads_whose_clocks_differ_at_the_turn_of_a_minute_get_no_more_lines() {
        let limit = LogLimit::default();
        let before = Timestamp::from_unix(1_800_000_059);
        let after = before.offset_millis(1_000);
        let admitted = (0..1_000)
            .filter_map(|n| limit.admit(if n % 2 == 0 { before } else { after }))
            .count();
        // Of the first minute one line, before the second began.
        assert!(admitted <= 31, "{admitted}");
    }
}
