//! `milepost worker`: Kafka to TimescaleDB and Redis.

use milepost_pipeline::fleet::{Worker, WorkerOptions};
use milepost_pipeline::kafka::ensure_topics;
use milepost_pipeline::sink::timescale::Keep;
use milepost_pipeline::stage::{Incidents, Stages, Track};

use super::Options;
use crate::failure::Failure;
use crate::metrics::Metrics;
use crate::protocol::Protocols;
use crate::shutdown;

/// Works until a signal.
///
/// # Errors
/// When it cannot start.
pub async fn run(options: &Options, protocols: Protocols) -> Result<(), Failure> {
    let config = options.start(protocols)?;
    let shutdown = shutdown::on_signal()?;
    let _metrics = Metrics::global();
    let kafka = super::kafka(&config, "milepost-worker".to_owned())?;
    let database = super::database(&config)?;
    let states = ensure_topics(&kafka, &super::specs(&config)).await;
    let states = states.map_err(|error| Failure::new(error.to_string()))?;
    for warning in states.iter().filter_map(|state| state.warning()) {
        tracing::warn!("{warning}");
    }
    let mut work = WorkerOptions::new(database.clone());
    work.group.clone_from(&config.fleet.group);
    work.topics = super::topics(&config);
    work.redis = super::redis(&config)?;
    work.pipeline.stages = Stages::standard().then(Incidents);
    if config.smoothing.enabled {
        let track = Track::new(config.smoothing.settings());
        work.pipeline.stages = work.pipeline.stages.then(track);
    }
    work.accept_gap = options.accept_gap;
    work.keep = config.store.keep.map(Keep::all);
    let worker = Worker::start(&kafka, work)
        .await
        .map_err(|error| Failure::new(format!("the worker cannot start: {error}")))?;
    crate::say(format_args!(
        "milepost worker is ready: {} to {database}",
        kafka.brokers
    ));
    worker
        .run(shutdown.cancelled_owned())
        .await
        .map_err(|error| Failure::new(error.to_string()))
}
