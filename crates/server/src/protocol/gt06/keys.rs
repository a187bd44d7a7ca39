//! The configuration keys of GT06, and what their values mean.

use std::net::{Ipv4Addr, SocketAddr};

use milepost_protocol_gt06::Dialect;
use milepost_protocol_gt06::command::Language;

use crate::config::setting::{
    DeviceKey, choice, device_choice, device_setting, device_zone, list, listen, minutes_east,
    setting, word,
};
use crate::config::{Key, Settings, Value};

/// Where trackers of this family connect by default.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 5023);

/// Whether devices are told that their locations are stored: those that are known to wait for it,
/// all, none.
const ACKNOWLEDGE: &[&str] = &["auto", "always", "never"];

pub(super) fn keys() -> Vec<Key> {
    vec![
        listen("gt06.listen", LISTEN),
        choice("gt06.acknowledge_locations", ACKNOWLEDGE),
        setting("gt06.models", list([]), |value| {
            let models = models(value)?;
            Ok(list(
                models
                    .iter()
                    .map(|(model, dialect)| format!("{model:04x}={dialect}")),
            ))
        }),
    ]
}

pub(super) fn device_keys() -> Vec<DeviceKey> {
    vec![
        device_choice("acknowledge_locations", ACKNOWLEDGE),
        device_choice("command_language", &["none", "chinese", "english"]),
        device_setting("dialect", |value| {
            word(value, Dialect::ALL.iter().map(|dialect| dialect.name()))
        }),
        device_zone("zone"),
    ]
}

/// Whether locations are acknowledged; `None` for what is known about the device.
pub(super) fn acknowledge(settings: &Settings, key: &str) -> Option<bool> {
    match settings.text(key) {
        "always" => Some(true),
        "never" => Some(false),
        _ => None,
    }
}

/// The language word of commands.
pub(super) fn command_language(settings: &Settings) -> Option<Language> {
    match settings.text("command_language") {
        "none" => Some(Language::None),
        "chinese" => Some(Language::Chinese),
        "english" => Some(Language::English),
        _ => None,
    }
}

/// The family of devices by whose rules a device is read.
pub(super) fn dialect(settings: &Settings) -> Option<Dialect> {
    settings.text("dialect").parse().ok()
}

/// The zone of a device's times, in minutes east of Greenwich.
pub(super) fn zone(settings: &Settings) -> Option<i16> {
    minutes_east(settings.text("zone"))
}

/// What type words of logins mean.
pub(super) fn known_models(settings: &Settings) -> Vec<(u16, Dialect)> {
    let listed = settings.get("gt06.models");
    listed
        .and_then(|value| models(value).ok())
        .unwrap_or_default()
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
