//! Configuration: the defaults, then a file, then the environment, then flags; each overrides
//! the one before.
//!
//! Every key is one line of the table in `key.rs` or of a protocol's plug, whatever its value comes
//! from, so that a wrong value is refused in the same words everywhere. Unknown keys of a file are refused too. All
//! that is wrong is said at once.

mod check;
mod fault;
mod file;
mod key;
pub mod setting;
mod value;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use check::is_loopback_only;
pub use fault::{Fault, Faults, Place};
pub use key::{Key, keys};
pub use milepost_api::Secret;
use milepost_listener::{Binding, Network};
use milepost_telemetry::{DeviceId, Tenant};
pub use setting::Settings;
pub use value::Value;

use crate::protocol::Protocols;

/// Everything that can be configured. [`Default`] is what runs without any configuration, and
/// without protocols; [`Config::of`] has theirs too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the embedded store lives.
    pub data_dir: PathBuf,
    /// What is kept in it.
    pub store: Store,
    /// What is written to standard error.
    pub log: Log,
    /// The HTTP API and the page.
    pub http: Http,
    /// What the protocols' own keys say.
    pub protocols: Settings,
    /// Who may speak for a device.
    pub devices: Devices,
    /// Smoothing, motion and trips.
    pub smoothing: Smoothing,
    /// Commands to devices.
    pub commands: Commands,
    /// What one connection, and all of them, may take.
    pub limits: Limits,
    /// The services of a fleet: for the roles gateway, worker, api and migrate.
    pub fleet: Fleet,
}

/// The services of a fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet {
    /// Kafka's brokers, `host:port` separated by commas.
    pub brokers: Option<String>,
    /// The consumer group of the workers.
    pub group: String,
    /// What the names of the topics begin with.
    pub topic_prefix: String,
    /// Partitions that new topics get.
    pub partitions: u16,
    /// Replicas that new topics get.
    pub replication: u16,
    /// How Kafka's client proves who it is, and whom it trusts: by the client's own names.
    pub kafka_security: BTreeMap<&'static str, Secret>,
    /// Where PostgreSQL is.
    pub database: Option<Secret>,
    /// A file of certificates to trust besides the system's, for PostgreSQL.
    pub database_ca: Option<PathBuf>,
    /// Connections of `milepost api` to PostgreSQL.
    pub database_connections: usize,
    /// Where Redis is.
    pub redis: Option<Secret>,
    /// A file of certificates to trust in place of the system's, for Redis.
    pub redis_ca: Option<PathBuf>,
    /// Where a gateway answers `/metrics`, `/healthz` and `/readyz`; nowhere when absent.
    pub gateway_http: Option<SocketAddr>,
    /// Where a worker does.
    pub worker_http: Option<SocketAddr>,
    /// The gateway's name; the host's name when absent.
    pub gateway: Option<String>,
    /// Whether the gateway keeps what it takes on its disk until Kafka has it.
    pub spool: bool,
    /// How much of it, in GiB.
    pub spool_gib: u16,
}

/// What is kept in the embedded store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// How long reports, frames in quarantine and ended commands are kept; for ever when absent.
    pub keep: Option<Duration>,
}

/// What is written to standard error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// A level, or directives such as `info,milepost_listener=debug`.
    pub level: String,
    /// For people or for machines.
    pub format: LogFormat,
    /// The device whose frames and replies are logged in hexadecimal.
    pub trace_device: Option<DeviceId>,
    /// The address whose frames and replies are logged in hexadecimal.
    pub trace_peer: Option<IpAddr>,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of text per event.
    Text,
    /// One JSON object per event.
    Json,
}

/// The HTTP API and the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What `/v1` requests must show.
    pub api_token: Option<Secret>,
    /// How long a request may take to be read, and to be answered (a stream: between two parts).
    pub timeout: Duration,
    /// How many connections are served at once.
    pub max_connections: usize,
}

/// Who may speak for a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Devices {
    /// Whose devices these are.
    pub tenant: Tenant,
    /// What a device gets that is neither listed nor known to the store.
    pub unknown: UnknownDevice,
    /// The devices that are listed.
    pub listed: Vec<Device>,
}

/// What a device gets that is neither listed nor known to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownDevice {
    /// It becomes known.
    Accept,
    /// It is talked to, and all it says is set aside.
    Quarantine,
    /// Its connection is closed.
    Refuse,
}

/// One listed device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// What it calls itself.
    pub id: DeviceId,
    /// Networks that the device is bound to: its commands go there, and answers from there count.
    pub networks: Vec<Network>,
    /// What is set for it, by the keys of the protocols.
    pub settings: Settings,
    /// Where its id stands.
    pub place: Place,
}

impl Device {
    /// A device without settings of its own.
    pub fn new(id: DeviceId) -> Self {
        Self {
            id,
            networks: Vec::new(),
            settings: Settings::default(),
            place: Place::Default,
        }
    }

    /// Whether it is bound to a network of this address.
    pub fn is_bound_to(&self, address: IpAddr) -> bool {
        self.networks
            .iter()
            .any(|network| network.contains(address))
    }

    /// Whether it is bound to networks, and to the one that a claim comes from.
    pub fn binding(&self, peer: Option<SocketAddr>) -> Binding {
        let is_here = peer.is_some_and(|peer| self.is_bound_to(peer.ip()));
        Binding::of(!self.networks.is_empty(), is_here)
    }
}

/// Smoothing, motion and trips.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Smoothing {
    /// Whether there is any.
    pub enabled: bool,
    /// A way longer than this speed allows is a jump, km/h.
    pub max_speed_kmh: u32,
    /// A standstill that lasts so long is a stop.
    pub stop_after: Duration,
    /// A move that lasts so long is a trip.
    pub trip_after: Duration,
    /// So is one that leads so far away, metres.
    pub trip_after_m: u32,
    /// Standing with the ignition on for so long is idling.
    pub idle_after: Duration,
    /// A longer time without positions ends a trip.
    pub gap: Duration,
}

impl Smoothing {
    /// What the stage takes.
    pub fn settings(&self) -> milepost_pipeline::track::Settings {
        let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let mut settings = milepost_pipeline::track::Settings::default();
        settings.rules.max_speed = f64::from(self.max_speed_kmh) / 3.6;
        settings.limits.stop_ms = millis(self.stop_after);
        settings.limits.move_ms = millis(self.trip_after);
        settings.limits.move_m = f64::from(self.trip_after_m);
        settings.limits.idle_ms = millis(self.idle_after);
        settings.limits.gap_ms = millis(self.gap);
        settings
    }
}

/// Commands to devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commands {
    /// How long a command waits for its device and its answer, where the request does not say.
    pub expires: Duration,
    /// How long the next command waits for the answer to the one before.
    pub answer_timeout: Duration,
    /// Commands that may wait for one device.
    pub max_waiting: u32,
}

/// What one connection, and all of them, may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Device connections at once.
    pub max_connections: usize,
    /// Device connections at once from one address; 0 is no limit.
    pub max_connections_per_address: usize,
    /// From connection to login.
    pub login_timeout: Duration,
    /// Without a byte.
    pub idle_timeout: Duration,
    /// From a frame's first byte to its last.
    pub frame_timeout: Duration,
    /// Until the device has taken a reply.
    pub write_timeout: Duration,
    /// Frames of one connection that wait to be stored.
    pub max_in_flight: usize,
    /// Memory of all connections, about, in MiB: two thirds for frames that wait to be stored, one
    /// third for partial frames and uploads.
    pub connection_memory_mib: usize,
    /// Frames in a row that cannot be read, which a connection survives.
    pub max_bad_frames: u32,
    /// Frames a second of one connection; 0 is no limit.
    pub rate: u32,
    /// Frames of one connection at once after a rest.
    pub rate_burst: u32,
    /// Frames of one connection before an accepted login; what the protocol needs when absent.
    pub stranger_frames: Option<u32>,
    /// Bytes of one connection before an accepted login, in KiB; what the protocol needs when
    /// absent.
    pub stranger_kib: Option<usize>,
    /// Frames a second of all connections without an accepted login.
    pub stranger_rate: u32,
    /// Leading bits of an IPv4 address that make its network.
    pub network_ipv4_prefix: u8,
    /// Leading bits of an IPv6 address that make its network.
    pub network_ipv6_prefix: u8,
    /// How long the end may take.
    pub drain_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("./milepost-data"),
            store: Store { keep: None },
            log: Log {
                level: "info".to_owned(),
                format: LogFormat::Text,
                trace_device: None,
                trace_peer: None,
            },
            http: Http {
                listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
                api_token: None,
                timeout: Duration::from_secs(30),
                max_connections: 1024,
            },
            protocols: Settings::default(),
            devices: Devices {
                tenant: Tenant::default(),
                unknown: UnknownDevice::Accept,
                listed: Vec::new(),
            },
            smoothing: Smoothing {
                enabled: true,
                max_speed_kmh: 252,
                stop_after: Duration::from_mins(5),
                trip_after: Duration::from_mins(5),
                trip_after_m: 500,
                idle_after: Duration::from_mins(3),
                gap: Duration::from_hours(1),
            },
            commands: Commands {
                expires: Duration::from_hours(24),
                answer_timeout: Duration::from_mins(1),
                max_waiting: 32,
            },
            limits: Limits {
                max_connections: 100_000,
                max_connections_per_address: 0,
                login_timeout: Duration::from_secs(60),
                idle_timeout: Duration::from_mins(15),
                frame_timeout: Duration::from_secs(30),
                write_timeout: Duration::from_secs(30),
                max_in_flight: 64,
                connection_memory_mib: 192,
                max_bad_frames: 64,
                rate: 500,
                rate_burst: 5_000,
                stranger_frames: None,
                stranger_kib: None,
                stranger_rate: 1_000,
                network_ipv4_prefix: 24,
                network_ipv6_prefix: 48,
                drain_timeout: Duration::from_secs(20),
            },
            fleet: Fleet {
                brokers: None,
                group: "milepost".to_owned(),
                topic_prefix: "milepost".to_owned(),
                partitions: 12,
                replication: 1,
                kafka_security: BTreeMap::new(),
                database: None,
                database_ca: None,
                database_connections: 8,
                redis: None,
                redis_ca: None,
                gateway_http: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 8081))),
                worker_http: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 8082))),
                gateway: None,
                spool: true,
                spool_gib: 4,
            },
        }
    }
}

impl Config {
    /// The defaults, with those of the protocols' own keys.
    pub fn of(protocols: Protocols) -> Self {
        let mut config = Self::default();
        for key in protocols.iter().flat_map(|protocol| protocol.keys()) {
            if let Some(default) = key.default {
                config.protocols.set(key.name, default);
            }
        }
        config
    }

    /// The device's settings, if it is listed.
    pub fn device(&self, id: DeviceId) -> Option<&Device> {
        self.devices.listed.iter().find(|device| device.id == id)
    }

    /// Checks what values say together, for a configuration that was made in code.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn check(&self, protocols: Protocols) -> Result<(), Faults> {
        let mut faults = Vec::new();
        check::together(self, protocols, &keys(protocols), &[], &mut faults);
        if faults.is_empty() {
            Ok(())
        } else {
            Err(Faults(faults))
        }
    }
}

/// A value given by a flag: the key's name, the flag as it was written, the value.
pub type Flag = (String, String, String);

/// Where a configuration comes from.
#[derive(Debug, Default)]
pub struct Sources<'a> {
    /// The file, if one was named.
    pub file: Option<&'a Path>,
    /// The environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Flags.
    pub flags: Vec<Flag>,
}

/// A configuration and where each value comes from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// For each key that was set, in the order of the table, by what.
    pub origins: Vec<(&'static str, Place)>,
    /// What is odd, but no reason to stop.
    pub warnings: Vec<String>,
}

/// Reads all sources and checks what they say together.
///
/// # Errors
/// All that is wrong.
pub fn load(sources: &Sources<'_>, protocols: Protocols) -> Result<Loaded, Faults> {
    let mut loading = Loading::new(protocols);
    if let Some(path) = sources.file {
        file::read(path, &mut loading);
    }
    environment(&sources.environment, &mut loading);
    for (name, flag, value) in &sources.flags {
        loading.set(
            name,
            &Value::Untyped(value.clone()),
            Place::Flag(flag.clone()),
        );
    }
    loading.finish()
}

fn environment(variables: &[(OsString, OsString)], loading: &mut Loading) {
    // In the order of the table, so that messages do not depend on the environment's order.
    for key in 0..loading.keys.len() {
        let Some(Key { name, env, .. }) = loading.keys.get(key) else {
            continue;
        };
        let (name, place) = (*name, Place::Environment(env.clone()));
        let Some((_, value)) = variables.iter().find(|(name, _)| name == env.as_str()) else {
            continue;
        };
        match value.to_str() {
            Some(value) => loading.set(name, &Value::Untyped(value.to_owned()), place),
            None => loading.faults.push(Fault {
                place,
                key: name.to_owned(),
                value: None,
                remedy: "must be valid UTF-8".to_owned(),
            }),
        }
    }
    for (name, _) in variables {
        let Some(name) = name.to_str().filter(|n| n.starts_with(ENV_PREFIX)) else {
            continue;
        };
        // Not refused: orchestrators set variables named after a service all by themselves
        // (Kubernetes: MILEPOST_SERVICE_HOST).
        if name != FILE_ENV && !loading.keys.iter().any(|key| key.env == name) {
            loading
                .warnings
                .push(format!("{name} in the environment means nothing here"));
        }
    }
}

/// What the names of environment variables begin with.
pub const ENV_PREFIX: &str = "MILEPOST_";

/// The environment variable that names the file.
pub const FILE_ENV: &str = "MILEPOST_CONFIG";

/// A configuration in the making.
struct Loading {
    protocols: Protocols,
    keys: Vec<Key>,
    config: Config,
    origins: Vec<(&'static str, Place)>,
    faults: Vec<Fault>,
    warnings: Vec<String>,
}

impl Loading {
    fn new(protocols: Protocols) -> Self {
        Self {
            protocols,
            keys: keys(protocols),
            config: Config::of(protocols),
            origins: Vec::new(),
            faults: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn set(&mut self, name: &str, value: &Value, place: Place) {
        let Some(key) = self.keys.iter().find(|key| key.name == name) else {
            let remedy = fault::did_you_mean(name, self.keys.iter().map(|key| key.name));
            self.faults.push(Fault {
                place,
                key: name.to_owned(),
                value: None,
                remedy,
            });
            return;
        };
        match (key.set)(&mut self.config, value) {
            Ok(()) => {
                self.origins.retain(|(known, _)| *known != key.name);
                self.origins.push((key.name, place));
            }
            Err(remedy) => self.faults.push(Fault {
                place,
                key: key.name.to_owned(),
                value: (!key.secret).then(|| value.to_string()),
                remedy,
            }),
        }
    }

    fn finish(mut self) -> Result<Loaded, Faults> {
        if self.faults.is_empty() {
            check::together(
                &self.config,
                self.protocols,
                &self.keys,
                &self.origins,
                &mut self.faults,
            );
        }
        if !self.faults.is_empty() {
            return Err(Faults(self.faults));
        }
        Ok(Loaded {
            config: self.config,
            origins: self.origins,
            warnings: self.warnings,
        })
    }
}
