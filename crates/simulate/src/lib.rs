//! Simulated trackers: vehicles on the roads of an invented region whose trackers speak GT06, or AIS 140
//! ([`ais140`]), with a server, check every reply, keep what is not acknowledged and send it again.
//!
//! ```text
//!  road  ──▶ vehicle ──▶ tracker ──▶ device ──▶ network
//!  (map)     (motion)    (protocol,  (tasks,
//!                         memory)     sockets)
//!                           │
//!                           └──▶ journal: stats, ledger
//! ```
//!
//! Everything up to `tracker` is without I/O and without a clock, and repeatable from a seed.

pub mod ais140;
mod command;
mod device;
mod error;
mod journal;
mod key;
pub mod ledger;
mod options;
mod random;
mod road;
mod stats;
mod tracker;
mod vehicle;
mod wire;

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

pub use error::Error;
use milepost_telemetry::Timestamp;
pub use options::Options;
pub use stats::{Kind, KindSummary, Quantiles, Summary, Wrong, WrongSummary};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use self::device::Network;
use self::journal::Journal;
use self::key::Keys;
use self::random::Random;
use self::road::Roads;
use self::tracker::{Habits, Tracker};
use self::vehicle::{Parking, Vehicle};

/// How long the server may take to accept a first connection.
const FIRST_CONNECTION: Duration = Duration::from_secs(5);
/// Streams of chance of one tracker that have nothing to do with its vehicle's trips.
const TRACKER_STREAM: u64 = 1 << 32;
const NETWORK_STREAM: u64 = 2 << 32;

/// Runs GT06 trackers until the simulation is over or `shutdown` is cancelled.
///
/// # Errors
/// When it cannot start.
pub async fn run(options: &Options, shutdown: CancellationToken) -> Result<Summary, Error> {
    let server = SocketAddr::from(([127, 0, 0, 1], 5023));
    run_with(options, shutdown, server, start).await
}

/// The same for any protocol: `start` makes its devices.
async fn run_with(
    options: &Options,
    shutdown: CancellationToken,
    default_server: SocketAddr,
    start: impl FnOnce(&Options, &Arc<Network>) -> Result<JoinSet<()>, Error>,
) -> Result<Summary, Error> {
    let server = match &options.server {
        Some(server) => reach(server).await?,
        None => reach(&default_server.to_string()).await?,
    };
    let ledger = match &options.ledger {
        None => None,
        Some(path) => Some(
            ledger::Writer::create(path).map_err(|source| Error::Ledger {
                path: path.clone(),
                source,
            })?,
        ),
    };
    let started = wall_clock();
    let network = Arc::new(Network {
        server,
        started: Instant::now(),
        journal: Arc::new(Journal::new(
            ledger,
            started,
            devices_start(options, started),
        )),
        finish: CancellationToken::new(),
        stop: CancellationToken::new(),
    });
    let mut trackers = start(options, &network)?;
    let progress = tokio::spawn(show_progress(Arc::clone(&network), options.quiet));

    // Until the time is over, or a signal.
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = async {
            match options.duration {
                Some(duration) => sleep(duration).await,
                None => std::future::pending().await,
            }
        } => {}
    }
    let lasted = network.started.elapsed();
    network.finish.cancel();
    let mut all_left = async || while trackers.join_next().await.is_some() {};
    if timeout(options.grace, all_left()).await.is_err() {
        network.stop.cancel();
        all_left().await;
    }
    progress.abort();

    let journal = &network.journal;
    let mut summary = journal
        .stats
        .summary(u64::from(options.devices), lasted.as_secs_f64());
    if let Some(ledger) = &journal.ledger {
        summary.ledger_error = ledger.finish().err().map(|error| error.to_string());
    }
    Ok(summary)
}

/// The server's address. Without anything that answers there, a simulation would be a long wait
/// for nothing.
async fn reach(server: &str) -> Result<SocketAddr, Error> {
    let no_address = |reason: String| Error::NoAddress {
        server: server.to_owned(),
        reason,
    };
    let found = tokio::net::lookup_host(server).await;
    let addresses = found.map_err(|error| no_address(error.to_string()))?;
    let mut refused = None;
    for address in addresses {
        let connecting = tokio::net::TcpStream::connect(address);
        match timeout(FIRST_CONNECTION, connecting).await {
            Ok(Ok(_)) => return Ok(address),
            Ok(Err(error)) => refused = Some(error),
            Err(_) => refused = Some(std::io::ErrorKind::TimedOut.into()),
        }
    }
    Err(match refused {
        Some(source) => Error::NoServer {
            server: server.to_owned(),
            source,
        },
        None => no_address("the name is not known".to_owned()),
    })
}

fn start(options: &Options, network: &Arc<Network>) -> Result<JoinSet<()>, Error> {
    let habits = Habits {
        interval: options.interval,
        heartbeat: options.heartbeat,
        alarm_every: options.alarm_every,
        outage_every: options.outage_every,
        outage_for: options.outage_for,
        bad: options.bad,
        speedup: options.speedup,
    };
    let longest = options.parking.as_secs_f64();
    let parking = Parking {
        shortest: longest * 0.4,
        longest,
    };
    let tenant = options.tenant;
    let roads = Roads::built_in();
    let mut trackers = JoinSet::new();
    let mut waiting = 0.0;
    for n in 0..options.devices {
        let id = options.id(n)?;
        // Spread evenly among all, whatever the share.
        waiting += options.ack_locations;
        let waits_for_locations = waiting >= 1.0 - 1e-9;
        if waits_for_locations {
            waiting -= 1.0;
        }
        let number = u64::from(n);
        let seed = options.seed;
        let connect_at = options
            .ramp
            .mul_f64(f64::from(n) / f64::from(options.devices.max(1)));
        let (network, roads, tenant) = (Arc::clone(network), Arc::clone(&roads), tenant);
        trackers.spawn(async move {
            let tracker = Tracker::new(
                id,
                habits,
                waits_for_locations,
                Vehicle::new(roads, seed, number, parking),
                Random::new(seed, TRACKER_STREAM + number),
                Arc::clone(&network.journal),
                Keys::new(tenant, id),
            );
            let random = Random::new(seed, NETWORK_STREAM + number);
            device::run(&network, tracker, random, connect_at).await;
        });
    }
    Ok(trackers)
}

/// Where the devices' clocks begin, so that faster clocks do not run into the future.
fn devices_start(options: &Options, started: Timestamp) -> Timestamp {
    let ahead = options
        .duration
        .unwrap_or(Duration::from_hours(1))
        .mul_f64(options.speedup - 1.0);
    started.offset_millis(-i64::try_from(ahead.as_millis()).unwrap_or(0))
}

fn wall_clock() -> Timestamp {
    let since_1970 = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
}

/// A line that is written over on a terminal, and a line every ten seconds elsewhere. Also hands
/// the ledger to the operating system once a second.
async fn show_progress(network: Arc<Network>, quiet: bool) {
    let terminal = std::io::stderr().is_terminal();
    let stats = &network.journal.stats;
    let mut before = (0, 0);
    for second in 1_u64.. {
        tokio::time::sleep_until(network.started + Duration::from_secs(second)).await;
        if let Some(ledger) = &network.journal.ledger {
            ledger.flush();
        }
        if quiet || (!terminal && !second.is_multiple_of(10)) {
            continue;
        }
        let (sent, acknowledged) = stats.totals();
        let seconds = if terminal { 1 } else { 10 };
        let line = format!(
            "{second} s: {} online, {sent} sent ({}/s), {acknowledged} acknowledged ({}/s), \
             {} lost connections",
            stats.online.load(Relaxed),
            (sent - before.0) / seconds,
            (acknowledged - before.1) / seconds,
            stats.disconnects.load(Relaxed),
        );
        before = (sent, acknowledged);
        let mut out = std::io::stderr().lock();
        // Progress that cannot be shown is no reason to stop.
        let _shown = if terminal {
            write!(out, "\r{line}\x1b[K").and_then(|()| out.flush())
        } else {
            writeln!(out, "{line}")
        };
    }
}
