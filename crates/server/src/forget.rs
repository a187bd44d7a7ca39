//! `milepost forget`: removes at once what arrived before a time. The server does the same by
//! itself for what is older than `store.keep_days`, more carefully.

use milepost_pipeline::sink::sqlite::{Forgotten, Store, StoreError, StoreOptions};
use milepost_telemetry::Timestamp;

use crate::failure::Failure;
use crate::options::StorePlace;
use crate::protocol::Protocols;

/// Rows that are removed in one transaction.
const STEP: u32 = 10_000;

/// Flags of `milepost forget`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Where the store is.
    #[command(flatten)]
    pub place: StorePlace,
    /// What arrived before this time is removed: RFC 3339, such as 2026-01-31T00:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub before: Timestamp,
}

fn time(text: &str) -> Result<Timestamp, String> {
    text.parse()
        .map_err(|_| "expected a time with its zone, such as 2026-01-31T00:00:00Z".to_owned())
}

/// Removes it, and says how much it was.
///
/// # Errors
/// When the store cannot be opened for writing (a server runs) or written.
pub async fn run(options: &Options, protocols: Protocols) -> Result<(), Failure> {
    let config = options.place.load(protocols)?;
    let failed = |error: StoreError| {
        let place = config.data_dir.display();
        Failure::new(format!("cannot forget what is old in {place}: {error}"))
    };
    // Opening for writing would make a store where there is none.
    if let Err(error @ StoreError::Missing(_)) = Store::open_read_only(&config.data_dir) {
        return Err(failed(error));
    }
    let store = Store::open(&config.data_dir, StoreOptions::default()).map_err(failed)?;
    let mut all = Forgotten::default();
    loop {
        let step = store.forget_before(options.before, STEP).await;
        let step = step.map_err(failed)?;
        all.reports += step.reports;
        all.quarantined += step.quarantined;
        all.commands += step.commands;
        if !step.more {
            break;
        }
    }
    crate::say(format_args!(
        "forgotten: {} reports, {} frames in quarantine, {} commands from before {}",
        all.reports, all.quarantined, all.commands, options.before
    ));
    Ok(())
}
