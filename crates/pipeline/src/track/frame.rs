//! A local frame in metres, correct near the poles and across the antimeridian.

/// Mean radius for distances on the sphere, metres.
const RADIUS: f64 = 6_371_008.8;
/// WGS 84.
const MAJOR: f64 = 6_378_137.0;
const ECCENTRICITY_2: f64 = 6.694_379_990_14e-3;

/// A tangent plane at an anchor: x to the east, y to the north, metres.
///
/// The projection is orthographic: exact at the anchor, and invertible to rounding everywhere on
/// the anchor's hemisphere. Its scale error is 0.5 m at 50 km, 4 mm at 10 km; the filter moves the
/// anchor every [`Frame::REACH_M`]. Unlike degrees scaled by cos(latitude), it has no seam at the
/// antimeridian and no singular point at the poles.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frame {
    latitude: f64,
    longitude: f64,
    sin: f64,
    cos: f64,
    /// Radii of curvature: along the parallel and along the meridian.
    across: f64,
    along: f64,
}

impl Frame {
    /// How far from the anchor the filter works before it moves the anchor, metres.
    pub const REACH_M: f64 = 2_000.0;

    /// A frame anchored at a place in degrees.
    pub fn new(latitude: f64, longitude: f64) -> Self {
        let (sin, cos) = latitude.to_radians().sin_cos();
        let w2 = 1.0 - ECCENTRICITY_2 * sin * sin;
        let across = MAJOR / w2.sqrt();
        Self {
            latitude,
            longitude,
            sin,
            cos,
            across,
            along: across * (1.0 - ECCENTRICITY_2) / w2,
        }
    }

    /// The anchor: latitude and longitude in degrees.
    pub fn anchor(&self) -> (f64, f64) {
        (self.latitude, self.longitude)
    }

    /// Metres east and north of the anchor. A place on the other hemisphere is put on the horizon
    /// and further out, so that it is far away in any case.
    pub fn project(&self, latitude: f64, longitude: f64) -> (f64, f64) {
        let (sin, cos) = latitude.to_radians().sin_cos();
        let (dsin, dcos) = (longitude - self.longitude).to_radians().sin_cos();
        let east = cos * dsin;
        let north = self.cos * sin - self.sin * cos * dcos;
        let up = self.sin * sin + self.cos * cos * dcos;
        let stretch = if up < 0.0 { 1.0 - up } else { 1.0 };
        (east * self.across * stretch, north * self.along * stretch)
    }

    /// Degrees of a place in metres; the inverse of [`project`](Self::project).
    pub fn unproject(&self, x: f64, y: f64) -> (f64, f64) {
        let (mut east, mut north) = (x / self.across, y / self.along);
        let r2 = east * east + north * north;
        let up = if r2 < 1.0 {
            (1.0 - r2).sqrt()
        } else {
            let r = r2.sqrt();
            (east, north) = (east / r, north / r);
            0.0
        };
        let sin = north * self.cos + up * self.sin;
        let outwards = up * self.cos - north * self.sin;
        let latitude = sin.atan2(east.hypot(outwards)).to_degrees();
        let turn = east.atan2(outwards).to_degrees();
        (latitude, wrap(self.longitude + turn))
    }

    /// The angle by which east turns clockwise on the way to another frame (the convergence of the
    /// meridians), as sine and cosine.
    pub fn convergence(&self, to: &Self) -> (f64, f64) {
        // East of `to`, seen in this frame.
        let (sin, cos) = (to.longitude - self.longitude).to_radians().sin_cos();
        let (east, north) = (cos, self.sin * sin);
        let norm = east.hypot(north).max(1e-12);
        (north / norm, east / norm)
    }
}

/// Great-circle distance in metres between two places in degrees.
pub fn distance_m(a: (f64, f64), b: (f64, f64)) -> f64 {
    let (lat_a, lat_b) = (a.0.to_radians(), b.0.to_radians());
    let half_lat = ((lat_b - lat_a) / 2.0).sin();
    let half_lon = ((b.1 - a.1).to_radians() / 2.0).sin();
    let h = half_lat * half_lat + lat_a.cos() * lat_b.cos() * half_lon * half_lon;
    2.0 * RADIUS * h.clamp(0.0, 1.0).sqrt().asin()
}

/// A longitude in -180..180.
fn wrap(longitude: f64) -> f64 {
    if (-180.0..=180.0).contains(&longitude) {
        longitude
    } else {
        (longitude + 180.0).rem_euclid(360.0) - 180.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_back_from_metres_also_at_poles_and_antimeridian() {
        for (lat, lon) in [
            (0.0, 0.0),
            (48.1, 11.5),
            (-33.9, 179.999),
            (10.0, -180.0),
            (89.9999, 10.0),
            (90.0, 0.0),
            (-90.0, 77.0),
        ] {
            let frame = Frame::new(lat, lon);
            for (x, y) in [(0.0, 0.0), (1_500.0, -700.0), (-1_900.0, 1_900.0)] {
                let (a, b) = frame.unproject(x, y);
                assert!((-90.0..=90.0).contains(&a) && (-180.0..=180.0).contains(&b));
                let (u, v) = frame.project(a, b);
                assert!(
                    (u - x).abs() < 1e-4 && (v - y).abs() < 1e-4,
                    "{lat} {lon}: {u} {v}"
                );
            }
        }
    }

    #[test]
    fn ten_metres_across_the_antimeridian_are_ten_metres() {
        let frame = Frame::new(0.0, 179.999_95);
        let (x, y) = frame.project(0.0, -179.999_95);
        assert!((x - 11.13).abs() < 0.01 && y.abs() < 1e-6, "{x} {y}");
        assert!((distance_m((0.0, 179.999_95), (0.0, -179.999_95)) - 11.12).abs() < 0.01);
    }

    #[test]
    fn a_velocity_keeps_its_direction_when_the_anchor_moves_near_a_pole() {
        let from = Frame::new(89.9, 0.0);
        let to = Frame::new(89.9, 90.0);
        let (sin, cos) = from.convergence(&to);
        // East at 90° E, near the pole, is south-to-north at 0° E.
        assert!((sin - 1.0).abs() < 1e-3 && cos.abs() < 1e-2, "{sin} {cos}");
    }
}
