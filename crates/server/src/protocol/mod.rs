//! Protocols, each in a folder of its own behind [`ProtocolPlug`].
//!
//! To add one, write `protocol/NAME/mod.rs` with a type that implements the trait, and add the two
//! lines below: its `mod`, and its entry in [`BUILT_IN`]. Nothing else in this crate, in the
//! configuration or in the HTTP API names a protocol. A binary of your own passes its list to
//! [`main_with`](crate::main_with) (`tests/toy_protocol` is such a binary).

pub mod ais140;
pub mod gt06;
pub mod j1939;
pub mod listen;

use std::net::SocketAddr;
use std::pin::Pin;

use milepost_simulate::{Error as SimulateError, Options as SimulateOptions, Summary};
use milepost_telemetry::{DeviceId, Profile};
use tokio_util::sync::CancellationToken;

use crate::config::setting::DeviceKey;
use crate::config::{Config, Device, Key, Settings, Value};
use crate::decode::{Decoding, Lines};
use crate::failure::Failure;
use listen::DeviceListener;

/// The protocols of the `milepost` binary.
pub const BUILT_IN: Protocols = Protocols(&[&gt06::Gt06, &ais140::Ais140, &j1939::J1939]);

/// What the server needs to know of a protocol.
pub trait ProtocolPlug: Sync {
    /// Its name in lower case: in `--protocol NAME`, in reports, as the section of its keys, and
    /// as the flag `--NAME ADDR`, which sets the key `NAME.listen`.
    fn name(&self) -> &'static str;

    /// Its name for people.
    fn title(&self) -> &'static str;

    /// Its configuration keys, each named `NAME.…`; one is `NAME.listen`, made by
    /// [`setting::listen`](crate::config::setting::listen).
    fn keys(&self) -> Vec<Key>;

    /// Its keys in a `[[device]]` table. Two protocols may have the same key; a value is good if
    /// one of them takes it.
    fn device_keys(&self) -> Vec<DeviceKey> {
        Vec::new()
    }

    /// The id of a `[[device]]` table as this protocol's devices report it.
    ///
    /// # Errors
    /// What an id must be, if no device of this protocol can have this one.
    fn device_id(&self, text: &str) -> Result<DeviceId, String>;

    /// Whether this protocol can have a device of this id under this configuration. Asked once all
    /// values are known: [`device_id`](Self::device_id) judges the text alone.
    ///
    /// # Errors
    /// What the id must be, or what is missing in the configuration.
    fn can_have(&self, device: &Device, _config: &Config) -> Result<(), String> {
        self.device_id(device.id.as_str()).map(drop)
    }

    /// The profile that a device's session starts with: what was learned, overridden by what is
    /// configured now.
    fn profile(&self, _configured: Option<&Device>, learned: Option<Profile>) -> Option<Profile> {
        learned
    }

    /// Binds its listeners. They serve when they are run.
    ///
    /// # Errors
    /// If an address cannot be listened on, with what would help.
    fn bind(&self, config: &Config) -> Result<Vec<Box<dyn DeviceListener>>, Failure>;

    /// Reads the lines of `milepost decode` as one device's connection.
    ///
    /// # Errors
    /// What is wrong with the options.
    fn lines(&self, decoding: &Decoding) -> Result<Box<dyn Lines>, Failure>;

    /// Whether `milepost decode --dbc` and `--spn-conversion` mean something for it.
    fn has_signal_definitions(&self) -> bool {
        false
    }

    /// Whether an argument of `milepost decode` is a message and not the name of a file: hex, unless
    /// the protocol's lines are something else.
    fn is_message(&self, argument: &str) -> bool {
        argument.len() >= 8
            && argument
                .bytes()
                .all(|b| b.is_ascii_hexdigit() || b.is_ascii_whitespace())
    }

    /// Whether a device of this protocol can be sent this text; `None` if the protocol has no
    /// commands. What is wrong is the rest of a sentence that begins with the text's name.
    fn check_command(&self, _text: &str) -> Option<Result<(), String>> {
        None
    }

    /// Simulated devices, if there are any.
    fn simulator(&self) -> Option<Simulator> {
        None
    }

    /// How to point a device at this server, for the page that is shown while there is none. A
    /// text between backquotes is shown as code; `{host}` and `{port}` are replaced.
    fn getting_started(&self) -> &'static [&'static str] {
        &[]
    }
}

/// Runs simulated devices of one protocol against a server.
pub type Simulator = fn(SimulateOptions, CancellationToken) -> Simulation;

/// A simulation under way.
pub type Simulation = Pin<Box<dyn Future<Output = Result<Summary, SimulateError>> + Send>>;

/// The protocols of a binary.
#[derive(Clone, Copy, Default)]
pub struct Protocols(pub &'static [&'static dyn ProtocolPlug]);

impl Protocols {
    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = &'static dyn ProtocolPlug> {
        self.0.iter().copied()
    }

    /// The one of this name.
    pub fn named(self, name: &str) -> Option<&'static dyn ProtocolPlug> {
        self.iter().find(|protocol| protocol.name() == name)
    }

    /// The first one with a simulator.
    pub fn simulated(self) -> Option<(&'static dyn ProtocolPlug, Simulator)> {
        self.iter()
            .find_map(|protocol| Some((protocol, protocol.simulator()?)))
    }

    /// The id of a `[[device]]` table, if a device of any protocol can have it.
    ///
    /// # Errors
    /// What the first protocol says an id must be.
    pub fn device_id(self, text: &str) -> Result<DeviceId, String> {
        first_good(self.iter().map(|protocol| protocol.device_id(text)))
            .unwrap_or_else(|| Err("must be a device's id".to_owned()))
    }

    /// Whether any protocol can have this device under this configuration.
    ///
    /// # Errors
    /// What each protocol says.
    pub(crate) fn can_have(self, device: &Device, config: &Config) -> Result<(), String> {
        let mut reasons = Vec::new();
        for protocol in self.iter() {
            match protocol.can_have(device, config) {
                Ok(()) => return Ok(()),
                Err(reason) => reasons.push(format!("{}: {reason}", protocol.name())),
            }
        }
        if reasons.is_empty() {
            return Ok(());
        }
        Err(format!(
            "is an id that no configured protocol can have ({})",
            reasons.join("; ")
        ))
    }

    /// The names of all keys of `[[device]]` tables.
    pub(crate) fn device_keys(self) -> Vec<&'static str> {
        let mut names: Vec<_> = self
            .iter()
            .flat_map(|protocol| protocol.device_keys())
            .map(|key| key.name)
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// A value of a `[[device]]` table as its key has it; `None` if no protocol has the key.
    pub(crate) fn check_device(
        self,
        name: &str,
        value: &Value,
    ) -> Option<Result<(&'static str, Value), String>> {
        let keys = self.iter().flat_map(|protocol| protocol.device_keys());
        let mut wrong: Vec<String> = Vec::new();
        for key in keys.filter(|key| key.name == name) {
            match key.check(value) {
                Ok(value) => return Some(Ok((key.name, value))),
                Err(reason) if !wrong.contains(&reason) => wrong.push(reason),
                Err(_) => {}
            }
        }
        // Each protocol has words of its own.
        (!wrong.is_empty()).then(|| Err(wrong.join("; or ")))
    }

    /// The first protocol by which a device can be sent this text.
    pub(crate) fn for_command(self, text: &str) -> Option<&'static str> {
        self.iter()
            .find(|protocol| matches!(protocol.check_command(text), Some(Ok(()))))
            .map(ProtocolPlug::name)
    }

    /// Whether a device can be sent this text, by any protocol.
    ///
    /// # Errors
    /// What the text must be, for the first protocol that has commands.
    pub(crate) fn check_command(self, text: &str) -> Result<(), String> {
        let checked = self
            .iter()
            .filter_map(|protocol| protocol.check_command(text));
        first_good(checked)
            .unwrap_or_else(|| Err("cannot be sent: no protocol has commands".to_owned()))
    }
}

impl std::fmt::Debug for Protocols {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|protocol| protocol.name()))
            .finish()
    }
}

/// The profile for a device: what was learned, overridden by what `configure` sets. That is as the
/// configuration says now, not as it said when the profile was kept.
fn overridden<P>(
    configured: Option<&Device>,
    learned: Option<Profile>,
    configure: impl FnOnce(&mut P, Option<&Settings>),
) -> Option<Profile>
where
    P: Clone + Default + PartialEq,
    P: for<'a> TryFrom<&'a Profile, Error: std::fmt::Display>,
    Profile: for<'a> From<&'a P>,
{
    let mut profile = match &learned {
        None if configured.is_none() => return None,
        None => P::default(),
        Some(learned) => match P::try_from(learned) {
            Ok(profile) => profile,
            Err(error) => {
                // Of a newer version, perhaps: the session handles that.
                let device = configured.map(|device| device.id);
                tracing::warn!(?device, %error, "a kept profile cannot be read");
                return Some(learned.clone());
            }
        },
    };
    let before = profile.clone();
    configure(&mut profile, configured.map(|device| &device.settings));
    if profile == before {
        learned
    } else {
        Some((&profile).into())
    }
}

/// The first good result, else the first bad one.
fn first_good<T, E>(results: impl Iterator<Item = Result<T, E>>) -> Option<Result<T, E>> {
    let mut bad = None;
    for result in results {
        if result.is_ok() {
            return Some(result);
        }
        bad.get_or_insert(result);
    }
    bad
}

/// How a program of this machine reaches what listens there.
pub(crate) fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    address
}
