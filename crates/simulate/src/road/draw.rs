//! Draws the map, by rules. Metres east and north of the town's centre are turned into degrees
//! and rounded to a millionth (0.1 m).
//!
//! - A town: 7 by 5 streets about 250 m apart, bent a little so that it looks grown; the middle
//!   ones are main streets with lights.
//! - A ring road around it, joined by the ends of the main streets.
//! - Six country roads from the ring to the outer road, each winding, with a village half way.
//! - A lane from village to village.
//! - The outer road, closed, with three bulges.
//! - A highway past the north of the town, from side to side.
//!
//! To draw it anew: `MILEPOST_DRAW_ROADS=1 cargo test -p milepost-simulate the_checked_in_map`.

use std::f64::consts::TAU;
use std::fmt::Write as _;

use super::{Control, METRES_PER_DEGREE, Map, MapNode, MapRoad};

/// Open water, 1,300 km from the nearest land.
const CENTRE: (f64, f64) = (39.32, -3.12);

#[derive(Default)]
struct Drawing {
    at: Vec<(f64, f64)>,
    controls: Vec<Option<Control>>,
    roads: Vec<MapRoad>,
}

impl Drawing {
    fn node(&mut self, east: f64, north: f64) -> usize {
        self.at.push((east, north));
        self.controls.push(None);
        self.at.len() - 1
    }

    fn road(&mut self, name: &str, limit_kmh: f64, nodes: Vec<usize>) {
        self.roads.push(MapRoad {
            name: name.to_owned(),
            limit_kmh,
            nodes,
        });
    }

    /// The one of `among` that is nearest to `node`.
    fn nearest(&self, node: usize, among: &[usize]) -> usize {
        let distance = |other: &usize| {
            let (a, b) = (self.at[node], self.at[*other]);
            (a.0 - b.0).hypot(a.1 - b.1)
        };
        *among
            .iter()
            .min_by(|a, b| distance(a).total_cmp(&distance(b)))
            .unwrap()
    }

    fn map(self) -> Map {
        let shrink = CENTRE.0.to_radians().cos();
        let round = |degrees: f64| (degrees * 1e6).round() / 1e6;
        Map {
            nodes: self
                .at
                .iter()
                .zip(self.controls)
                .map(|(&(east, north), control)| MapNode {
                    lat: round(CENTRE.0 + north / METRES_PER_DEGREE),
                    lon: round(CENTRE.1 + east / (METRES_PER_DEGREE * shrink)),
                    control,
                })
                .collect(),
            roads: self.roads,
        }
    }
}

fn draw() -> Map {
    let mut d = Drawing::default();
    let (columns, rows) = (7_usize, 5_usize);
    let step = |i: usize, of: usize| (i as f64 - (of - 1) as f64 / 2.0) * 250.0;

    // The town.
    let mut grid = vec![vec![0; rows]; columns];
    for (c, column) in grid.iter_mut().enumerate() {
        for (r, slot) in column.iter_mut().enumerate() {
            let (x, y) = (step(c, columns), step(r, rows));
            let (x, y) = (
                x + 45.0 * (y / 310.0).sin(),
                y + 35.0 * (x / 420.0 + 1.0).sin(),
            );
            let (sin, cos) = 0.2_f64.sin_cos();
            *slot = d.node(x * cos - y * sin, x * sin + y * cos);
        }
    }
    let (mid_c, mid_r) = (columns / 2, rows / 2);
    let across = [
        "Mill Lane",
        "Chapel Street",
        "Main Street",
        "Orchard Street",
        "Hill Street",
    ];
    for (r, name) in across.iter().enumerate() {
        let limit = if r == mid_r { 50.0 } else { 30.0 };
        d.road(name, limit, grid.iter().map(|column| column[r]).collect());
    }
    let along = [
        "Weaver Street",
        "Cooper Street",
        "Garden Street",
        "Market Street",
        "School Street",
        "Station Street",
        "Quay Street",
    ];
    for (c, name) in along.iter().enumerate() {
        let limit = if c == mid_c { 50.0 } else { 30.0 };
        d.road(name, limit, grid[c].clone());
    }
    for c in [1, 3, 5] {
        d.controls[grid[c][mid_r]] = Some(Control::Light);
    }
    for r in [0, 4] {
        d.controls[grid[mid_c][r]] = Some(Control::Light);
    }

    // The ring road and the streets that reach it.
    let ring: Vec<usize> = (0..20)
        .map(|i| {
            let angle = TAU * f64::from(i) / 20.0;
            d.node(1_450.0 * angle.cos(), 1_150.0 * angle.sin())
        })
        .collect();
    let mut closed = ring.clone();
    closed.push(ring[0]);
    d.road("Ring Road", 70.0, closed);
    let gates = [
        grid[0][mid_r],
        grid[columns - 1][mid_r],
        grid[mid_c][0],
        grid[mid_c][rows - 1],
        grid[0][0],
        grid[columns - 1][rows - 1],
        grid[0][rows - 1],
        grid[columns - 1][0],
    ];
    for (i, &gate) in gates.iter().enumerate() {
        let end = d.nearest(gate, &ring);
        let main = i < 4;
        d.controls[end] = Some(if main { Control::Light } else { Control::Stop });
        d.road(
            "Gate Street",
            if main { 50.0 } else { 30.0 },
            vec![gate, end],
        );
    }

    // The coast.
    let coast: Vec<usize> = (0..54)
        .map(|i| {
            let angle = TAU * f64::from(i) / 54.0;
            let radius =
                6_300.0 + 750.0 * (3.0 * angle + 0.5).sin() + 320.0 * (5.0 * angle + 2.0).sin();
            d.node(radius * angle.cos() * 1.15, radius * angle.sin() * 0.9)
        })
        .collect();
    let mut closed = coast.clone();
    closed.push(coast[0]);
    d.road("Coast Road", 80.0, closed);

    // Country roads with their villages.
    let names = [
        "Cape Road",
        "Northfield Road",
        "Moor Road",
        "Westpoint Road",
        "Saltmarsh Road",
        "Bay Road",
    ];
    let mut villages = Vec::new();
    for (i, name) in names.iter().enumerate() {
        let angle = TAU * (i as f64 + 0.35) / 6.0;
        let start = ring[(20.0 * angle / TAU).round() as usize % 20];
        let end = coast[(54.0 * angle / TAU).round() as usize % 54];
        let (from, to) = (d.at[start], d.at[end]);
        let mut nodes = vec![start];
        for k in 1..8 {
            let t = f64::from(k) / 8.0;
            let sway = 170.0 * (f64::from(k) * 1.9 + i as f64).sin();
            let (dx, dy) = (to.0 - from.0, to.1 - from.1);
            let length = dx.hypot(dy);
            nodes.push(d.node(
                from.0 + dx * t - dy / length * sway,
                from.1 + dy * t + dx / length * sway,
            ));
        }
        nodes.push(end);
        d.controls[end] = Some(Control::Stop);
        let village = nodes[4];
        villages.push(village);
        // The middle of the country road is the village street.
        d.road(name, 90.0, nodes[..=3].to_vec());
        d.road("Village Street", 50.0, nodes[3..=5].to_vec());
        d.road(name, 90.0, nodes[5..].to_vec());
        let (x, y) = d.at[village];
        let across = angle + TAU / 4.0;
        let side: Vec<usize> = [-260.0, -120.0, 120.0, 260.0]
            .iter()
            .map(|s| d.node(x + s * across.cos(), y + s * across.sin()))
            .collect();
        d.road(
            "Church Lane",
            30.0,
            vec![side[0], side[1], village, side[2], side[3]],
        );
    }

    // From village to village.
    for i in 0..villages.len() {
        let (start, end) = (villages[i], villages[(i + 1) % villages.len()]);
        let (from, to) = (d.at[start], d.at[end]);
        let mut nodes = vec![start];
        for k in 1..4 {
            let t = f64::from(k) / 4.0;
            // Bent outwards, so that it goes around the hills rather than over them.
            let out = 1.0 + 0.16 * (t * TAU / 2.0).sin();
            nodes.push(d.node(
                (from.0 + (to.0 - from.0) * t) * out,
                (from.1 + (to.1 - from.1) * t) * out,
            ));
        }
        nodes.push(end);
        d.road("Hill Lane", 70.0, nodes);
    }

    // The highway.
    let west: Vec<usize> = (1..6)
        .map(|k| {
            d.node(
                -6_100.0 + 1_950.0 * f64::from(k),
                1_900.0 - 60.0 * (f64::from(k) - 3.0).powi(2),
            )
        })
        .collect();
    let first = d.nearest(west[0], &coast);
    let last = d.nearest(west[4], &coast);
    let mut nodes = vec![first];
    nodes.extend(&west);
    nodes.push(last);
    d.road("Island Highway", 100.0, nodes);
    // Its exit to the town.
    let exit = d.nearest(west[2], &ring);
    d.road("Highway Exit", 60.0, vec![west[2], exit]);

    d.map()
}

/// One node and one road a line, so that a change can be read.
fn print(map: &Map) -> String {
    let mut text = String::from("{\n\"nodes\": [\n");
    for (i, node) in map.nodes.iter().enumerate() {
        let comma = if i + 1 < map.nodes.len() { "," } else { "" };
        writeln!(text, "{}{comma}", serde_json::to_string(node).unwrap()).unwrap();
    }
    text.push_str("],\n\"roads\": [\n");
    for (i, road) in map.roads.iter().enumerate() {
        let comma = if i + 1 < map.roads.len() { "," } else { "" };
        writeln!(text, "{}{comma}", serde_json::to_string(road).unwrap()).unwrap();
    }
    text.push_str("]\n}\n");
    text
}

#[test]
fn the_checked_in_map_is_the_drawn_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/roads.json");
    let drawn = print(&draw());
    if std::env::var_os("MILEPOST_DRAW_ROADS").is_some() {
        std::fs::write(path, &drawn).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), drawn);
}
