//! GT06 / Concox / Jimi in this server.

mod decode;
mod keys;
mod profile;

use milepost_listener::protocols::Gt06 as Carried;
use milepost_protocol_gt06::command::{Command, LONGEST};
use milepost_protocol_gt06::field::TerminalId;
use milepost_telemetry::{DeviceId, Profile};

use super::listen::{self, DeviceListener};
use super::{ProtocolPlug, Simulator};
use crate::config::setting::DeviceKey;
use crate::config::{Config, Device, Key};
use crate::decode::{Decoding, Lines};
use crate::failure::Failure;

/// The plug of GT06.
#[derive(Debug, Clone, Copy)]
pub struct Gt06;

impl ProtocolPlug for Gt06 {
    fn name(&self) -> &'static str {
        "gt06"
    }

    fn title(&self) -> &'static str {
        "GT06"
    }

    fn keys(&self) -> Vec<Key> {
        keys::keys()
    }

    fn device_keys(&self) -> Vec<DeviceKey> {
        keys::device_keys()
    }

    /// The digits that a login carries: up to 16, a 0 before an IMEI being no part of the id.
    fn device_id(&self, text: &str) -> Result<DeviceId, String> {
        const REMEDY: &str = "must be a device's id: the IMEI, or the 1 to 16 digits of its login";
        let is_login = text.len() == 16;
        match TerminalId::from_digits(text) {
            Some(id) if is_login => id.device_id().ok_or_else(|| REMEDY.to_owned()),
            Some(_) => DeviceId::new(text).map_err(|_| REMEDY.to_owned()),
            None => Err(REMEDY.to_owned()),
        }
    }

    fn profile(&self, configured: Option<&Device>, learned: Option<Profile>) -> Option<Profile> {
        profile::over(configured, learned)
    }

    fn bind(&self, config: &Config) -> Result<Vec<Box<dyn DeviceListener>>, Failure> {
        let session = profile::session(config);
        listen::tcp(self.name(), config, || Carried::from(session.clone()))
    }

    fn lines(&self, decoding: &Decoding) -> Result<Box<dyn Lines>, Failure> {
        decode::Connection::new(decoding).map(|lines| Box::new(lines) as Box<dyn Lines>)
    }

    fn check_command(&self, text: &str) -> Option<Result<(), String>> {
        let checked = Command::Raw(text.to_owned()).text().map(drop);
        Some(checked.map_err(|error| {
            format!("must be 1 to {LONGEST} characters of printable ASCII: {error}")
        }))
    }

    fn simulator(&self) -> Option<Simulator> {
        Some(|options, shutdown| {
            Box::pin(async move { milepost_simulate::run(&options, shutdown).await })
        })
    }

    fn getting_started(&self) -> &'static [&'static str] {
        &[
            "Point it at this machine, TCP port {port}. Many trackers take it by text message; the \
             first number is 1 for a name and 0 for an address: `SERVER,{named},{host},{port},0#`",
            "It names itself by its IMEI when it logs in, and appears here as soon as it does. The \
             port must be open for TCP from the mobile network.",
        ]
    }
}
