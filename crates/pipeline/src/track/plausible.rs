//! Which positions are believed, before any smoothing.
//!
//! | rule | a position is rejected if |
//! |---|---|
//! | zero | it is (0, 0) |
//! | future, ancient | its time is ahead of, or far before, its arrival |
//! | replay | an earlier record returns: same position, speed and course, moving, new time |
//! | frozen | the position stays exactly while the reported speed goes on |
//! | hemisphere | it is a jump, and with a flipped sign it is not |
//! | jump | the way from the last believed place is impossible: too fast, or contradicted by both reported velocities |
//!
//! Jumps are judged on both legs. Outwards, a fix too far away is rejected and becomes a
//! candidate; several consistent candidates are a new place. On the return, a fix that is
//! impossible from the present place but fits the place before the last leap shows that the
//! present place was wrong: the fixes since the leap are rejected afterwards.
//! A time gap makes a long way possible. It excuses nothing else.

use milepost_telemetry::Rejected;

use super::filter::Fix;
use super::frame::distance_m;
use super::sample::{Sample, number};

/// The rules' settings; one for all receivers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// Which rules are applied, in the order of [`REASONS`](super::REASONS).
    pub enabled: [bool; 7],
    /// A way longer than this speed allows is a jump, m/s.
    pub max_speed: f64,
    /// Any jump shorter than this is left to the filter, metres.
    pub slack_m: f64,
    /// So many consistent fixes elsewhere are a new place.
    pub confirm: u8,
    /// A time this far ahead of its arrival is in the future, milliseconds.
    pub ahead_ms: i64,
    /// A time this far before its arrival is ancient, milliseconds.
    pub behind_ms: i64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            enabled: [true; 7],
            max_speed: 70.0,
            slack_m: 300.0,
            confirm: 5,
            ahead_ms: 120_000,
            behind_ms: 400 * 86_400_000,
        }
    }
}

impl Rules {
    pub(crate) fn on(&self, rule: Rejected) -> bool {
        self.enabled.get(number(rule)).copied().unwrap_or(true)
    }
}

/// How often each rule has rejected a position.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts([u64; 7]);

impl Counts {
    /// Counts one.
    pub fn add(&mut self, reason: Rejected) {
        if let Some(n) = self.0.get_mut(number(reason)) {
            *n += 1;
        }
    }

    /// How many were rejected for a reason.
    pub fn of(&self, reason: Rejected) -> u64 {
        self.0.get(number(reason)).copied().unwrap_or(0)
    }
}

/// A believed place.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Place {
    pub(crate) time_ms: i64,
    pub(crate) latitude: f64,
    pub(crate) longitude: f64,
    pub(crate) velocity: Option<(f32, f32)>,
}

impl Place {
    fn of(fix: &Fix) -> Self {
        Self {
            time_ms: fix.time_ms,
            latitude: fix.latitude,
            longitude: fix.longitude,
            velocity: fix.velocity(),
        }
    }

    fn metres(&self, fix: &Fix) -> f64 {
        distance_m(
            (self.latitude, self.longitude),
            (fix.latitude, fix.longitude),
        )
    }
}

/// What is decided about one position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It goes on from the place before.
    Accept,
    /// It is the last of so many consistent fixes at a new place; those before it were rejected
    /// and are believed now.
    NewPlace(u8),
    /// It goes on from the place before the last leap: so many believed fixes since were wrong.
    Return(u8),
    /// It is kept and not used.
    Reject(Rejected),
}

/// The memory of the rules.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Plausible {
    pub(crate) last: Option<Place>,
    /// The last candidate of a new place, and how many there are.
    pub(crate) candidate: Place,
    pub(crate) candidates: u8,
    /// Where the vehicle was before the last leap, when the leap was, fixes believed since.
    pub(crate) before: Option<Place>,
    pub(crate) leap_ms: i64,
    pub(crate) since_leap: u8,
    /// Fixes believed since the start or the last new place.
    pub(crate) trust: u8,
    /// The reported velocity was proved wrong by a new place.
    pub(crate) speed_lies: bool,
}

impl Plausible {
    /// Rules that look at the sample alone.
    pub(crate) fn alone(sample: &Sample, rules: &Rules) -> Option<Rejected> {
        let (latitude, longitude) = sample.position?;
        if rules.on(Rejected::Zero) && latitude.abs() < 1e-3 && longitude.abs() < 1e-3 {
            return Some(Rejected::Zero);
        }
        let received = sample.received_ms?;
        if rules.on(Rejected::Future) && sample.time_ms > received.saturating_add(rules.ahead_ms) {
            return Some(Rejected::Future);
        }
        if rules.on(Rejected::Ancient) && sample.time_ms < received.saturating_sub(rules.behind_ms)
        {
            return Some(Rejected::Ancient);
        }
        None
    }

    /// Judges a fix that is later than the last believed one, and remembers it.
    pub(crate) fn judge(&mut self, fix: &Fix, speed_ignored: bool, rules: &Rules) -> Verdict {
        let Some(last) = self.last else {
            self.believe(fix);
            self.trust = 1;
            return Verdict::Accept;
        };
        let metres = last.metres(fix);
        let Some(reason) = self.impossible(&last, fix, metres, speed_ignored, rules) else {
            if metres > 300.0 + rules.max_speed * seconds(last.time_ms, fix.time_ms).min(30.0) {
                self.leap(last, fix);
            }
            self.believe(fix);
            return Verdict::Accept;
        };
        if let Some(before) = self.before
            && self.since_leap <= 2 * rules.confirm
            && before.metres(fix)
                <= rules.slack_m + rules.max_speed * seconds(self.leap_ms, fix.time_ms).min(60.0)
        {
            let wrong = self.since_leap;
            self.before = None;
            self.since_leap = 0;
            self.candidates = 0;
            self.believe(fix);
            return Verdict::Return(wrong);
        }
        let follows = self.candidates > 0
            && self.candidate.metres(fix)
                <= rules.slack_m + rules.max_speed * seconds(self.candidate.time_ms, fix.time_ms);
        self.candidates = if follows { self.candidates + 1 } else { 1 };
        self.candidate = Place::of(fix);
        let needed = rules.confirm.min(self.trust + 1);
        if self.candidates >= needed {
            let confirmed = self.candidates;
            let by_speed = reason == Suspicion::Velocity;
            self.speed_lies |= by_speed;
            self.leap(last, fix);
            self.believe(fix);
            self.trust = confirmed;
            self.since_leap = confirmed;
            return Verdict::NewPlace(confirmed);
        }
        let flipped = rules.on(Rejected::Hemisphere)
            && [(-1.0, 1.0), (1.0, -1.0), (-1.0, -1.0)]
                .iter()
                .any(|(a, b)| {
                    let mirrored = Fix {
                        latitude: fix.latitude * a,
                        longitude: fix.longitude * b,
                        ..*fix
                    };
                    last.metres(&mirrored)
                        <= rules.slack_m + rules.max_speed * seconds(last.time_ms, fix.time_ms)
                });
        if flipped {
            // The same flip again does not make it a new place.
            self.candidates = 0;
            return Verdict::Reject(Rejected::Hemisphere);
        }
        if rules.on(Rejected::Jump) {
            Verdict::Reject(Rejected::Jump)
        } else {
            self.believe(fix);
            Verdict::Accept
        }
    }

    fn impossible(
        &self,
        last: &Place,
        fix: &Fix,
        metres: f64,
        speed_ignored: bool,
        rules: &Rules,
    ) -> Option<Suspicion> {
        let dt = seconds(last.time_ms, fix.time_ms);
        if metres > rules.slack_m + rules.max_speed * dt {
            return Some(Suspicion::Distance);
        }
        // The way against both reported velocities. A car can leave the way that they promise by
        // a·t²/4 when it brakes and accelerates as hard as it can.
        if speed_ignored || self.speed_lies || dt > 60.0 || metres < 100.0 {
            return None;
        }
        let (a, b) = (last.velocity?, fix.velocity()?);
        let frame = super::frame::Frame::new(last.latitude, last.longitude);
        let (x, y) = frame.project(fix.latitude, fix.longitude);
        let promised = (
            dt * f64::from(a.0 + b.0) / 2.0,
            dt * f64::from(a.1 + b.1) / 2.0,
        );
        let faster = f64::from(a.0.hypot(a.1).max(b.0.hypot(b.1)));
        let off = (x - promised.0).hypot(y - promised.1);
        (off > 100.0 + dt * faster + HARD * dt * dt / 4.0).then_some(Suspicion::Velocity)
    }

    fn leap(&mut self, from: Place, fix: &Fix) {
        self.before = Some(from);
        self.leap_ms = fix.time_ms;
        self.since_leap = 0;
    }

    fn believe(&mut self, fix: &Fix) {
        self.last = Some(Place::of(fix));
        self.candidates = 0;
        self.trust = self.trust.saturating_add(1).min(100);
        if self.before.is_some() {
            self.since_leap = self.since_leap.saturating_add(1);
            if self.since_leap > 20 {
                self.before = None;
            }
        }
    }
}

/// Hard braking and accelerating, m/s².
const HARD: f64 = 2.5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Suspicion {
    Distance,
    Velocity,
}

fn seconds(from_ms: i64, to_ms: i64) -> f64 {
    to_ms.saturating_sub(from_ms).max(0) as f64 / 1_000.0
}
