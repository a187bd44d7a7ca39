//! A report as a row.

use milepost_telemetry::{Odometer, Report, Timestamp};
use rusqlite::{CachedStatement, Connection, Statement, ToSql, params};

use super::provenance::{said, same};

/// Everything of a row that is not a value of the report.
pub(super) struct RowParts<'a> {
    /// Its number; nothing if it is the next one after the newest row, which SQLite then finds
    /// without a search.
    pub(super) seq: Option<i64>,
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

/// Columns that most rows have a value in.
const USUAL: &str = "id, device, time, epoch, connection, frame, part, late, raw, body,
    provenance, profile, received_at, sequence, latitude, longitude, speed_kmh, course_deg,
    satellites, valid, ignition";

/// Groups of columns in which most rows have nothing. A row's statement names those in which it
/// has something: a third of the time of an insert would go into binding NULL.
const GROUPS: [&str; 4] = [
    "seq",
    "frames, item, device_time, fix_time",
    "altitude_m, external_connected, external_v, battery_v, battery_pct, odometer_m",
    "smoothed_latitude, smoothed_longitude, smoothed_speed_kmh, smoothed_course_deg,
     accuracy_m, moving, outlier, rejected",
];

/// Which of the [`GROUPS`] a row needs, one bit each.
mod group {
    pub(super) const SEQ: usize = 1;
    pub(super) const UNUSUAL: usize = 2;
    pub(super) const VEHICLE: usize = 4;
    pub(super) const SMOOTHED: usize = 8;
    /// All sets of groups.
    pub(super) const SETS: usize = 16;
}

/// The statements that write rows, in one transaction.
pub(super) struct Insert<'c> {
    db: &'c Connection,
    statements: [Option<CachedStatement<'c>>; group::SETS],
}

impl<'c> Insert<'c> {
    pub(super) fn new(db: &'c Connection) -> Self {
        Self {
            db,
            statements: [const { None }; group::SETS],
        }
    }

    /// Writes a row; whether it is new.
    pub(super) fn row(
        &mut self,
        report: &Report,
        row: &RowParts<'_>,
    ) -> Result<bool, rusqlite::Error> {
        let has = |flag| row.same & flag != 0;
        let fix = report.fix.as_ref();
        let power = &report.power;
        let device_time = report.device_time.filter(|_| !has(same::DEVICE_TIME));
        let fix_time = fix
            .and_then(|fix| fix.time)
            .filter(|_| !has(same::FIX_TIME));
        let altitude = fix.and_then(|fix| fix.altitude);
        let mut groups = 0;
        if row.seq.is_some() {
            groups |= group::SEQ;
        }
        if row.frames.is_some() || row.item.is_some() || device_time.is_some() || fix_time.is_some()
        {
            groups |= group::UNUSUAL;
        }
        if altitude.is_some()
            || power.external_connected.is_some()
            || power.external.is_some()
            || power.battery.is_some()
            || power.battery_charge.is_some()
            || report.odometer.is_some()
        {
            groups |= group::VEHICLE;
        }
        if report.smoothed.is_some() {
            groups |= group::SMOOTHED;
        }

        let mut bind = Binder::new(self.statement(groups)?);
        bind.next(report.id.as_bytes().as_slice())?;
        bind.next(row.device)?;
        bind.next(report.time.as_millis())?;
        bind.next(row.epoch)?;
        bind.next(row.connection)?;
        bind.next(row.frame)?;
        bind.next(row.part)?;
        bind.next(report.late)?;
        bind.next(row.raw)?;
        bind.next(row.rest)?;
        bind.next(row.provenance)?;
        bind.next(row.profile)?;
        bind.next(report.received_at.as_millis())?;
        bind.next(report.sequence)?;
        bind.next(fix.map(|fix| fix.coordinates.latitude()))?;
        bind.next(fix.map(|fix| fix.coordinates.longitude()))?;
        bind.next(fix.and_then(|fix| fix.speed).map(|v| tidy(v.as_kmh())))?;
        bind.next(fix.and_then(|fix| fix.course).map(|v| tidy(v.as_degrees())))?;
        bind.next(fix.and_then(|fix| fix.satellites))?;
        bind.next(fix.map(|fix| fix.valid))?;
        bind.next(report.io.ignition)?;
        if let Some(seq) = row.seq {
            bind.next(seq)?;
        }
        if groups & group::UNUSUAL != 0 {
            bind.next(row.frames)?;
            bind.next(row.item)?;
            bind.next(device_time.map(Timestamp::as_millis))?;
            bind.next(fix_time.map(Timestamp::as_millis))?;
        }
        if groups & group::VEHICLE != 0 {
            bind.next(altitude.map(|v| tidy(v.as_metres())))?;
            bind.next(power.external_connected)?;
            bind.next(power.external.map(|v| tidy(v.as_volts())))?;
            bind.next(power.battery.map(|v| tidy(v.as_volts())))?;
            bind.next(power.battery_charge.map(|v| tidy(v.value())))?;
            bind.next(report.odometer.map(Odometer::as_metres))?;
        }
        if let Some(s) = &report.smoothed {
            bind.next(s.latitude)?;
            bind.next(s.longitude)?;
            bind.next(s.speed.map(|v| tidy(v.as_kmh())))?;
            bind.next(s.course.map(|v| tidy(v.as_degrees())))?;
            bind.next(s.accuracy_m.map(tidy))?;
            bind.next(s.moving)?;
            bind.next(s.outlier)?;
            bind.next(s.rejected.and_then(|r| said(&r)))?;
        }
        Ok(bind.statement.raw_execute()? > 0)
    }

    fn statement(&mut self, groups: usize) -> Result<&mut Statement<'c>, rusqlite::Error> {
        let slot = self
            .statements
            .get_mut(groups)
            .ok_or(rusqlite::Error::InvalidQuery)?;
        let statement = match slot {
            Some(statement) => statement,
            none => none.insert(self.db.prepare_cached(&sql(groups))?),
        };
        Ok(statement)
    }
}

fn sql(groups: usize) -> String {
    let mut columns = USUAL.to_owned();
    for (bit, group) in GROUPS.iter().enumerate() {
        if groups & (1 << bit) != 0 {
            columns.push_str(", ");
            columns.push_str(group);
        }
    }
    let values = vec!["?"; columns.split(',').count()].join(", ");
    format!("INSERT INTO report ({columns}) VALUES ({values}) ON CONFLICT (id) DO NOTHING")
}

/// Binds a statement's parameters one after the other.
struct Binder<'s, 'c> {
    statement: &'s mut Statement<'c>,
    bound: usize,
}

impl<'s, 'c> Binder<'s, 'c> {
    const fn new(statement: &'s mut Statement<'c>) -> Self {
        Self {
            statement,
            bound: 0,
        }
    }

    fn next(&mut self, value: impl ToSql) -> Result<(), rusqlite::Error> {
        self.bound += 1;
        self.statement.raw_bind_parameter(self.bound, value)
    }
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

/// Keeps a correction for followers; returns its number.
pub(super) fn keep_correction(
    db: &Connection,
    correction: &crate::sink::Correction,
    made_at: Timestamp,
) -> Result<i64, rusqlite::Error> {
    let text = serde_json::to_string(correction)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    db.prepare_cached("INSERT INTO correction (correction, made_at) VALUES (?1, ?2) RETURNING seq")?
        .query_row(params![text, made_at.as_millis()], |row| row.get(0))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_stored_as_people_write_them_and_come_back_the_same() {
        for value in [12.6_f32, 0.1, 3.799_999, 1e-20, f32::MAX, 54.0, -0.0] {
            let stored = tidy(value);
            #[expect(clippy::cast_possible_truncation, reason = "as rows are read")]
            let read = stored as f32;
            assert_eq!(read.to_bits(), value.to_bits(), "{value}");
        }
        assert_eq!(tidy(12.6).to_string(), "12.6");
    }
}
