//! Facts: how they are made, kept and sent, also again.

use std::time::Duration;

use bytes::{BufMut, Bytes};
use milepost_telemetry::ReportId;

use super::super::stats::Kind;
use super::super::wire::{self, AlarmCode, Condition, Position};
use super::{Link, Question, Tracker, waiting_time};

/// How long a fact waits for its acknowledgement before it is sent again on this connection.
const REPEAT: Duration = Duration::from_secs(15);
/// How often a fact is sent on one connection.
pub(super) const FACT_TRIES: u32 = 3;
/// How many facts may wait for their acknowledgement on a connection.
pub(super) const WINDOW: usize = 32;
/// Stored fixes are uploaded in bursts of so many, so often.
const BURST: usize = 10;
const BURST_EVERY: Duration = Duration::from_millis(200);
/// How many fixes fit into the device.
pub(super) const MEMORY: usize = 10_000;

/// Something that must not be forgotten.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fact {
    position: Position,
    alarm: Option<(AlarmCode, Condition)>,
    pub(super) key: Option<ReportId>,
    /// Times sent in all, and on this connection.
    pub(super) sent: u32,
    pub(super) tries: u32,
    last_sent: Duration,
}

impl Fact {
    pub(super) const fn kind(&self) -> Kind {
        match self.alarm {
            Some(_) => Kind::Alarm,
            None => Kind::Location,
        }
    }
}

impl Tracker {
    /// Makes the fixes and alarms that are due, whether there is a connection or not.
    pub(super) fn record(&mut self, now: Duration) {
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
    pub(super) fn upload(&mut self, now: Duration) {
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
    pub(super) fn repeat_facts(&mut self, now: Duration) {
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
}
