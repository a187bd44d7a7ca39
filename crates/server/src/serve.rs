//! `milepost serve`: listeners, pipeline, embedded store and HTTP in one process.
//!
//! The order of the start is chosen for its errors: what can fail for reasons outside (ports in
//! use, a store that cannot be opened) comes before an epoch is begun. The order of the end is
//! the way of a frame: no new connections and no more reading, then what was received is settled
//! and acknowledged, then the store notes that the run ended cleanly; HTTP answers until last.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use milepost_api::{Api, GettingStarted};
use milepost_listener::{Connections, MemoryBudget};
use milepost_pipeline::Pipeline;
use milepost_pipeline::sink::sqlite::{
    BoundNetworks, SqliteJudge, Store, StoreError, StoreOptions,
};
use milepost_pipeline::stage::Track;
use milepost_pipeline::stage::{Incidents, Stages};
use rustix::fs::Mode;
use rustix::process::umask;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::api::{Connected, Parts, StoreCommands, StoreReads};
use crate::commands::Dispatcher;
use crate::config::{Config, Loaded};
use crate::descriptors::{self, Share};
use crate::failure::Failure;
use crate::listening::Listening;
use crate::metrics::Metrics;
use crate::options::Options;
use crate::protocol::Protocols;
use crate::protocol::listen::{self, DeviceListener, Way};
use crate::registry::{DeviceRegistry, StoreRegistry};
use crate::{logging, redo, retention, shutdown};

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
    let server = Server::start(&config, options.protocols).await?;
    crate::say(format_args!("milepost is ready: {server}"));
    server.run(shutdown).await
}

/// A server that listens and is ready to run.
pub struct Server {
    http: TcpListener,
    protocols: Protocols,
    devices: Vec<(&'static str, Box<dyn DeviceListener>)>,
    store: Store,
    pipeline: Pipeline,
    epoch: u64,
    config: Config,
    share: Share,
    metrics: Metrics,
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.http_addr() {
            Some(address) => write!(f, "http://{address}")?,
            None => f.write_str("http (unknown address)")?,
        }
        for (name, address) in self.device_addrs() {
            write!(f, ", {name} {address}")?;
        }
        write!(f, ", data {}", self.config.data_dir.display())
    }
}

impl Server {
    /// Binds the ports, opens the store, begins an epoch.
    ///
    /// # Errors
    /// When any of it fails; with what would help.
    pub async fn start(config: &Config, protocols: Protocols) -> Result<Self, Failure> {
        // Where vehicles are, and what they can be told, is for this user.
        umask(Mode::RWXG | Mode::RWXO);
        warn_if_others_can_read(&config.data_dir);
        let open_files = descriptors::raise();
        let http = listen::bind(config.http.listen, "http.listen", "--http")?;
        let mut devices = Vec::new();
        for protocol in protocols.iter() {
            let bound = protocol.bind(config)?.into_iter();
            devices.extend(bound.map(|listener| (protocol.name(), listener)));
        }
        let share = descriptors::share(open_files, config, devices.len());
        let metrics = Metrics::global();
        let opening = {
            let config = config.clone();
            tokio::task::spawn_blocking(move || open(&config))
        };
        let (store, judge, epoch) = opening
            .await
            .map_err(|error| Failure::new(format!("opening the store broke: {error}")))??;
        let mut options = milepost_pipeline::Options::default();
        options.stages = Stages::standard().then(Incidents);
        if config.smoothing.enabled {
            options.stages = options.stages.then(Track::new(config.smoothing.settings()));
        }
        let pipeline = Pipeline::start(judge, &options)?;
        Ok(Self {
            http,
            protocols,
            devices,
            store,
            pipeline,
            epoch,
            config: config.clone(),
            share,
            metrics,
        })
    }

    /// Where HTTP listens.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.http.local_addr().ok()
    }

    /// Where devices connect, with the name of each protocol.
    pub fn device_addrs(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        let listeners = self.devices.iter();
        listeners.filter_map(|(name, listener)| Some((*name, listener.local_addr()?)))
    }

    /// Serves until `shutdown`, then settles what was received.
    ///
    /// # Errors
    /// When something that was received could not be stored in time; its devices were not told.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Failure> {
        let Self {
            http,
            protocols,
            devices,
            store,
            pipeline,
            epoch,
            config,
            share,
            metrics,
        } = self;
        let getting_started = protocols
            .iter()
            .filter_map(|protocol| {
                let mut listening = devices.iter().filter(|(name, _)| *name == protocol.name());
                let address = listening.find_map(|(_, listener)| listener.local_addr())?;
                let lines = protocol.getting_started().iter();
                Some(GettingStarted {
                    protocol: protocol.title().to_owned(),
                    port: address.port(),
                    lines: lines.map(ToString::to_string).collect(),
                })
            })
            .collect();
        let connections = Connections::new(listen::networks(&config.limits));
        let memory = MemoryBudget::new(config.limits.connection_memory_mib.saturating_mul(1 << 20));
        let listening = Listening::default();
        let end_of_http = CancellationToken::new();
        let mut limits = listen::limits(&config.limits);
        limits.connections = share.devices;
        let parts = listen::Parts {
            registry: DeviceRegistry::Store(StoreRegistry::new(store.clone(), &config, protocols)),
            way: Way::Pipeline(pipeline.handle()),
            connections: connections.clone(),
            memory,
            limits,
            traces: listen::traces(&config.log),
            epoch,
        };

        let mut listeners = JoinSet::new();
        for (_, listener) in devices {
            let serving = listener.run(&parts, shutdown.clone());
            let running = listening.running();
            listeners.spawn(async move {
                let _running = running;
                serving.await
            });
        }

        let (dispatcher, bell) = Dispatcher::new(
            store.clone(),
            connections.clone(),
            epoch,
            config.commands.answer_timeout,
        );
        let mut services = JoinSet::new();
        services.spawn(dispatcher.run(shutdown.clone()));
        if let Some(keep) = config.store.keep {
            services.spawn(retention::run(store.clone(), keep, shutdown.clone()));
        }
        if config.smoothing.enabled {
            let settings = config.smoothing.settings();
            services.spawn(redo::run(store.clone(), settings, shutdown.clone()));
        }
        let reads = Arc::new(StoreReads(store.clone()));
        let router = milepost_api::router(Api {
            history: reads.clone(),
            trips: reads.clone(),
            rules: config.smoothing.settings().rules,
            devices: reads.clone(),
            quarantine: reads,
            commands: Arc::new(StoreCommands {
                store: store.clone(),
                connections: connections.clone(),
                bell,
                protocols,
                max_waiting: config.commands.max_waiting,
            }),
            connections: Arc::new(Connected(connections)),
            readiness: Arc::new(Parts {
                pipeline: pipeline.handle(),
                listening,
            }),
            metrics: Arc::new(move || metrics.render(Some(store.path()))),
            tenant: config.devices.tenant,
            token: config.http.api_token.clone(),
            timeout: config.http.timeout,
            command_expires: config.commands.expires,
            getting_started,
            shutdown: shutdown.clone(),
        });
        let mut web = JoinSet::new();
        web.spawn(milepost_api::serve(
            http,
            router,
            share.http,
            config.http.timeout,
            HTTP_GRACE,
            end_of_http.clone(),
        ));

        let condition = pipeline.handle().condition().clone();
        let mut abandoned = 0;
        // What ends before it is asked to is broken: rather no server than half of one.
        let broken = tokio::select! {
            () = shutdown.cancelled() => None,
            reason = condition.failed() => {
                end_of_http.cancel();
                return Err(Failure::new(format!(
                    "the server cannot go on and has ended; nothing was acknowledged since: {reason}"
                )));
            }
            Some(ended) = listeners.join_next() => {
                abandoned += ended.unwrap_or_default();
                Some("a device listener")
            }
            Some(()) = ended(&mut services) => Some("a service of the store"),
            Some(()) = ended(&mut web) => Some("HTTP"),
        };
        let broken = broken.filter(|_| !shutdown.is_cancelled());
        if let Some(part) = broken {
            tracing::error!("{part} has ended by itself: the process ends");
            shutdown.cancel();
        }
        tracing::info!("ending: no new connections; settling what was received");
        let deadline = Instant::now() + config.limits.drain_timeout;
        while let Some(ended) = listeners.join_next().await {
            match ended {
                Ok(unsettled) => abandoned += unsettled,
                Err(error) => tracing::error!(%error, "a listener broke"),
            }
        }
        while ended(&mut services).await.is_some() {}
        let patience = deadline
            .saturating_duration_since(Instant::now())
            .max(Duration::from_secs(1));
        let drained = pipeline.drain(patience).await;
        end_of_http.cancel();
        while ended(&mut web).await.is_some() {}
        if let Some(part) = broken {
            return Err(Failure::new(format!(
                "{part} ended by itself, which is a defect; the log says more"
            )));
        }
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

/// Waits until one of the tasks has ended, and says if it broke; `None` if there are none.
async fn ended<T: 'static>(tasks: &mut JoinSet<T>) -> Option<()> {
    if let Err(error) = tasks.join_next().await? {
        tracing::error!(%error, "a task broke");
    }
    Some(())
}

/// A folder that was there before keeps the permissions that it has.
fn warn_if_others_can_read(data_dir: &Path) {
    let others = Mode::RWXO | Mode::RWXG;
    if let Ok(folder) = rustix::fs::stat(data_dir)
        && Mode::from_raw_mode(folder.st_mode).intersects(others)
    {
        tracing::warn!(
            folder = %data_dir.display(),
            "other users of this machine can read the folder of the store: `chmod 700` it"
        );
    }
}

/// Opens the store and begins an epoch in it.
fn open(config: &Config) -> Result<(Store, SqliteJudge, u64), Failure> {
    let data_dir: &Path = &config.data_dir;
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
    let mut options = StoreOptions::default();
    // The same for who gets a command and whose answer settles it.
    options.networks.v4 = config.limits.network_ipv4_prefix;
    options.networks.v6 = config.limits.network_ipv6_prefix;
    let bound: HashMap<_, _> = (config.devices.listed.iter())
        .filter(|device| !device.networks.is_empty())
        .map(|device| (device.id, device.clone()))
        .collect();
    options.bound = BoundNetworks::new(move |device, address| {
        let listed = bound.get(&device.device);
        listed.is_some_and(|device| device.is_bound_to(address))
    });
    let store = Store::open(data_dir, options).map_err(refused)?;
    let epoch = store.begin_epoch().map_err(refused)?;
    let judge = store.judge(epoch).map_err(refused)?;
    Ok((store, judge, epoch))
}
