//! The spool beside a bare append-and-sync loop with the same records and batch size.
//!
//! `cargo bench -p milepost-pipeline --features spool --bench spool`

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use milepost_pipeline::spool::{Folder, Spool, SpoolOptions};

const RECORDS: usize = 200_000;
const RECORD_BYTES: usize = 300;
const ROUNDS: usize = 5;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .expect("a runtime");
    println!("{RECORDS} records of {RECORD_BYTES} B, median of {ROUNDS}, records/s");
    println!("| in flight | spool | bare append and fdatasync of half as many | ratio |");
    println!("|---|---|---|---|");
    for in_flight in [100, 1_000, 10_000] {
        let folder = tempfile::tempdir_in(".").expect("a folder on a disk");
        let mut ours = Vec::new();
        let mut floor = Vec::new();
        for round in 0..ROUNDS {
            let records = RECORDS.min(in_flight * 500);
            let path = folder.path().join(round.to_string());
            ours.push(runtime.block_on(spool(&path, records, in_flight)));
            // Half of what is in flight is being written while the other half gathers.
            floor.push(bare(&folder.path().join("bare"), records, in_flight / 2));
        }
        let (ours, floor) = (median(&mut ours), median(&mut floor));
        println!(
            "| {in_flight} | {ours:.0} | {floor:.0} | {:.2} |",
            ours / floor
        );
    }
}

fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

async fn spool(path: &Path, records: usize, in_flight: usize) -> f64 {
    let folder = Folder::open(path).expect("a folder");
    let (spool, _) = Spool::open(folder, SpoolOptions::default()).expect("a log");
    let payload = Bytes::from(vec![7; RECORD_BYTES]);
    let start = Instant::now();
    let mut waiting = FuturesOrdered::new();
    for _ in 0..records {
        if waiting.len() >= in_flight {
            let oldest: Option<Result<u64, _>> = waiting.next().await;
            oldest.expect("one waits").expect("stored");
        }
        waiting.push_back(spool.append(payload.clone()));
    }
    while let Some(position) = waiting.next().await {
        position.expect("stored");
    }
    let rate = records as f64 / start.elapsed().as_secs_f64();
    spool.close().await;
    rate
}

fn bare(path: &Path, records: usize, batch: usize) -> f64 {
    let mut file = File::create(path).expect("a file");
    let record = [7; RECORD_BYTES];
    let mut buffer = Vec::new();
    let start = Instant::now();
    let mut left = records;
    while left > 0 {
        buffer.clear();
        for _ in 0..batch.min(left) {
            buffer.extend_from_slice(&record);
        }
        left -= batch.min(left);
        file.write_all(&buffer).expect("written");
        file.sync_data().expect("synced");
    }
    records as f64 / start.elapsed().as_secs_f64()
}
