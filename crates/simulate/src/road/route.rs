//! The fastest way from one node to another.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::{Edge, Node, Roads};

/// The sideways acceleration that a driver accepts in a bend, in m/s².
const SIDEWAYS: f64 = 2.5;
/// The radius of a turn at a crossing of streets, in metres.
const CORNER: f64 = 12.0;

/// One edge of a route, and how fast its end may be passed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leg {
    pub(crate) edge: Edge,
    /// In m/s: by the bend, and by the limit of the road that follows.
    pub(crate) end_speed: f64,
}

/// Edges one after the other. The end speed of the last is 0.
pub(crate) type Route = Vec<Leg>;

#[derive(Debug, PartialEq)]
struct Open {
    seconds: f64,
    node: Node,
}

impl Eq for Open {}

impl Ord for Open {
    fn cmp(&self, other: &Self) -> Ordering {
        // The heap's greatest is the nearest; ties by node, so that routes are repeatable.
        other
            .seconds
            .total_cmp(&self.seconds)
            .then_with(|| other.node.cmp(&self.node))
    }
}

impl PartialOrd for Open {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Roads {
    /// The fastest route by the speed limits (Dijkstra); empty when there is none.
    pub(crate) fn route(&self, from: Node, to: Node) -> Route {
        let mut best = vec![f64::INFINITY; self.len()];
        let mut came_by: Vec<Option<Edge>> = vec![None; self.len()];
        let mut open = BinaryHeap::from([Open {
            seconds: 0.0,
            node: from,
        }]);
        if let Some(start) = best.get_mut(from) {
            *start = 0.0;
        }
        while let Some(Open { seconds, node }) = open.pop() {
            if node == to {
                break;
            }
            if best.get(node).is_none_or(|&known| seconds > known) {
                continue;
            }
            for edge in self.leaving(node) {
                let seconds = seconds + edge.length / edge.limit;
                let (Some(known), Some(came)) = (best.get_mut(edge.to), came_by.get_mut(edge.to))
                else {
                    continue;
                };
                if seconds < *known {
                    *known = seconds;
                    *came = Some(*edge);
                    open.push(Open {
                        seconds,
                        node: edge.to,
                    });
                }
            }
        }
        let mut edges = Vec::new();
        let mut node = to;
        while node != from {
            let Some(edge) = came_by.get(node).copied().flatten() else {
                return Route::new();
            };
            node = edge.from;
            edges.push(edge);
        }
        edges.reverse();
        let following = edges.iter().skip(1).map(Some).chain([None]);
        edges
            .iter()
            .zip(following)
            .map(|(&edge, next)| Leg {
                edge,
                end_speed: next.map_or(0.0, |next| self.passing_speed(&edge, next)),
            })
            .collect()
    }

    /// How fast one may go from `edge` into `next`.
    fn passing_speed(&self, edge: &Edge, next: &Edge) -> f64 {
        let straight = next.limit.min(edge.limit);
        let turn = (next.bearing - edge.bearing + 180.0).rem_euclid(360.0) - 180.0;
        let half = turn.abs().to_radians() / 2.0;
        if half < 0.02 {
            return straight;
        }
        // The widest curve that fits into half of the shorter piece; a crossing gives less room.
        let mut radius = edge.length.min(next.length) / 2.0 / half.tan();
        if self.is_junction(edge.to) && turn.abs() > 30.0 {
            radius = radius.min(CORNER);
        }
        straight.min((SIDEWAYS * radius).sqrt().max(1.5))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_an_unbroken_chain() {
        let roads = Roads::built_in();
        for (from, to) in [(0, roads.len() - 1), (7, 120), (90, 3)] {
            let route = roads.route(from, to);
            assert_eq!(route.first().unwrap().edge.from, from);
            assert_eq!(route.last().unwrap().edge.to, to);
            for pair in route.windows(2) {
                assert_eq!(pair[0].edge.to, pair[1].edge.from);
                assert!(pair[0].end_speed <= pair[1].edge.limit);
            }
            assert!(route.last().unwrap().end_speed.abs() < f64::EPSILON);
        }
    }

    #[test]
    fn no_detour_over_a_neighbour_is_faster() {
        let roads = Roads::built_in();
        let seconds = |from, to| -> f64 {
            roads
                .route(from, to)
                .iter()
                .map(|leg| leg.edge.length / leg.edge.limit)
                .sum()
        };
        let (from, to) = (0, roads.len() - 1);
        let direct = seconds(from, to);
        for edge in roads.leaving(from) {
            assert!(edge.length / edge.limit + seconds(edge.to, to) >= direct - 1e-9);
        }
    }

    #[test]
    fn from_a_node_to_itself_there_is_nothing_to_drive() {
        assert!(Roads::built_in().route(5, 5).is_empty());
    }
}
