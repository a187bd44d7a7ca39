//! Trips and stops without holes, idling and distances.
//!
//! Only a move or a stop that lasts longer than its limit changes the state, so a halt at a light
//! does not cut a trip, and a few metres in a yard are none. A change is confirmed late and dated
//! back: a stop ends, and the trip starts, at the last record that stood; the trip ends, and the
//! stop starts, at the first record that stands. What lies between belongs to one of both, its
//! distance included.

use super::frame::distance_m;

/// Limits of motion and trips.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// A move that lasts so long is a trip, milliseconds.
    pub move_ms: i64,
    /// So is one that leads so far away, metres.
    pub move_m: f64,
    /// A standstill that lasts so long is a stop, milliseconds.
    pub stop_ms: i64,
    /// Standing with the ignition on for so long is idling, milliseconds.
    pub idle_ms: i64,
    /// A longer time without data ends a trip, milliseconds.
    pub gap_ms: i64,
    /// After a gap the vehicle is where it was if it is within this radius, metres.
    pub same_place_m: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            move_ms: 300_000,
            move_m: 500.0,
            stop_ms: 300_000,
            idle_ms: 180_000,
            gap_ms: 3_600_000,
            same_place_m: 200.0,
        }
    }
}

/// One record of a device, as motion sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Record {
    /// Unix time in milliseconds.
    pub time_ms: i64,
    /// The smoothed place in degrees; `None` if the position was rejected or is not new.
    pub place: Option<(f64, f64)>,
    /// The vehicle stands; `None` if the record does not say.
    pub stands: Option<bool>,
    /// Smoothed speed, m/s.
    pub speed: f32,
    /// Ignition, if known.
    pub ignition: Option<bool>,
    /// Odometer, metres; 0 is no reading.
    pub odometer_m: Option<f64>,
}

/// A trip or a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// Moving.
    Trip,
    /// Standing, or moving less than a trip.
    #[default]
    Stop,
}

/// One row of a device's trips and stops. Its id is the device and `from_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Leg {
    /// Trip or stop.
    pub kind: Kind,
    /// Start, Unix milliseconds.
    pub from_ms: i64,
    /// End; `None` while it goes on.
    pub to_ms: Option<i64>,
    /// Where it started, degrees.
    pub start: (f64, f64),
    /// Where it ended, or the last place.
    pub end: (f64, f64),
    /// Length of the smoothed path, metres; a data gap counts nothing.
    pub distance_m: f64,
    /// Distance by odometer, metres; `None` if there was none.
    pub odometer_m: Option<f64>,
    /// Highest smoothed speed that two successive records support, m/s.
    pub max_speed: f32,
    /// Standing with the ignition on, milliseconds.
    pub idle_ms: i64,
}

/// Something that motion found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MotionEvent {
    /// A trip has started; confirmed now, dated back.
    TripStart {
        /// When it started.
        at_ms: i64,
    },
    /// A trip has ended.
    TripEnd {
        /// The whole trip.
        trip: Leg,
    },
    /// A stop has started.
    StopStart {
        /// When it started.
        at_ms: i64,
    },
    /// A stop has ended.
    StopEnd {
        /// The whole stop.
        stop: Leg,
    },
    /// The engine idles.
    Idle {
        /// Since when.
        since_ms: i64,
    },
}

/// The events of one record: at most five, without a heap.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Events {
    events: [Option<MotionEvent>; 5],
}

impl Events {
    fn push(&mut self, event: MotionEvent) {
        if let Some(slot) = self.events.iter_mut().find(|slot| slot.is_none()) {
            *slot = Some(event);
        }
    }

    /// The events in order.
    pub fn iter(&self) -> impl Iterator<Item = MotionEvent> + '_ {
        self.events.iter().filter_map(|event| *event)
    }
}

/// What has been added up over a stretch.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Sums {
    pub(crate) distance: f32,
    /// Negative: no reading.
    pub(crate) odometer: f32,
    pub(crate) max_speed: f32,
    pub(crate) idle_ms: u32,
}

impl Sums {
    const NONE: Self = Self {
        distance: 0.0,
        odometer: -1.0,
        max_speed: 0.0,
        idle_ms: 0,
    };

    fn add(&mut self, other: &Self) {
        self.distance += other.distance;
        if other.odometer >= 0.0 {
            self.odometer = self.odometer.max(0.0) + other.odometer;
        }
        self.max_speed = self.max_speed.max(other.max_speed);
        self.idle_ms = self.idle_ms.saturating_add(other.idle_ms);
    }
}

/// The state of motion of one device.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Motion {
    /// Whether anything was seen.
    pub(crate) begun: bool,
    /// The open row: what it is, since when and from where.
    pub(crate) trip: bool,
    pub(crate) from_ms: i64,
    pub(crate) from: (i32, i32),
    pub(crate) sums: Sums,
    /// The last record with a place.
    pub(crate) last_ms: i64,
    pub(crate) last: (i32, i32),
    pub(crate) last_speed: f32,
    /// The vehicle stands, as the last record says.
    pub(crate) stands: bool,
    /// The run that contradicts the row (moving in a stop, standing in a trip).
    pub(crate) running: bool,
    pub(crate) run_ms: i64,
    pub(crate) run: (i32, i32),
    pub(crate) run_sums: Sums,
    /// The last good odometer reading, metres; negative: none.
    pub(crate) odometer: f64,
    /// Ignition and since when the vehicle idles; 0: it does not.
    pub(crate) ignition: Option<bool>,
    pub(crate) idle_ms: i64,
    pub(crate) idle_told: bool,
}

/// The state of motion as of a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Now {
    /// Nothing was heard for longer than the limit.
    Unknown,
    /// In a trip and moving.
    Moving,
    /// In a trip, at a halt that is no stop yet.
    Halted,
    /// Stopped.
    Stopped,
}

impl Motion {
    /// Takes the next record in the order of time.
    ///
    /// `relocated`: the way from the record before is not known (the vehicle was found at another
    /// place), and counts nothing.
    pub fn apply(&mut self, record: &Record, relocated: bool, limits: &Limits) -> Events {
        let mut events = Events::default();
        if record.ignition.is_some() {
            self.ignition = record.ignition;
        }
        if !self.begun && record.place.is_none() {
            return events;
        }
        // Without a position the vehicle is where it was.
        let here = record.place.map_or(self.last, fixed);
        if relocated {
            self.last = here;
        }
        if !self.begun {
            self.begin(record, here);
            events.push(MotionEvent::StopStart {
                at_ms: record.time_ms,
            });
            return events;
        }
        let elapsed = record.time_ms - self.last_ms;
        if elapsed < 0 {
            return events;
        }
        if elapsed > limits.gap_ms {
            self.after_gap(record, here, limits, &mut events);
            return events;
        }
        let stands = record.stands.unwrap_or(self.stands);
        let leg = self.leg(record, here, elapsed, stands);
        self.run_with(record, here, stands, &leg);
        self.idle(record, limits, &mut events);
        self.last_ms = record.time_ms;
        self.last = here;
        self.last_speed = record.speed;
        self.stands = stands;
        self.decide(limits, &mut events);
        events
    }

    /// The distance of what is open, metres.
    pub(crate) fn distance(&self) -> f64 {
        f64::from(self.sums.distance + self.run_sums.distance)
    }

    /// Takes back the way of positions that were believed wrongly.
    pub(crate) fn take_back(&mut self, metres: f64) {
        let metres = metres as f32;
        let of_run = metres.min(self.run_sums.distance);
        self.run_sums.distance -= of_run;
        self.sums.distance = (self.sums.distance - (metres - of_run)).max(0.0);
    }

    /// The open row.
    pub fn open(&self) -> Option<Leg> {
        let mut sums = self.sums;
        sums.add(&self.run_sums);
        self.begun.then(|| self.row(sums, None, self.last))
    }

    /// What is known as of a moment: after a long silence nothing is.
    pub fn now(&self, now_ms: i64, limits: &Limits) -> Now {
        if !self.begun || now_ms - self.last_ms > limits.gap_ms {
            Now::Unknown
        } else if !self.trip {
            Now::Stopped
        } else if self.stands {
            Now::Halted
        } else {
            Now::Moving
        }
    }

    /// A late fix between two known ones makes the way longer: adds the detour to what is open.
    /// `false` if its time lies before the open row, or if the detour is so large that trips must
    /// be found anew.
    pub(crate) fn detour(&mut self, time_ms: i64, metres: f64, limits: &Limits) -> bool {
        if !self.begun || time_ms < self.from_ms || metres > limits.move_m {
            return false;
        }
        if self.running && time_ms >= self.run_ms {
            if self.trip {
                return metres <= limits.same_place_m;
            }
            self.run_sums.distance += metres as f32;
        } else if self.trip {
            self.sums.distance += metres as f32;
        }
        true
    }

    fn begin(&mut self, record: &Record, here: (i32, i32)) {
        *self = Self {
            begun: true,
            from_ms: record.time_ms,
            from: here,
            sums: Sums::NONE,
            run_sums: Sums::NONE,
            last_ms: record.time_ms,
            last: here,
            last_speed: record.speed,
            stands: true,
            odometer: record.odometer_m.filter(|m| *m > 0.0).unwrap_or(-1.0),
            ignition: self.ignition,
            ..Self::default()
        };
    }

    /// The way from the record before.
    fn leg(&mut self, record: &Record, here: (i32, i32), elapsed: i64, stands: bool) -> Sums {
        // Standing twice is no way, whatever the estimate does.
        let distance = if stands && self.stands {
            0.0
        } else {
            distance_m(degrees(self.last), degrees(here))
        };
        Sums {
            distance: distance as f32,
            odometer: self.odometer_leg(record, elapsed),
            // A single high speed may be an error; two in a row are not.
            max_speed: record.speed.min(self.last_speed),
            idle_ms: if self.ignition == Some(true) && stands && self.stands {
                u32::try_from(elapsed).unwrap_or(u32::MAX)
            } else {
                0
            },
        }
    }

    /// 0 and a falling reading are no data, and neither is more than a vehicle can drive.
    fn odometer_leg(&mut self, record: &Record, elapsed: i64) -> f32 {
        let Some(reading) = record.odometer_m.filter(|m| *m > 0.0) else {
            return -1.0;
        };
        let before = std::mem::replace(&mut self.odometer, reading);
        let way = reading - before;
        let possible = 1_000.0 + 0.070 * elapsed as f64;
        if before > 0.0 && (0.0..=possible).contains(&way) {
            way as f32
        } else {
            -1.0
        }
    }

    fn run_with(&mut self, record: &Record, here: (i32, i32), stands: bool, leg: &Sums) {
        let contradicts = stands == self.trip;
        if contradicts {
            if !self.running {
                self.running = true;
                self.run_sums = Sums::NONE;
                if stands {
                    // A halt starts at the first record that stands; the way to it is the trip's.
                    self.sums.add(leg);
                    (self.run_ms, self.run) = (record.time_ms, here);
                    return;
                }
                // A move starts at the last record that stood.
                (self.run_ms, self.run) = (self.last_ms, self.last);
            }
            self.run_sums.add(leg);
        } else {
            if self.running {
                // Too short: it belongs to the row after all.
                let sums = self.run_sums;
                self.sums.add(&sums);
                self.running = false;
                self.run_sums = Sums::NONE;
            }
            self.sums.add(leg);
        }
    }

    fn decide(&mut self, limits: &Limits, events: &mut Events) {
        if !self.running {
            return;
        }
        let lasted = self.last_ms - self.run_ms;
        if self.trip {
            if lasted >= limits.stop_ms {
                self.change(events);
            }
        } else {
            let away = distance_m(degrees(self.run), degrees(self.last));
            if away >= limits.move_m || lasted >= limits.move_ms {
                self.change(events);
            }
        }
    }

    /// The run becomes the open row.
    fn change(&mut self, events: &mut Events) {
        let closed = self.row(self.sums, Some(self.run_ms), self.run);
        let at_ms = self.run_ms;
        if self.trip {
            events.push(MotionEvent::TripEnd { trip: closed });
            events.push(MotionEvent::StopStart { at_ms });
        } else {
            events.push(MotionEvent::StopEnd { stop: closed });
            events.push(MotionEvent::TripStart { at_ms });
        }
        self.trip = !self.trip;
        self.from_ms = self.run_ms;
        self.from = self.run;
        self.sums = self.run_sums;
        self.run_sums = Sums::NONE;
        self.running = false;
    }

    /// A gap ends a trip at the last record before it. The stop that follows lasts until the
    /// vehicle is seen again; if it is elsewhere then, another one starts there.
    fn after_gap(
        &mut self,
        record: &Record,
        here: (i32, i32),
        limits: &Limits,
        events: &mut Events,
    ) {
        let mut sums = self.sums;
        if self.running && !self.trip {
            // An unfinished move is too short to be a trip.
            sums.add(&self.run_sums);
        } else if self.running {
            self.change(events);
            sums = self.sums;
        }
        self.running = false;
        self.run_sums = Sums::NONE;
        self.sums = sums;
        if self.trip {
            let trip = self.row(sums, Some(self.last_ms), self.last);
            events.push(MotionEvent::TripEnd { trip });
            events.push(MotionEvent::StopStart {
                at_ms: self.last_ms,
            });
            self.trip = false;
            self.from_ms = self.last_ms;
            self.from = self.last;
            self.sums = Sums::NONE;
        }
        let moved = distance_m(degrees(self.last), degrees(here));
        if moved > limits.same_place_m {
            let stop = self.row(self.sums, Some(record.time_ms), self.last);
            events.push(MotionEvent::StopEnd { stop });
            events.push(MotionEvent::StopStart {
                at_ms: record.time_ms,
            });
            self.from_ms = record.time_ms;
            self.from = here;
            self.sums = Sums::NONE;
        }
        let _ = self.odometer_leg(record, record.time_ms - self.last_ms);
        self.last_ms = record.time_ms;
        self.last = here;
        self.last_speed = record.speed;
        self.stands = true;
        self.idle_ms = 0;
        self.idle_told = false;
    }

    fn idle(&mut self, record: &Record, limits: &Limits, events: &mut Events) {
        let stands = record.stands.unwrap_or(self.stands);
        if self.ignition != Some(true) || !stands || !self.begun {
            self.idle_ms = 0;
            self.idle_told = false;
            return;
        }
        if self.idle_ms == 0 {
            self.idle_ms = record.time_ms;
        }
        if !self.idle_told && record.time_ms - self.idle_ms >= limits.idle_ms {
            self.idle_told = true;
            events.push(MotionEvent::Idle {
                since_ms: self.idle_ms,
            });
        }
    }

    fn row(&self, sums: Sums, to_ms: Option<i64>, end: (i32, i32)) -> Leg {
        Leg {
            kind: if self.trip { Kind::Trip } else { Kind::Stop },
            from_ms: self.from_ms,
            to_ms,
            start: degrees(self.from),
            end: degrees(end),
            distance_m: f64::from(sums.distance),
            odometer_m: (sums.odometer >= 0.0).then_some(f64::from(sums.odometer)),
            max_speed: sums.max_speed,
            idle_ms: i64::from(sums.idle_ms),
        }
    }
}

fn fixed(place: (f64, f64)) -> (i32, i32) {
    (
        (place.0 * 1e7).round() as i32,
        (place.1 * 1e7).round() as i32,
    )
}

fn degrees(place: (i32, i32)) -> (f64, f64) {
    (f64::from(place.0) * 1e-7, f64::from(place.1) * 1e-7)
}
