//! The embedded store: one SQLite file on one machine.
//!
//! - **Durable when it says so.** Write-ahead log with `synchronous=FULL`: a batch is synced
//!   before anybody is told.
//! - **One process writes.** A lock file keeps a second one out, with a clear error. Inside, one
//!   thread owns the only connection that writes; readers have their own, and work while the
//!   writer waits.
//! - **The unique id is the judge of duplicates.** Rows, the last known state of each device, the
//!   states of the stages and the counters for the audit change in one transaction.

mod audit;
mod commands;
mod encode;
mod error;
mod note;
mod read;
mod retention;
mod schema;
mod write;
mod writer;

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use milepost_telemetry::{DeviceKey, Profile, Timestamp};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use tokio::sync::{Semaphore, broadcast};

pub use audit::{Audit, EpochAudit};
pub use commands::{Command, CommandState, NotQueued};
pub use error::StoreError;
pub use read::{Cursor, Device, Page, Paged, QuarantinedFrame, Reader, Span};
pub use retention::Forgotten;
pub use write::SqliteSink;

use note::Note;
use writer::Writer;

/// The store's file in its folder.
const FILE: &str = "milepost.sqlite";
/// The file whose lock keeps a second process out; its text is a [`Note`].
const LOCK: &str = "milepost.lock";

/// How a store is kept.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StoreOptions {
    /// Frames in quarantine, at most: beyond it the oldest are forgotten (and stay counted).
    pub quarantine: u32,
    /// Records of where single frames ended that are not in the history (duplicate, filtered,
    /// quarantined), at most: beyond it, and an eighth more, the oldest are only counted.
    pub outcomes: u32,
    /// How long a write waits for another program that has locked the store, before the attempt
    /// counts as failed and the pipeline backs off.
    pub busy: Duration,
    /// The writer's page cache.
    pub cache_bytes: u32,
    /// How much is gathered in the write-ahead log before it is brought into the main file.
    pub checkpoint_bytes: u32,
    /// Up to which size of the main file its structure is checked in full on opening.
    pub check_bytes: u64,
    /// Gives up durability against power loss, for trials: the store then syncs only now and
    /// then, and acknowledges what a power cut can undo.
    pub unsafe_without_sync: bool,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            quarantine: 100_000,
            outcomes: 100_000,
            busy: Duration::from_millis(250),
            cache_bytes: 64 * 1024 * 1024,
            checkpoint_bytes: 32 * 1024 * 1024,
            check_bytes: 64 * 1024 * 1024,
            unsafe_without_sync: false,
        }
    }
}

/// A store. Cheap to clone; the last clone closes it.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    options: StoreOptions,
    /// Before the writer, since fields are dropped in this order: only a connection that writes
    /// can, when it is closed last, bring the log into the main file and remove it.
    idle_readers: Mutex<Vec<Connection>>,
    /// Absent when the store was opened for reading only.
    writer: Option<Writer>,
    reading: Arc<Semaphore>,
    looking_up: Arc<Semaphore>,
    next_slot: AtomicI64,
    /// Profiles that were put and are not known to be durable yet.
    profiles: Arc<Mutex<HashMap<DeviceKey, Profile>>>,
    /// Whether a job that writes them is under way.
    profiles_job: Arc<AtomicBool>,
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
        let lock = lock(&folder.join(LOCK))?;
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
        let writer = Writer::start(db, lock).map_err(|source| StoreError::Io {
            path: path.clone(),
            source,
        })?;
        Ok(Self::assemble(path, options, Some(writer), last + 1))
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
        let store = Self::assemble(path, StoreOptions::default(), None, 0);
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

    fn assemble(path: PathBuf, options: StoreOptions, writer: Option<Writer>, slot: i64) -> Self {
        let inner = Inner {
            path,
            options,
            idle_readers: Mutex::default(),
            writer,
            reading: Arc::new(Semaphore::new(READERS)),
            looking_up: Arc::new(Semaphore::new(LOOK_UPS)),
            next_slot: AtomicI64::new(slot),
            profiles: Arc::default(),
            profiles_job: Arc::default(),
            commands: broadcast::channel(CHANGES).0,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The store's main file.
    pub fn path(&self) -> &Path {
        &self.inner.path
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
        let id = self.writer()?.call(move |db| {
            let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let id = tx.query_row(
                "INSERT INTO epoch (started_at) VALUES (?1) RETURNING id",
                [started.as_millis()],
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

    /// Where a pipeline writes the frames of an epoch.
    ///
    /// # Errors
    /// When the store was opened for reading only, or cannot be read.
    pub fn sink(&self, epoch: u64) -> Result<SqliteSink, StoreError> {
        self.writer()?;
        SqliteSink::new(self.clone(), epoch)
    }

    /// Keeps what was learned of a device. It can be read back at once, is written with the next
    /// batch or alone, and never blocks: what a crash loses of it is learned again.
    ///
    /// # Errors
    /// When the store was opened for reading only, or is closed.
    pub fn put_profile(&self, device: &DeviceKey, profile: &Profile) -> Result<(), StoreError> {
        let writer = self.writer()?;
        self.waiting_profiles().insert(*device, profile.clone());
        // One job at a time is enough: it takes all that wait when it runs.
        if !self.inner.profiles_job.swap(true, Ordering::AcqRel) {
            let under_way = Arc::clone(&self.inner.profiles_job);
            let profiles = Arc::clone(&self.inner.profiles);
            drop(writer.give(move |db| {
                under_way.store(false, Ordering::Release);
                write::profiles_alone(db, &profiles);
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
    /// own, four, so that it does not stand in line behind long reads.
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

    fn waiting_profiles(&self) -> std::sync::MutexGuard<'_, HashMap<DeviceKey, Profile>> {
        self.inner
            .profiles
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> Result<&Writer, StoreError> {
        self.inner.writer.as_ref().ok_or(StoreError::ReadOnly)
    }

    /// A number for a device that the store does not know yet.
    fn next_slot(&self) -> i64 {
        self.inner.next_slot.fetch_add(1, Ordering::Relaxed)
    }
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let io = |source| StoreError::Io {
        path: path.to_owned(),
        source,
    };
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(StoreError::InUse(path.parent().unwrap_or(path).to_owned()))
        }
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

fn configure_writer(db: &Connection, options: &StoreOptions) -> Result<(), rusqlite::Error> {
    let synchronous = if options.unsafe_without_sync {
        "NORMAL"
    } else {
        "FULL"
    };
    db.pragma_update(None, "synchronous", synchronous)?;
    db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    let page: i64 = db.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let pages = i64::from(options.checkpoint_bytes) / page.max(1);
    db.pragma_update(None, "wal_autocheckpoint", pages.max(1))?;
    db.pragma_update(None, "cache_size", -(i64::from(options.cache_bytes) / 1024))?;
    let keep = i64::from(options.checkpoint_bytes).saturating_mul(4);
    db.pragma_update_and_check(None, "journal_size_limit", keep, |_| Ok(()))?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// Checks the file's structure, where that takes no more than moments.
fn check_structure(db: &Connection, path: &Path, up_to: u64) -> Result<(), StoreError> {
    let opening = |error: rusqlite::Error| StoreError::opening(path, &error);
    if std::fs::metadata(path).is_ok_and(|file| file.len() > up_to) {
        return Ok(());
    }
    let found: String = db
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(opening)?;
    if found == "ok" {
        return Ok(());
    }
    Err(StoreError::Damaged {
        path: path.to_owned(),
        detail: found,
    })
}

/// The wall clock.
fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
