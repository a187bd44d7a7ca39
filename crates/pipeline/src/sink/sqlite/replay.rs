//! Reads the stored rows again, for followers.

use milepost_telemetry::Report;
use rusqlite::params;

use super::columns::{self, SELECT};
use super::read::Reader;
use super::{StoreError, write};
use crate::SinkError;
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

impl Replay for SqliteReplay {
    fn after(&mut self, position: Position, most: usize) -> Result<Replayed, SinkError> {
        self.read(position, most).map_err(SinkError::transient)
    }
}
