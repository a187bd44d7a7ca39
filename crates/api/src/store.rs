//! What the handlers read from and write to: traits that an application implements over its
//! stores, and the values that pass through them.

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;

use futures_util::stream::BoxStream;
use milepost_pipeline::Latest;
use milepost_telemetry::{DeviceId, DeviceKey, Report, Tenant, Timestamp};
use serde::{Deserialize, Serialize};

/// A read or write under way.
pub type Answer<'a, T, E = StoreError> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'a>>;

/// Why a store did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The cursor is not one that the store gave for this list.
    #[error("the cursor is not one of this list")]
    Cursor,
    /// The store cannot be read or written now; the text says why, for the log.
    #[error("{0}")]
    Unavailable(String),
}

/// The reports of each device, in the order of their times.
pub trait History: Send + Sync {
    /// A page of a device's reports; empty if the device is unknown.
    ///
    /// # Errors
    /// If the cursor is not the store's, or it cannot be read.
    fn history(&self, device: &DeviceKey, span: &Span, page: &Page) -> Answer<'_, Paged<Report>>;
}

/// The trips and stops of each device.
pub trait Trips: Send + Sync {
    /// A page of a device's trips and stops that overlap a span, the earliest first; empty if the
    /// device is unknown.
    ///
    /// # Errors
    /// If the cursor is not the store's, or it cannot be read.
    fn trips(&self, device: &DeviceKey, span: &Span, page: &Page) -> Answer<'_, Paged<Trip>>;
}

/// The last known state of each device.
pub trait LastKnown: Send + Sync {
    /// A page of a tenant's devices, by id.
    ///
    /// # Errors
    /// If the cursor is not the store's, or it cannot be read.
    fn devices(&self, tenant: &Tenant, page: &Page) -> Answer<'_, Paged<Device>>;

    /// One device; `None` if it has never reported.
    ///
    /// # Errors
    /// If it cannot be read.
    fn device(&self, device: &DeviceKey) -> Answer<'_, Option<Device>>;
}

/// Frames that could not be decoded, with their bytes.
pub trait Quarantine: Send + Sync {
    /// A page of frames, the newest first.
    ///
    /// # Errors
    /// If the cursor is not the store's, or it cannot be read.
    fn quarantine(&self, page: &Page) -> Answer<'_, Paged<QuarantinedFrame>>;
}

/// Commands to devices.
pub trait Commands: Send + Sync {
    /// Whether a protocol can carry this text; else what it must be, as the rest of a sentence
    /// ("must be …").
    ///
    /// # Errors
    /// What is wrong with the text.
    fn check(&self, text: &str) -> Result<(), String>;

    /// Whether a command to the device could be sent now.
    fn is_reachable(&self, device: &DeviceKey) -> bool;

    /// Keeps a command, durably, and has it sent when its device can take it.
    ///
    /// # Errors
    /// If too many wait for the device, or it could not be stored.
    fn queue(
        &self,
        device: &DeviceKey,
        text: &str,
        expires_at: Timestamp,
    ) -> Answer<'_, Command, NotQueued>;

    /// Takes back a command that still waits. Whether it did.
    ///
    /// # Errors
    /// If it could not be stored.
    fn withdraw(&self, id: u32) -> Answer<'_, bool>;

    /// One command, of any device.
    ///
    /// # Errors
    /// If it cannot be read.
    fn command(&self, id: u32) -> Answer<'_, Option<Command>>;

    /// A page of a device's commands, the newest first.
    ///
    /// # Errors
    /// If the cursor is not the store's, or it cannot be read.
    fn commands(&self, device: &DeviceKey, page: &Page) -> Answer<'_, Paged<Command>>;

    /// What happens to commands from now on.
    fn changes(&self) -> BoxStream<'static, CommandChange>;
}

/// Which devices are connected.
pub trait Connections: Send + Sync {
    /// Whether the device has a connection.
    fn is_connected(&self, device: &DeviceKey) -> bool;
}

/// What must work before the application is ready.
pub trait Readiness: Send + Sync {
    /// The parts that are not ready, each with the reason; empty if all are.
    fn not_ready(&self) -> Vec<Part>;

    /// What works, but otherwise than usual; `/readyz` says so.
    fn notes(&self) -> Vec<Part> {
        Vec::new()
    }
}

/// A part of the application that is not ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Its name.
    pub part: &'static str,
    /// Why.
    pub reason: String,
}

/// A device and its last known state.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// Tenant and device.
    pub key: DeviceKey,
    /// Its last known state.
    pub latest: Latest,
}

/// A frame in quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantinedFrame {
    /// When it arrived.
    pub received_at: Timestamp,
    /// The network address that sent it.
    pub peer: Option<String>,
    /// The protocol of the listener that received it.
    pub protocol: String,
    /// The device, if it had logged in.
    pub device: Option<String>,
    /// The frame's bytes, in hex.
    pub raw: String,
    /// The field that could not be decoded.
    pub field: Option<String>,
    /// The byte at which that field starts.
    pub offset: Option<u32>,
    /// What is wrong.
    pub error: String,
}

/// A trip or a stop.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trip {
    /// From the device and the start: the same as long as it starts there.
    pub id: String,
    /// What it is.
    pub kind: TripKind,
    /// Its start.
    pub from: Timestamp,
    /// Its end; absent while it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
    /// Where it started.
    pub start: Place,
    /// Where it ended, or the vehicle is now.
    pub end: Place,
    /// Length of the smoothed path.
    pub distance_m: f64,
    /// Distance by odometer or CAN, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub odometer_m: Option<f64>,
    /// Highest smoothed speed.
    pub max_speed_kmh: f64,
    /// Standing with the ignition on, seconds.
    pub idle_s: f64,
    /// How often late data has changed it.
    pub revision: u32,
}

/// Moving or standing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TripKind {
    /// Moving.
    Trip,
    /// Standing, or moving less than a trip.
    Stop,
}

/// A place on the earth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Place {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
}

/// Which part of a history is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// From this time on; from the beginning if absent.
    pub from: Option<Timestamp>,
    /// Up to, and not including, this time; to the end if absent.
    pub to: Option<Timestamp>,
    /// Whether the reports carry their frame's bytes.
    pub raw: bool,
}

/// How much of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The most items.
    pub limit: u32,
    /// Where the page before ended; absent for the first page.
    pub after: Option<Cursor>,
}

/// A page of a list, and where the next one starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paged<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page starts; absent on the last one.
    pub next: Option<Cursor>,
}

/// Where a page ended: the store's own text, opaque to clients and to this crate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(String);

impl Cursor {
    /// Wraps the store's text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The store's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The state of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandState {
    /// It waits for its device.
    Queued,
    /// It was given to the device's connection.
    Sent,
    /// The device has answered.
    Answered,
    /// The device has answered that it will not, or the command can never be sent.
    Refused,
    /// Its time ran out before an answer came.
    Expired,
    /// It was taken back before it was sent.
    Withdrawn,
}

impl CommandState {
    /// Whether the command still waits for something.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::Sent)
    }
}

impl fmt::Display for CommandState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
        })
    }
}

/// What happened to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandChange {
    /// This command has this state now.
    Changed(u32, CommandState),
    /// Changes were missed: ask for the commands that matter.
    Missed,
}

/// A command and its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Command {
    /// Its number, unique in the store.
    pub id: u32,
    /// The tenant of its device.
    pub tenant: Tenant,
    /// The device that it is for.
    pub device: DeviceId,
    /// The command, in the device's own words.
    pub text: String,
    /// Its state.
    pub status: CommandState,
    /// When it was asked for.
    pub queued_at: Timestamp,
    /// Until when it may be sent and answered.
    pub expires_at: Timestamp,
    /// When it was sent; at most once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
    /// When it was answered, refused, withdrawn or expired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<Timestamp>,
    /// The device's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// The outcome that the answer reports, if its decoder knows: `success`, `deferred` or
    /// `refused`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Why it could never be sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// An answer that did not come from where the command was sent: it settles nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unconfirmed: Option<UnconfirmedAnswer>,
    /// Why it waits though its device seems to be connected: these peers claim the device from
    /// several networks, none of which has precedence. Empty otherwise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contested: Vec<SocketAddr>,
}

/// An answer from a connection and network that was not sent the command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnconfirmedAnswer {
    /// What it says.
    pub text: String,
    /// Where it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// When it arrived.
    pub received_at: Timestamp,
}

/// Why a command was not queued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotQueued {
    /// As many as may wait for one device do so already.
    #[error("{0} commands wait for the device already")]
    TooMany(u32),
    /// It could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}
