//! What a session may know during a call, and what it may ask for.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Instant;

use bytes::Bytes;
use milepost_telemetry::{DeviceId, DeviceKey, Name, Origin, Profile, Report, Timestamp};

/// The surroundings of one call into a session, and what the session asks for. The framework
/// carries it out after the call returns.
#[derive(Debug)]
pub struct Context<'a> {
    now: Timestamp,
    instant: Instant,
    peer: Option<SocketAddr>,
    origin: Origin,
    device: Option<&'a DeviceKey>,
    pub(crate) actions: &'a mut Actions,
}

/// What a session asked for during one call.
#[derive(Debug, Default)]
pub(crate) struct Actions {
    pub(crate) identify: Option<DeviceId>,
    pub(crate) learn: Option<Profile>,
    pub(crate) reports: Vec<Report>,
    pub(crate) filtered: Option<Name>,
    pub(crate) replies: Vec<Bytes>,
    pub(crate) replies_when_delivered: Vec<Bytes>,
    pub(crate) close: Option<&'static str>,
    pub(crate) keep: Option<Bytes>,
    pub(crate) hold: bool,
    pub(crate) covers: Covers,
}

/// Which of the held frames an envelope covers.
#[derive(Debug, Default)]
pub(crate) enum Covers {
    #[default]
    None,
    Ranges(Vec<RangeInclusive<u64>>),
    All,
}

impl Covers {
    pub(crate) fn includes(&self, frame: u64) -> bool {
        match self {
            Self::None => false,
            Self::Ranges(ranges) => ranges.iter().any(|range| range.contains(&frame)),
            Self::All => true,
        }
    }
}

impl<'a> Context<'a> {
    pub(crate) const fn new(
        now: Timestamp,
        instant: Instant,
        peer: Option<SocketAddr>,
        origin: Origin,
        device: Option<&'a DeviceKey>,
        actions: &'a mut Actions,
    ) -> Self {
        Self {
            now,
            instant,
            peer,
            origin,
            device,
            actions,
        }
    }

    /// When the frame arrived; in calls without a frame, the time now.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// The time now on a clock that never goes back: what
    /// [`Session::wake_at`](crate::Session::wake_at) is reckoned from.
    pub const fn instant(&self) -> Instant {
        self.instant
    }

    /// The peer's address, on a network.
    pub const fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Where the frame stands: the key of facts that carry no time of their own. In calls without
    /// a frame: the last frame.
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
        self.actions.identify = Some(id);
    }

    /// Keeps what was learned about the device; it also travels with the frames after this one.
    pub fn learn(&mut self, profile: Profile) {
        self.actions.learn = Some(profile);
    }

    /// Hands on what the frame reports.
    pub fn emit(&mut self, report: Report) {
        self.reports().push(report);
    }

    /// What was handed on so far: more can be made in place.
    pub fn reports(&mut self) -> &mut Vec<Report> {
        let reports = &mut self.actions.reports;
        if reports.capacity() == 0 {
            // Nearly all frames make one. Many may wait for a slow store.
            reports.reserve_exact(1);
        }
        reports
    }

    /// The frame was understood and holds nothing to store; why.
    pub fn filter(&mut self, reason: &'static str) {
        self.actions.filtered = Some(Name::new(reason));
    }

    /// Holds the frame for a later envelope: it is received and counted, and takes memory, but is
    /// not in flight. What is given to [`reply_when_delivered`](Self::reply_when_delivered) with
    /// it leaves when the envelope that covers it is durable.
    ///
    /// A frame may be held while an envelope covers earlier ones
    /// ([`cover_held`](Self::cover_held)).
    pub fn hold(&mut self) {
        self.actions.hold = true;
    }

    /// The envelope of this call also covers the held frames with these numbers
    /// ([`Origin::frame`](milepost_telemetry::Origin)). Can be called for several ranges; numbers
    /// of frames that are not held are passed over.
    pub fn cover_held(&mut self, frames: RangeInclusive<u64>) {
        match &mut self.actions.covers {
            Covers::All => {}
            Covers::Ranges(ranges) => ranges.push(frames),
            none => *none = Covers::Ranges(vec![frames]),
        }
    }

    /// The envelope of this call also covers all frames that are held.
    pub fn cover_all_held(&mut self) {
        self.actions.covers = Covers::All;
    }

    /// The bytes that are kept with the reports of this call, instead of those of the frames that
    /// they cover: for a session that merges so many frames that an excerpt has to do. What is
    /// set aside in quarantine keeps the frames' own bytes.
    pub fn keep(&mut self, raw: Bytes) {
        self.actions.keep = Some(raw);
    }

    /// Answers at once, even while nothing can be stored: logins, heartbeats, the time.
    pub fn reply(&mut self, bytes: Bytes) {
        self.actions.replies.push(bytes);
    }

    /// Answers when this frame's reports are durable; never if they will not be. Such answers
    /// leave in the order of their envelopes and do not hold up the others.
    pub fn reply_when_delivered(&mut self, bytes: Bytes) {
        self.actions.replies_when_delivered.push(bytes);
    }

    /// Closes the connection after the replies given so far; why.
    pub fn close(&mut self, reason: &'static str) {
        self.actions.close = Some(reason);
    }
}
