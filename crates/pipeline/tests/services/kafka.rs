//! Kafka: delivered in order, read from where the store says, taken away in an orderly way.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use milepost_pipeline::kafka::*;
use tokio::sync::mpsc::UnboundedReceiver;

use super::support::{device, server, unique};

fn config() -> KafkaConfig {
    KafkaConfig::new(server("MILEPOST_TEST_KAFKA"), "test")
}

async fn topic(partitions: i32) -> String {
    let name = unique("test");
    let spec = TopicSpec::new(&name, partitions, 1);
    let states = ensure_topics(&config(), std::slice::from_ref(&spec))
        .await
        .unwrap();
    let [state] = &states[..] else {
        panic!("{states:?}")
    };
    assert!(state.created);
    assert_eq!(state.partitions, partitions as usize);
    assert_eq!((state.replication, state.min_insync), (1, Some(1)));
    assert!(state.warning().unwrap().contains("use 3 and 2"));
    let again = ensure_topics(&config(), &[spec]).await.unwrap();
    assert!(!again[0].created);
    name
}

async fn fill(topic: &str, records: u32) {
    let producer = Producer::new(&config(), &ProducerOptions::default()).unwrap();
    let mut deliveries = Vec::new();
    for n in 0..records {
        let key = key(&device(n % 10));
        deliveries.push(
            producer
                .enqueue(topic, &key, &n.to_be_bytes())
                .await
                .unwrap(),
        );
    }
    let mut places = BTreeSet::new();
    for delivery in deliveries {
        let delivered = delivery.await.unwrap();
        places.insert((delivered.partition, delivered.offset));
    }
    assert_eq!(
        places.len(),
        records as usize,
        "each has a place of its own"
    );
    // The client counts a record until its report is put away, which is after it was given.
    while producer.in_flight() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(producer.fatal_error().is_none());
}

/// The next event that is not a mere notice of the client.
async fn next(events: &mut UnboundedReceiver<ConsumerEvent>) -> ConsumerEvent {
    loop {
        let event = tokio::time::timeout(Duration::from_secs(30), events.recv());
        match event.await.expect("an event within 30 s").unwrap() {
            ConsumerEvent::Fault(_) => {}
            event => return event,
        }
    }
}

async fn assigned(events: &mut UnboundedReceiver<ConsumerEvent>) -> PartitionId {
    match next(events).await {
        ConsumerEvent::Assigned(partition) => partition,
        other => panic!("{other:?}"),
    }
}

fn number(record: &Polled) -> u32 {
    u32::from_be_bytes(record.payload[..].try_into().unwrap())
}

#[tokio::test]
#[ignore = "needs services/up"]
async fn a_device_keeps_its_order_and_its_partition() {
    let topic = topic(3).await;
    fill(&topic, 1_000).await;
    let options = ConsumerOptions::new(unique("group"), [topic]);
    let (consumer, mut events) = Consumer::start(&config(), options).unwrap();
    let mut by_key: BTreeMap<Vec<u8>, (i32, Vec<u32>)> = BTreeMap::new();
    let mut count = 0;
    while count < 1_000 {
        match next(&mut events).await {
            ConsumerEvent::Assigned(partition) => {
                consumer.attach(partition, StartOffset::Beginning);
            }
            ConsumerEvent::Attached { offset, .. } => assert_eq!(offset, 0),
            ConsumerEvent::Records {
                partition, records, ..
            } => {
                for record in records {
                    count += 1;
                    let (place, numbers) = by_key
                        .entry(record.key.to_vec())
                        .or_insert((partition.partition, Vec::new()));
                    assert_eq!(*place, partition.partition);
                    numbers.push(number(&record));
                }
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(by_key.len(), 10);
    for (_, numbers) in by_key.values() {
        assert!(numbers.is_sorted() && numbers.len() == 100);
    }
    drop(events);
    tokio::task::spawn_blocking(|| consumer.close())
        .await
        .unwrap();
}

#[tokio::test]
#[ignore = "needs services/up"]
async fn a_partition_is_read_from_the_offset_that_the_store_names() {
    let topic = topic(1).await;
    fill(&topic, 100).await;
    let options = ConsumerOptions::new(unique("group"), [topic]);
    let (consumer, mut events) = Consumer::start(&config(), options).unwrap();
    let partition = assigned(&mut events).await;

    consumer.attach(partition.clone(), StartOffset::At(101));
    let gap = match next(&mut events).await {
        ConsumerEvent::Failed { fault, .. } => fault.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(
        gap.contains("offset 101") && gap.contains("0 to 100"),
        "{gap}"
    );

    for start in [97, 40] {
        consumer.attach(partition.clone(), StartOffset::At(start));
        let mut expected = start;
        loop {
            match next(&mut events).await {
                ConsumerEvent::Attached { offset, .. } => assert_eq!(offset, start),
                ConsumerEvent::Records { records, .. } => {
                    for record in records {
                        assert_eq!(record.offset, expected);
                        expected += 1;
                    }
                }
                other => panic!("{other:?}"),
            }
            if expected == 100 {
                break;
            }
        }
        consumer.detach(partition.clone());
    }
    drop(events);
    tokio::task::spawn_blocking(|| consumer.close())
        .await
        .unwrap();
}

#[tokio::test]
#[ignore = "needs services/up"]
async fn a_partition_waits_while_too_much_of_it_is_in_memory() {
    let topic = topic(1).await;
    fill(&topic, 5_000).await;
    let mut options = ConsumerOptions::new(unique("group"), [topic]);
    options.records = 10;
    options.partition_bytes = 5_000;
    let (consumer, mut events) = Consumer::start(&config(), options).unwrap();
    let partition = assigned(&mut events).await;
    consumer.attach(partition.clone(), StartOffset::Beginning);
    let mut held: usize = 0;
    let mut count = 0;
    while count < 5_000 {
        // It stays quiet only while it is paused.
        let event = tokio::time::timeout(Duration::from_millis(500), events.recv()).await;
        match event {
            Ok(Some(ConsumerEvent::Records { records, bytes, .. })) => {
                held += bytes;
                count += records.len();
                assert!(held <= 5_000 + 10 * 128, "{held} bytes in memory");
            }
            Ok(_) => {}
            // Nothing has come yet.
            Err(_) if held == 0 => {}
            Err(_) => {
                assert!(held > 5_000, "paused at {held} bytes");
                consumer.done(partition.clone(), std::mem::take(&mut held));
                // The rest at once, so that the test ends.
                if count > 200 {
                    consumer.done(partition.clone(), usize::MAX);
                    break;
                }
            }
        }
    }
    assert!(count > 200);
    drop(events);
    tokio::task::spawn_blocking(|| consumer.close())
        .await
        .unwrap();
}

#[tokio::test]
#[ignore = "needs services/up"]
async fn a_partition_moves_only_after_its_holder_has_finished() {
    let topic = topic(2).await;
    let options = ConsumerOptions::new(unique("group"), [topic.clone()]);
    let (one, mut of_one) = Consumer::start(&config(), options.clone()).unwrap();
    for _ in 0..2 {
        let partition = assigned(&mut of_one).await;
        one.attach(partition, StartOffset::Beginning);
    }
    for _ in 0..2 {
        assert!(matches!(
            next(&mut of_one).await,
            ConsumerEvent::Attached { .. }
        ));
    }
    let (two, mut of_two) = Consumer::start(&config(), options).unwrap();
    let ConsumerEvent::Revoked(detaching) = next(&mut of_one).await else {
        panic!("one partition goes to the second member")
    };
    assert!(!detaching.is_lost);
    let early = tokio::time::timeout(Duration::from_millis(500), of_two.recv()).await;
    assert!(early.is_err(), "assigned before it was finished: {early:?}");
    let moved = detaching.partition.clone();
    drop(detaching);
    assert_eq!(assigned(&mut of_two).await, moved);
    two.attach(moved.clone(), StartOffset::Beginning);
    assert!(matches!(
        next(&mut of_two).await,
        ConsumerEvent::Attached { .. }
    ));

    // Both are read, by one each.
    fill(&topic, 100).await;
    let mut seen = BTreeSet::new();
    for events in [&mut of_one, &mut of_two] {
        match next(events).await {
            ConsumerEvent::Records { partition, .. } => seen.insert(partition.partition),
            other => panic!("{other:?}"),
        };
    }
    assert_eq!(seen.len(), 2);
    // A member that leaves finishes, too.
    let closing = tokio::task::spawn_blocking(|| two.close());
    loop {
        if let ConsumerEvent::Revoked(detaching) = next(&mut of_two).await {
            assert_eq!(detaching.partition, moved);
            break;
        }
    }
    closing.await.unwrap();
    loop {
        if let ConsumerEvent::Assigned(partition) = next(&mut of_one).await {
            assert_eq!(partition, moved);
            break;
        }
    }
    let closing = tokio::task::spawn_blocking(|| one.close());
    while let Some(event) = of_one.recv().await {
        drop(event);
    }
    closing.await.unwrap();
}

#[tokio::test]
#[ignore = "needs services/up"]
async fn a_record_that_is_too_large_is_refused_and_the_next_is_not() {
    let topic = topic(1).await;
    let producer = Producer::new(&config(), &ProducerOptions::default()).unwrap();
    let refused = producer.send(&topic, "k", &[0; 5 << 20]).await.unwrap_err();
    assert!(matches!(refused, KafkaFault::TooLarge { .. }), "{refused}");
    assert_eq!(
        producer.send(&topic, "k", b"small").await.unwrap().offset,
        0
    );
}
