//! Is it alive, is it ready, and how is it going.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use milepost_pipeline::Health;
use serde_json::{Value, json};

use super::Shared;
use super::problem::{Part, Problem};

/// How many of the listeners that should take connections do not.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listening(Arc<AtomicUsize>);

/// A listener that takes connections as long as this lives.
#[derive(Debug)]
pub(crate) struct Running(Arc<AtomicUsize>);

impl Listening {
    /// A listener runs, from now until what this returns is dropped.
    pub(crate) fn running(&self) -> Running {
        Running(Arc::clone(&self.0))
    }

    fn missing(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

/// The process runs. A supervisor that restarts what does not answer here would gain nothing
/// from more: a store that is down does not come back by restarting us.
pub(super) async fn alive() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// Data can be taken and answered for.
pub(super) async fn ready(State(api): State<Shared>) -> Result<Json<Value>, Problem> {
    let mut parts = Vec::new();
    if api.shutdown.is_cancelled() {
        parts.push(Part {
            part: "process",
            reason: "it is ending".to_owned(),
        });
    }
    if let Health::Stalled(reason) = api.pipeline.health() {
        parts.push(Part {
            part: "store",
            reason: reason.into(),
        });
    }
    let missing = api.listening.missing();
    if missing > 0 {
        parts.push(Part {
            part: "listener",
            reason: format!("{missing} of the device listeners take no connections"),
        });
    }
    if parts.is_empty() {
        Ok(Json(json!({ "status": "ok" })))
    } else {
        Err(Problem::not_ready(parts))
    }
}

/// Everything that is counted, for Prometheus.
pub(super) async fn metrics(State(api): State<Shared>) -> impl IntoResponse {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], api.metrics.render())
}
