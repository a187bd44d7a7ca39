//! Reads the stored rows again, for followers.

use milepost_telemetry::{DeviceId, DeviceKey, Report, Tenant};
use rusqlite::{OptionalExtension, params};

use super::columns::{self, SELECT};
use super::read::Reader;
use super::{StoreError, write};
use crate::SinkError;
use crate::latest::Latest;
use crate::sink::{Correction, Position, Replay, Replayed};

/// Gives followers what they have missed: rows of the history by their numbers.
///
/// What was forgotten in the meantime is not among it.
#[derive(Debug)]
pub struct SqliteReplay {
    reader: Reader,
}

impl SqliteReplay {
    pub(super) const fn new(reader: Reader) -> Self {
        Self { reader }
    }

    fn read(&self, position: Position, most: usize) -> Result<Replayed, StoreError> {
        let db = self.reader.db();
        // One transaction, so that all of it is of one moment.
        let tx = db.unchecked_transaction()?;
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let end = write::end(&tx)?;
        let mut replayed = Replayed {
            up_to: position,
            end,
            ..Replayed::default()
        };
        if most == 0 {
            return Ok(replayed);
        }
        replayed.up_to.history = end.history;
        let limit = i64::try_from(most).unwrap_or(i64::MAX);
        let mut find = tx.prepare_cached(&format!(
            "{SELECT} WHERE r.seq > ?1 ORDER BY r.seq LIMIT ?2"
        ))?;
        let mut rows = find.query(params![number(position.row), limit])?;
        while let Some(row) = rows.next()? {
            let report: Report = columns::read(row, &self.reader, false)?;
            replayed.up_to.row = u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0);
            replayed.reports.push(report);
        }
        if replayed.reports.len() < most {
            // What lies between here and the end was forgotten.
            replayed.up_to.row = replayed.up_to.row.max(end.row);
        }
        let mut find = tx.prepare_cached(
            "SELECT seq, correction FROM correction WHERE seq > ?1 ORDER BY seq LIMIT ?2",
        )?;
        let mut rows = find.query(params![number(position.correction), limit])?;
        while let Some(row) = rows.next()? {
            let seq: i64 = row.get(0)?;
            let text: String = row.get(1)?;
            let correction: Correction =
                serde_json::from_str(&text).map_err(|error| StoreError::Row {
                    row: format!("correction {seq}"),
                    source: error.into(),
                })?;
            replayed.up_to.correction = u64::try_from(seq).unwrap_or(0);
            replayed.corrections.push(correction);
        }
        if replayed.corrections.len() < most {
            let up_to = &mut replayed.up_to.correction;
            *up_to = (*up_to).max(end.correction);
        }
        Ok(replayed)
    }
}

impl SqliteReplay {
    /// A run's rows end where the next one's begin. If a mark lies beyond, the store was restored
    /// from a backup of that run; if no run has its history, from an earlier one.
    fn find_common(&self, mark: Position) -> Result<Position, StoreError> {
        if mark == Position::START {
            return Ok(mark);
        }
        let tx = self.reader.db().unchecked_transaction()?;
        let mut end = write::end(&tx)?;
        if mark.history != 0 {
            let history = i64::try_from(mark.history).unwrap_or(i64::MAX);
            let run: Option<i64> = tx
                .prepare_cached("SELECT id FROM epoch WHERE history = ?1")?
                .query_row([history], |row| row.get(0))
                .optional()?;
            let Some(run) = run else {
                return Ok(Position::START);
            };
            let next = tx
                .prepare_cached(
                    "SELECT rows_before, corrections_before FROM epoch
                     WHERE id > ?1 AND history IS NOT NULL ORDER BY id LIMIT 1",
                )?
                .query_row([run], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            if let Some((row, correction)) = next {
                end.row = write::row_number(row);
                end.correction = write::row_number(correction);
            }
        }
        Ok(Position {
            history: mark.history,
            row: mark.row.min(end.row),
            correction: mark.correction.min(end.correction),
        })
    }

    fn read_states(
        &self,
        after: Option<&DeviceKey>,
        most: usize,
    ) -> Result<Vec<(DeviceKey, Latest)>, StoreError> {
        let mut find = self.reader.db().prepare_cached(
            "SELECT tenant, device, latest FROM device WHERE (tenant, device) > (?1, ?2)
             ORDER BY tenant, device LIMIT ?3",
        )?;
        let limit = i64::try_from(most).unwrap_or(i64::MAX);
        // No device has an empty name.
        let (tenant, device) =
            after.map_or(("", ""), |key| (key.tenant.as_str(), key.device.as_str()));
        let mut rows = find.query(params![tenant, device, limit])?;
        let mut states = Vec::new();
        while let Some(row) = rows.next()? {
            let (tenant, device): (String, String) = (row.get(0)?, row.get(1)?);
            let latest: String = row.get(2)?;
            let (Ok(tenant), Ok(device)) = (Tenant::new(&tenant), DeviceId::new(&device)) else {
                continue;
            };
            let key = DeviceKey { tenant, device };
            // As the judge does: one that this version cannot read is begun anew.
            let latest = serde_json::from_str(&latest).unwrap_or_default();
            states.push((key, latest));
        }
        Ok(states)
    }
}

impl Replay for SqliteReplay {
    fn after(&mut self, position: Position, most: usize) -> Result<Replayed, SinkError> {
        self.read(position, most).map_err(SinkError::transient)
    }

    fn common(&mut self, mark: Position) -> Result<Position, SinkError> {
        self.find_common(mark).map_err(SinkError::transient)
    }

    fn states(
        &mut self,
        after: Option<&DeviceKey>,
        most: usize,
    ) -> Result<Vec<(DeviceKey, Latest)>, SinkError> {
        self.read_states(after, most).map_err(SinkError::transient)
    }
}
