//! Passive reassembly of multi-packet messages: BAM, RTS/CTS and the extended transport protocol.
//!
//! The [`Reassembler`] only listens. A session is keyed by source and destination; the group is a
//! property of the session. Packets are placed by their number. A message is delivered once, as
//! soon as all its packets are there, and never otherwise.
//!
//! # What ends a session without a message
//!
//! | what happens | why |
//! |---|---|
//! | size below 9, above 1785, or another number of packets than the size takes | the announcement is refused |
//! | another announcement between the same two | the first one is incomplete |
//! | abort from either side; acknowledgement of the end while packets are missing | stated by the bus |
//! | no packet for 750 ms (BAM) or 1.5 s (addressed) | T1, and T2/T3 with tolerance |
//! | a packet number that goes back without a request for it, or repeats with other bytes (BAM) | an announcement was lost: the packets are of two messages |
//! | a gap above 150 ms that is more than three times the shortest within a BAM | as before: the packets between were lost together with an announcement |
//! | a gap above 200 ms (Tr) between packets of an addressed message, without a request to wait or to start again | the same |
//! | too many sessions, or too many bytes | the least recently used one is evicted |
//!
//! CTS frames of real responders are often wrong. They do not steer the session; they only allow
//! a packet number to go back, and only if they ask for exactly that number. If frames were lost
//! before the first packet (no CTS, or a gap above 200 ms), the message is delivered when the
//! acknowledgement of its end states the announced size.
//!
//! # Time
//!
//! With the carrier's own stamps, packets that arrive in the wrong order within 10 ms are sorted
//! by their stamps, also across the next announcement. Without stamps (`estimated`), gaps say
//! nothing, since gateways forward frames in batches: then a session ends after 5 s without a
//! packet, and the loss of a whole run of frames that contains an announcement can go unnoticed
//! if the packet numbers happen to continue.
//!
//! # Memory
//!
//! At most [`Limits::bytes`] of payload and bookkeeping, and [`Limits::sessions`] sessions.
//!
//! Source: SAE J1939-21, section 5.10; ISO 11783-3 for the extended form.

mod session;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::fmt;

use crate::can::CanTime;
use crate::id::{GLOBAL, J1939Id, Pgn};
use session::{Kind, Placed, Session};

/// When a frame was on the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The time.
    pub at: CanTime,
    /// The carrier sent no stamp: the time is the arrival's.
    pub estimated: bool,
}

impl Stamp {
    /// A stamp that the carrier sent.
    #[must_use]
    pub const fn exact(at: CanTime) -> Self {
        Self {
            at,
            estimated: false,
        }
    }

    /// The arrival's time, where the carrier sends none.
    #[must_use]
    pub const fn estimated(at: CanTime) -> Self {
        Self {
            at,
            estimated: true,
        }
    }
}

/// Bounds of a [`Reassembler`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Open sessions.
    pub sessions: usize,
    /// Bytes held by all open sessions.
    pub bytes: usize,
    /// The largest message of the extended protocol that is reassembled, in bytes.
    pub extended_len: u32,
}

impl Default for Limits {
    /// 64 sessions, 256 KiB, extended messages up to 128 KiB.
    fn default() -> Self {
        Self {
            sessions: 64,
            bytes: 256 * 1024,
            extended_len: 128 * 1024,
        }
    }
}

/// A message that was put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Priority of the announcement.
    pub priority: u8,
    /// The group.
    pub pgn: Pgn,
    /// Who sent it.
    pub source: u8,
    /// To whom; 255 for a broadcast.
    pub destination: u8,
    /// The payload, cut to the announced size.
    pub data: Vec<u8>,
}

/// A session that ended without a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// The group.
    pub pgn: Pgn,
    /// Who announced it.
    pub source: u8,
    /// To whom.
    pub destination: u8,
    /// Why it ended.
    pub reason: Reason,
}

/// Why a session ended without a message, or was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The announcement contradicts itself or the standard.
    Refused {
        /// Announced bytes.
        size: u32,
        /// Announced packets; what the size takes, for the extended protocol.
        packets: u32,
    },
    /// The message is larger than [`Limits::extended_len`].
    TooLarge {
        /// Announced bytes.
        size: u32,
    },
    /// Another announcement came before the message was complete.
    Replaced,
    /// One of the two aborted.
    Aborted {
        /// The reason code of the abort.
        code: u8,
        /// Whether the sender of the message aborted; else its receiver.
        by_sender: bool,
    },
    /// No packet came for too long.
    TimedOut,
    /// The packets belong to different messages.
    Contradiction,
    /// The receiver acknowledged the end, but packets were lost on the way to this listener.
    Incomplete,
    /// Dropped for the sake of newer sessions.
    Evicted,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pgn,
            source,
            destination,
            reason,
        } = self;
        write!(
            f,
            "multi-packet message {pgn} from {source} to {destination} "
        )?;
        match reason {
            Reason::Refused { size, packets } => {
                write!(f, "refused: {size} bytes in {packets} packets")
            }
            Reason::TooLarge { size } => write!(f, "refused: {size} bytes are above the limit"),
            Reason::Replaced => f.write_str("incomplete: replaced by the next announcement"),
            Reason::Aborted { code, by_sender } => {
                let who = if *by_sender { "sender" } else { "receiver" };
                write!(f, "aborted by the {who}, reason {code}")?;
                abort_reason(*code).map_or(Ok(()), |text| write!(f, " ({text})"))
            }
            Reason::TimedOut => f.write_str("incomplete: timed out"),
            Reason::Contradiction => f.write_str("dropped: packets of different messages"),
            Reason::Incomplete => f.write_str("incomplete: packets were lost"),
            Reason::Evicted => f.write_str("dropped: too many open sessions"),
        }
    }
}

/// What the reason code of an abort means.
#[must_use]
pub const fn abort_reason(code: u8) -> Option<&'static str> {
    Some(match code {
        1 => "already in a session",
        2 => "resources needed elsewhere",
        3 => "timeout",
        4 => "CTS while data are being transferred",
        5 => "retransmission limit reached",
        6 => "unexpected data packet",
        7 => "bad sequence number",
        8 => "duplicate sequence number",
        9 => "size over 1785",
        250 => "other",
        _ => return None,
    })
}

/// What a frame led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A message is complete.
    Message(Message),
    /// A session ended without a message.
    Failure(Failure),
}

/// Control byte of connection management.
pub(crate) mod control {
    pub(crate) const RTS: u8 = 16;
    pub(crate) const CTS: u8 = 17;
    pub(crate) const END: u8 = 19;
    pub(crate) const EXTENDED_RTS: u8 = 20;
    pub(crate) const EXTENDED_CTS: u8 = 21;
    pub(crate) const EXTENDED_DPO: u8 = 22;
    pub(crate) const EXTENDED_END: u8 = 23;
    pub(crate) const BAM: u8 = 32;
    pub(crate) const ABORT: u8 = 255;
}

/// Source, destination, and whether it is the extended protocol.
type Key = (u8, u8, bool);

struct Slot {
    current: Session,
    /// The session that `current` replaced less than [`REORDER_MICROS`] ago: its last packet may
    /// still arrive, with an earlier stamp.
    previous: Option<Box<Session>>,
}

/// Frames with stamps are sorted within this time.
const REORDER_MICROS: u64 = 10_000;
/// How often sessions are searched for those that timed out.
const SWEEP_MICROS: u64 = 100_000;

/// Puts multi-packet messages of one bus together. See the [module](self) for the rules.
pub struct Reassembler {
    limits: Limits,
    slots: BTreeMap<Key, Slot>,
    bytes: usize,
    events: VecDeque<Event>,
    swept: CanTime,
    orphans: u64,
}

impl Default for Reassembler {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Reassembler {
    /// Nothing open yet.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            slots: BTreeMap::new(),
            bytes: 0,
            events: VecDeque::new(),
            swept: CanTime(0),
            orphans: 0,
        }
    }

    /// Takes a frame. Returns whether it is one of the transport protocols, and so consumed.
    pub fn push(&mut self, id: J1939Id, data: &[u8], stamp: Stamp) -> bool {
        self.advance(stamp);
        let extended = match id.pgn {
            Pgn::TP_CM | Pgn::TP_DT => false,
            Pgn::ETP_CM | Pgn::ETP_DT => true,
            _ => return false,
        };
        if matches!(id.pgn, Pgn::TP_DT | Pgn::ETP_DT) {
            self.packet((id.source, id.destination, extended), data, stamp);
        } else if let Some(bytes) = data.first_chunk::<8>() {
            self.manage(id, *bytes, extended, stamp);
        }
        true
    }

    /// The next result.
    pub fn poll(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Lets time pass: ends the sessions whose time is up.
    pub fn advance(&mut self, now: Stamp) {
        let since = now.at.micros_since(self.swept);
        // A clock that was set back restarts the sweep.
        if since < SWEEP_MICROS && now.at >= self.swept {
            return;
        }
        self.swept = now.at;
        let over: Vec<Key> = self
            .slots
            .iter()
            .filter(|(_, slot)| slot.current.is_over(now))
            .map(|(key, _)| *key)
            .collect();
        for key in over {
            self.close(key, Reason::TimedOut);
        }
    }

    /// Bytes held by open sessions.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Number of open sessions.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.slots.len()
    }

    /// Packets that belonged to no session.
    #[must_use]
    pub const fn orphans(&self) -> u64 {
        self.orphans
    }

    fn manage(&mut self, id: J1939Id, bytes: [u8; 8], extended: bool, stamp: Stamp) {
        let [code, b2, b3, b4, b5, p1, p2, p3] = bytes;
        let pgn = Pgn::from_le_bytes([p1, p2, p3]);
        let own = (id.source, id.destination, extended);
        let exchanged = (id.destination, id.source, extended);
        match (extended, code) {
            (false, control::RTS | control::BAM) => {
                let size = u32::from(u16::from_le_bytes([b2, b3]));
                let packets = u32::from(b4);
                let (kind, addressed_well) = if code == control::BAM {
                    (Kind::Broadcast, id.destination == GLOBAL)
                } else {
                    (Kind::Addressed, id.destination != GLOBAL)
                };
                let is_sound = (9..=1785).contains(&size) && packets == size.div_ceil(7);
                if is_sound && addressed_well {
                    self.open(own, Session::new(kind, id, pgn, size, stamp));
                } else {
                    self.fail(own, pgn, Reason::Refused { size, packets });
                }
            }
            (true, control::EXTENDED_RTS) => {
                let size = u32::from_le_bytes([b2, b3, b4, b5]);
                let packets = size.div_ceil(7);
                if size > self.limits.extended_len && size <= 117_440_505 {
                    self.fail(own, pgn, Reason::TooLarge { size });
                } else if (1786..=117_440_505).contains(&size) && id.destination != GLOBAL {
                    self.open(own, Session::new(Kind::Extended, id, pgn, size, stamp));
                } else {
                    self.fail(own, pgn, Reason::Refused { size, packets });
                }
            }
            (false, control::CTS) => {
                let outcome = self
                    .slots
                    .get_mut(&exchanged)
                    .map(|slot| slot.current.asked(pgn, u32::from(b3), u32::from(b2), stamp));
                if outcome == Some(false) {
                    self.close(exchanged, Reason::Contradiction);
                }
            }
            (true, control::EXTENDED_CTS) => {
                if let Some(slot) = self.slots.get_mut(&exchanged) {
                    slot.current.touch(stamp);
                }
            }
            (true, control::EXTENDED_DPO) => {
                let offset = u32::from_le_bytes([b3, b4, b5, 0]);
                let outcome = self
                    .slots
                    .get_mut(&own)
                    .map(|slot| slot.current.offset(pgn, offset, u32::from(b2), stamp));
                if outcome == Some(false) {
                    self.close(own, Reason::Contradiction);
                }
            }
            (false, control::END) => {
                let size = u32::from(u16::from_le_bytes([b2, b3]));
                self.end(exchanged, pgn, size);
            }
            (true, control::EXTENDED_END) => {
                self.end(exchanged, pgn, u32::from_le_bytes([b2, b3, b4, b5]));
            }
            (_, control::ABORT) => {
                for (key, by_sender) in [(own, true), (exchanged, false)] {
                    if self.slots.get(&key).is_some_and(|s| s.current.pgn == pgn) {
                        let code = b2;
                        self.close(key, Reason::Aborted { code, by_sender });
                        break;
                    }
                }
            }
            _ => {}
        }
    }

    fn packet(&mut self, key: Key, data: &[u8], stamp: Stamp) {
        let Some((&number, payload)) = data.split_first() else {
            return;
        };
        let Some(slot) = self.slots.get_mut(&key) else {
            self.orphans = self.orphans.saturating_add(1);
            return;
        };
        if !stamp.estimated && stamp.at < slot.current.opened.at {
            // From before the announcement: of the session before, if of any.
            let complete = slot.previous.as_mut().is_some_and(|previous| {
                matches!(previous.place(number, payload, stamp), Placed::Complete)
            });
            if complete && let Some(previous) = slot.previous.take() {
                self.bytes = self.bytes.saturating_sub(previous.footprint());
                self.events
                    .push_back(Event::Message(previous.into_message()));
            }
            return;
        }
        if let Some(previous) = slot.previous.take() {
            self.bytes = self.bytes.saturating_sub(previous.footprint());
            let failure = previous.failure(Reason::Replaced);
            self.events.push_back(Event::Failure(failure));
        }
        match slot.current.place(number, payload, stamp) {
            Placed::Stored | Placed::Ignored => {}
            Placed::Contradiction => self.close(key, Reason::Contradiction),
            Placed::Complete => {
                if let Some(slot) = self.slots.remove(&key) {
                    self.bytes = self.bytes.saturating_sub(slot.current.footprint());
                    self.events
                        .push_back(Event::Message(slot.current.into_message()));
                }
            }
        }
    }

    fn open(&mut self, key: Key, session: Session) {
        let stamp = session.opened;
        let mut previous = None;
        if let Some(slot) = self.slots.remove(&key) {
            self.bytes = self.bytes.saturating_sub(slot.footprint());
            if let Some(older) = slot.previous {
                self.events
                    .push_back(Event::Failure(older.failure(Reason::Replaced)));
            }
            if !stamp.estimated && !slot.current.last.estimated {
                previous = Some(Box::new(slot.current));
            } else {
                let failure = slot.current.failure(Reason::Replaced);
                self.events.push_back(Event::Failure(failure));
            }
        }
        let slot = Slot {
            current: session,
            previous,
        };
        let needed = slot.footprint();
        while !self.slots.is_empty()
            && (self.slots.len() >= self.limits.sessions
                || self.bytes.saturating_add(needed) > self.limits.bytes)
        {
            let oldest = self
                .slots
                .iter()
                .min_by_key(|(_, slot)| slot.current.last.at)
                .map(|(key, _)| *key);
            let Some(oldest) = oldest else { break };
            self.close(oldest, Reason::Evicted);
        }
        if self.bytes.saturating_add(needed) > self.limits.bytes || self.limits.sessions == 0 {
            let failure = slot.current.failure(Reason::Evicted);
            self.events.push_back(Event::Failure(failure));
            return;
        }
        self.bytes = self.bytes.saturating_add(needed);
        self.slots.insert(key, slot);
    }

    /// The receiver acknowledges the end of a message.
    fn end(&mut self, key: Key, pgn: Pgn, size: u32) {
        let confirmed = |slot: &Slot| slot.current.is_confirmed_by(pgn, size);
        if !self.slots.get(&key).is_some_and(confirmed) {
            self.close(key, Reason::Incomplete);
        } else if let Some(slot) = self.slots.remove(&key) {
            self.bytes = self.bytes.saturating_sub(slot.footprint());
            let message = slot.current.into_message();
            self.events.push_back(Event::Message(message));
        }
    }

    /// Ends a session, if there is one, and says why.
    fn close(&mut self, key: Key, reason: Reason) {
        if let Some(slot) = self.slots.remove(&key) {
            self.bytes = self.bytes.saturating_sub(slot.footprint());
            if let Some(previous) = slot.previous {
                let failure = previous.failure(Reason::Replaced);
                self.events.push_back(Event::Failure(failure));
            }
            self.events
                .push_back(Event::Failure(slot.current.failure(reason)));
        }
    }

    fn fail(&mut self, (source, destination, _): Key, pgn: Pgn, reason: Reason) {
        self.events.push_back(Event::Failure(Failure {
            pgn,
            source,
            destination,
            reason,
        }));
    }
}

impl Slot {
    fn footprint(&self) -> usize {
        self.previous
            .as_ref()
            .map_or(0, |previous| previous.footprint())
            .saturating_add(self.current.footprint())
    }
}

impl fmt::Debug for Reassembler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reassembler")
            .field("sessions", &self.slots.len())
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
