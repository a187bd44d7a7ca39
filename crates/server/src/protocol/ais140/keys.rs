//! The configuration keys of AIS 140, and what their values mean.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use milepost_protocol_ais140::{Dialects, ReplyPolicy};

use crate::config::setting::{
    DeviceKey, device_setting, device_zone, list, listen, minutes_east, setting,
};
use crate::config::{Device, Key, Settings, Value};
use crate::failure::Failure;

/// Where devices connect by default.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 5140);

/// Before the name of a dialect that comes from a file: other names are checked when the
/// configuration is read, these when the files are.
const OF_FILE: &str = "file:";

/// Every dialect.
const ALL: &str = "all";

pub(super) fn keys() -> Vec<Key> {
    vec![
        listen("ais140.listen", LISTEN),
        // Not `listen`: a UDP port does not get in the way of a TCP port of the same number.
        setting("ais140.udp", list([]), |value| {
            if matches!(value, Value::Untyped(text) if text.is_empty()) {
                return Ok(list([]));
            }
            let addresses = value.addresses("0.0.0.0:5140")?;
            Ok(list(addresses.iter().map(ToString::to_string)))
        }),
        setting("ais140.dialects", list([]), |value| {
            let names = names(value, "a list of files, for example [\"dialects.toml\"]")?;
            read(&names)?;
            Ok(list(names.into_iter().map(ToOwned::to_owned)))
        }),
        setting("ais140.unconfirmed_replies", list([]), |value| {
            let names = names(value, "a list of dialects, for example [\"roadpoint\"]")?;
            for name in &names {
                known(name).map_err(|wrong| format!("{wrong}, or \"{ALL}\""))?;
            }
            Ok(list(names.into_iter().map(ToOwned::to_owned)))
        }),
    ]
}

pub(super) fn device_keys() -> Vec<DeviceKey> {
    vec![
        device_setting("dialect", |value| {
            let name = value.text("a dialect's name")?;
            if name == ALL {
                return Err("must be one dialect".to_owned());
            }
            known(name).map(|()| Value::String(name.to_owned()))
        }),
        device_zone("zone"),
    ]
}

/// Whether a dialect is built in, or is said to come from a file.
fn known(name: &str) -> Result<(), String> {
    let dialects = Dialects::builtin();
    let is_of_file = name.strip_prefix(OF_FILE).is_some_and(|of| !of.is_empty());
    if name == ALL || is_of_file || dialects.by_name(name).is_some() {
        return Ok(());
    }
    let known: Vec<_> = dialects.iter().map(|dialect| dialect.name()).collect();
    Err(format!(
        "must be one of {}, or \"{OF_FILE}NAME\" for one of the files in ais140.dialects",
        known.join(", ")
    ))
}

/// Whose devices are sent the replies that only one source describes.
pub(super) fn replies(settings: &Settings) -> ReplyPolicy {
    let names = settings.texts("ais140.unconfirmed_replies");
    if names.contains(&ALL) {
        return ReplyPolicy::new(true);
    }
    let names = names.into_iter();
    ReplyPolicy::of(names.map(|name| name.strip_prefix(OF_FILE).unwrap_or(name)))
}

/// The dialect by whose rules a device is read, if one of this protocol is set.
pub(super) fn dialect(settings: &Settings) -> Option<&str> {
    let name = settings.text("dialect");
    match name.strip_prefix(OF_FILE) {
        Some(name) => Some(name),
        None => Dialects::builtin().by_name(name).map(|_| name),
    }
}

/// The zone of a device's clock, in minutes east of Greenwich.
pub(super) fn zone(settings: &Settings) -> Option<i16> {
    minutes_east(settings.text("zone"))
}

/// The built-in dialects and those of files.
pub(super) fn dialects<P: AsRef<Path>>(files: &[P]) -> Result<Dialects, Failure> {
    read(files).map_err(|wrong| Failure::new(format!("ais140.dialects {wrong}")))
}

/// Whether the dialects that are set for devices are there.
pub(super) fn check_devices(devices: &[Device], dialects: &Dialects) -> Result<(), Failure> {
    for device in devices {
        let Some(name) = dialect(&device.settings) else {
            continue;
        };
        if dialects.by_name(name).is_none() {
            let failure = format!("device {}: no file defines the dialect {name:?}", device.id);
            return Err(Failure::new(failure).remedy("name its file in ais140.dialects"));
        }
    }
    Ok(())
}

/// Reads the files; what is wrong with one is the rest of a sentence about them.
fn read<P: AsRef<Path>>(files: &[P]) -> Result<Dialects, String> {
    let mut all = String::new();
    for file in files {
        let name = file.as_ref().display();
        let text = std::fs::read_to_string(file)
            .map_err(|error| format!("must name files that can be read: {name}: {error}"))?;
        Dialects::from_toml(&text)
            .map_err(|error| format!("must name files of dialects: {name}: {error}"))?;
        all.push_str(&text);
        all.push('\n');
    }
    // Each is right by itself; together they may define one dialect twice.
    Dialects::from_toml(&all).map_err(|error| format!("must fit together: {error}"))
}

/// A list or, outside of files, names separated by commas.
fn names<'v>(value: &'v Value, wrong: &str) -> Result<Vec<&'v str>, String> {
    match value {
        Value::Untyped(text) if text.trim().is_empty() => Ok(Vec::new()),
        Value::Untyped(text) => Ok(text.split(',').map(str::trim).collect()),
        Value::List(values) => values.iter().map(|value| value.text(wrong)).collect(),
        _ => Err(format!("must be {wrong}")),
    }
}
