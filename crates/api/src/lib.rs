//! Milepost's HTTP API and live page.
//!
//! The crate knows no store and no protocol: handlers read through the traits of [`store`], and
//! an application implements them. [`router`] makes the routes of an [`Api`]; [`serve`] runs them
//! with bounded connections, deadlines and a clean end.
//!
//! Handlers only read; the two for commands also write.

mod accept;
mod auth;
mod commands;
mod devices;
mod getting_started;
mod health;
mod history;
mod lagged;
mod object;
mod operation;
pub mod page;
mod parameters;
pub mod problem;
mod quarantine;
mod secret;
mod stall;
pub mod store;
mod trips;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{OriginalUri, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use milepost_telemetry::Tenant;
use tokio_util::sync::CancellationToken;

pub use accept::{HEALTH_CONNECTIONS, serve};
pub use commands::MAX_EXPIRES_S;
pub use getting_started::GettingStarted;
pub use operation::{Operation, operation_router};
use problem::Problem;
pub use secret::Secret;
use store::{Commands, Connections, History, LastKnown, Quarantine, Readiness, Trips};

/// What the handlers work with.
pub struct Api {
    /// Reports.
    pub history: Arc<dyn History>,
    /// Trips and stops.
    pub trips: Arc<dyn Trips>,
    /// Which positions are believed, where a history is smoothed with following reports.
    pub rules: milepost_pipeline::track::Rules,
    /// Last known states.
    pub devices: Arc<dyn LastKnown>,
    /// Frames that could not be decoded.
    pub quarantine: Arc<dyn Quarantine>,
    /// Commands.
    pub commands: Arc<dyn Commands>,
    /// Who is connected.
    pub connections: Arc<dyn Connections>,
    /// What must work before `/readyz` says so.
    pub readiness: Arc<dyn Readiness>,
    /// Everything that is counted, in Prometheus's text format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Whose devices these are.
    pub tenant: Tenant,
    /// What `/v1` requests must show; without one, only requests to this machine are answered.
    pub token: Option<Secret>,
    /// How long an answer may take; for a stream, the time between two parts.
    pub timeout: Duration,
    /// How long a command waits if the request does not say.
    pub command_expires: Duration,
    /// What the page shows while no device is known.
    pub getting_started: Vec<GettingStarted>,
    /// Cancelled when the application begins to end.
    pub shutdown: CancellationToken,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}

type Shared = Arc<Api>;

/// All routes.
pub fn router(api: Api) -> Router {
    let api = Arc::new(api);
    let v1 = Router::new()
        .route("/devices", get(devices::list))
        .route("/devices/{id}", get(devices::one))
        .route("/devices/{id}/history", get(history::read))
        .route("/devices/{id}/trips", get(trips::read))
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
    // A page of a stranger's, in a browser on this machine, reads neither the page nor the counters.
    let local = Router::new()
        .route("/metrics", get(health::metrics))
        .route("/page/getting-started.json", get(getting_started::list))
        .merge(page::routes())
        .layer(middleware::from_fn_with_state(
            Arc::clone(&api),
            auth::require_own_host,
        ));
    Router::new()
        .nest("/v1", v1)
        .merge(local)
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn(one_host))
        .layer(middleware::from_fn_with_state(Arc::clone(&api), in_time))
        .with_state(api)
}

/// Two `Host` headers are two opinions on who is asked: a proxy may have followed the other one
/// (RFC 9112, section 3.2).
async fn one_host(request: Request, next: Next) -> Response {
    if request.headers().get_all(header::HOST).iter().count() > 1 {
        let detail = "the request has more than one Host header";
        return Problem::new(StatusCode::BAD_REQUEST, detail).into_response();
    }
    next.run(request).await
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

/// No cache may keep where vehicles are.
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
