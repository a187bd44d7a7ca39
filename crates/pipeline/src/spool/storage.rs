//! The file operations that a log needs, so that a test can make each of them fail.

use std::fs::{self, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// A folder of files.
pub trait Storage: std::fmt::Debug + Send + Sync + 'static {
    /// An open file.
    type File: StorageFile;

    /// The names of all files.
    ///
    /// # Errors
    /// When the folder cannot be read.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes a file that does not exist yet.
    ///
    /// # Errors
    /// When it exists, or cannot be made.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// When it cannot be opened.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Deletes a file.
    ///
    /// # Errors
    /// When it is still there.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes creations and deletions durable.
    ///
    /// # Errors
    /// When they may not be.
    fn sync_folder(&self) -> io::Result<()>;
}

/// An open file. Reads and writes name their offset, so that one handle serves both.
pub trait StorageFile: std::fmt::Debug + Send + Sync + 'static {
    /// The size in bytes.
    ///
    /// # Errors
    /// When it cannot be asked.
    fn size(&self) -> io::Result<u64>;

    /// Reads up to `buf.len()` bytes; 0 at the end.
    ///
    /// # Errors
    /// When they cannot be read.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all bytes.
    ///
    /// # Errors
    /// When any of them may be missing.
    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()>;

    /// Makes the size and all that was written durable.
    ///
    /// # Errors
    /// When they may not be; what was written since the last success is then in an unknown state.
    fn sync(&self) -> io::Result<()>;

    /// Cuts the file.
    ///
    /// # Errors
    /// When it may not be cut.
    fn truncate(&self, len: u64) -> io::Result<()>;
}

/// A folder on a disk, locked against a second process.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    // Held for its lock.
    _lock: fs::File,
}

const LOCK: &str = "lock";

impl Folder {
    /// Opens a folder, making it if needed.
    ///
    /// # Errors
    /// When it cannot be made, or another process has it open.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        fs::create_dir_all(&path)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                format!("{} is in use by another process", path.display()),
            )),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl Storage for Folder {
    type File = fs::File;

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            if let Ok(name) = entry?.file_name().into_string()
                && name != LOCK
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<fs::File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(self.path.join(name))
    }

    fn open(&self, name: &str) -> io::Result<fs::File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.path.join(name))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync_folder(&self) -> io::Result<()> {
        fs::File::open(&self.path)?.sync_all()
    }
}

impl StorageFile for fs::File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, buf, offset)
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(self, buf, offset)
    }

    fn sync(&self) -> io::Result<()> {
        // fdatasync: it includes the size, and leaves out the times.
        self.sync_data()
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }
}
