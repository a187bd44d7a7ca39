//! Smoothing against ground truth: `cargo bench -p milepost-pipeline --bench smoothing`.
//!
//! Simulated drives and, if their folder lies beside the repository, recorded ones. Each method
//! runs over the same rows with one setting for all receivers and a cold start on each track.
//! `SEED=<n>` draws other drives and other noise, `MILEPOST_PLOTS=<folder>` writes the plots.

mod methods;
mod metrics;
mod parameters;
mod plots;
mod recorded;
mod simulate;

use std::path::Path;

use methods::Method;
use metrics::Figures;
use parameters::{DRIVES, INTERVALS, RECEIVERS, SECONDS, SEED};
use plots::Panel;
use simulate::{Profile, Random, Row, receive};

fn main() {
    println!("med, p95: mean over the tracks of the ratio to the raw fixes. rmse, max: metres.");
    println!("o50: % of estimates more than 50 m off. dist: % of length too much while driving.");
    println!("park: metres per standing hour. move, stop: % of rows falsely moving, standing.");
    println!("xpark: crossings per standing hour of a fence 10 m away. xroad: per driven km of a");
    println!("fence 10 m beside the road. lag: s behind in turns. c68: % within accuracy_m.");
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(SEED);
    let mut panels = Vec::new();
    for receiver in RECEIVERS {
        for (interval, seconds) in INTERVALS.into_iter().zip(SECONDS) {
            let tracks: Vec<(Profile, Vec<Row>)> = Profile::ALL
                .into_iter()
                .flat_map(|profile| {
                    (0..DRIVES).map(move |drive| {
                        let mut random = Random::new(seed + drive);
                        let truth = profile.drive(seconds, &mut random);
                        (profile, receive(&truth, receiver, interval, &mut random))
                    })
                })
                .collect();
            let all: Vec<&[Row]> = tracks.iter().map(|(_, rows)| rows.as_slice()).collect();
            println!("\n## simulated: {} receiver, {interval} s", receiver.name);
            table(&all);
            println!("by profile, med / p95 (live; lag 5):");
            for profile in Profile::ALL {
                let rows: Vec<&[Row]> = tracks
                    .iter()
                    .filter(|(p, _)| *p == profile)
                    .map(|(_, rows)| rows.as_slice())
                    .collect();
                let (live, lag) = (mean(&rows, Method::Live), mean(&rows, Method::Lag(5)));
                println!(
                    "  {:12} {:.2} / {:.2};  {:.2} / {:.2}  o50 {:.2} %",
                    profile.name(),
                    live.1.0,
                    live.1.1,
                    lag.1.0,
                    lag.1.1,
                    lag.0.outliers * 100.0
                );
            }
            panels.push(Panel {
                name: format!("{} receiver, {interval} s", receiver.name),
                tracks: tracks.into_iter().map(|(_, rows)| rows).collect(),
            });
        }
    }
    if let Some(folder) = std::env::var_os("MILEPOST_PLOTS") {
        plot(Path::new(&folder), &panels);
    }
    let Some(folder) = recorded::folder() else {
        println!("\nNo recorded tracks beside the repository.");
        return;
    };
    let tracks = recorded::tracks(&folder);
    let mut sets: Vec<&str> = tracks.iter().map(|t| t.0.as_str()).collect();
    sets.dedup();
    for set in sets {
        for slow in [false, true] {
            let rows: Vec<&[Row]> = tracks
                .iter()
                .filter(|t| t.0 == set && t.1.ends_with("-10s") == slow)
                .map(|t| t.2.as_slice())
                .collect();
            let interval = if slow { "10 s" } else { "full rate" };
            println!("\n## recorded: {set}, {interval}");
            table(&rows);
            if rows.iter().any(|r| r.iter().any(|r| r.speed_kmh.is_some())) {
                println!("reported speed in a wrong unit, med / p95 (live; lag 5):");
                for (name, factor) in [("stuck at 0", 0.0), ("knots as km/h", 0.54), ("mph", 0.621)]
                {
                    let wrong: Vec<Vec<Row>> = rows.iter().map(|r| scaled(r, factor)).collect();
                    let wrong: Vec<&[Row]> = wrong.iter().map(Vec::as_slice).collect();
                    let (live, lag) = (mean(&wrong, Method::Live), mean(&wrong, Method::Lag(5)));
                    println!(
                        "  {name:14} {:.2} / {:.2};  {:.2} / {:.2}",
                        live.1.0, live.1.1, lag.1.0, lag.1.1
                    );
                }
            }
        }
    }
}

/// Writes the plots; the piece is of the first drive in the city with the poor receiver at 1 s.
fn plot(folder: &Path, panels: &[Panel]) {
    let poor = panels
        .iter()
        .find(|panel| panel.name == "poor receiver, 1 s");
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| plots::distributions(folder, panels))
        .and_then(|()| match poor.and_then(|panel| panel.tracks.first()) {
            Some(rows) => plots::piece(folder, rows, 60, 240),
            None => Ok(()),
        });
    match written {
        Ok(()) => println!("\nplots: {}", folder.display()),
        Err(error) => println!("\nplots: {}: {error}", folder.display()),
    }
}

fn scaled(rows: &[Row], factor: f64) -> Vec<Row> {
    rows.iter()
        .map(|row| Row {
            speed_kmh: row.speed_kmh.map(|v| v * factor),
            ..*row
        })
        .collect()
}

fn table(tracks: &[&[Row]]) {
    println!(
        "{:18}{:>6}{:>6}{:>8}{:>9}{:>7}{:>7}{:>8}{:>6}{:>6}{:>7}{:>7}{:>5}{:>5}{:>7}",
        "",
        "med",
        "p95",
        "rmse",
        "max",
        "o50",
        "dist",
        "park",
        "move",
        "stop",
        "xpark",
        "xroad",
        "lag",
        "c68",
        "ns"
    );
    for method in Method::ALL {
        let (f, ratio) = mean(tracks, method);
        println!(
            "{:18}{:>6.2}{:>6.2}{:>8.2}{:>9.1}{:>7.2}{:>7.1}{:>8.0}{:>6}{:>6}{:>7.1}{:>7.1}{:>5.1}{:>5}{:>7.0}",
            method.name(),
            ratio.0,
            ratio.1,
            f.rmse,
            f.max,
            f.outliers * 100.0,
            f.distance * 100.0,
            f.parked,
            percent(f.false_moves),
            percent(f.false_stops),
            f.parked_crossings,
            f.road_crossings,
            f.turn_lag,
            percent(f.within),
            f.ns,
        );
    }
}

fn percent(share: f64) -> String {
    if share.is_nan() {
        "-".into()
    } else {
        format!("{:.0}", share * 100.0)
    }
}

/// Means over the tracks, and the means of the ratios to raw of median and 95th percentile.
fn mean(tracks: &[&[Row]], method: Method) -> (Figures, (f64, f64)) {
    let mut sum = Figures::default();
    let mut ratio = (0.0, 0.0);
    let (mut moves, mut stops) = (Vec::new(), Vec::new());
    let n = tracks.len().max(1) as f64;
    for rows in tracks {
        let raw = Method::Raw.run(rows).0;
        let raw = Figures::of(rows, &raw, 0.0);
        let (places, ns) = method.run(rows);
        let f = Figures::of(rows, &places, ns);
        ratio.0 += f.median / raw.median / n;
        ratio.1 += f.p95 / raw.p95 / n;
        sum.rmse += f.rmse / n;
        sum.max = sum.max.max(f.max);
        sum.outliers += f.outliers / n;
        sum.distance += f.distance / n;
        sum.parked += f.parked / n;
        sum.parked_crossings += f.parked_crossings / n;
        sum.road_crossings += f.road_crossings / n;
        sum.turn_lag += f.turn_lag / n;
        sum.within += f.within / n;
        sum.ns += ns / n;
        moves.extend(Some(f.false_moves).filter(|m| !m.is_nan()));
        stops.extend(Some(f.false_stops).filter(|m| !m.is_nan()));
    }
    let average = |v: &[f64]| {
        if v.is_empty() {
            f64::NAN
        } else {
            v.iter().sum::<f64>() / v.len() as f64
        }
    };
    sum.false_moves = average(&moves);
    sum.false_stops = average(&stops);
    (sum, ratio)
}
