//! What can only be judged when more than one value is known.

use std::net::{IpAddr, SocketAddr};

use super::key::{MAKE_TOKEN, MIN_TOKEN};
use super::{Config, Fault, Key, Place, Secret};
use crate::protocol::Protocols;

pub(super) fn together(
    config: &Config,
    protocols: Protocols,
    keys: &[Key],
    origins: &[(&'static str, Place)],
    faults: &mut Vec<Fault>,
) {
    devices(config, protocols, faults);
    let place = |key: &str| {
        origins
            .iter()
            .find(|(name, _)| *name == key)
            .map_or(Place::Default, |(_, place)| place.clone())
    };
    let is_short = |token: &Secret| token.reveal().len() < MIN_TOKEN;
    let is_set = |key: &str| origins.iter().any(|(name, _)| *name == key);
    let own = [
        ("gateway.http", config.fleet.gateway_http),
        ("worker.http", config.fleet.worker_http),
    ];
    let own = own.map(|(key, address)| Some((key, address?)));
    let pages = [Some(("http.listen", config.http.listen))];
    let open: Vec<_> = pages.into_iter().chain(own).flatten().collect();
    let public = open
        .iter()
        .filter(|(_, address)| !is_loopback_only(*address));
    for (key, address) in public.clone() {
        if config.http.api_token.is_none() {
            faults.push(Fault {
                place: place(key),
                key: (*key).to_owned(),
                value: Some(format!("\"{address}\"")),
                remedy: format!(
                    "without a token the API binds only loopback addresses: set http.api_token \
                     (--api-token, MILEPOST_API_TOKEN), or listen on 127.0.0.1:{}",
                    address.port()
                ),
            });
        }
    }
    if let Some((_, address)) = public.clone().next()
        && config.http.api_token.as_ref().is_some_and(is_short)
    {
        faults.push(Fault {
            place: place("http.api_token"),
            key: "http.api_token".to_owned(),
            value: None,
            remedy: format!(
                "must have at least {MIN_TOKEN} characters if the API listens on other than \
                 loopback addresses ({address}), for example what {MAKE_TOKEN} prints"
            ),
        });
    }
    // A gateway's address may be that of another role, on another machine. A default that is taken
    // shows when it is bound.
    let mut taken = vec![("http.listen", config.http.listen)];
    taken.extend((open.iter().copied()).filter(|(key, _)| *key == "gateway.http" && is_set(key)));
    let listeners = keys.iter().filter(|key| key.listens).flat_map(|key| {
        let addresses = config.protocols.addresses(key.name).into_iter();
        addresses.map(|address| (key.name, address))
    });
    for (name, address) in listeners {
        if let Some((key, other)) = taken.iter().find(|(_, other)| overlap(address, *other)) {
            faults.push(Fault {
                place: place(name),
                key: name.to_owned(),
                value: Some(format!("\"{address}\"")),
                remedy: format!(
                    "overlaps with {key} = \"{other}\" ({}): choose another port for one of them \
                     (0.0.0.0 takes every IPv4 address of this machine, [::] every address)",
                    place(key)
                ),
            });
        }
        taken.push((name, address));
    }
}

/// A device that no protocol can have is a mistyped id, or its mapping is missing.
fn devices(config: &Config, protocols: Protocols, faults: &mut Vec<Fault>) {
    for device in &config.devices.listed {
        if let Err(remedy) = protocols.can_have(device, config) {
            faults.push(Fault {
                place: device.place.clone(),
                key: "device.id".to_owned(),
                value: Some(format!("\"{}\"", device.id)),
                remedy,
            });
        }
    }
}

/// Whether one port would have to belong to two listeners. Port 0 is another one each time.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let covers = |wide: IpAddr, ip: IpAddr| {
        wide.is_unspecified() && (wide.is_ipv6() || ip.is_ipv4()) || wide == ip
    };
    let (one, other) = (a.ip().to_canonical(), b.ip().to_canonical());
    a.port() == b.port() && a.port() != 0 && (covers(one, other) || covers(other, one))
}

/// Whether only programs of this machine can reach what listens there.
pub fn is_loopback_only(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

pub(super) fn log_level(directives: &str) -> Result<(), String> {
    const REMEDY: &str = "must be error, warn, info, debug, trace or off, or directives such as \
                          \"info,milepost_listener=debug\"";
    let single = !directives.contains(['=', ',', '[']);
    let known = ["error", "warn", "info", "debug", "trace", "off"];
    // A lone word that is no level would be taken as the name of a module, and silence the rest.
    if directives.trim().is_empty() || single && !known.contains(&directives) {
        return Err(REMEDY.to_owned());
    }
    tracing_subscriber::EnvFilter::builder()
        .parse(directives)
        .map(drop)
        .map_err(|error| format!("{REMEDY} ({error})"))
}
