//! Drives with real kinematics, and what a receiver reports of them.

use std::f64::consts::{PI, TAU};

use super::parameters::{CAR, ORIGIN, Receiver};

/// A small generator with a fixed sequence, so that a table can be repeated anywhere.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform between two values.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// Standard normal.
    pub(crate) fn normal(&mut self) -> f64 {
        let (a, b) = (1.0 - self.uniform(), self.uniform());
        (-2.0 * a.ln()).sqrt() * (TAU * b).cos()
    }
}

/// Where the vehicle is at one second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Truth {
    /// Seconds since the start.
    pub(crate) time: f64,
    /// Metres east and north of the origin.
    pub(crate) east: f64,
    pub(crate) north: f64,
    /// Metres per second.
    pub(crate) speed: f64,
    /// Radians clockwise from north.
    pub(crate) course: f64,
    /// In a tunnel: nothing is received.
    pub(crate) hidden: bool,
}

/// One report: a row of the benchmark's input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) time: f64,
    pub(crate) latitude: f64,
    pub(crate) longitude: f64,
    pub(crate) speed_kmh: Option<f64>,
    pub(crate) course_deg: Option<f64>,
    pub(crate) hdop: Option<f64>,
    pub(crate) satellites: Option<u8>,
    pub(crate) truth_latitude: f64,
    pub(crate) truth_longitude: f64,
}

/// A piece of the way.
enum Piece {
    /// Metres, speed limit in m/s.
    Straight(f64, f64),
    /// Radius in metres (positive: to the right), angle in radians, speed limit.
    Arc(f64, f64, f64),
    /// Seconds.
    Stop(f64),
    /// Metres below ground, speed limit.
    Tunnel(f64, f64),
}

/// The driving profiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    City,
    Highway,
    Parking,
    Roundabout,
    UTurn,
    Hairpins,
    Tunnel,
}

impl Profile {
    pub(crate) const ALL: [Self; 7] = [
        Self::City,
        Self::Highway,
        Self::Parking,
        Self::Roundabout,
        Self::UTurn,
        Self::Hairpins,
        Self::Tunnel,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::City => "city",
            Self::Highway => "highway",
            Self::Parking => "parking",
            Self::Roundabout => "roundabout",
            Self::UTurn => "u-turn",
            Self::Hairpins => "hairpins",
            Self::Tunnel => "tunnel",
        }
    }

    fn piece(self, at: usize, random: &mut Random, out: &mut Vec<Piece>) {
        let turn = if random.uniform() < 0.5 { 1.0 } else { -1.0 };
        match self {
            Self::City => {
                out.push(Piece::Straight(random.between(80.0, 350.0), 13.9));
                if random.uniform() < 0.45 {
                    out.push(Piece::Stop(random.between(5.0, 50.0)));
                }
                if random.uniform() < 0.5 {
                    let radius = random.between(7.0, 15.0) * turn;
                    out.push(Piece::Arc(radius, PI / 2.0, 13.9));
                }
                if at % 12 == 11 {
                    out.push(Piece::Stop(random.between(90.0, 200.0)));
                }
            }
            Self::Highway => {
                let limit = random.between(25.0, 36.0);
                out.push(Piece::Straight(random.between(500.0, 3_000.0), limit));
                let radius = random.between(700.0, 3_000.0) * turn;
                out.push(Piece::Arc(radius, random.between(0.1, 0.6), limit));
            }
            Self::Parking => {
                out.push(Piece::Straight(random.between(300.0, 900.0), 13.9));
                out.push(Piece::Arc(6.0 * turn, PI / 2.0, 4.0));
                out.push(Piece::Straight(15.0, 3.0));
                out.push(Piece::Stop(random.between(600.0, 1_800.0)));
                out.push(Piece::Arc(6.0, PI, 3.0));
            }
            Self::Roundabout => {
                out.push(Piece::Straight(random.between(150.0, 300.0), 16.7));
                out.push(Piece::Arc(20.0, PI / 4.0, 9.0));
                let angle = PI / 2.0 * (1.0 + (random.uniform() * 4.0).floor()) + PI / 2.0;
                out.push(Piece::Arc(-18.0, angle, 8.0));
                out.push(Piece::Arc(20.0, PI / 4.0, 9.0));
            }
            Self::UTurn => {
                out.push(Piece::Straight(random.between(150.0, 500.0), 13.9));
                out.push(Piece::Arc(6.0 * turn, PI, 5.0));
            }
            Self::Hairpins => {
                out.push(Piece::Straight(random.between(80.0, 220.0), 16.7));
                let side = if at.is_multiple_of(2) { 1.0 } else { -1.0 };
                out.push(Piece::Arc(9.0 * side, PI * 0.95, 9.0));
            }
            Self::Tunnel => {
                out.push(Piece::Straight(random.between(400.0, 1_200.0), 22.2));
                out.push(Piece::Arc(300.0 * turn, 0.4, 22.2));
                out.push(Piece::Tunnel(random.between(300.0, 1_800.0), 22.2));
            }
        }
    }

    /// One drive, a value per second.
    pub(crate) fn drive(self, seconds: usize, random: &mut Random) -> Vec<Truth> {
        let mut pieces = vec![Piece::Stop(random.between(20.0, 60.0))];
        // The slowest profile takes at least 10 s per piece.
        for at in 0..seconds / 10 {
            self.piece(at, random, &mut pieces);
        }
        let mut drive = along(&pieces, random.between(0.0, TAU));
        drive.truncate(seconds);
        drive
    }
}

/// A metre of the way.
struct Metre {
    east: f64,
    north: f64,
    course: f64,
    limit: f64,
    hidden: bool,
    stop: f64,
}

fn along(pieces: &[Piece], mut course: f64) -> Vec<Truth> {
    let mut way: Vec<Metre> = Vec::new();
    let (mut east, mut north) = (0.0, 0.0);
    for piece in pieces {
        let (length, bend, limit, hidden) = match *piece {
            Piece::Straight(length, limit) => (length, 0.0, limit, false),
            Piece::Tunnel(length, limit) => (length, 0.0, limit, true),
            Piece::Arc(radius, angle, limit) => (
                radius.abs() * angle,
                1.0 / radius,
                limit.min((CAR.lateral * radius.abs()).sqrt()),
                false,
            ),
            Piece::Stop(seconds) => {
                if let Some(last) = way.last_mut() {
                    last.limit = 0.0;
                    last.stop = seconds;
                } else {
                    way.push(Metre {
                        east,
                        north,
                        course,
                        limit: 0.0,
                        hidden: false,
                        stop: seconds,
                    });
                }
                continue;
            }
        };
        for _ in 0..length.round() as usize {
            course += bend;
            east += course.sin();
            north += course.cos();
            way.push(Metre {
                east,
                north,
                course,
                limit,
                hidden,
                stop: 0.0,
            });
        }
    }
    // Braking in time, then accelerating as the car can.
    for i in (1..way.len()).rev() {
        let next = way[i].limit;
        way[i - 1].limit = way[i - 1].limit.min((next * next + 2.0 * CAR.brake).sqrt());
    }
    for i in 1..way.len() {
        let before = way[i - 1].limit;
        way[i].limit = way[i]
            .limit
            .min((before * before + 2.0 * CAR.accelerate).sqrt());
    }
    let mut out = Vec::new();
    let (mut clock, mut second) = (0.0, 0.0);
    for pair in way.windows(2) {
        let (a, b) = (&pair[0], &pair[1]);
        let mut emit = |until: f64, share: &dyn Fn(f64) -> f64| {
            while second < until {
                let s = share(second);
                out.push(Truth {
                    time: second,
                    east: a.east + (b.east - a.east) * s,
                    north: a.north + (b.north - a.north) * s,
                    speed: a.limit + (b.limit - a.limit) * s,
                    course: a.course + (b.course - a.course) * s,
                    hidden: a.hidden,
                });
                second += 1.0;
            }
        };
        if a.stop > 0.0 {
            emit(clock + a.stop, &|_| 0.0);
            clock += a.stop;
        }
        let took = 2.0 / (a.limit + b.limit).max(0.2);
        let start = clock;
        emit(clock + took, &|now| ((now - start) / took).clamp(0.0, 1.0));
        clock += took;
    }
    out
}

/// Metres per degree of latitude and longitude at the origin.
pub(crate) fn metres_per_degree() -> (f64, f64) {
    let north = 111_320.0;
    (north, north * ORIGIN.0.to_radians().cos())
}

/// Degrees of a place in metres.
pub(crate) fn degrees(east: f64, north: f64) -> (f64, f64) {
    let (per_north, per_east) = metres_per_degree();
    (ORIGIN.0 + north / per_north, ORIGIN.1 + east / per_east)
}

/// What the receiver reports of a drive, every `interval` seconds.
pub(crate) fn receive(
    drive: &[Truth],
    of: &Receiver,
    interval: usize,
    random: &mut Random,
) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut slow = (of.slow_m.0 * random.normal(), of.slow_m.0 * random.normal());
    let mut frozen: Option<(f64, f64, f64)> = None;
    let round = |value: f64, unit: f64| (value / unit).round() * unit;
    for (at, now) in drive.iter().enumerate() {
        let standing = now.speed < 0.2;
        let pick = |pair: (f64, f64)| if standing { pair.1 } else { pair.0 };
        let keep = (-1.0 / of.slow_s).exp();
        let push = pick(of.slow_m) * (1.0 - keep * keep).sqrt();
        if standing && of.slow_m.1 < of.slow_m.0 {
            // A chip that pins its position at a standstill wanders little from where it stopped.
            slow.0 += push * 0.3 * random.normal();
            slow.1 += push * 0.3 * random.normal();
        } else {
            slow.0 = slow.0 * keep + push * random.normal();
            slow.1 = slow.1 * keep + push * random.normal();
        }
        let white = pick(of.white_m);
        let (mut east, mut north) = (
            now.east + slow.0 + white * random.normal(),
            now.north + slow.1 + white * random.normal(),
        );
        let (wild, way, far) = (
            random.uniform() < of.outliers.0,
            random.between(0.0, TAU),
            random.between(of.outliers.1, of.outliers.2),
        );
        if wild {
            east += far * way.cos();
            north += far * way.sin();
        }
        let missing = random.uniform() < of.missing;
        let freezes = random.uniform() < of.frozen.0;
        let noise = (random.normal(), random.normal());
        if freezes && frozen.is_none() {
            frozen = Some((now.time + of.frozen.1, east, north));
        }
        match frozen {
            Some((until, e, n)) if now.time < until => (east, north) = (e, n),
            _ => frozen = None,
        }
        if !at.is_multiple_of(interval) || missing || now.hidden {
            continue;
        }
        let (latitude, longitude) = degrees(east, north);
        let (truth_latitude, truth_longitude) = degrees(now.east, now.north);
        let velocity = of.velocity.map(|sigma| {
            let e = now.speed * now.course.sin() + sigma * noise.0;
            let n = now.speed * now.course.cos() + sigma * noise.1;
            (e.hypot(n) * 3.6, e.atan2(n).to_degrees().rem_euclid(360.0))
        });
        let unit = &of.quantization;
        rows.push(Row {
            time: now.time + 1_700_000_000.0,
            latitude: round(latitude, unit.degrees),
            longitude: round(longitude, unit.degrees),
            speed_kmh: velocity.map(|v| round(v.0, unit.speed_kmh)),
            course_deg: velocity.map(|v| round(v.1, unit.course_deg)),
            hdop: of.quality.map(|q| q.0),
            satellites: of.quality.map(|q| q.1),
            truth_latitude,
            truth_longitude,
        });
    }
    rows
}
