//! The one thread that writes.

use std::sync::mpsc;
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::StoreError;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// Hands work to the thread that owns the only connection that writes. Jobs run one after the
/// other, in the order in which they were given.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread. `guard` is dropped after the connection is closed.
    pub(super) fn start(
        mut db: Connection,
        guard: impl Send + 'static,
    ) -> Result<Self, std::io::Error> {
        let (jobs, work) = mpsc::channel::<Job>();
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || {
                for job in work {
                    job(&mut db);
                }
                if let Err((_, error)) = db.close() {
                    tracing::warn!(%error, "the store did not close cleanly");
                }
                drop(guard);
            })?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    /// Gives a job to the thread; what it returns is heard where this returns.
    pub(super) fn give<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> T + Send + 'static,
    ) -> Result<oneshot::Receiver<T>, StoreError> {
        let (tell, heard) = oneshot::channel();
        let job: Job = Box::new(move |db| {
            // Whoever asked may have gone; the work is done all the same.
            let _gone = tell.send(job(db)).is_err();
        });
        let jobs = self.jobs.as_ref().ok_or(StoreError::Closed)?;
        jobs.send(job).map_err(|_| StoreError::Closed)?;
        Ok(heard)
    }

    /// Gives a job to the thread; its result is heard by blocking, also on a thread of a runtime.
    pub(super) fn begin<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> T + Send + 'static,
    ) -> Result<mpsc::Receiver<T>, StoreError> {
        let (tell, heard) = mpsc::sync_channel(1);
        let job: Job = Box::new(move |db| {
            let _gone = tell.send(job(db)).is_err();
        });
        let jobs = self.jobs.as_ref().ok_or(StoreError::Closed)?;
        jobs.send(job).map_err(|_| StoreError::Closed)?;
        Ok(heard)
    }

    /// Gives a job to the thread and blocks until it is done.
    pub(super) fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        self.begin(job)?.recv().map_err(|_| StoreError::Closed)
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
