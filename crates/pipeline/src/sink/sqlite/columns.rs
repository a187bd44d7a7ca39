//! A row as a report. [`insert`](super::insert) is the other direction.
//!
//! | where | what |
//! |---|---|
//! | a column | values that analysts ask for: times, position, speed, supply, ignition, odometer |
//! | [`Provenance`], a row that many reports share | what is nearly the same in all reports of a device |
//! | `body`, JSON with the keys of the public form | everything else |
//!
//! A row whose `provenance` is NULL is from an earlier format: all of it is in `body`.

use milepost_telemetry::{
    Altitude, Coordinates, Course, Decoder, DeviceId, Fix, Odometer, Percent, Power, RawTime,
    Report, ReportId, Smoothed, Speed, Tenant, Timestamp, Voltage,
};
use rusqlite::Row;

use super::StoreError;
use super::provenance::{Provenance, same, word};
use super::rest::Rest;

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
