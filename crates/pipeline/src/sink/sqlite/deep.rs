//! Whether everything in the store can be read.

use serde::Serialize;

use super::StoreError;
use super::columns::{self, SELECT};
use super::read::Reader;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeepCheck {
    /// Rows that were read, of all tables.
    pub rows: u64,
    /// What is damaged; not more than [`DeepCheck::LISTED`] of them.
    pub damage: Vec<Damage>,
    /// Whether nothing is.
    pub ok: bool,
}

impl DeepCheck {
    /// Faults that are listed; the check goes on counting rows after that.
    pub const LISTED: usize = 100;

    fn add(&mut self, place: &str, what: impl ToString) {
        if self.damage.len() < Self::LISTED {
            self.damage.push(Damage {
                place: place.to_owned(),
                what: what.to_string(),
            });
        }
        self.ok = false;
    }
}

/// Something that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Damage {
    /// Where: a table, or the file's structure.
    pub place: String,
    /// What is wrong with it.
    pub what: String,
}

/// How far a check has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// What is being checked: the file's structure or a table.
    pub part: &'static str,
    /// Rows of the store that were read so far.
    pub rows: u64,
    /// Rows of this part, about; 0 if that is not known.
    pub of: u64,
}

/// Tables whose rows are only read as they are.
const TABLES: [&str; 11] = [
    "device",
    "epoch",
    "outcome",
    "folded",
    "quarantine",
    "provenance",
    "used_profile",
    "learned",
    "device_network",
    "command",
    "correction",
];

/// Rows between two reports of the progress.
const STEP: u64 = 10_000;

impl Reader {
    /// Checks the structure of the file (SQLite's `quick_check`) and reads every row, reports as
    /// reports. It takes about as long as reading the file twice, and the server may run meanwhile.
    ///
    /// # Errors
    /// When the store cannot be read at all; what is damaged is in the result.
    pub fn check_all(&self, mut progress: impl FnMut(Progress)) -> Result<DeepCheck, StoreError> {
        let mut found = DeepCheck {
            ok: true,
            ..DeepCheck::default()
        };
        progress(Progress {
            part: "structure",
            rows: 0,
            of: 0,
        });
        self.structure(&mut found)?;
        self.reports(&mut found, &mut progress)?;
        for table in TABLES {
            self.table(table, &mut found, &mut progress);
        }
        Ok(found)
    }

    fn structure(&self, found: &mut DeepCheck) -> Result<(), StoreError> {
        let mut check = self.db().prepare("PRAGMA quick_check(100)")?;
        let mut rows = check.query([])?;
        loop {
            match rows.next() {
                Ok(Some(row)) => {
                    let line: String = row.get(0)?;
                    if line != "ok" {
                        found.add("structure", line);
                    }
                }
                Ok(None) => return Ok(()),
                Err(error) => {
                    found.add("structure", error);
                    return Ok(());
                }
            }
        }
    }

    fn reports(
        &self,
        found: &mut DeepCheck,
        progress: &mut impl FnMut(Progress),
    ) -> Result<(), StoreError> {
        let last: i64 = self
            .db()
            .query_row("SELECT coalesce(max(seq), 0) FROM report", [], |row| {
                row.get(0)
            })
            .unwrap_or(0);
        let mut find = self
            .db()
            .prepare(&format!("{SELECT} WHERE r.seq > ?1 ORDER BY r.seq"))?;
        let mut after = 0;
        let mut rows = find.query([after])?;
        loop {
            match rows.next() {
                Ok(Some(row)) => {
                    after = row.get(0)?;
                    found.rows += 1;
                    if let Err(error) = columns::read(row, self, true) {
                        found.add("report", format!("row {after}: {error}"));
                    }
                    if found.rows.is_multiple_of(STEP) {
                        progress(Progress {
                            part: "report",
                            rows: found.rows,
                            of: u64::try_from(last).unwrap_or(0),
                        });
                    }
                }
                Ok(None) => return Ok(()),
                Err(error) => {
                    // The page is not readable: what follows it in the table cannot be found.
                    found.add("report", format!("after row {after}: {error}"));
                    return Ok(());
                }
            }
        }
    }

    fn table(
        &self,
        table: &'static str,
        found: &mut DeepCheck,
        progress: &mut impl FnMut(Progress),
    ) {
        progress(Progress {
            part: table,
            rows: found.rows,
            of: 0,
        });
        let mut read = || {
            let mut find = self.db().prepare(&format!("SELECT * FROM {table}"))?;
            let columns = find.column_count();
            let mut rows = find.query([])?;
            while let Some(row) = rows.next()? {
                // Each value, so that pages that only hold the end of a long one are read too.
                for column in 0..columns {
                    row.get_ref(column)?;
                }
                found.rows += 1;
            }
            Ok::<_, rusqlite::Error>(())
        };
        if let Err(error) = read() {
            found.add(table, error);
        }
    }
}
