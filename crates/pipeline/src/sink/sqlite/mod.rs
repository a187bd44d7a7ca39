//! The embedded store: one SQLite file on one machine.
//!
//! - **Durable when it says so.** Write-ahead log with `synchronous=FULL`: a batch is synced
//!   before it is acknowledged.
//! - **One process writes.** A lock on the folder keeps a second one out, with a clear error, and
//!   each commit checks that no newer run has begun. Inside, one thread owns the only connection
//!   that writes; readers have their own, and work while the writer waits.
//! - **The files stay where they are.** If the database or its log is removed, replaced or cut
//!   short while it is open, nothing more is acknowledged; unless the same files are back within
//!   [`StoreOptions::files_grace`], the [condition](Store::condition) fails and the process has to
//!   end. A running process never makes a new store. Damage *inside* a file is found when SQLite
//!   reads the damaged page: at a query, at a later start, or by [`Reader::check_all`].
//! - **The unique id is the judge of duplicates.** Rows, the last known state of each device, the
//!   states of the stages and the counters for the audit change in one transaction.

mod audit;
mod backup;
mod columns;
mod commands;
mod deep;
mod encode;
mod error;
mod files;
mod insert;
mod kept;
mod known;
mod note;
mod opening;
mod options;
mod provenance;
mod quarantine;
mod read;
mod replay;
mod rest;
mod retention;
mod schema;
mod trips;
mod waiting;
mod write;
mod writer;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use milepost_telemetry::{DeviceKey, Name, Profile, Timestamp};
use rusqlite::{Connection, OpenFlags, TransactionBehavior, params};
use tokio::sync::{Semaphore, broadcast};

pub use audit::{Audit, EpochAudit};
pub use commands::{Command, CommandState, NotQueued, UnconfirmedAnswer};
pub use deep::{Damage, DeepCheck, Progress};
pub use error::StoreError;
pub use kept::{KeptFrame, KeptProfile};
pub use options::{BoundNetworks, StoreOptions};
pub use read::{Cursor, Device, KnownNetwork, Page, Paged, QuarantinedFrame, Reader, Span};
pub use replay::SqliteReplay;
pub use retention::{CutOff, Forgotten, Retention};
pub use trips::{Redone, Trip};
pub use write::SqliteJudge;

use encode::int;
use files::Files;
use known::Known;
use note::Note;
use opening::{check_structure, configure_writer, lock, log_limit};
use provenance::Provenance;
use waiting::Waiting;
use writer::{Writer, Writing};

use crate::condition::Condition;

/// The store's file in its folder.
const FILE: &str = "milepost.sqlite";
/// The file that older versions lock, to keep a second process out; its text is a [`Note`].
const LOCK: &str = "milepost.lock";

/// A store. Cheap to clone; the last clone closes it.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    shared: Arc<Shared>,
    /// Before the writer, since fields are dropped in this order: only a connection that writes
    /// can, when it is closed last, bring the log into the main file and remove it.
    idle_readers: Mutex<Vec<Connection>>,
    /// Absent when the store was opened for reading only.
    writer: Option<Writer>,
    reading: Arc<Semaphore>,
    looking_up: Arc<Semaphore>,
    next_slot: AtomicI64,
    /// Epochs that have had their judge.
    judged: Mutex<HashSet<u64>>,
    /// What rows share, by number. It never changes.
    provenance: RwLock<HashMap<i64, Provenance>>,
    /// Which files were opened; for readers, which must not open others.
    opened: Option<Mutex<Files>>,
}

/// What the thread that writes needs too. It must not hold the store itself: the last reference
/// to that waits for the thread's end.
#[derive(Debug)]
struct Shared {
    options: StoreOptions,
    /// What was put and is not known to be durable yet.
    waiting: Mutex<Waiting>,
    /// Whether a job that writes it is under way.
    waiting_job: AtomicBool,
    commands: broadcast::Sender<(u32, CommandState)>,
}

/// Reads at the same time, at most: each holds a connection.
const READERS: usize = 8;
/// Look-ups at the same time, at most, beside these.
const LOOK_UPS: usize = 4;
/// Connections that are kept for the next read.
const IDLE_READERS: usize = 4;
/// Changes of commands that a slow listener may fall behind.
const CHANGES: usize = 256;

impl Store {
    /// Opens the store in a folder, for reading and writing; makes both where they do not exist.
    ///
    /// Blocks: at start, or from a thread that may.
    ///
    /// # Errors
    /// When the folder cannot be used, another process has it, or the file in it is damaged, not
    /// ours or of a newer version. Nothing is changed then.
    pub fn open(folder: impl AsRef<Path>, options: StoreOptions) -> Result<Self, StoreError> {
        let folder = folder.as_ref();
        let path = folder.join(FILE);
        std::fs::create_dir_all(folder).map_err(|source| StoreError::Io {
            path: folder.to_owned(),
            source,
        })?;
        let lock = lock(folder)?;
        let opening = |error: rusqlite::Error| StoreError::opening(&path, &error);
        let mut db = Connection::open_with_flags(
            &path,
            OpenFlags::SQLITE_OPEN_READ_WRITE
                | OpenFlags::SQLITE_OPEN_CREATE
                | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )
        .map_err(opening)?;
        db.busy_timeout(options.busy).map_err(opening)?;
        // Before anything is written: is this ours, and can it be read?
        schema::check(&db, &path)?;
        check_structure(&db, &path, options.check_bytes)?;
        configure_writer(&db, &options).map_err(opening)?;
        schema::migrate(&mut db, &path)?;
        if let Some(note) = Note::read(&folder.join(LOCK)) {
            db.execute(
                "UPDATE epoch SET received = max(received, ?2) WHERE id = ?1 AND ended_at IS NULL",
                [note.epoch, note.received],
            )
            .map_err(opening)?;
        }
        let last: i64 = db
            .query_row("SELECT coalesce(max(id), 0) FROM device", [], |row| {
                row.get(0)
            })
            .map_err(opening)?;
        let io = |source| StoreError::Io {
            path: path.clone(),
            source,
        };
        let files = || {
            let (condition, grace) = (options.condition.clone(), options.files_grace);
            Files::of(&path, log_limit(&options), condition, grace).map_err(io)
        };
        let opened = Mutex::new(files()?);
        let writing = Writing {
            db,
            known: Known::default(),
        };
        let writer =
            Writer::start(writing, files()?, options.condition.clone(), lock).map_err(io)?;
        let mut inner = Inner::new(path, options, last + 1);
        inner.writer = Some(writer);
        inner.opened = Some(opened);
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Opens the store in a folder for reading only, also while another process writes it.
    ///
    /// # Errors
    /// When there is none, or it is damaged, not ours or of a newer version.
    pub fn open_read_only(folder: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = folder.as_ref().join(FILE);
        if !path.exists() {
            return Err(StoreError::Missing(path));
        }
        let store = Self {
            inner: Arc::new(Inner::new(path, StoreOptions::default(), 0)),
        };
        let reader = store.reader()?;
        if schema::check(reader.db(), &store.inner.path)? != schema::FORMAT {
            return Err(StoreError::Database(
                format!(
                    "{} has an older format: open it once for writing",
                    store.inner.path.display()
                )
                .into(),
            ));
        }
        drop(reader);
        Ok(store)
    }

    /// The store's main file.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Whether the store can go on: whoever runs the process ends it when this has failed.
    pub fn condition(&self) -> &Condition {
        &self.inner.shared.options.condition
    }

    /// Begins a run of the process: every frame of it is accounted under this number. Blocks.
    ///
    /// Commands of the run are numbered from its second in Unix time on, or from the last one's
    /// number if that is higher: a device may still answer one that it had from a store that was
    /// replaced or restored since, and must not seem to answer another.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin_epoch(&self) -> Result<u64, StoreError> {
        let started = now();
        let id = self.writer()?.call(move |writing| {
            let db = &mut writing.db;
            let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let end = write::end(&tx)?;
            let id = tx.query_row(
                "INSERT INTO epoch (started_at, history, rows_before, corrections_before)
                 VALUES (?1, ?2, ?3, ?4) RETURNING id",
                params![
                    started.as_millis(),
                    rand::random_range(1..=i64::MAX),
                    int(end.row),
                    int(end.correction),
                ],
                |row| row.get::<_, i64>(0),
            )?;
            commands::number_from(&tx, started)?;
            tx.commit()?;
            Ok::<_, rusqlite::Error>(id)
        })??;
        self.note_received(id, 0);
        u64::try_from(id).map_err(|_| StoreError::Closed)
    }

    fn note(&self) -> Option<Note> {
        Note::read(&self.inner.path.with_file_name(LOCK))
    }

    /// Keeps how much an epoch has received beside the store, which does not take it.
    fn note_received(&self, epoch: i64, received: i64) {
        let note = Note { epoch, received };
        if let Err(error) = note.leave(&self.inner.path.with_file_name(LOCK)) {
            tracing::warn!(%error, epoch, received, "how much was received could not be noted");
        }
    }

    /// Where a pipeline writes the frames of an epoch. There is one judge for each epoch: what a
    /// second shard received would not add up with the first one's count. To detach a shard and
    /// attach another, begin another epoch.
    ///
    /// # Errors
    /// When the epoch has had its judge, or the store was opened for reading only or cannot be
    /// read.
    pub fn judge(&self, epoch: u64) -> Result<SqliteJudge, StoreError> {
        self.writer()?;
        let judge = SqliteJudge::new(self.clone(), epoch)?;
        let judged = self.inner.judged.lock();
        if !judged.unwrap_or_else(PoisonError::into_inner).insert(epoch) {
            return Err(StoreError::EpochTaken(epoch));
        }
        Ok(judge)
    }

    /// Reads the stored rows again, for a follower that has missed some.
    ///
    /// # Errors
    /// When no connection can be had.
    pub fn replay(&self) -> Result<SqliteReplay, StoreError> {
        Ok(SqliteReplay::new(self.reader()?))
    }

    /// Keeps what was learned of a device that speaks a protocol. It can be read back at once, is
    /// written with the next batch or alone, and never blocks: what a crash loses of it is learned
    /// again.
    ///
    /// # Errors
    /// When the store was opened for reading only, or is closed.
    pub fn put_profile(
        &self,
        device: &DeviceKey,
        protocol: Name,
        profile: &Profile,
    ) -> Result<(), StoreError> {
        self.put(|waiting| {
            waiting
                .profiles
                .insert((*device, protocol), profile.clone());
        })
    }

    /// Keeps from which network a device has come, and when: 16 of them per device for 90 days
    /// after the device came from there last. It can be read back at once, and never blocks.
    /// Call it at a login, and once a day while a connection stays.
    ///
    /// # Errors
    /// When the store was opened for reading only, or is closed.
    pub fn put_network(
        &self,
        device: &DeviceKey,
        network: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.put(|waiting| {
            // While nothing can be written, claims of invented ids must not fill the memory.
            if waiting.networks.len() < waiting::MOST {
                waiting.networks.insert((*device, network.into()), at);
            }
        })
    }

    fn put(&self, add: impl FnOnce(&mut Waiting)) -> Result<(), StoreError> {
        let writer = self.writer()?;
        let shared = Arc::clone(&self.inner.shared);
        add(&mut waiting::lock(&shared.waiting));
        // One job at a time is enough: it takes all that waits when it runs.
        if !shared.waiting_job.swap(true, Ordering::AcqRel) {
            drop(writer.give(move |writing| {
                shared.waiting_job.store(false, Ordering::Release);
                Waiting::write_alone(&mut writing.db, &shared.waiting);
            })?);
        }
        Ok(())
    }

    /// Reads, on a thread that may block: `store.read(|reader| reader.device(&key)).await`. At
    /// most eight reads run at the same time.
    ///
    /// # Errors
    /// What the closure returns, or when no connection can be had.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.read_among(&self.inner.reading, read).await
    }

    /// Reads a row or two that somebody waits for, such as who a device is. It has places of its
    /// own, four, so that it does not wait for long reads.
    ///
    /// # Errors
    /// What the closure returns, or when no connection can be had.
    pub async fn look_up<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.read_among(&self.inner.looking_up, read).await
    }

    async fn read_among<T: Send + 'static>(
        &self,
        places: &Arc<Semaphore>,
        read: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let place = Arc::clone(places).acquire_owned().await;
        let store = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let result = store.reader().and_then(|reader| read(&reader));
            drop(place);
            result
        });
        done.await.unwrap_or(Err(StoreError::Closed))
    }

    /// A connection for reading. Its calls block.
    ///
    /// # Errors
    /// When no connection can be had.
    pub fn reader(&self) -> Result<Reader, StoreError> {
        let idle = self.idle_readers().pop();
        let db = match idle {
            Some(db) => db,
            None => self.connect_reader()?,
        };
        Ok(Reader::new(db, self.clone()))
    }

    fn connect_reader(&self) -> Result<Connection, StoreError> {
        let path = &self.inner.path;
        if let Some(opened) = &self.inner.opened {
            let opened = opened.lock().unwrap_or_else(PoisonError::into_inner);
            opened.are_the_same().map_err(StoreError::Moved)?;
        }
        let opening = |error: rusqlite::Error| StoreError::opening(path, &error);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags).map_err(opening)?;
        db.busy_timeout(Duration::from_secs(5)).map_err(opening)?;
        Ok(db)
    }

    fn idle_readers(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.inner
            .idle_readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn keep_reader(&self, db: Connection) {
        let mut idle = self.idle_readers();
        if idle.len() < IDLE_READERS {
            idle.push(db);
        }
    }

    fn waiting(&self) -> &Mutex<Waiting> {
        &self.inner.shared.waiting
    }

    fn provenance(&self, id: i64) -> Option<Provenance> {
        let known = self.inner.provenance.read();
        known
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .copied()
    }

    fn know_provenance(&self, all: HashMap<i64, Provenance>) {
        let known = self.inner.provenance.write();
        *known.unwrap_or_else(PoisonError::into_inner) = all;
    }

    fn writer(&self) -> Result<&Writer, StoreError> {
        self.inner.writer.as_ref().ok_or(StoreError::ReadOnly)
    }

    /// A number for a device that the store does not know yet.
    fn next_slot(&self) -> i64 {
        self.inner.next_slot.fetch_add(1, Ordering::Relaxed)
    }
}

impl Inner {
    fn new(path: PathBuf, options: StoreOptions, slot: i64) -> Self {
        Self {
            path,
            shared: Arc::new(Shared {
                options,
                waiting: Mutex::default(),
                waiting_job: AtomicBool::new(false),
                commands: broadcast::channel(CHANGES).0,
            }),
            idle_readers: Mutex::default(),
            writer: None,
            reading: Arc::new(Semaphore::new(READERS)),
            looking_up: Arc::new(Semaphore::new(LOOK_UPS)),
            next_slot: AtomicI64::new(slot),
            judged: Mutex::default(),
            provenance: RwLock::default(),
            opened: None,
        }
    }
}

/// The wall clock.
fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
