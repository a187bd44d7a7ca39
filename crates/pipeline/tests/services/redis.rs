//! Redis: the last known state never moves back.

use std::time::Duration;

use milepost_pipeline::sink::redis::*;
use milepost_telemetry::{Tenant, Timestamp};

use super::support::{device, server, unique};

async fn fresh() -> LastKnown {
    let url: RedisUrl = server("MILEPOST_TEST_REDIS").parse().unwrap();
    let mut options = LastKnownOptions::default();
    options.prefix = unique("test");
    options.changes = 100;
    LastKnown::connect(&url, options).await.unwrap()
}

fn state(number: u32, millis: i64, text: &str) -> DeviceState {
    DeviceState::new(device(number), Timestamp::from_millis(millis), text)
}

#[tokio::test]
#[ignore = "needs services/up"]
async fn an_earlier_state_never_replaces_a_later_one() {
    let mut last = fresh().await;
    assert_eq!(last.read(&device(1)).await.unwrap(), None);
    // 10,000 is later than 9,999, and is not as text.
    let states = [
        state(1, 9_999, "a"),
        state(1, 10_000, "b"),
        state(1, 9_999, "late"),
        state(2, -5, "before 1970"),
        state(1, 10_000, "the same again"),
    ];
    let written = last.write(&states).await.unwrap();
    assert_eq!(written, [true, true, false, true, true]);
    let known = last.read(&device(1)).await.unwrap();
    assert_eq!(known, Some(states[4].clone()));
    assert_eq!(
        last.read(&device(2)).await.unwrap(),
        Some(states[3].clone())
    );
}

#[tokio::test]
#[ignore = "needs services/up"]
async fn changes_are_read_in_order_and_trimmed() {
    let mut last = fresh().await;
    let tenant = Tenant::new("acme").unwrap();
    let wait = Duration::from_millis(5);
    assert!(
        last.changes(tenant, "0", 10, wait)
            .await
            .unwrap()
            .is_empty()
    );
    let states: Vec<_> = (0..1_200).map(|n| state(n, 1, "{}")).collect();
    assert!(
        last.write(&states)
            .await
            .unwrap()
            .into_iter()
            .all(|new| new)
    );

    let changes = last.changes(tenant, "0", 10_000, wait).await.unwrap();
    assert!((100..400).contains(&changes.len()), "{}", changes.len());
    assert_eq!(changes.last().unwrap().device, states[1_199]);
    let place = &changes[changes.len() - 3].place;
    assert_eq!(
        last.changes(tenant, place, 10, wait).await.unwrap().len(),
        2
    );

    let (mut cursor, mut found) = (0, std::collections::BTreeSet::new());
    loop {
        let (next, devices) = last.devices(tenant, cursor).await.unwrap();
        found.extend(devices);
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(found.len(), 1_200);
    let other = Tenant::new("other").unwrap();
    assert!(last.devices(other, 0).await.unwrap().1.is_empty());
}

#[tokio::test]
#[ignore = "needs services/up"]
async fn a_script_that_the_server_forgot_is_loaded_again() {
    let mut last = fresh().await;
    assert_eq!(last.write(&[state(1, 1, "a")]).await.unwrap(), [true]);
    let url = server("MILEPOST_TEST_REDIS");
    let mut connection = redis::Client::open(url).unwrap().get_connection().unwrap();
    redis::cmd("SCRIPT")
        .arg("FLUSH")
        .exec(&mut connection)
        .unwrap();
    assert_eq!(last.write(&[state(1, 2, "b")]).await.unwrap(), [true]);
}
