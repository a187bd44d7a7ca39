//! `milepost serve`: listeners, pipeline, embedded store and HTTP in one process.
//!
//! The order of the start is chosen for its errors: what can fail for reasons outside (ports in
//! use, a store that cannot be opened) comes before an epoch is begun. The order of the end is
//! the way of a frame: no new connections and no more reading, then what was received is settled
//! and acknowledged, then the store notes that the run ended cleanly; HTTP answers until last.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use milepost_listener::protocols::Gt06;
use milepost_listener::{Connections, Deliver, Limits, NotDelivered, Room};
use milepost_pipeline::sink::sqlite::{SqliteJudge, Store, StoreError, StoreOptions};
use milepost_pipeline::{Handle, Outcome, Pipeline};
use milepost_telemetry::Envelope;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::commands::Dispatcher;
use crate::config::{self, Config, Loaded};
use crate::failure::Failure;
use crate::gt06::{self, Configured};
use crate::http::{self, Api, Listening};
use crate::options::Options;
use crate::registry::StoreRegistry;
use crate::{descriptors, logging, retention, shutdown};

/// How long HTTP requests may still run when all else has ended.
const HTTP_GRACE: Duration = Duration::from_secs(2);

/// Runs until a signal.
///
/// # Errors
/// When it cannot start, or had to give up data at the end.
pub async fn run(options: &Options) -> Result<(), Failure> {
    let Loaded {
        config, warnings, ..
    } = options.load()?;
    logging::start(&config.log);
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let shutdown = shutdown::on_signal()?;
    let server = Server::start(&config).await?;
    crate::say(format_args!("milepost is ready: {server}"));
    server.run(shutdown).await
}

/// A server that listens and is ready to run.
pub struct Server {
    http: TcpListener,
    gt06: Vec<TcpListener>,
    store: Store,
    pipeline: Pipeline,
    epoch: u64,
    config: Config,
    metrics: PrometheusHandle,
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.http_addr() {
            Some(address) => write!(f, "http://{address}")?,
            None => f.write_str("http (unknown address)")?,
        }
        for address in self.gt06_addrs() {
            write!(f, ", gt06 {address}")?;
        }
        write!(f, ", data {}", self.config.data_dir.display())
    }
}

impl Server {
    /// Binds the ports, opens the store, begins an epoch.
    ///
    /// # Errors
    /// When any of it fails; with what would help.
    pub async fn start(config: &Config) -> Result<Self, Failure> {
        descriptors::raise();
        let http = bind(config.http.listen, "http.listen", "--http")?;
        let gt06 = config
            .gt06
            .listen
            .iter()
            .map(|address| bind(*address, "gt06.listen", "--gt06"))
            .collect::<Result<_, _>>()?;
        let metrics = metrics_recorder()?;
        let data_dir = config.data_dir.clone();
        let opening = tokio::task::spawn_blocking(move || open(&data_dir));
        let (store, judge, epoch) = opening
            .await
            .map_err(|error| Failure::new(format!("opening the store broke: {error}")))??;
        let pipeline = Pipeline::start(judge, &milepost_pipeline::Options::default())?;
        Ok(Self {
            http,
            gt06,
            store,
            pipeline,
            epoch,
            config: config.clone(),
            metrics,
        })
    }

    /// Where HTTP listens.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.http.local_addr().ok()
    }

    /// Where GT06 listens.
    pub fn gt06_addrs(&self) -> impl Iterator<Item = SocketAddr> {
        self.gt06.iter().filter_map(|l| l.local_addr().ok())
    }

    /// Serves until `shutdown`, then settles what was received.
    ///
    /// # Errors
    /// When something that was received could not be stored in time; its devices were not told.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Failure> {
        let Self {
            http,
            gt06,
            store,
            pipeline,
            epoch,
            config,
            metrics,
        } = self;
        let connections = Connections::default();
        let room = Room::new(config.limits.max_in_flight_mib.saturating_mul(1 << 20));
        let listening = Listening::default();
        let end_of_http = CancellationToken::new();
        let registry = StoreRegistry::new(store.clone(), &config.devices, Configured::new(&config));
        let upkeep = tokio::spawn(upkeep(metrics.clone()));

        let mut listeners = JoinSet::new();
        for socket in gt06 {
            let server = milepost_listener::Server::new(
                Gt06::from(gt06::session(&config)),
                registry.clone(),
                ToPipeline(pipeline.handle()),
            )
            .limits(limits(&config.limits))
            .epoch(epoch)
            .connections(connections.clone())
            .room(room.clone())
            .from_listener(socket);
            let shutdown = shutdown.clone();
            let running = listening.running();
            listeners.spawn(async move {
                let _running = running;
                server.run(shutdown).await
            });
        }

        let (dispatcher, bell) = Dispatcher::new(
            store.clone(),
            connections.clone(),
            epoch,
            config.commands.answer_timeout,
        );
        let dispatcher = tokio::spawn(dispatcher.run(shutdown.clone()));
        let retention = config
            .store
            .keep
            .map(|keep| tokio::spawn(retention::run(store.clone(), keep, shutdown.clone())));
        let router = http::router(Api {
            store: store.clone(),
            pipeline: pipeline.handle(),
            connections,
            listening,
            metrics,
            tenant: config.devices.tenant,
            token: config.http.api_token.clone(),
            timeout: config.http.timeout,
            commands: config.commands.clone(),
            bell,
            shutdown: shutdown.clone(),
        });
        let web = tokio::spawn(http::serve(
            http,
            router,
            config.http.max_connections,
            config.http.timeout,
            HTTP_GRACE,
            end_of_http.clone(),
        ));

        let condition = pipeline.handle().condition().clone();
        tokio::select! {
            () = shutdown.cancelled() => {}
            reason = condition.failed() => {
                end_of_http.cancel();
                return Err(Failure::new(format!(
                    "the server cannot go on and has ended; nothing was acknowledged since: {reason}"
                )));
            }
        }
        tracing::info!("ending: no new connections; settling what was received");
        let deadline = Instant::now() + config.limits.drain_timeout;
        let mut abandoned = 0;
        while let Some(ended) = listeners.join_next().await {
            match ended {
                Ok(drained) => abandoned += drained.abandoned,
                Err(error) => tracing::error!(%error, "a listener broke"),
            }
        }
        joined(dispatcher, "sending commands").await;
        if let Some(retention) = retention {
            joined(retention, "forgetting").await;
        }
        let patience = deadline
            .saturating_duration_since(Instant::now())
            .max(Duration::from_secs(1));
        let drained = pipeline.drain(patience).await;
        end_of_http.cancel();
        joined(web, "HTTP").await;
        upkeep.abort();
        if drained.clean && abandoned == 0 {
            tracing::info!(epoch, "ended cleanly");
            return Ok(());
        }
        Err(Failure::new(format!(
            "ended with data that could not be stored within {} seconds; the devices were not \
             told that it had arrived, and those that wait to be told will send it again",
            config.limits.drain_timeout.as_secs()
        )))
    }
}

/// Listens on an address, or says who is in the way.
fn bind(address: SocketAddr, key: &str, flag: &str) -> Result<TcpListener, Failure> {
    milepost_listener::listen(address, Limits::default().backlog).map_err(|error| {
        let remedy = match error.kind() {
            std::io::ErrorKind::AddrInUse => format!(
                "another program listens there (`ss -ltnp` names it): end it, or choose another \
                 port with {flag} ({key})"
            ),
            std::io::ErrorKind::AddrNotAvailable => format!(
                "{} is no address of this machine: choose another with {flag} ({key}); 0.0.0.0 \
                 means all",
                address.ip()
            ),
            std::io::ErrorKind::PermissionDenied => {
                format!("ports below 1024 need a privilege: choose another with {flag} ({key})")
            }
            _ => format!("choose another address with {flag} ({key})"),
        };
        Failure::new(format!("cannot listen on {address}: {error}")).remedy(remedy)
    })
}

/// The pipeline as the listener sees it.
struct ToPipeline(Handle);

impl Deliver for ToPipeline {
    fn deliver(
        &self,
        envelope: Envelope,
    ) -> impl Future<Output = Result<(), NotDelivered>> + Send + 'static {
        let submitted = self.0.submit(envelope);
        async move {
            match submitted.await {
                Outcome::Delivered | Outcome::Filtered => Ok(()),
                Outcome::Failed => Err(NotDelivered::Failed),
                Outcome::Lost => Err(NotDelivered::Lost),
            }
        }
    }
}

fn limits(config: &config::Limits) -> Limits {
    let mut limits = Limits::default();
    limits.connections = config.max_connections;
    limits.connections_per_ip =
        (config.max_connections_per_address > 0).then_some(config.max_connections_per_address);
    limits.in_flight = config.max_in_flight;
    limits.bad_in_row = config.max_bad_frames;
    limits.login = config.login_timeout;
    limits.idle = config.idle_timeout;
    limits.frame = config.frame_timeout;
    limits.write = config.write_timeout;
    limits.drain = config.drain_timeout;
    limits
}

async fn joined<T>(task: tokio::task::JoinHandle<T>, name: &str) {
    if let Err(error) = task.await {
        tracing::error!(%error, "{name} broke");
    }
}

/// Opens the store and begins an epoch in it.
fn open(data_dir: &Path) -> Result<(Store, SqliteJudge, u64), Failure> {
    let refused = |error: StoreError| {
        let failure = Failure::new(format!("the store cannot be opened: {error}"));
        match error {
            StoreError::Io { .. } => failure.remedy(format!(
                "{} must be a folder that this user can write, on a disk with space left; choose \
                 another with --data-dir (data_dir)",
                data_dir.display()
            )),
            // The others say themselves what is wrong, and it is not the folder.
            _ => failure,
        }
    };
    let store = Store::open(data_dir, StoreOptions::default()).map_err(refused)?;
    let epoch = store.begin_epoch().map_err(refused)?;
    let judge = store.judge(epoch).map_err(refused)?;
    Ok((store, judge, epoch))
}

/// Where everything that is counted goes. There is one in a process.
fn metrics_recorder() -> Result<PrometheusHandle, Failure> {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    if let Some(handle) = RECORDER.get() {
        return Ok(handle.clone());
    }
    let handle = PrometheusBuilder::new()
        .install_recorder()
        .map_err(|error| Failure::new(format!("metrics cannot be recorded: {error}")))?;
    Ok(RECORDER.get_or_init(|| handle).clone())
}

/// Keeps histograms that nobody reads from growing.
async fn upkeep(metrics: PrometheusHandle) {
    let mut tick = tokio::time::interval(Duration::from_secs(5));
    loop {
        tick.tick().await;
        metrics.run_upkeep();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_of_the_configuration_are_the_listeners_own() {
        assert_eq!(limits(&Config::default().limits), Limits::default());
    }
}
