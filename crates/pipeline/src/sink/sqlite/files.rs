//! Whether the files that are open are still the store's.
//!
//! A file that is removed or renamed stays open and takes all that is written into it, without any
//! error, and is gone with the process. So the files at the store's paths are compared with those
//! that were opened, before and after each piece of work, and each second in between. Only `stat`
//! is used: opening the database file a second time and closing it would drop SQLite's locks.
//!
//! This finds files that were removed, replaced or moved (with their folder too) and files that
//! were cut short. Damage inside of them is found by SQLite when it reads the damaged page.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::condition::Condition;

/// How often the files are looked for while they are missing.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The database itself may become shorter, by a `VACUUM` in another program, but not without this.
const FIRST_PAGE: u64 = 100;

/// What tells one file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    #[cfg(unix)]
    fn of(file: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self {
            device: file.dev(),
            inode: file.ino(),
        }
    }

    /// There is no such number here: only missing and shortened files are found.
    #[cfg(not(unix))]
    fn of(_: &Metadata) -> Self {
        Self {
            device: 0,
            inode: 0,
        }
    }
}

#[derive(Debug)]
struct Known {
    path: PathBuf,
    id: FileId,
    /// It was at least so long when this process had written it last.
    length: u64,
}

impl Known {
    fn of(path: PathBuf) -> std::io::Result<Self> {
        let file = std::fs::metadata(&path)?;
        Ok(Self {
            id: FileId::of(&file),
            length: file.len(),
            path,
        })
    }

    /// How long the file is now.
    fn check(&self, least: u64) -> Result<u64, String> {
        let path = self.path.display();
        let file = match std::fs::metadata(&self.path) {
            Ok(file) => file,
            Err(error) => return Err(format!("{path} cannot be found: {error}")),
        };
        if FileId::of(&file) != self.id {
            return Err(format!("{path} is not the file that was opened"));
        }
        if file.len() < least {
            return Err(format!(
                "{path} was cut short: {} bytes, and was {} bytes",
                file.len(),
                self.length
            ));
        }
        Ok(file.len())
    }
}

/// The database file and its write-ahead log.
#[derive(Debug)]
pub(super) struct Files {
    database: Known,
    log: Option<Known>,
    /// SQLite itself cuts the log to this length when it begins it anew.
    log_limit: u64,
    condition: Condition,
    /// How long files may be missing before the store gives up.
    grace: Duration,
}

impl Files {
    /// The files of a database that has just been opened.
    pub(super) fn of(
        database: &Path,
        log_limit: u64,
        condition: Condition,
        grace: Duration,
    ) -> std::io::Result<Self> {
        Ok(Self {
            log: Self::log_of(database),
            database: Known::of(database.to_owned())?,
            log_limit,
            condition,
            grace,
        })
    }

    fn log_of(database: &Path) -> Option<Known> {
        let mut path = database.as_os_str().to_owned();
        path.push("-wal");
        Known::of(path.into()).ok()
    }

    /// Whether the files at the paths are those that were opened; whatever their length.
    pub(super) fn are_the_same(&self) -> Result<(), String> {
        self.database.check(0)?;
        self.log.as_ref().map_or(Ok(0), |log| log.check(0))?;
        Ok(())
    }

    /// Before work: the files are as this process left them.
    fn unchanged(&self) -> Result<(), String> {
        self.database.check(FIRST_PAGE)?;
        if let Some(log) = &self.log {
            log.check(log.length)?;
        }
        Ok(())
    }

    /// After work: the files are the same, and as long as that work can have left them.
    fn note(&mut self) -> Result<(), String> {
        self.database.length = self.database.check(FIRST_PAGE)?;
        match &mut self.log {
            Some(log) => log.length = log.check(log.length.min(self.log_limit))?,
            // It is made with the first write.
            None => self.log = Self::log_of(&self.database.path),
        }
        Ok(())
    }

    /// Whether the files are there before work; waits for them if they are not. `false`: they
    /// have not come back, and the condition has failed.
    pub(super) fn are_unchanged(&mut self) -> bool {
        self.wait(|files| files.unchanged())
    }

    /// Whether the files are there after work, which may be reported then.
    pub(super) fn are_kept(&mut self) -> bool {
        self.wait(Self::note)
    }

    fn wait(&mut self, check: impl Fn(&mut Self) -> Result<(), String>) -> bool {
        if self.condition.has_failed().is_some() {
            return false;
        }
        let Err(reason) = check(self) else {
            return true;
        };
        tracing::error!(
            reason,
            "the store's files have changed under it: nothing is acknowledged until they are back"
        );
        self.condition
            .failing(&format!("the store's files have changed: {reason}"));
        let until = Instant::now() + self.grace;
        while Instant::now() < until {
            std::thread::sleep(LOOK_EVERY.min(self.grace));
            if check(self).is_ok() {
                tracing::warn!("the store's files are back");
                self.condition.recovered();
                return true;
            }
        }
        self.condition.fail(&format!(
            "the store's files have changed and did not come back: {reason}"
        ));
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> Files {
        let database = folder.join("db");
        std::fs::write(&database, [1; 100]).unwrap();
        std::fs::write(folder.join("db-wal"), [1; 100]).unwrap();
        Files::of(&database, 64, Condition::default(), Duration::ZERO).unwrap()
    }

    #[test]
    fn files_that_are_removed_replaced_or_shortened_are_noticed() {
        type Change = fn(&Path);
        let changes: [(&str, Change); 5] = [
            ("cannot be found", |f| {
                std::fs::remove_file(f.join("db")).unwrap()
            }),
            ("cannot be found", |f| {
                std::fs::rename(f.join("db-wal"), f.join("x")).unwrap();
            }),
            ("not the file", |f| {
                std::fs::write(f.join("new"), [1; 100]).unwrap();
                std::fs::rename(f.join("new"), f.join("db")).unwrap();
            }),
            ("cut short", |f| {
                std::fs::write(f.join("db-wal"), [1; 99]).unwrap()
            }),
            ("cut short", |f| std::fs::write(f.join("db"), []).unwrap()),
        ];
        for (expected, change) in changes {
            let folder = tempfile::tempdir().unwrap();
            let mut files = files(folder.path());
            assert!(files.are_unchanged() && files.are_kept());
            change(folder.path());
            let error = files.unchanged().unwrap_err();
            assert!(error.contains(expected), "{error}");
            assert!(!files.are_unchanged());
            let reason = files.condition.has_failed().unwrap();
            assert!(reason.contains(expected), "{reason}");
        }
    }

    #[test]
    fn a_log_that_is_begun_anew_may_be_shorter_after_work() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = files(folder.path());
        std::fs::write(folder.path().join("db-wal"), [1; 64]).unwrap();
        assert!(files.unchanged().is_err());
        assert!(files.note().is_ok());
        assert!(files.unchanged().is_ok());
        std::fs::write(folder.path().join("db-wal"), [1; 63]).unwrap();
        assert!(files.note().is_err());
    }
}
