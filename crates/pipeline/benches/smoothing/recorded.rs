//! Recorded tracks with ground truth, if their folder lies beside the repository.

use std::fs;
use std::path::{Path, PathBuf};

use super::simulate::Row;

/// The folder: `$MILEPOST_TRACKS`, or `tracks` beside the repository.
pub(crate) fn folder() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("MILEPOST_TRACKS") {
        return Some(folder.into());
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    ["shared/tracks", "tracks"]
        .iter()
        .map(|name| root.join(name))
        .find(|path| path.is_dir())
}

/// The tracks of each set that have a truth: name of the set, of the track, rows.
pub(crate) fn tracks(folder: &Path) -> Vec<(String, String, Vec<Row>)> {
    let mut out = Vec::new();
    for set in sorted(folder).into_iter().filter(|path| path.is_dir()) {
        for file in sorted(&set) {
            let is_csv = file.extension().is_some_and(|e| e == "csv");
            if let Some(rows) = is_csv.then(|| read(&file)).flatten() {
                out.push((name(&set), name(&file), rows));
            }
        }
    }
    out
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .map(|entries| entries.flatten().map(|e| e.path()).collect())
        .unwrap_or_default();
    paths.sort();
    paths
}

fn name(path: &Path) -> String {
    path.file_stem()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// `None` if the file has no truth.
fn read(file: &Path) -> Option<Vec<Row>> {
    let text = fs::read_to_string(file).ok()?;
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next()?.split(',').collect();
    let column = |name: &str| header.iter().position(|n| *n == name);
    let (lat, lon) = (column("truth_lat")?, column("truth_lon")?);
    let mut rows = Vec::new();
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok());
        let of = |name: &str| column(name).and_then(number);
        // Rows whose truth is unknown stay in the input; they count as their own truth nowhere.
        let (Some(time), Some(latitude), Some(longitude)) = (of("t_unix_s"), of("lat"), of("lon"))
        else {
            continue;
        };
        let (Some(truth_latitude), Some(truth_longitude)) = (number(lat), number(lon)) else {
            continue;
        };
        rows.push(Row {
            time,
            latitude,
            longitude,
            speed_kmh: of("speed_kmh"),
            course_deg: of("course_deg"),
            hdop: of("hdop"),
            satellites: of("sats").map(|n| n as u8),
            truth_latitude,
            truth_longitude,
        });
    }
    Some(rows)
}
