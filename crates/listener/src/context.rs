//! What a session may know, and what it may ask for.

use std::net::SocketAddr;

use bytes::Bytes;
use milepost_telemetry::{DeviceId, DeviceKey, Name, Origin, Profile, Report, Timestamp};

/// The surroundings of one call into a session, and the place where it leaves its wishes. The
/// framework carries them out after the call returns.
#[derive(Debug)]
pub struct Context<'a> {
    now: Timestamp,
    peer: Option<SocketAddr>,
    origin: Origin,
    device: Option<&'a DeviceKey>,
    pub(crate) wishes: &'a mut Wishes,
}

/// What a session asked for during one call.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) identify: Option<DeviceId>,
    pub(crate) learn: Option<Profile>,
    pub(crate) reports: Vec<Report>,
    pub(crate) filtered: Option<Name>,
    pub(crate) replies: Vec<Bytes>,
    pub(crate) replies_when_delivered: Vec<Bytes>,
    pub(crate) close: Option<&'static str>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        now: Timestamp,
        peer: Option<SocketAddr>,
        origin: Origin,
        device: Option<&'a DeviceKey>,
        wishes: &'a mut Wishes,
    ) -> Self {
        Self {
            now,
            peer,
            origin,
            device,
            wishes,
        }
    }

    /// When the frame arrived. The only clock a session has.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Who is on the other end, on a network.
    pub const fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Where the frame stands: the key of facts that carry no time of their own.
    pub const fn origin(&self) -> Origin {
        self.origin
    }

    /// The device, once it is identified.
    pub const fn device(&self) -> Option<&DeviceKey> {
        self.device
    }

    /// The device has named itself. The session is suspended until the registry has answered;
    /// then it goes on in `on_identified`, or the connection is closed. Only a frame that could be
    /// read can do so.
    pub fn identify(&mut self, id: DeviceId) {
        self.wishes.identify = Some(id);
    }

    /// Keeps what was learned about the device; it also travels with the frames after this one.
    pub fn learn(&mut self, profile: Profile) {
        self.wishes.learn = Some(profile);
    }

    /// Hands on what the frame said.
    pub fn emit(&mut self, report: Report) {
        self.reports().push(report);
    }

    /// What the frame said so far: more can be made in place.
    pub fn reports(&mut self) -> &mut Vec<Report> {
        let reports = &mut self.wishes.reports;
        if reports.capacity() == 0 {
            // Nearly all frames make one. Many may wait for a slow store.
            reports.reserve_exact(1);
        }
        reports
    }

    /// The frame was understood and holds nothing to store; why.
    pub fn filter(&mut self, reason: &'static str) {
        self.wishes.filtered = Some(Name::new(reason));
    }

    /// Answers at once, even while nothing can be stored: logins, heartbeats, the time.
    pub fn reply(&mut self, bytes: Bytes) {
        self.wishes.replies.push(bytes);
    }

    /// Answers when this frame's reports are durable; never if they will not be. Such answers
    /// leave in the order of their frames and do not hold up the others.
    pub fn reply_when_delivered(&mut self, bytes: Bytes) {
        self.wishes.replies_when_delivered.push(bytes);
    }

    /// Closes the connection after the replies given so far; why.
    pub fn close(&mut self, reason: &'static str) {
        self.wishes.close = Some(reason);
    }
}
