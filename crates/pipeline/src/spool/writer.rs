//! The log with its thread: group commit, waiting, readiness.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{oneshot, watch};

use super::segments::{Index, SegmentReader, Segments, free, lock};
use super::{Damage, Folder, LogId, Record, Recovery, SpoolOptions, Storage};
use crate::retry::Backoff;

/// A log on disk; see the [module](super). Cloning shares it; the thread ends with
/// [`close`](Self::close) or when the last clone is dropped.
#[derive(Debug)]
pub struct Spool<S: Storage = Folder> {
    shared: Arc<Shared<S>>,
    // Dropped with the last clone.
    _end: Arc<End<S>>,
}

impl<S: Storage> Clone for Spool<S> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            _end: Arc::clone(&self._end),
        }
    }
}

#[derive(Debug)]
struct End<S: Storage>(Arc<Shared<S>>);

impl<S: Storage> Drop for End<S> {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[derive(Debug)]
struct Shared<S: Storage> {
    id: LogId,
    storage: Arc<S>,
    index: Arc<Mutex<Index<S::File>>>,
    max_bytes: u64,
    queue: Mutex<Queue>,
    /// Wakes the thread: records came, space was freed, or it shall end.
    wake: Condvar,
    /// One more than the last durable position; closed with the thread.
    durable: watch::Receiver<u64>,
}

impl<S: Storage> Shared<S> {
    fn end(&self) {
        lock(&self.queue).ending = true;
        self.wake.notify_all();
    }
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    ending: bool,
    /// Whether the thread waits for records.
    idle: bool,
    full: bool,
    failure: Option<String>,
}

#[derive(Debug)]
struct Waiting {
    payload: Bytes,
    since: Instant,
    done: oneshot::Sender<u64>,
}

/// A record is not part of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The log was closed before the record was durable; the next opening may find it all the same.
    #[error("the spool is closed")]
    Closed,
    /// It is longer than 16 MiB.
    #[error("a record of {0} bytes is too long for the spool, which takes up to 16777215")]
    TooLong(usize),
}

impl From<AppendError> for io::Error {
    fn from(error: AppendError) -> Self {
        let kind = match error {
            AppendError::Closed => io::ErrorKind::BrokenPipe,
            AppendError::TooLong(_) => io::ErrorKind::InvalidInput,
        };
        Self::new(kind, error)
    }
}

/// How a log is doing, for readiness and metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpoolStatus {
    /// Records that are durable and not free.
    pub depth: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Records that wait to be durable.
    pub appending: usize,
    /// How long the oldest of those waits.
    pub oldest_append: Duration,
    /// Whether appending waits for space below [`SpoolOptions::max_bytes`].
    pub full: bool,
    /// Why the last write failed, until one works again.
    pub failure: Option<String>,
}

impl<S: Storage> Spool<S> {
    /// Opens a log and starts its thread.
    ///
    /// # Errors
    /// When a file cannot be read, or the thread cannot be started.
    pub fn open(storage: S, options: SpoolOptions) -> io::Result<(Self, Recovery)> {
        let batch_bytes = options.batch_bytes;
        let max_bytes = options.max_bytes;
        let (segments, recovery) = Segments::open(storage, options)?;
        let (durable, watch) = watch::channel(segments.next());
        let shared = Arc::new(Shared {
            id: segments.id(),
            storage: Arc::clone(&segments.storage),
            index: Arc::clone(&segments.index),
            max_bytes,
            queue: Mutex::default(),
            wake: Condvar::new(),
            durable: watch,
        });
        let writer = Writer {
            shared: Arc::clone(&shared),
            segments,
            durable,
            batch_bytes,
            backoff: Backoff::default(),
        };
        std::thread::Builder::new()
            .name("spool".into())
            .spawn(move || writer.run())?;
        let end = Arc::new(End(Arc::clone(&shared)));
        Ok((Self { shared, _end: end }, recovery))
    }

    /// The log's id.
    pub fn id(&self) -> LogId {
        self.shared.id
    }

    /// Appends a record, in the order of the calls; resolves to its position when it is durable.
    ///
    /// The call takes the record over: dropping the future does not take it back.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub fn append(
        &self,
        payload: Bytes,
    ) -> impl Future<Output = Result<u64, AppendError>> + Send + use<S> {
        let (done, outcome) = oneshot::channel();
        let len = payload.len();
        let too_long = len > super::record::MAX_PAYLOAD;
        if !too_long {
            let mut queue = lock(&self.shared.queue);
            if !queue.ending {
                queue.waiting.push_back(Waiting {
                    payload,
                    since: Instant::now(),
                    done,
                });
            }
            // A wake is a system call, and at full load the thread is awake.
            let idle = std::mem::take(&mut queue.idle);
            drop(queue);
            if idle {
                self.shared.wake.notify_one();
            }
        }
        async move {
            if too_long {
                return Err(AppendError::TooLong(len));
            }
            outcome.await.map_err(|_| AppendError::Closed)
        }
    }

    /// A reader from the first record that is not free.
    pub fn reader(&self) -> SpoolReader<S> {
        SpoolReader {
            inner: Some(SegmentReader::new(
                Arc::clone(&self.shared.storage),
                Arc::clone(&self.shared.index),
                self.shared.id,
            )),
            durable: self.shared.durable.clone(),
        }
    }

    /// Frees all records up to and including `position`.
    pub fn free_through(&self, position: u64) {
        let below = position
            .saturating_add(1)
            .min(*self.shared.durable.borrow());
        free(&self.shared.index, &*self.shared.storage, below);
        self.shared.wake.notify_one();
    }

    /// How the log is doing.
    pub fn status(&self) -> SpoolStatus {
        let (depth, bytes) = {
            let index = lock(&self.shared.index);
            (index.depth(), index.bytes())
        };
        let queue = lock(&self.shared.queue);
        SpoolStatus {
            depth,
            bytes,
            appending: queue.waiting.len(),
            oldest_append: queue
                .waiting
                .front()
                .map_or(Duration::ZERO, |waiting| waiting.since.elapsed()),
            full: queue.full,
            failure: queue.failure.clone(),
        }
    }

    /// How full the log may become, in bytes.
    pub fn max_bytes(&self) -> u64 {
        self.shared.max_bytes
    }

    /// Damage that readers found since the last call.
    pub fn take_damage(&self) -> Vec<Damage> {
        std::mem::take(&mut lock(&self.shared.index).damage)
    }

    /// Makes what waits durable if that works now, records what is free, and ends the thread.
    /// Appends that come later get [`AppendError::Closed`].
    pub async fn close(&self) {
        self.shared.end();
        let mut durable = self.shared.durable.clone();
        while durable.changed().await.is_ok() {}
    }
}

/// Reads a log in order, and waits for more.
#[derive(Debug)]
pub struct SpoolReader<S: Storage = Folder> {
    // `None` only if a read was cancelled: it goes on in another thread, and owns it.
    inner: Option<SegmentReader<S>>,
    durable: watch::Receiver<u64>,
}

impl<S: Storage> SpoolReader<S> {
    /// The next durable records, about `max_bytes` of them; waits for the first. Empty when the log
    /// is closed and all was read.
    ///
    /// Not cancel-safe: after dropping the future before its end, make a new reader.
    ///
    /// # Errors
    /// When a file cannot be read now.
    pub async fn next(&mut self, max_bytes: usize) -> io::Result<Vec<Record>> {
        loop {
            let mut reader = self.inner.take().ok_or_else(|| {
                io::Error::other("this reader of the spool was cancelled while it read")
            })?;
            // Marked as seen before reading: what becomes durable meanwhile wakes the wait below.
            self.durable.borrow_and_update();
            let read = tokio::task::spawn_blocking(move || {
                let records = reader.read(max_bytes);
                (reader, records)
            });
            let (reader, records) = read.await.map_err(io::Error::other)?;
            self.inner = Some(reader);
            let records = records?;
            if !records.is_empty() || self.durable.changed().await.is_err() {
                return Ok(records);
            }
        }
    }
}

struct Writer<S: Storage> {
    shared: Arc<Shared<S>>,
    segments: Segments<S>,
    durable: watch::Sender<u64>,
    batch_bytes: usize,
    backoff: Backoff,
}

impl<S: Storage> Writer<S> {
    fn run(mut self) {
        let mut payloads = Vec::new();
        let mut verdicts = Vec::new();
        while self.take(&mut payloads, &mut verdicts) {
            let begun = Instant::now();
            let Some(first) = self.write(&payloads) else {
                break;
            };
            metrics::histogram!("milepost_spool_append_seconds").record(begun.elapsed());
            #[expect(
                clippy::cast_precision_loss,
                reason = "a histogram's values are floats"
            )]
            metrics::histogram!("milepost_spool_batch_records").record(payloads.len() as f64);
            for (done, position) in verdicts.drain(..).zip(first..) {
                // Whoever appended may be gone; the record stays.
                let _gone = done.send(position);
            }
            payloads.clear();
            self.durable.send_replace(self.segments.next());
        }
        // Not worth a retry: a start without it reads more than it needs to.
        if let Err(error) = self.segments.write_mark() {
            tracing::info!(%error, "the spool's free mark is not written");
        }
        let mut queue = lock(&self.shared.queue);
        queue.ending = true;
        queue.waiting.clear();
    }

    /// Waits for records that fit; `false` at the end.
    fn take(&self, payloads: &mut Vec<Bytes>, verdicts: &mut Vec<oneshot::Sender<u64>>) -> bool {
        let mut queue = lock(&self.shared.queue);
        let mut bytes = 0;
        loop {
            while let Some(next) = queue.waiting.front() {
                let with_next = bytes + next.payload.len();
                if !payloads.is_empty() && with_next > self.batch_bytes {
                    break;
                }
                if !self.segments.has_room(payloads.len() + 1, with_next) {
                    queue.full = payloads.is_empty();
                    break;
                }
                queue.full = false;
                bytes = with_next;
                if let Some(next) = queue.waiting.pop_front() {
                    payloads.push(next.payload);
                    verdicts.push(next.done);
                }
            }
            if !payloads.is_empty() {
                return true;
            }
            if queue.ending {
                return false;
            }
            // While it is full, more records change nothing.
            queue.idle = queue.waiting.is_empty();
            queue = self.wait(queue, None);
        }
    }

    /// Writes until it works; `None` if the end comes first.
    fn write(&mut self, payloads: &[Bytes]) -> Option<u64> {
        let mut attempt = 0;
        loop {
            let error = match self.segments.append(payloads) {
                Ok(first) => {
                    if attempt > 0 {
                        lock(&self.shared.queue).failure = None;
                        tracing::info!("the spool takes records again");
                    }
                    return Some(first);
                }
                Err(error) => error,
            };
            if attempt == 0 {
                tracing::error!(%error, "the spool cannot be written; trying again");
            }
            attempt += 1;
            let until = Instant::now() + self.backoff.wait(attempt);
            let mut queue = lock(&self.shared.queue);
            queue.failure = Some(error.to_string());
            while Instant::now() < until {
                if queue.ending {
                    return None;
                }
                queue = self.wait(queue, Some(until));
            }
        }
    }

    fn wait<'q>(
        &self,
        queue: MutexGuard<'q, Queue>,
        until: Option<Instant>,
    ) -> MutexGuard<'q, Queue> {
        match until {
            None => self
                .shared
                .wake
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner),
            Some(until) => {
                self.shared
                    .wake
                    .wait_timeout(queue, until.saturating_duration_since(Instant::now()))
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        }
    }
}
