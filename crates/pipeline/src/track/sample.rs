//! What goes in and what comes out.

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
            course: self
                .course
                .filter(|c| (-360.0..=720.0).contains(c)),
            hdop: self.hdop.filter(|h| h.is_finite()),
            satellites: self.satellites,
        })
    }

    /// The reported speed, unless no land vehicle goes as fast.
    pub(crate) fn believable_speed(&self) -> Option<f32> {
        self.speed.filter(|s| (0.0..=MAX_REPORTED_SPEED).contains(s))
    }
}

/// m/s; a faster reported speed is ignored, its position is not.
const MAX_REPORTED_SPEED: f32 = 125.0;

/// Why a position is kept but not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rejected {
    /// Too far from the places before and after.
    Jump,
    /// An old record with a new time.
    Replay,
    /// (0, 0).
    Zero,
    /// Ahead of its arrival.
    Future,
    /// Far before its arrival.
    Ancient,
    /// The position stays while the reported speed goes on.
    Frozen,
    /// A sign of the coordinates is flipped.
    Hemisphere,
}

impl Rejected {
    /// All reasons, in the order of [`Counts`](super::Counts).
    pub const ALL: [Self; 7] = [
        Self::Jump,
        Self::Replay,
        Self::Zero,
        Self::Future,
        Self::Ancient,
        Self::Frozen,
        Self::Hemisphere,
    ];

    /// The word in the JSON form.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jump => "jump",
            Self::Replay => "replay",
            Self::Zero => "zero",
            Self::Future => "future",
            Self::Ancient => "ancient",
            Self::Frozen => "frozen",
            Self::Hemisphere => "hemisphere",
        }
    }
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
