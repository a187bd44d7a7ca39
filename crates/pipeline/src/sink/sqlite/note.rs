//! The note that a run leaves when the store itself takes nothing any more.
//!
//! How much a run has received is kept in the transactions of its batches. A run that ends while
//! the store is locked or full cannot write it there, and what it received since the last batch
//! would be missing from the audit. So it is kept in the text of the lock file, which is its own;
//! the file is written when the run begins, so that it takes no more space at the end. Audits read
//! it, and the next run brings it into the store.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// How long the text is, whatever it says.
const LENGTH: usize = 64;

/// How much a run has received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) epoch: i64,
    pub(super) received: i64,
}

impl Note {
    /// Writes it over what is there.
    pub(super) fn leave(self, file: &Path) -> io::Result<()> {
        let Self { epoch, received } = self;
        let text = format!("epoch {epoch} received {received}");
        let mut file = File::options().write(true).open(file)?;
        file.write_all(format!("{text:<width$}\n", width = LENGTH - 1).as_bytes())?;
        file.sync_data()
    }

    /// What is there, if it is one.
    pub(super) fn read(file: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(file).ok()?;
        let mut words = text.split_ascii_whitespace();
        let mut after = |word| {
            (words.next()? == word)
                .then(|| words.next()?.parse().ok())
                .flatten()
        };
        Some(Self {
            epoch: after("epoch")?,
            received: after("received")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_left_and_nothing_else_is() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let note = |epoch, received| Note { epoch, received };
        assert_eq!(Note::read(file.path()), None);
        note(7, i64::MAX).leave(file.path()).unwrap();
        assert_eq!(Note::read(file.path()), Some(note(7, i64::MAX)));
        note(8, 5).leave(file.path()).unwrap();
        assert_eq!(Note::read(file.path()), Some(note(8, 5)));
        let length = std::fs::metadata(file.path()).unwrap().len();
        assert_eq!(length, u64::try_from(LENGTH).unwrap());
        std::fs::write(file.path(), "epoch 8 received").unwrap();
        assert_eq!(Note::read(file.path()), None);
    }
}
