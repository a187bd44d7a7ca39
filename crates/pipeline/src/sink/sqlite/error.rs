//! What can be wrong with a store.

use std::error::Error;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use crate::SinkError;

/// A store cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has the store open for writing.
    #[error("{} is in use by another process: stop that one, or give this one another folder", .0.display())]
    InUse(PathBuf),
    /// The store was written by a newer version.
    #[error(
        "{} is a store of a newer version (format {found}; this version reads up to {supported}): \
         use that version, or another folder",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format that it has.
        found: i64,
        /// The newest format that this version knows.
        supported: i64,
    },
    /// The file is a database, but not one of ours.
    #[error("{} is not a Milepost store: use another folder", .0.display())]
    Foreign(PathBuf),
    /// The file is damaged.
    #[error("{} is damaged ({detail}): restore it from a copy, or move it away to start anew", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// There is no store.
    #[error("{} does not exist", .0.display())]
    Missing(PathBuf),
    /// A file or folder cannot be used.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The epoch has had its judge: what two shards received would not add up in its audit.
    #[error("epoch {0} has a judge already: begin another epoch for another shard")]
    EpochTaken(u64),
    /// The store was opened for reading only.
    #[error("the store was opened for reading only")]
    ReadOnly,
    /// The store's files are not those that were opened.
    #[error("the store's files have changed: {0}")]
    Moved(String),
    /// A cursor that this store did not make.
    #[error("not a cursor of this store")]
    Cursor,
    /// A row cannot be read back.
    #[error("row {row} cannot be read: {source}")]
    Row {
        /// What the row is called.
        row: String,
        /// What is wrong with it.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The database says no.
    #[error("{0}")]
    Database(#[source] Box<dyn Error + Send + Sync>),
    /// The thread that writes is gone.
    #[error("the store is closed")]
    Closed,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(explain(&error).into())
    }
}

impl StoreError {
    /// An error on opening: says which file, and what to do.
    pub(super) fn opening(path: &Path, error: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Damaged {
                path,
                detail: error.to_string(),
            },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                Self::Io {
                    path,
                    source: std::io::Error::new(
                        std::io::ErrorKind::PermissionDenied,
                        explain(error),
                    ),
                }
            }
            _ => Self::Database(format!("{}: {}", path.display(), explain(error)).into()),
        }
    }
}

/// Says what an error means, in words that help whoever reads the log.
fn explain(error: &rusqlite::Error) -> String {
    let hint = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "no space left for the store",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "the store is locked by another program"
        }
        Some(ErrorCode::ReadOnly) => "the store cannot be written: check the folder's permissions",
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => "the store is damaged",
        Some(ErrorCode::SystemIoFailure) => "the disk failed",
        _ => return error.to_string(),
    };
    format!("{hint} ({error})")
}

/// Only a record can make a failure permanent. Everything else is the store's state, which may
/// change: until then the data waits in memory and the devices are not told.
impl From<rusqlite::Error> for SinkError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error as E;
        let about_the_record = matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch)
        ) || matches!(
            error,
            E::ToSqlConversionFailure(_) | E::NulError(_) | E::IntegralValueOutOfRange(..)
        );
        if about_the_record {
            Self::permanent(error)
        } else {
            Self::transient(explain(&error))
        }
    }
}
