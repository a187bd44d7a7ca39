//! Durable rows per second of the embedded store through the whole pipeline, beside a bare
//! rusqlite loop that writes the same rows with the same schema, indexes, settings and batch size.
//!
//! `cargo bench -p milepost-pipeline --bench sqlite` runs 100,000 and 1,000,000 rows; numbers as arguments
//! choose other sizes (`-- 10000000` needs 12 GB of disk and some minutes). `ROUNDS=n` repeats and
//! prints medians, `DEVICES=n` spreads the rows over so many devices, `TMPDIR` chooses the disk.
//!
//! Rows are made outside of the measured time, for both; the bare loop gets them as they are
//! written, so that the pipeline's queue, stages, JSON and acknowledgements count against it. At the
//! end it prints how many bytes a row takes in the file, indexes and all, and what a page of history
//! costs.
#![allow(clippy::unwrap_used, reason = "a benchmark may fail loudly")]

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::path::Path;
use std::pin::Pin;
use std::time::{Duration, Instant};

use bytes::Bytes;
use milepost_pipeline::sink::sqlite::{Page, Span, Store, StoreOptions};
use milepost_pipeline::stage::{Stages, Track};
use milepost_pipeline::{Options, Outcome, Pipeline};
use milepost_telemetry::{
    Cell, Content, Coordinates, Course, Decoder, DeviceId, DeviceKey, Envelope, Fix, FixSource,
    IdentitySeed, IgnitionSource, Kind, Origin, Radio, RawTime, Report, ReportId, Speed, Tenant,
    TimeSource, Timestamp, Zone,
};
use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

const BATCH: u64 = 5_000;
/// Rows that are made at once, outside of the measured time.
const CHUNK: u64 = 100_000;
/// Frames that are submitted and not settled, as from so many connections: below the queue's bound.
const UNDER_WAY: usize = 16_000;

fn main() {
    let sizes: Vec<u64> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let sizes = if sizes.is_empty() {
        vec![100_000, 1_000_000]
    } else {
        sizes
    };
    let rounds = env("ROUNDS", 1);
    let fleet = Fleet::new(env("DEVICES", 2_000));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    println!(
        "{} devices, batches of {BATCH}, median of {rounds}",
        fleet.devices.len()
    );
    for rows in sizes {
        let plain = median(rounds, || calibrate(rows.min(1_000_000)));
        println!(
            "{rows:>9} rows  300-byte rows, bare loop  {}",
            rate(rows.min(1_000_000), plain)
        );
        let floor = median(rounds, || bare(&fleet, rows));
        println!(
            "{rows:>9} rows  same rows, bare loop      {}",
            rate(rows, floor)
        );
        let ours = median(rounds, || {
            runtime.block_on(through_the_pipeline(&fleet, rows, Stages::standard()))
        });
        let ratio = floor.as_secs_f64() / ours.as_secs_f64();
        println!(
            "{rows:>9} rows  through the pipeline      {}  {:.0} %",
            rate(rows, ours),
            ratio * 100.0
        );
        let smoothed = median(rounds, || {
            let stages = Stages::standard().then(Track::default());
            runtime.block_on(through_the_pipeline(&fleet, rows, stages))
        });
        println!(
            "{rows:>9} rows  the same with smoothing   {}  {:.0} % of that without",
            rate(rows, smoothed),
            ours.as_secs_f64() / smoothed.as_secs_f64() * 100.0
        );
    }
}

fn env(name: &str, or: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|v| v.parse().ok())
        .unwrap_or(or)
}

fn rate(rows: u64, took: Duration) -> String {
    let rows = f64::from(u32::try_from(rows).unwrap());
    format!(
        "{:>8.0} rows/s ({:.2} s)",
        rows / took.as_secs_f64(),
        took.as_secs_f64()
    )
}

fn median(rounds: u64, mut run: impl FnMut() -> Duration) -> Duration {
    let mut took: Vec<Duration> = (0..rounds.max(1)).map(|_| run()).collect();
    took.sort();
    took.swap_remove(took.len() / 2)
}

/// Trackers that each report every ten seconds.
struct Fleet {
    devices: Vec<(DeviceKey, IdentitySeed)>,
}

impl Fleet {
    fn new(devices: u64) -> Self {
        let tenant = Tenant::new("acme").unwrap();
        let device = |n| {
            let device = DeviceId::new(&format!("{:015}", 350_000_000_000_000 + n)).unwrap();
            let seed = IdentitySeed::new(Some(&tenant), Some(&device), "gt06");
            let key = DeviceKey { tenant, device };
            (key, seed)
        };
        Self {
            devices: (0..devices).map(device).collect(),
        }
    }

    /// The `n`-th report of the fleet.
    fn envelope(&self, n: u64) -> Envelope {
        let devices = u64::try_from(self.devices.len()).unwrap();
        let (turn, who) = (n / devices, n % devices);
        let (key, seed) = &self.devices[usize::try_from(who).unwrap()];
        let start = 1_790_000_000_000_i64;
        let millis = i64::try_from(turn * 10_000 + who * 10_000 / devices).unwrap();
        let received = Timestamp::from_millis(start + millis);
        let (year, month, day, hour, minute, second) = received.to_civil();
        let sent = Timestamp::from_civil(year, month, day, hour, minute, second).unwrap();
        let mut raw = [0x78; 40];
        raw[4..12].copy_from_slice(&n.to_be_bytes());
        let decoder = Decoder::new("gt06", "gt06/0.1.0");
        let id = ReportId::mint(*seed, sent, &raw[..24]);
        let mut report = Report::new(id, decoder, Kind::Location, received);
        report.tenant = Some(key.tenant);
        report.device = Some(key.device);
        report.sequence = Some(u32::try_from(turn % 65_536).unwrap());
        report.raw_time = Some(RawTime::Civil {
            year: u16::try_from(year).unwrap(),
            month,
            day,
            hour,
            minute,
            second,
        });
        report.set_device_time(sent, TimeSource::Fix, Zone::Utc);
        // Each drives at 36 km/h round a circle of 2 km, and is a metre off: what smoothing has to
        // do for most vehicles most of the time.
        let spread = |n: u64, k: u64| f64::from(u32::try_from((n * k) % 1_000_000).unwrap()) / 1e6;
        let angle = f64::from(u32::try_from(turn % 100_000).unwrap()) * 0.05 + spread(who, 7_919);
        let here = Coordinates::from_degrees(
            22.0 + spread(who, 7_907) + 0.018 * angle.sin() + 1e-5 * spread(n, 7),
            113.0 + spread(who, 7_901) - 0.019_4 * angle.cos() + 1e-5 * spread(n, 13),
        )
        .unwrap();
        let mut fix = Fix::new(here, true, FixSource::Gnss);
        fix.time = Some(sent);
        fix.speed = Some(Speed::from_kmh(36.0).unwrap());
        let course = angle.sin().atan2(angle.cos()).to_degrees();
        fix.course = Some(Course::from_degrees(course.rem_euclid(360.0).round() as f32).unwrap());
        fix.satellites = Some(9);
        fix.live = Some(true);
        report.fix = Some(fix);
        let cell = Cell {
            radio: Radio::Gsm,
            serving: true,
            mcc: 460,
            mnc: 0,
            lac: 10_365,
            cell_id: 8_050,
            signal_dbm: None,
        };
        report.network.cell = Some(cell);
        report
            .io
            .note_ignition(!n.is_multiple_of(7), IgnitionSource::Field);
        let origin = Origin {
            epoch: 1,
            connection: who + 1,
            frame: turn + 2,
        };
        let raw = Bytes::copy_from_slice(&raw);
        let content = Content::Reports(vec![report]);
        let mut envelope = Envelope::new(origin, received, decoder.protocol(), raw, content);
        envelope.device = Some(*key);
        envelope.accepted = true;
        envelope
    }
}

async fn through_the_pipeline(fleet: &Fleet, rows: u64, stages: Stages) -> Duration {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder, StoreOptions::default()).unwrap();
    store.begin_epoch().unwrap();
    let mut options = Options::default();
    options.batch.frames = usize::try_from(BATCH).unwrap();
    options.stages = stages;
    let pipeline = Pipeline::start(store.judge(1).unwrap(), &options).unwrap();
    let handle = pipeline.handle();
    let (mut took, mut under_way) = (Duration::ZERO, VecDeque::new());
    for chunk in (0..rows).step_by(usize::try_from(CHUNK).unwrap()) {
        let envelopes: Vec<Envelope> = (chunk..rows.min(chunk + CHUNK))
            .map(|n| fleet.envelope(n))
            .collect();
        let started = Instant::now();
        for envelope in envelopes {
            if under_way.len() >= UNDER_WAY {
                settle(&mut under_way).await;
            }
            under_way.push_back(Box::pin(handle.submit(envelope)));
        }
        while !under_way.is_empty() {
            settle(&mut under_way).await;
        }
        took += started.elapsed();
    }
    assert!(pipeline.drain(Duration::from_secs(60)).await.clean);
    let reader = store.reader().unwrap();
    assert_eq!(reader.count().unwrap(), rows);
    let device = fleet.devices[0].0;
    let page = Page::first(100);
    let started = Instant::now();
    for _ in 0..100 {
        reader.history(&device, &Span::default(), &page).unwrap();
    }
    let pages = started.elapsed() / 100;
    drop(reader);
    let path = store.path().to_owned();
    drop((store, handle));
    let bytes = std::fs::metadata(path).unwrap().len();
    println!(
        "{rows:>9} rows  {} bytes a row; a page of {} in {pages:?}",
        bytes / rows,
        page.limit.min(u32::try_from(rows / 2_000).unwrap_or(100))
    );
    took
}

async fn settle<F: Future<Output = Outcome>>(under_way: &mut VecDeque<Pin<Box<F>>>) {
    if let Some(oldest) = under_way.pop_front() {
        assert_eq!(oldest.await, Outcome::Delivered);
    }
}

/// A row of the store as it is in the file, without its number.
type Row = Vec<Value>;

/// The store's own rows of the history, taken from one that the pipeline has written: made outside
/// of the measured time.
fn rows(fleet: &Fleet, numbers: Range<u64>) -> (Vec<Row>, String) {
    let folder = tempfile::tempdir().unwrap();
    let count = numbers.end - numbers.start;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut options = StoreOptions::default();
        options.unsafe_without_sync = true;
        let store = Store::open(&folder, options).unwrap();
        store.begin_epoch().unwrap();
        let pipeline = Pipeline::start(store.judge(1).unwrap(), &Options::default()).unwrap();
        let handle = pipeline.handle();
        let mut under_way = VecDeque::new();
        for n in numbers {
            if under_way.len() >= UNDER_WAY {
                settle(&mut under_way).await;
            }
            under_way.push_back(Box::pin(handle.submit(fleet.envelope(n))));
        }
        while !under_way.is_empty() {
            settle(&mut under_way).await;
        }
        assert!(pipeline.drain(Duration::from_secs(60)).await.clean);
    });
    let db = Connection::open(folder.path().join("milepost.sqlite")).unwrap();
    let mut find = db.prepare("SELECT * FROM report ORDER BY seq").unwrap();
    let names: Vec<String> = find.column_names().skip(1).map(str::to_owned).collect();
    let places: Vec<String> = (1..=names.len()).map(|n| format!("?{n}")).collect();
    let insert = format!(
        "INSERT INTO report ({}) VALUES ({})",
        names.join(", "),
        places.join(", ")
    );
    let columns = find.column_count();
    let rows: Vec<Row> = find
        .query_map([], |row| (1..columns).map(|n| row.get(n)).collect())
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(u64::try_from(rows.len()).unwrap(), count);
    (rows, insert)
}

fn bare(fleet: &Fleet, count: u64) -> Duration {
    let folder = tempfile::tempdir().unwrap();
    let mut db = connect(folder.path());
    // The store's own schema, as it is in the file.
    let model = tempfile::tempdir().unwrap();
    let store = Store::open(&model, StoreOptions::default()).unwrap();
    let its = Connection::open(store.path()).unwrap();
    let mut find = its
        .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'")
        .unwrap();
    let schema: Vec<String> = find
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    db.execute_batch(&schema.join(";")).unwrap();

    let mut took = Duration::ZERO;
    for chunk in (0..count).step_by(usize::try_from(CHUNK).unwrap()) {
        let (made, insert) = rows(fleet, chunk..count.min(chunk + CHUNK));
        let started = Instant::now();
        for batch in made.chunks(usize::try_from(BATCH).unwrap()) {
            write(&mut db, fleet, &insert, batch);
        }
        took += started.elapsed();
    }
    let stored: i64 = db
        .query_row("SELECT count(*) FROM report", [], |row| row.get(0))
        .unwrap();
    assert_eq!(u64::try_from(stored).unwrap(), count);
    took
}

fn write(db: &mut Connection, fleet: &Fleet, insert: &str, batch: &[Row]) {
    let tx = db.transaction().unwrap();
    {
        let mut insert = tx.prepare_cached(insert).unwrap();
        let mut last = BTreeMap::new();
        for row in batch {
            insert.execute(params_from_iter(row)).unwrap();
            let Value::Integer(device) = row[1] else {
                panic!("the device's number is the second value");
            };
            last.insert(device, row);
        }
        let mut upsert = tx
            .prepare_cached(
                "INSERT INTO device (id, tenant, device, latest, state) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (id) DO UPDATE SET latest = excluded.latest, state = excluded.state",
            )
            .unwrap();
        let latest = "x".repeat(380);
        for device in last.keys() {
            let key = &fleet.devices[usize::try_from(device - 1).unwrap() % fleet.devices.len()].0;
            let id = format!("{}{device}", key.device);
            upsert
                .execute(params![
                    device,
                    key.tenant.as_str(),
                    id,
                    latest,
                    &[0_u8; 21][..]
                ])
                .unwrap();
        }
    }
    tx.commit().unwrap();
}

/// Rows of 300 bytes with a time-prefixed unique id and an index by device and time.
fn calibrate(rows: u64) -> Duration {
    let folder = tempfile::tempdir().unwrap();
    let mut db = connect(folder.path());
    db.execute_batch(
        "CREATE TABLE plain (id BLOB NOT NULL UNIQUE, device INTEGER NOT NULL,
                             time INTEGER NOT NULL, body BLOB NOT NULL);
         CREATE INDEX plain_by_time ON plain (device, time);",
    )
    .unwrap();
    let body = [7_u8; 260];
    let started = Instant::now();
    let mut n = 0_u64;
    while n < rows {
        let tx = db.transaction().unwrap();
        {
            let mut insert = tx
                .prepare_cached("INSERT INTO plain VALUES (?1, ?2, ?3, ?4)")
                .unwrap();
            for _ in 0..BATCH.min(rows - n) {
                let time = n * 5;
                let hash = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let mut id = [0; 16];
                id[..8].copy_from_slice(&time.to_be_bytes());
                id[8..].copy_from_slice(&hash.to_be_bytes());
                let device = i64::try_from(n % 2_000).unwrap();
                insert
                    .execute(params![
                        &id[..],
                        device,
                        i64::try_from(time).unwrap(),
                        &body[..]
                    ])
                    .unwrap();
                n += 1;
            }
        }
        tx.commit().unwrap();
    }
    started.elapsed()
}

/// The settings of the store.
fn connect(folder: &Path) -> Connection {
    let options = StoreOptions::default();
    let db = Connection::open(folder.join("bare.sqlite")).unwrap();
    db.pragma_update(None, "synchronous", "FULL").unwrap();
    db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
        .unwrap();
    db.pragma_update(None, "wal_autocheckpoint", options.checkpoint_bytes / 4_096)
        .unwrap();
    db.pragma_update(None, "cache_size", -i64::from(options.cache_bytes / 1_024))
        .unwrap();
    db
}
