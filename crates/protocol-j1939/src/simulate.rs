//! A truck with engine, transmission, brakes and instrument cluster, as CAN frames over time.
//!
//! It accelerates to a cruising speed, cruises, brakes and stands, again and again. Its engine
//! reports two trouble codes by BAM once per second between the second and the third minute of
//! each cycle, its cluster the VIN every ten seconds. The same seed gives the same frames.
//!
//! ```
//! use milepost_protocol_j1939::simulate::Truck;
//!
//! let frames: Vec<_> = Truck::new(7).take(1000).collect();
//! assert!(frames.windows(2).all(|two| two[0].time() <= two[1].time()));
//! ```

use alloc::collections::BinaryHeap;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::can::{CanFrame, CanTime};
use crate::diagnostics::Dtc;
use crate::encode;
use crate::id::{J1939Id, Pgn};

const ENGINE: u8 = 0;
const TRANSMISSION: u8 = 3;
const BRAKES: u8 = 11;
const CLUSTER: u8 = 23;

/// What is sent, how often in milliseconds, with which priority, by whom.
const SCHEDULE: &[(u32, u64, u8, u8)] = &[
    (61444, 20, 3, ENGINE),
    (61443, 50, 3, ENGINE),
    (61442, 50, 3, TRANSMISSION),
    (61445, 100, 6, TRANSMISSION),
    (65265, 100, 6, ENGINE),
    (65265, 100, 6, BRAKES),
    (61441, 100, 6, BRAKES),
    (65266, 100, 6, ENGINE),
    (65262, 1000, 6, ENGINE),
    (65263, 500, 6, ENGINE),
    (65271, 1000, 6, ENGINE),
    (65253, 1000, 6, ENGINE),
    (65257, 1000, 6, ENGINE),
    (65217, 1000, 6, CLUSTER),
    (65276, 1000, 6, CLUSTER),
    (65269, 1000, 6, ENGINE),
    (65226, 1000, 6, ENGINE),
    (65260, 10_000, 6, CLUSTER),
];

/// Milliseconds of one cycle: 60 s up, 60 s cruise, 60 s down and stand.
const CYCLE: u64 = 180_000;

/// Frames of a simulated truck, without end, by ascending time.
#[derive(Debug, Clone)]
pub struct Truck {
    vin: String,
    start: CanTime,
    now: u64,
    queue: BinaryHeap<Reverse<(u64, usize)>>,
    /// Frames of multi-packet messages that are under way, by time.
    pending: BinaryHeap<Reverse<(u64, u64, [u8; 13])>>,
    serial: u64,
    odometer_m: f64,
    fuel_used_l: f64,
    hours: f64,
    fuel_pct: f64,
}

impl Truck {
    /// A truck that starts at time 0.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::starting_at(seed, CanTime(0))
    }

    /// A truck that starts at a time.
    #[must_use]
    pub fn starting_at(seed: u64, start: CanTime) -> Self {
        let queue = (0..SCHEDULE.len())
            .map(|n| Reverse((u64::try_from(n).unwrap_or(0), n)))
            .collect();
        #[expect(clippy::cast_precision_loss, reason = "below 1000")]
        let vary = (seed % 1000) as f64;
        Self {
            vin: alloc::format!("1M8GDM9AXKP{:06}", seed % 1_000_000),
            start,
            now: 0,
            queue,
            pending: BinaryHeap::new(),
            serial: 0,
            odometer_m: 120_000_000.0 + vary * 1000.0,
            fuel_used_l: 40_000.0 + vary,
            hours: 2_500.0 + vary,
            fuel_pct: 80.0,
        }
    }

    /// The same truck, whose vehicle identification number is not on its bus.
    #[must_use]
    pub fn without_vin(mut self) -> Self {
        let is_vin = |entry: usize| SCHEDULE.get(entry).is_some_and(|row| row.0 == 65260);
        self.queue.retain(|Reverse((_, entry))| !is_vin(*entry));
        self
    }

    /// The vehicle identification number.
    #[must_use]
    pub fn vin(&self) -> &str {
        &self.vin
    }

    /// Speed in km/h and whether the brake is on, at a place in the cycle.
    fn motion(&self) -> (f64, bool) {
        #[expect(clippy::cast_precision_loss, reason = "below one cycle")]
        let t = (self.now % CYCLE) as f64 / 1000.0;
        match t {
            t if t < 60.0 => (t * 1.4, false),
            t if t < 120.0 => (84.0, false),
            t if t < 150.0 => (84.0 - (t - 120.0) * 2.8, true),
            _ => (0.0, true),
        }
    }

    fn advance(&mut self, to: u64) {
        #[expect(clippy::cast_precision_loss, reason = "a few seconds")]
        let seconds = to.saturating_sub(self.now) as f64 / 1000.0;
        let (speed, _) = self.motion();
        self.odometer_m += speed / 3.6 * seconds;
        self.hours += seconds / 3600.0;
        let used = (3.0 + speed * 0.3) / 3600.0 * seconds;
        self.fuel_used_l += used;
        self.fuel_pct = (self.fuel_pct - used / 4.0).max(5.0);
        self.now = to;
    }

    fn values(&self, pgn: u32, source: u8) -> Vec<(u32, f64)> {
        let (speed, braking) = self.motion();
        let gear = whole((speed / 8.0).clamp(0.0, 12.0));
        let rpm = if speed > 0.0 {
            900.0 + (speed % 8.0) * 100.0
        } else {
            600.0
        };
        let load = if braking {
            5.0
        } else {
            whole(20.0 + speed / 2.0)
        };
        let brake = f64::from(u8::from(braking));
        match (pgn, source) {
            (61444, _) => Vec::from([(899, 1.0), (512, load), (513, load), (190, rpm)]),
            (61443, _) => Vec::from([(558, brake), (91, load * 0.4), (92, load)]),
            (61442, _) => Vec::from([(560, 1.0), (191, speed * 15.0), (161, rpm)]),
            (61445, _) => Vec::from([(524, gear), (523, gear)]),
            // The brakes know only their own switches: everything else is not available.
            (65265, BRAKES) => Vec::from([(70, 0.0)]),
            (65265, _) => Vec::from([
                (84, speed),
                (595, 0.0),
                (597, brake),
                (598, 0.0),
                (976, 0.0),
            ]),
            (61441, _) => Vec::from([(563, 0.0), (521, brake * 20.0)]),
            (65266, _) => Vec::from([(183, 3.0 + speed * 0.3)]),
            (65262, _) => Vec::from([(110, 85.0), (175, 95.0)]),
            (65263, _) => Vec::from([(100, 400.0), (98, 80.0)]),
            (65271, _) => Vec::from([(168, 27.6)]),
            (65253, _) => Vec::from([(247, self.hours)]),
            (65257, _) => Vec::from([(250, self.fuel_used_l)]),
            (65217, _) => Vec::from([(917, self.odometer_m / 1000.0)]),
            (65276, _) => Vec::from([(96, self.fuel_pct)]),
            (65269, _) => Vec::from([(108, 100.0), (171, 15.0)]),
            _ => Vec::new(),
        }
    }

    fn stamp(&self, millis: u64) -> Option<CanTime> {
        let micros = self
            .start
            .as_micros()
            .saturating_add(millis.saturating_mul(1000));
        Some(CanTime(micros))
    }

    /// Announces a message, and sends its packets 50 ms apart.
    fn broadcast(&mut self, source: u8, pgn: Pgn, data: &[u8]) {
        let frames = encode::broadcast(source, pgn, data).unwrap_or_default();
        for (frame, n) in frames.iter().zip(0u64..) {
            let mut bytes = [0; 13];
            let id = frame.id().raw().to_be_bytes();
            let parts = id.iter().chain(frame.data());
            for (place, byte) in bytes.iter_mut().zip(parts) {
                *place = *byte;
            }
            self.serial += 1;
            self.pending
                .push(Reverse((self.now + n * 50, self.serial, bytes)));
        }
    }

    fn pending(&mut self) -> Option<CanFrame> {
        let Reverse((at, _, bytes)) = self.pending.pop()?;
        let (id, rest) = bytes.split_first_chunk::<4>()?;
        let id = J1939Id::from_raw(u32::from_be_bytes(*id));
        let data = rest.first_chunk::<8>()?;
        let frame = encode::single(id, data).ok()?;
        Some(frame.with_time(self.stamp(at)))
    }

    /// Sends one entry of the schedule. `None` if it became a multi-packet message.
    fn scheduled(&mut self, entry: usize) -> Option<CanFrame> {
        let &(pgn, _, priority, source) = SCHEDULE.get(entry)?;
        let group = Pgn::new(pgn)?;
        let id = J1939Id {
            priority,
            pgn: group,
            source,
            destination: crate::id::GLOBAL,
        };
        let data = match pgn {
            65226 if (120_000..CYCLE).contains(&(self.now % CYCLE)) => {
                let mut data = Vec::from([0x04, 0xFF]);
                data.extend(Dtc::encode(100, 1, 1));
                data.extend(Dtc::encode(3251, 0, 2));
                self.broadcast(source, group, &data);
                return None;
            }
            65226 => [0x00, 0xFF, 0, 0, 0, 0, 0xFF, 0xFF],
            65260 => {
                let vin = alloc::format!("{}*", self.vin);
                self.broadcast(source, group, vin.as_bytes());
                return None;
            }
            _ => encode::payload(group, &self.values(pgn, source)).ok()?,
        };
        let frame = encode::single(id, &data).ok()?;
        Some(frame.with_time(self.stamp(self.now)))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "small, and cut on purpose")]
fn whole(value: f64) -> f64 {
    f64::from(value as i32)
}

impl Iterator for Truck {
    type Item = CanFrame;

    fn next(&mut self) -> Option<CanFrame> {
        loop {
            let Reverse((at, entry)) = *self.queue.peek()?;
            let is_pending_first = self.pending.peek().is_some_and(|p| p.0.0 <= at);
            if is_pending_first {
                return self.pending();
            }
            self.queue.pop();
            self.advance(at);
            let (_, period, ..) = SCHEDULE.get(entry)?;
            self.queue.push(Reverse((at + period, entry)));
            if let Some(frame) = self.scheduled(entry) {
                return Some(frame);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoder::{Content, Decoder, Output};
    use crate::diagnostics::Diagnostic;

    #[test]
    fn the_truck_is_decoded_without_an_error() {
        let mut decoder = Decoder::default();
        let (mut codes, mut vins, mut groups) = (0, 0, 0);
        let frames = Truck::new(42).take_while(|f| f.time() < Some(CanTime(180_000_000)));
        for frame in frames {
            decoder.push(&frame, CanTime(0));
            while let Some(output) = decoder.poll() {
                let Output::Message(message) = output else {
                    panic!("{output:?}")
                };
                groups += 1;
                assert_ne!(message.content, Content::Unknown);
                match &message.content {
                    Content::Diagnostic(Diagnostic::TroubleCodes(all)) => codes += all.codes.len(),
                    Content::Text(fields) => {
                        vins += 1;
                        assert_eq!(fields[0].text.as_deref(), Some("1M8GDM9AXKP000042"));
                    }
                    _ => {}
                }
            }
        }
        assert!((118..=120).contains(&codes), "{codes}");
        assert_eq!(vins, 18);
        assert!(groups > 25_000, "{groups}");
    }

    #[test]
    fn the_same_seed_gives_the_same_frames() {
        assert!(Truck::new(1).take(5000).eq(Truck::new(1).take(5000)));
        assert!(!Truck::new(1).take(5000).eq(Truck::new(2).take(5000)));
    }
}
