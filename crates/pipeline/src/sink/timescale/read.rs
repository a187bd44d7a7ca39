//! Rows as reports again.

use milepost_telemetry::{Report, ReportId};
use serde_json::{Map, Value, json};
use tokio_postgres::Row;
use uuid::Uuid;

use super::row::REPORT;
use super::{Database, DatabaseError};

/// Columns of `report` that are keys of a group of the JSON form: column, group, key.
const GROUPED: &[(&str, &str, &str)] = &[
    ("latitude", "fix", "latitude"),
    ("longitude", "fix", "longitude"),
    ("altitude_m", "fix", "altitude_m"),
    ("speed_kmh", "fix", "speed_kmh"),
    ("course_deg", "fix", "course_deg"),
    ("satellites", "fix", "satellites"),
    ("hdop", "fix", "hdop"),
    ("pdop", "fix", "pdop"),
    ("fix_time", "fix", "time"),
    ("fix_valid", "fix", "valid"),
    ("fix_live", "fix", "live"),
    ("fix_source", "fix", "source"),
    ("smoothed_latitude", "smoothed", "latitude"),
    ("smoothed_longitude", "smoothed", "longitude"),
    ("smoothed_speed_kmh", "smoothed", "speed_kmh"),
    ("smoothed_course_deg", "smoothed", "course_deg"),
    ("smoothed_accuracy_m", "smoothed", "accuracy_m"),
    ("moving", "smoothed", "moving"),
    ("outlier", "smoothed", "outlier"),
    ("rejected", "smoothed", "rejected"),
    ("external_connected", "power", "external_connected"),
    ("external_v", "power", "external_v"),
    ("battery_v", "power", "battery_v"),
    ("battery_pct", "power", "battery_pct"),
    ("battery_level", "power", "battery_level"),
    ("charging", "power", "charging"),
    ("signal_pct", "network", "signal_pct"),
    ("signal_dbm", "network", "signal_dbm"),
    ("ignition", "io", "ignition"),
    ("ignition_source", "io", "ignition_source"),
    ("armed", "io", "armed"),
    ("inputs", "io", "inputs"),
    ("outputs", "io", "outputs"),
];

/// Keys of `rest` that belong to the group `network`.
const IN_NETWORK: &[&str] = &["operator", "cells", "wifi"];

/// Columns that are no keys of the JSON form.
const APART: &[&str] = &[
    "key_time",
    "revision",
    "decoder_version",
    "gateway",
    "epoch",
    "connection",
    "frame",
    "part",
    "profile",
    "raw",
    "rest",
];

/// The report of a row in JSON, as one value: times in milliseconds lose nothing.
pub(super) fn select() -> String {
    let columns = REPORT
        .iter()
        .filter(|column| **column != "raw")
        .map(|column| match *column {
            "inputs" | "outputs" => format!("{column}::text AS {column}"),
            column if is_time(column) => {
                format!(
                    "to_char(\"{column}\", 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') AS \"{column}\""
                )
            }
            column => format!("\"{column}\""),
        })
        .collect::<Vec<_>>()
        .join(", ");
    format!("SELECT to_jsonb(r)::text FROM (SELECT {columns} FROM stored) r")
}

fn is_time(column: &str) -> bool {
    column != "raw_time" && (column.ends_with("time") || column.ends_with("_at"))
}

impl Database {
    /// Reports by their ids, as they are stored; those that are not are left out.
    ///
    /// # Errors
    /// When the database cannot be reached, or a row is not a report.
    pub async fn reports(&self, ids: &[ReportId]) -> Result<Vec<Report>, DatabaseError> {
        let ids: Vec<Uuid> = ids
            .iter()
            .map(|id| Uuid::from_bytes(*id.as_bytes()))
            .collect();
        let rows = self
            .client
            .query(
                &format!(
                    "WITH stored AS (
                         SELECT * FROM report WHERE id = ANY($1)
                         UNION ALL SELECT * FROM report_odd WHERE id = ANY($1))
                     {}",
                    select()
                ),
                &[&ids],
            )
            .await?;
        rows.iter().map(report).collect()
    }
}

pub(super) fn report(row: &Row) -> Result<Report, DatabaseError> {
    let text: String = row.try_get(0)?;
    let bad = |error: serde_json::Error| DatabaseError::Row(error.to_string());
    let Value::Object(columns) = serde_json::from_str(&text).map_err(bad)? else {
        return Err(DatabaseError::Row("not an object".to_owned()));
    };
    serde_json::from_value(Value::Object(form(columns))).map_err(bad)
}

/// The JSON form of a row's columns.
fn form(mut columns: Map<String, Value>) -> Map<String, Value> {
    let mut form = Map::new();
    form.insert("schema".into(), json!(milepost_telemetry::SCHEMA_VERSION));
    let in_group = |form: &mut Map<String, Value>, group: &str, key: &str, value: Value| {
        if let Some(group) = form
            .entry(group)
            .or_insert_with(|| Value::Object(Map::new()))
            .as_object_mut()
        {
            group.insert(key.to_owned(), value);
        }
    };
    for (column, group, key) in GROUPED {
        let value = match columns.remove(*column) {
            None | Some(Value::Null) => continue,
            Some(Value::String(bits)) if matches!(*key, "inputs" | "outputs") => {
                bits.bytes().map(|bit| Value::Bool(bit == b'1')).collect()
            }
            Some(value) => value,
        };
        in_group(&mut form, group, key, value);
    }
    if let Some(Value::Object(rest)) = columns.remove("rest") {
        for (key, value) in rest {
            if IN_NETWORK.contains(&key.as_str()) {
                in_group(&mut form, "network", &key, value);
            } else {
                form.insert(key, value);
            }
        }
    }
    for (key, value) in columns {
        if !value.is_null() && !APART.contains(&key.as_str()) {
            form.insert(key, value);
        }
    }
    form
}
