//! The roads that simulated vehicles drive on.
//!
//! The map is `assets/roads.json`: invented roads on a plain in the middle of Spain, so that what
//! is shown on a real map is at least on land. It is drawn by `draw.rs`, by rules and without any map data; a test
//! holds that the checked-in file is what the rules draw.

#[cfg(test)]
mod draw;
mod route;

use std::sync::{Arc, OnceLock};

pub(crate) use route::{Leg, Route};
use serde::{Deserialize, Serialize};

/// Length of a degree of latitude, in metres; a degree of longitude is shorter by the cosine of
/// the latitude. Good to a few centimetres over the map.
const METRES_PER_DEGREE: f64 = 111_195.0;

/// The map as it is checked in.
#[derive(Debug, Serialize, Deserialize)]
struct Map {
    nodes: Vec<MapNode>,
    roads: Vec<MapRoad>,
}

#[derive(Debug, Serialize, Deserialize)]
struct MapNode {
    lat: f64,
    lon: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    control: Option<Control>,
}

/// A way that is driven in both directions through its nodes in turn.
#[derive(Debug, Serialize, Deserialize)]
struct MapRoad {
    name: String,
    limit_kmh: f64,
    nodes: Vec<usize>,
}

/// What makes a vehicle stop at a crossing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Control {
    /// A traffic light.
    Light,
    /// A stop sign.
    Stop,
}

/// A place on the map, in metres east and north of its origin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    pub(crate) east: f64,
    pub(crate) north: f64,
}

impl Point {
    pub(crate) fn distance(self, other: Self) -> f64 {
        (self.east - other.east).hypot(self.north - other.north)
    }

    fn toward(self, other: Self, share: f64) -> Self {
        Self {
            east: self.east + (other.east - self.east) * share,
            north: self.north + (other.north - self.north) * share,
        }
    }

    /// Degrees clockwise from north.
    fn bearing(self, other: Self) -> f64 {
        (other.east - self.east)
            .atan2(other.north - self.north)
            .to_degrees()
            .rem_euclid(360.0)
    }
}

/// A crossing, a bend or a road's end.
pub(crate) type Node = usize;

/// One direction of the piece of road between two neighbouring nodes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Edge {
    pub(crate) from: Node,
    pub(crate) to: Node,
    /// In metres.
    pub(crate) length: f64,
    /// In metres per second.
    pub(crate) limit: f64,
    /// Degrees clockwise from north.
    pub(crate) bearing: f64,
}

/// The map, ready to drive on.
#[derive(Debug)]
pub(crate) struct Roads {
    origin: (f64, f64),
    points: Vec<Point>,
    controls: Vec<Option<Control>>,
    /// The edges that leave each node.
    leaving: Vec<Vec<Edge>>,
}

impl Roads {
    /// The built-in map.
    pub(crate) fn built_in() -> Arc<Self> {
        static ROADS: OnceLock<Arc<Roads>> = OnceLock::new();
        Arc::clone(ROADS.get_or_init(|| {
            let map: Map =
                serde_json::from_str(include_str!("../../assets/roads.json")).unwrap_or(Map {
                    nodes: Vec::new(),
                    roads: Vec::new(),
                });
            // A test holds that the file is a good map, so nothing is missing here.
            Arc::new(Self::from_map(&map))
        }))
    }

    fn from_map(map: &Map) -> Self {
        let origin = map
            .nodes
            .first()
            .map_or((0.0, 0.0), |node| (node.lat, node.lon));
        let shrink = origin.0.to_radians().cos();
        let points: Vec<Point> = map
            .nodes
            .iter()
            .map(|node| Point {
                east: (node.lon - origin.1) * METRES_PER_DEGREE * shrink,
                north: (node.lat - origin.0) * METRES_PER_DEGREE,
            })
            .collect();
        let mut leaving = vec![Vec::new(); points.len()];
        for road in &map.roads {
            for pair in road.nodes.windows(2) {
                let &[a, b] = pair else { continue };
                for (from, to) in [(a, b), (b, a)] {
                    let (Some(start), Some(end)) = (points.get(from), points.get(to)) else {
                        continue;
                    };
                    if let Some(edges) = leaving.get_mut(from) {
                        edges.push(Edge {
                            from,
                            to,
                            length: start.distance(*end),
                            limit: road.limit_kmh / 3.6,
                            bearing: start.bearing(*end),
                        });
                    }
                }
            }
        }
        Self {
            origin,
            points,
            controls: map.nodes.iter().map(|node| node.control).collect(),
            leaving,
        }
    }

    /// How many nodes there are.
    pub(crate) const fn len(&self) -> usize {
        self.points.len()
    }

    pub(crate) fn point(&self, node: Node) -> Point {
        self.points.get(node).copied().unwrap_or(Point {
            east: 0.0,
            north: 0.0,
        })
    }

    pub(crate) fn control(&self, node: Node) -> Option<Control> {
        self.controls.get(node).copied().flatten()
    }

    pub(crate) fn leaving(&self, node: Node) -> &[Edge] {
        self.leaving.get(node).map_or(&[], Vec::as_slice)
    }

    /// Whether more than two pieces of road meet here.
    pub(crate) fn is_junction(&self, node: Node) -> bool {
        self.leaving(node).len() > 2
    }

    /// The place that is `along` metres from the start of `edge`.
    pub(crate) fn place(&self, edge: &Edge, along: f64) -> Point {
        let share = if edge.length > 0.0 {
            (along / edge.length).clamp(0.0, 1.0)
        } else {
            0.0
        };
        self.point(edge.from).toward(self.point(edge.to), share)
    }

    /// Latitude and longitude in degrees.
    pub(crate) fn degrees(&self, point: Point) -> (f64, f64) {
        let shrink = self.origin.0.to_radians().cos();
        (
            self.origin.0 + point.north / METRES_PER_DEGREE,
            self.origin.1 + point.east / (METRES_PER_DEGREE * shrink),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_can_be_reached_from_every_other() {
        let roads = Roads::built_in();
        assert!((100..=300).contains(&roads.len()), "{}", roads.len());
        let mut seen = vec![false; roads.len()];
        let mut todo = vec![0];
        while let Some(node) = todo.pop() {
            if !std::mem::replace(&mut seen[node], true) {
                todo.extend(roads.leaving(node).iter().map(|edge| edge.to));
            }
        }
        assert!(seen.iter().all(|&seen| seen));
    }

    #[test]
    fn every_road_has_a_sensible_limit_and_length() {
        let roads = Roads::built_in();
        for node in 0..roads.len() {
            for edge in roads.leaving(node) {
                let limit = edge.limit * 3.6;
                assert!((20.0..=120.0).contains(&limit), "{edge:?}");
                assert!((15.0..=3_000.0).contains(&edge.length), "{edge:?}");
            }
        }
        let lights = (0..roads.len())
            .filter(|&node| roads.control(node) == Some(Control::Light))
            .count();
        assert!(lights >= 5, "{lights}");
    }

    #[test]
    fn places_keep_their_distance_in_degrees() {
        let roads = Roads::built_in();
        let (a, b) = (roads.point(0), roads.point(roads.len() - 1));
        let ((lat_a, lon_a), (lat_b, lon_b)) = (roads.degrees(a), roads.degrees(b));
        // Haversine, on a sphere of the mean radius.
        let (dlat, dlon) = ((lat_b - lat_a).to_radians(), (lon_b - lon_a).to_radians());
        let h = (dlat / 2.0).sin().powi(2)
            + lat_a.to_radians().cos() * lat_b.to_radians().cos() * (dlon / 2.0).sin().powi(2);
        let on_sphere = 2.0 * 6_371_009.0 * h.sqrt().asin();
        let on_map = a.distance(b);
        assert!(
            (on_sphere / on_map - 1.0).abs() < 0.002,
            "{on_sphere} {on_map}"
        );
    }
}
