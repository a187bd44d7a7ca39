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

const TOPIC: Name = Name::new("milepost.reports");

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
    locker.batch_execute("ROLLBACK").await.unwrap();
    let published = "mark WHERE published > 0";
    assert_eq!(fleet.fresh.count(published).await, 0);

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

    // Who was superseded publishes nothing and ends.
    let _last = database.claim(TOPIC, 0).await.unwrap();
    wake.notify_one();
    running.await.unwrap();
    let old = publisher(&fleet).publish(claim).await.unwrap_err();
    assert!(old.to_string().contains("generation"), "{old}");
    let all = "mark WHERE published = 2420 AND events = 2420";
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
