//! What the writer remembers between batches: numbers that would else be looked up for each row.
//!
//! All of it can be read back from the store, and is, after a transaction that was not committed.

use std::collections::HashMap;

use milepost_telemetry::{Profile, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use super::provenance::Provenance;

/// Distinct profiles that one device may bring into the store in a day.
const NEW_PER_DAY: i64 = 100;
/// Profiles whose numbers are remembered.
const REMEMBERED: usize = 20_000;
/// How old `last_used` may be.
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

#[derive(Debug, Default)]
pub(super) struct Known {
    provenance: Option<HashMap<Provenance, i64>>,
    profiles: HashMap<String, UsedProfile>,
    next_seq: Option<i64>,
    /// Frames in quarantine by protocol and reason.
    pub(super) quarantine: Option<Quarantined>,
}

#[derive(Debug, Clone, Copy)]
struct UsedProfile {
    id: i64,
    last_used: i64,
}

/// How many frames are in quarantine.
#[derive(Debug, Default)]
pub(super) struct Quarantined {
    pub(super) by_reason: HashMap<(String, String), i64>,
    pub(super) accepted: i64,
    pub(super) strangers: i64,
}

impl Known {
    /// A transaction was not committed, or rows were removed: nothing is known any more.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// The number for the next row of the history. It never falls, even if the newest rows are
    /// forgotten: followers keep it as their mark.
    pub(super) fn next_seq(&mut self, db: &Connection) -> Result<i64, rusqlite::Error> {
        if let Some(next) = self.next_seq {
            return Ok(next);
        }
        let last: i64 = db.query_row(
            "SELECT max(coalesce((SELECT max(seq) FROM report), 0),
                        coalesce((SELECT value FROM counter WHERE name = 'report'), 0))",
            [],
            |row| row.get(0),
        )?;
        self.next_seq = Some(last + 1);
        Ok(last + 1)
    }

    pub(super) const fn set_next_seq(&mut self, next: i64) {
        self.next_seq = Some(next);
    }

    /// The number of what a report shares with others; stored if it is new.
    pub(super) fn provenance(
        &mut self,
        db: &Connection,
        provenance: &Provenance,
    ) -> Result<i64, rusqlite::Error> {
        let known = match &mut self.provenance {
            Some(known) => known,
            none => {
                let all = Provenance::all(db)?;
                none.insert(all.into_iter().map(|(id, shared)| (shared, id)).collect())
            }
        };
        if let Some(id) = known.get(provenance) {
            return Ok(*id);
        }
        let id = provenance.insert(db)?;
        known.insert(*provenance, id);
        Ok(id)
    }

    /// The number of a profile; stored if it is new. Negative: the device has had as many new ones
    /// today as it may, and its oldest of today stands in.
    pub(super) fn profile(
        &mut self,
        db: &Connection,
        profile: &Profile,
        device: Option<i64>,
        at: Timestamp,
    ) -> Result<i64, rusqlite::Error> {
        let at = at.as_millis();
        let text = profile.as_str();
        let known = match self.profiles.get(text) {
            Some(known) => Some(*known),
            None => db
                .prepare_cached("SELECT id, last_used FROM used_profile WHERE text = ?1")?
                .query_row([text], |row| {
                    Ok(UsedProfile {
                        id: row.get(0)?,
                        last_used: row.get(1)?,
                    })
                })
                .optional()?,
        };
        let used = match known {
            Some(known) if at - known.last_used < HOUR_MS => known,
            Some(known) => {
                db.prepare_cached("UPDATE used_profile SET last_used = ?2 WHERE id = ?1")?
                    .execute([known.id, at])?;
                UsedProfile {
                    last_used: at,
                    ..known
                }
            }
            None => {
                let day = at.div_euclid(DAY_MS);
                if let Some(stand_in) = stand_in(db, device, day)? {
                    metrics::counter!("milepost_profiles_reused_total").increment(1);
                    return Ok(-stand_in);
                }
                let id = db
                    .prepare_cached(
                        "INSERT INTO used_profile (text, device, day, last_used)
                         VALUES (?1, ?2, ?3, ?4) RETURNING id",
                    )?
                    .query_row(params![text, device, day, at], |row| row.get(0))?;
                UsedProfile { id, last_used: at }
            }
        };
        if self.profiles.len() >= REMEMBERED {
            self.profiles.clear();
        }
        if !self.profiles.contains_key(text) || known.is_none_or(|k| k.last_used != used.last_used)
        {
            self.profiles.insert(text.to_owned(), used);
        }
        Ok(used.id)
    }

    /// How many frames are in quarantine.
    pub(super) fn quarantined(
        &mut self,
        db: &Connection,
    ) -> Result<&mut Quarantined, rusqlite::Error> {
        let known = match self.quarantine.take() {
            Some(known) => known,
            None => count_quarantined(db)?,
        };
        Ok(self.quarantine.insert(known))
    }
}

fn stand_in(
    db: &Connection,
    device: Option<i64>,
    day: i64,
) -> Result<Option<i64>, rusqlite::Error> {
    let (count, oldest): (i64, Option<i64>) = db
        .prepare_cached(
            "SELECT count(*), min(id) FROM used_profile WHERE device IS ?1 AND day = ?2",
        )?
        .query_row(params![device, day], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let Some(oldest) = oldest.filter(|_| count >= NEW_PER_DAY) else {
        return Ok(None);
    };
    db.prepare_cached("UPDATE used_profile SET reused = reused + 1 WHERE id = ?1")?
        .execute([oldest])?;
    Ok(Some(oldest))
}

fn count_quarantined(db: &Connection) -> Result<Quarantined, rusqlite::Error> {
    let mut all = Quarantined::default();
    let mut find = db.prepare_cached(
        "SELECT protocol, reason, accepted, count(*) FROM quarantine GROUP BY 1, 2, 3",
    )?;
    let mut rows = find.query([])?;
    while let Some(row) = rows.next()? {
        let (accepted, count): (bool, i64) = (row.get(2)?, row.get(3)?);
        *all.by_reason.entry((row.get(0)?, row.get(1)?)).or_default() += count;
        if accepted {
            all.accepted += count;
        } else {
            all.strangers += count;
        }
    }
    Ok(all)
}
