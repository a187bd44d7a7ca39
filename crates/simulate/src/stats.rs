//! Counts and latencies of a simulation.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The kinds of frames that trackers send here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A login; answered at once.
    Login,
    /// A heartbeat; answered at once.
    Heartbeat,
    /// A location; acknowledged when stored, if at all.
    Location,
    /// An alarm; acknowledged when stored.
    Alarm,
    /// The answer to a command.
    Answer,
    /// Bytes that are wrong on purpose.
    Bad,
    /// A frame of a protocol that answers nothing.
    Frame,
}

impl Kind {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 7] = [
        Self::Login,
        Self::Heartbeat,
        Self::Location,
        Self::Alarm,
        Self::Answer,
        Self::Bad,
        Self::Frame,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Heartbeat => "heartbeat",
            Self::Location => "location",
            Self::Alarm => "alarm",
            Self::Answer => "answer",
            Self::Bad => "bad",
            Self::Frame => "frame",
        }
    }
}

/// What is wrong with a server's reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wrong {
    /// Its check sum.
    Checksum,
    /// Nothing was sent that it could answer: its number or serial number is wrong, or it came
    /// twice.
    Unasked,
    /// Its content.
    Content,
    /// It is no frame at all.
    Garbage,
}

impl Wrong {
    const ALL: [Self; 4] = [Self::Checksum, Self::Unasked, Self::Content, Self::Garbage];

    const fn name(self) -> &'static str {
        match self {
            Self::Checksum => "wrong check sum",
            Self::Unasked => "unasked",
            Self::Content => "wrong content",
            Self::Garbage => "garbage",
        }
    }
}

/// Counters that all trackers share.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    kinds: [KindStats; Kind::ALL.len()],
    wrong: [AtomicU64; Wrong::ALL.len()],
    pub(crate) connects: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) disconnects: AtomicU64,
    pub(crate) outages: AtomicU64,
    pub(crate) online: AtomicU64,
    /// Acknowledgements of locations to devices that do not wait for them: harmless.
    pub(crate) unneeded: AtomicU64,
    pub(crate) commands: AtomicU64,
    /// Stored fixes that did not fit into a tracker's memory.
    pub(crate) forgotten: AtomicU64,
}

#[derive(Debug, Default)]
struct KindStats {
    sent: AtomicU64,
    again: AtomicU64,
    acknowledged: AtomicU64,
    unanswered: AtomicU64,
    latency: Histogram,
}

impl Stats {
    fn kind(&self, kind: Kind) -> &KindStats {
        let [login, heartbeat, location, alarm, answer, bad, frame] = &self.kinds;
        match kind {
            Kind::Login => login,
            Kind::Heartbeat => heartbeat,
            Kind::Location => location,
            Kind::Alarm => alarm,
            Kind::Answer => answer,
            Kind::Bad => bad,
            Kind::Frame => frame,
        }
    }

    pub(crate) fn sent(&self, kind: Kind, again: bool) {
        let kind = self.kind(kind);
        kind.sent.fetch_add(1, Relaxed);
        if again {
            kind.again.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn acknowledged(&self, kind: Kind, latency: Duration) {
        let kind = self.kind(kind);
        kind.acknowledged.fetch_add(1, Relaxed);
        kind.latency.record(latency);
    }

    pub(crate) fn unanswered(&self, kind: Kind) {
        self.kind(kind).unanswered.fetch_add(1, Relaxed);
    }

    pub(crate) fn wrong(&self, wrong: Wrong) {
        for (counter, which) in self.wrong.iter().zip(Wrong::ALL) {
            if which == wrong {
                counter.fetch_add(1, Relaxed);
            }
        }
    }

    /// Frames sent and acknowledged so far, for the progress line.
    pub(crate) fn totals(&self) -> (u64, u64) {
        let sum = |counter: fn(&KindStats) -> &AtomicU64| {
            self.kinds.iter().map(|k| counter(k).load(Relaxed)).sum()
        };
        (sum(|k| &k.sent), sum(|k| &k.acknowledged))
    }

    pub(crate) fn summary(&self, devices: u64, seconds: f64) -> Summary {
        let kinds = Kind::ALL
            .into_iter()
            .map(|kind| {
                let stats = self.kind(kind);
                KindSummary {
                    kind,
                    sent: stats.sent.load(Relaxed),
                    again: stats.again.load(Relaxed),
                    acknowledged: stats.acknowledged.load(Relaxed),
                    unanswered: stats.unanswered.load(Relaxed),
                    latency_ms: stats.latency.quantiles(),
                }
            })
            .filter(|kind| kind.sent > 0 || kind.unanswered > 0)
            .collect();
        let wrong = self
            .wrong
            .iter()
            .zip(Wrong::ALL)
            .map(|(counter, wrong)| (wrong, counter.load(Relaxed)))
            .filter(|(_, count)| *count > 0)
            .map(|(wrong, count)| WrongSummary { wrong, count })
            .collect();
        Summary {
            devices,
            seconds,
            kinds,
            wrong_replies: wrong,
            connects: self.connects.load(Relaxed),
            refused: self.refused.load(Relaxed),
            disconnects: self.disconnects.load(Relaxed),
            outages: self.outages.load(Relaxed),
            unneeded_replies: self.unneeded.load(Relaxed),
            commands: self.commands.load(Relaxed),
            forgotten: self.forgotten.load(Relaxed),
            ledger_error: None,
        }
    }
}

/// What a simulation did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    /// How many trackers there were.
    pub devices: u64,
    /// For how long.
    pub seconds: f64,
    /// By kind of frame.
    pub kinds: Vec<KindSummary>,
    /// Replies that no right server sends.
    pub wrong_replies: Vec<WrongSummary>,
    /// Connections that were made.
    pub connects: u64,
    /// Attempts that failed.
    pub refused: u64,
    /// Connections that were lost or given up.
    pub disconnects: u64,
    /// Network gaps that were simulated.
    pub outages: u64,
    /// Acknowledged locations of devices that do not wait for it.
    pub unneeded_replies: u64,
    /// Commands that were received.
    pub commands: u64,
    /// Fixes that did not fit into a tracker's memory during an outage.
    pub forgotten: u64,
    /// The ledger is not complete; why.
    pub ledger_error: Option<String>,
}

/// What happened to frames of one kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KindSummary {
    /// Which kind.
    pub kind: Kind,
    /// Frames sent, repetitions included.
    pub sent: u64,
    /// Those of them that were repetitions.
    pub again: u64,
    /// Right replies.
    pub acknowledged: u64,
    /// Replies that were waited for in vain.
    pub unanswered: u64,
    /// From the last time the frame was sent to its reply.
    pub latency_ms: Option<Quantiles>,
}

/// Replies that are wrong in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WrongSummary {
    /// In which way.
    pub wrong: Wrong,
    /// How many.
    pub count: u64,
}

impl Summary {
    /// Whether every reply was right and every question was answered; where nothing is answered,
    /// whether all connections lasted.
    pub fn is_ok(&self) -> bool {
        self.wrong_replies.is_empty()
            && self.kinds.iter().all(|kind| kind.unanswered == 0)
            && self.kinds.iter().any(|kind| match kind.kind {
                Kind::Login => kind.acknowledged > 0,
                Kind::Frame => kind.sent > 0 && self.refused + self.disconnects == 0,
                _ => false,
            })
            && self.ledger_error.is_none()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} trackers, {:.1} s", self.devices, self.seconds)?;
        writeln!(
            f,
            "{:<10} {:>9} {:>9} {:>9} {:>10}   latency ms p50 / p95 / p99 / max",
            "frames", "sent", "again", "acked", "unanswered"
        )?;
        for kind in &self.kinds {
            write!(
                f,
                "{:<10} {:>9} {:>9} {:>9} {:>10}",
                kind.kind.name(),
                kind.sent,
                kind.again,
                kind.acknowledged,
                kind.unanswered
            )?;
            match kind.latency_ms {
                Some(q) => writeln!(
                    f,
                    "   {:.1} / {:.1} / {:.1} / {:.1}",
                    q.p50, q.p95, q.p99, q.max
                )?,
                None => writeln!(f)?,
            }
        }
        writeln!(
            f,
            "connections: {} made, {} refused, {} lost or given up, {} outages",
            self.connects, self.refused, self.disconnects, self.outages
        )?;
        if self.unneeded_replies > 0 {
            writeln!(
                f,
                "locations acknowledged that nobody waited for: {}",
                self.unneeded_replies
            )?;
        }
        if self.commands > 0 {
            writeln!(f, "commands received: {}", self.commands)?;
        }
        if self.forgotten > 0 {
            writeln!(f, "fixes that a full tracker forgot: {}", self.forgotten)?;
        }
        for wrong in &self.wrong_replies {
            writeln!(f, "WRONG replies ({}): {}", wrong.wrong.name(), wrong.count)?;
        }
        if let Some(error) = &self.ledger_error {
            writeln!(f, "WRONG: the ledger is not complete: {error}")?;
        }
        f.write_str(if self.is_ok() { "ok" } else { "NOT ok" })
    }
}

/// Latencies in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantiles {
    /// Half were faster.
    pub p50: f64,
    /// 95 of 100 were faster.
    pub p95: f64,
    /// 99 of 100 were faster.
    pub p99: f64,
    /// The slowest.
    pub max: f64,
}

/// Durations in buckets whose width is at most a thirty-second of their value: microseconds to
/// days, without a lock and in 8 KiB.
#[derive(Debug)]
struct Histogram {
    buckets: Box<[AtomicU64]>,
    max_us: AtomicU64,
}

/// 32 buckets for each doubling up to 2^37 µs, which is a day and a half.
const BUCKETS: usize = 1_024;

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
            max_us: AtomicU64::new(0),
        }
    }
}

impl Histogram {
    fn record(&self, latency: Duration) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.max_us.fetch_max(us, Relaxed);
        if let Some(bucket) = self.buckets.get(Self::bucket(us)) {
            bucket.fetch_add(1, Relaxed);
        }
    }

    fn bucket(us: u64) -> usize {
        let doublings = (u64::BITS - us.leading_zeros()).saturating_sub(6);
        let index = u64::from(doublings) * 32 + (us >> doublings);
        usize::try_from(index).unwrap_or(BUCKETS).min(BUCKETS - 1)
    }

    /// The least value above all of a bucket.
    fn upper(bucket: usize) -> u64 {
        let bucket = u64::try_from(bucket).unwrap_or(u64::MAX);
        if bucket < 64 {
            return bucket + 1;
        }
        let doublings = bucket / 32 - 1;
        (bucket % 32 + 33) << doublings
    }

    fn quantiles(&self) -> Option<Quantiles> {
        let counts: Vec<u64> = self.buckets.iter().map(|b| b.load(Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        if total == 0 {
            return None;
        }
        let max = self.max_us.load(Relaxed);
        let millis = |us: u64| Duration::from_micros(us.min(max)).as_secs_f64() * 1_000.0;
        let quantile = |per_cent: u64| {
            let rank = (total * per_cent).div_ceil(100);
            let mut below = 0;
            let found = counts.iter().position(|count| {
                below += count;
                below >= rank
            });
            millis(found.map_or(max, Self::upper))
        };
        Some(Quantiles {
            p50: quantile(50),
            p95: quantile(95),
            p99: quantile(99),
            max: millis(max),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_is_below_its_buckets_upper_edge_and_near_it() {
        for us in (0..10_000).chain([123_456, 7_654_321, 3_600_000_000]) {
            let upper = Histogram::upper(Histogram::bucket(us));
            assert!(us < upper, "{us} {upper}");
            assert!(upper - us <= us / 32 + 1, "{us} {upper}");
        }
        assert_eq!(Histogram::bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_those_of_the_durations() {
        let histogram = Histogram::default();
        assert_eq!(histogram.quantiles(), None);
        for ms in 1..=1_000 {
            histogram.record(Duration::from_millis(ms));
        }
        let q = histogram.quantiles().unwrap();
        for (got, want) in [(q.p50, 500.0), (q.p95, 950.0), (q.p99, 990.0)] {
            assert!((want..want * 1.04).contains(&got), "{got} {want}");
        }
        assert!((q.max - 1_000.0).abs() < 1e-9);
    }

    #[test]
    fn a_simulation_without_a_login_is_not_ok() {
        assert!(!Stats::default().summary(1, 1.0).is_ok());
    }

    #[test]
    fn each_fault_makes_a_summary_not_ok() {
        let good = || {
            let stats = Stats::default();
            stats.sent(Kind::Login, false);
            stats.acknowledged(Kind::Login, Duration::from_millis(3));
            stats
        };
        assert!(good().summary(1, 1.0).is_ok());
        let stats = good();
        stats.wrong(Wrong::Unasked);
        assert!(!stats.summary(1, 1.0).is_ok());
        assert!(stats.summary(1, 1.0).to_string().ends_with("NOT ok"));
        let stats = good();
        stats.unanswered(Kind::Alarm);
        assert!(!stats.summary(1, 1.0).is_ok());
        let mut summary = good().summary(1, 1.0);
        summary.ledger_error = Some("disk full".to_owned());
        assert!(!summary.is_ok());
    }
}
