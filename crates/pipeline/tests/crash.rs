//! What a killed process, a power cut and a full disk leave behind.
//!
//! A child process (this test's own binary) stores positions and prints each id that was
//! acknowledged. For power cuts and full disks it runs on `crash/shim.c`, a layer under the store
//! that forgets what was not synced.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
#![cfg(all(feature = "sqlite", target_os = "linux"))]

mod support;

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use milepost_pipeline::sink::sqlite::{Page, Span, Store, StoreOptions};
use milepost_pipeline::sink::{FollowFrom, Follower, News, Position};
use milepost_pipeline::{Backoff, Handle, Health, Options, Outcome, Pipeline, SinkError};
use milepost_telemetry::{Content, ReportId};
use support::{at, frame, key, position};

/// Where the child is to store; the test that it runs does nothing without.
const FOLDER: &str = "MILEPOST_TEST_FOLDER";
/// Whether the child is to store without syncing.
const UNSYNCED: &str = "MILEPOST_TEST_UNSYNCED";
/// The file of the child's follower, and in which of its writes the child dies: before it (the
/// judge has committed), or in its middle.
const FOLLOWER: &str = "MILEPOST_TEST_FOLLOWER";
const DIES: &str = "MILEPOST_TEST_DIES";

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    for round in 1..=3 {
        let mut child = Storing::start(folder.path(), None, false);
        let acknowledged = child.kill_after(40 * round);
        let store = support::open(&folder);
        assert_eq!(missing(&store, &acknowledged), 0, "round {round}");
        let audit = store.reader().unwrap().audit().unwrap();
        assert!(audit.ok, "{audit:?}");
        marks_and_rows_agree(&store);
        let bound = u64::try_from(Options::default().queue_frames).unwrap();
        assert!(audit.epochs.iter().all(|epoch| epoch.abandoned <= bound));
    }
}

#[test]
fn what_was_acknowledged_survives_a_power_cut() {
    let shim = Shim::build();
    for count in [1, 33, 250] {
        let (folder, disk) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut child = Storing::start(folder.path(), Some((&shim, disk.path())), false);
        let acknowledged = child.kill_after(count);
        let store = support::open(&disk);
        assert_eq!(missing(&store, &acknowledged), 0);
        assert!(store.reader().unwrap().audit().unwrap().ok);
    }
}

/// The proof that the test above can fail.
#[test]
fn without_syncing_a_power_cut_loses_what_was_acknowledged() {
    let shim = Shim::build();
    let (folder, disk) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut child = Storing::start(folder.path(), Some((&shim, disk.path())), true);
    let acknowledged = child.kill_after(50);
    let store = support::open(&disk);
    assert!(missing(&store, &acknowledged) > 0);
}

#[test]
fn a_full_disk_stops_acknowledgements_and_they_go_on_when_there_is_space() {
    let shim = Shim::build();
    let (folder, disk) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut child = Storing::start(folder.path(), Some((&shim, disk.path())), false);
    let mut acknowledged = child.acknowledged(20);
    std::fs::write(shim.full_flag(), "").unwrap();
    // What was under way when the disk filled up may still be told.
    let reason = loop {
        match child.line() {
            Line::Acknowledged(id) => acknowledged.push(id),
            Line::Stalled(reason) => break reason,
        }
    };
    assert!(reason.contains("no space left"), "{reason}");
    let store = Store::open_read_only(folder.path()).unwrap();
    assert_eq!(missing(&store, &acknowledged), 0);
    std::fs::remove_file(shim.full_flag()).unwrap();
    let more = child.acknowledged(20);
    assert_eq!(more.len(), 20);
    acknowledged.extend(more);
    acknowledged.extend(child.kill_after(0));
    assert_eq!(missing(&support::open(&disk), &acknowledged), 0);
}

/// What is written in one transaction is of one moment: the history, the last known state and the
/// stages' states of each device, and the counters (which the audit compares).
fn marks_and_rows_agree(store: &Store) {
    let reader = store.reader().unwrap();
    let mut devices = 0;
    for n in 0..7 {
        let Some(device) = reader.device(&key(n)).unwrap() else {
            continue;
        };
        devices += 1;
        let newest = all_of(store, n).into_iter().map(|(_, time)| time).max();
        assert_eq!(device.latest.fix_time, newest);
        let db = rusqlite::Connection::open(store.path()).unwrap();
        let state: Vec<u8> = db
            .query_row(
                "SELECT state FROM device WHERE device = ?1",
                [device.key.device.as_str()],
                |row| row.get(0),
            )
            .unwrap();
        let guard = newest.unwrap().as_millis().to_be_bytes();
        assert!(state.ends_with(&guard), "{state:?}");
    }
    assert!(devices > 0);
}

fn all_of(store: &Store, device: u64) -> Vec<(ReportId, milepost_telemetry::Timestamp)> {
    let reader = store.reader().unwrap();
    let page = Page::first(1_000_000);
    let all = reader
        .history(&key(device), &Span::default(), &page)
        .unwrap();
    all.items
        .iter()
        .map(|report| (report.id, report.time))
        .collect()
}

/// A follower that keeps data and mark in a file: a line for each report, and after those of a
/// write a line with the mark.
struct InFile {
    file: PathBuf,
    /// How many writes are still to be done, and whether the last is done in part.
    dies: Option<(u32, bool)>,
}

impl Follower for InFile {
    fn begin(&mut self) -> Result<FollowFrom, SinkError> {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        // A last line without an end was being written. It goes, else what is written next
        // continues it.
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        if whole.len() < text.len() {
            std::fs::write(&self.file, whole).map_err(SinkError::transient)?;
        }
        let mark = whole.lines().rev().find_map(|line| {
            let row = line.strip_prefix("mark ")?.parse().ok()?;
            Some(Position {
                row,
                ..Position::START
            })
        });
        Ok(FollowFrom::Position(mark.unwrap_or(Position::START)))
    }

    fn write(&mut self, new: &News<'_>, up_to: Position) -> Result<(), SinkError> {
        let mut text = String::new();
        for report in &new.reports {
            text += &format!("{}\n", report.id);
        }
        let (mut dies, mut part) = (false, 0);
        if let Some((left, in_the_middle)) = &mut self.dies {
            dies = *left == 0;
            *left = left.saturating_sub(1);
            part = if *in_the_middle { text.len() / 2 } else { 0 };
        }
        let mut file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&self.file)
            .map_err(SinkError::transient)?;
        let written = if dies { &text[..part] } else { text.as_str() };
        file.write_all(written.as_bytes())
            .map_err(SinkError::transient)?;
        if dies {
            std::process::abort();
        }
        writeln!(file, "mark {}", up_to.row).map_err(SinkError::transient)
    }
}

#[test]
fn a_follower_misses_nothing_though_the_process_dies_before_and_in_the_middle_of_its_writes() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = elsewhere.path().join("followed");
    for dies in ["0 before", "0 middle", "3 before", "3 middle", "1 middle"] {
        let mut child = Storing::following(folder.path(), &file, dies);
        // Until it is dead by itself.
        while child.next_line().is_some() {}
        child.process.wait().unwrap();
        let store = support::open(&folder);
        assert!(store.reader().unwrap().audit().unwrap().ok, "{dies}");
        marks_and_rows_agree(&store);
    }
    // The next run catches up, with nothing new.
    let store = support::open(&folder);
    let epoch = store.begin_epoch().unwrap();
    let options = Options::default();
    let pipeline = Pipeline::start(store.judge(epoch).unwrap(), &options).unwrap();
    let follower = InFile {
        file: file.clone(),
        dies: None,
    };
    let replay = store.replay().unwrap();
    pipeline.handle().follow("file", follower, replay).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    assert!(
        runtime
            .block_on(pipeline.drain(Duration::from_secs(60)))
            .clean
    );
    let text = std::fs::read_to_string(&file).unwrap();
    let followed: std::collections::HashSet<&str> = text.lines().collect();
    let stored: Vec<_> = (0..7).flat_map(|n| all_of(&store, n)).collect();
    assert!(stored.len() > 20);
    for (id, _) in stored {
        assert!(
            followed.contains(id.to_string().as_str()),
            "{id} was missed"
        );
    }
}

fn missing(store: &Store, ids: &[ReportId]) -> usize {
    assert!(!ids.is_empty());
    let reader = store.reader().unwrap();
    ids.iter().filter(|id| !reader.has(id).unwrap()).count()
}

/// A child that stores.
struct Storing {
    process: Child,
    lines: BufReader<ChildStdout>,
}

enum Line {
    Acknowledged(ReportId),
    Stalled(String),
}

impl Storing {
    fn start(folder: &Path, disk: Option<(&Shim, &Path)>, unsynced: bool) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "child", "--nocapture", "--test-threads=1"])
            .env(FOLDER, folder)
            .stdout(Stdio::piped());
        if unsynced {
            command.env(UNSYNCED, "1");
        }
        if let Some((shim, disk)) = disk {
            command
                .env("LD_PRELOAD", &shim.library)
                .env("SHIM_DIR", folder.canonicalize().unwrap())
                .env("SHIM_DISK", disk)
                .env("SHIM_FULL", shim.full_flag());
        }
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        Self { process, lines }
    }

    fn following(folder: &Path, file: &Path, dies: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture", "--test-threads=1"])
            .env(FOLDER, folder)
            .env(FOLLOWER, file)
            .env(DIES, dies)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        Self { process, lines }
    }

    fn line(&mut self) -> Line {
        self.next_line().unwrap()
    }

    fn next_line(&mut self) -> Option<Line> {
        loop {
            let mut line = String::new();
            // A line that was cut off by the kill was not said.
            if self.lines.read_line(&mut line).unwrap() == 0 || !line.ends_with('\n') {
                return None;
            }
            if let Some((_, id)) = line.trim_end().split_once("acknowledged ") {
                return Some(Line::Acknowledged(id.parse().unwrap()));
            }
            if let Some((_, why)) = line.trim_end().split_once("stalled ") {
                return Some(Line::Stalled(why.to_owned()));
            }
        }
    }

    fn acknowledged(&mut self, count: usize) -> Vec<ReportId> {
        let mut ids = Vec::new();
        while ids.len() < count {
            if let Line::Acknowledged(id) = self.line() {
                ids.push(id);
            }
        }
        ids
    }

    /// Everything that was acknowledged until the child was dead.
    fn kill_after(&mut self, count: usize) -> Vec<ReportId> {
        let mut ids = self.acknowledged(count);
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        while let Some(line) = self.next_line() {
            if let Line::Acknowledged(id) = line {
                ids.push(id);
            }
        }
        ids
    }
}

impl Drop for Storing {
    fn drop(&mut self) {
        // It may be dead already.
        let _dead = self.process.kill().is_err();
        let _waited = self.process.wait().is_err();
    }
}

/// The layer under the store.
struct Shim {
    folder: tempfile::TempDir,
    library: PathBuf,
}

impl Shim {
    fn build() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("shim.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crash/shim.c");
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let built = Command::new(compiler)
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .status()
            .unwrap();
        assert!(built.success());
        Self { folder, library }
    }

    fn full_flag(&self) -> PathBuf {
        self.folder.path().join("full")
    }
}

/// Not a test: the child.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let mut options = StoreOptions::default();
    options.unsafe_without_sync = std::env::var_os(UNSYNCED).is_some();
    let store = Store::open(folder, options).unwrap();
    let epoch = store.begin_epoch().unwrap();
    let mut options = Options::default();
    options.backoff = Backoff {
        first: Duration::from_millis(5),
        most: Duration::from_millis(20),
    };
    let pipeline = Pipeline::start(store.judge(epoch).unwrap(), &options).unwrap();
    if let Some(file) = std::env::var_os(FOLLOWER) {
        let dies = std::env::var(DIES).unwrap();
        let (writes, how) = dies.split_once(' ').unwrap();
        let follower = InFile {
            file: file.into(),
            dies: Some((writes.parse().unwrap(), how == "middle")),
        };
        let replay = store.replay().unwrap();
        pipeline.handle().follow("file", follower, replay).unwrap();
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(store_for_ever(&pipeline.handle(), epoch));
}

async fn store_for_ever(handle: &Handle, epoch: u64) {
    let mut under_way = VecDeque::new();
    let mut stalled = false;
    for n in 1_u64.. {
        let device = key(n % 7);
        let time = i64::try_from(epoch * 1_000_000 + n).unwrap();
        let mut report = position(&device, time, time);
        report.received_at = at(time);
        let id = report.id;
        let mut envelope = frame(Some(&device), n, Content::Reports(vec![report]));
        envelope.origin.epoch = epoch;
        under_way.push_back((id, Box::pin(handle.submit(envelope))));
        while under_way.len() > 16 {
            let (id, verdict) = under_way.front_mut().unwrap();
            let id = *id;
            match tokio::time::timeout(Duration::from_millis(20), verdict).await {
                Ok(Outcome::Delivered) => {
                    under_way.pop_front();
                    stalled = false;
                    say(&format!("acknowledged {id}"));
                }
                Ok(other) => panic!("{other:?}"),
                Err(_) => {
                    if let Health::Stalled(why) = handle.health()
                        && !stalled
                    {
                        stalled = true;
                        say(&format!("stalled {why}"));
                    }
                }
            }
        }
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}
