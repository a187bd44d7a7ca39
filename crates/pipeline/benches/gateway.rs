//! Envelopes that a gateway acknowledges per second, beside the two bare loops that it is made of: an
//! append-and-sync loop, and an idempotent producer with the same settings; records of the same size:
//!
//! `services/up kafka && services/env cargo bench -p milepost-pipeline --features fleet --bench gateway`
//!
//! Kafka runs on the same machine. "Forwarded" is until Kafka has confirmed all of them.
#![allow(clippy::unwrap_used, reason = "a benchmark may fail loudly")]

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use milepost_pipeline::fleet::{Gateway, GatewayOptions, Topics};
use milepost_pipeline::kafka::{KafkaConfig, TopicSpec, ensure_topics};
use milepost_pipeline::spool::{Folder, Spool, SpoolOptions};
use milepost_telemetry::{
    Content, Coordinates, Course, Decoder, DeviceId, DeviceKey, Envelope, Fix, FixSource,
    IdentitySeed, Kind, Name, Origin, Report, ReportId, Speed, Tenant, Timestamp, proto,
};
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};

const ENVELOPES: u64 = 200_000;
/// As of 10,000 connections with one each.
const IN_FLIGHT: usize = 10_000;
const ROUNDS: usize = 3;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let brokers = std::env::var("MILEPOST_TEST_KAFKA").expect("services/env sets it");
    let folder = tempfile::tempdir_in(".").unwrap();
    let bytes = proto::encode("bench", &envelope(1)).len();
    let (mut acknowledged, mut forwarded) = (Vec::new(), Vec::new());
    let (mut synced, mut produced) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let path = folder.path().join(format!("bare-{round}"));
        synced.push(append_and_sync(&path, bytes));
        produced.push(producer(&brokers, bytes).await);
        let path = folder.path().join(format!("spool-{round}"));
        let (told, sent) = gateway(&brokers, &path).await;
        acknowledged.push(told);
        forwarded.push(sent);
    }
    let [acknowledged, forwarded, synced, produced] =
        [acknowledged, forwarded, synced, produced].map(median);
    println!(
        "{ENVELOPES} envelopes of {bytes} B, {IN_FLIGHT} in flight, median of {ROUNDS}, a second"
    );
    println!("| append and sync | idempotent producer | acknowledged | forwarded | ratio |");
    println!("|---|---|---|---|---|");
    println!(
        "| {synced:.0} | {produced:.0} | {acknowledged:.0} | {forwarded:.0} | {:.2} |",
        acknowledged / synced.min(produced)
    );
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

async fn topic(brokers: &str) -> (KafkaConfig, Topics) {
    let kafka = KafkaConfig::new(brokers, "bench");
    let nanos = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    let topics = Topics::with_prefix(&format!("bench-{nanos}"));
    ensure_topics(&kafka, &[TopicSpec::new(&topics.reports, 4, 1)])
        .await
        .unwrap();
    (kafka, topics)
}

async fn gateway(brokers: &str, path: &Path) -> (f64, f64) {
    let (kafka, topics) = topic(brokers).await;
    std::fs::create_dir_all(path).unwrap();
    let (spool, _) = Spool::open(Folder::open(path).unwrap(), SpoolOptions::default()).unwrap();
    let mut options = GatewayOptions::new("bench");
    options.topics = topics;
    let gateway = Gateway::with_spool(&kafka, options, spool).unwrap();
    // The first idempotent record takes a second.
    assert!(gateway.deliver(envelope(0)).await.is_durable());
    while gateway.waiting() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let envelopes: Vec<Envelope> = (1..=ENVELOPES).map(envelope).collect();
    let begun = Instant::now();
    let mut under_way = FuturesUnordered::new();
    for envelope in envelopes {
        if under_way.len() >= IN_FLIGHT {
            let _durable: Option<milepost_pipeline::Outcome> = under_way.next().await;
        }
        under_way.push(gateway.deliver(envelope));
    }
    while let Some(outcome) = under_way.next().await {
        assert!(outcome.is_durable());
    }
    let told = rate(begun);
    while gateway.waiting() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let sent = rate(begun);
    gateway.close(Duration::from_secs(10)).await;
    (told, sent)
}

fn rate(begun: Instant) -> f64 {
    ENVELOPES as f64 / begun.elapsed().as_secs_f64()
}

/// Half of what is in flight is being written while the other half gathers.
fn append_and_sync(path: &Path, bytes: usize) -> f64 {
    let mut file = File::create(path).unwrap();
    let record = vec![7; bytes];
    let mut buffer = Vec::new();
    let begun = Instant::now();
    let mut left = usize::try_from(ENVELOPES).unwrap();
    while left > 0 {
        let batch = left.min(IN_FLIGHT / 2);
        buffer.clear();
        for _ in 0..batch {
            buffer.extend_from_slice(&record);
        }
        file.write_all(&buffer).unwrap();
        file.sync_data().unwrap();
        left -= batch;
    }
    rate(begun)
}

async fn producer(brokers: &str, bytes: usize) -> f64 {
    let (_, topics) = topic(brokers).await;
    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("compression.type", "lz4")
        .set("linger.ms", "5")
        .set("queue.buffering.max.messages", "1000000")
        .create()
        .unwrap();
    let payload: Vec<u8> = proto::encode("bench", &envelope(1));
    assert_eq!(payload.len(), bytes);
    let send = |key: &str| {
        let mut record = BaseRecord::to(&topics.reports).key(key).payload(&payload);
        while let Err((error, back)) = producer.send(record) {
            let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
            assert_eq!(error, full);
            std::thread::sleep(Duration::from_millis(1));
            record = back;
        }
    };
    send("0");
    producer.flush(Duration::from_secs(30)).unwrap();
    let begun = Instant::now();
    for n in 0..ENVELOPES {
        send(&(n % 1_000).to_string());
    }
    producer.flush(Duration::from_secs(60)).unwrap();
    rate(begun)
}

/// A GT06 location.
fn envelope(n: u64) -> Envelope {
    let (tenant, device) = (Tenant::default(), n % 1_000);
    let device = DeviceId::new(&format!("{device:015}")).unwrap();
    let time = Timestamp::from_unix(1_790_000_000 + i64::try_from(n / 1_000).unwrap() * 10);
    let seed = IdentitySeed::new(Some(&tenant), Some(&device), "gt06");
    let id = ReportId::mint(seed, time, &n.to_le_bytes());
    let mut report = Report::new(id, Decoder::new("gt06", "gt06/0.1.0"), Kind::Location, time);
    report.tenant = Some(tenant);
    report.device = Some(device);
    let here = Coordinates::from_degrees(23.111_68, 114.409_22).unwrap();
    let mut fix = Fix::new(here, true, FixSource::Gnss);
    fix.speed = Some(Speed::from_whole_kmh(36));
    fix.course = Some(Course::from_whole_degrees(2).unwrap());
    fix.satellites = Some(9);
    report.fix = Some(fix);
    let origin = Origin {
        epoch: 1,
        connection: n % 1_000,
        frame: n,
    };
    let mut envelope = Envelope::new(
        origin,
        time,
        Name::new("gt06"),
        bytes::Bytes::from_static(&[7; 36]),
        Content::Reports(vec![report]),
    );
    envelope.device = Some(DeviceKey { tenant, device });
    envelope
}
