//! The ledger: every frame that was sent and every acknowledgement that was seen, one JSON
//! object a line. It is the devices' side of the story; `milepost audit --ledger` compares it
//! with what the store holds.
//!
//! ```json
//! {"t":"2026-11-20T07:00:00.123Z","device":"004999010000015","event":"sent","kind":"location","key":"0197…","frame":"787822…"}
//! {"t":"2026-11-20T07:00:00.131Z","device":"004999010000015","event":"acked","kind":"location","key":"0197…"}
//! ```
//!
//! `key` is the id that the report of this frame must have in the store. Frames that carry no
//! fact of their own time (logins, heartbeats) have none, since their ids depend on where they
//! arrive. The same fact sent again has the same key.

mod compare;

use std::fs::File;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::sync::Mutex;

pub use compare::{Comparison, Example, LedgerAudit};
use milepost_telemetry::{DeviceId, ReportId, Timestamp};
use serde::{Deserialize, Serialize};

use super::stats::Kind;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// A frame was given to the network.
    Sent,
    /// The right reply to it was seen.
    Acked,
}

/// One line of a ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When, by the clock of the machine that simulates.
    pub t: Timestamp,
    /// Whose frame.
    pub device: DeviceId,
    /// Sent, or acknowledged.
    pub event: What,
    /// What kind of frame.
    pub kind: Kind,
    /// The id of the report that the frame becomes, where it can be known before it arrives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<ReportId>,
    /// The bytes sent, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<String>,
}

/// Writes a ledger. Lines are gathered and written whole, so that a reader never sees half a line
/// unless this process was killed in the middle of a write.
#[derive(Debug)]
pub(crate) struct Writer(Mutex<Pending>);

#[derive(Debug)]
struct Pending {
    file: File,
    lines: Vec<u8>,
    /// The first error; everything after it is lost, which the end of the simulation says.
    error: Option<io::Error>,
}

/// How much is gathered before it is written without waiting for the next [`Writer::flush`].
const GATHERED: usize = 64 * 1024;

impl Writer {
    /// Creates the file, or empties it.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self(Mutex::new(Pending {
            file: File::create(path)?,
            lines: Vec::new(),
            error: None,
        })))
    }

    pub(crate) fn record(&self, entry: &Entry) {
        let mut pending = self.lock();
        if let Err(error) = serde_json::to_writer(&mut pending.lines, entry) {
            pending.error.get_or_insert_with(|| error.into());
        }
        pending.lines.push(b'\n');
        if pending.lines.len() >= GATHERED {
            pending.write();
        }
    }

    /// Hands what was gathered to the operating system.
    pub(crate) fn flush(&self) {
        self.lock().write();
    }

    /// Writes the rest, to the disk.
    ///
    /// # Errors
    /// The first error since the ledger was created.
    pub(crate) fn finish(&self) -> io::Result<()> {
        let mut pending = self.lock();
        pending.write();
        match pending.error.take() {
            Some(error) => Err(error),
            None => pending.file.sync_all(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Pending> {
        // A panic while gathering leaves at worst one broken line.
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Pending {
    fn write(&mut self) {
        if let Err(error) = self.file.write_all(&self.lines) {
            self.error.get_or_insert(error);
        }
        self.lines.clear();
    }
}

/// A line of a ledger that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {source}")]
pub struct BadLine {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub source: io::Error,
}

/// Reads a ledger line by line. A last line without its end was being written when the simulator
/// was killed: it is left out.
pub fn read(file: impl BufRead) -> impl Iterator<Item = Result<Entry, BadLine>> {
    let mut file = file;
    let mut number = 0;
    let mut text = String::new();
    std::iter::from_fn(move || {
        loop {
            text.clear();
            number += 1;
            let bad = |source| BadLine {
                line: number,
                source,
            };
            return match file.read_line(&mut text) {
                Err(error) => Some(Err(bad(error))),
                Ok(_) if !text.ends_with('\n') => None,
                Ok(_) if text.trim().is_empty() => continue,
                Ok(_) => Some(serde_json::from_str(&text).map_err(|error| bad(error.into()))),
            };
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(event: What, frame: Option<&str>) -> Entry {
        Entry {
            t: Timestamp::from_millis(1_763_622_000_123),
            device: DeviceId::new("004999010000015").unwrap(),
            event,
            kind: Kind::Location,
            key: Some(ReportId::from_bytes([7; 16])),
            frame: frame.map(str::to_owned),
        }
    }

    #[test]
    fn what_was_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.jsonl");
        let entries = [
            entry(What::Sent, Some("7878")),
            entry(What::Acked, None),
            Entry {
                key: None,
                kind: Kind::Heartbeat,
                ..entry(What::Sent, Some("78780a"))
            },
        ];
        let writer = Writer::create(&path).unwrap();
        for entry in &entries {
            writer.record(entry);
        }
        writer.finish().unwrap();
        let file = io::BufReader::new(File::open(&path).unwrap());
        let back: Vec<Entry> = read(file).map(Result::unwrap).collect();
        assert_eq!(back, entries);
    }

    #[test]
    fn a_flush_leaves_whole_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.jsonl");
        let writer = Writer::create(&path).unwrap();
        for _ in 0..2_000 {
            writer.record(&entry(What::Sent, Some("78780a")));
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.is_empty() || text.ends_with('\n'));
        }
        writer.flush();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap().lines().count(),
            2_000
        );
    }

    #[test]
    fn a_half_written_last_line_is_left_out_and_a_broken_one_is_named() {
        let line = serde_json::to_string(&entry(What::Acked, None)).unwrap();
        let text = format!("{line}\n\nnonsense\n{line}\n{}", &line[..20]);
        let read: Vec<_> = read(text.as_bytes()).collect();
        assert_eq!(read.len(), 3);
        assert!(read[0].is_ok() && read[2].is_ok());
        assert!(
            read[1]
                .as_ref()
                .unwrap_err()
                .to_string()
                .starts_with("line 3: ")
        );
    }
}
