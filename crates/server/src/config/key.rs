//! The table of all keys, made by small constructors.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use milepost_api::MAX_EXPIRES_S;
use milepost_telemetry::Tenant;

use super::{Config, ENV_PREFIX, LogFormat, Secret, UnknownDevice, Value, check};
use crate::protocol::Protocols;

/// One key: its names, how it is set from a value, how it is shown.
pub struct Key {
    /// Its name in a file: section, dot, key.
    pub name: &'static str,
    /// Its name in the environment.
    pub env: String,
    /// Whether its value is never shown.
    pub secret: bool,
    /// Whether its value is addresses of device listeners.
    pub(crate) listens: bool,
    /// What a protocol's key is without being set.
    pub(super) default: Option<Value>,
    pub(super) set: Set,
    pub(super) show: Show,
}

pub(super) type Set = Box<dyn Fn(&mut Config, &Value) -> Result<(), String> + Send + Sync>;
pub(super) type Show = Box<dyn Fn(&Config) -> Option<String> + Send + Sync>;

impl Key {
    /// A key whose environment variable is named after it: `limits.max_in_flight` is
    /// `MILEPOST_LIMITS_MAX_IN_FLIGHT`, and `http.listen`, which most people set, `MILEPOST_HTTP`.
    pub(super) fn new(name: &'static str, set: Set, show: Show) -> Self {
        let short = name.strip_suffix(".listen").unwrap_or(name);
        let env = format!(
            "{ENV_PREFIX}{}",
            short.replace('.', "_").to_ascii_uppercase()
        );
        Self {
            name,
            env,
            secret: false,
            listens: false,
            default: None,
            set,
            show,
        }
    }

    pub(super) fn with_default(self, default: Value) -> Self {
        Self {
            default: Some(default),
            ..self
        }
    }

    /// The value as it would stand in a file; nothing if it is not set.
    pub fn show(&self, config: &Config) -> Option<String> {
        (self.show)(config)
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Key").field(&self.name).finish()
    }
}

/// Where a key's value lives in the configuration.
struct Field<T> {
    read: fn(&Config) -> &T,
    write: fn(&mut Config) -> &mut T,
}

macro_rules! at {
    ($($path:ident).+) => {
        Field { read: |config| &config.$($path).+, write: |config| &mut config.$($path).+ }
    };
}

/// All keys, in the order of the example file; those of the protocols follow `http`.
pub fn keys(protocols: Protocols) -> Vec<Key> {
    let mut keys = vec![
        key("data_dir", at!(data_dir), folder, |path| {
            quoted(&path.display())
        }),
        key("store.keep_days", at!(store.keep), keep, |keep| {
            (keep.unwrap_or_default().as_secs() / 86_400).to_string()
        }),
        key(
            "log.level",
            at!(log.level),
            |value| {
                let level = value.text("a level")?;
                check::log_level(level).map(|()| level.to_owned())
            },
            quoted,
        ),
        words("log.format", FORMATS, at!(log.format)),
        optional("log.trace_device", at!(log.trace_device), move |value| {
            protocols.device_id(value.text("an id such as an IMEI")?)
        }),
        optional("log.trace_peer", at!(log.trace_peer), trace_peer),
        key(
            "http.listen",
            at!(http.listen),
            |value| value.address("127.0.0.1:8080"),
            |address: &SocketAddr| quoted(address),
        ),
        secret("http.api_token", "MILEPOST_API_TOKEN", at!(http.api_token)),
        seconds("http.timeout_s", 1..=600, at!(http.timeout)),
        whole(
            "http.max_connections",
            1..=1_000_000,
            at!(http.max_connections),
        ),
    ];
    keys.extend(protocols.iter().flat_map(|protocol| protocol.keys()));
    keys.extend([
        key("devices.tenant", at!(devices.tenant), tenant, |tenant| {
            quoted(tenant)
        }),
        words("devices.unknown", UNKNOWN, at!(devices.unknown)),
        switch("smoothing.enabled", at!(smoothing.enabled)),
        whole(
            "smoothing.max_speed_kmh",
            50..=1_200,
            at!(smoothing.max_speed_kmh),
        ),
        seconds(
            "smoothing.stop_after_s",
            30..=86_400,
            at!(smoothing.stop_after),
        ),
        seconds(
            "smoothing.trip_after_s",
            10..=86_400,
            at!(smoothing.trip_after),
        ),
        whole(
            "smoothing.trip_after_m",
            50..=100_000,
            at!(smoothing.trip_after_m),
        ),
        seconds(
            "smoothing.idle_after_s",
            10..=86_400,
            at!(smoothing.idle_after),
        ),
        seconds("smoothing.gap_s", 600..=604_800, at!(smoothing.gap)),
        seconds(
            "commands.expires_s",
            1..=MAX_EXPIRES_S,
            at!(commands.expires),
        ),
        seconds(
            "commands.answer_timeout_s",
            1..=86_400,
            at!(commands.answer_timeout),
        ),
        whole(
            "commands.max_waiting",
            1..=10_000,
            at!(commands.max_waiting),
        ),
        whole(
            "limits.max_connections",
            1..=10_000_000,
            at!(limits.max_connections),
        ),
        whole(
            "limits.max_connections_per_address",
            0..=10_000_000,
            at!(limits.max_connections_per_address),
        ),
        seconds(
            "limits.login_timeout_s",
            1..=3_600,
            at!(limits.login_timeout),
        ),
        seconds(
            "limits.idle_timeout_s",
            10..=604_800,
            at!(limits.idle_timeout),
        ),
        seconds(
            "limits.frame_timeout_s",
            1..=3_600,
            at!(limits.frame_timeout),
        ),
        seconds(
            "limits.write_timeout_s",
            1..=3_600,
            at!(limits.write_timeout),
        ),
        whole(
            "limits.max_in_flight",
            1..=10_000,
            at!(limits.max_in_flight),
        ),
        whole(
            "limits.connection_memory_mib",
            1..=1_048_576,
            at!(limits.connection_memory_mib),
        ),
        whole(
            "limits.max_bad_frames",
            1..=1_000_000,
            at!(limits.max_bad_frames),
        ),
        whole("limits.rate", 0..=1_000_000, at!(limits.rate)),
        whole("limits.rate_burst", 1..=1_000_000, at!(limits.rate_burst)),
        optional_whole(
            "limits.stranger_frames",
            1..=1_000_000,
            at!(limits.stranger_frames),
        ),
        optional_whole(
            "limits.stranger_kib",
            1..=1_048_576,
            at!(limits.stranger_kib),
        ),
        whole(
            "limits.stranger_rate",
            1..=1_000_000,
            at!(limits.stranger_rate),
        ),
        whole(
            "limits.network_ipv4_prefix",
            1..=32,
            at!(limits.network_ipv4_prefix),
        ),
        whole(
            "limits.network_ipv6_prefix",
            1..=128,
            at!(limits.network_ipv6_prefix),
        ),
        seconds(
            "limits.drain_timeout_s",
            1..=3_600,
            at!(limits.drain_timeout),
        ),
        optional_text("kafka.brokers", "a list of host:port", at!(fleet.brokers)),
        key("kafka.group", at!(fleet.group), name_of, quoted),
        key(
            "kafka.topic_prefix",
            at!(fleet.topic_prefix),
            name_of,
            quoted,
        ),
        whole("kafka.partitions", 1..=10_000, at!(fleet.partitions)),
        whole("kafka.replication", 1..=100, at!(fleet.replication)),
    ]);
    keys.extend(KAFKA_SECURITY.iter().map(kafka_security));
    keys.extend([
        secret_url("database.url", at!(fleet.database)),
        optional_file("database.ca_file", at!(fleet.database_ca)),
        whole(
            "database.connections",
            1..=1_000,
            at!(fleet.database_connections),
        ),
        secret_url("redis.url", at!(fleet.redis)),
        optional_file("redis.ca_file", at!(fleet.redis_ca)),
        optional_text("gateway.name", "a name", at!(fleet.gateway)),
        own_http("gateway.http", "127.0.0.1:8081", at!(fleet.gateway_http)),
        own_http("worker.http", "127.0.0.1:8082", at!(fleet.worker_http)),
        words("spool.enabled", SWITCH, at!(fleet.spool)),
        whole("spool.max_gib", 1..=10_000, at!(fleet.spool_gib)),
    ]);
    keys
}

const UNKNOWN: &[(&str, UnknownDevice)] = &[
    ("accept", UnknownDevice::Accept),
    ("quarantine", UnknownDevice::Quarantine),
    ("refuse", UnknownDevice::Refuse),
];
const FORMATS: &[(&str, LogFormat)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];

const SWITCH: &[(&str, bool)] = &[("on", true), ("off", false)];

fn optional_text(name: &'static str, what: &'static str, field: Field<Option<String>>) -> Key {
    Key::new(
        name,
        Box::new(move |config, value| {
            let text = value.text(what)?;
            if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
                return Err(format!("must be {what} in visible ASCII without blanks"));
            }
            *(field.write)(config) = Some(text.to_owned());
            Ok(())
        }),
        Box::new(move |config| (field.read)(config).as_ref().map(quoted)),
    )
}

/// Keys that are passed on to Kafka's client: the key, the client's name for it, an example or
/// what it may be, and whether its value is never shown.
const KAFKA_SECURITY: &[(&str, &str, &str, bool)] = &[
    (
        "kafka.security_protocol",
        "security.protocol",
        "plaintext, ssl, sasl_plaintext or sasl_ssl",
        false,
    ),
    (
        "kafka.sasl_mechanism",
        "sasl.mechanism",
        "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512",
        false,
    ),
    ("kafka.sasl_username", "sasl.username", "a name", false),
    ("kafka.sasl_password", "sasl.password", "a password", true),
    (
        "kafka.ssl_ca_file",
        "ssl.ca.location",
        "a file of certificates",
        false,
    ),
    (
        "kafka.ssl_certificate_file",
        "ssl.certificate.location",
        "a file with the client's certificate",
        false,
    ),
    (
        "kafka.ssl_key_file",
        "ssl.key.location",
        "a file with the client's key",
        false,
    ),
    (
        "kafka.ssl_key_password",
        "ssl.key.password",
        "a password",
        true,
    ),
];

fn kafka_security(
    &(name, setting, what, secret): &(&'static str, &'static str, &'static str, bool),
) -> Key {
    Key {
        secret,
        ..Key::new(
            name,
            Box::new(move |config, value| {
                let text = value.text(what)?;
                if text.is_empty() || text.contains(char::is_control) {
                    return Err(format!("must be {what}"));
                }
                let settings = &mut config.fleet.kafka_security;
                settings.insert(setting, Secret::new(text));
                Ok(())
            }),
            Box::new(move |config| {
                let value = config.fleet.kafka_security.get(setting)?;
                Some(if secret {
                    "(secret)".to_owned()
                } else {
                    quoted(value.reveal())
                })
            }),
        )
    }
}

fn optional_file(name: &'static str, field: Field<Option<std::path::PathBuf>>) -> Key {
    Key::new(
        name,
        Box::new(move |config, value| {
            let path = value.text("a path")?;
            if path.is_empty() {
                return Err("must name a file".to_owned());
            }
            *(field.write)(config) = Some(path.into());
            Ok(())
        }),
        Box::new(move |config| {
            let path = (field.read)(config).as_ref();
            path.map(|path| quoted(&path.display()))
        }),
    )
}

/// Where a role answers for itself: one address, or "off".
fn own_http(name: &'static str, example: &'static str, field: Field<Option<SocketAddr>>) -> Key {
    key(
        name,
        field,
        move |value| match value {
            Value::Untyped(text) | Value::String(text) if text == "off" => Ok(None),
            value => value
                .address(example)
                .map(Some)
                .map_err(|remedy| format!("{remedy}; or \"off\"")),
        },
        |address| address.map_or_else(|| quoted("off"), |address| quoted(&address)),
    )
}

/// A URL that may have a password in it.
fn secret_url(name: &'static str, field: Field<Option<Secret>>) -> Key {
    Key {
        secret: true,
        ..Key::new(
            name,
            Box::new(move |config, value| {
                let url = value.text("a URL")?;
                if url.is_empty() || !url.bytes().all(|b| b.is_ascii_graphic()) {
                    return Err("must be a URL in visible ASCII without blanks".to_owned());
                }
                *(field.write)(config) = Some(Secret::new(url));
                Ok(())
            }),
            Box::new(move |config| (field.read)(config).as_ref().map(|_| "(secret)".to_owned())),
        )
    }
}

/// A part of a topic's or group's name.
fn name_of(value: &Value) -> Result<String, String> {
    let text = value.text("a name")?;
    let is_good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if text.is_empty() || text.len() > 100 || !text.bytes().all(is_good) {
        return Err("must be 1 to 100 letters, digits, dots, underscores and hyphens".to_owned());
    }
    Ok(text.to_owned())
}

/// A hundred years.
const MAX_KEEP_DAYS: u64 = 36_500;

/// The shortest token: 16 hexadecimal digits are 64 bits, too many to be tried over a network.
pub(super) const MIN_TOKEN: usize = 16;

/// A key of any kind: how its value is read, and how it is written in a file.
fn key<T: 'static>(
    name: &'static str,
    field: Field<T>,
    read: impl Fn(&Value) -> Result<T, String> + Send + Sync + 'static,
    show: impl Fn(&T) -> String + Send + Sync + 'static,
) -> Key {
    Key::new(
        name,
        Box::new(move |config, value| {
            *(field.write)(config) = read(value)?;
            Ok(())
        }),
        Box::new(move |config| Some(show((field.read)(config)))),
    )
}

fn seconds(name: &'static str, range: RangeInclusive<u64>, field: Field<Duration>) -> Key {
    key(
        name,
        field,
        move |value| value.seconds(range.clone()),
        |time| time.as_secs().to_string(),
    )
}

fn whole<T>(name: &'static str, range: RangeInclusive<T>, field: Field<T>) -> Key
where
    T: TryFrom<i64> + PartialOrd + Display + Clone + Send + Sync + 'static,
{
    key(
        name,
        field,
        move |value| value.whole(range.clone()),
        T::to_string,
    )
}

/// A whole number whose default is not one value.
fn optional_whole<T>(name: &'static str, range: RangeInclusive<T>, field: Field<Option<T>>) -> Key
where
    T: TryFrom<i64> + PartialOrd + Display + Clone + Send + Sync + 'static,
{
    Key::new(
        name,
        Box::new(move |config, value| {
            *(field.write)(config) = Some(value.whole(range.clone())?);
            Ok(())
        }),
        Box::new(move |config| (field.read)(config).as_ref().map(T::to_string)),
    )
}

fn switch(name: &'static str, field: Field<bool>) -> Key {
    key(name, field, Value::switch, bool::to_string)
}

fn words<T>(name: &'static str, words: &'static [(&'static str, T)], field: Field<T>) -> Key
where
    T: Copy + PartialEq + Send + Sync + 'static,
{
    key(
        name,
        field,
        |value| value.one_of(words),
        |meaning| {
            let word = words.iter().find(|(_, known)| known == meaning);
            quoted(&word.map_or("", |(word, _)| word))
        },
    )
}

/// A key without a default.
fn optional<T: Display + 'static>(
    name: &'static str,
    field: Field<Option<T>>,
    read: impl Fn(&Value) -> Result<T, String> + Send + Sync + 'static,
) -> Key {
    Key::new(
        name,
        Box::new(move |config, value| {
            *(field.write)(config) = Some(read(value)?);
            Ok(())
        }),
        Box::new(move |config| (field.read)(config).as_ref().map(|value| quoted(value))),
    )
}

fn secret(name: &'static str, env: &'static str, field: Field<Option<Secret>>) -> Key {
    Key {
        env: env.to_owned(),
        secret: true,
        ..Key::new(
            name,
            Box::new(move |config, value| {
                let token = value.text("a token")?;
                if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
                    return Err(format!(
                        "must be visible ASCII without blanks, for example what {MAKE_TOKEN} prints"
                    ));
                }
                *(field.write)(config) = Some(Secret::new(token));
                Ok(())
            }),
            Box::new(move |config| (field.read)(config).as_ref().map(|_| "(secret)".to_owned())),
        )
    }
}

/// How a good token is made.
pub(super) const MAKE_TOKEN: &str = "`openssl rand -hex 32`";

fn folder(value: &Value) -> Result<std::path::PathBuf, String> {
    match value.text("a path")? {
        "" => Err("must name a folder".to_owned()),
        path => Ok(path.into()),
    }
}

fn trace_peer(value: &Value) -> Result<IpAddr, String> {
    const WHAT: &str = "an IP address without a port, such as 203.0.113.7";
    let address: IpAddr = value
        .text(WHAT)?
        .parse()
        .map_err(|_| format!("must be {WHAT}"))?;
    Ok(address.to_canonical())
}

fn keep(value: &Value) -> Result<Option<Duration>, String> {
    let days: u64 = value.whole(0..=MAX_KEEP_DAYS)?;
    Ok((days > 0).then(|| Duration::from_hours(24 * days)))
}

fn tenant(value: &Value) -> Result<Tenant, String> {
    Tenant::new(value.text("a name")?)
        .map_err(|_| "must be 1 to 39 characters of visible ASCII without blanks".to_owned())
}

fn quoted(value: &(impl Display + ?Sized)) -> String {
    format!("{:?}", value.to_string())
}
