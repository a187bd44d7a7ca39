//! `milepost worker`: Kafka to TimescaleDB and Redis.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use milepost_api::store::{Part, Readiness};
use milepost_pipeline::fleet::{Worker, WorkerError, WorkerOptions, WorkerStatus};
use milepost_pipeline::kafka::{KafkaConfig, TopicSpec, ensure_topics};
use milepost_pipeline::sink::timescale::Keep;
use milepost_pipeline::stage::{Incidents, Stages, Track};

use super::{Options, Role, http};
use crate::config::Config;
use crate::failure::Failure;
use crate::metrics::Metrics;
use crate::protocol::Protocols;
use crate::shutdown;

/// How often a service that is away at the start is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// Works until a signal.
///
/// # Errors
/// When it cannot start. A service that is away is waited for, which `/readyz` shows.
pub async fn run(options: &Options, protocols: Protocols) -> Result<(), Failure> {
    let config = options.start(Role::Worker, protocols)?;
    let shutdown = shutdown::on_signal()?;
    let _installed = Metrics::global();
    let http = http::bind(config.fleet.worker_http, "worker.http")?;
    let kafka = super::kafka(&config, "milepost-worker".to_owned())?;
    let work = work(&config, options.accept_gap)?;
    let place = http.place.clone();
    let parts = Arc::new(Parts {
        kafka: kafka.clone(),
        state: Mutex::new(State::Starting("it has not joined yet".to_owned())),
    });
    let answering = http.serve(&config, parts.clone(), shutdown.clone());
    let specs = super::specs(&config);
    let started = tokio::select! {
        started = start(&kafka, &specs, &work, &parts) => Some(started),
        () = shutdown.cancelled() => None,
    };
    let ended = match started {
        None => Ok(()),
        Some(Err(failure)) => Err(failure),
        Some(Ok(worker)) => {
            parts.set(State::Working(worker.status()));
            crate::say(format_args!(
                "milepost worker is ready: {} to {}, {place}",
                kafka.brokers, work.database
            ));
            let ended = worker.run(shutdown.cancelled_owned()).await;
            ended.map_err(|error| Failure::new(error.to_string()))
        }
    };
    answering.end().await;
    ended
}

fn work(config: &Config, accept_gap: bool) -> Result<WorkerOptions, Failure> {
    let mut work = WorkerOptions::new(super::database(config)?);
    work.group.clone_from(&config.fleet.group);
    work.topics = super::topics(config);
    work.redis = super::redis(config)?;
    work.pipeline.stages = Stages::standard().then(Incidents);
    if config.smoothing.enabled {
        let track = Track::new(config.smoothing.settings());
        work.pipeline.stages = work.pipeline.stages.then(track);
    }
    work.accept_gap = accept_gap;
    work.keep = config.store.keep.map(Keep::all);
    Ok(work)
}

/// Waits for Kafka and the database; gives up on what will not pass by itself.
async fn start(
    kafka: &KafkaConfig,
    specs: &[TopicSpec],
    work: &WorkerOptions,
    parts: &Parts,
) -> Result<Worker, Failure> {
    loop {
        match ensure_topics(kafka, specs).await {
            Ok(states) => {
                for warning in states.iter().filter_map(|state| state.warning()) {
                    tracing::warn!("{warning}");
                }
                break;
            }
            Err(fault) => parts.wait(&fault).await,
        }
    }
    loop {
        match Worker::start(kafka, work.clone()).await {
            Ok(worker) => return Ok(worker),
            Err(WorkerError::Database(error)) if error.needs_reconnect() => {
                parts.wait(&error).await;
            }
            Err(error) => {
                return Err(Failure::new(format!("the worker cannot start: {error}")));
            }
        }
    }
}

/// What must work before a worker is ready.
struct Parts {
    kafka: KafkaConfig,
    state: Mutex<State>,
}

enum State {
    /// Something is waited for; what.
    Starting(String),
    Working(WorkerStatus),
}

impl Parts {
    fn set(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    async fn wait(&self, why: &impl std::fmt::Display) {
        tracing::warn!(error = %why, "the worker waits");
        self.set(State::Starting(why.to_string()));
        tokio::time::sleep(TRY_AGAIN).await;
    }
}

impl Readiness for Parts {
    fn not_ready(&self) -> Vec<Part> {
        let part = |part, reason| Part { part, reason };
        let status = match &*self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Starting(reason) => return vec![part("start", reason.clone())],
            State::Working(status) => status.clone(),
        };
        let mut parts = Vec::new();
        parts.extend(self.kafka.problem().map(|reason| part("kafka", reason)));
        let mut reasons: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (partition, reason) in status.problems() {
            reasons
                .entry(reason)
                .or_default()
                .push(partition.to_string());
        }
        parts.extend(
            reasons
                .into_iter()
                .map(|(reason, of)| part("partitions", format!("{}: {reason}", of.join(", ")))),
        );
        parts
    }
}
