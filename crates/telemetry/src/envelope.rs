//! One frame on its way from the listener to the stores.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::{DeviceKey, Name, Origin, Profile, Report, Timestamp};

/// One frame with everything that came of it.
///
/// It is the unit that is delivered, counted and acknowledged: each envelope ends in exactly one
/// bucket (stored, duplicate, filtered, quarantined).
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// Where it arrived.
    pub origin: Origin,
    /// When it arrived.
    pub received_at: Timestamp,
    /// Who sent it, on the network.
    pub peer: Option<SocketAddr>,
    /// The protocol that it was read by.
    pub protocol: Name,
    /// The device, once it has logged in.
    pub device: Option<DeviceKey>,
    /// What was known about the device when the frame was decoded.
    pub profile: Option<Profile>,
    /// The frame's bytes.
    pub raw: Bytes,
    /// What came of it.
    pub content: Content,
}

/// What came of a frame.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// It was read; at least one report.
    Reports(Vec<Report>),
    /// It was understood and holds nothing to store; why.
    Filtered(Name),
    /// It could not be read, or may not be stored as data: it is kept with its bytes.
    Quarantined(Quarantine),
}

/// Why a frame is set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantine {
    /// The field that could not be read.
    pub field: Option<Name>,
    /// The byte of the frame at which that field starts.
    pub offset: Option<u32>,
    /// What is wrong, for people.
    pub message: Box<str>,
}

impl Quarantine {
    /// A reason that is not about a field.
    pub fn new(message: impl Into<Box<str>>) -> Self {
        Self {
            field: None,
            offset: None,
            message: message.into(),
        }
    }
}
