//! G12 and G18: a position, and a position with its time.
//!
//! | offset | length | field | meaning |
//! |---|---|---|---|
//! | 0 | 1 | satellites | low nibble: satellites used, 15 means 15 or more; high nibble: nothing reliable |
//! | 1 | 4 | latitude | degrees × 1 800 000, unsigned |
//! | 5 | 4 | longitude | degrees × 1 800 000, unsigned |
//! | 9 | 1 | speed | km/h |
//! | 10 | 2 | course and status | [`CourseStatus`] |

use alloc::format;
use core::fmt;

use bytes::{BufMut, BytesMut};

use super::{CourseStatus, DateTime};
use crate::DecodeError;
use crate::parse::{Reader, Trace};

/// A position as sent (G12).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Position {
    /// Low nibble: satellites used.
    pub raw_satellites: u8,
    /// Degrees × 1 800 000; the hemisphere is in `course_status`.
    pub raw_latitude: u32,
    /// Degrees × 1 800 000; the hemisphere is in `course_status`.
    pub raw_longitude: u32,
    /// Kilometres per hour.
    pub raw_speed: u8,
    /// Course, hemispheres, validity.
    pub course_status: CourseStatus,
}

/// Steps per degree.
const STEPS: f64 = 1_800_000.0;
const MAX_LATITUDE: u32 = 90 * 1_800_000;
const MAX_LONGITUDE: u32 = 180 * 1_800_000;

impl Position {
    /// A valid fix from degrees, north and east positive, rounded to the protocol's steps of
    /// about 6 cm. `None` if it is not on Earth.
    ///
    /// ```
    /// use milepost_protocol_gt06::field::Position;
    /// let p = Position::from_degrees(-33.86, 151.21, 40, 90, 9).expect("on Earth");
    /// assert!(!p.course_status.is_north());
    /// assert_eq!(p.course_status.raw_course(), 90);
    /// assert!((p.latitude() + 33.86).abs() < 1e-6);
    /// ```
    #[must_use]
    pub fn from_degrees(
        latitude: f64,
        longitude: f64,
        speed_kmh: u8,
        course_deg: u16,
        satellites: u8,
    ) -> Option<Self> {
        if !(-90.0..=90.0).contains(&latitude) || !(-180.0..=180.0).contains(&longitude) {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked above: within 0 to 180 degrees, so far below 2^32"
        )]
        let steps = |degrees: f64| (degrees.abs() * STEPS + 0.5) as u32;
        Some(Self {
            raw_satellites: 0xc0 | satellites.min(15),
            raw_latitude: steps(latitude),
            raw_longitude: steps(longitude),
            raw_speed: speed_kmh,
            course_status: CourseStatus::new(course_deg, latitude >= 0.0, longitude < 0.0, true),
        })
    }

    /// Degrees north of the equator, as sent.
    #[must_use]
    pub fn latitude(&self) -> f64 {
        let degrees = f64::from(self.raw_latitude) / STEPS;
        if self.course_status.is_north() {
            degrees
        } else {
            -degrees
        }
    }

    /// Degrees east of Greenwich, as sent.
    #[must_use]
    pub fn longitude(&self) -> f64 {
        let degrees = f64::from(self.raw_longitude) / STEPS;
        if self.course_status.is_west() {
            -degrees
        } else {
            degrees
        }
    }

    /// Satellites used; 15 means 15 or more.
    #[inline]
    #[must_use]
    pub const fn satellites(&self) -> u8 {
        self.raw_satellites & 0x0f
    }

    /// Whether there are no coordinates: both zero, which is how a receiver without a fix
    /// fills them.
    #[inline]
    #[must_use]
    pub const fn is_nowhere(&self) -> bool {
        self.raw_latitude == 0 && self.raw_longitude == 0
    }

    /// Whether the coordinates are ones, zeros included.
    pub(crate) const fn is_on_earth(&self) -> bool {
        self.raw_latitude <= MAX_LATITUDE && self.raw_longitude <= MAX_LONGITUDE
    }

    /// Reads the block. Coordinates off the Earth are kept as sent, and are no position in a report.
    ///
    /// # Errors
    /// When bytes are missing.
    #[inline]
    pub fn decode<T: Trace>(r: &mut Reader<'_, T>) -> Result<Self, DecodeError> {
        let raw_satellites = r.u8("satellites")?;
        r.note(|| format!("{} satellites", raw_satellites & 0x0f));
        let raw_latitude = r.u32("latitude")?;
        r.note(|| degrees(raw_latitude, MAX_LATITUDE));
        let raw_longitude = r.u32("longitude")?;
        r.note(|| degrees(raw_longitude, MAX_LONGITUDE));
        let raw_speed = r.u8("speed")?;
        r.note(|| format!("{raw_speed} km/h"));
        let course_status = CourseStatus(r.u16("course and status")?);
        r.note(|| course_status.describe());
        let position = Self {
            raw_satellites,
            raw_latitude,
            raw_longitude,
            raw_speed,
            course_status,
        };
        Ok(position)
    }

    /// Writes the block.
    #[inline]
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_u8(self.raw_satellites);
        out.put_u32(self.raw_latitude);
        out.put_u32(self.raw_longitude);
        out.put_u8(self.raw_speed);
        out.put_u16(self.course_status.0);
    }
}

/// A position with its time (G18), as sent: eighteen bytes that are carried around as they are, and
/// read where they are needed.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Gps([u8; Self::LEN]);

impl Gps {
    /// The size of the block.
    pub const LEN: usize = 18;

    /// A position and its time.
    #[must_use]
    pub const fn new(time: DateTime, position: &Position) -> Self {
        let [t0, t1, t2, t3, t4, t5] = time.to_bytes();
        let [a, b, c, d] = position.raw_latitude.to_be_bytes();
        let [e, f, g, h] = position.raw_longitude.to_be_bytes();
        let [x, y] = position.course_status.0.to_be_bytes();
        let (s, v) = (position.raw_satellites, position.raw_speed);
        Self([t0, t1, t2, t3, t4, t5, s, a, b, c, d, e, f, g, h, v, x, y])
    }

    /// The block from its bytes.
    #[inline(always)]
    pub(crate) const fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        // The whole is copied as a whole: what is put together from parts is slow to read again.
        Self(*bytes)
    }

    /// The device's time.
    #[inline(always)]
    #[must_use]
    pub const fn time(&self) -> DateTime {
        let [a, b, c, d, e, f, ..] = self.0;
        DateTime::from_bytes([a, b, c, d, e, f])
    }

    /// The position.
    #[inline(always)]
    #[must_use]
    pub const fn position(&self) -> Position {
        position(&self.0)
    }

    /// Reads the block.
    ///
    /// # Errors
    /// When bytes are missing.
    #[inline]
    pub fn decode<T: Trace>(r: &mut Reader<'_, T>) -> Result<Self, DecodeError> {
        let time = DateTime::decode(r)?;
        Ok(Self::new(time, &Position::decode(r)?))
    }

    /// Writes the block.
    #[inline]
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_slice(&self.0);
    }
}

#[inline(always)]
const fn position(gps: &[u8; Gps::LEN]) -> Position {
    let [_, _, _, _, _, _, s, a, b, c, d, e, f, g, h, v, x, y] = *gps;
    Position {
        raw_satellites: s,
        raw_latitude: u32::from_be_bytes([a, b, c, d]),
        raw_longitude: u32::from_be_bytes([e, f, g, h]),
        raw_speed: v,
        course_status: CourseStatus(u16::from_be_bytes([x, y])),
    }
}

fn degrees(steps: u32, most: u32) -> alloc::string::String {
    let degrees = f64::from(steps) / STEPS;
    if steps > most {
        format!("{degrees:.6}°, which is not on Earth")
    } else {
        format!("{degrees:.6}°, hemisphere below")
    }
}

impl fmt::Debug for Gps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gps")
            .field("time", &self.time())
            .field("position", &self.position())
            .finish()
    }
}
