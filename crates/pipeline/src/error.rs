//! Why a sink did not take a batch.

use std::error::Error;

/// A sink did not take a batch; nothing of it is stored.
///
/// The two kinds are handled differently, in one place each: a transient failure is tried again
/// with back-off for as long as it takes, a permanent one is the fault of a record, which is found
/// by halving the batch and set aside.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// It may work later, without any change to the batch: locked, no space, unreachable.
    #[error("not now: {0}")]
    Transient(#[source] Box<dyn Error + Send + Sync>),
    /// It will never work with this batch.
    #[error("refused: {0}")]
    Permanent(#[source] Box<dyn Error + Send + Sync>),
}

impl SinkError {
    /// It may work later.
    pub fn transient(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Transient(source.into())
    }

    /// It will never work.
    pub fn permanent(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Permanent(source.into())
    }
}
