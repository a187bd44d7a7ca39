//! Trips and stops: written with the batch that ended them, found anew where late data changed
//! them.

use milepost_telemetry::{DeviceId, DeviceKey, Report, ReportId, Smoothed, Tenant, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::read::{Cursor, Page, Paged, Reader, Span};
use super::{Store, StoreError, insert};
use crate::sink::{Batch, CorrectedFields, Correction, IndexSet};
use crate::stage::{Stage as _, Track, piece};
use crate::track::{Estimate, Kind, Leg, Sample, Settings, replay};

/// A trip or a stop of a device.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Trip {
    /// What it is.
    pub leg: Leg,
    /// How often it was found anew.
    pub revision: u32,
}

/// What [`Store::redo_trips`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redone {
    /// Reports that were gone through.
    pub reports: usize,
    /// Rows that differ from what was there.
    pub changed: usize,
    /// Reports whose position is judged otherwise now, and corrected.
    pub corrected: usize,
}

/// Reports of one stretch, at most; the rest of a longer one stays as it is.
const MOST_REPORTS: usize = 200_000;
/// Reports that are read at once.
const PAGE: u32 = 1_000;

/// Writes what a batch says of trips, in its transaction.
pub(super) fn write(
    tx: &Transaction<'_>,
    batch: &Batch,
    new: &IndexSet,
) -> Result<(), rusqlite::Error> {
    let slot = |device: usize| batch.devices.get(device).map(|device| device.slot.0);
    for (device, leg) in &batch.legs {
        if let Some(device) = slot(*device) {
            put(tx, device, leg, 0)?;
        }
    }
    for mark in batch.dirty.iter().filter(|mark| new.contains(mark.report)) {
        if let Some(device) = slot(mark.device) {
            tx.prepare_cached("INSERT INTO dirty (device, from_ms, to_ms) VALUES (?1, ?2, ?3)")?
                .execute(params![device, mark.stretch.from_ms, mark.stretch.to_ms])?;
        }
    }
    Ok(())
}

fn put(db: &Connection, device: i64, leg: &Leg, revision: u32) -> Result<(), rusqlite::Error> {
    let Some(to_ms) = leg.to_ms else {
        return Ok(());
    };
    db.prepare_cached(
        "INSERT INTO trip (device, from_ms, to_ms, kind, start_latitude, start_longitude,
             end_latitude, end_longitude, distance_m, odometer_m, max_speed_kmh, idle_s, revision)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
         ON CONFLICT DO UPDATE SET to_ms = excluded.to_ms, kind = excluded.kind,
             start_latitude = excluded.start_latitude, start_longitude = excluded.start_longitude,
             end_latitude = excluded.end_latitude, end_longitude = excluded.end_longitude,
             distance_m = excluded.distance_m, odometer_m = excluded.odometer_m,
             max_speed_kmh = excluded.max_speed_kmh, idle_s = excluded.idle_s,
             revision = max(excluded.revision, trip.revision)",
    )?
    .execute(params![
        device,
        leg.from_ms,
        to_ms,
        match leg.kind {
            Kind::Trip => "trip",
            Kind::Stop => "stop",
        },
        leg.start.0,
        leg.start.1,
        leg.end.0,
        leg.end.1,
        leg.distance_m,
        leg.odometer_m,
        f64::from(leg.max_speed) * 3.6,
        leg.idle_ms as f64 / 1_000.0,
        revision,
    ])?;
    Ok(())
}

const SELECT: &str = "SELECT kind, from_ms, to_ms, start_latitude, start_longitude, end_latitude,
    end_longitude, distance_m, odometer_m, max_speed_kmh, idle_s, revision FROM trip";

fn read(row: &Row<'_>) -> Result<Trip, rusqlite::Error> {
    let kind: String = row.get(0)?;
    let max_speed: f64 = row.get(9)?;
    let idle_s: f64 = row.get(10)?;
    Ok(Trip {
        leg: Leg {
            kind: if kind == "trip" {
                Kind::Trip
            } else {
                Kind::Stop
            },
            from_ms: row.get(1)?,
            to_ms: row.get(2)?,
            start: (row.get(3)?, row.get(4)?),
            end: (row.get(5)?, row.get(6)?),
            distance_m: row.get(7)?,
            odometer_m: row.get(8)?,
            max_speed: narrow(max_speed / 3.6),
            idle_ms: whole(idle_s * 1_000.0),
        },
        revision: row.get(11)?,
    })
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "it was an `f32` before it was written"
)]
const fn narrow(value: f64) -> f32 {
    value as f32
}

#[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
fn whole(value: f64) -> i64 {
    value.round() as i64
}

/// What has to be found anew: one device, all its marks together.
#[derive(Debug, Clone, Copy)]
struct Task {
    device: i64,
    key: DeviceKey,
    /// The last mark that is taken in.
    up_to: i64,
    /// The marks reach from here
    dirty_from_ms: i64,
    /// to here.
    dirty_to_ms: i64,
    /// From the start of the stop before.
    from_ms: i64,
    /// To the end of the stop after; `None`: to the present.
    to_ms: Option<i64>,
}

impl Reader {
    /// A device's trips and stops that overlap a stretch of time, the earliest first; the open one
    /// is the last.
    ///
    /// # Errors
    /// When the store cannot be read, or the cursor is not one.
    pub fn trips(
        &self,
        key: &DeviceKey,
        span: &Span,
        page: &Page,
    ) -> Result<Paged<Trip>, StoreError> {
        let nothing = Paged {
            items: Vec::new(),
            next: None,
        };
        let Some(device) = self.device_number(key)? else {
            return Ok(nothing);
        };
        let from = span.from.map_or(i64::MIN, Timestamp::as_millis);
        let to = span.to.map_or(i64::MAX, Timestamp::as_millis);
        let after = page.after.as_ref().map(Cursor::number).transpose()?;
        // The rows have no holes, so the one that is under way at `from` is the last that begins
        // before it.
        let begin: i64 = self
            .db()
            .prepare_cached(
                "SELECT coalesce((SELECT from_ms FROM trip WHERE device = ?1 AND from_ms <= ?2
                     AND to_ms > ?2 ORDER BY from_ms DESC LIMIT 1), ?2)",
            )?
            .query_row(params![device, from], |row| row.get(0))?;
        let limit = i64::from(page.limit) + 1;
        let mut find = self.db().prepare_cached(&format!(
            "{SELECT} WHERE device = ?1 AND from_ms >= ?2 AND from_ms < ?3 AND from_ms > ?4
             ORDER BY from_ms LIMIT ?5"
        ))?;
        let after = after.unwrap_or(i64::MIN);
        let rows = find.query_map(params![device, begin, to, after, limit], |row| {
            read(row).map(|trip| (trip, trip.leg.from_ms.to_string()))
        })?;
        let mut trips = rows.collect::<Result<Vec<_>, _>>()?;
        if let Some(open) = open(self.db(), device)?.filter(|open| {
            open.from_ms > after
                && open.from_ms < to
                && trips
                    .last()
                    .is_none_or(|(last, _)| last.leg.from_ms < open.from_ms)
        }) {
            let trip = Trip {
                leg: open,
                revision: 0,
            };
            trips.push((trip, open.from_ms.to_string()));
        }
        Ok(Paged::cut(trips, page.limit))
    }

    fn dirty(&self) -> Result<Option<Task>, StoreError> {
        let found = self
            .db()
            .prepare_cached(
                "SELECT y.device, d.tenant, d.device, max(y.seq), min(y.from_ms), max(y.to_ms)
                 FROM dirty y JOIN device d ON d.id = y.device
                 WHERE y.device = (SELECT device FROM dirty ORDER BY seq LIMIT 1)
                 GROUP BY y.device",
            )?
            .query_row([], |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, String>(2)?,
                    row.get::<_, i64>(3)?,
                    row.get::<_, i64>(4)?,
                    row.get::<_, i64>(5)?,
                ))
            })
            .optional()?;
        let Some((device, tenant, id, up_to, from, to)) = found else {
            return Ok(None);
        };
        let bad = |source: Box<dyn std::error::Error + Send + Sync>| StoreError::Row {
            row: format!("device {tenant}/{id}"),
            source,
        };
        let key = DeviceKey {
            tenant: Tenant::new(&tenant).map_err(|e| bad(e.into()))?,
            device: DeviceId::new(&id).map_err(|e| bad(e.into()))?,
        };
        let from_ms = self
            .db()
            .prepare_cached(
                "SELECT max(from_ms) FROM trip WHERE device = ?1 AND kind = 'stop' AND to_ms <= ?2",
            )?
            .query_row(params![device, from], |row| row.get::<_, Option<i64>>(0))?;
        let to_ms = self
            .db()
            .prepare_cached(
                "SELECT to_ms FROM trip WHERE device = ?1 AND kind = 'stop' AND from_ms >= ?2
                 ORDER BY from_ms LIMIT 1",
            )?
            .query_row(params![device, to], |row| row.get(0))
            .optional()?;
        Ok(Some(Task {
            device,
            key,
            up_to,
            dirty_from_ms: from,
            dirty_to_ms: to,
            from_ms: from_ms.unwrap_or(i64::MIN),
            to_ms,
        }))
    }
}

/// The open trip or stop, as the device's state has it.
fn open(db: &Connection, device: i64) -> Result<Option<Leg>, rusqlite::Error> {
    let states: Vec<u8> = db
        .prepare_cached("SELECT state FROM device WHERE id = ?1")?
        .query_row([device], |row| row.get(0))?;
    let tracker =
        piece(&states, Track::NAME).and_then(|(version, bytes)| Track::restore(version, bytes));
    Ok(tracker.and_then(|tracker| tracker.motion().open()))
}

impl Store {
    /// Finds trips anew, and whether the positions of the marked stretch are believed, of one device whose late reports have changed them: from the stop before
    /// to the stop after. `None` if there is nothing to do.
    ///
    /// `pause` is awaited after each piece of work with the time that it took: whoever calls this
    /// says by it which share of a core the work may have.
    ///
    /// # Errors
    /// When the store cannot be read or written; then nothing has changed.
    pub async fn redo_trips<F: Future<Output = ()>>(
        &self,
        settings: &Settings,
        pause: impl Fn(std::time::Duration) -> F,
    ) -> Result<Option<Redone>, StoreError> {
        let Some(task) = self.read(Reader::dirty).await? else {
            return Ok(None);
        };
        let span = Span {
            from: Some(Timestamp::from_millis(task.from_ms)),
            // The report that ends the stop is in it.
            to: task
                .to_ms
                .map(|to| Timestamp::from_millis(to.saturating_add(1))),
            raw: false,
        };
        let (mut samples, mut judged) = (Vec::new(), Vec::new());
        let mut page = Page::first(PAGE);
        loop {
            let since = std::time::Instant::now();
            let (part, next) = self
                .read(move |reader| {
                    let found = reader.history(&task.key, &span, &page)?;
                    let of = |report: &Report| (Sample::of(report), Judged::of(report));
                    let part: Vec<_> = found.items.iter().map(of).collect();
                    Ok((part, found.next))
                })
                .await?;
            for (sample, known) in part {
                samples.push(sample);
                judged.push(known);
            }
            pause(since.elapsed()).await;
            match next {
                Some(next) if samples.len() < MOST_REPORTS => page = Page::after(PAGE, Some(next)),
                Some(_) => {
                    tracing::warn!(
                        device = %task.key,
                        reports = samples.len(),
                        "a stretch of late data is too long: its later trips stay as they are"
                    );
                    break;
                }
                None => break,
            }
        }
        let cut = (samples.len() >= MOST_REPORTS)
            .then(|| samples.last().map(|last| last.time_ms))
            .flatten();
        let reports = samples.len();
        let mut task = task;
        // Trips whose reports are forgotten stay as they are.
        task.from_ms = match samples.first() {
            Some(first) => task.from_ms.max(first.time_ms),
            None => i64::MAX,
        };
        let since = std::time::Instant::now();
        let settings = *settings;
        let (legs, corrections) = tokio::task::spawn_blocking(move || {
            let again = replay(&samples, &settings);
            let corrections = corrections(&task, &samples, &judged, &again.estimates);
            (again.legs, corrections)
        })
        .await
        .map_err(|_| StoreError::Closed)?;
        pause(since.elapsed()).await;
        let (changed, corrected) = self
            .write(move |tx| {
                let changed = replace(tx, &task, cut, legs)?;
                Ok((changed, correct(tx, corrections)?))
            })
            .await?;
        Ok(Some(Redone {
            reports,
            changed,
            corrected,
        }))
    }
}

/// A stored report and how its position was judged.
#[derive(Debug, Clone, Copy)]
struct Judged {
    id: ReportId,
    smoothed: Option<Smoothed>,
}

impl Judged {
    fn of(report: &Report) -> Self {
        Self {
            id: report.id,
            smoothed: report.smoothed,
        }
    }
}

/// The reports of the dirty stretch whose position had no estimate, or is believed or rejected
/// otherwise now. The others keep their live estimate: a fresh run over part of a history knows
/// less of the receiver than the live state did.
fn corrections(
    task: &Task,
    samples: &[Sample],
    judged: &[Judged],
    estimates: &[Option<Estimate>],
) -> Vec<(ReportId, Smoothed)> {
    let stretch = task.dirty_from_ms..=task.dirty_to_ms;
    samples
        .iter()
        .zip(judged)
        .zip(estimates)
        .filter(|((sample, _), _)| stretch.contains(&sample.time_ms) && sample.position.is_some())
        .filter_map(|((_, known), estimate)| {
            let smoothed = estimate.as_ref()?.smoothed()?;
            let same = known
                .smoothed
                .is_some_and(|before| before.rejected == smoothed.rejected);
            (!same).then_some((known.id, smoothed))
        })
        .collect()
}

/// Writes corrections as those of a batch are, so that followers get them.
fn correct(
    tx: &Transaction<'_>,
    corrections: Vec<(ReportId, Smoothed)>,
) -> Result<usize, rusqlite::Error> {
    let mut corrected = 0;
    for (id, smoothed) in corrections {
        // None: the report was forgotten meanwhile.
        let revision: Option<u32> = tx
            .prepare_cached("SELECT coalesce(revision, 0) FROM report WHERE id = ?1")?
            .query_row([id.as_bytes().as_slice()], |row| row.get(0))
            .optional()?;
        let Some(revision) = revision else { continue };
        let mut fields = CorrectedFields::default();
        fields.smoothed = Some(smoothed);
        let correction = Correction::new(id, revision.saturating_add(1), fields);
        if insert::correct(tx, &correction)? {
            insert::keep_correction(tx, &correction, super::now())?;
            corrected += 1;
        }
    }
    Ok(corrected)
}

/// Puts what was found anew in the place of what was there. A row that is the same stays as it is;
/// of the others the revision rises.
fn replace(
    tx: &Transaction<'_>,
    task: &Task,
    cut: Option<i64>,
    mut legs: Vec<Leg>,
) -> Result<usize, rusqlite::Error> {
    // What is open stays with the live state: it begins where that says.
    let open_from = open(tx, task.device)?.map_or(i64::MAX, |open| open.from_ms);
    let end = task
        .to_ms
        .unwrap_or(i64::MAX)
        .min(cut.unwrap_or(i64::MAX))
        .min(open_from);
    legs.retain(|leg| leg.from_ms < end);
    if let Some(last) = legs.last_mut() {
        // The stop that the stretch ends with goes on to where it ended before.
        last.to_ms = match last.to_ms {
            Some(to) if cut.is_some() => Some(to),
            _ if end < i64::MAX => Some(end),
            to => to,
        };
    }
    legs.retain(|leg| leg.to_ms.is_some_and(|to| to > leg.from_ms));
    // Beyond a cut nothing was gone through.
    let end = match cut {
        Some(_) => legs
            .last()
            .and_then(|leg| leg.to_ms)
            .unwrap_or(task.from_ms),
        None => end,
    };
    let mut find = tx.prepare_cached(&format!(
        "{SELECT} WHERE device = ?1 AND from_ms >= ?2 AND from_ms < ?3"
    ))?;
    let before = find
        .query_map(params![task.device, task.from_ms, end], read)?
        .collect::<Result<Vec<_>, _>>()?;
    let revision = before.iter().map(|trip| trip.revision).max().unwrap_or(0);
    let mut changed = 0;
    for old in &before {
        if !legs.iter().any(|leg| leg.from_ms == old.leg.from_ms) {
            tx.prepare_cached("DELETE FROM trip WHERE device = ?1 AND from_ms = ?2")?
                .execute(params![task.device, old.leg.from_ms])?;
            changed += 1;
        }
    }
    for leg in &legs {
        if before.iter().any(|old| same(&old.leg, leg)) {
            continue;
        }
        put(tx, task.device, leg, revision.saturating_add(1))?;
        changed += 1;
    }
    tx.prepare_cached("DELETE FROM dirty WHERE device = ?1 AND seq <= ?2")?
        .execute(params![task.device, task.up_to])?;
    Ok(changed)
}

/// Whether two rows say the same, but for rounding.
fn same(a: &Leg, b: &Leg) -> bool {
    (a.kind, a.from_ms, a.to_ms) == (b.kind, b.from_ms, b.to_ms)
        && (a.distance_m - b.distance_m).abs() < 0.5
        && (a.max_speed - b.max_speed).abs() < 0.05
        && (a.idle_ms - b.idle_ms).abs() < 1_000
}
