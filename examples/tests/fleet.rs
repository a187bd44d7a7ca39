//! The examples of a fleet, against real servers: `services/up && services/env cargo test
//! -p milepost-examples --features fleet --test fleet -- --ignored`.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use support::run;

fn server(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: run services/up and services/env"))
}

#[test]
#[ignore = "needs services/up"]
fn what_the_gateway_acknowledges_the_worker_stores() {
    let nanos = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    let prefix = format!("examples_{nanos}");
    let brokers = server("MILEPOST_TEST_KAFKA");
    let text = run(env!("CARGO_BIN_EXE_fleet_gateway"), &[&brokers, &prefix]);
    assert!(
        text.contains("the tracker is told 78780516003695700d0a"),
        "{text}"
    );
    assert!(text.contains("0 records wait for Kafka"), "{text}");

    let text = run(
        env!("CARGO_BIN_EXE_fleet_worker"),
        &[
            &brokers,
            &server("MILEPOST_TEST_DATABASE"),
            &server("MILEPOST_TEST_REDIS"),
            &prefix,
            "10",
        ],
    );
    assert!(text.contains("ended"), "{text}");
    assert!(
        text.contains("752533678900242 was heard of last at"),
        "{text}"
    );
}
