//! Where on Earth.

use crate::OutOfRange;

/// A point on the WGS 84 ellipsoid, in steps of 1e-7 degrees (about 1 cm).
///
/// That is finer than any tracker's own step, and makes equal positions equal values.
///
/// ```
/// let p = milepost_telemetry::Coordinates::from_degrees(23.111755, 114.40923)?;
/// assert_eq!(p.latitude(), 23.111755);
/// assert!(milepost_telemetry::Coordinates::from_degrees(91.0, 0.0).is_err());
/// # Ok::<(), milepost_telemetry::OutOfRange>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Coordinates {
    latitude_e7: i32,
    longitude_e7: i32,
}

const E7: f64 = 1e7;

impl Coordinates {
    /// From degrees, north and east positive.
    ///
    /// # Errors
    /// When the latitude is beyond ±90 or the longitude beyond ±180, or either is not a number.
    pub fn from_degrees(latitude: f64, longitude: f64) -> Result<Self, OutOfRange> {
        if !(-90.0..=90.0).contains(&latitude) {
            return Err(OutOfRange::new("latitude", latitude));
        }
        if !(-180.0..=180.0).contains(&longitude) {
            return Err(OutOfRange::new("longitude", longitude));
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "checked above: fits in an i32"
        )]
        Ok(Self {
            latitude_e7: (latitude * E7).round() as i32,
            longitude_e7: (longitude * E7).round() as i32,
        })
    }

    /// From steps of 1e-7 degrees, north and east positive.
    ///
    /// # Errors
    /// When the latitude is beyond ±90 degrees or the longitude beyond ±180.
    #[inline]
    pub fn from_e7(latitude_e7: i64, longitude_e7: i64) -> Result<Self, OutOfRange> {
        const LATITUDE: u64 = 900_000_000;
        const LONGITUDE: u64 = 1_800_000_000;
        #[expect(clippy::cast_precision_loss, reason = "only for the error's text")]
        let degrees = |e7| e7 as f64 / E7;
        if latitude_e7.unsigned_abs() > LATITUDE {
            return Err(OutOfRange::new("latitude", degrees(latitude_e7)));
        }
        if longitude_e7.unsigned_abs() > LONGITUDE {
            return Err(OutOfRange::new("longitude", degrees(longitude_e7)));
        }
        #[expect(clippy::cast_possible_truncation, reason = "checked above")]
        Ok(Self {
            latitude_e7: latitude_e7 as i32,
            longitude_e7: longitude_e7 as i32,
        })
    }

    /// Degrees north of the equator.
    pub fn latitude(self) -> f64 {
        f64::from(self.latitude_e7) / E7
    }

    /// Degrees east of Greenwich.
    pub fn longitude(self) -> f64 {
        f64::from(self.longitude_e7) / E7
    }

    /// Latitude in steps of 1e-7 degrees.
    pub const fn latitude_e7(self) -> i32 {
        self.latitude_e7
    }

    /// Longitude in steps of 1e-7 degrees.
    pub const fn longitude_e7(self) -> i32 {
        self.longitude_e7
    }

    /// The great-circle distance in metres on a sphere of the Earth's mean radius (error below
    /// 0.6 % against the ellipsoid).
    pub fn distance_m(self, other: Self) -> f64 {
        const MEAN_RADIUS_M: f64 = 6_371_008.8;
        let (p1, p2) = (self.latitude().to_radians(), other.latitude().to_radians());
        let dp = (p2 - p1) / 2.0;
        let dl = (other.longitude() - self.longitude()).to_radians() / 2.0;
        let h = dp.sin().powi(2) + p1.cos() * p2.cos() * dl.sin().powi(2);
        2.0 * MEAN_RADIUS_M * h.sqrt().min(1.0).asin()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_on_earth_is_refused() {
        for (lat, lon, what) in [
            (90.000_001, 0.0, "latitude"),
            (-91.0, 0.0, "latitude"),
            (0.0, 180.1, "longitude"),
            (0.0, f64::NAN, "longitude"),
            (f64::INFINITY, 0.0, "latitude"),
        ] {
            assert_eq!(
                Coordinates::from_degrees(lat, lon).unwrap_err().what(),
                what
            );
        }
        assert!(Coordinates::from_degrees(-90.0, 180.0).is_ok());
        assert!(Coordinates::from_e7(900_000_001, 0).is_err());
        assert!(Coordinates::from_e7(0, i64::MAX).is_err());
    }

    #[test]
    fn one_degree_of_latitude_is_about_111_km() {
        let a = Coordinates::from_degrees(0.0, 179.5).unwrap();
        let b = Coordinates::from_degrees(0.0, -179.5).unwrap();
        assert!(
            (a.distance_m(b) - 111_195.0).abs() < 1.0,
            "across the date line"
        );
        assert!(a.distance_m(a) < 1e-9);
    }
}
