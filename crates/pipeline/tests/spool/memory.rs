//! A folder in memory that fails on demand, and loses what was not synced.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use milepost_pipeline::spool::{Storage, StorageFile};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// A disk. Clones share it; [`Disk::session`] is what one process sees of it.
#[derive(Debug, Clone)]
pub(crate) struct Disk(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    files: BTreeMap<String, FileState>,
    /// Deleted, but not durably.
    deleted: BTreeMap<String, FileState>,
    rng: StdRng,
    /// The number of changes until one fails.
    fail_in: Option<u32>,
    full: bool,
    /// What an earlier process does is not seen any more.
    session: u64,
}

#[derive(Debug, Clone, Default)]
struct FileState {
    current: Vec<u8>,
    durable: Vec<u8>,
    /// Whether its name is durable.
    named: bool,
    /// After a failed sync, dirty pages count as clean: a later sync says yes and stores nothing.
    forgets: bool,
}

impl Disk {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            files: BTreeMap::new(),
            deleted: BTreeMap::new(),
            rng: StdRng::seed_from_u64(seed),
            fail_in: None,
            full: false,
            session: 0,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// What a new process sees; all earlier ones are dead.
    pub(crate) fn session(&self) -> Session {
        let mut state = self.lock();
        state.session += 1;
        Session {
            disk: self.clone(),
            session: state.session,
        }
    }

    /// The `n`th change from now fails, in the middle.
    pub(crate) fn fail_in(&self, n: Option<u32>) {
        self.lock().fail_in = n;
    }

    /// Whether every write fails.
    pub(crate) fn set_full(&self, full: bool) {
        self.lock().full = full;
    }

    /// The power goes: of what was not synced anything may be there. Says whether there was any.
    pub(crate) fn power_loss(&self) -> bool {
        let mut state = self.lock();
        let State {
            files,
            deleted,
            rng,
            ..
        } = &mut *state;
        let mut lossy = false;
        for (name, file) in std::mem::take(deleted) {
            if rng.random() {
                files.entry(name).or_insert(file);
            }
        }
        files.retain(|_, file| {
            if !file.named && rng.random() {
                return false;
            }
            file.named = true;
            if file.current != file.durable {
                lossy = true;
                file.current = torn(&file.durable, &file.current, rng);
            }
            file.durable.clone_from(&file.current);
            file.forgets = false;
            true
        });
        lossy
    }

    /// Names and contents, for a test that damages them.
    pub(crate) fn change(&self, change: impl FnOnce(&mut BTreeMap<String, Vec<u8>>)) {
        let mut state = self.lock();
        let mut contents: BTreeMap<String, Vec<u8>> = state
            .files
            .iter()
            .map(|(name, file)| (name.clone(), file.current.clone()))
            .collect();
        change(&mut contents);
        state.files = contents
            .into_iter()
            .map(|(name, bytes)| {
                let file = FileState {
                    current: bytes.clone(),
                    durable: bytes,
                    named: true,
                    forgets: false,
                };
                (name, file)
            })
            .collect();
    }
}

/// Between what was synced and what was written, block by block.
fn torn(durable: &[u8], current: &[u8], rng: &mut StdRng) -> Vec<u8> {
    let len = if rng.random() {
        rng.random_range(durable.len().min(current.len())..=durable.len().max(current.len()))
    } else {
        current.len()
    };
    let mut bytes = vec![0; len];
    for at in (0..len).step_by(64) {
        let end = (at + 64).min(len);
        let source = if rng.random() { current } else { durable };
        for (i, byte) in bytes[at..end].iter_mut().enumerate() {
            *byte = source.get(at + i).copied().unwrap_or(0);
        }
    }
    // What was durable and is not changed stays.
    let same = durable
        .iter()
        .zip(current)
        .take_while(|(a, b)| a == b)
        .count()
        .min(len);
    bytes[..same].copy_from_slice(&durable[..same]);
    bytes
}

impl State {
    /// Whether the change that is asked for now works.
    fn works(&mut self) -> io::Result<()> {
        if self.full {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        match &mut self.fail_in {
            Some(0) => {
                self.fail_in = None;
                Err(io::Error::other("injected"))
            }
            Some(n) => {
                *n -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Session {
    disk: Disk,
    session: u64,
}

impl Session {
    fn file(&self, name: &str) -> MemoryFile {
        MemoryFile {
            disk: self.disk.clone(),
            session: self.session,
            name: name.to_owned(),
        }
    }
}

impl Storage for Session {
    type File = MemoryFile;

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.disk.lock().files.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<MemoryFile> {
        let mut state = self.disk.lock();
        if state.files.contains_key(name) {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        let works = state.works();
        if works.is_ok() || state.rng.random() {
            state.files.insert(name.to_owned(), FileState::default());
        }
        works.map(|()| self.file(name))
    }

    fn open(&self, name: &str) -> io::Result<MemoryFile> {
        Ok(self.file(name))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.disk.lock();
        if state.session != self.session {
            return Ok(());
        }
        state.works()?;
        if let Some(file) = state.files.remove(name)
            && file.named
        {
            state.deleted.insert(name.to_owned(), file);
        }
        Ok(())
    }

    fn sync_folder(&self) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.works()?;
        for file in state.files.values_mut() {
            file.named = true;
        }
        state.deleted.clear();
        Ok(())
    }
}

#[derive(Debug)]
pub(crate) struct MemoryFile {
    disk: Disk,
    session: u64,
    name: String,
}

impl MemoryFile {
    fn with<T>(
        &self,
        change: impl FnOnce(&mut FileState, io::Result<()>, &mut StdRng) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.disk.lock();
        if state.session != self.session {
            return Err(io::Error::other("this process is dead"));
        }
        let works = state.works();
        let State { files, rng, .. } = &mut *state;
        let file = files
            .get_mut(&self.name)
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        change(file, works, rng)
    }
}

impl StorageFile for MemoryFile {
    fn size(&self) -> io::Result<u64> {
        let state = self.disk.lock();
        Ok(state
            .files
            .get(&self.name)
            .map_or(0, |file| file.current.len() as u64))
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.lock();
        let Some(file) = state.files.get(&self.name) else {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        };
        let rest = file.current.get(offset as usize..).unwrap_or_default();
        // Short reads are part of the contract.
        let len = rest.len().min(buf.len()).min(1_000);
        buf[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.with(|file, works, rng| {
            let len = match works {
                Ok(()) => buf.len(),
                Err(_) => rng.random_range(0..=buf.len()),
            };
            let end = offset as usize + len;
            if file.current.len() < end {
                file.current.resize(end, 0);
            }
            file.current[offset as usize..end].copy_from_slice(&buf[..len]);
            works
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.with(|file, works, rng| {
            if works.is_ok() && !file.forgets {
                file.durable.clone_from(&file.current);
            } else if works.is_err() {
                file.forgets = true;
                if rng.random() {
                    file.durable = torn(&file.durable, &file.current, rng);
                }
            }
            works
        })
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.with(|file, works, _| {
            works?;
            file.current.truncate(len as usize);
            Ok(())
        })
    }
}
