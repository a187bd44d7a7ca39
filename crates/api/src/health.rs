//! Is it alive, is it ready, and how is it going.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::Shared;
use crate::problem::Problem;
use crate::store::{Part, Readiness};

/// The process runs. A supervisor that restarts what does not answer here would gain nothing
/// from more: a store that is down does not come back by restarting us.
pub(crate) async fn alive() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// Data can be taken and answered for.
pub(crate) async fn ready(State(api): State<Shared>) -> Result<Json<Value>, Problem> {
    readiness(&*api.readiness, &api.shutdown)
}

/// What does not work, or that all does; with what works otherwise than usual.
pub(crate) fn readiness(
    readiness: &dyn Readiness,
    shutdown: &CancellationToken,
) -> Result<Json<Value>, Problem> {
    let mut parts = Vec::new();
    if shutdown.is_cancelled() {
        parts.push(Part {
            part: "process",
            reason: "it is ending".to_owned(),
        });
    }
    parts.extend(readiness.not_ready());
    if !parts.is_empty() {
        return Err(Problem::not_ready(parts));
    }
    let notes: Vec<Value> = readiness
        .notes()
        .into_iter()
        .map(|Part { part, reason }| json!({ "part": part, "reason": reason }))
        .collect();
    Ok(Json(if notes.is_empty() {
        json!({ "status": "ok" })
    } else {
        json!({ "status": "ok", "notes": notes })
    }))
}

/// The text format's media type.
pub(crate) const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything that is counted, for Prometheus.
pub(crate) async fn metrics(State(api): State<Shared>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, METRICS)], (api.metrics)())
}
