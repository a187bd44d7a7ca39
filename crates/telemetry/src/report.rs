//! The report: what one frame, or one item of a batch, said.

use core::fmt;
use core::ops::{Deref, DerefMut};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    AddressClaim, Cell, CommandAnswer, DeviceId, Diagnostics, Event, Fix, Identity, Io, Media,
    Name, Network, Odometer, Power, RawTime, ReportId, Signal, Smoothed, Tenant, TimeSource,
    Timestamp, Vehicle, WifiStation, Zone, network,
};

/// The version of the JSON form. It counts up only when a key changes its meaning.
pub const SCHEMA_VERSION: u32 = 1;

/// What kind of message a report is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// The device named itself.
    Login,
    /// A sign of life, often with a status.
    Heartbeat,
    /// A position.
    Location,
    /// Something happened, usually with a position.
    Alarm,
    /// A status without position.
    Status,
    /// Cell towers or WiFi stations without position.
    Cells,
    /// The answer to a command.
    CommandReply,
    /// The device asks for the time.
    TimeRequest,
    /// The device asks for an address in words.
    AddressRequest,
    /// Trouble codes.
    Diagnostics,
    /// Data from a vehicle bus.
    Can,
    /// The device's own health.
    Health,
    /// An emergency packet.
    Emergency,
    /// A photo, a recording, a file.
    Media,
    /// A well-formed message that no decoder knows; its bytes are kept.
    Unknown,
}

/// What became of a frame's checksum. A wrong one is a verdict, not a reason to drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Checksum {
    /// Right.
    Valid,
    /// Wrong.
    Mismatch,
    /// The dialect has none.
    Absent,
    /// There is one, and nobody knows how it is worked out.
    Unverified,
}

/// What one frame, or one item of a batch, said: normalized, with explicit units and validity.
///
/// The parts that nearly every report has are inline, those that few have are held apart
/// ([`More`]): making a report of a plain location allocates nothing. It fills whole cache lines,
/// so that writing one does not depend on where it lies.
///
/// The form in JSON is public API; see the crate's documentation.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[repr(align(64))]
pub struct Report {
    /// The same fact sent twice has the same id.
    pub id: ReportId,
    /// Who decoded it: `protocol/version`.
    pub decoder: Name,
    /// The protocol.
    pub protocol: Name,
    /// The family of devices by whose rules it was read.
    pub dialect: Option<Name>,
    /// Whose device it is.
    pub tenant: Option<Tenant>,
    /// The device, if it has logged in.
    pub device: Option<DeviceId>,
    /// What kind of message.
    pub kind: Kind,
    /// The verdict on the frame's checksum.
    pub checksum: Checksum,
    /// The device's own counter of frames.
    pub sequence: Option<u32>,
    /// When it arrived.
    pub received_at: Timestamp,
    /// The time used for ordering.
    pub time: Timestamp,
    /// Where `time` comes from.
    pub time_source: TimeSource,
    /// The device's time in UTC.
    pub device_time: Option<Timestamp>,
    /// The device's time exactly as sent.
    pub raw_time: Option<RawTime>,
    /// How the zone of `device_time` was known.
    pub zone: Option<Zone>,
    /// Older than what is already known of the device. Set by the pipeline.
    pub late: Option<bool>,
    /// The position.
    pub fix: Option<Fix>,
    /// The position after smoothing. Set by the pipeline.
    pub smoothed: Option<Smoothed>,
    /// Supply and battery.
    pub power: Power,
    /// Mobile network and radio stations.
    pub network: Network,
    /// Ignition and other switches.
    pub io: Io,
    /// The distance travelled.
    pub odometer: Option<Odometer>,
    /// What few reports have.
    pub more: More,
}

/// What few reports have, held apart: what reads through it sees nothing where there is nothing,
/// and what writes through it makes the place first.
#[derive(Clone, Default)]
pub struct More(Option<Box<Rare>>);

/// The parts of a [`Report`] that few have.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Rare {
    /// Values of the vehicle's controllers.
    pub vehicle: Option<Vehicle>,
    /// Who and what this is.
    pub identity: Option<Identity>,
    /// The mobile network operator's name.
    pub operator: Option<Box<str>>,
    /// All cells after the first, which is in [`Network::cell`].
    pub cells: Vec<Cell>,
    /// WiFi stations.
    pub wifi: Vec<WifiStation>,
    /// What happened.
    pub events: Vec<Event>,
    /// Everything else that has a name.
    pub signals: Vec<Signal>,
    /// Trouble codes and emission diagnostics.
    pub diagnostics: Option<Box<Diagnostics>>,
    /// A control unit claims an address.
    pub address_claim: Option<Box<AddressClaim>>,
    /// A photo, a recording, a file.
    pub media: Option<Media>,
    /// The number of the command that this answers, as the device repeats it.
    pub reply_to: Option<u32>,
    /// What the text says as the answer to a command. Not in the JSON form.
    pub answer: Option<CommandAnswer>,
    /// Text from the device, such as the answer to a command.
    pub text: Option<Box<str>>,
    /// The frame, when asked for.
    pub raw: Option<Box<[u8]>>,
}

impl More {
    /// Nothing.
    pub const NOTHING: Self = Self(None);

    /// Whether there is no place for anything, and so nothing in it.
    #[inline]
    pub const fn is_none(&self) -> bool {
        self.0.is_none()
    }
}

// Nearly always there is nothing: then no function is called to drop it.
impl Drop for More {
    #[inline]
    fn drop(&mut self) {
        #[cold]
        #[inline(never)]
        fn free(rare: Box<Rare>) {
            drop(rare);
        }
        if let Some(rare) = self.0.take() {
            free(rare);
        }
    }
}

impl From<Rare> for More {
    fn from(rare: Rare) -> Self {
        let is_empty = rare == *Self::NOTHING;
        Self((!is_empty).then(|| Box::new(rare)))
    }
}

impl Deref for More {
    type Target = Rare;

    #[inline]
    fn deref(&self) -> &Rare {
        static NOTHING: Rare = Rare {
            vehicle: None,
            identity: None,
            operator: None,
            cells: Vec::new(),
            wifi: Vec::new(),
            events: Vec::new(),
            signals: Vec::new(),
            diagnostics: None,
            address_claim: None,
            media: None,
            reply_to: None,
            answer: None,
            text: None,
            raw: None,
        };
        self.0.as_deref().unwrap_or(&NOTHING)
    }
}

impl DerefMut for More {
    #[inline]
    fn deref_mut(&mut self) -> &mut Rare {
        self.0.get_or_insert_default()
    }
}

impl PartialEq for More {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl fmt::Debug for More {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Rare::fmt(self, f)
    }
}

impl Report {
    /// A report that says nothing yet but what and when: its time is the arrival's.
    #[inline]
    pub const fn new(id: ReportId, decoder: Decoder, kind: Kind, received_at: Timestamp) -> Self {
        Self {
            id,
            decoder: decoder.name,
            protocol: decoder.protocol,
            dialect: None,
            tenant: None,
            device: None,
            kind,
            checksum: Checksum::Absent,
            sequence: None,
            received_at,
            time: received_at,
            time_source: TimeSource::Received,
            device_time: None,
            raw_time: None,
            zone: None,
            late: None,
            fix: None,
            smoothed: None,
            power: Power {
                external_connected: None,
                external: None,
                battery: None,
                battery_charge: None,
                battery_level: None,
                charging: None,
            },
            network: Network {
                signal: None,
                signal_dbm: None,
                cell: None,
            },
            io: Io {
                ignition: None,
                ignition_source: None,
                armed: None,
                inputs: crate::Switches::EMPTY,
                outputs: crate::Switches::EMPTY,
            },
            odometer: None,
            more: More::NOTHING,
        }
    }

    /// Notes the device's time, and uses it for ordering.
    ///
    /// A time that the device's clock cannot have had is not used
    /// ([`Timestamp::is_plausible_device_time`]): `time` stays the arrival. What was sent is in
    /// `raw_time`.
    #[inline]
    pub const fn set_device_time(&mut self, time: Timestamp, source: TimeSource, zone: Zone) {
        if !time.is_plausible_device_time(self.received_at) {
            return;
        }
        self.device_time = Some(time);
        self.time = time;
        self.time_source = source;
        self.zone = Some(zone);
    }

    /// The vehicle group, made if it is not there yet.
    pub fn vehicle_mut(&mut self) -> &mut Vehicle {
        self.more.vehicle.get_or_insert_default()
    }

    /// The identity group, made if it is not there yet.
    pub fn identity_mut(&mut self) -> &mut Identity {
        self.more.identity.get_or_insert_default()
    }
}

/// A decoder's names: the protocol and `protocol/version`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoder {
    protocol: Name,
    name: Name,
}

impl Decoder {
    /// Names a decoder, for example `Decoder::new("gt06", "gt06/0.1.0")`.
    pub const fn new(protocol: &'static str, name: &'static str) -> Self {
        Self {
            protocol: Name::new(protocol),
            name: Name::new(name),
        }
    }

    /// The protocol.
    pub const fn protocol(self) -> Name {
        self.protocol
    }

    /// Protocol and version.
    pub const fn name(self) -> Name {
        self.name
    }
}

#[derive(Serialize)]
struct Written<'a> {
    schema: u32,
    decoder: Name,
    id: ReportId,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<DeviceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a Tenant>,
    protocol: Name,
    #[serde(skip_serializing_if = "Option::is_none")]
    dialect: Option<Name>,
    kind: Kind,
    checksum: Checksum,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u32>,
    received_at: Timestamp,
    time: Timestamp,
    time_source: TimeSource,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_time: Option<RawTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<Zone>,
    #[serde(skip_serializing_if = "Option::is_none")]
    late: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<&'a Fix>,
    #[serde(skip_serializing_if = "Option::is_none")]
    smoothed: Option<&'a Smoothed>,
    #[serde(skip_serializing_if = "Power::is_empty")]
    power: &'a Power,
    #[serde(skip_serializing_if = "network::Written::is_empty")]
    network: network::Written<'a>,
    #[serde(skip_serializing_if = "Io::is_empty")]
    io: &'a Io,
    #[serde(skip_serializing_if = "Option::is_none")]
    vehicle: Option<&'a Vehicle>,
    #[serde(skip_serializing_if = "Option::is_none")]
    odometer_m: Option<Odometer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<&'a Identity>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    events: &'a [Event],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    signals: &'a [Signal],
    #[serde(skip_serializing_if = "Option::is_none")]
    diagnostics: Option<&'a Diagnostics>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address_claim: Option<&'a AddressClaim>,
    #[serde(skip_serializing_if = "Option::is_none")]
    media: Option<&'a Media>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<Hex<'a>>,
}

#[derive(Deserialize)]
struct Read {
    schema: u32,
    decoder: Name,
    id: ReportId,
    device: Option<DeviceId>,
    tenant: Option<Tenant>,
    protocol: Name,
    dialect: Option<Name>,
    kind: Kind,
    checksum: Checksum,
    sequence: Option<u32>,
    received_at: Timestamp,
    time: Timestamp,
    time_source: TimeSource,
    device_time: Option<Timestamp>,
    raw_time: Option<RawTime>,
    zone: Option<Zone>,
    late: Option<bool>,
    fix: Option<Fix>,
    smoothed: Option<Smoothed>,
    #[serde(default)]
    power: Power,
    #[serde(default)]
    network: network::Read,
    #[serde(default)]
    io: Io,
    vehicle: Option<Vehicle>,
    odometer_m: Option<Odometer>,
    identity: Option<Identity>,
    #[serde(default)]
    events: Vec<Event>,
    #[serde(default)]
    signals: Vec<Signal>,
    diagnostics: Option<Box<Diagnostics>>,
    address_claim: Option<Box<AddressClaim>>,
    media: Option<Media>,
    reply_to: Option<u32>,
    text: Option<Box<str>>,
    raw: Option<String>,
}

struct Hex<'a>(&'a [u8]);

impl Serialize for Hex<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&hex::encode(self.0))
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        Written {
            schema: SCHEMA_VERSION,
            decoder: self.decoder,
            id: self.id,
            device: self.device,
            tenant: self.tenant.as_ref(),
            protocol: self.protocol,
            dialect: self.dialect,
            kind: self.kind,
            checksum: self.checksum,
            sequence: self.sequence,
            received_at: self.received_at,
            time: self.time,
            time_source: self.time_source,
            device_time: self.device_time,
            raw_time: self.raw_time,
            zone: self.zone,
            late: self.late,
            fix: self.fix.as_ref(),
            smoothed: self.smoothed.as_ref(),
            power: &self.power,
            network: network::Written(self),
            io: &self.io,
            vehicle: self.more.vehicle.as_ref(),
            odometer_m: self.odometer,
            identity: self.more.identity.as_ref(),
            events: &self.more.events,
            signals: &self.more.signals,
            diagnostics: self.more.diagnostics.as_deref(),
            address_claim: self.more.address_claim.as_deref(),
            media: self.more.media.as_ref(),
            reply_to: self.more.reply_to,
            text: self.more.text.as_deref(),
            raw: self.more.raw.as_deref().map(Hex),
        }
        .serialize(s)
    }
}

impl<'de> Deserialize<'de> for Report {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let r = Read::deserialize(d)?;
        if r.schema != SCHEMA_VERSION {
            return Err(de::Error::custom(format_args!(
                "report of schema {}; this version reads {SCHEMA_VERSION}",
                r.schema
            )));
        }
        let (network, rare) = r.network.split();
        Ok(Self {
            id: r.id,
            decoder: r.decoder,
            protocol: r.protocol,
            dialect: r.dialect,
            tenant: r.tenant,
            device: r.device,
            kind: r.kind,
            checksum: r.checksum,
            sequence: r.sequence,
            received_at: r.received_at,
            time: r.time,
            time_source: r.time_source,
            device_time: r.device_time,
            raw_time: r.raw_time,
            zone: r.zone,
            late: r.late,
            fix: r.fix,
            smoothed: r.smoothed,
            power: r.power,
            network,
            io: r.io,
            odometer: r.odometer_m,
            more: More::from(Rare {
                vehicle: r.vehicle,
                identity: r.identity,
                events: r.events,
                signals: r.signals,
                diagnostics: r.diagnostics,
                address_claim: r.address_claim,
                media: r.media,
                reply_to: r.reply_to,
                text: r.text,
                raw: r
                    .raw
                    .map(hex::decode)
                    .transpose()
                    .map_err(de::Error::custom)?
                    .map(Vec::into),
                ..rare
            }),
        })
    }
}
