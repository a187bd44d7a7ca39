//! The plots of the documentation, as SVG: `MILEPOST_PLOTS=<folder>` writes them.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::methods::{Method, Place};
use super::metrics::error;
use super::simulate::{Row, metres_per_degree};

const RAW: &str = "#b0413e";
const LIVE: &str = "#3d7ea6";
const LAG: &str = "#2b8a3e";
const TRUTH: &str = "#777";

const WIDTH: f64 = 240.0;
const HEIGHT: f64 = 150.0;
const LEFT: f64 = 34.0;
const TOP: f64 = 24.0;

/// One panel: name and the tracks of a receiver at an interval.
pub(crate) struct Panel {
    pub(crate) name: String,
    pub(crate) tracks: Vec<Vec<Row>>,
}

/// Error distributions, three panels in a row: share of the estimates whose error is below.
pub(crate) fn distributions(folder: &Path, panels: &[Panel]) -> std::io::Result<()> {
    let rows = panels.len().div_ceil(3) as f64;
    let (w, h) = (3.0 * (WIDTH + 50.0), rows * (HEIGHT + 62.0) + 24.0);
    let mut svg = start(w, h);
    legend(
        &mut svg,
        &[("reported", RAW), ("live", LIVE), ("lag 5", LAG)],
    );
    for (at, panel) in panels.iter().enumerate() {
        let x0 = LEFT + (at % 3) as f64 * (WIDTH + 50.0);
        let y0 = 24.0 + TOP + (at / 3) as f64 * (HEIGHT + 62.0);
        let methods = [
            (Method::Raw, RAW),
            (Method::Live, LIVE),
            (Method::Lag(5), LAG),
        ];
        let errors = methods.map(|(method, colour)| {
            let mut errors: Vec<f64> = panel
                .tracks
                .iter()
                .flat_map(|rows| {
                    let places = method.run(rows).0;
                    let off = rows
                        .iter()
                        .zip(&places)
                        .map(|(row, place)| error(row, place));
                    off.collect::<Vec<f64>>()
                })
                .collect();
            errors.sort_by(f64::total_cmp);
            (errors, colour)
        });
        let raw = &errors[0].0;
        let most = raw.get(raw.len() * 97 / 100).copied().unwrap_or(1.0);
        frame(&mut svg, (x0, y0), &panel.name, most);
        for (errors, colour) in &errors {
            let n = errors.len().max(1);
            let points = errors
                .iter()
                .enumerate()
                .step_by(n.div_ceil(200))
                .map(|(i, e)| {
                    (
                        x0 + (e / most).min(1.0) * WIDTH,
                        y0 + HEIGHT * (1.0 - i as f64 / n as f64),
                    )
                });
            line(&mut svg, points, colour, 1.6);
        }
    }
    svg.push_str("</svg>\n");
    fs::write(folder.join("errors.svg"), svg)
}

/// A piece of a track: reported, smoothed and true.
pub(crate) fn piece(folder: &Path, rows: &[Row], from: usize, count: usize) -> std::io::Result<()> {
    let places = Method::Lag(5).run(rows).0;
    let end = (from + count).min(rows.len());
    let (rows, places) = (&rows[from..end], &places[from..end]);
    let (north, east) = metres_per_degree();
    let truth = |row: &Row| (row.truth_longitude * east, row.truth_latitude * north);
    let raw = |row: &Row| (row.longitude * east, row.latitude * north);
    let ours = |place: &Place| (place.longitude * east, place.latitude * north);
    let (mut low, mut high) = ((f64::MAX, f64::MAX), (f64::MIN, f64::MIN));
    for (x, y) in rows.iter().map(truth) {
        low = (low.0.min(x), low.1.min(y));
        high = (high.0.max(x), high.1.max(y));
    }
    let margin = 40.0;
    let scale =
        (820.0 / (high.0 - low.0 + 2.0 * margin)).min(560.0 / (high.1 - low.1 + 2.0 * margin));
    let (w, h) = (
        (high.0 - low.0 + 2.0 * margin) * scale,
        (high.1 - low.1 + 2.0 * margin) * scale + 24.0,
    );
    let to = |(x, y): (f64, f64)| {
        (
            (x - low.0 + margin) * scale,
            24.0 + (high.1 + margin - y) * scale,
        )
    };
    let mut svg = start(w.max(420.0), h + 10.0);
    legend(
        &mut svg,
        &[("true", TRUTH), ("reported", RAW), ("lag 5", LAG)],
    );
    line(&mut svg, rows.iter().map(|row| to(truth(row))), TRUTH, 6.0);
    for (x, y) in rows.iter().map(|row| to(raw(row))) {
        if (0.0..=w).contains(&x) && (24.0..=h).contains(&y) {
            let _infallible = writeln!(
                svg,
                r#"<circle cx="{x:.1}" cy="{y:.1}" r="2.2" fill="{RAW}"/>"#
            );
        }
    }
    line(
        &mut svg,
        places.iter().map(|place| to(ours(place))),
        LAG,
        1.8,
    );
    let bar = 100.0 * scale;
    line(
        &mut svg,
        [(12.0, h), (12.0 + bar, h)].into_iter(),
        "#333",
        2.0,
    );
    text(&mut svg, (18.0 + bar, h + 4.0), "start", "100 m");
    svg.push_str("</svg>\n");
    fs::write(folder.join("piece.svg"), svg)
}

fn start(w: f64, h: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w:.0}\" height=\"{h:.0}\" \
         viewBox=\"0 0 {w:.0} {h:.0}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    )
}

fn legend(svg: &mut String, names: &[(&str, &str)]) {
    for (at, (name, colour)) in names.iter().enumerate() {
        let x = 12.0 + at as f64 * 90.0;
        line(svg, [(x, 12.0), (x + 20.0, 12.0)].into_iter(), colour, 3.0);
        text(svg, (x + 26.0, 16.0), "start", name);
    }
}

fn frame(svg: &mut String, (x, y): (f64, f64), name: &str, most: f64) {
    let _infallible = writeln!(
        svg,
        r##"<rect x="{x:.1}" y="{y:.1}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#ccc"/>"##
    );
    text(svg, (x, y - 6.0), "start", name);
    for share in [0.0, 0.5, 0.95] {
        let at = y + HEIGHT * (1.0 - share);
        line(svg, [(x, at), (x + WIDTH, at)].into_iter(), "#e4e4e4", 1.0);
        text(
            svg,
            (x - 4.0, at + 4.0),
            "end",
            &format!("{:.0} %", share * 100.0),
        );
    }
    text(svg, (x, y + HEIGHT + 14.0), "start", "0");
    text(
        svg,
        (x + WIDTH, y + HEIGHT + 14.0),
        "end",
        &format!("{most:.1} m"),
    );
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, text: &str) {
    let _infallible = writeln!(
        svg,
        r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#
    );
}

fn line(svg: &mut String, points: impl Iterator<Item = (f64, f64)>, colour: &str, width: f64) {
    svg.push_str("<polyline points=\"");
    for (x, y) in points {
        let _infallible = write!(svg, "{x:.1},{y:.1} ");
    }
    let _infallible = writeln!(
        svg,
        "\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" stroke-linejoin=\"round\"/>"
    );
}
