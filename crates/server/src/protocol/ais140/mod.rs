//! AIS 140 in this server.

mod decode;
mod keys;
mod profile;

use milepost_listener::protocols::Ais140 as Carried;
use milepost_protocol_ais140::command::{self, CommandError};
use milepost_protocol_ais140::{Imei, Session};
use milepost_telemetry::{DeviceId, Profile};

use super::listen::{self, DeviceListener};
use super::{ProtocolPlug, Simulator};
use crate::config::setting::DeviceKey;
use crate::config::{Config, Device, Key};
use crate::decode::{Decoding, Lines};
use crate::failure::Failure;

/// The plug of AIS 140.
#[derive(Debug, Clone, Copy)]
pub struct Ais140;

impl ProtocolPlug for Ais140 {
    fn name(&self) -> &'static str {
        "ais140"
    }

    fn title(&self) -> &'static str {
        "AIS 140"
    }

    fn keys(&self) -> Vec<Key> {
        keys::keys()
    }

    fn device_keys(&self) -> Vec<DeviceKey> {
        keys::device_keys()
    }

    fn device_id(&self, text: &str) -> Result<DeviceId, String> {
        const REMEDY: &str = "must be a device's id: the 15 digits of its IMEI";
        let number = text.parse::<u64>().ok().filter(|_| text.len() == 15);
        let id = number.and_then(|number| Imei::new(number).device_id());
        id.ok_or_else(|| REMEDY.to_owned())
    }

    fn profile(&self, configured: Option<&Device>, learned: Option<Profile>) -> Option<Profile> {
        profile::over(configured, learned)
    }

    fn bind(&self, config: &Config) -> Result<Vec<Box<dyn DeviceListener>>, Failure> {
        let dialects = keys::dialects(&config.protocols.texts("ais140.dialects"))?;
        keys::check_devices(&config.devices.listed, &dialects)?;
        let session = Session::new(dialects, keys::replies(&config.protocols));
        let carried = || Carried::from(session.clone());
        let mut listeners = listen::tcp(self.name(), config, carried)?;
        listeners.extend(listen::udp("ais140.udp", config, carried)?);
        Ok(listeners)
    }

    fn lines(&self, decoding: &Decoding) -> Result<Box<dyn Lines>, Failure> {
        decode::Connection::new(decoding).map(|lines| Box::new(lines) as Box<dyn Lines>)
    }

    /// Packets are text with commas; those of other forms begin in their own ways.
    fn is_message(&self, argument: &str) -> bool {
        argument.contains(',')
            || ["$", "(", "hex:", "vltdata="]
                .iter()
                .any(|start| argument.starts_with(start))
    }

    /// What no dialect could carry. Whether the device's own has words for it shows when it is sent.
    fn check_command(&self, text: &str) -> Option<Result<(), String>> {
        if text.chars().any(char::is_control) {
            return Some(Err("must be printable ASCII in one line".to_owned()));
        }
        let dialects = milepost_protocol_ais140::Dialects::builtin();
        let imei = Some(Imei::new(0));
        Some(
            match command::encode(text, &dialects.generic(), imei) {
                Ok(_) | Err(CommandError::NotInDialect { .. }) => Ok(()),
                // Perhaps in the own words of the device's maker.
                Err(CommandError::Incomplete { .. }) if text.trim().contains(' ') => Ok(()),
                Err(error) => Err(error),
            }
            .map_err(|error| {
                let longest = command::LONGEST;
                format!("must be 1 to {longest} characters of printable ASCII: {error}")
            }),
        )
    }

    fn simulator(&self) -> Option<Simulator> {
        Some(|options, shutdown| {
            Box::pin(async move { milepost_simulate::ais140::run(&options, shutdown).await })
        })
    }

    fn getting_started(&self) -> &'static [&'static str] {
        &[
            "Point it at this machine, TCP port {port}. The standard asks for such a command by SMS \
             and leaves its words to the maker, whose manual has them: iStartek's devices, for \
             example, take `SET PIP:{host}` and `SET PPT:{port}`. Use the second address if the \
             first belongs to the state's server.",
            "It names itself by its IMEI in any packet, and appears here as soon as it does. Its \
             dialect is learned.",
        ]
    }
}
