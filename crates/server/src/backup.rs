//! `milepost backup`: a consistent copy of the store, also while the server writes it.

use std::path::PathBuf;

use milepost_pipeline::sink::sqlite::{Store, StoreError};

use crate::failure::Failure;
use crate::options::StorePlace;
use crate::protocol::Protocols;

/// Flags of `milepost backup`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Where the store is.
    #[command(flatten)]
    pub place: StorePlace,
    /// The file to write; it must not exist.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Writes the copy.
///
/// # Errors
/// When the store cannot be read or the file cannot be written.
pub fn run(options: &Options, protocols: Protocols) -> Result<(), Failure> {
    let config = options.place.load(protocols)?;
    // The copy holds where vehicles are: for this user only, as the store itself.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let failed = |error: StoreError| {
        let failure = Failure::new(format!(
            "cannot back up {}: {error}",
            config.data_dir.display()
        ));
        match error {
            StoreError::Io { source, .. } if source.kind() == std::io::ErrorKind::AlreadyExists => {
                failure.remedy("name a file that does not exist yet: backups overwrite nothing")
            }
            _ => failure,
        }
    };
    let store = Store::open_read_only(&config.data_dir).map_err(failed)?;
    store.backup(&options.file).map_err(failed)?;
    let bytes = std::fs::metadata(&options.file).map_or(0, |file| file.len());
    crate::say(format_args!(
        "{}: {bytes} bytes. To restore it, stop the server and start it with a new data folder that \
         holds this file as milepost.sqlite.",
        options.file.display()
    ));
    Ok(())
}
