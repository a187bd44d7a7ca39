//! The routes of a process that has no API: is it alive, is it ready, and how is it going.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::problem::Problem;
use crate::store::Readiness;
use crate::{auth, health, method_not_allowed, not_found, one_host};

/// What is asked of any process in operation.
pub struct Operation {
    /// What must work before `/readyz` says so.
    pub readiness: Arc<dyn Readiness>,
    /// Everything that is counted, in Prometheus's text format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Whether the address is open to other machines. If not, `/metrics` answers only requests that
    /// name this machine: a stranger's page in a browser cannot make those.
    pub is_public: bool,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Cancelled when the process begins to end.
    pub shutdown: CancellationToken,
}

impl std::fmt::Debug for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operation").finish_non_exhaustive()
    }
}

type Shared = Arc<Operation>;

/// `/healthz`, `/readyz` and `/metrics`, for [`serve`](crate::serve).
pub fn operation_router(operation: Operation) -> Router {
    let operation = Arc::new(operation);
    Router::new()
        .route("/metrics", get(metrics))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&operation),
            own_host,
        ))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(ready))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn(one_host))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&operation),
            in_time,
        ))
        .with_state(operation)
}

async fn ready(State(operation): State<Shared>) -> Result<Json<Value>, Problem> {
    health::readiness(&*operation.readiness, &operation.shutdown)
}

async fn metrics(State(operation): State<Shared>) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, health::METRICS)],
        (operation.metrics)(),
    )
}

async fn own_host(State(operation): State<Shared>, request: Request, next: Next) -> Response {
    match auth::own_host(&request) {
        Err(problem) if !operation.is_public => problem.into_response(),
        _ => next.run(request).await,
    }
}

async fn in_time(State(operation): State<Shared>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(operation.timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no answer in time").into_response()
        }
    }
}
