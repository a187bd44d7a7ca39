//! Simulated trackers.

mod random;
mod road;
mod vehicle;

use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

/// Flags of `milepost simulate`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {}

/// What a simulation did.
#[derive(Debug)]
pub struct Summary {}

impl Summary {
    /// Whether nothing was wrong.
    pub const fn is_ok(&self) -> bool {
        true
    }
}

/// Runs the simulation until it is over or `shutdown` is cancelled.
///
/// # Errors
/// When it cannot start.
pub async fn run(_: Options, _: CancellationToken) -> Result<Summary, Failure> {
    Err(Failure::new("not built yet"))
}
