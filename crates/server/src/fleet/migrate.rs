//! `milepost migrate`: the database's tables.

use milepost_pipeline::sink::timescale::{Database, Schema};

use super::{Options, Role};
use crate::failure::Failure;
use crate::protocol::Protocols;

/// Brings the database to the tables of this version.
///
/// # Errors
/// When it cannot be reached or changed.
pub async fn run(options: &Options, protocols: Protocols) -> Result<(), Failure> {
    let config = options.start(Role::Other, protocols)?;
    let url = super::database(&config)?;
    let applied = Database::migrate(&url, &Schema::default()).await;
    let applied =
        applied.map_err(|error| Failure::new(format!("cannot migrate {url}: {error}")))?;
    match applied.last() {
        None => crate::say(format_args!("{url} has the tables of this version")),
        Some(newest) => crate::say(format_args!(
            "{url} has the tables of this version now: {} steps, to version {newest}",
            applied.len()
        )),
    }
    Ok(())
}
