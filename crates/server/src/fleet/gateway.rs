//! `milepost gateway`: listeners to Kafka, by way of the spool.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use milepost_listener::{Connections, MemoryBudget};
use milepost_pipeline::fleet::{Gateway, GatewayOptions};
use milepost_pipeline::kafka::{KafkaConfig, TopicSpec, ensure_topics};
use milepost_pipeline::spool::{Folder, Spool, SpoolOptions};
use rustix::fs::Mode;
use rustix::process::umask;
use tokio::task::JoinSet;

use super::Options;
use super::registry::FleetRegistry;
use crate::config::Config;
use crate::failure::Failure;
use crate::metrics::Metrics;
use crate::protocol::listen::{self, Way};
use crate::registry::DeviceRegistry;
use crate::{descriptors, shutdown};

/// Runs until a signal.
///
/// # Errors
/// When it cannot start, or had to give up frames at the end; their devices were not told.
pub async fn run(options: &Options) -> Result<(), Failure> {
    let protocols = options.common.protocols;
    let config = options.start(protocols)?;
    let shutdown = shutdown::on_signal()?;
    // Where vehicles are is for this user.
    umask(Mode::RWXG | Mode::RWXO);
    let _metrics = Metrics::global();
    let open_files = descriptors::raise();
    let name = config.fleet.gateway.clone().unwrap_or_else(host);
    let kafka = super::kafka(&config, format!("milepost-gateway-{name}"))?;
    let redis = super::redis(&config)?;
    let mut devices = Vec::new();
    for protocol in protocols.iter() {
        let bound = protocol.bind(&config)?.into_iter();
        devices.extend(bound.map(|listener| (protocol.name(), listener)));
    }
    let share = descriptors::share(open_files, &config, devices.len());
    let gateway = open(&config, &kafka, &name)?;
    let (runtime, looked_at) = (tokio::runtime::Handle::current(), kafka.clone());
    let specs = super::specs(&config);
    // On a thread of its own, which the end does not wait for: Kafka's admin client blocks.
    std::thread::Builder::new()
        .name("topics".into())
        .spawn(move || runtime.block_on(make_topics(looked_at, specs)))?;
    let mut limits = listen::limits(&config.limits);
    limits.connections = share.devices;
    let parts = listen::Parts {
        registry: DeviceRegistry::Fleet(FleetRegistry::new(&config, protocols, redis)),
        way: Way::Gateway(gateway.clone()),
        connections: Connections::new(listen::networks(&config.limits)),
        memory: MemoryBudget::new(config.limits.connection_memory_mib.saturating_mul(1 << 20)),
        limits,
        traces: listen::traces(&config.log),
        epoch: epoch(),
    };
    let mut ready = format!("milepost gateway {name} is ready: kafka {}", kafka.brokers);
    for (protocol, listener) in &devices {
        if let Some(address) = listener.local_addr() {
            ready.push_str(&format!(", {protocol} {address}"));
        }
    }
    let mut listeners = JoinSet::new();
    for (_, listener) in devices {
        listeners.spawn(listener.run(&parts, shutdown.clone()));
    }
    crate::say(ready);

    let mut abandoned = 0;
    let broken = tokio::select! {
        () = shutdown.cancelled() => false,
        Some(ended) = listeners.join_next() => {
            abandoned += ended.unwrap_or_default();
            !shutdown.is_cancelled()
        }
    };
    shutdown.cancel();
    let deadline = Instant::now() + config.limits.drain_timeout;
    while let Some(ended) = listeners.join_next().await {
        abandoned += ended.unwrap_or_default();
    }
    let patience = deadline.saturating_duration_since(Instant::now());
    gateway.close(patience.max(Duration::from_secs(1))).await;
    if broken {
        return Err(Failure::new(
            "a device listener ended by itself, which is a defect; the log says more",
        ));
    }
    if abandoned > 0 {
        return Err(Failure::new(format!(
            "ended with {abandoned} frames that could not be kept; their devices were not told \
             that they had arrived"
        )));
    }
    tracing::info!(sums = ?gateway.sums(), waiting = gateway.waiting(), "ended cleanly");
    Ok(())
}

fn open(config: &Config, kafka: &KafkaConfig, name: &str) -> Result<Gateway, Failure> {
    let mut options = GatewayOptions::new(name);
    options.topics = super::topics(config);
    let made = if config.fleet.spool {
        let folder = config.data_dir.join("spool");
        let refused = |error: std::io::Error| {
            Failure::new(format!(
                "the spool {} cannot be opened: {error}",
                folder.display()
            ))
            .remedy(
                "the folder must be on a disk that this user can write; choose another with \
                 --data-dir (data_dir), or go without one: spool.enabled = \"off\"",
            )
        };
        std::fs::create_dir_all(&folder).map_err(refused)?;
        let most = u64::from(config.fleet.spool_gib) << 30;
        let copies = config.data_dir.join("spool-urgent");
        std::fs::create_dir_all(&copies).map_err(refused)?;
        // Urgent envelopes are few.
        let sizes = SpoolOptions::with_max_bytes(most / 16);
        let opened = Folder::open(&copies).and_then(|folder| Spool::open(folder, sizes));
        options.express = Some(opened.map_err(refused)?.0);
        let sizes = SpoolOptions::with_max_bytes(most);
        let opened = Folder::open(&folder).and_then(|folder| Spool::open(folder, sizes));
        let (spool, recovery) = opened.map_err(refused)?;
        if recovery.cut_bytes > 0 || recovery.waiting > 0 {
            tracing::info!(
                waiting = recovery.waiting,
                cut_bytes = recovery.cut_bytes,
                "the spool of an earlier run goes on"
            );
        }
        for damage in &recovery.damage {
            metrics::counter!("milepost_spool_damage_total").increment(1);
            tracing::error!(?damage, "a part of the spool cannot be read any more");
        }
        Gateway::with_spool(kafka, options, spool)
    } else {
        Gateway::direct(kafka, options)
    };
    made.map_err(|fault| Failure::new(fault.to_string()))
}

/// A gateway starts while the brokers are away too: its spool takes what comes.
async fn make_topics(kafka: KafkaConfig, specs: Vec<TopicSpec>) {
    loop {
        match ensure_topics(&kafka, &specs).await {
            Ok(states) => {
                for warning in states.iter().filter_map(|state| state.warning()) {
                    tracing::warn!("{warning}");
                }
                return;
            }
            Err(fault) => tracing::warn!(%fault, "the topics cannot be looked at yet"),
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

/// Unique in the fleet: the start in milliseconds, and 20 random bits.
fn epoch() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0));
    let random = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), millis);
    (millis << 20) | (random & 0xF_FFFF)
}

fn host() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}
