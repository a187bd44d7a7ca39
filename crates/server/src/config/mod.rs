//! Configuration: the defaults, then a file, then the environment, then flags; each overrides
//! the one before.
//!
//! Every key is one line of the table in `key.rs`, whatever its value comes from, so that a wrong
//! value is refused in the same words everywhere. Unknown keys of a file are refused too. All
//! that is wrong is said at once.

mod check;
mod fault;
mod file;
mod key;
mod value;

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use check::is_loopback_only;
pub use fault::{Fault, Faults, Place};
pub(crate) use key::{DEVICE_KEYS, MAX_EXPIRES_S, NO_ZONE, minutes_east};
pub use key::{KEYS, Key, KeyOfDevice};
use milepost_protocol_gt06::Dialect;
use milepost_protocol_gt06::command::Language;
use milepost_telemetry::{DeviceId, Tenant};
pub use value::Value;

/// Everything that can be configured. [`Default`] is what runs when nothing is said.
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
    /// The GT06 listeners.
    pub gt06: Gt06,
    /// Who may speak for a device.
    pub devices: Devices,
    /// Commands to devices.
    pub commands: Commands,
    /// What one connection, and all of them, may take.
    pub limits: Limits,
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

/// The GT06 listeners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gt06 {
    /// Where they listen; none at all when empty.
    pub listen: Vec<SocketAddr>,
    /// Which devices are told that their locations have arrived.
    pub acknowledge_locations: AcknowledgeLocations,
    /// What type words of logins stand for.
    pub models: Vec<(u16, Dialect)>,
}

/// Which devices are told that their locations have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcknowledgeLocations {
    /// Those that are known to wait for it.
    Auto,
    /// All.
    Always,
    /// None.
    Never,
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
    /// Whether it is told that its locations have arrived; else as `gt06` says.
    pub acknowledge_locations: Option<AcknowledgeLocations>,
    /// The language word of commands to it; else none.
    pub command_language: Option<Language>,
    /// The family of devices by whose rules it is read; else what is learned.
    pub dialect: Option<Dialect>,
    /// The zone of its times where the protocol does not say, in minutes east of Greenwich.
    pub zone: Option<i16>,
}

impl Device {
    /// A device without settings of its own.
    pub const fn new(id: DeviceId) -> Self {
        Self {
            id,
            acknowledge_locations: None,
            command_language: None,
            dialect: None,
            zone: None,
        }
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
            },
            http: Http {
                listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
                api_token: None,
                timeout: Duration::from_secs(30),
                max_connections: 1024,
            },
            gt06: Gt06 {
                listen: vec![SocketAddr::from((Ipv4Addr::UNSPECIFIED, 5023))],
                acknowledge_locations: AcknowledgeLocations::Auto,
                models: Vec::new(),
            },
            devices: Devices {
                tenant: Tenant::default(),
                unknown: UnknownDevice::Accept,
                listed: Vec::new(),
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
                drain_timeout: Duration::from_secs(20),
            },
        }
    }
}

impl Config {
    /// Checks what values say together, for a configuration that was made in code.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn check(&self) -> Result<(), Faults> {
        let mut faults = Vec::new();
        check::together(self, &[], &mut faults);
        if faults.is_empty() {
            Ok(())
        } else {
            Err(Faults(faults))
        }
    }
}

/// A text that logs and listings do not show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

/// A value given by a flag: the key's name, the flag as it was written, the value.
pub type Flag = (&'static str, &'static str, String);

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
pub fn load(sources: &Sources<'_>) -> Result<Loaded, Faults> {
    let mut loading = Loading::default();
    if let Some(path) = sources.file {
        file::read(path, &mut loading);
    }
    environment(&sources.environment, &mut loading);
    for (name, flag, value) in &sources.flags {
        loading.set(name, &Value::Untyped(value.clone()), Place::Flag(flag));
    }
    loading.finish()
}

fn environment(variables: &[(OsString, OsString)], loading: &mut Loading) {
    let mut known = Vec::new();
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|n| n.starts_with(ENV_PREFIX)) else {
            continue;
        };
        let Some(key) = KEYS.iter().find(|key| key.env == name) else {
            // Not refused: orchestrators set variables named after a service all by themselves
            // (Kubernetes: MILEPOST_SERVICE_HOST).
            if name != FILE_ENV {
                loading
                    .warnings
                    .push(format!("{name} in the environment means nothing here"));
            }
            continue;
        };
        known.push((key, value));
    }
    // In the order of the table, so that what is said does not depend on the environment's order.
    known.sort_by_key(|(key, _)| KEYS.iter().position(|k| k.name == key.name));
    for (key, value) in known {
        let place = Place::Environment(key.env);
        match value.to_str() {
            Some(value) => loading.set(key.name, &Value::Untyped(value.to_owned()), place),
            None => loading.faults.push(Fault {
                place,
                key: key.name.to_owned(),
                value: None,
                remedy: "must be valid UTF-8".to_owned(),
            }),
        }
    }
}

/// What the names of environment variables begin with.
pub const ENV_PREFIX: &str = "MILEPOST_";

/// The environment variable that names the file.
pub const FILE_ENV: &str = "MILEPOST_CONFIG";

/// A configuration in the making.
#[derive(Default)]
struct Loading {
    config: Config,
    origins: Vec<(&'static str, Place)>,
    faults: Vec<Fault>,
    warnings: Vec<String>,
}

impl Loading {
    fn set(&mut self, name: &str, value: &Value, place: Place) {
        let Some(key) = KEYS.iter().find(|key| key.name == name) else {
            self.unknown(name, place, KEYS.iter().map(|key| key.name));
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

    fn unknown(&mut self, name: &str, place: Place, known: impl Iterator<Item = &'static str>) {
        self.faults.push(Fault {
            place,
            key: name.to_owned(),
            value: None,
            remedy: fault::did_you_mean(name, known),
        });
    }

    fn finish(mut self) -> Result<Loaded, Faults> {
        if self.faults.is_empty() {
            check::together(&self.config, &self.origins, &mut self.faults);
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
