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

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use protocol_gt06::Frame;
use telemetry::{DeviceId, ReportId};

use super::command;
use super::journal::Journal;
use super::key::Keys;
use super::random::Random;
use super::stats::{Kind, Wrong};
use super::vehicle::Vehicle;
use super::wire::{self, AlarmCode, Condition, Position, Reply};

/// How long a login or a heartbeat waits for its reply before it is sent again.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is sent before the connection is given up.
const TRIES: u32 = 3;
/// How long a fact waits for its acknowledgement before it is sent again on this connection.
const REPEAT: Duration = Duration::from_secs(15);
/// How often a fact is sent on one connection.
const FACT_TRIES: u32 = 3;
/// How many facts may wait for their acknowledgement on a connection.
const WINDOW: usize = 32;
/// Stored fixes are uploaded in bursts of so many, so often.
const BURST: usize = 10;
const BURST_EVERY: Duration = Duration::from_millis(200);
/// How many fixes fit into the device.
const MEMORY: usize = 10_000;
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

/// Something that must not be forgotten.
#[derive(Debug, Clone, Copy)]
struct Fact {
    position: Position,
    alarm: Option<(AlarmCode, Condition)>,
    key: Option<ReportId>,
    /// Times sent in all, and on this connection.
    sent: u32,
    tries: u32,
    last_sent: Duration,
}

impl Fact {
    const fn kind(&self) -> Kind {
        match self.alarm {
            Some(_) => Kind::Alarm,
            None => Kind::Location,
        }
    }
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

    /// Makes the fixes and alarms that are due, whether there is a connection or not.
    fn record(&mut self, now: Duration) {
        let own = self.own_time(now);
        while self.next_location <= own {
            let at = self.next_location;
            self.next_location += self.habits.interval.max(Duration::from_millis(10));
            let position = self.observe(at);
            let fact = self.fact(position, None);
            self.say(now, fact);
        }
        while let Some(at) = self.next_alarm.filter(|at| *at <= own) {
            let pause = waiting_time(&mut self.random, self.habits.alarm_every);
            // Not twice in a second: the time on the wire has no fractions, and a second alarm
            // at the same place would be the same fact.
            self.next_alarm = Some(at + pause.max(Duration::from_secs(2)));
            let position = self.observe(at);
            let code = self.alarm_code(&position);
            let fact = self.fact(position, Some((code, self.condition)));
            self.say(now, fact);
        }
    }

    fn observe(&mut self, at: Duration) -> Position {
        let millis = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        self.vehicle.advance_to(millis);
        let seen = self.vehicle.observe();
        self.condition.ignition = seen.ignition;
        self.condition.signal = if self.random.chance(0.1) { 3 } else { 4 };
        Position {
            time: self.journal.device_time(at),
            seen,
        }
    }

    fn alarm_code(&mut self, position: &Position) -> AlarmCode {
        if !position.seen.ignition {
            return AlarmCode::Vibration;
        }
        match self.random.index(4) {
            0 | 1 => AlarmCode::Sos,
            2 => AlarmCode::PowerCut,
            _ => AlarmCode::LowBattery,
        }
    }

    fn fact(&self, position: Position, alarm: Option<(AlarmCode, Condition)>) -> Fact {
        let mut fact = Fact {
            position,
            alarm,
            key: None,
            sent: 0,
            tries: 0,
            last_sent: Duration::ZERO,
        };
        if self.journal.keeps_keys() {
            fact.key = self.keys.key(&self.encode(&fact, 0, false));
        }
        fact
    }

    /// Sends a new fact if that is possible now, else keeps it.
    fn say(&mut self, now: Duration, fact: Fact) {
        let order = self.next_fact;
        self.next_fact += 1;
        if self.link == Link::Online && self.has_room() {
            self.send_fact(now, order, fact);
            return;
        }
        if self.stored.len() >= MEMORY {
            self.stored.pop_front();
            self.journal.forgotten();
        }
        self.stored.push_back((order, fact));
    }

    fn has_room(&self) -> bool {
        self.in_flight.len() < WINDOW
    }

    /// Uploads what was kept, a burst at a time.
    fn upload(&mut self, now: Duration) {
        if self.stored.is_empty() || now < self.next_burst {
            return;
        }
        self.next_burst = now + BURST_EVERY;
        for _ in 0..BURST {
            if !self.has_room() {
                break;
            }
            let Some((order, fact)) = self.stored.pop_front() else {
                break;
            };
            self.send_fact(now, order, fact);
        }
    }

    /// Sends facts again whose acknowledgement does not come.
    fn repeat_facts(&mut self, now: Duration) {
        let due: Vec<u64> = self
            .in_flight
            .iter()
            .filter(|(_, fact)| fact.tries < FACT_TRIES && now >= fact.last_sent + REPEAT)
            .map(|(order, _)| *order)
            .collect();
        for order in due {
            if let Some(fact) = self.in_flight.remove(&order) {
                self.send_fact(now, order, fact);
            }
        }
    }

    fn number(&self, fact: &Fact) -> u8 {
        match (fact.alarm, self.waits_for_locations) {
            (None, true) => wire::LOCATION_CLASSIC,
            (None, false) => wire::LOCATION,
            (Some(_), true) => wire::ALARM_CLASSIC,
            (Some(_), false) => wire::ALARM,
        }
    }

    fn encode(&self, fact: &Fact, serial: u16, again: bool) -> Bytes {
        let number = self.number(fact);
        match &fact.alarm {
            None => wire::location(number, serial, &fact.position, again),
            Some((code, condition)) => {
                wire::alarm(number, serial, &fact.position, condition, *code)
            }
        }
    }

    fn send_fact(&mut self, now: Duration, order: u64, mut fact: Fact) {
        let serial = self.next_serial();
        // Stored fixes are marked, whether they were sent before or could not be.
        let made = self.journal.device_time(self.own_time(now));
        let stored = fact.sent > 0 || made.since(fact.position.time) > Duration::from_secs(5);
        let frame = self.encode(&fact, serial, stored);
        let (number, kind) = (self.number(&fact), fact.kind());
        self.journal
            .sent(now, self.id, kind, fact.key, &frame, fact.sent > 0);
        self.out.put_slice(&frame);
        fact.sent += 1;
        fact.tries += 1;
        fact.last_sent = now;
        if fact.alarm.is_some() || self.waits_for_locations {
            self.questions.push(Question {
                number,
                serial,
                kind,
                asked: now,
                fact: Some(order),
            });
            self.in_flight.insert(order, fact);
        } else {
            self.remember(number, serial);
        }
        if kind == Kind::Location && self.random.chance(self.habits.bad) {
            self.send_bad(now, &fact);
        }
    }

    /// Bytes that are wrong on purpose; the frames around them must not suffer.
    fn send_bad(&mut self, now: Duration, fact: &Fact) {
        let bytes: Bytes = match self.random.index(3) {
            // Noise, without anything that could be a frame's start.
            0 => (0..=self.random.index(40))
                .map(|_| u8::try_from(self.random.index(0x70)).unwrap_or(0))
                .collect(),
            // The first part of a frame.
            1 => {
                let frame = self.encode(fact, 0, true);
                frame.slice(..12 + self.random.index(12))
            }
            // A frame with a wrong check sum, of a heartbeat: it says nothing new.
            _ => {
                let serial = self.next_serial();
                self.remember(wire::HEARTBEAT, serial);
                let mut frame = wire::heartbeat(serial, &self.condition).to_vec();
                if let [.., sum, _, _] = frame.as_mut_slice() {
                    *sum ^= 0x5A;
                }
                frame.into()
            }
        };
        self.journal
            .sent(now, self.id, Kind::Bad, None, &bytes, false);
        self.out.put_slice(&bytes);
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

    /// Takes what the server sent. An error is the end of the connection.
    pub(crate) fn received(&mut self, now: Duration, bytes: &[u8]) -> Result<(), Wrong> {
        self.received.put_slice(bytes);
        while let Some(reply) = wire::next_reply(&mut self.received) {
            match reply {
                Reply::Frame(frame) => self.reply(now, &frame),
                Reply::Checksum => self.journal.wrong(Wrong::Checksum),
                Reply::Garbage => {
                    self.journal.wrong(Wrong::Garbage);
                    return Err(Wrong::Garbage);
                }
            }
        }
        Ok(())
    }

    fn reply(&mut self, now: Duration, frame: &Frame) {
        let number = frame.number();
        match number {
            wire::COMMAND => return self.obey(now, frame),
            // Optional after an alarm; nobody here asks for addresses.
            wire::ADDRESS | wire::ADDRESS_CHINESE => return,
            _ => {}
        }
        let serial = frame.serial().unwrap_or(0);
        if !frame.body().is_empty() {
            self.journal.wrong(Wrong::Content);
            return;
        }
        let asked = self
            .questions
            .iter()
            .position(|question| (question.number, question.serial) == (number, serial));
        let Some(index) = asked else {
            match self.recent.iter().position(|r| *r == (number, serial)) {
                Some(index) => {
                    self.recent.remove(index);
                    self.journal.unneeded();
                }
                None => self.journal.wrong(Wrong::Unasked),
            }
            return;
        };
        let question = self.questions.remove(index);
        if question.fact.is_none() {
            self.unanswered_in_a_row = 0;
            // Replies come in order, so older questions of the kind will not be answered.
            let missed = self.questions.extract_if(.., |older| {
                older.kind == question.kind && older.asked < question.asked
            });
            for older in missed.collect::<Vec<_>>() {
                self.journal.unanswered(older.kind);
                self.remember(older.number, older.serial);
            }
        }
        if question.kind == Kind::Login && self.link == Link::LoggingIn {
            self.link = Link::Online;
            self.next_heartbeat = self.next_heartbeat.max(self.own_time(now));
        }
        let waited = now.saturating_sub(question.asked);
        match question.fact {
            None => self
                .journal
                .acknowledged(now, self.id, question.kind, None, waited),
            // Acknowledged already under another serial number: nothing new.
            Some(order) => {
                if let Some(fact) = self.in_flight.remove(&order) {
                    self.journal
                        .acknowledged(now, self.id, question.kind, fact.key, waited);
                    // Replies to its repetitions may still come, or not.
                    let others: Vec<_> = self
                        .questions
                        .extract_if(.., |other| other.fact == Some(order))
                        .collect();
                    for other in others {
                        self.remember(other.number, other.serial);
                    }
                }
            }
        }
    }

    fn obey(&mut self, now: Duration, frame: &Frame) {
        let Some((flag, text)) = wire::command(frame) else {
            self.journal.wrong(Wrong::Content);
            return;
        };
        self.journal.command();
        let seen = self.vehicle.observe();
        let place = (seen.latitude, seen.longitude);
        let answer = command::obey(text, &mut self.condition, place);
        let serial = self.next_serial();
        let frame = wire::command_answer(serial, flag, &answer);
        self.journal
            .sent(now, self.id, Kind::Answer, None, &frame, false);
        self.remember(wire::COMMAND_ANSWER, serial);
        self.out.put_slice(&frame);
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
