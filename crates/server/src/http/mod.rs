//! The HTTP API and the live page.
//!
//! Handlers only read: from the store's readers, which work while its writer is stalled, and from
//! the table of connections; one, for commands, also writes. Reading is blocking work and happens
//! on tokio's blocking threads.

mod accept;
mod auth;
mod commands;
mod devices;
mod health;
mod history;
pub mod page;
mod parameters;
pub mod problem;
mod quarantine;
mod stall;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{OriginalUri, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use milepost_listener::Connections;
use milepost_pipeline::Handle;
use milepost_pipeline::sink::sqlite::{Reader, Store, StoreError};
use milepost_telemetry::Tenant;
use tokio_util::sync::CancellationToken;

pub(crate) use accept::serve;
pub(crate) use health::Listening;
use problem::Problem;

use crate::commands::Bell;
use crate::config::{Commands, Secret};

/// What the handlers work with.
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) pipeline: Handle,
    pub(crate) connections: Connections,
    pub(crate) listening: Listening,
    pub(crate) metrics: PrometheusHandle,
    pub(crate) tenant: Tenant,
    pub(crate) token: Option<Secret>,
    pub(crate) timeout: Duration,
    pub(crate) commands: Commands,
    pub(crate) bell: Bell,
    pub(crate) shutdown: CancellationToken,
}

type Shared = Arc<Api>;

/// All routes.
pub(crate) fn router(api: Api) -> Router {
    let api = Arc::new(api);
    let v1 = Router::new()
        .route("/devices", get(devices::list))
        .route("/devices/{id}", get(devices::one))
        .route("/devices/{id}/history", get(history::read))
        .route(
            "/devices/{id}/commands",
            get(commands::list).post(commands::send),
        )
        .route(
            "/devices/{id}/commands/{command}",
            get(commands::one).delete(commands::withdraw),
        )
        .route("/quarantine", get(quarantine::list))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::map_response(never_cached))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&api),
            auth::require,
        ));
    Router::new()
        .nest("/v1", v1)
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .merge(page::routes())
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(Arc::clone(&api), in_time))
        .with_state(api)
}

async fn not_found(OriginalUri(uri): OriginalUri) -> Problem {
    Problem::not_found(format!("there is nothing at {}", uri.path()))
}

async fn method_not_allowed(method: Method, OriginalUri(uri): OriginalUri) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("{} does not take {method}", uri.path()),
    )
}

/// Where vehicles are is for nobody's cache.
async fn never_cached(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// Answers within the time-out, whatever happens; a stream minds its own.
async fn in_time(State(api): State<Shared>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(api.timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("no answer within {} seconds", api.timeout.as_secs()),
        )
        .into_response(),
    }
}

/// Reads from the store, on a thread that may block.
async fn read<T: Send + 'static>(
    api: &Api,
    read: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Problem> {
    api.store.read(read).await.map_err(|error| match error {
        StoreError::Cursor => parameters::bad_cursor(),
        error => {
            tracing::error!(%error, "the store could not be read");
            Problem::not_ready(vec![problem::Part {
                part: "store",
                reason: "it cannot be read; the server's log says why".to_owned(),
            }])
        }
    })
}
