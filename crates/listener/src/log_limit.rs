//! A bound on log lines that anybody on the network can cause.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use milepost_telemetry::Timestamp;

/// Bounds log lines of one kind: some per minute, and how many were left out.
///
/// Anyone can connect and make a server write lines; without a bound a full disk would be the
/// least of it.
#[derive(Debug, Default)]
pub struct LogLimit {
    minute: AtomicU64,
    admitted: AtomicU32,
    left_out: AtomicU64,
}

impl LogLimit {
    /// Lines in a minute.
    pub const PER_MINUTE: u32 = 30;

    /// Whether one more line may be written now; if so, how many were left out since the last.
    pub fn admit(&self, now: Timestamp) -> Option<u64> {
        let minute = now.as_unix().unsigned_abs() / 60;
        if self.minute.swap(minute, Ordering::Relaxed) != minute {
            self.admitted.store(0, Ordering::Relaxed);
        }
        if self.admitted.fetch_add(1, Ordering::Relaxed) >= Self::PER_MINUTE {
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
}
