//! A copy of the store while it is in use.

use std::fs::File;
use std::path::Path;

use super::{Store, StoreError};

impl Store {
    /// Writes a consistent copy of the store into a new file: everything that was committed when
    /// this began, and nothing after it. It reads in one transaction, so that it ends however much
    /// is written meanwhile; the store's log of writes grows until then. The copy is compact, is
    /// synced, and appears under its name only when it is complete. Blocks.
    ///
    /// # Errors
    /// When the file exists, or cannot be written.
    pub fn backup(&self, file: impl AsRef<Path>) -> Result<(), StoreError> {
        let file = file.as_ref();
        let io = |source| StoreError::Io {
            path: file.to_owned(),
            source,
        };
        if file.exists() {
            return Err(io(std::io::ErrorKind::AlreadyExists.into()));
        }
        let mut unfinished = file.as_os_str().to_owned();
        unfinished.push(".part");
        let unfinished = Path::new(&unfinished);
        match std::fs::remove_file(unfinished) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(error)),
            _ => {}
        }
        let Some(name) = unfinished.to_str() else {
            return Err(io(std::io::Error::new(
                std::io::ErrorKind::InvalidInput,
                "the name is not UTF-8",
            )));
        };
        // A connection of its own: it is not given back with whatever is left of this.
        self.connect_reader()?.execute("VACUUM INTO ?1", [name])?;
        let copy = File::open(unfinished).and_then(|copy| copy.sync_all());
        copy.and_then(|()| std::fs::rename(unfinished, file))
            .map_err(io)?;
        let folder = file
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let folder = folder.unwrap_or_else(|| Path::new("."));
        if cfg!(unix) {
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(io)?;
        }
        Ok(())
    }
}
