//! Why the database did not do something.

use milepost_telemetry::Name;
use tokio_postgres::error::SqlState;

use crate::SinkError;

/// An error of the database. No password appears in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// The URL cannot be read.
    #[error("{0}")]
    Url(&'static str),
    /// TLS cannot be set up.
    #[error("TLS to the database: {0}")]
    Tls(String),
    /// The tables are of an older version.
    #[error(
        "the database has tables of version {version}, this program needs {newest}: run `milepost migrate`"
    )]
    Older {
        /// The database's version; 0 if it has no tables.
        version: i32,
        /// This program's version.
        newest: i32,
    },
    /// The tables are of a newer version.
    #[error(
        "the database has tables of version {version}, this program knows {newest}: run a newer one"
    )]
    Newer {
        /// The database's version.
        version: i32,
        /// This program's version.
        newest: i32,
    },
    /// Another worker has taken over the partition, or the mark is not where this one left it.
    #[error(
        "{topic}/{partition} is held by generation {found} at offset {found_offset:?}; this is \
         generation {generation} at offset {expected_offset:?}"
    )]
    Superseded {
        /// The topic.
        topic: Name,
        /// The partition.
        partition: i32,
        /// This claim's generation.
        generation: i64,
        /// The generation in the mark.
        found: i64,
        /// Where the batch begins.
        expected_offset: Option<i64>,
        /// Where the mark is.
        found_offset: Option<i64>,
    },
    /// No answer came in time.
    #[error("the database did not answer within {} s", .0.as_secs())]
    Timeout(std::time::Duration),
    /// A stored row cannot be read.
    #[error("a stored row cannot be read: {0}")]
    Row(String),
    /// The server or the connection.
    #[error("database: {}", shown(.0))]
    Server(#[from] tokio_postgres::Error),
}

/// The server's own words, which the error type leaves out.
fn shown(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(answer) => format!("{} (SQLSTATE {})", answer.message(), answer.code().code()),
        None => match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        },
    }
}

impl DatabaseError {
    /// The server's code, if it answered.
    pub(super) fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Server(error) => error.code(),
            _ => None,
        }
    }

    /// Whether another worker holds the partition: the shard detaches.
    pub const fn is_superseded(&self) -> bool {
        matches!(self, Self::Superseded { .. })
    }

    /// Whether the connection is of no use any more.
    pub fn needs_reconnect(&self) -> bool {
        match self {
            Self::Server(error) => match error.code() {
                // The server is going down, or has thrown this session out.
                Some(code) => matches!(code.code().get(..2), Some("57" | "08")),
                None => true,
            },
            Self::Timeout(_) => true,
            _ => false,
        }
    }
}

/// Values that PostgreSQL refuses (classes 22 and 23) are the fault of a row; everything else can
/// work later.
impl From<DatabaseError> for SinkError {
    fn from(error: DatabaseError) -> Self {
        match error.code().and_then(|code| code.code().get(..2)) {
            Some("22" | "23") => Self::permanent(error),
            _ => Self::transient(error),
        }
    }
}
