//! A worker of a fleet as a library: Kafka to TimescaleDB and Redis.
//!
//! ```sh
//! cargo run -p milepost-examples --features fleet --bin fleet_worker -- \
//!     127.0.0.1:19092 postgres://postgres@127.0.0.1:15432/postgres redis://127.0.0.1:16379
//! ```
//!
//! It runs until Ctrl-C, or for as many seconds as a fifth argument says; the fourth is what the
//! topics' names begin with.

use std::time::Duration;

use milepost_pipeline::fleet::{Topics, Worker, WorkerOptions};
use milepost_pipeline::kafka::KafkaConfig;
use milepost_pipeline::sink::redis::{LastKnown, LastKnownOptions, RedisUrl};
use milepost_pipeline::sink::timescale::{Database, DatabaseUrl, Schema};
use milepost_telemetry::{DeviceKey, Tenant};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [brokers, database, redis, rest @ ..] = &arguments[..] else {
        return Err("usage: fleet_worker BROKERS DATABASE-URL REDIS-URL [PREFIX [SECONDS]]".into());
    };
    let prefix = rest.first().map_or("milepost", String::as_str);
    let seconds = rest.get(1).map(|seconds| seconds.parse()).transpose()?;

    let database: DatabaseUrl = database.parse()?;
    Database::migrate(&database, &Schema::default()).await?;
    let mut options = WorkerOptions::new(database);
    options.group = format!("{prefix}-example");
    options.topics = Topics::with_prefix(prefix);
    let redis: RedisUrl = redis.parse()?;
    options.redis = Some(redis.clone());
    // Stages of your own go into `options.pipeline.stages`.
    let kafka = KafkaConfig::new(brokers, "example-worker");
    let worker = Worker::start(&kafka, options).await?;
    println!("working; Ctrl-C ends it");
    let stop = async move {
        match seconds {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => drop(tokio::signal::ctrl_c().await),
        }
    };
    // What is under way is stored, and the partitions are given back.
    worker.run(stop).await?;
    println!("ended");

    // Whoever shows vehicles asks Redis.
    let mut last_known = LastKnown::connect(&redis, LastKnownOptions::default()).await?;
    let tenant = Tenant::default();
    let (_next, devices) = last_known.devices(tenant, 0).await?;
    for device in devices.into_iter().take(5) {
        let key = DeviceKey { tenant, device };
        if let Some(state) = last_known.read(&key).await? {
            println!("{device} was heard of last at {}", state.time);
        }
    }
    Ok(())
}
