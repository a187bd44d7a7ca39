//! Where a navigation unit on the bus says that the vehicle is.
//!
//! | group | gives |
//! |---|---|
//! | VP1 (65267) | latitude and longitude (SPN 584, 585) |
//! | VDS (65256) | course (SPN 165), speed over ground (517) and altitude (580) |
//!
//! - The position is the last one of its sender. Once the sender says that it has none (no receiver
//!   there, or no fix), there is none: an older one is not repeated. A code that is no value, or
//!   degrees that do not exist, are no position.
//! - `valid` is true and `source` satellites: the group has no flag for it, a unit without a fix
//!   sends "not available".
//! - `time` is the time stamp of the position's frame, if the carrier gives Unix time. The arrival
//!   is no time of a fix.
//! - Course, speed and altitude are those of the same sender, if they are within 5 s of the
//!   position; VP1 is sent every 5 s.
//! - Of several senders the one with the lowest address is taken.

use alloc::collections::BTreeMap;

use milepost_telemetry::{Altitude, Coordinates, Course, Fix, FixSource, Speed, Timestamp};

use super::{instant, narrow};
use crate::decoder::{Content, Head, Message};
use crate::transport::Stamp;

const VP1: u32 = 65_267;
const VDS: u32 = 65_256;

/// How far apart a position and a course may be.
const TOGETHER_MICROS: u64 = 5_000_000;

/// What the navigation units of a bus have said, by address.
#[derive(Debug, Default)]
pub(crate) struct Navigation(BTreeMap<u8, Unit>);

#[derive(Debug, Default)]
struct Unit {
    place: Option<(Coordinates, Stamp)>,
    motion: Option<(Motion, Stamp)>,
}

#[derive(Debug, Clone, Copy)]
struct Motion {
    course: Option<Course>,
    speed: Option<Speed>,
    altitude: Option<Altitude>,
}

/// A position whose time is not judged yet.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    fix: Fix,
    stamp: Stamp,
}

impl Found {
    /// The position of a report that was received then.
    pub(crate) fn at(&self, received_at: Timestamp) -> Fix {
        let mut fix = self.fix.clone();
        if !self.stamp.estimated {
            fix.time = instant(self.stamp.at).filter(|t| t.is_plausible_device_time(received_at));
        }
        fix
    }
}

impl Navigation {
    /// Takes a message, whatever it is.
    pub(crate) fn message(&mut self, message: &Message) {
        let (Head::Group(id), Content::Signals) = (message.head, &message.content) else {
            return;
        };
        let value = |spn: u32| {
            let sample = message.signals().find(|sample| sample.spn.number == spn)?;
            sample.reading.value()
        };
        match id.pgn.raw() {
            VP1 => {
                let place = value(584).zip(value(585));
                let place = place.and_then(|(lat, lon)| Coordinates::from_degrees(lat, lon).ok());
                let unit = self.0.entry(id.source).or_default();
                unit.place = place.map(|place| (place, message.stamp));
            }
            VDS => {
                let motion = Motion {
                    course: value(165).and_then(|v| Course::from_degrees(narrow(v)).ok()),
                    speed: value(517).and_then(|v| Speed::from_kmh(narrow(v)).ok()),
                    altitude: value(580).and_then(|v| Altitude::from_metres(narrow(v)).ok()),
                };
                self.0.entry(id.source).or_default().motion = Some((motion, message.stamp));
            }
            _ => {}
        }
    }

    /// The position since the last call. Courses are kept for the next one.
    pub(crate) fn take(&mut self) -> Option<Found> {
        let mut found = None;
        for unit in self.0.values_mut() {
            let Some((place, stamp)) = unit.place.take() else {
                continue;
            };
            let motion = unit.motion.filter(|(_, at)| {
                at.estimated == stamp.estimated
                    && at.at.as_micros().abs_diff(stamp.at.as_micros()) <= TOGETHER_MICROS
            });
            let mut fix = Fix::new(place, true, FixSource::Gnss);
            if let Some((motion, _)) = motion {
                fix.course = motion.course;
                fix.speed = motion.speed;
                fix.altitude = motion.altitude;
            }
            found.get_or_insert(Found { fix, stamp });
        }
        found
    }
}
