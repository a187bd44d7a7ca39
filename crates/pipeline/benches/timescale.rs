//! Durable rows per second into TimescaleDB, beside `psql \copy` of the same rows into the same
//! tables, in batches of the same size:
//!
//! `services/up postgres && services/env cargo bench -p milepost-pipeline --features timescale --bench timescale`
//!
//! Reports are made outside of the measured time. Ours includes encoding, the mark and the audit;
//! psql reads rows that are encoded already (binary format).
#![allow(clippy::unwrap_used, reason = "a benchmark may fail loudly")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use milepost_pipeline::sink::timescale::*;
use milepost_telemetry::*;

const BATCH: usize = 5_000;
const DEVICES: u32 = 1_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let rows = env("ROWS", 200_000);
    let rounds = env("ROUNDS", 3);
    let server: DatabaseUrl = std::env::var("MILEPOST_TEST_DATABASE")
        .expect("services/env sets MILEPOST_TEST_DATABASE")
        .parse()
        .unwrap();
    let reports: Vec<Report> = (0..rows).map(report).collect();
    let folder = tempfile::tempdir().unwrap();
    let mut rates = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..rounds {
        let ours = database(&server, &format!("new_{round}")).await;
        rates[1].push(write(&ours, &reports, Route::Straight).await);
        if round == 0 {
            export(&ours, folder.path(), rows);
        }
        drop_database(&server, &ours).await;

        let theirs = database(&server, &format!("copy_{round}")).await;
        rates[0].push(psql_copy(&theirs, folder.path(), rows));
        drop_database(&server, &theirs).await;

        let compared = database(&server, &format!("compared_{round}")).await;
        rates[2].push(write(&compared, &reports, Route::Compared).await);
        drop_database(&server, &compared).await;
    }
    let [copy, new, compared] = rates.map(median);
    println!("{rows} rows, batches of {BATCH}, median of {rounds}, rows/s");
    println!("| psql \\copy | all surely new | ratio | all compared | ratio |");
    println!("|---|---|---|---|---|");
    println!(
        "| {copy:.0} | {new:.0} | {:.2} | {compared:.0} | {:.2} |",
        new / copy,
        compared / copy
    );
}

fn env(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// A GT06 location: what most rows are.
fn report(n: usize) -> Report {
    let n = u32::try_from(n).unwrap();
    let (tenant, device) = (Tenant::default(), n % DEVICES);
    let device = DeviceId::new(&format!("{device:015}")).unwrap();
    let time = Timestamp::from_unix(1_790_000_000 + i64::from(n / DEVICES) * 10);
    let seed = IdentitySeed::new(Some(&tenant), Some(&device), "gt06");
    let id = ReportId::mint(seed, time, &n.to_le_bytes());
    let decoder = Decoder::new("gt06", "gt06/0.1.0");
    let received_at = time.offset_millis(i64::from(n % 1_000) + 500);
    let mut report = Report::new(id, decoder, Kind::Location, received_at);
    report.tenant = Some(tenant);
    report.device = Some(device);
    report.dialect = Some(Name::new("concox"));
    report.checksum = Checksum::Valid;
    report.sequence = Some(n & 0xffff);
    report.set_device_time(time, TimeSource::Fix, Zone::Utc);
    let (year, month, day, hour, minute, second) = time.to_civil();
    report.raw_time = Some(RawTime::Civil {
        year: year.unsigned_abs(),
        month,
        day,
        hour,
        minute,
        second,
    });
    let north = 23.0 + f64::from(n % 10_007) / 10_007.0;
    let mut fix = Fix::new(
        Coordinates::from_degrees(north, 114.40923).unwrap(),
        true,
        FixSource::Gnss,
    );
    fix.time = Some(time);
    fix.speed = Speed::from_kmh((n % 120) as f32).ok();
    fix.course = Course::from_degrees((n % 360) as f32).ok();
    fix.satellites = Some(9);
    fix.live = Some(true);
    report.fix = Some(fix);
    report.io.note_ignition(true, IgnitionSource::Field);
    report.push_cell(Cell {
        radio: Radio::Gsm,
        serving: true,
        mcc: 460,
        mnc: 0,
        lac: 10_365,
        cell_id: u64::from(8_000 + n % 50),
        signal_dbm: None,
    });
    report.odometer = Some((n * 3).into());
    report
}

async fn admin(server: &DatabaseUrl, sql: &str) {
    let status = psql(server).args(["-c", sql]).status().unwrap();
    assert!(status.success());
}

fn psql(url: &DatabaseUrl) -> Command {
    let mut psql = Command::new("psql");
    psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", &url.to_string()])
        .stdout(Stdio::null());
    psql
}

async fn database(server: &DatabaseUrl, name: &str) -> DatabaseUrl {
    admin(server, &format!("DROP DATABASE IF EXISTS bench_{name}")).await;
    admin(server, &format!("CREATE DATABASE bench_{name}")).await;
    let url = server.clone().with_database(&format!("bench_{name}"));
    Database::migrate(&url, &Schema::default()).await.unwrap();
    url
}

async fn drop_database(server: &DatabaseUrl, url: &DatabaseUrl) {
    let name = url.to_string();
    let name = name.rsplit('/').next().unwrap();
    admin(server, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
}

async fn write(url: &DatabaseUrl, reports: &[Report], route: Route) -> f64 {
    let mut database = Database::connect(url, &Schema::default()).await.unwrap();
    let claimed = database.claim(Name::new("bench"), 0).await.unwrap();
    let gateway: Arc<str> = Arc::from("gateway-1");
    let mut from = None;
    let start = Instant::now();
    for (number, part) in reports.chunks(BATCH).enumerate() {
        let to = i64::try_from(number).unwrap() + 1;
        let mut rows = BatchRows::new(claimed.claim, from, to);
        for (place, report) in part.iter().enumerate() {
            let origin = Origin {
                epoch: 1,
                connection: u64::from(report.sequence.unwrap()),
                frame: u64::try_from(number * BATCH + place).unwrap(),
            };
            let frame = FrameRow::new(Arc::clone(&gateway), origin, 1, Fate::Reports);
            let frame = rows.frame(frame);
            let row = ReportRow {
                report,
                gateway: &gateway,
                origin,
                part: 0,
                revision: 0,
                profile: None,
                raw: Some(&[0x78; 39]),
            };
            rows.report(frame, &row, route).unwrap();
        }
        let stored = database.write(&rows).await.unwrap();
        assert_eq!(stored.stored, part.len() as u64);
        from = Some(to);
    }
    reports.len() as f64 / start.elapsed().as_secs_f64()
}

/// The stored rows in files of one batch each, in the order in which they were written.
fn export(url: &DatabaseUrl, folder: &Path, rows: usize) {
    let mut script = String::new();
    for (number, first) in (0..rows).step_by(BATCH).enumerate() {
        let last = first + BATCH;
        writeln!(
            script,
            "\\copy (SELECT * FROM milepost.report WHERE frame >= {first} AND frame < {last} \
             ORDER BY frame) TO '{}/{number}' WITH (FORMAT binary)",
            folder.display()
        )
        .unwrap();
    }
    run(url, folder, &script);
}

fn psql_copy(url: &DatabaseUrl, folder: &Path, rows: usize) -> f64 {
    let mut script = String::new();
    for number in 0..rows.div_ceil(BATCH) {
        writeln!(
            script,
            "\\copy milepost.report FROM '{}/{number}' WITH (FORMAT binary)",
            folder.display()
        )
        .unwrap();
    }
    let start = Instant::now();
    run(url, folder, &script);
    rows as f64 / start.elapsed().as_secs_f64()
}

fn run(url: &DatabaseUrl, folder: &Path, script: &str) {
    let file = folder.join("script.sql");
    std::fs::write(&file, script).unwrap();
    let status = psql(url).arg("-f").arg(&file).status().unwrap();
    assert!(status.success());
}
