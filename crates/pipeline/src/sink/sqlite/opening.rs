//! What comes before a store can be used: its lock, its settings, a look at its structure.

use std::fs::{File, TryLockError};
use std::path::Path;

use rusqlite::Connection;

use super::{LOCK, StoreError, StoreOptions};

/// What keeps a second process out: the lock on the open folder, which nothing in it can be
/// removed from under, and that on the file that older versions lock. (A lock on the database file
/// itself would interfere with SQLite's.)
pub(super) struct Locks {
    _folder: Option<File>,
    _file: File,
}

pub(super) fn lock(folder: &Path) -> Result<Locks, StoreError> {
    let held = |path: &Path, file: File| match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse(folder.to_owned())),
        Err(TryLockError::Error(source)) => Err(StoreError::Io {
            path: path.to_owned(),
            source,
        }),
    };
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| StoreError::Io { path, source }
    };
    // Only Unix can open a folder as a file.
    let of_folder = if cfg!(unix) {
        let opened = File::open(folder).map_err(io(folder))?;
        Some(held(folder, opened)?)
    } else {
        None
    };
    let path = folder.join(LOCK);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(io(&path))?;
    Ok(Locks {
        _folder: of_folder,
        _file: held(&path, file)?,
    })
}

/// To which length SQLite cuts its log when it begins it anew.
pub(super) fn log_limit(options: &StoreOptions) -> u64 {
    u64::from(options.checkpoint_bytes).saturating_mul(4)
}

pub(super) fn configure_writer(
    db: &Connection,
    options: &StoreOptions,
) -> Result<(), rusqlite::Error> {
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
    let keep = i64::try_from(log_limit(options)).unwrap_or(i64::MAX);
    db.pragma_update_and_check(None, "journal_size_limit", keep, |_| Ok(()))?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// Checks the file's structure, where that takes no more than moments.
pub(super) fn check_structure(db: &Connection, path: &Path, up_to: u64) -> Result<(), StoreError> {
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
