//! Tracks as CSV: what `milepost smooth` reads and prints.
//!
//! Input: a header with the columns `t_unix_s,lat,lon,speed_kmh,course_deg,hdop,sats` in any
//! order. The first three are required; an empty or absent value is unknown, and other columns are
//! ignored (`ignition` and `odometer_m` are used if they are there).
//! Output: `t_unix_s,lat,lon,speed_kmh,course_deg,accuracy_m,moving,outlier`, one row per input
//! row, in its order. A row before the first usable fix has only its time.

use std::io::{self, BufRead, Write};

use super::lagged::Lagged;
use super::motion::{Kind, Leg};
use super::replay::replay;
use super::sample::{Estimate, Sample};
use super::tracker::Settings;

/// The header of smoothed rows.
pub const SMOOTHED: &str = "t_unix_s,lat,lon,speed_kmh,course_deg,accuracy_m,moving,outlier";

/// The header of trips and stops.
pub const TRIPS: &str = "kind,from_unix_s,to_unix_s,start_lat,start_lon,end_lat,end_lon,\
                         distance_m,odometer_m,max_speed_kmh,idle_s";

/// Why a track cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CsvError {
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The header does not name a column that is needed.
    #[error("line 1: no column {0:?}; the header must name t_unix_s, lat and lon")]
    Header(&'static str),
    /// A value is no number, or out of range.
    #[error("line {line}: {column} is {value:?}: {expected} is expected")]
    Value {
        /// The line, from 1.
        line: usize,
        /// The column.
        column: &'static str,
        /// What it holds.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
}

/// A track as it was read.
#[derive(Debug, Clone, Default)]
pub struct Track {
    samples: Vec<Sample>,
    /// The times as they were written, to be printed unchanged.
    times: Vec<String>,
}

/// Where the columns are.
struct Columns {
    time: usize,
    latitude: usize,
    longitude: usize,
    speed: Option<usize>,
    course: Option<usize>,
    hdop: Option<usize>,
    satellites: Option<usize>,
    ignition: Option<usize>,
    odometer: Option<usize>,
}

impl Columns {
    fn of(header: &str) -> Result<Self, CsvError> {
        let names: Vec<&str> = header
            .trim_start_matches('\u{feff}')
            .split(',')
            .map(|name| name.trim().trim_matches('"'))
            .collect();
        let at = |name: &str| names.iter().position(|n| *n == name);
        let needed = |name: &'static str| at(name).ok_or(CsvError::Header(name));
        Ok(Self {
            time: needed("t_unix_s")?,
            latitude: needed("lat")?,
            longitude: needed("lon")?,
            speed: at("speed_kmh"),
            course: at("course_deg"),
            hdop: at("hdop"),
            satellites: at("sats"),
            ignition: at("ignition"),
            odometer: at("odometer_m"),
        })
    }
}

/// The values of one line.
struct Line<'a> {
    number: usize,
    fields: Vec<&'a str>,
}

impl Line<'_> {
    /// A number, or `None` if it is empty or the line ends before it.
    fn number(&self, at: Option<usize>, column: &'static str) -> Result<Option<f64>, CsvError> {
        let text = at
            .and_then(|at| self.fields.get(at))
            .map_or("", |t| t.trim());
        if text.is_empty() {
            return Ok(None);
        }
        let value: Option<f64> = text.parse().ok().filter(|v: &f64| v.is_finite());
        value
            .map(Some)
            .ok_or_else(|| self.wrong(column, text, "a number"))
    }

    fn wrong(&self, column: &'static str, value: &str, expected: &'static str) -> CsvError {
        CsvError::Value {
            line: self.number,
            column,
            value: value.to_owned(),
            expected,
        }
    }
}

/// Reads a track. Empty lines are skipped.
///
/// # Errors
/// The input cannot be read, the header lacks a column, or a value is no number; with its line.
pub fn read(input: impl BufRead) -> Result<Track, CsvError> {
    let mut lines = input.lines();
    let header = lines.next().transpose()?.unwrap_or_default();
    let columns = Columns::of(&header)?;
    let mut track = Track::default();
    for (at, text) in lines.enumerate() {
        let text = text?;
        if text.trim().is_empty() {
            continue;
        }
        let line = Line {
            number: at + 2,
            fields: text.split(',').collect(),
        };
        let written = line.fields.get(columns.time).map_or("", |t| t.trim());
        let time = line
            .number(Some(columns.time), "t_unix_s")?
            .filter(|t| t.abs() < MAX_TIME_S)
            .ok_or_else(|| line.wrong("t_unix_s", written, "Unix time in seconds"))?;
        let latitude = line.number(Some(columns.latitude), "lat")?;
        let longitude = line.number(Some(columns.longitude), "lon")?;
        let small = |value: Option<f64>| value.map(|v| v as f32);
        track.times.push(written.to_owned());
        track.samples.push(Sample {
            time_ms: (time * 1_000.0).round() as i64,
            position: latitude.zip(longitude),
            speed: small(line.number(columns.speed, "speed_kmh")?.map(|v| v / 3.6)),
            course: small(line.number(columns.course, "course_deg")?),
            hdop: small(line.number(columns.hdop, "hdop")?),
            satellites: line
                .number(columns.satellites, "sats")?
                .map(|v| v.clamp(0.0, 255.0) as u8),
            ignition: line.number(columns.ignition, "ignition")?.map(|v| v != 0.0),
            odometer_m: line.number(columns.odometer, "odometer_m")?,
            ..Sample::default()
        });
    }
    Ok(track)
}

/// Year 9999.
const MAX_TIME_S: f64 = 253_402_300_800.0;

impl Track {
    /// The samples in the order of the input.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The order of time; rows of the same time keep their order.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.samples.len()).collect();
        order.sort_by_key(|at| self.samples.get(*at).map(|s| s.time_ms));
        order
    }

    fn sorted(&self, order: &[usize]) -> Vec<Sample> {
        order
            .iter()
            .filter_map(|at| self.samples.get(*at).copied())
            .collect()
    }

    /// The estimates in the order of the input: with `lag` following rows each, or the live ones
    /// with 0. Rows out of order are put in order of time first.
    pub fn smooth(&self, lag: usize, settings: &Settings) -> Vec<Option<Estimate>> {
        let order = self.order();
        let samples = self.sorted(&order);
        let smoothed = if lag == 0 {
            replay(&samples, settings).estimates
        } else {
            let mut lagged = Lagged::new(lag, settings.rules);
            let mut out = Vec::with_capacity(samples.len());
            for sample in &samples {
                out.extend(lagged.push(sample));
            }
            while let Some(estimate) = lagged.finish() {
                out.push(estimate);
            }
            out
        };
        let mut estimates = vec![None; order.len()];
        for (at, estimate) in order.into_iter().zip(smoothed) {
            if let Some(slot) = estimates.get_mut(at) {
                *slot = estimate;
            }
        }
        estimates
    }

    /// Trips and stops in the order of time.
    pub fn trips(&self, settings: &Settings) -> Vec<Leg> {
        replay(&self.sorted(&self.order()), settings).legs
    }
}

/// Reads a track and prints it smoothed, with `lag` following rows.
///
/// # Errors
/// As [`read`]; or the output cannot be written.
pub fn smooth(
    input: impl BufRead,
    mut output: impl Write,
    lag: usize,
    settings: &Settings,
) -> Result<(), CsvError> {
    let track = read(input)?;
    writeln!(output, "{SMOOTHED}")?;
    for (time, estimate) in track.times.iter().zip(track.smooth(lag, settings)) {
        let Some(e) = estimate else {
            writeln!(output, "{time},,,,,,,")?;
            continue;
        };
        write!(
            output,
            "{time},{:.8},{:.8},{:.2},",
            e.latitude,
            e.longitude,
            e.speed * 3.6
        )?;
        if let Some(course) = e.course {
            write!(output, "{course:.1}")?;
        }
        writeln!(
            output,
            ",{:.2},{},{}",
            e.accuracy_m,
            u8::from(e.moving),
            u8::from(e.outlier)
        )?;
    }
    output.flush()?;
    Ok(())
}

/// Reads a track and prints its trips and stops; the open one has no end.
///
/// # Errors
/// As [`smooth`].
pub fn trips(
    input: impl BufRead,
    mut output: impl Write,
    settings: &Settings,
) -> Result<(), CsvError> {
    let track = read(input)?;
    writeln!(output, "{TRIPS}")?;
    for leg in track.trips(settings) {
        let kind = match leg.kind {
            Kind::Trip => "trip",
            Kind::Stop => "stop",
        };
        write!(output, "{kind},{},", seconds(leg.from_ms))?;
        if let Some(to) = leg.to_ms {
            write!(output, "{}", seconds(to))?;
        }
        write!(
            output,
            ",{:.7},{:.7},{:.7},{:.7},{:.1},",
            leg.start.0, leg.start.1, leg.end.0, leg.end.1, leg.distance_m
        )?;
        if let Some(odometer) = leg.odometer_m {
            write!(output, "{odometer:.1}")?;
        }
        writeln!(
            output,
            ",{:.1},{}",
            leg.max_speed * 3.6,
            seconds(leg.idle_ms)
        )?;
    }
    output.flush()?;
    Ok(())
}

/// Milliseconds as seconds, without trailing zeros.
fn seconds(ms: i64) -> String {
    if ms % 1_000 == 0 {
        format!("{}", ms / 1_000)
    } else {
        format!("{:.3}", ms as f64 / 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn smoothed(input: &str, lag: usize) -> String {
        let mut out = Vec::new();
        smooth(input.as_bytes(), &mut out, lag, &Settings::default()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_row_has_its_row_in_the_same_order() {
        let input = "lat,note,lon,t_unix_s\n48.0,x,11.0,30.500\n\n48.0,y,11.0,10\n,z,,20\n";
        for lag in [0, 1, 5] {
            let out = smoothed(input, lag);
            let times: Vec<&str> = out
                .lines()
                .skip(1)
                .filter_map(|line| line.split(',').next())
                .collect();
            assert_eq!(times, ["30.500", "10", "20"]);
            assert!(out.lines().all(|line| line.split(',').count() == 8));
        }
    }

    #[test]
    fn a_rejected_row_has_the_estimate_and_is_an_outlier() {
        let mut input = String::from("t_unix_s,lat,lon,speed_kmh,course_deg,hdop,sats\n");
        for t in 0..20 {
            let lat = if t == 10 { 10.0 } else { 48.0 };
            input += &format!("{t},{lat},11.0,0,,,\n");
        }
        for lag in [0, 5] {
            let out = smoothed(&input, lag);
            let row: Vec<&str> = out.lines().nth(11).unwrap().split(',').collect();
            assert!(row[1].starts_with("48.0000"), "{row:?}");
            assert_eq!(row[7], "1");
        }
    }

    #[test]
    fn an_error_names_line_column_and_value() {
        let error = read("t_unix_s,lat,lon\n1,48,11\n2,north,11\n".as_bytes()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 3: lat is \"north\": a number is expected"
        );
        let error = read("t_unix_s,lat\n".as_bytes()).unwrap_err();
        assert!(error.to_string().contains("lon"), "{error}");
        assert!(read("t_unix_s,lat,lon\n,48,11\n".as_bytes()).is_err());
    }
}
