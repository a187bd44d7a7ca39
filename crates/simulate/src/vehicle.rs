//! A vehicle on the roads: it keeps to speed limits, slows down for bends, stops at lights and
//! stop signs, and parks. No clock, no I/O: the same seed drives the same trips.

use std::sync::Arc;

use super::random::Random;
use super::road::{Control, Edge, Leg, Node, Roads, Route};

/// Motion is computed in steps of this many milliseconds.
const STEP_MS: u64 = 250;
const STEP: f64 = STEP_MS as f64 / 1_000.0;

/// Limits of the motion, in m/s².
pub(crate) const MAX_ACCELERATION: f64 = 2.0;
pub(crate) const MAX_BRAKING: f64 = 3.0;
/// What a driver plans to brake with, so that the limit is never needed.
const PLANNED_BRAKING: f64 = 2.0;
/// What a driver is ready to brake with when a light turns red.
const RED_LIGHT_BRAKING: f64 = 2.6;
/// This near to a stopping point is there, in metres.
const AT_THE_LINE: f64 = 1.0;
/// How long a stop sign holds a vehicle, in milliseconds.
const STOP_SIGN_MS: u64 = 1_500;
/// A light's full cycle, in milliseconds.
const LIGHT_CYCLE_MS: u64 = 32_000;

/// How long vehicles stay where a trip ends, in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parking {
    pub(crate) shortest: f64,
    pub(crate) longest: f64,
}

/// What the vehicle's instruments show.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Observation {
    /// In degrees.
    pub(crate) latitude: f64,
    pub(crate) longitude: f64,
    pub(crate) speed_kmh: f64,
    /// Degrees clockwise from north.
    pub(crate) course: f64,
    pub(crate) ignition: bool,
    pub(crate) odometer_m: f64,
}

#[derive(Debug)]
enum State {
    Parked {
        at: Node,
        until_ms: u64,
        course: f64,
    },
    Driving {
        route: Route,
        /// The current leg, and how far the vehicle is on it.
        leg: usize,
        along: f64,
        /// Standing at a stop sign since.
        standing_since_ms: Option<u64>,
        /// The leg at whose end the stop sign has been honoured.
        honoured: Option<usize>,
    },
}

/// A vehicle with its driver.
#[derive(Debug)]
pub(crate) struct Vehicle {
    roads: Arc<Roads>,
    random: Random,
    parking: Parking,
    state: State,
    /// In m/s.
    speed: f64,
    odometer_m: f64,
    now_ms: u64,
    /// Habits: which share of the limit, and of the greatest acceleration, the driver uses.
    haste: f64,
    vigour: f64,
}

impl Vehicle {
    /// A vehicle somewhere on the map. Vehicles of different `number` do not move in step: each
    /// has been under way for a while when the time is 0.
    pub(crate) fn new(roads: Arc<Roads>, seed: u64, number: u64, parking: Parking) -> Self {
        let mut random = Random::new(seed, number);
        let at = random.index(roads.len());
        let mut vehicle = Self {
            parking,
            state: State::Parked {
                at,
                until_ms: 0,
                course: 0.0,
            },
            speed: 0.0,
            odometer_m: random.between(2_000_000.0, 180_000_000.0).floor(),
            now_ms: 0,
            haste: random.between(0.86, 1.0),
            vigour: random.between(0.6, 1.0),
            roads,
            random,
        };
        let warm_up = vehicle.random.between(60_000.0, 900_000.0);
        while (vehicle.now_ms as f64) < warm_up {
            vehicle.step();
        }
        // Lights go by the common time, so the vehicle's time starts with everybody's.
        let passed = vehicle.now_ms;
        vehicle.now_ms = 0;
        match &mut vehicle.state {
            State::Parked { until_ms, .. } => *until_ms = until_ms.saturating_sub(passed),
            State::Driving {
                standing_since_ms, ..
            } => *standing_since_ms = standing_since_ms.map(|_| 0),
        }
        vehicle
    }

    /// Drives until `now_ms` milliseconds after the start.
    pub(crate) fn advance_to(&mut self, now_ms: u64) {
        while self.now_ms + STEP_MS <= now_ms {
            self.step();
        }
    }

    /// What a tracker in the vehicle sees.
    pub(crate) fn observe(&self) -> Observation {
        let (place, course, ignition) = match &self.state {
            State::Parked { at, course, .. } => (self.roads.point(*at), *course, false),
            State::Driving {
                route, leg, along, ..
            } => match route.get(*leg) {
                Some(leg) => (self.roads.place(&leg.edge, *along), leg.edge.bearing, true),
                None => (self.roads.point(0), 0.0, true),
            },
        };
        let (latitude, longitude) = self.roads.degrees(place);
        Observation {
            latitude,
            longitude,
            speed_kmh: self.speed * 3.6,
            course,
            ignition,
            odometer_m: self.odometer_m,
        }
    }

    fn step(&mut self) {
        self.now_ms += STEP_MS;
        if let State::Parked { at, until_ms, .. } = self.state {
            if self.now_ms >= until_ms {
                self.set_out(at);
            }
            return;
        }
        self.drive();
    }

    /// Chooses where to go next, not too near.
    fn set_out(&mut self, at: Node) {
        let far_enough = |route: &Route| {
            let metres: f64 = route.iter().map(|leg| leg.edge.length).sum();
            metres > 3_000.0
        };
        let mut route = Route::new();
        for _ in 0..8 {
            let to = self.random.index(self.roads.len());
            route = self.roads.route(at, to);
            if far_enough(&route) {
                break;
            }
        }
        if !route.is_empty() {
            self.state = State::Driving {
                route,
                leg: 0,
                along: 0.0,
                standing_since_ms: None,
                honoured: None,
            };
        }
    }

    fn drive(&mut self) {
        let State::Driving {
            route,
            leg,
            along,
            standing_since_ms,
            honoured,
        } = &mut self.state
        else {
            return;
        };
        let target = target_speed(
            &self.roads,
            route,
            *leg,
            *along,
            self.speed,
            self.haste,
            *honoured,
            self.now_ms,
        );
        let before = self.speed;
        self.speed = target.clamp(
            (before - MAX_BRAKING * STEP).max(0.0),
            before + MAX_ACCELERATION * self.vigour * STEP,
        );
        let moved = (before + self.speed) / 2.0 * STEP;
        *along += moved;
        self.odometer_m += moved;

        while let Some(current) = route.get(*leg)
            && *along >= current.edge.length
            && *leg + 1 < route.len()
        {
            *along -= current.edge.length;
            *leg += 1;
        }
        if self.speed > 0.0 {
            *standing_since_ms = None;
            return;
        }

        // Standing: at the end of the trip, at a stop sign, or at a red light.
        let Some(current) = route.get(*leg) else {
            return;
        };
        if current.edge.length - *along > AT_THE_LINE {
            return;
        }
        if *leg + 1 == route.len() {
            let (at, course) = (current.edge.to, current.edge.bearing);
            let stay = self
                .random
                .between(self.parking.shortest, self.parking.longest);
            // Seconds to milliseconds; a stay is small and not negative.
            let stay_ms = std::time::Duration::try_from_secs_f64(stay)
                .map_or(0, |stay| u64::try_from(stay.as_millis()).unwrap_or(0));
            self.state = State::Parked {
                at,
                until_ms: self.now_ms + stay_ms,
                course,
            };
        } else if self.roads.control(current.edge.to) == Some(Control::Stop) {
            let since = *standing_since_ms.get_or_insert(self.now_ms);
            if self.now_ms >= since + STOP_SIGN_MS {
                *honoured = Some(*leg);
            }
        }
    }
}

/// The speed to strive for: the limit here, and low enough to brake in time for all that lies
/// ahead.
#[expect(
    clippy::too_many_arguments,
    reason = "the parts of a vehicle that is borrowed in pieces"
)]
fn target_speed(
    roads: &Roads,
    route: &[Leg],
    leg: usize,
    along: f64,
    speed: f64,
    haste: f64,
    honoured: Option<usize>,
    now_ms: u64,
) -> f64 {
    let horizon = speed * speed / (2.0 * PLANNED_BRAKING) + 30.0;
    let mut target = f64::INFINITY;
    let mut to_end = -along;
    for (index, ahead) in route.iter().enumerate().skip(leg) {
        if index == leg {
            target = ahead.edge.limit * haste;
        }
        to_end += ahead.edge.length;
        // Braking is judged by where the vehicle will be after this step, so that it is never a
        // step late; whether to brake for a red light by where it is, so that who once brakes for
        // it does not change his mind.
        let distance = (to_end - speed * STEP).max(0.0);
        let must_stop = index + 1 == route.len()
            || match roads.control(ahead.edge.to) {
                Some(Control::Stop) => honoured != Some(index),
                Some(Control::Light) => {
                    is_red(&ahead.edge, now_ms) && speed * speed <= 2.0 * RED_LIGHT_BRAKING * to_end
                }
                None => false,
            };
        let allowed = if must_stop && to_end <= AT_THE_LINE {
            0.0
        } else {
            let end_speed = if must_stop { 0.0 } else { ahead.end_speed };
            (end_speed * end_speed + 2.0 * PLANNED_BRAKING * distance).sqrt()
        };
        target = target.min(allowed);
        if to_end > horizon {
            break;
        }
    }
    target
}

/// Whether the light at the end of `edge` is red for who comes along it. Lights change between
/// the two axes of a crossing; each crossing has its own phase.
fn is_red(edge: &Edge, now_ms: u64) -> bool {
    let north_south = (edge.bearing % 180.0 - 90.0).abs() > 45.0;
    let phase = u64::try_from(edge.to).unwrap_or(0) * 7_000;
    let first_half = (now_ms + phase) % LIGHT_CYCLE_MS < LIGHT_CYCLE_MS / 2;
    north_south != first_half
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Parking = Parking {
        shortest: 8.0,
        longest: 20.0,
    };

    fn fleet(seed: u64, count: u64) -> Vec<Vehicle> {
        (0..count)
            .map(|number| Vehicle::new(Roads::built_in(), seed, number, SHORT))
            .collect()
    }

    fn edge_of(vehicle: &Vehicle) -> Option<Edge> {
        match &vehicle.state {
            State::Driving { route, leg, .. } => Some(route[*leg].edge),
            State::Parked { .. } => None,
        }
    }

    #[test]
    fn the_same_seed_drives_the_same_trips() {
        let drive = |seed| {
            let mut vehicle = Vehicle::new(Roads::built_in(), seed, 3, SHORT);
            vehicle.advance_to(1_234_567);
            vehicle.observe()
        };
        assert_eq!(drive(1), drive(1));
        assert_ne!(drive(1), drive(2));
    }

    #[test]
    fn how_often_one_looks_changes_nothing() {
        let mut seldom = Vehicle::new(Roads::built_in(), 1, 3, SHORT);
        let mut often = Vehicle::new(Roads::built_in(), 1, 3, SHORT);
        for now in (0..=600_000).step_by(170) {
            often.advance_to(now);
        }
        seldom.advance_to(600_000);
        often.advance_to(600_000);
        assert_eq!(seldom.observe(), often.observe());
    }

    #[test]
    fn speed_changes_stay_within_the_limits_of_the_motion() {
        for mut vehicle in fleet(11, 20) {
            for _ in 0..4_000 {
                let before = vehicle.speed;
                vehicle.step();
                let change = (vehicle.speed - before) / STEP;
                assert!(change <= MAX_ACCELERATION + 1e-9, "{change}");
                assert!(change >= -MAX_BRAKING - 1e-9, "{change}");
            }
        }
    }

    #[test]
    fn no_vehicle_is_faster_than_its_road_allows() {
        for mut vehicle in fleet(12, 20) {
            for _ in 0..4_000 {
                vehicle.step();
                if let Some(edge) = edge_of(&vehicle) {
                    assert!(vehicle.speed <= edge.limit + 0.01, "{}", vehicle.speed);
                }
            }
        }
    }

    #[test]
    fn bends_are_taken_at_their_speed_and_red_lights_are_not_run() {
        let mut passed_lights = 0;
        for mut vehicle in fleet(13, 30) {
            for _ in 0..4_000 {
                let before = match &vehicle.state {
                    State::Driving { route, leg, .. } => Some((*leg, route[*leg])),
                    State::Parked { .. } => None,
                };
                let (speed_before, now) = (vehicle.speed, vehicle.now_ms + STEP_MS);
                vehicle.step();
                let after = match &vehicle.state {
                    State::Driving { leg, .. } => Some(*leg),
                    State::Parked { .. } => None,
                };
                let (Some((leg, passed)), Some(after)) = (before, after) else {
                    continue;
                };
                if after == leg {
                    continue;
                }
                assert!(vehicle.speed <= passed.end_speed + 0.6, "{}", vehicle.speed);
                if vehicle.roads.control(passed.edge.to) == Some(Control::Light) {
                    passed_lights += 1;
                    // Who could still stop when it turned red has stopped. From 70 km/h, slowing
                    // down to turn, the others need up to seven seconds to the line.
                    let turned_red_just_now = !is_red(&passed.edge, now.saturating_sub(7_000));
                    assert!(
                        !is_red(&passed.edge, now) || turned_red_just_now,
                        "ran a red light at {speed_before} m/s"
                    );
                }
            }
        }
        assert!(passed_lights > 20, "{passed_lights}");
    }

    #[test]
    fn every_position_is_on_a_road() {
        let roads = Roads::built_in();
        for mut vehicle in fleet(14, 10) {
            for now in (0..600_000).step_by(5_000) {
                vehicle.advance_to(now);
                let seen = vehicle.observe();
                let on_a_road = (0..roads.len()).any(|node| {
                    roads.leaving(node).iter().any(|edge| {
                        distance_to(&roads, edge, (seen.latitude, seen.longitude)) < 0.5
                    })
                });
                assert!(on_a_road, "{seen:?}");
            }
        }
    }

    /// In metres, from a position in degrees to a piece of road.
    fn distance_to(roads: &Roads, edge: &Edge, at: (f64, f64)) -> f64 {
        let (a, b) = (
            roads.degrees(roads.point(edge.from)),
            roads.degrees(roads.point(edge.to)),
        );
        let shrink = a.0.to_radians().cos();
        let flat = |p: (f64, f64)| ((p.1 - a.1) * 111_195.0 * shrink, (p.0 - a.0) * 111_195.0);
        let ((bx, by), (px, py)) = (flat(b), flat(at));
        let share = ((px * bx + py * by) / (bx * bx + by * by)).clamp(0.0, 1.0);
        (px - bx * share).hypot(py - by * share)
    }

    #[test]
    fn vehicles_stop_park_and_set_out_again() {
        let (mut parked, mut trips) = (0, 0);
        for mut vehicle in fleet(15, 10) {
            let mut was_parked = false;
            for _ in 0..8_000 {
                vehicle.step();
                let is_parked = matches!(vehicle.state, State::Parked { .. });
                if is_parked {
                    assert!(!vehicle.observe().ignition);
                    assert!(vehicle.speed.abs() < f64::EPSILON);
                }
                parked += usize::from(is_parked && !was_parked);
                trips += usize::from(!is_parked && was_parked);
                was_parked = is_parked;
            }
        }
        assert!(parked >= 20 && trips >= 20, "{parked} {trips}");
    }

    #[test]
    fn with_short_stays_four_in_five_of_fifty_are_moving_at_any_time() {
        let mut fleet = fleet(1, 50);
        let mut fewest = 50;
        for now in (0..1_800_000).step_by(2_000) {
            let moving = fleet
                .iter_mut()
                .filter_map(|vehicle| {
                    vehicle.advance_to(now);
                    (vehicle.observe().speed_kmh.round() > 0.0).then_some(())
                })
                .count();
            fewest = fewest.min(moving);
        }
        assert!(fewest >= 40, "only {fewest} of 50 were moving");
    }
}
