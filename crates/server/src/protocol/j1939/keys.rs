//! The configuration keys of CAN frames, and what their values mean.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use milepost_listener::Network;
use milepost_protocol_j1939::carrier::Setting;
use milepost_protocol_j1939::claim::{ClaimRule, ClaimRules};
use milepost_protocol_j1939::dbc::Dbc;
use milepost_protocol_j1939::decoder;
use milepost_protocol_j1939::diagnostics::SpnConversion;

use super::Rules;
use crate::config::setting::{DeviceKey, choice, device_setting, list, listen, setting};
use crate::config::{Config, Key, Settings, Value};
use crate::failure::Failure;

/// Where gateways send their frames by default, by TCP and by UDP.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 5939);

const DEFAULT_INTERVAL_S: i64 = 10;

pub(super) fn keys() -> Vec<Key> {
    vec![
        listen("j1939.listen", LISTEN),
        // Not `listen`: a UDP port does not get in the way of a TCP port of the same number.
        setting("j1939.udp", list([LISTEN.to_string()]), |value| {
            if matches!(value, Value::Untyped(text) if text.is_empty()) {
                return Ok(list([]));
            }
            let addresses = value.addresses("0.0.0.0:5939")?;
            Ok(list(addresses.iter().map(ToString::to_string)))
        }),
        choice("j1939.identify", &["configured", "line", "vin"]),
        setting("j1939.form", Value::String("detect".to_owned()), |value| {
            let name = value.text("the name of a form").unwrap_or_default();
            name.parse::<Setting>()
                .map(|form| Value::String(form.to_string()))
                .map_err(|error| format!("is {error}"))
        }),
        setting(
            "j1939.interval_s",
            Value::Integer(DEFAULT_INTERVAL_S),
            |value| value.whole(1..=3_600_i64).map(Value::Integer),
        ),
        setting("j1939.keep_frames", Value::Boolean(false), |value| {
            match value {
                Value::Boolean(is_kept) => Some(*is_kept),
                Value::Untyped(text) => text.trim().parse().ok(),
                _ => None,
            }
            .map(Value::Boolean)
            .ok_or_else(|| "must be true or false".to_owned())
        }),
        setting("j1939.spn_conversion", Value::Integer(3), |value| {
            value.whole(1..=4_i64).map(Value::Integer)
        }),
        setting("j1939.dbc", Value::String(String::new()), |value| {
            let name = value.text("the name of a file, for example \"vehicle.dbc\"")?;
            if !name.is_empty() {
                read_dbc(Path::new(name))?;
            }
            Ok(Value::String(name.to_owned()))
        }),
    ]
}

pub(super) fn device_keys() -> Vec<DeviceKey> {
    vec![
        device_setting("can_port", |value| {
            value.whole(1..=65_535_i64).map(Value::Integer)
        }),
        device_setting("can_networks", |value| {
            let networks = networks(value)?;
            Ok(list(networks.iter().map(ToString::to_string)))
        }),
    ]
}

/// Which device a connection is; nothing if nothing says so.
pub(super) fn rules(config: &Config) -> Result<Option<Rules>, Failure> {
    let otherwise = match config.protocols.text("j1939.identify") {
        "line" => Some(ClaimRule::FirstLine),
        "vin" => Some(ClaimRule::Vin),
        _ => None,
    };
    let mut is_any = otherwise.is_some();
    let mut rules = Rules {
        ports: Vec::new(),
        peers: ClaimRules::new(otherwise),
    };
    for device in &config.devices.listed {
        if let Some(Value::Integer(port)) = device.settings.get("can_port") {
            let port = u16::try_from(*port).unwrap_or(0);
            let named = |key| {
                let addresses = config.protocols.addresses(key).into_iter();
                addresses
                    .map(|address| address.port())
                    .any(|own| own == port)
            };
            if !named("j1939.listen") && !named("j1939.udp") {
                return Err(Failure::new(format!(
                    "device {}: nothing listens on its can_port {port}",
                    device.id
                ))
                .remedy("add an address with this port to j1939.listen or j1939.udp"));
            }
            if let Some((_, other)) = rules.ports.iter().find(|(own, _)| *own == port) {
                return Err(Failure::new(format!(
                    "devices {other} and {} have the same can_port {port}",
                    device.id
                ))
                .remedy("give each a port of its own, or use can_networks"));
            }
            rules.ports.push((port, device.id.to_string()));
            is_any = true;
        }
        for network in device.settings.texts("can_networks") {
            if let Ok(network) = network.parse::<Network>() {
                let id = device.id.to_string();
                rules.peers.network(network.address(), network.prefix(), id);
                is_any = true;
            }
        }
    }
    Ok(is_any.then_some(rules))
}

/// The form in which frames arrive.
pub(super) fn form(settings: &Settings) -> Setting {
    settings.text("j1939.form").parse().unwrap_or_default()
}

/// Time between two reports of a vehicle.
pub(super) fn interval_micros(settings: &Settings) -> u64 {
    let seconds = integer(settings, "j1939.interval_s").unwrap_or(DEFAULT_INTERVAL_S);
    u64::try_from(seconds)
        .unwrap_or(1)
        .saturating_mul(1_000_000)
}

/// Whether every frame is kept.
pub(super) fn keeps_frames(settings: &Settings) -> bool {
    matches!(
        settings.get("j1939.keep_frames"),
        Some(Value::Boolean(true))
    )
}

/// How the bus is decoded.
pub(super) fn decoder(settings: &Settings) -> Result<decoder::Options, Failure> {
    let mut options = decoder::Options::default();
    options.conversion = conversion(integer(settings, "j1939.spn_conversion"));
    let name = settings.text("j1939.dbc");
    if !name.is_empty() {
        let dbc = read_dbc(Path::new(name))
            .map_err(|wrong| Failure::new(format!("j1939.dbc {wrong}")))?;
        for warning in dbc.warnings() {
            tracing::warn!(%warning, "the DBC file differs from the built-in table, or is not read in full");
        }
        options.definitions = Some(dbc.into());
    }
    Ok(options)
}

/// How trouble codes are read that are not of version 4.
pub(super) const fn conversion(version: Option<i64>) -> SpnConversion {
    match version {
        Some(1) => SpnConversion::Version1,
        Some(2) => SpnConversion::Version2,
        Some(4) => SpnConversion::Version4,
        _ => SpnConversion::Version3,
    }
}

fn integer(settings: &Settings, key: &str) -> Option<i64> {
    match settings.get(key) {
        Some(Value::Integer(number)) => Some(*number),
        _ => None,
    }
}

/// What is wrong is the rest of a sentence about the file.
pub(super) fn read_dbc(file: &Path) -> Result<Dbc, String> {
    let name = file.display();
    let bytes = std::fs::read(file)
        .map_err(|error| format!("must name a file that can be read: {name}: {error}"))?;
    let text = String::from_utf8_lossy(&bytes);
    Dbc::parse(&text).map_err(|error| format!("must name a DBC file: {name}: {error}"))
}

fn networks(value: &Value) -> Result<Vec<Network>, String> {
    const WHAT: &str = "a network such as \"10.1.0.0/16\", or a list of them";
    let one = |value: &Value| {
        let text = value.text(WHAT)?;
        text.parse().map_err(|_| format!("must be {WHAT}"))
    };
    match value {
        Value::List(values) => values.iter().map(one).collect(),
        single => Ok(vec![one(single)?]),
    }
}
