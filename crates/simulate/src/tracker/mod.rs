//! One tracker: what it sends when, what it expects, what it keeps. No I/O and no clock, so that
//! its whole behaviour is tested without a network; `device.rs` connects it to one.
//!
//! ```text
//!            connected            login answered
//!  offline ───────────▶ logging in ─────────────▶ online: heartbeats, locations, alarms
//!     ▲  facts are kept      │                       │
//!     └──────────────────────┴───────────────────────┘
//!        connection lost, three questions unanswered, or an outage
//! ```
//!
//! A fact (an alarm, or a location of a device that waits for acknowledgements) is kept until it
//! is acknowledged, and sent again on the next connection, as a stored fix. A location of any
//! other device is forgotten once it was given to the network; made while offline, it is kept
//! until then.

mod fact;
mod reply;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use milepost_telemetry::DeviceId;

use self::fact::Fact;
use super::journal::Journal;
use super::key::Keys;
use super::random::Random;
use super::stats::Kind;
use super::vehicle::Vehicle;
use super::wire::{self, Condition};

/// How long a login or a heartbeat waits for its reply before it is sent again.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is sent before the connection is given up.
const TRIES: u32 = 3;
/// How many serial numbers are remembered of frames that may be answered but need not be.
const RECENT: usize = 512;

/// How trackers live. All times are the device's, which may run faster than ours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Habits {
    pub(crate) interval: Duration,
    pub(crate) heartbeat: Duration,
    /// Zero is never.
    pub(crate) alarm_every: Duration,
    /// Zero is never.
    pub(crate) outage_every: Duration,
    pub(crate) outage_for: Duration,
    pub(crate) bad: f64,
    /// How much faster than ours the device's time passes.
    pub(crate) speedup: f64,
}

/// What the tracker wants of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Nothing until then, or until something arrives.
    Wait(Duration),
    /// To hang up, and to connect again no earlier than then.
    HangUp(Duration),
    /// It has said all and heard all.
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Offline,
    LoggingIn,
    Online,
}

/// A frame on this connection that waits for its reply.
#[derive(Debug, Clone, Copy)]
struct Question {
    number: u8,
    serial: u16,
    kind: Kind,
    asked: Duration,
    fact: Option<u64>,
}

/// A tracker in a vehicle.
#[derive(Debug)]
pub(crate) struct Tracker {
    id: DeviceId,
    habits: Habits,
    waits_for_locations: bool,
    vehicle: Vehicle,
    random: Random,
    journal: Arc<Journal>,
    keys: Keys,

    link: Link,
    serial: u16,
    condition: Condition,
    questions: Vec<Question>,
    /// Facts on this connection that are not acknowledged, by their order.
    in_flight: BTreeMap<u64, Fact>,
    /// Facts to be sent, in order.
    stored: VecDeque<(u64, Fact)>,
    next_fact: u64,
    /// Frames that may be answered, but need not.
    recent: VecDeque<(u8, u16)>,
    received: BytesMut,
    out: BytesMut,

    /// In the device's time.
    next_location: Duration,
    next_heartbeat: Duration,
    next_alarm: Option<Duration>,
    next_outage: Option<Duration>,
    /// In our time.
    next_burst: Duration,
    unanswered_in_a_row: u32,
    finishing: bool,
}

impl Tracker {
    pub(crate) fn new(
        id: DeviceId,
        habits: Habits,
        waits_for_locations: bool,
        vehicle: Vehicle,
        mut random: Random,
        journal: Arc<Journal>,
        keys: Keys,
    ) -> Self {
        let first = |mean: Duration, random: &mut Random| {
            (mean > Duration::ZERO).then(|| waiting_time(random, mean))
        };
        Self {
            id,
            waits_for_locations,
            vehicle,
            journal,
            keys,
            link: Link::Offline,
            serial: 0,
            condition: Condition {
                ignition: true,
                fuel_cut: false,
                battery: 6,
                signal: 4,
            },
            questions: Vec::new(),
            in_flight: BTreeMap::new(),
            stored: VecDeque::new(),
            next_fact: 0,
            recent: VecDeque::new(),
            received: BytesMut::new(),
            out: BytesMut::new(),
            next_location: habits.interval.mul_f64(random.unit()),
            next_heartbeat: habits.heartbeat.mul_f64(random.unit()),
            next_alarm: first(habits.alarm_every, &mut random),
            next_outage: first(habits.outage_every, &mut random),
            next_burst: Duration::ZERO,
            unanswered_in_a_row: 0,
            finishing: false,
            habits,
            random,
        }
    }

    /// The device's own time.
    fn own_time(&self, now: Duration) -> Duration {
        now.mul_f64(self.habits.speedup)
    }

    /// There is a connection: the login goes out with the next [`poll`](Self::poll).
    pub(crate) fn connected(&mut self, now: Duration) {
        self.link = Link::LoggingIn;
        self.unanswered_in_a_row = 0;
        self.received.clear();
        self.out.clear();
        self.send_login(now);
    }

    /// The connection is gone: what was not acknowledged is sent again on the next one.
    pub(crate) fn disconnected(&mut self) {
        self.link = Link::Offline;
        self.questions.clear();
        self.recent.clear();
        for (order, mut fact) in std::mem::take(&mut self.in_flight).into_iter().rev() {
            fact.tries = 0;
            self.stored.push_front((order, fact));
        }
    }

    /// From now on nothing new is recorded; what is there is sent and its acknowledgements are
    /// waited for.
    pub(crate) const fn finish(&mut self) {
        self.finishing = true;
    }

    /// Whether all is said and heard.
    pub(crate) fn is_done(&self) -> bool {
        self.finishing
            && self.stored.is_empty()
            && self.in_flight.is_empty()
            && self.questions.is_empty()
    }

    /// What is to be written to the connection.
    pub(crate) fn take_output(&mut self) -> Bytes {
        self.out.split().freeze()
    }

    /// Does what is due.
    pub(crate) fn poll(&mut self, now: Duration) -> Wish {
        if !self.finishing {
            self.record(now);
        }
        if self.link == Link::Offline {
            return if self.is_done() {
                Wish::Done
            } else {
                Wish::Wait(now + Duration::from_secs(1))
            };
        }
        if let Some(outage) = self.outage(now) {
            return Wish::HangUp(outage);
        }
        if !self.ask_again(now) {
            // Silent: those questions are not answered any more.
            self.count_unanswered_questions();
            return Wish::HangUp(now + Duration::from_secs(1));
        }
        if self.link == Link::Online {
            self.heartbeat(now);
            self.repeat_facts(now);
            self.upload(now);
        }
        if self.is_done() {
            return Wish::Done;
        }
        Wish::Wait(self.next_due(now))
    }

    /// When something is due next.
    fn next_due(&self, now: Duration) -> Duration {
        let ours = |own: Duration| own.div_f64(self.habits.speedup);
        let mut due = now + Duration::from_secs(1);
        if !self.finishing {
            due = due.min(ours(self.next_location));
            if let Some(outage) = self.next_outage {
                due = due.min(ours(outage));
            }
        }
        if !self.stored.is_empty() {
            due = due.min(self.next_burst);
        }
        due.max(now + Duration::from_millis(1))
    }

    fn remember(&mut self, number: u8, serial: u16) {
        if self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((number, serial));
    }

    const fn next_serial(&mut self) -> u16 {
        self.serial = self.serial.wrapping_add(1);
        self.serial
    }

    fn send_login(&mut self, now: Duration) {
        let serial = self.next_serial();
        let frame = wire::login(&self.id, serial);
        self.ask(now, wire::LOGIN, serial, Kind::Login, &frame);
    }

    fn heartbeat(&mut self, now: Duration) {
        if self.finishing || self.next_heartbeat > self.own_time(now) {
            return;
        }
        self.next_heartbeat = self.own_time(now) + self.habits.heartbeat;
        self.send_heartbeat(now);
    }

    fn send_heartbeat(&mut self, now: Duration) {
        let serial = self.next_serial();
        let frame = wire::heartbeat(serial, &self.condition);
        self.ask(now, wire::HEARTBEAT, serial, Kind::Heartbeat, &frame);
    }

    fn ask(&mut self, now: Duration, number: u8, serial: u16, kind: Kind, frame: &[u8]) {
        let again = self.unanswered_in_a_row > 0;
        self.journal.sent(now, self.id, kind, None, frame, again);
        self.out.put_slice(frame);
        self.questions.push(Question {
            number,
            serial,
            kind,
            asked: now,
            fact: None,
        });
    }

    /// Asks again what the server leaves unanswered; false when it has been silent too long.
    fn ask_again(&mut self, now: Duration) -> bool {
        let kind = if self.link == Link::LoggingIn {
            Kind::Login
        } else {
            Kind::Heartbeat
        };
        let newest = self
            .questions
            .iter()
            .filter(|question| question.kind == kind)
            .map(|question| question.asked)
            .max();
        if newest.is_none_or(|asked| now < asked + PATIENCE) {
            return true;
        }
        self.unanswered_in_a_row += 1;
        if self.unanswered_in_a_row >= TRIES {
            return false;
        }
        if kind == Kind::Login {
            self.send_login(now);
        } else {
            self.send_heartbeat(now);
        }
        true
    }

    fn count_unanswered_questions(&self) {
        for question in self.questions.iter().filter(|q| q.fact.is_none()) {
            self.journal.unanswered(question.kind);
        }
    }

    /// Starts an outage that is due: when it will be over.
    fn outage(&mut self, now: Duration) -> Option<Duration> {
        let own = self.own_time(now);
        if self.finishing || self.next_outage.is_none_or(|at| at > own) {
            return None;
        }
        let gap = waiting_time(&mut self.random, self.habits.outage_for);
        let pause = waiting_time(&mut self.random, self.habits.outage_every);
        self.next_outage = Some(own + gap + pause);
        self.journal.outage();
        Some(now + gap.div_f64(self.habits.speedup))
    }

    /// At the very end: what was never acknowledged, or never sent.
    pub(crate) fn give_up(&mut self) {
        self.count_unanswered_questions();
        let facts = self
            .in_flight
            .values()
            .chain(self.stored.iter().map(|(_, fact)| fact));
        for fact in facts {
            self.journal.unanswered(fact.kind());
        }
        self.questions.clear();
        self.in_flight.clear();
        self.stored.clear();
    }
}

fn waiting_time(random: &mut Random, mean: Duration) -> Duration {
    Duration::try_from_secs_f64(random.waiting_time(mean.as_secs_f64())).unwrap_or(mean)
}
