//! The table of all keys.

use std::time::Duration;

use milepost_protocol_gt06::Dialect;
use milepost_protocol_gt06::command::Language;
use milepost_protocol_gt06::field::TerminalId;
use milepost_telemetry::{DeviceId, Tenant};

use super::{AcknowledgeLocations, Config, Device, LogFormat, Secret, UnknownDevice, Value, check};

/// One key: its names, how it is set from a value, how it is shown.
pub struct Key {
    /// Its name in a file: section, dot, key.
    pub name: &'static str,
    /// Its name in the environment.
    pub env: &'static str,
    /// Whether its value is never shown.
    pub secret: bool,
    pub(super) set: fn(&mut Config, &Value) -> Result<(), String>,
    show: fn(&Config) -> Option<String>,
}

impl Key {
    /// The value as it would stand in a file; nothing when it is not set.
    pub fn show(&self, config: &Config) -> Option<String> {
        (self.show)(config)
    }
}

const ACKNOWLEDGE: &[(&str, AcknowledgeLocations)] = &[
    ("auto", AcknowledgeLocations::Auto),
    ("always", AcknowledgeLocations::Always),
    ("never", AcknowledgeLocations::Never),
];
const UNKNOWN: &[(&str, UnknownDevice)] = &[
    ("accept", UnknownDevice::Accept),
    ("quarantine", UnknownDevice::Quarantine),
    ("refuse", UnknownDevice::Refuse),
];
const FORMATS: &[(&str, LogFormat)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];

/// The longest that a command may wait: 30 days.
pub(crate) const MAX_EXPIRES_S: u64 = 30 * 86_400;

/// A hundred years.
const MAX_KEEP_DAYS: u64 = 36_500;

/// All keys, in the order of the example file.
pub const KEYS: &[Key] = &[
    Key {
        name: "data_dir",
        env: "MILEPOST_DATA_DIR",
        secret: false,
        set: |config, value| {
            let path = value.text("a path")?;
            if path.is_empty() {
                return Err("must name a folder".to_owned());
            }
            config.data_dir = path.into();
            Ok(())
        },
        show: |config| Some(format!("{:?}", config.data_dir.display().to_string())),
    },
    Key {
        name: "store.keep_days",
        env: "MILEPOST_STORE_KEEP_DAYS",
        secret: false,
        set: |config, value| {
            let days: u64 = value.whole(0..=MAX_KEEP_DAYS)?;
            config.store.keep = (days > 0).then(|| Duration::from_hours(24 * days));
            Ok(())
        },
        show: |config| {
            let keep = config.store.keep.unwrap_or_default();
            Some((keep.as_secs() / 86_400).to_string())
        },
    },
    Key {
        name: "log.level",
        env: "MILEPOST_LOG_LEVEL",
        secret: false,
        set: |config, value| {
            let level = value.text("a level")?;
            check::log_level(level)?;
            level.clone_into(&mut config.log.level);
            Ok(())
        },
        show: |config| Some(format!("{:?}", config.log.level)),
    },
    Key {
        name: "log.format",
        env: "MILEPOST_LOG_FORMAT",
        secret: false,
        set: |config, value| {
            config.log.format = value.one_of(FORMATS)?;
            Ok(())
        },
        show: |config| word(FORMATS, config.log.format),
    },
    Key {
        name: "http.listen",
        env: "MILEPOST_HTTP",
        secret: false,
        set: |config, value| {
            config.http.listen = value.address("127.0.0.1:8080")?;
            Ok(())
        },
        show: |config| Some(format!("\"{}\"", config.http.listen)),
    },
    Key {
        name: "http.api_token",
        env: "MILEPOST_API_TOKEN",
        secret: true,
        set: |config, value| {
            let token = value.text("a token")?;
            if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
                return Err(
                    "must be visible ASCII without blanks, for example what `openssl rand -hex 32` \
                     prints"
                        .to_owned(),
                );
            }
            config.http.api_token = Some(Secret::new(token));
            Ok(())
        },
        show: |config| {
            config
                .http
                .api_token
                .as_ref()
                .map(|_| "(secret)".to_owned())
        },
    },
    Key {
        name: "http.timeout_s",
        env: "MILEPOST_HTTP_TIMEOUT_S",
        secret: false,
        set: |config, value| {
            config.http.timeout = value.seconds(1..=600)?;
            Ok(())
        },
        show: |config| seconds(config.http.timeout),
    },
    Key {
        name: "http.max_connections",
        env: "MILEPOST_HTTP_MAX_CONNECTIONS",
        secret: false,
        set: |config, value| {
            config.http.max_connections = value.whole(1..=1_000_000)?;
            Ok(())
        },
        show: |config| Some(config.http.max_connections.to_string()),
    },
    Key {
        name: "gt06.listen",
        env: "MILEPOST_GT06",
        secret: false,
        set: |config, value| {
            config.gt06.listen = value.addresses("0.0.0.0:5023")?;
            Ok(())
        },
        show: |config| {
            let all: Vec<_> = config
                .gt06
                .listen
                .iter()
                .map(|address| format!("\"{address}\""))
                .collect();
            Some(format!("[{}]", all.join(", ")))
        },
    },
    Key {
        name: "gt06.acknowledge_locations",
        env: "MILEPOST_GT06_ACKNOWLEDGE_LOCATIONS",
        secret: false,
        set: |config, value| {
            config.gt06.acknowledge_locations = value.one_of(ACKNOWLEDGE)?;
            Ok(())
        },
        show: |config| word(ACKNOWLEDGE, config.gt06.acknowledge_locations),
    },
    Key {
        name: "gt06.models",
        env: "MILEPOST_GT06_MODELS",
        secret: false,
        set: |config, value| {
            config.gt06.models = models(value)?;
            Ok(())
        },
        show: |config| {
            let all: Vec<_> = config
                .gt06
                .models
                .iter()
                .map(|(model, dialect)| format!("\"{model:04x}={dialect}\""))
                .collect();
            Some(format!("[{}]", all.join(", ")))
        },
    },
    Key {
        name: "devices.tenant",
        env: "MILEPOST_DEVICES_TENANT",
        secret: false,
        set: |config, value| {
            let tenant = value.text("a name")?;
            config.devices.tenant = Tenant::new(tenant).map_err(|_| {
                "must be 1 to 39 characters of visible ASCII without blanks".to_owned()
            })?;
            Ok(())
        },
        show: |config| Some(format!("{:?}", config.devices.tenant.as_str())),
    },
    Key {
        name: "devices.unknown",
        env: "MILEPOST_DEVICES_UNKNOWN",
        secret: false,
        set: |config, value| {
            config.devices.unknown = value.one_of(UNKNOWN)?;
            Ok(())
        },
        show: |config| word(UNKNOWN, config.devices.unknown),
    },
    Key {
        name: "commands.expires_s",
        env: "MILEPOST_COMMANDS_EXPIRES_S",
        secret: false,
        set: |config, value| {
            config.commands.expires = value.seconds(1..=MAX_EXPIRES_S)?;
            Ok(())
        },
        show: |config| seconds(config.commands.expires),
    },
    Key {
        name: "commands.answer_timeout_s",
        env: "MILEPOST_COMMANDS_ANSWER_TIMEOUT_S",
        secret: false,
        set: |config, value| {
            config.commands.answer_timeout = value.seconds(1..=86_400)?;
            Ok(())
        },
        show: |config| seconds(config.commands.answer_timeout),
    },
    Key {
        name: "commands.max_waiting",
        env: "MILEPOST_COMMANDS_MAX_WAITING",
        secret: false,
        set: |config, value| {
            config.commands.max_waiting = value.whole(1..=10_000)?;
            Ok(())
        },
        show: |config| Some(config.commands.max_waiting.to_string()),
    },
    Key {
        name: "limits.max_connections",
        env: "MILEPOST_LIMITS_MAX_CONNECTIONS",
        secret: false,
        set: |config, value| {
            config.limits.max_connections = value.whole(1..=10_000_000)?;
            Ok(())
        },
        show: |config| Some(config.limits.max_connections.to_string()),
    },
    Key {
        name: "limits.max_connections_per_address",
        env: "MILEPOST_LIMITS_MAX_CONNECTIONS_PER_ADDRESS",
        secret: false,
        set: |config, value| {
            config.limits.max_connections_per_address = value.whole(0..=10_000_000)?;
            Ok(())
        },
        show: |config| Some(config.limits.max_connections_per_address.to_string()),
    },
    Key {
        name: "limits.login_timeout_s",
        env: "MILEPOST_LIMITS_LOGIN_TIMEOUT_S",
        secret: false,
        set: |config, value| {
            config.limits.login_timeout = value.seconds(1..=3600)?;
            Ok(())
        },
        show: |config| seconds(config.limits.login_timeout),
    },
    Key {
        name: "limits.idle_timeout_s",
        env: "MILEPOST_LIMITS_IDLE_TIMEOUT_S",
        secret: false,
        set: |config, value| {
            config.limits.idle_timeout = value.seconds(10..=604_800)?;
            Ok(())
        },
        show: |config| seconds(config.limits.idle_timeout),
    },
    Key {
        name: "limits.frame_timeout_s",
        env: "MILEPOST_LIMITS_FRAME_TIMEOUT_S",
        secret: false,
        set: |config, value| {
            config.limits.frame_timeout = value.seconds(1..=3600)?;
            Ok(())
        },
        show: |config| seconds(config.limits.frame_timeout),
    },
    Key {
        name: "limits.write_timeout_s",
        env: "MILEPOST_LIMITS_WRITE_TIMEOUT_S",
        secret: false,
        set: |config, value| {
            config.limits.write_timeout = value.seconds(1..=3600)?;
            Ok(())
        },
        show: |config| seconds(config.limits.write_timeout),
    },
    Key {
        name: "limits.max_in_flight",
        env: "MILEPOST_LIMITS_MAX_IN_FLIGHT",
        secret: false,
        set: |config, value| {
            config.limits.max_in_flight = value.whole(1..=10_000)?;
            Ok(())
        },
        show: |config| Some(config.limits.max_in_flight.to_string()),
    },
    Key {
        name: "limits.connection_memory_mib",
        env: "MILEPOST_LIMITS_CONNECTION_MEMORY_MIB",
        secret: false,
        set: |config, value| {
            config.limits.connection_memory_mib = value.whole(3..=1_048_576)?;
            Ok(())
        },
        show: |config| Some(config.limits.connection_memory_mib.to_string()),
    },
    Key {
        name: "limits.max_bad_frames",
        env: "MILEPOST_LIMITS_MAX_BAD_FRAMES",
        secret: false,
        set: |config, value| {
            config.limits.max_bad_frames = value.whole(1..=1_000_000)?;
            Ok(())
        },
        show: |config| Some(config.limits.max_bad_frames.to_string()),
    },
    Key {
        name: "limits.drain_timeout_s",
        env: "MILEPOST_LIMITS_DRAIN_TIMEOUT_S",
        secret: false,
        set: |config, value| {
            config.limits.drain_timeout = value.seconds(1..=3600)?;
            Ok(())
        },
        show: |config| seconds(config.limits.drain_timeout),
    },
];

/// One key of a `[[device]]` table; these stand in files only.
pub struct KeyOfDevice {
    /// Its name.
    pub name: &'static str,
    pub(super) set: fn(&mut Device, &Value) -> Result<(), String>,
    /// The value as a file has it; `None` if it is not set.
    pub(crate) show: fn(&Device) -> Option<String>,
}

/// All keys of a `[[device]]` table except `id`, which makes one.
pub(crate) const DEVICE_KEYS: &[KeyOfDevice] = &[
    KeyOfDevice {
        name: "acknowledge_locations",
        set: |device, value| {
            device.acknowledge_locations = Some(value.one_of(ACKNOWLEDGE)?);
            Ok(())
        },
        show: |device| word(ACKNOWLEDGE, device.acknowledge_locations?),
    },
    KeyOfDevice {
        name: "command_language",
        set: |device, value| {
            device.command_language = Some(value.one_of(LANGUAGES)?);
            Ok(())
        },
        show: |device| word(LANGUAGES, device.command_language?),
    },
    KeyOfDevice {
        name: "dialect",
        set: |device, value| {
            let known: Vec<_> = Dialect::ALL.iter().map(|d| (d.name(), *d)).collect();
            device.dialect = Some(value.one_of(&known)?);
            Ok(())
        },
        show: |device| Some(format!("\"{}\"", device.dialect?)),
    },
    KeyOfDevice {
        name: "zone",
        set: |device, value| {
            let zone = value.text("an offset").ok().and_then(minutes_east);
            device.zone = Some(zone.ok_or(NO_ZONE)?);
            Ok(())
        },
        show: |device| {
            let minutes = device.zone?;
            let sign = if minutes < 0 { '-' } else { '+' };
            let (hours, minutes) = (minutes.abs() / 60, minutes.abs() % 60);
            Some(format!("\"{sign}{hours:02}:{minutes:02}\""))
        },
    },
];

const LANGUAGES: &[(&str, Language)] = &[
    ("none", Language::None),
    ("chinese", Language::Chinese),
    ("english", Language::English),
];

/// The id of a `[[device]]` table.
pub(super) fn device_id(value: &Value) -> Result<Device, String> {
    let id = value.text("an id such as an IMEI")?;
    // Sixteen digits are those of a GT06 login: a 0 in front of an IMEI fills a half byte.
    let of_login = (id.len() == 16)
        .then(|| TerminalId::from_digits(id).and_then(TerminalId::device_id))
        .flatten();
    let id = match of_login {
        Some(id) => id,
        None => DeviceId::new(id).map_err(|error| format!("must be a device's id: {error}"))?,
    };
    Ok(Device::new(id))
}

/// What is wrong where [`minutes_east`] gives nothing.
pub(crate) const NO_ZONE: &str = "must be hours and minutes east of Greenwich, such as \"+08:00\"";

/// `+08:00` as minutes; at most 14 hours either way, which is what the world has.
pub(crate) fn minutes_east(text: &str) -> Option<i16> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let number = |text: &str| (text.len() == 2).then(|| text.parse::<u8>().ok()).flatten();
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let total = i16::from(hours) * 60 + i16::from(minutes);
    (minutes < 60 && total <= 14 * 60).then_some(sign * total)
}

fn word<T: PartialEq>(words: &[(&str, T)], meaning: T) -> Option<String> {
    words
        .iter()
        .find(|(_, known)| *known == meaning)
        .map(|(word, _)| format!("\"{word}\""))
}

#[expect(clippy::unnecessary_wraps, reason = "what `Key::show` gives")]
fn seconds(duration: Duration) -> Option<String> {
    Some(duration.as_secs().to_string())
}

/// Type words and the dialects that they stand for: a list or, outside of files, separated by
/// commas.
fn models(value: &Value) -> Result<Vec<(u16, Dialect)>, String> {
    let dialects: Vec<_> = Dialect::ALL.iter().map(|dialect| dialect.name()).collect();
    let wrong = || {
        format!(
            "must be a list of type words, four hexadecimal digits, with a dialect each, for \
             example [\"8033=jimi\"]; the dialects are {}",
            dialects.join(", ")
        )
    };
    let parts: Vec<&str> = match value {
        Value::Untyped(text) if text.trim().is_empty() => Vec::new(),
        Value::Untyped(text) => text.split(',').collect(),
        Value::List(values) => values
            .iter()
            .map(|value| value.text("").map_err(|_| wrong()))
            .collect::<Result<_, _>>()?,
        _ => return Err(wrong()),
    };
    let mut models: Vec<(u16, Dialect)> = Vec::new();
    for part in parts {
        let (model, dialect) = part.split_once('=').ok_or_else(wrong)?;
        let (model, dialect) = (model.trim(), dialect.trim());
        if model.len() != 4 || !model.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let word = u16::from_str_radix(model, 16).map_err(|_| wrong())?;
        if models.iter().any(|(known, _)| *known == word) {
            return Err(format!("names {model} twice; keep one"));
        }
        models.push((word, dialect.parse().map_err(|_| wrong())?));
    }
    Ok(models)
}
