//! Followers: each in a thread of its own, after the judge.
//!
//! A shard offers each committed batch to its followers and never waits for them: each has a
//! short queue, and what does not fit in is not put there. A follower takes a batch only if it
//! begins where the follower is; otherwise it first reads what is missing from the judge's rows.
//! So one path serves the start, errors and lag.
//!
//! A follower that panics is like one that fails: it says again where it is, and goes on there
//! after a back-off.

mod health;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use health::FollowerHealth;

use crate::SinkError;
use crate::catch::catch;
use crate::retry::{Backoff, RetryDeadline};
use crate::sink::{Batch, FollowFrom, Follower, News, Position, Replay, Written};
use health::HealthCell;

/// Committed batches that wait for a follower, at most; each may be 16 MiB.
const QUEUED: usize = 4;
/// Rows or states that are read back at once.
const PART: usize = 1_000;
/// How often an idle follower looks whether it lags.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A batch that the judge has committed.
#[derive(Debug, Clone)]
pub(crate) struct Committed {
    pub(crate) batch: Arc<Batch>,
    pub(crate) written: Arc<Written>,
    /// The number of the batch in its shard.
    pub(crate) number: u64,
}

/// A shard's followers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Followers {
    feeds: Arc<Mutex<Vec<Feed>>>,
    /// Set when the shard has ended.
    deadline: Arc<RetryDeadline>,
    /// The number of the last batch that was committed.
    last: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Feed {
    batches: SyncSender<Committed>,
    /// Whether it had caught up at its end.
    ended: Receiver<bool>,
    health: Arc<HealthCell>,
}

impl Followers {
    /// Starts a follower.
    pub(crate) fn add(
        &self,
        name: &str,
        follower: impl Follower,
        replay: impl Replay,
        backoff: Backoff,
    ) -> std::io::Result<()> {
        let (batches, committed) = sync_channel(QUEUED);
        let (end, ended) = sync_channel(1);
        let health = Arc::new(HealthCell::new(name));
        let following = Following {
            name: name.to_owned(),
            follower,
            replay,
            backoff,
            deadline: Arc::clone(&self.deadline),
            last: Arc::clone(&self.last),
            health: Arc::clone(&health),
            at: None,
            written: None,
            keeps_mark: true,
            rewrite: false,
            states_of: 0,
        };
        std::thread::Builder::new()
            .name(format!("follow-{name}"))
            .spawn(move || {
                let caught_up = following.run(&committed);
                // The shard may have given up waiting.
                let _late = end.send(caught_up).is_err();
            })?;
        self.lock().push(Feed {
            batches,
            ended,
            health,
        });
        Ok(())
    }

    /// Offers a batch to all, without waiting.
    pub(crate) fn offer(&self, batch: Arc<Batch>, written: Written) {
        let committed = Committed {
            batch,
            written: Arc::new(written),
            number: self.last.fetch_add(1, Ordering::AcqRel) + 1,
        };
        for feed in &*self.lock() {
            match feed.batches.try_send(committed.clone()) {
                Ok(()) => {}
                // It will read from the rows what it has missed.
                Err(TrySendError::Full(_)) => feed.health.missed(),
                // Only a defect of this module ends a follower before its shard.
                Err(TrySendError::Disconnected(_)) => feed.health.failed(&"its thread has ended"),
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// How each follower does.
    pub(crate) fn health(&self) -> Vec<FollowerHealth> {
        self.lock().iter().map(|feed| feed.health.get()).collect()
    }

    /// Nothing more will come. Waits until each has caught up, for so long at most; how many have
    /// not. They get the rest at their next start.
    pub(crate) fn finish(&self, within: Duration) -> u64 {
        let until = Instant::now() + within;
        self.deadline.set(until);
        let feeds = std::mem::take(&mut *self.lock());
        let ending: Vec<_> = feeds
            .into_iter()
            .map(|feed| (feed.ended, feed.health))
            .collect();
        let mut left = 0;
        for (ended, health) in ending {
            let wait = until.saturating_duration_since(Instant::now());
            if ended.recv_timeout(wait) == Ok(true) {
                continue;
            }
            left += 1;
            let FollowerHealth {
                name,
                lag_rows,
                problem,
                ..
            } = health.get();
            tracing::warn!(
                follower = %name,
                lag_rows,
                problem,
                "a follower has not caught up at the end: it gets the rest when it is started again"
            );
        }
        left
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Feed>> {
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Following<F, R> {
    name: String,
    follower: F,
    replay: R,
    backoff: Backoff,
    deadline: Arc<RetryDeadline>,
    last: Arc<AtomicU64>,
    health: Arc<HealthCell>,
    /// Where the follower is; `None` until it has said so.
    at: Option<Position>,
    /// Up to where it has written in this run.
    written: Option<Position>,
    /// Whether it keeps a mark of its own. If not, devices' states are written again after a gap.
    keeps_mark: bool,
    /// The states of all devices are to be written, once the follower has caught up.
    rewrite: bool,
    /// The batch up to which their states were in that.
    states_of: u64,
}

/// Why a follower is not up to date.
enum Behind {
    Error(SinkError),
    /// The shard has ended, and there is no more time.
    Deadline,
}

impl From<SinkError> for Behind {
    fn from(error: SinkError) -> Self {
        Self::Error(error)
    }
}

impl<F: Follower, R: Replay> Following<F, R> {
    /// Works until the shard has ended; whether the follower has caught up then.
    fn run(mut self, committed: &Receiver<Committed>) -> bool {
        if !self.retry(None) {
            return false;
        }
        loop {
            let more = match committed.recv_timeout(LOOK_EVERY) {
                Ok(committed) => self.retry(Some(&committed)),
                // What did not fit into the queue is found here.
                Err(RecvTimeoutError::Timeout) => self.retry(None),
                Err(RecvTimeoutError::Disconnected) => return self.retry(None),
            };
            if !more {
                return false;
            }
        }
    }

    /// Brings the follower up to date, and tries again for as long as it takes; `false` if the
    /// deadline came first.
    fn retry(&mut self, committed: Option<&Committed>) -> bool {
        let mut attempts = 0_u32;
        loop {
            let done = catch(|| match committed {
                Some(committed) => self.take(committed),
                None => self.catch_up(None),
            });
            let error = match done {
                Ok(Ok(())) => {
                    self.health.works();
                    return true;
                }
                Ok(Err(Behind::Deadline)) => return false,
                Ok(Err(Behind::Error(error))) => error,
                Err(panicked) => {
                    self.health.panicked();
                    tracing::error!(%panicked, follower = %self.name, "a follower has panicked");
                    SinkError::transient(panicked)
                }
            };
            attempts += 1;
            // It says again where it is: the failed write may have been done in part.
            self.at = None;
            self.health.failed(&error);
            if attempts == 1 || attempts.is_power_of_two() {
                tracing::warn!(%error, follower = %self.name, attempts, "a follower lags");
            }
            if !self.deadline.wait(self.backoff.wait(attempts)) {
                return false;
            }
        }
    }

    fn take(&mut self, committed: &Committed) -> Result<(), Behind> {
        let (batch, written) = (&committed.batch, &committed.written);
        let at = self.position(written.before)?;
        self.note_gap();
        if self.rewrite {
            return self.catch_up(None);
        }
        if at != written.before || committed.number <= self.states_of {
            return match at.covers(&written.after) {
                true => Ok(()),
                false => self.catch_up(Some(written.after)),
            };
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
    fn catch_up(&mut self, up_to: Option<Position>) -> Result<(), Behind> {
        loop {
            if self.deadline.has_passed() {
                return Err(Behind::Deadline);
            }
            let at = match self.at {
                Some(at) => at,
                None => {
                    let end = self.replay.after(Position::START, 0)?.end;
                    self.position(end)?
                }
            };
            self.note_gap();
            if !self.rewrite && up_to.is_some_and(|up_to| at.covers(&up_to)) {
                return Ok(());
            }
            let part = self.replay.after(at, PART)?;
            if at.covers(&part.up_to) {
                // Of the run that goes on with these rows; the mark says so with the next write.
                self.at = Some(part.up_to);
                self.health.lag(part.end.row.saturating_sub(at.row));
                return match self.rewrite {
                    true => self.write_states(part.up_to),
                    false => Ok(()),
                };
            }
            let news = News {
                reports: part.reports.iter().collect(),
                corrections: part.corrections.iter().collect(),
                devices: Vec::new(),
            };
            self.write(&news, part.up_to, part.end)?;
        }
    }

    /// Writes the states of all devices. They are read after the position, so none is older than
    /// what the follower has had.
    fn write_states(&mut self, at: Position) -> Result<(), Behind> {
        let states_of = self.last.load(Ordering::Acquire);
        let mut last = None;
        loop {
            if self.deadline.has_passed() {
                return Err(Behind::Deadline);
            }
            let states = self.replay.states(last.as_ref(), PART)?;
            let Some((key, _)) = states.last() else { break };
            last = Some(*key);
            let news = News {
                devices: states.iter().map(|(key, latest)| (key, latest)).collect(),
                ..News::default()
            };
            self.follower.write(&news, at)?;
        }
        self.rewrite = false;
        self.states_of = states_of;
        Ok(())
    }

    /// A batch that did not fit into the queue may have changed states without any row.
    fn note_gap(&mut self) {
        if !self.keeps_mark && self.health.take_missed() {
            self.rewrite = true;
        }
    }

    /// Where the follower is, asked if that is not known.
    fn position(&mut self, now: Position) -> Result<Position, SinkError> {
        if let Some(at) = self.at {
            return Ok(at);
        }
        let begin = self.follower.begin()?;
        self.keeps_mark = begin != FollowFrom::Now;
        let at = match begin {
            FollowFrom::Position(mark) => self.of_this_history(mark)?,
            FollowFrom::Now => {
                self.rewrite = true;
                self.written.unwrap_or(now)
            }
        };
        self.at = Some(at);
        Ok(at)
    }

    /// A follower's mark, or the last place before it that the judge's rows still have: they may
    /// have been restored from a backup, and go on differently from there.
    fn of_this_history(&mut self, mark: Position) -> Result<Position, SinkError> {
        let common = self.replay.common(mark)?;
        if common != mark {
            metrics::counter!("milepost_follower_rewinds_total", "follower" => self.name.clone())
                .increment(1);
            tracing::error!(
                follower = %self.name,
                mark = mark.row,
                goes_on_at = common.row,
                "the store is not the one that the follower has followed (was a backup restored?): \
                 it gets again what follows the last place that both have; rows that only the \
                 earlier store had stay where the follower has put them"
            );
        }
        Ok(common)
    }

    fn write(&mut self, news: &News<'_>, up_to: Position, end: Position) -> Result<(), Behind> {
        let begun = Instant::now();
        self.follower.write(news, up_to)?;
        self.health.wrote(begun.elapsed());
        self.at = Some(up_to);
        self.written = Some(up_to);
        self.health.lag(end.row.saturating_sub(up_to.row));
        Ok(())
    }
}

fn numbered<T>(all: &[T], wanted: impl Fn(&usize) -> bool) -> Vec<&T> {
    all.iter()
        .enumerate()
        .filter(|(index, _)| wanted(index))
        .map(|(_, one)| one)
        .collect()
}
