//! Is it alive, is it ready, and how is it going.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use crate::Shared;
use crate::problem::Problem;
use crate::store::Part;

/// The process runs. A supervisor that restarts what does not answer here would gain nothing
/// from more: a store that is down does not come back by restarting us.
pub(crate) async fn alive() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// Data can be taken and answered for.
pub(crate) async fn ready(State(api): State<Shared>) -> Result<Json<Value>, Problem> {
    let mut parts = Vec::new();
    if api.shutdown.is_cancelled() {
        parts.push(Part {
            part: "process",
            reason: "it is ending".to_owned(),
        });
    }
    parts.extend(api.readiness.not_ready());
    if parts.is_empty() {
        Ok(Json(json!({ "status": "ok" })))
    } else {
        Err(Problem::not_ready(parts))
    }
}

/// Everything that is counted, for Prometheus.
pub(crate) async fn metrics(State(api): State<Shared>) -> impl IntoResponse {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], (api.metrics)())
}
