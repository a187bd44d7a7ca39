//! Events reach their topic at least once, in order, with the same ids.

use std::sync::Arc;
use std::time::{Duration, Instant};

use milepost_pipeline::fleet::EventPublisher;
use milepost_pipeline::kafka::*;
use milepost_pipeline::sink::timescale::*;
use milepost_telemetry::*;
use serde_json::Value;
use tokio::sync::Notify;

use super::fleet::Fleet;
use super::support::{device, location, now, unique};
use super::timescale::TOPIC;

/// Reads a topic from its beginning.
pub(crate) struct Tail {
    _consumer: Consumer,
    events: tokio::sync::mpsc::UnboundedReceiver<ConsumerEvent>,
    pub(crate) records: Vec<Value>,
}

impl Tail {
    pub(crate) fn new(config: &KafkaConfig, topic: &str) -> Self {
        let options = ConsumerOptions::new(unique("tail"), [topic.to_owned()]);
        let (consumer, events) = Consumer::start(config, options).unwrap();
        Self {
            _consumer: consumer,
            events,
            records: Vec::new(),
        }
    }

    /// Reads until there are so many records.
    pub(crate) async fn until(&mut self, wanted: usize) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.records.len() < wanted {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = tokio::time::timeout(left, self.events.recv()).await;
            let event = event.unwrap_or_else(|_| {
                panic!("{} records of {wanted} after 30 s", self.records.len())
            });
            match event.unwrap() {
                ConsumerEvent::Assigned(partition) => {
                    self._consumer.attach(partition, StartOffset::Beginning);
                }
                ConsumerEvent::Records {
                    partition,
                    records,
                    bytes,
                } => {
                    let json = |record: &Polled| serde_json::from_slice(&record.payload).unwrap();
                    self.records.extend(records.iter().map(json));
                    self._consumer.done(partition, bytes);
                }
                _ => {}
            }
        }
    }
}

fn publisher(fleet: &Fleet) -> Arc<EventPublisher> {
    Arc::new(EventPublisher::new(
        &fleet.kafka,
        ProducerOptions::default(),
        &fleet.topics.events,
        fleet.fresh.url.clone(),
        fleet.fresh.schema.clone(),
    ))
}

/// Stores reports with two events each.
async fn store(database: &mut Database, claim: Claim, from: Option<i64>, count: u32) {
    let at = now();
    let mut rows = BatchRows::new(claim, from, from.unwrap_or(0) + i64::from(count));
    for n in 0..count {
        let first = from.unwrap_or(0);
        let time = at.offset_millis(1_000 * (first + i64::from(n)));
        let mut report = location(&device(n % 5), time, at);
        report.more.events = vec![
            Event::by_device(EventKind::Sos, Some(1)),
            Event::by_device(EventKind::PowerCut, None),
        ];
        let origin = Origin {
            epoch: 7,
            connection: 1,
            frame: u64::from(n),
        };
        let frame = rows.frame(FrameRow::new("gw".into(), origin, 1, Fate::Reports));
        let row = ReportRow {
            report: &report,
            gateway: "gw",
            origin,
            part: 0,
            revision: 0,
            profile: None,
            raw: None,
        };
        rows.report(frame, &row, Route::Compared).unwrap();
    }
    let stored = database.write(&rows).await.unwrap();
    assert_eq!(stored.events, 2 * u64::from(count));
}

fn numbers(records: &[Value]) -> Vec<i64> {
    let number = |record: &Value| record["number"].as_i64().unwrap();
    records.iter().map(number).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs services/up"]
async fn events_between_sending_and_mark_are_sent_again_in_order_with_their_ids() {
    let fleet = Fleet::new(1).await;
    let mut database = Database::connect(&fleet.fresh.url, &fleet.fresh.schema)
        .await
        .unwrap();
    let claim = database.claim(TOPIC, 0).await.unwrap().claim;
    store(&mut database, claim, None, 1_200).await;
    let mut tail = Tail::new(&fleet.kafka, &fleet.topics.events);

    // The mark's row is locked: the first part is sent, and its note cannot be made.
    let locker = &fleet.fresh.client;
    locker
        .batch_execute("BEGIN; SELECT FROM mark FOR UPDATE")
        .await
        .unwrap();
    let one = publisher(&fleet);
    let running = tokio::spawn({
        let one = Arc::clone(&one);
        async move { one.run(claim, Arc::new(Notify::new())).await }
    });
    tail.until(1_000).await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    drop(one);
    // Its connections go with a process; a query that waits would go on.
    let watcher = super::timescale::client(&fleet.fresh.url).await;
    let others = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'milepost'";
    while watcher
        .query_one(others, &[])
        .await
        .unwrap()
        .get::<_, i64>(0)
        > 0
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    locker.batch_execute("ROLLBACK").await.unwrap();
    let published = "mark WHERE published > 0";
    assert_eq!(fleet.fresh.count(published).await, 0);

    let mut database = fleet.fresh.open().await;
    // Another worker takes the partition over.
    let next = database.claim(TOPIC, 0).await.unwrap().claim;
    let two = publisher(&fleet);
    let wake = Arc::new(Notify::new());
    let running = tokio::spawn({
        let (two, wake) = (Arc::clone(&two), Arc::clone(&wake));
        async move { two.run(next, wake).await }
    });
    tail.until(3_400).await;
    let (first, again) = tail.records.split_at(1_000);
    assert_eq!(first, &again[..1_000], "the same ids, and all else");
    assert_eq!(numbers(again), (1..=2_400).collect::<Vec<_>>());
    let ids: std::collections::BTreeSet<_> =
        again.iter().map(|event| event["id"].to_string()).collect();
    assert_eq!(ids.len(), 2_400);
    assert_eq!(again[1]["kind"], "power_cut");
    assert_eq!(again[1]["tenant"], "acme");

    // A notice is enough for what comes then, and what was published is not sent again.
    store(&mut database, next, Some(1_200), 10).await;
    wake.notify_one();
    tail.until(3_420).await;
    assert_eq!(
        numbers(&tail.records[3_400..]),
        (2_401..=2_420).collect::<Vec<_>>()
    );

    // The mark follows the delivery report.
    let all = "mark WHERE published = 2420 AND events = 2420";
    while fleet.fresh.count(all).await == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    // Who was superseded publishes nothing and ends.
    let _last = database.claim(TOPIC, 0).await.unwrap();
    wake.notify_one();
    running.await.unwrap();
    let old = publisher(&fleet).publish(claim).await.unwrap_err();
    assert!(old.to_string().contains("generation"), "{old}");
    assert_eq!(fleet.fresh.count(all).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs services/up"]
async fn a_worker_publishes_the_events_of_what_it_stores() {
    let fleet = Fleet::new(2).await;
    let folder = tempfile::tempdir().unwrap();
    let gateway = fleet.gateway(folder.path());
    let from = Timestamp::from_millis(now().as_millis() - 10_000_000);
    let mut tail = Tail::new(&fleet.kafka, &fleet.topics.events);
    let (stop, worker) = fleet.worker().await;
    let envelopes = (0..200).map(|n| {
        let mut envelope = super::fleet::envelope(7, n, from);
        if let Content::Reports(reports) = &mut envelope.content {
            reports[0].more.events = vec![Event::by_device(EventKind::Sos, None)];
        }
        envelope
    });
    super::fleet::send(&gateway, envelopes).await;
    tail.until(200).await;
    stop.cancel();
    worker.await.unwrap();
    gateway.close(Duration::from_secs(5)).await;
    assert_eq!(fleet.fresh.count("mark WHERE published < events").await, 0);
    for partition in 0..2 {
        let of = tail
            .records
            .iter()
            .filter(|event| event["partition"] == partition);
        let found: Vec<Value> = of.cloned().collect();
        let count = i64::try_from(found.len()).unwrap();
        assert_eq!(numbers(&found), (1..=count).collect::<Vec<_>>());
    }
}

/// Waits until the audit says so.
async fn audited(fleet: &Fleet, is_it: impl Fn(&FleetAudit) -> bool) -> FleetAudit {
    let mut database = fleet.fresh.open().await;
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let audit = database.audit().await.unwrap();
        if is_it(&audit) {
            return audit;
        }
        assert!(Instant::now() < deadline, "{audit:#?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs services/up"]
async fn each_frame_of_each_gateway_is_in_one_sum_of_the_audit() {
    let fleet = Fleet::new(2).await;
    let from = Timestamp::from_millis(now().as_millis() - 10_000_000);
    let (stop, worker) = fleet.worker().await;
    for (name, epoch) in [("gw-1", 7_u64), ("gw-1", 8), ("gw-2", 9)] {
        let folder = tempfile::tempdir().unwrap();
        let gateway = fleet.gateway_named(name, folder.path());
        let reports = (0..50).map(|n| super::fleet::envelope(epoch, n, from));
        super::fleet::send(&gateway, reports).await;
        for (n, content) in [
            (60, Content::Filtered(Name::new("echo"))),
            (61, Content::Quarantined(Quarantine::new("too short"))),
        ] {
            let mut envelope = super::fleet::envelope(epoch, n, from);
            envelope.content = content;
            assert!(gateway.deliver(envelope).await.is_durable());
        }
        assert_eq!(gateway.sums().received, 52);
        gateway.close(Duration::from_secs(10)).await;
    }
    let settled = |audit: &FleetAudit| audit.all.ended && audit.all.in_flight == 0;
    let audit = audited(&fleet, settled).await;
    assert!(audit.ok, "{audit:#?}");
    let names: Vec<_> = audit.gateways.iter().map(|one| &one.gateway[..]).collect();
    assert_eq!(names, ["gw-1", "gw-2"]);
    let all = &audit.all;
    assert_eq!((all.received, all.stored, all.duplicate), (156, 50, 100));
    assert_eq!((all.filtered["echo"], all.quarantined), (3, 3));
    assert_eq!((audit.gateways[0].received, audit.runs.len()), (104, 3));

    // What no worker has stored is in flight.
    stop.cancel();
    worker.await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let gateway = fleet.gateway_named("gw-2", folder.path());
    let reports = (100..110).map(|n| super::fleet::envelope(10, n, from));
    super::fleet::send(&gateway, reports).await;
    gateway.close(Duration::from_secs(10)).await;
    let (stop, worker) = fleet.worker().await;
    let audit = audited(&fleet, |audit| {
        audit.all.received == 166 && audit.all.ended && audit.all.in_flight == 0
    })
    .await;
    assert_eq!(audit.all.stored, 60);
    stop.cancel();
    worker.await.unwrap();
}

/// The payloads of urgent copies are envelopes: their frames are compared.
async fn copies(fleet: &Fleet, wanted: usize) -> Vec<u64> {
    let options = ConsumerOptions::new(unique("tail"), [fleet.topics.urgent.clone()]);
    let (consumer, mut events) = Consumer::start(&fleet.kafka, options).unwrap();
    let mut frames = Vec::new();
    while frames.len() < wanted {
        let event = tokio::time::timeout(Duration::from_secs(30), events.recv());
        match event.await.expect("a copy within 30 s").unwrap() {
            ConsumerEvent::Assigned(partition) => {
                consumer.attach(partition, StartOffset::Beginning);
            }
            ConsumerEvent::Records { records, .. } => {
                for record in records {
                    let wire = proto::decode(record.payload).unwrap();
                    assert!(wire.envelope.urgent);
                    frames.push(wire.envelope.origin.frame);
                }
            }
            _ => {}
        }
    }
    frames.sort_unstable();
    frames
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs services/up"]
async fn an_urgent_envelope_goes_both_ways_also_after_a_kill() {
    use milepost_pipeline::fleet::{Gateway, GatewayOptions};
    use milepost_pipeline::spool::{Folder, Spool, SpoolOptions};
    let fleet = Fleet::new(2).await;
    let from = Timestamp::from_millis(now().as_millis() - 10_000_000);
    let (reports, express) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let open = |folder: &std::path::Path| {
        let folder = Folder::open(folder).unwrap();
        Spool::open(folder, SpoolOptions::default()).unwrap().0
    };
    let urgent = |n: u32| {
        let mut envelope = super::fleet::envelope(7, n, from);
        envelope.urgent = n.is_multiple_of(10);
        envelope.origin.frame = n.into();
        envelope
    };
    let mut options = GatewayOptions::new("gw-1");
    options.topics = fleet.topics.clone();
    {
        // No broker is there: all is in the logs, and the process is killed.
        let nowhere = KafkaConfig::new("127.0.0.1:9", "test");
        let mut options = options.clone();
        options.express = Some(open(express.path()));
        let gateway = Gateway::with_spool(&nowhere, options, open(reports.path())).unwrap();
        super::fleet::send(&gateway, (0..200).map(urgent)).await;
        assert_eq!(gateway.waiting(), 220);
        gateway.close(Duration::ZERO).await;
    }
    options.express = Some(open(express.path()));
    let gateway = Gateway::with_spool(&fleet.kafka, options, open(reports.path())).unwrap();
    super::fleet::send(&gateway, (200..300).map(urgent)).await;
    let expected: Vec<u64> = (0..30).map(|n| n * 10).collect();
    assert_eq!(copies(&fleet, 30).await, expected);
    let (stop, worker) = fleet.worker().await;
    fleet.wait_for("report", 300).await;
    gateway.close(Duration::from_secs(10)).await;
    assert_eq!(gateway.waiting(), 0);
    stop.cancel();
    worker.await.unwrap();

    // Without a disk.
    let mut options = GatewayOptions::new("gw-2");
    options.topics = fleet.topics.clone();
    let gateway = Gateway::direct(&fleet.kafka, options).unwrap();
    super::fleet::send(&gateway, (300..320).map(urgent)).await;
    let expected: Vec<u64> = (0..32).map(|n| n * 10).collect();
    assert_eq!(copies(&fleet, 32).await, expected);
    gateway.close(Duration::from_secs(10)).await;
}
