//! One session: which packets are there, and which further packet can belong to it.

use alloc::vec;
use alloc::vec::Vec;

use super::{Failure, Message, REORDER_MICROS, Reason, Stamp};
use crate::id::{J1939Id, Pgn};

/// Payload bytes of a packet.
const PACKET: u32 = 7;
/// T1: the longest gap between packets of a broadcast.
const BROADCAST_MICROS: u64 = 750_000;
/// T2 and T3 (1250 ms) with tolerance: real senders abort a moment after they expire.
const ADDRESSED_MICROS: u64 = 1_500_000;
/// Instead of all of these, where times are estimated.
const ESTIMATED_MICROS: u64 = 5_000_000;
/// A gap up to this length never ends a broadcast. (Senders keep 50 ms; a loss that contains an
/// announcement makes a gap of at least four times that.)
const SPACING_FLOOR_MICROS: u64 = 150_000;
/// Tr: the time that a party of an addressed session has to answer. A longer gap may contain the
/// end of one message and the announcement of the next.
const ANSWER_MICROS: u64 = 200_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Broadcast,
    Addressed,
    Extended,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Placed {
    Stored,
    Ignored,
    Complete,
    Contradiction,
}

pub(super) struct Session {
    kind: Kind,
    priority: u8,
    pub(super) pgn: Pgn,
    source: u8,
    destination: u8,
    packets: u32,
    data: Vec<u8>,
    seen: Vec<u64>,
    missing: u32,
    pub(super) opened: Stamp,
    pub(super) last: Stamp,
    /// The highest packet number so far, and its stamp.
    highest: u32,
    highest_at: Stamp,
    /// The packet that came last.
    latest: u32,
    /// The shortest and the longest gap of a broadcast so far, in microseconds.
    spacing: (u64, u64),
    /// A request (CTS) was seen.
    heard_request: bool,
    /// The last frame was a request to wait.
    held: bool,
    /// A gap longer than [`ANSWER_MICROS`], not yet explained by a request to start again.
    paused: bool,
    /// Frames were lost before the first packet: only the acknowledgement of the end, with the
    /// announced size, shows that the packets belong to the announcement.
    unconfirmed: bool,
    /// A request that this message cannot satisfy: it was for another one.
    doomed: bool,
    /// The last request (CTS) or offset (DPO) that no packet has followed yet: first number and
    /// count.
    asked: Option<(u32, u32)>,
    /// The highest first number of a request so far: a receiver never goes back behind it.
    asked_highest: u32,
    /// The highest packet that was asked for.
    granted: u32,
    /// A packet came that nobody asked for: a request was lost.
    lost_request: bool,
    /// A retransmission that goes on: next and last number.
    resent: Option<(u32, u32)>,
    /// Added to packet numbers (extended protocol); `None` before the first DPO.
    offset: Option<u32>,
    /// Packets that the last DPO announced.
    window: u32,
}

impl Session {
    /// `size` has been checked.
    pub(super) fn new(kind: Kind, id: J1939Id, pgn: Pgn, size: u32, stamp: Stamp) -> Self {
        let packets = size.div_ceil(PACKET);
        let bytes = usize::try_from(size).unwrap_or(0);
        let words = usize::try_from(packets.div_ceil(64)).unwrap_or(0);
        Self {
            kind,
            priority: id.priority,
            pgn,
            source: id.source,
            destination: id.destination,
            packets,
            data: vec![0; bytes],
            seen: vec![0; words],
            missing: packets,
            opened: stamp,
            last: stamp,
            highest: 0,
            highest_at: stamp,
            latest: 0,
            spacing: (u64::MAX, 0),
            heard_request: false,
            held: false,
            paused: false,
            unconfirmed: false,
            doomed: false,
            asked: None,
            asked_highest: 0,
            granted: 0,
            lost_request: false,
            resent: None,
            offset: (kind != Kind::Extended).then_some(0),
            window: packets,
        }
    }

    pub(super) fn footprint(&self) -> usize {
        size_of::<Self>() + self.data.len() + self.seen.len() * 8
    }

    pub(super) const fn failure(&self, reason: Reason) -> Failure {
        Failure {
            pgn: self.pgn,
            source: self.source,
            destination: self.destination,
            reason,
        }
    }

    pub(super) fn into_message(self) -> Message {
        Message {
            priority: self.priority,
            pgn: self.pgn,
            source: self.source,
            destination: self.destination,
            data: self.data,
        }
    }

    pub(super) const fn touch(&mut self, stamp: Stamp) {
        self.last = stamp;
    }

    pub(super) fn is_over(&self, now: Stamp) -> bool {
        let idle = now.at.micros_since(self.last.at);
        let limit = match self.kind {
            _ if self.last.estimated || now.estimated => ESTIMATED_MICROS,
            Kind::Broadcast => BROADCAST_MICROS,
            Kind::Addressed | Kind::Extended => ADDRESSED_MICROS,
        };
        // A clock that was set back: nothing can be said about this session any more.
        idle > limit || self.last.at.micros_since(now.at) > 1_000_000
    }

    /// The receiver asks for `count` packets from `next` on (CTS). `false` if that belongs to
    /// another message.
    pub(super) fn asked(&mut self, pgn: Pgn, next: u32, count: u32, stamp: Stamp) -> bool {
        if pgn != self.pgn {
            return false;
        }
        self.note_pause(stamp);
        self.last = stamp;
        self.heard_request = true;
        self.held = count == 0;
        if count == 0 {
            return true;
        }
        if next == 0 || next > self.packets {
            self.doomed = true;
            return true;
        }
        if self.paused && self.highest > 0 && next != 1 {
            return false;
        }
        // Some receivers always state the same number, however few packets are left.
        let last = next.saturating_add(count - 1).min(self.packets);
        let count = last + 1 - next;
        // Receivers go forward. One that starts again receives another message.
        if next < self.asked_highest {
            return false;
        }
        self.asked_highest = next;
        self.granted = self.granted.max(last);
        self.asked = Some((next, count));
        true
    }

    /// The sender announces `count` packets after `offset` (DPO). `false` if that belongs to
    /// another message.
    pub(super) fn offset(&mut self, pgn: Pgn, offset: u32, count: u32, stamp: Stamp) -> bool {
        if pgn != self.pgn || self.kind != Kind::Extended {
            return false;
        }
        self.last = stamp;
        self.offset = Some(offset);
        self.window = count;
        self.asked = Some((offset.saturating_add(1), count));
        self.granted = u32::MAX;
        true
    }

    fn has(&self, index: u32) -> bool {
        self.word(index).is_some_and(|(word, bit)| word & bit != 0)
    }

    fn word(&self, index: u32) -> Option<(u64, u64)> {
        let word = self.seen.get(usize::try_from(index / 64).ok()?)?;
        Some((*word, 1 << (index % 64)))
    }

    fn forget(&mut self, from: u32, to: u32) {
        for index in from..=to.min(self.packets.saturating_sub(1)) {
            let Ok(at) = usize::try_from(index / 64) else {
                return;
            };
            if let Some(word) = self.seen.get_mut(at) {
                let bit = 1 << (index % 64);
                if *word & bit != 0 {
                    *word &= !bit;
                    self.missing = self.missing.saturating_add(1);
                }
            }
        }
    }

    /// Places a packet by its number, if it can belong to this message.
    pub(super) fn place(&mut self, number: u8, payload: &[u8], stamp: Stamp) -> Placed {
        let Some(offset) = self.offset else {
            return Placed::Ignored;
        };
        let sequence = u32::from(number);
        let number = offset.saturating_add(sequence);
        if sequence == 0 || sequence > self.window || number > self.packets {
            return Placed::Ignored;
        }
        let index = number - 1;
        let start = usize::try_from(index * PACKET).unwrap_or(usize::MAX);
        let len = self.data.len().saturating_sub(start).min(7);
        // A frame that is too short for its place counts as lost.
        let Some(bytes) = payload.get(..len) else {
            return Placed::Ignored;
        };
        if self.doomed {
            return Placed::Ignored;
        }
        if self.kind == Kind::Broadcast && self.is_gap_too_long(stamp) {
            return Placed::Contradiction;
        }
        if self.kind == Kind::Addressed && !self.explain_pause(number, stamp) {
            return Placed::Contradiction;
        }
        let is_same = self.has(index) && self.data.get(start..start + len) == Some(bytes);
        match self.admit(number, is_same, stamp) {
            Admitted::No => return Placed::Contradiction,
            Admitted::Duplicate => return Placed::Ignored,
            Admitted::Yes => {}
        }
        self.last = stamp;
        self.latest = number;
        self.asked = None;
        if let Some(place) = self.data.get_mut(start..start + len) {
            place.copy_from_slice(bytes);
        }
        if !self.has(index) {
            let at = usize::try_from(index / 64).unwrap_or(usize::MAX);
            if let Some(word) = self.seen.get_mut(at) {
                *word |= 1 << (index % 64);
                self.missing = self.missing.saturating_sub(1);
            }
        }
        if self.missing == 0 && !self.unconfirmed {
            Placed::Complete
        } else {
            Placed::Stored
        }
    }

    fn admit(&mut self, number: u32, is_same: bool, stamp: Stamp) -> Admitted {
        let are_exact = !stamp.estimated && !self.highest_at.estimated;
        if number > self.highest {
            // By its stamp it was sent before a packet with a lower number.
            if are_exact && stamp.at < self.highest_at.at {
                return Admitted::No;
            }
            self.highest = number;
            self.highest_at = stamp;
            self.resent = None;
            if self.kind == Kind::Addressed && self.granted > 0 && number > self.granted {
                self.lost_request = true;
            }
            return Admitted::Yes;
        }
        if let Some((next, last)) = self.resent
            && number == next
        {
            self.resent = (next < last).then_some((next + 1, last));
            return Admitted::Yes;
        }
        // A retransmission starts with exactly the packet that was asked for.
        if let Some((first, count)) = self.asked
            && first == number
            && !self.lost_request
        {
            let last = number.saturating_add(count.saturating_sub(1));
            if number == 1 {
                // Everything again: nothing of before may remain.
                self.forget(0, u32::MAX);
                self.unconfirmed = true;
                self.highest = 1;
                self.highest_at = stamp;
            } else {
                self.forget(number - 1, last.saturating_sub(1));
            }
            self.resent = (number < last).then_some((number + 1, last));
            return Admitted::Yes;
        }
        let is_earlier = are_exact
            && stamp.at < self.highest_at.at
            && self.highest_at.at.micros_since(stamp.at) <= REORDER_MICROS;
        if is_earlier && !self.has(number - 1) {
            return Admitted::Yes;
        }
        if is_same && number == self.latest {
            return Admitted::Duplicate;
        }
        Admitted::No
    }

    /// Whether so much time has passed between two packets that an announcement and packets were
    /// lost there: more than three times the shortest gap, if the times are the carrier's.
    fn is_gap_too_long(&mut self, stamp: Stamp) -> bool {
        if stamp.estimated || self.last.estimated || stamp.at < self.last.at {
            return false;
        }
        let gap = stamp.at.micros_since(self.last.at);
        let (shortest, longest) = (self.spacing.0.min(gap), self.spacing.1.max(gap));
        self.spacing = (shortest, longest);
        gap > BROADCAST_MICROS
            || longest > shortest.saturating_mul(3) && longest > SPACING_FLOOR_MICROS
    }

    fn note_pause(&mut self, stamp: Stamp) {
        let are_exact = !stamp.estimated && !self.last.estimated;
        let gap = stamp.at.micros_since(self.last.at);
        if are_exact && !self.held && gap >= ANSWER_MICROS {
            self.paused = true;
        }
    }

    /// Whether a packet of an addressed session can belong to this message in spite of a pause
    /// before it.
    fn explain_pause(&mut self, number: u32, stamp: Stamp) -> bool {
        self.note_pause(stamp);
        self.held = false;
        if self.highest == 0 {
            self.unconfirmed |= self.paused || !self.heard_request;
            self.paused = false;
            return true;
        }
        let starts_again = number == 1 && self.asked.is_some_and(|(first, _)| first == 1);
        if self.paused && !starts_again {
            return false;
        }
        self.paused = false;
        true
    }

    /// Whether the acknowledgement of `size` bytes completes the message.
    pub(super) fn is_confirmed_by(&self, pgn: Pgn, size: u32) -> bool {
        self.missing == 0
            && pgn == self.pgn
            && usize::try_from(size).is_ok_and(|size| size == self.data.len())
    }
}

enum Admitted {
    Yes,
    Duplicate,
    No,
}
