//! Why a sink did not take a batch.

use std::error::Error;

/// A sink did not take a batch; nothing of it is stored.
///
/// Each kind is handled in one place:
///
/// | kind | what the shard does |
/// |---|---|
/// | transient | tries again with back-off, without end |
/// | permanent | finds the record at fault by halving the batch, and sets it aside |
/// | fatal | gives up: nothing more is acknowledged, and the process must end |
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// It may work later, without any change to the batch: locked, no space, unreachable.
    #[error("not now: {0}")]
    Transient(#[source] Box<dyn Error + Send + Sync>),
    /// It will never work with this batch.
    #[error("refused: {0}")]
    Permanent(#[source] Box<dyn Error + Send + Sync>),
    /// It will never work with any batch: another writer has taken over, or the store is gone.
    #[error("given up: {0}")]
    Fatal(#[source] Box<dyn Error + Send + Sync>),
}

impl SinkError {
    /// It may work later.
    pub fn transient(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Transient(source.into())
    }

    /// It will never work with any batch.
    pub fn fatal(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Fatal(source.into())
    }

    /// It will never work with this batch.
    pub fn permanent(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Permanent(source.into())
    }
}
