//! What goes in and what comes out.

use milepost_telemetry::{Coordinates, Course, FixSource, Rejected, Report, Smoothed, Speed};

use super::filter::Fix;

/// How a position was found, as far as smoothing cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Source {
    /// A satellite receiver: moves the filter.
    #[default]
    Gnss,
    /// The device repeats an earlier position: does not move the filter.
    LastKnown,
    /// Cell towers or WiFi: does not move the filter.
    Network,
}

/// One report, reduced to what smoothing needs.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sample {
    /// When it held: Unix time in milliseconds.
    pub time_ms: i64,
    /// When it arrived, if known; without it no time is called future or ancient.
    pub received_ms: Option<i64>,
    /// Degrees north and east; `None` for a report without a position.
    pub position: Option<(f64, f64)>,
    /// Reported speed over ground, m/s.
    pub speed: Option<f32>,
    /// Reported course, degrees clockwise from north.
    pub course: Option<f32>,
    /// Horizontal dilution of precision.
    pub hdop: Option<f32>,
    /// Satellites used.
    pub satellites: Option<u8>,
    /// How the position was found.
    pub source: Source,
    /// The receiver said that it had no fix.
    pub invalid: bool,
    /// Ignition, if the report says.
    pub ignition: Option<bool>,
    /// Odometer or CAN distance, metres, if the report says; 0 is no reading.
    pub odometer_m: Option<f64>,
}

impl Sample {
    /// What smoothing needs of a report.
    pub fn of(report: &Report) -> Self {
        let fix = report.fix.as_ref();
        Self {
            time_ms: report.time.as_millis(),
            received_ms: Some(report.received_at.as_millis()),
            position: fix.map(|f| (f.coordinates.latitude(), f.coordinates.longitude())),
            speed: fix.and_then(|f| f.speed).map(|s| s.as_kmh() / 3.6),
            course: fix.and_then(|f| f.course).map(Course::as_degrees),
            hdop: fix.and_then(|f| f.hdop).map(|d| d.value()),
            satellites: fix.and_then(|f| f.satellites),
            source: match fix.map(|f| f.source) {
                None | Some(FixSource::Gnss) => Source::Gnss,
                Some(FixSource::LastKnown) => Source::LastKnown,
                Some(_) => Source::Network,
            },
            invalid: fix.is_some_and(|f| !f.valid),
            ignition: report.io.ignition,
            odometer_m: report.odometer.map(|o| o.as_metres()),
        }
    }

    /// The position as the filter takes it; `None` if there is none that a filter may use.
    pub(crate) fn fix(&self) -> Option<Fix> {
        let (latitude, longitude) = self.position?;
        let usable = self.source == Source::Gnss && !self.invalid;
        let on_earth = (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude);
        if !usable || !on_earth {
            return None;
        }
        Some(Fix {
            time_ms: self.time_ms,
            latitude,
            longitude,
            speed: self.believable_speed(),
            course: self.course.filter(|c| (-360.0..=720.0).contains(c)),
            hdop: self.hdop.filter(|h| h.is_finite()),
            satellites: self.satellites,
        })
    }

    /// The reported speed, unless no land vehicle goes as fast.
    pub(crate) fn believable_speed(&self) -> Option<f32> {
        self.speed
            .filter(|s| (0.0..=MAX_REPORTED_SPEED).contains(s))
    }
}

/// m/s; a faster reported speed is ignored, its position is not.
const MAX_REPORTED_SPEED: f32 = 125.0;

/// The reasons for which a position is kept but not used; the place in this list is the number in
/// a snapshot and in [`Counts`](super::Counts), so it never changes.
pub const REASONS: [Rejected; 7] = [
    Rejected::Jump,
    Rejected::Replay,
    Rejected::Zero,
    Rejected::Future,
    Rejected::Ancient,
    Rejected::Frozen,
    Rejected::Hemisphere,
];

/// The place of a reason in [`REASONS`]; a reason that this version does not know is counted with
/// the jumps.
pub(crate) fn number(reason: Rejected) -> usize {
    REASONS.iter().position(|r| *r == reason).unwrap_or(0)
}

/// The estimate that belongs to one sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Speed over ground, m/s.
    pub speed: f32,
    /// Direction of travel, degrees clockwise from north; `None` at a standstill.
    pub course: Option<f32>,
    /// 68 % of the true positions lie within this radius, metres.
    pub accuracy_m: f32,
    /// The vehicle drives, as against standing (or being carried at walking pace).
    pub moving: bool,
    /// The reported position was not used, or counted for next to nothing.
    pub outlier: bool,
    /// Why the reported position was not used.
    pub rejected: Option<Rejected>,
}

impl Estimate {
    /// The form in which a report carries it; `None` if the place is none, which does not happen.
    pub fn smoothed(&self) -> Option<Smoothed> {
        let at = Coordinates::from_degrees(self.latitude, self.longitude).ok()?;
        let mut smoothed = Smoothed::new(at);
        smoothed.speed = Speed::from_kmh(self.speed * 3.6).ok();
        smoothed.course = self.course.and_then(|c| Course::from_degrees(c).ok());
        smoothed.accuracy_m = Some(self.accuracy_m);
        smoothed.moving = Some(self.moving);
        smoothed.outlier = self.outlier;
        smoothed.rejected = self.rejected;
        Some(smoothed)
    }
}
