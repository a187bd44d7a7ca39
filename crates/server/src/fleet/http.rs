//! `/metrics`, `/healthz` and `/readyz` of a role that has no API.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use milepost_api::Operation;
use milepost_api::store::Readiness;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::failure::Failure;
use crate::metrics::Metrics;
use crate::protocol::listen;

/// How long requests may still run at the end.
const GRACE: Duration = Duration::from_secs(1);

/// The socket of a role that answers for itself, bound before the role begins its work.
pub(super) struct Bound {
    listener: Option<TcpListener>,
    /// Where, as the ready line shows it.
    pub(super) place: String,
}

/// Binds; nothing if the address is "off".
pub(super) fn bind(address: Option<SocketAddr>, key: &str) -> Result<Bound, Failure> {
    let Some(address) = address else {
        return Ok(Bound {
            listener: None,
            place: "http off".to_owned(),
        });
    };
    let listener = listen::bind(address, key, "--http")?;
    let place = format!("http://{}", listener.local_addr()?);
    Ok(Bound {
        listener: Some(listener),
        place,
    })
}

/// What answers; it ends when it is told to.
pub(super) struct Serving {
    task: Option<JoinHandle<()>>,
    end: CancellationToken,
}

impl Bound {
    /// Answers until [`Serving::end`]; from `shutdown` on the role is not ready any more.
    pub(super) fn serve(
        self,
        config: &Config,
        readiness: Arc<dyn Readiness>,
        shutdown: CancellationToken,
    ) -> Serving {
        let end = CancellationToken::new();
        let Some(listener) = self.listener else {
            return Serving { task: None, end };
        };
        let metrics = Metrics::global();
        let router = milepost_api::operation_router(Operation {
            readiness,
            metrics: Arc::new(move || metrics.render(None)),
            is_public: config.http.api_token.is_some(),
            timeout: config.http.timeout,
            shutdown,
        });
        let task = tokio::spawn(milepost_api::serve(
            listener,
            router,
            // Of health checks and a scraper.
            config.http.max_connections.min(64),
            config.http.timeout,
            GRACE,
            end.clone(),
        ));
        Serving {
            task: Some(task),
            end,
        }
    }
}

impl Serving {
    /// Answers what was asked, and ends.
    pub(super) async fn end(self) {
        self.end.cancel();
        if let Some(task) = self.task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "HTTP broke");
        }
    }
}
