//! The one thread that writes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::StoreError;
use super::files::Files;
use super::known::Known;
use crate::condition::Condition;

/// How often an idle writer looks after its files.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the thread that writes owns.
#[derive(Debug)]
pub(super) struct Writing {
    pub(super) db: Connection,
    pub(super) known: Known,
}

type Job = Box<dyn FnOnce(&mut Writing, &mut Files) -> bool + Send>;

/// Hands work to the thread that owns the only connection that writes. Jobs run one after the
/// other, in the order in which they were given. A job's result is reported only if the store's
/// files are the same before and after it.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread. `guard` is dropped after the connection is closed.
    pub(super) fn start(
        mut writing: Writing,
        mut files: Files,
        condition: Condition,
        guard: impl Send + 'static,
    ) -> Result<Self, std::io::Error> {
        let (jobs, work) = mpsc::channel::<Job>();
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || {
                // After a panic the connection is only closed.
                let ran = catch_unwind(AssertUnwindSafe(|| {
                    run(&mut writing, &mut files, &work);
                }));
                if ran.is_err() {
                    condition.fail("the thread that writes the store has panicked: see the log");
                }
                // Those who wait for a result hear that there is none.
                drop(work);
                if let Err((_, error)) = writing.db.close() {
                    tracing::warn!(%error, "the store did not close cleanly");
                }
                drop(guard);
            })?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    /// Gives a job to the thread; its result comes through the receiver.
    pub(super) fn give<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Writing) -> T + Send + 'static,
    ) -> Result<oneshot::Receiver<T>, StoreError> {
        let (tell, heard) = oneshot::channel();
        self.send(job, move |done| {
            // The caller may have gone; the work is done all the same.
            let _gone = tell.send(done).is_err();
        })?;
        Ok(heard)
    }

    /// Gives a job to the thread; its result is waited for by blocking, also on a thread of a
    /// runtime.
    pub(super) fn begin<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Writing) -> T + Send + 'static,
    ) -> Result<mpsc::Receiver<T>, StoreError> {
        let (tell, heard) = mpsc::sync_channel(1);
        self.send(job, move |done| {
            let _gone = tell.send(done).is_err();
        })?;
        Ok(heard)
    }

    /// Gives a job to the thread and blocks until it is done.
    pub(super) fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Writing) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        self.begin(job)?.recv().map_err(|_| StoreError::Closed)
    }

    fn send<T>(
        &self,
        job: impl FnOnce(&mut Writing) -> T + Send + 'static,
        tell: impl FnOnce(T) + Send + 'static,
    ) -> Result<(), StoreError> {
        let job: Job = Box::new(move |writing, files| {
            let done = job(writing);
            let kept = files.are_kept();
            if kept {
                tell(done);
            }
            kept
        });
        let jobs = self.jobs.as_ref().ok_or(StoreError::Closed)?;
        jobs.send(job).map_err(|_| StoreError::Closed)
    }
}

/// Works until nothing more comes, or the files are gone for good.
fn run(writing: &mut Writing, files: &mut Files, work: &mpsc::Receiver<Job>) {
    loop {
        let job = match work.recv_timeout(LOOK_EVERY) {
            Ok(job) => Some(job),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let go_on = files.are_unchanged() && job.is_none_or(|job| job(writing, files));
        if !go_on {
            return;
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes the store has panicked");
        }
    }
}
