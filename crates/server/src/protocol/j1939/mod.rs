//! CAN frames of vehicles (SAE J1939, OBD-II) in this server.

mod decode;
mod keys;
mod simulate;

use std::sync::Arc;

use milepost_listener::protocols::J1939 as Carried;
use milepost_listener::{Limits, Opened};
use milepost_protocol_j1939::claim::{ClaimRule, ClaimRules};
use milepost_protocol_j1939::{merge, text};
use milepost_telemetry::DeviceId;

use super::listen::{self, Adjust, DeviceListener};
use super::{ProtocolPlug, Simulator};
use crate::config::setting::DeviceKey;
use crate::config::{self, Config, Device, Key};
use crate::decode::{Decoding, Lines};
use crate::failure::Failure;

/// The plug of CAN frames.
#[derive(Debug, Clone, Copy)]
pub struct J1939;

impl ProtocolPlug for J1939 {
    fn name(&self) -> &'static str {
        "j1939"
    }

    fn title(&self) -> &'static str {
        "CAN / J1939"
    }

    fn keys(&self) -> Vec<Key> {
        keys::keys()
    }

    fn device_keys(&self) -> Vec<DeviceKey> {
        keys::device_keys()
    }

    /// Any id: it is given by the configuration, by the gateway or by the vehicle.
    fn device_id(&self, text: &str) -> Result<DeviceId, String> {
        DeviceId::new(text).map_err(|_| {
            format!(
                "must be a device's id: 1 to {} characters of visible ASCII without blanks",
                DeviceId::MAX_LEN
            )
        })
    }

    /// Only what maps connections to devices gives one an id: without a mapping no connection can
    /// become this device.
    fn can_have(&self, device: &Device, config: &Config) -> Result<(), String> {
        let is_mapped = !device.settings.texts("can_networks").is_empty()
            || device.settings.get("can_port").is_some();
        match config.protocols.text("j1939.identify") {
            _ if is_mapped => Ok(()),
            "line" => Ok(()),
            "vin" if text::vin(device.id.as_str()) == Some(device.id.as_str()) => Ok(()),
            "vin" => Err(
                "must be a vehicle identification number, as j1939.identify is \"vin\"; \
                 or give the device a can_port or can_networks"
                    .to_owned(),
            ),
            _ => Err(
                "needs a can_port or can_networks in this [[device]], or j1939.identify = \
                 \"line\""
                    .to_owned(),
            ),
        }
    }

    /// CAN frames name no device: without a rule which device a connection is, nothing listens.
    fn bind(&self, config: &Config) -> Result<Vec<Box<dyn DeviceListener>>, Failure> {
        let Some(rules) = keys::rules(config)? else {
            return Ok(Vec::new());
        };
        let mut options = merge::Options::default();
        options.interval_micros = keys::interval_micros(&config.protocols);
        options.keep_frames = keys::keeps_frames(&config.protocols);
        options.decoder = keys::decoder(&config.protocols)?;
        let rules = Arc::new(rules);
        let configured = config.limits.clone();
        let limits: Adjust = Arc::new(move |limits| adjust(limits, &configured));
        let carried = || {
            let rules = Arc::clone(&rules);
            Carried::with_rules(move |opened| rules.rule(opened))
                .form(keys::form(&config.protocols))
                .options(options.clone())
        };
        let mut listeners = listen::tcp_within(self.name(), config, carried, Arc::clone(&limits))?;
        listeners.extend(listen::udp_within("j1939.udp", config, carried, limits)?);
        Ok(listeners)
    }

    fn lines(&self, decoding: &Decoding) -> Result<Box<dyn Lines>, Failure> {
        decode::Connection::new(decoding).map(|lines| Box::new(lines) as Box<dyn Lines>)
    }

    fn has_signal_definitions(&self) -> bool {
        true
    }

    /// A line of `candump` has blanks or the sign between identifier and data; other forms are hex,
    /// after a letter in SLCAN.
    fn is_message(&self, argument: &str) -> bool {
        let digits = argument.trim_start_matches(['t', 'T', 'r', 'R']);
        argument.contains('#')
            || argument.trim().contains(' ')
            || (digits.len() >= 8 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
    }

    fn simulator(&self) -> Option<Simulator> {
        Some(|options, shutdown| Box::pin(simulate::run(options, shutdown)))
    }

    fn getting_started(&self) -> &'static [&'static str] {
        &[
            "Let the gateway send its CAN frames to this machine, TCP or UDP port {port}, in any form \
             that milepost.example.toml names: `candump -L can0 | nc {host} {port}` is one.",
            "Which vehicle a connection is, the configuration says; it appears here with its first \
             frames.",
        ]
    }
}

/// Which device a connection is.
pub(crate) struct Rules {
    ports: Vec<(u16, String)>,
    peers: ClaimRules,
}

impl Rules {
    /// By the peer's network, else by the port, else by what is said for all.
    fn rule(&self, opened: &Opened) -> Option<ClaimRule> {
        let by_peer = opened.peer.and_then(|peer| self.peers.for_peer(peer.ip()));
        if let Some(ClaimRule::Known(device)) = by_peer {
            return Some(ClaimRule::Known(device));
        }
        let port = opened.local.map(|local| local.port());
        let by_port = self.ports.iter().find(|(own, _)| Some(*own) == port);
        by_port
            .map(|(_, device)| ClaimRule::Known(device.clone()))
            .or(by_peer)
    }
}

/// What a vehicle may send in the 60 s in which its number is looked for on the bus.
const STRANGER_FRAMES: u32 = 200_000;
const STRANGER_KIB: usize = 16 * 1_024;

/// A bus brings thousands of frames a second, which are held for an interval; and a vehicle that
/// is found on its bus is a stranger until then.
fn adjust(limits: &mut Limits, configured: &config::Limits) {
    limits.held = 65_536;
    limits.held_bytes = 4 << 20;
    listen::set_stranger_limits(limits, configured, STRANGER_FRAMES, STRANGER_KIB);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configured_stranger_limit_wins_over_that_of_the_protocol() {
        let mut configured = Config::default().limits;
        let mut limits = Limits::default();
        adjust(&mut limits, &configured);
        assert_eq!(limits.stranger_frames, STRANGER_FRAMES);
        assert_eq!(limits.stranger_bytes, STRANGER_KIB * 1_024);
        configured.stranger_frames = Some(3);
        configured.stranger_kib = Some(2);
        adjust(&mut limits, &configured);
        assert_eq!(limits.stranger_frames, 3);
        assert_eq!(limits.stranger_bytes, 2_048);
    }
}
