//! A position, and how far it can be trusted.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Altitude, Coordinates, Course, Dop, Speed, Timestamp};

/// How a position was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FixSource {
    /// A satellite receiver.
    Gnss,
    /// The device repeats a position it had earlier.
    LastKnown,
    /// Worked out from cell towers.
    Cell,
    /// Worked out from WiFi stations.
    Wifi,
}

/// A position that a device reported.
///
/// `valid` and `live` are two questions: whether the receiver had a fix, and whether it is from
/// now or from the device's buffer. What a device did not say is `None`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Fix {
    /// When the position held, if the device says so.
    pub time: Option<Timestamp>,
    /// Where.
    pub coordinates: Coordinates,
    /// Height above mean sea level.
    pub altitude: Option<Altitude>,
    /// Speed over ground.
    pub speed: Option<Speed>,
    /// Direction of travel; meaningless at speed 0.
    pub course: Option<Course>,
    /// Satellites used; some protocols cap the count (GT06 at 15).
    pub satellites: Option<u8>,
    /// Horizontal dilution of precision.
    pub hdop: Option<Dop>,
    /// Position dilution of precision.
    pub pdop: Option<Dop>,
    /// Whether the receiver said it had a fix.
    pub valid: bool,
    /// Live, or uploaded from the device's buffer; `None` where the message does not say.
    pub live: Option<bool>,
    /// How the position was found.
    pub source: FixSource,
}

impl Fix {
    /// A position with nothing known about it but whether the receiver vouched for it.
    #[inline]
    pub const fn new(coordinates: Coordinates, valid: bool, source: FixSource) -> Self {
        Self {
            time: None,
            coordinates,
            altitude: None,
            speed: None,
            course: None,
            satellites: None,
            hdop: None,
            pdop: None,
            valid,
            live: None,
            source,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Form {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time: Option<Timestamp>,
    latitude: f64,
    longitude: f64,
    #[serde(
        default,
        rename = "altitude_m",
        skip_serializing_if = "Option::is_none"
    )]
    altitude: Option<Altitude>,
    #[serde(default, rename = "speed_kmh", skip_serializing_if = "Option::is_none")]
    speed: Option<Speed>,
    #[serde(
        default,
        rename = "course_deg",
        skip_serializing_if = "Option::is_none"
    )]
    course: Option<Course>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    satellites: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hdop: Option<Dop>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pdop: Option<Dop>,
    valid: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    live: Option<bool>,
    source: FixSource,
}

impl Serialize for Fix {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        Form {
            time: self.time,
            latitude: self.coordinates.latitude(),
            longitude: self.coordinates.longitude(),
            altitude: self.altitude,
            speed: self.speed,
            course: self.course,
            satellites: self.satellites,
            hdop: self.hdop,
            pdop: self.pdop,
            valid: self.valid,
            live: self.live,
            source: self.source,
        }
        .serialize(s)
    }
}

impl<'de> Deserialize<'de> for Fix {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let f = Form::deserialize(d)?;
        Ok(Self {
            time: f.time,
            coordinates: Coordinates::from_degrees(f.latitude, f.longitude)
                .map_err(de::Error::custom)?,
            altitude: f.altitude,
            speed: f.speed,
            course: f.course,
            satellites: f.satellites,
            hdop: f.hdop,
            pdop: f.pdop,
            valid: f.valid,
            live: f.live,
            source: f.source,
        })
    }
}

/// A position after smoothing, beside the one that was reported.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Smoothed {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Smoothed speed over ground.
    #[serde(default, rename = "speed_kmh", skip_serializing_if = "Option::is_none")]
    pub speed: Option<Speed>,
    /// Smoothed direction of travel.
    #[serde(
        default,
        rename = "course_deg",
        skip_serializing_if = "Option::is_none"
    )]
    pub course: Option<Course>,
    /// The radius that holds the true position with a probability of 68 %, metres.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy_m: Option<f32>,
    /// Whether the vehicle is moving.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moving: Option<bool>,
    /// Whether the reported position contradicts the track.
    pub outlier: bool,
    /// Why the reported position was not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<Rejected>,
}

impl Smoothed {
    /// A smoothed position of which nothing else is known.
    pub fn new(at: Coordinates) -> Self {
        Self {
            latitude: at.latitude(),
            longitude: at.longitude(),
            speed: None,
            course: None,
            accuracy_m: None,
            moving: None,
            outlier: false,
            rejected: None,
        }
    }
}

/// Why a reported position is left out of the track. The report is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rejected {
    /// No vehicle can get there and back in the time between the fixes.
    Jump,
    /// An earlier record sent again under a new time.
    Replay,
    /// Latitude and longitude are both zero.
    Zero,
    /// The fix is dated after its arrival.
    Future,
    /// The fix is older than any buffer.
    Ancient,
    /// The position does not change although the vehicle moves.
    Frozen,
    /// The sign of latitude or longitude is wrong: a known fault of some devices.
    Hemisphere,
}
