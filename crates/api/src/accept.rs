//! The HTTP listener: bounded connections, each with a deadline for its request and for taking
//! the answer, and a clean end. Health has connections of its own, so that it answers when all
//! others are taken.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{Request, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::problem::Problem;
use crate::stall::Stalling;

/// What a client may send as request line and headers.
const MAX_HEAD: usize = 16 * 1024;
/// How long a client may take for them. A browser takes milliseconds; who takes longer holds a
/// place that others need.
const MAX_HEAD_TIME: Duration = Duration::from_secs(5);
/// Connections beyond the configured number, on which only health is answered.
pub const HEALTH_CONNECTIONS: usize = 16;
/// How often it is logged that connections cannot be accepted.
const LOG_EVERY: Duration = Duration::from_secs(30);

/// The client's end of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Serves until `shutdown`; then finishes what was asked, for at most `grace`.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    max_connections: usize,
    timeout: Duration,
    grace: Duration,
    shutdown: CancellationToken,
) {
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(timeout.min(MAX_HEAD_TIME))
        .max_buf_size(MAX_HEAD)
        .half_close(true);
    let mut health = http.clone();
    health.keep_alive(false);
    let only_health = router.clone().layer(middleware::from_fn(only_health));
    let graceful = GracefulShutdown::new();
    let places = Places::new(max_connections);
    let mut errors = Errors::default();
    loop {
        // The place comes first, so that beyond the bounds clients wait in the system's queue.
        let accepted = async {
            let place = places.take().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            accepted = accepted => accepted,
            () = shutdown.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok((stream, peer)) => (stream, peer),
            Err(error) => {
                errors.count(&error);
                // Out of file descriptors, most likely: more tries at once would not help.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        let stream = TokioIo::new(Stalling::new(stream, timeout));
        match places.better(place) {
            Place::Full(permit) => {
                let routes = TowerToHyperService::new(router.clone());
                let service = service_fn(move |mut request: Request<Incoming>| {
                    request.extensions_mut().insert(Peer(peer));
                    routes.call(request)
                });
                let connection = graceful.watch(http.serve_connection(stream, service));
                tokio::spawn(async move {
                    if let Err(error) = connection.await {
                        tracing::debug!(%error, "an HTTP connection ended");
                    }
                    drop(permit);
                });
            }
            Place::Health(permit) => {
                let service = TowerToHyperService::new(only_health.clone());
                let connection = graceful.watch(health.serve_connection(stream, service));
                tokio::spawn(async move {
                    drop(tokio::time::timeout(MAX_HEAD_TIME, connection).await);
                    drop(permit);
                });
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(grace, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("HTTP requests were cut off at the end of the grace period");
    }
}

/// Answers health, and tells others that there is no place for them.
async fn only_health(request: axum::extract::Request, next: Next) -> Response {
    if matches!(request.uri().path(), "/healthz" | "/readyz") {
        return next.run(request).await;
    }
    let detail = "all HTTP connections are in use (http.max_connections): try again later";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).into_response()
}

/// The connections that there may be.
struct Places {
    full: Arc<Semaphore>,
    health: Arc<Semaphore>,
}

enum Place {
    Full(Option<OwnedSemaphorePermit>),
    Health(Option<OwnedSemaphorePermit>),
}

impl Places {
    fn new(max_connections: usize) -> Self {
        Self {
            full: Arc::new(Semaphore::new(max_connections)),
            health: Arc::new(Semaphore::new(HEALTH_CONNECTIONS)),
        }
    }

    /// A full place if there is one, else one for health, else whichever comes first.
    async fn take(&self) -> Place {
        tokio::select! {
            biased;
            permit = Arc::clone(&self.full).acquire_owned() => Place::Full(permit.ok()),
            permit = Arc::clone(&self.health).acquire_owned() => Place::Health(permit.ok()),
        }
    }

    /// A full place may have become free while a client was waited for.
    fn better(&self, place: Place) -> Place {
        match (place, Arc::clone(&self.full).try_acquire_owned()) {
            (Place::Health(_), Ok(permit)) => Place::Full(Some(permit)),
            (place, _) => place,
        }
    }
}

/// Errors of accepting, in the log now and then.
#[derive(Default)]
struct Errors {
    logged: Option<Instant>,
    since: u64,
}

impl Errors {
    fn count(&mut self, error: &std::io::Error) {
        self.since += 1;
        if self.logged.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
            tracing::warn!(%error, times = self.since, "HTTP connections cannot be accepted");
            self.logged = Some(Instant::now());
            self.since = 0;
        }
    }
}
