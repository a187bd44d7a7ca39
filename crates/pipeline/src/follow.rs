//! Followers: each in a thread of its own, after the judge.
//!
//! A shard offers each committed batch to its followers and never waits for them: each has a
//! short queue, and what does not fit in is not put there. A follower takes a batch only if it
//! begins where the follower is; otherwise it first reads what is missing from the judge's rows.
//! So one path serves the start, errors and lag.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::SinkError;
use crate::retry::{Backoff, RetryDeadline};
use crate::sink::{Batch, FollowFrom, Follower, News, Position, Replay, Written};

/// Committed batches that wait for a follower, at most; each may be 16 MiB.
const QUEUED: usize = 4;
/// Rows that are read back at once.
const PART: usize = 1_000;
/// How often an idle follower looks whether it lags.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A batch that the judge has committed.
#[derive(Debug, Clone)]
pub(crate) struct Committed {
    pub(crate) batch: Arc<Batch>,
    pub(crate) written: Arc<Written>,
}

/// A shard's followers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Followers(Arc<Mutex<Vec<Feed>>>);

#[derive(Debug)]
struct Feed {
    batches: SyncSender<Committed>,
    ended: oneshot::Receiver<()>,
}

impl Followers {
    /// Starts a follower.
    pub(crate) fn add(
        &self,
        name: &str,
        follower: impl Follower,
        replay: impl Replay,
        backoff: Backoff,
        deadline: Arc<RetryDeadline>,
    ) -> std::io::Result<()> {
        let (batches, committed) = sync_channel(QUEUED);
        let (end, ended) = oneshot::channel();
        let lag = metrics::gauge!("milepost_follower_lag_rows", "follower" => name.to_owned());
        let seconds =
            metrics::histogram!("milepost_follower_write_seconds", "follower" => name.to_owned());
        let following = Following {
            name: name.to_owned(),
            follower,
            replay,
            backoff,
            deadline,
            lag,
            seconds,
            at: None,
        };
        std::thread::Builder::new()
            .name(format!("follow-{name}"))
            .spawn(move || {
                following.run(&committed);
                // Nobody may be waiting.
                let _nobody = end.send(()).is_err();
            })?;
        self.lock().push(Feed { batches, ended });
        Ok(())
    }

    /// Offers a batch to all, without waiting.
    pub(crate) fn offer(&self, committed: &Committed) {
        self.lock().retain(|feed| {
            let offered = feed.batches.try_send(committed.clone());
            // One that is full will read from the rows what it has missed.
            !matches!(offered, Err(TrySendError::Disconnected(_)))
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Nothing more will come; waits until each has ended.
    pub(crate) fn finish(&self) {
        for feed in std::mem::take(&mut *self.lock()) {
            drop(feed.batches);
            // An error: it has panicked, and has ended too.
            let _ended = feed.ended.blocking_recv();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Feed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Following<F, R> {
    name: String,
    follower: F,
    replay: R,
    backoff: Backoff,
    deadline: Arc<RetryDeadline>,
    lag: metrics::Gauge,
    /// How long a write takes.
    seconds: metrics::Histogram,
    /// Where the follower is; `None` until it has said so.
    at: Option<Position>,
}

impl<F: Follower, R: Replay> Following<F, R> {
    fn run(mut self, committed: &Receiver<Committed>) {
        if !self.retry(None) {
            return;
        }
        loop {
            let more = match committed.recv_timeout(LOOK_EVERY) {
                Ok(committed) => self.retry(Some(&committed)),
                // What did not fit into the queue is found here.
                Err(RecvTimeoutError::Timeout) => self.retry(None),
                Err(RecvTimeoutError::Disconnected) => {
                    self.retry(None);
                    return;
                }
            };
            if !more {
                return;
            }
        }
    }

    /// Brings the follower up to date, and tries again for as long as it takes; `false` if the
    /// deadline came first.
    fn retry(&mut self, committed: Option<&Committed>) -> bool {
        let mut attempts = 0_u32;
        loop {
            let done = match committed {
                Some(committed) => self.take(committed),
                None => self.catch_up(None),
            };
            let Err(error) = done else { return true };
            attempts += 1;
            // It says again where it is: the failed write may have been done in part.
            self.at = None;
            metrics::counter!("milepost_follower_errors_total", "follower" => self.name.clone())
                .increment(1);
            if attempts == 1 || attempts.is_power_of_two() {
                tracing::warn!(%error, follower = %self.name, attempts, "a follower is behind");
            }
            if !self.deadline.wait(self.backoff.wait(attempts)) {
                return false;
            }
        }
    }

    fn take(&mut self, committed: &Committed) -> Result<(), SinkError> {
        let (batch, written) = (&committed.batch, &committed.written);
        let at = self.position(written.before)?;
        if at.covers(&written.after) {
            return Ok(());
        }
        if at != written.before {
            return self.catch_up(Some(written.after));
        }
        let new = |index: &usize| written.new.contains(*index);
        let corrected = |index: &usize| written.corrected.contains(*index);
        let news = News {
            reports: numbered(&batch.reports, new),
            corrections: numbered(&batch.corrections, corrected),
            devices: batch
                .devices
                .iter()
                .filter(|device| device.known)
                .map(|device| (&device.key, &device.latest))
                .collect(),
        };
        self.write(&news, written.after, written.after)
    }

    /// Reads from the judge's rows, up to a position or to their end.
    fn catch_up(&mut self, up_to: Option<Position>) -> Result<(), SinkError> {
        loop {
            let at = match self.at {
                Some(at) => at,
                None => {
                    let end = self.replay.after(Position::START, 0)?.end;
                    self.position(end)?
                }
            };
            if up_to.is_some_and(|up_to| at.covers(&up_to)) {
                return Ok(());
            }
            let part = self.replay.after(at, PART)?;
            if part.up_to == at {
                self.note_lag(at, part.end);
                return Ok(());
            }
            let news = News {
                reports: part.reports.iter().collect(),
                corrections: part.corrections.iter().collect(),
                devices: Vec::new(),
            };
            self.write(&news, part.up_to, part.end)?;
        }
    }

    /// Where the follower is, asked if that is not known.
    fn position(&mut self, now: Position) -> Result<Position, SinkError> {
        if let Some(at) = self.at {
            return Ok(at);
        }
        let at = match self.follower.begin()? {
            FollowFrom::Position(at) => at,
            FollowFrom::Now => now,
        };
        self.at = Some(at);
        Ok(at)
    }

    fn write(&mut self, news: &News<'_>, up_to: Position, end: Position) -> Result<(), SinkError> {
        let begun = Instant::now();
        self.follower.write(news, up_to)?;
        self.seconds.record(begun.elapsed());
        self.at = Some(up_to);
        self.note_lag(up_to, end);
        Ok(())
    }

    fn note_lag(&self, at: Position, end: Position) {
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        self.lag.set(end.row.saturating_sub(at.row) as f64);
    }
}

fn numbered<T>(all: &[T], wanted: impl Fn(&usize) -> bool) -> Vec<&T> {
    all.iter()
        .enumerate()
        .filter(|(index, _)| wanted(index))
        .map(|(_, one)| one)
        .collect()
}
