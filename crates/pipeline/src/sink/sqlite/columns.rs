//! A report as a row, and a row as a report.
//!
//! | where | what |
//! |---|---|
//! | a column | values that analysts ask for: times, position, speed, supply, ignition, odometer |
//! | [`Provenance`], a row that many reports share | what is nearly the same in all reports of a device |
//! | `body`, JSON with the keys of the public form | everything else |
//!
//! A row whose `provenance` is NULL is from an earlier format: all of it is in `body`.

use std::collections::HashMap;

use milepost_telemetry::{
    Altitude, Cell, Checksum, Coordinates, Course, Decoder, DeviceId, Dop, Event, Fix, FixSource,
    Identity, IgnitionSource, Kind, Level, Media, Name, Odometer, Percent, Power, RawTime, Report,
    ReportId, Signal, Smoothed, Speed, Switches, Tenant, TimeSource, Timestamp, Vehicle, Voltage,
    WifiStation, Zone,
};
use rusqlite::{Connection, Row, Statement, ToSql, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::encode::json;
use crate::SinkError;

/// What many reports have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Provenance {
    protocol: Name,
    decoder: Name,
    dialect: Option<Name>,
    kind: Kind,
    checksum: Checksum,
    time_source: TimeSource,
    zone: Option<Zone>,
    fix_source: Option<FixSource>,
    live: Option<bool>,
    ignition_source: Option<IgnitionSource>,
    same: u8,
}

/// Which times need no column, since they equal others.
mod same {
    pub(super) const DEVICE_TIME: u8 = 1;
    pub(super) const FIX_TIME: u8 = 2;
    /// The raw time is calendar fields, and they are the time of the id.
    pub(super) const RAW_CIVIL: u8 = 4;
    /// The raw time is Unix seconds, and they are the time of the id.
    pub(super) const RAW_UNIX: u8 = 8;
}

impl Provenance {
    pub(super) fn of(report: &Report) -> Self {
        let mut same = 0;
        if report.device_time == Some(report.time) {
            same |= same::DEVICE_TIME;
        }
        let fix = report.fix.as_ref();
        if fix.and_then(|fix| fix.time) == Some(report.time) {
            same |= same::FIX_TIME;
        }
        if let Some(raw) = report.raw_time
            && raw.as_utc() == Some(report.id.key_time())
        {
            same |= match raw {
                RawTime::Civil { .. } => same::RAW_CIVIL,
                RawTime::Unix(_) => same::RAW_UNIX,
            };
        }
        Self {
            protocol: report.protocol,
            decoder: report.decoder,
            dialect: report.dialect,
            kind: report.kind,
            checksum: report.checksum,
            time_source: report.time_source,
            zone: report.zone,
            fix_source: fix.map(|fix| fix.source),
            live: fix.and_then(|fix| fix.live),
            ignition_source: report.io.ignition_source,
            same,
        }
    }

    /// Which times need no column.
    pub(super) const fn same(&self) -> u8 {
        self.same
    }

    const fn has(&self, flag: u8) -> bool {
        self.same & flag != 0
    }

    /// All that are stored.
    pub(super) fn all(db: &Connection) -> Result<HashMap<i64, Self>, rusqlite::Error> {
        let mut find = db.prepare_cached(
            "SELECT id, protocol, decoder, dialect, kind, checksum, time_source, zone, fix_source,
                    live, ignition_source, same FROM provenance",
        )?;
        let rows = find.query_map([], |row| {
            let read = Self {
                protocol: name(row, 1)?.ok_or(rusqlite::Error::InvalidQuery)?,
                decoder: name(row, 2)?.ok_or(rusqlite::Error::InvalidQuery)?,
                dialect: name(row, 3)?,
                kind: word(row, 4)?.ok_or(rusqlite::Error::InvalidQuery)?,
                checksum: word(row, 5)?.ok_or(rusqlite::Error::InvalidQuery)?,
                time_source: word(row, 6)?.ok_or(rusqlite::Error::InvalidQuery)?,
                zone: word(row, 7)?,
                fix_source: word(row, 8)?,
                live: row.get(9)?,
                ignition_source: word(row, 10)?,
                same: row.get(11)?,
            };
            Ok((row.get(0)?, read))
        })?;
        rows.collect()
    }

    /// Stores it; its number.
    pub(super) fn insert(&self, db: &Connection) -> Result<i64, rusqlite::Error> {
        db.prepare_cached(
            "INSERT INTO provenance (protocol, decoder, dialect, kind, checksum, time_source, zone,
                                     fix_source, live, ignition_source, same)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) RETURNING id",
        )?
        .query_row(
            params![
                self.protocol.as_str(),
                self.decoder.as_str(),
                self.dialect.map(Name::as_str),
                said(&self.kind),
                said(&self.checksum),
                said(&self.time_source),
                self.zone.map(|zone| said(&zone)),
                self.fix_source.map(|source| said(&source)),
                self.live,
                self.ignition_source.map(|source| said(&source)),
                self.same,
            ],
            |row| row.get(0),
        )
    }
}

/// The word by which a value is named in the public form.
fn said<T: Serialize>(value: &T) -> Option<String> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Some(word),
        _ => None,
    }
}

fn word<T: DeserializeOwned>(row: &Row<'_>, at: usize) -> Result<Option<T>, rusqlite::Error> {
    let text: Option<String> = row.get(at)?;
    text.map(|text| serde_json::from_value(serde_json::Value::String(text)))
        .transpose()
        .map_err(|error| odd(at, error))
}

fn name(row: &Row<'_>, at: usize) -> Result<Option<Name>, rusqlite::Error> {
    let text: Option<String> = row.get(at)?;
    text.map(|text| Name::intern(&text))
        .transpose()
        .map_err(|error| odd(at, error))
}

fn odd(at: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, Box::new(error))
}

/// What has no column, with the keys of the public form.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Rest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<Tenant>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device: Option<DeviceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raw_time: Option<RawTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fix: Option<FixRest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    power: Option<PowerRest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    network: Option<NetworkRest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    io: Option<IoRest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vehicle: Option<Vehicle>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identity: Option<Identity>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    events: Vec<Event>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    signals: Vec<Signal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    media: Option<Media>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reply_to: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<Box<str>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct FixRest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hdop: Option<Dop>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pdop: Option<Dop>,
}

#[derive(Debug, Serialize, Deserialize)]
struct PowerRest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    battery_level: Option<Level>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    charging: Option<bool>,
}

#[derive(Debug, Serialize, Deserialize)]
struct IoRest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    armed: Option<bool>,
    #[serde(default, skip_serializing_if = "Switches::is_empty")]
    inputs: Switches,
    #[serde(default, skip_serializing_if = "Switches::is_empty")]
    outputs: Switches,
}

#[derive(Debug, Serialize, Deserialize)]
struct NetworkRest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    operator: Option<Box<str>>,
    #[serde(
        default,
        rename = "signal_pct",
        skip_serializing_if = "Option::is_none"
    )]
    signal: Option<Percent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signal_dbm: Option<i16>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    cells: Vec<Cell>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    wifi: Vec<WifiStation>,
}

/// What has no column, as JSON; empty if there is nothing.
pub(super) fn rest(
    report: &Report,
    provenance: &Provenance,
    identified: bool,
) -> Result<String, SinkError> {
    let raw_is_known = provenance.has(same::RAW_CIVIL) || provenance.has(same::RAW_UNIX);
    let more = &report.more;
    let network = &report.network;
    let has_network = network.signal.is_some()
        || network.signal_dbm.is_some()
        || network.cell.is_some()
        || !more.is_none()
            && (more.operator.is_some() || !more.cells.is_empty() || !more.wifi.is_empty());
    let mut rest = Rest {
        tenant: report.tenant.filter(|_| !identified),
        device: report.device.filter(|_| !identified),
        raw_time: report.raw_time.filter(|_| !raw_is_known),
        fix: report
            .fix
            .as_ref()
            .filter(|fix| fix.hdop.is_some() || fix.pdop.is_some())
            .map(|fix| FixRest {
                hdop: fix.hdop,
                pdop: fix.pdop,
            }),
        power: Some(&report.power)
            .filter(|power| power.battery_level.is_some() || power.charging.is_some())
            .map(|power| PowerRest {
                battery_level: power.battery_level,
                charging: power.charging,
            }),
        network: has_network.then(|| NetworkRest {
            operator: more.operator.clone(),
            signal: network.signal,
            signal_dbm: network.signal_dbm,
            cells: report.cells().copied().collect(),
            wifi: more.wifi.clone(),
        }),
        io: Some(&report.io)
            .filter(|io| io.armed.is_some() || !io.inputs.is_empty() || !io.outputs.is_empty())
            .map(|io| IoRest {
                armed: io.armed,
                inputs: io.inputs,
                outputs: io.outputs,
            }),
        ..Rest::default()
    };
    if !more.is_none() {
        rest.vehicle.clone_from(&more.vehicle);
        rest.identity.clone_from(&more.identity);
        rest.events.clone_from(&more.events);
        rest.signals.clone_from(&more.signals);
        rest.media.clone_from(&more.media);
        rest.reply_to = more.reply_to;
        rest.text.clone_from(&more.text);
    }
    let text = json(&rest, 128)?;
    Ok(if text == "{}" { String::new() } else { text })
}

/// Everything of a row that is not a value of the report.
pub(super) struct RowParts<'a> {
    pub(super) seq: i64,
    pub(super) device: Option<i64>,
    pub(super) epoch: i64,
    pub(super) connection: i64,
    pub(super) frame: i64,
    pub(super) frames: Option<i64>,
    pub(super) part: i64,
    pub(super) item: Option<i64>,
    pub(super) raw: Option<&'a [u8]>,
    pub(super) rest: &'a str,
    pub(super) provenance: i64,
    pub(super) same: u8,
    pub(super) profile: Option<i64>,
}

pub(super) const INSERT: &str = "INSERT INTO report (
    seq, id, device, time, epoch, connection, frame, part, late, raw, body,
    provenance, profile, frames, item, received_at, device_time, fix_time, sequence,
    latitude, longitude, altitude_m, speed_kmh, course_deg, satellites, valid,
    ignition, external_connected, external_v, battery_v, battery_pct, odometer_m,
    smoothed_latitude, smoothed_longitude, smoothed_speed_kmh, smoothed_course_deg,
    accuracy_m, moving, outlier, rejected)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,
            ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36,
            ?37, ?38, ?39, ?40) ON CONFLICT (id) DO NOTHING";

/// Writes a row; whether it is new.
pub(super) fn insert(
    statement: &mut Statement<'_>,
    report: &Report,
    row: &RowParts<'_>,
) -> Result<bool, rusqlite::Error> {
    let has = |flag| row.same & flag != 0;
    let fix = report.fix.as_ref();
    let smoothed = report.smoothed.as_ref();
    let power = &report.power;
    let bind: [&dyn ToSql; 40] = [
        &row.seq,
        &report.id.as_bytes().as_slice(),
        &row.device,
        &report.time.as_millis(),
        &row.epoch,
        &row.connection,
        &row.frame,
        &row.part,
        &report.late,
        &row.raw,
        &row.rest,
        &row.provenance,
        &row.profile,
        &row.frames,
        &row.item,
        &report.received_at.as_millis(),
        &report
            .device_time
            .filter(|_| !has(same::DEVICE_TIME))
            .map(Timestamp::as_millis),
        &fix.and_then(|fix| fix.time)
            .filter(|_| !has(same::FIX_TIME))
            .map(Timestamp::as_millis),
        &report.sequence,
        &fix.map(|fix| fix.coordinates.latitude()),
        &fix.map(|fix| fix.coordinates.longitude()),
        &fix.and_then(|fix| fix.altitude)
            .map(|v| tidy(v.as_metres())),
        &fix.and_then(|fix| fix.speed).map(|v| tidy(v.as_kmh())),
        &fix.and_then(|fix| fix.course).map(|v| tidy(v.as_degrees())),
        &fix.and_then(|fix| fix.satellites),
        &fix.map(|fix| fix.valid),
        &report.io.ignition,
        &power.external_connected,
        &power.external.map(|v| tidy(v.as_volts())),
        &power.battery.map(|v| tidy(v.as_volts())),
        &power.battery_charge.map(|v| tidy(v.value())),
        &report.odometer.map(Odometer::as_metres),
        &smoothed.map(|s| s.latitude),
        &smoothed.map(|s| s.longitude),
        &smoothed.and_then(|s| s.speed).map(|v| tidy(v.as_kmh())),
        &smoothed
            .and_then(|s| s.course)
            .map(|v| tidy(v.as_degrees())),
        &smoothed.and_then(|s| s.accuracy_m).map(tidy),
        &smoothed.and_then(|s| s.moving),
        &smoothed.map(|s| s.outlier),
        &smoothed.and_then(|s| s.rejected).and_then(|r| said(&r)),
    ];
    Ok(statement.execute(bind.as_slice())? > 0)
}

/// The decimal number that a person would write for this one: 12.6, not 12.600000381. It gives the
/// same `f32` when it is read back.
fn tidy(value: f32) -> f64 {
    if value.fract() == 0.0 {
        return f64::from(value);
    }
    let mut text = [0_u8; 64];
    let mut out = &mut text[..];
    let written = std::io::Write::write_fmt(&mut out, format_args!("{value}"));
    let left = out.len();
    let text = text.get(..64 - left).unwrap_or_default();
    written
        .ok()
        .and_then(|()| std::str::from_utf8(text).ok()?.parse().ok())
        .unwrap_or_else(|| f64::from(value))
}

/// Writes the values of a correction into its row, if that has a lower revision.
pub(super) fn correct(
    db: &Connection,
    correction: &crate::sink::Correction,
) -> Result<bool, rusqlite::Error> {
    let id = correction.id.as_bytes().as_slice();
    let revision = correction.revision;
    let found = db
        .prepare_cached(
            "UPDATE report SET revision = ?2 WHERE id = ?1 AND coalesce(revision, 0) < ?2",
        )?
        .execute(params![id, revision])?;
    if found == 0 {
        return Ok(false);
    }
    let fields = &correction.fields;
    if let Some(late) = fields.late {
        db.prepare_cached("UPDATE report SET late = ?2 WHERE id = ?1")?
            .execute(params![id, late])?;
    }
    if let Some(s) = &fields.smoothed {
        db.prepare_cached(
            "UPDATE report SET smoothed_latitude = ?2, smoothed_longitude = ?3,
                    smoothed_speed_kmh = ?4, smoothed_course_deg = ?5, accuracy_m = ?6,
                    moving = ?7, outlier = ?8, rejected = ?9 WHERE id = ?1",
        )?
        .execute(params![
            id,
            s.latitude,
            s.longitude,
            s.speed.map(|v| tidy(v.as_kmh())),
            s.course.map(|v| tidy(v.as_degrees())),
            s.accuracy_m.map(tidy),
            s.moving,
            s.outlier,
            s.rejected.and_then(|r| said(&r)),
        ])?;
    }
    if let Some(events) = &fields.events {
        let events = serde_json::to_string(events)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        db.prepare_cached(
            "UPDATE report SET body = json_set(iif(body = '', '{}', body), '$.events', json(?2))
             WHERE id = ?1",
        )?
        .execute(params![id, events])?;
    }
    Ok(true)
}

/// What [`read`] needs, in this order; `d` is the device and may be absent.
pub(super) const SELECT: &str = "SELECT r.seq, r.id, r.time, r.late, r.raw, r.body, d.tenant,
    d.device, r.provenance, r.received_at, r.device_time, r.fix_time, r.sequence, r.latitude,
    r.longitude, r.altitude_m, r.speed_kmh, r.course_deg, r.satellites, r.valid, r.ignition,
    r.external_connected, r.external_v, r.battery_v, r.battery_pct, r.odometer_m,
    r.smoothed_latitude, r.smoothed_longitude, r.smoothed_speed_kmh, r.smoothed_course_deg,
    r.accuracy_m, r.moving, r.outlier, r.rejected
    FROM report r LEFT JOIN device d ON d.id = r.device";

/// Finds what a row shares with others.
pub(super) trait FindProvenance {
    fn find(&self, id: i64) -> Result<Option<Provenance>, rusqlite::Error>;
}

/// Puts back together what was taken apart for storing.
pub(super) fn read(
    row: &Row<'_>,
    shared: &impl FindProvenance,
    with_raw: bool,
) -> Result<Report, StoreError> {
    let id: [u8; 16] = row.get(1)?;
    let id = ReportId::from_bytes(id);
    let bad = |source: Box<dyn std::error::Error + Send + Sync>| StoreError::Row {
        row: format!("report {id}"),
        source,
    };
    let body = row.get_ref(5)?.as_str().map_err(|e| bad(e.into()))?;
    let mut report = match row.get::<_, Option<i64>>(8)? {
        None => serde_json::from_str(body).map_err(|e| bad(e.into()))?,
        Some(provenance) => {
            let shared = shared
                .find(provenance)?
                .ok_or_else(|| bad(format!("provenance {provenance} is missing").into()))?;
            let rest = if body.is_empty() {
                Rest::default()
            } else {
                serde_json::from_str(body).map_err(|e| bad(e.into()))?
            };
            assemble(row, id, &shared, rest).map_err(bad)?
        }
    };
    report.late = row.get(3)?;
    if let Some(smoothed) = smoothed(row).map_err(bad)? {
        report.smoothed = Some(smoothed);
    }
    if with_raw {
        report.more.raw = row.get::<_, Option<Vec<u8>>>(4)?.map(Vec::into);
    }
    if let (Some(tenant), Some(device)) = (
        row.get::<_, Option<String>>(6)?,
        row.get::<_, Option<String>>(7)?,
    ) {
        report.tenant = Some(Tenant::new(&tenant).map_err(|e| bad(e.into()))?);
        report.device = Some(DeviceId::new(&device).map_err(|e| bad(e.into()))?);
    }
    Ok(report)
}

type Odd = Box<dyn std::error::Error + Send + Sync>;

fn assemble(row: &Row<'_>, id: ReportId, shared: &Provenance, rest: Rest) -> Result<Report, Odd> {
    let decoder = Decoder::new(shared.protocol.as_str(), shared.decoder.as_str());
    let time = Timestamp::from_millis(row.get(2)?);
    let at = |column: usize| -> Result<Option<Timestamp>, rusqlite::Error> {
        let millis: Option<i64> = row.get(column)?;
        Ok(millis.map(Timestamp::from_millis))
    };
    let arrived = at(9)?.ok_or("the arrival is missing")?;
    let mut report = Report::new(id, decoder, shared.kind, arrived);
    report.dialect = shared.dialect;
    report.checksum = shared.checksum;
    report.time = time;
    report.time_source = shared.time_source;
    report.zone = shared.zone;
    report.device_time = at(10)?.or_else(|| shared.has(same::DEVICE_TIME).then_some(time));
    report.sequence = row.get(12)?;
    report.tenant = rest.tenant;
    report.device = rest.device;
    report.raw_time = if shared.has(same::RAW_CIVIL) {
        Some(civil(id.key_time())?)
    } else if shared.has(same::RAW_UNIX) {
        Some(RawTime::Unix(u32::try_from(id.key_time().as_unix())?))
    } else {
        rest.raw_time
    };
    if let (Some(latitude), Some(longitude)) = (row.get(13)?, row.get(14)?) {
        let here = Coordinates::from_degrees(latitude, longitude)?;
        let source = shared.fix_source.ok_or("the fix has no source")?;
        let mut fix = Fix::new(here, row.get(19)?, source);
        fix.time = at(11)?.or_else(|| shared.has(same::FIX_TIME).then_some(time));
        fix.altitude = number(row, 15, Altitude::from_metres)?;
        fix.speed = number(row, 16, Speed::from_kmh)?;
        fix.course = number(row, 17, Course::from_degrees)?;
        fix.satellites = row.get(18)?;
        fix.live = shared.live;
        if let Some(rest) = rest.fix {
            fix.hdop = rest.hdop;
            fix.pdop = rest.pdop;
        }
        report.fix = Some(fix);
    }
    report.power = Power::default();
    report.power.external_connected = row.get(21)?;
    report.power.external = number(row, 22, Voltage::from_volts)?;
    report.power.battery = number(row, 23, Voltage::from_volts)?;
    report.power.battery_charge = number(row, 24, Percent::new)?;
    if let Some(rest) = rest.power {
        report.power.battery_level = rest.battery_level;
        report.power.charging = rest.charging;
    }
    report.io.ignition = row.get(20)?;
    report.io.ignition_source = shared.ignition_source;
    if let Some(rest) = rest.io {
        report.io.armed = rest.armed;
        report.io.inputs = rest.inputs;
        report.io.outputs = rest.outputs;
    }
    report.odometer = row
        .get::<_, Option<f64>>(25)?
        .map(Odometer::from_metres)
        .transpose()?;
    if let Some(network) = rest.network {
        report.network.signal = network.signal;
        report.network.signal_dbm = network.signal_dbm;
        for cell in network.cells {
            report.push_cell(cell);
        }
        // Nothing is made apart for what is not there.
        if network.operator.is_some() || !network.wifi.is_empty() {
            report.more.operator = network.operator;
            report.more.wifi = network.wifi;
        }
    }
    let rare = rest.vehicle.is_some()
        || rest.identity.is_some()
        || !rest.events.is_empty()
        || !rest.signals.is_empty()
        || rest.media.is_some()
        || rest.reply_to.is_some()
        || rest.text.is_some();
    if rare {
        let more = &mut *report.more;
        more.vehicle = rest.vehicle;
        more.identity = rest.identity;
        more.events = rest.events;
        more.signals = rest.signals;
        more.media = rest.media;
        more.reply_to = rest.reply_to;
        more.text = rest.text;
    }
    Ok(report)
}

fn smoothed(row: &Row<'_>) -> Result<Option<Smoothed>, Odd> {
    let (Some(latitude), Some(longitude)) = (
        row.get::<_, Option<f64>>(26)?,
        row.get::<_, Option<f64>>(27)?,
    ) else {
        return Ok(None);
    };
    let mut smoothed = Smoothed::new(Coordinates::from_degrees(latitude, longitude)?);
    // As it was given, which may be finer than coordinates are.
    smoothed.latitude = latitude;
    smoothed.longitude = longitude;
    smoothed.speed = number(row, 28, Speed::from_kmh)?;
    smoothed.course = number(row, 29, Course::from_degrees)?;
    smoothed.accuracy_m = row.get::<_, Option<f64>>(30)?.map(narrow);
    smoothed.moving = row.get(31)?;
    smoothed.outlier = row.get::<_, Option<bool>>(32)?.unwrap_or(false);
    smoothed.rejected = word(row, 33)?;
    Ok(Some(smoothed))
}

fn number<T, E: std::error::Error + Send + Sync + 'static>(
    row: &Row<'_>,
    at: usize,
    make: impl FnOnce(f32) -> Result<T, E>,
) -> Result<Option<T>, Odd> {
    let number: Option<f64> = row.get(at)?;
    Ok(number.map(narrow).map(make).transpose()?)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "it was an `f32` before it was written"
)]
const fn narrow(value: f64) -> f32 {
    value as f32
}

fn civil(time: Timestamp) -> Result<RawTime, Odd> {
    let (year, month, day, hour, minute, second) = time.to_civil();
    Ok(RawTime::Civil {
        year: u16::try_from(year)?,
        month,
        day,
        hour,
        minute,
        second,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_stored_as_people_write_them_and_come_back_the_same() {
        for value in [12.6_f32, 0.1, 3.799_999, 1e-20, f32::MAX, 54.0, -0.0] {
            let stored = tidy(value);
            assert_eq!(narrow(stored).to_bits(), value.to_bits(), "{value}");
        }
        assert_eq!(tidy(12.6).to_string(), "12.6");
    }
}
