//! Gateways and workers: all that was acknowledged is stored once, by whoever holds the partition.

use std::time::{Duration, Instant};

use milepost_pipeline::fleet::{Gateway, GatewayOptions, Topics, Worker, WorkerOptions};
use milepost_pipeline::kafka::{KafkaConfig, TopicSpec, ensure_topics};
use milepost_pipeline::sink::redis::{LastKnown, LastKnownOptions, RedisUrl};
use milepost_pipeline::sink::timescale::{Passed, Transport};
use milepost_pipeline::spool::{Folder, Spool, SpoolOptions};
use milepost_pipeline::{Options, Outcome, Pipeline, ShardId, Snapshot};
use milepost_telemetry::*;
use tokio_util::sync::CancellationToken;

use super::support::{device, location, now, server, unique};
use super::timescale::Fresh;

const DEVICES: u32 = 20;

pub(crate) fn envelope(epoch: u64, number: u32, from: Timestamp) -> Envelope {
    let key = device(number % DEVICES);
    let time = Timestamp::from_millis(from.as_millis() + i64::from(number) * 1_000);
    let origin = Origin {
        epoch,
        connection: u64::from(number % DEVICES),
        frame: u64::from(number / DEVICES) + 1,
    };
    let content = Content::Reports(vec![location(&key, time, time)]);
    let raw = vec![0x78; 20].into();
    let mut envelope = Envelope::new(origin, time, Name::new("gt06"), raw, content);
    envelope.device = Some(key);
    envelope.accepted = true;
    envelope
}

pub(crate) struct Fleet {
    pub(crate) fresh: Fresh,
    pub(crate) kafka: KafkaConfig,
    pub(crate) topics: Topics,
    pub(crate) redis: RedisUrl,
    pub(crate) prefix: String,
    pub(crate) group: String,
}

impl Fleet {
    pub(crate) async fn new(partitions: i32) -> Self {
        let kafka = KafkaConfig::new(server("MILEPOST_TEST_KAFKA"), "test");
        let topics = Topics::with_prefix(&unique("fleet"));
        let specs = [
            TopicSpec::new(&topics.reports, partitions, 1),
            TopicSpec::new(&topics.urgent, partitions, 1),
            TopicSpec::new(&topics.events, partitions, 1),
            TopicSpec::new(&topics.audit, 1, 1),
        ];
        ensure_topics(&kafka, &specs).await.unwrap();
        Self {
            fresh: Fresh::new().await,
            kafka,
            topics,
            redis: server("MILEPOST_TEST_REDIS").parse().unwrap(),
            prefix: unique("fleet"),
            group: unique("group"),
        }
    }

    pub(crate) fn gateway(&self, folder: &std::path::Path) -> Gateway {
        self.gateway_named("gw-1", folder)
    }

    pub(crate) fn gateway_named(&self, name: &str, folder: &std::path::Path) -> Gateway {
        let (spool, _) =
            Spool::open(Folder::open(folder).unwrap(), SpoolOptions::default()).unwrap();
        let mut options = GatewayOptions::new(name);
        options.topics = self.topics.clone();
        Gateway::with_spool(&self.kafka, options, spool).unwrap()
    }

    pub(crate) fn last_known(&self) -> LastKnownOptions {
        let mut options = LastKnownOptions::default();
        options.prefix.clone_from(&self.prefix);
        options
    }

    pub(crate) async fn worker(&self) -> (CancellationToken, tokio::task::JoinHandle<()>) {
        let mut options = WorkerOptions::new(self.fresh.url.clone());
        options.topics = self.topics.clone();
        options.group.clone_from(&self.group);
        options.redis = Some(self.redis.clone());
        options.last_known = self.last_known();
        options.session_timeout = Duration::from_secs(6);
        let worker = Worker::start(&self.kafka, options).await.unwrap();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let running = tokio::spawn(async move {
            worker
                .run(async move { stopped.cancelled().await })
                .await
                .unwrap();
        });
        (stop, running)
    }

    /// Waits for a count; fails after a minute.
    pub(crate) async fn wait_for(&self, what: &str, wanted: i64) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let count = self.fresh.count(what).await;
            if count == wanted {
                return;
            }
            assert!(
                count < wanted && Instant::now() < deadline,
                "{what}: {count} of {wanted}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn bucket(&self, bucket: &str) -> i64 {
        let row = self
            .fresh
            .client
            .query_one(
                "SELECT coalesce(sum(frames), 0)::bigint FROM audit WHERE bucket = $1",
                &[&bucket],
            )
            .await
            .unwrap();
        row.get(0)
    }
}

pub(crate) async fn send(gateway: &Gateway, envelopes: impl Iterator<Item = Envelope>) -> usize {
    let verdicts: Vec<_> = envelopes.map(|one| gateway.deliver(one)).collect();
    let mut acknowledged = 0;
    for verdict in verdicts {
        assert_eq!(verdict.await, Outcome::Delivered);
        acknowledged += 1;
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs services/up"]
async fn what_a_gateway_acknowledges_is_stored_once_by_two_workers() {
    let fleet = Fleet::new(4).await;
    let folder = tempfile::tempdir().unwrap();
    let gateway = fleet.gateway(folder.path());
    let from = Timestamp::from_millis(now().as_millis() - 10_000_000);
    let (stop_one, one) = fleet.worker().await;
    let (stop_two, two) = fleet.worker().await;
    let sent = send(&gateway, (0..2_000).map(|n| envelope(7, n, from))).await;
    assert_eq!(sent, 2_000);
    fleet.wait_for("report", 2_000).await;

    // One worker goes; the other takes its partitions over, and repeats of devices are duplicates.
    stop_one.cancel();
    one.await.unwrap();
    let sent = send(&gateway, (1_000..3_000).map(|n| envelope(8, n, from))).await;
    assert_eq!(sent, 2_000);
    fleet.wait_for("report", 3_000).await;
    gateway.close(Duration::from_secs(10)).await;
    assert_eq!(gateway.waiting(), 0);
    stop_two.cancel();
    two.await.unwrap();

    assert_eq!(fleet.bucket("stored").await, 3_000);
    assert_eq!(fleet.bucket("duplicate").await, 1_000);
    assert_eq!(gateway.sums().received, 4_000);
    assert_eq!(fleet.fresh.count("lane").await, i64::from(DEVICES));
    let mut last_known = LastKnown::connect(&fleet.redis, fleet.last_known())
        .await
        .unwrap();
    for number in 0..DEVICES {
        let state = last_known.read(&device(number)).await.unwrap().unwrap();
        let latest: serde_json::Value = serde_json::from_str(&state.state).unwrap();
        let newest = from.as_millis() + i64::from(2_980 + number) * 1_000;
        assert_eq!(state.time.as_millis(), newest, "{latest}");
    }
}

/// Kafka has records twice when a gateway is killed between delivery and its note of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs services/up"]
async fn what_a_gateway_forwards_again_is_skipped() {
    let fleet = Fleet::new(2).await;
    let folder = tempfile::tempdir().unwrap();
    let from = Timestamp::from_millis(now().as_millis() - 10_000_000);
    let copy = tempfile::tempdir().unwrap();
    {
        let gateway = fleet.gateway(folder.path());
        send(&gateway, (0..500).map(|n| envelope(7, n, from))).await;
        // The disk as it was before anything was freed.
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
        }
        gateway.close(Duration::from_secs(10)).await;
    }
    let gateway = fleet.gateway(copy.path());
    let (stop, worker) = fleet.worker().await;
    send(&gateway, (500..600).map(|n| envelope(8, n, from))).await;
    fleet.wait_for("report", 600).await;
    gateway.close(Duration::from_secs(10)).await;
    stop.cancel();
    worker.await.unwrap();
    assert_eq!(fleet.bucket("stored").await, 600);
    assert_eq!(
        fleet.bucket("duplicate").await,
        0,
        "repeats are in no bucket"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs services/up"]
async fn a_superseded_shard_writes_nothing_more() {
    let fresh = Fresh::new().await;
    let from = Timestamp::from_millis(now().as_millis() - 10_000_000);
    let pipeline = Pipeline::new(&Options::default());
    let (transport, next) = (Transport::default(), Transport::default());
    let (old, _) = fresh.claim(&transport).await;
    let old = pipeline
        .attach(ShardId(0), old, Snapshot::default())
        .unwrap();
    let submit = async |handle: &milepost_pipeline::Handle, transport: &Transport, offset: i64| {
        transport.note(Passed::new(offset, "gw".into(), None));
        let number = u32::try_from(offset).unwrap();
        handle.submit_at(envelope(7, number, from), offset).await
    };
    assert_eq!(submit(&old, &transport, 0).await, Outcome::Delivered);

    let (new, claimed) = fresh.claim(&next).await;
    assert_eq!(claimed.offset, Some(1));
    assert_eq!(submit(&old, &transport, 1).await, Outcome::Failed);
    let new = pipeline
        .attach(ShardId(1), new, Snapshot::default())
        .unwrap();
    assert_eq!(submit(&new, &next, 1).await, Outcome::Delivered);
    assert_eq!(fresh.count("report").await, 2);
    pipeline.drain(Duration::from_secs(5)).await;
    // The states of both devices, by the shard that holds the partition.
    assert!(fresh.count("lane").await >= 1);
}
