//! Tables, and how an older store becomes a newer one.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

/// "Mpst": marks a file as ours.
const APPLICATION_ID: i64 = 0x4d70_7374;

/// One step per format. A step is never changed once it is released; a new one is added.
const STEPS: &[&str] = &[FORMAT_1, FORMAT_2, FORMAT_3];

const FORMAT_1: &str = "
    -- A run of the process. The counters are kept in the transactions of the batches.
    CREATE TABLE epoch (
        id INTEGER PRIMARY KEY,
        started_at INTEGER NOT NULL,
        ended_at INTEGER,              -- set when every frame received has its outcome on record
        received INTEGER NOT NULL DEFAULT 0,
        stored INTEGER NOT NULL DEFAULT 0,
        duplicate INTEGER NOT NULL DEFAULT 0,
        filtered INTEGER NOT NULL DEFAULT 0,
        quarantined INTEGER NOT NULL DEFAULT 0
    ) STRICT;

    CREATE TABLE device (
        id INTEGER PRIMARY KEY,
        tenant TEXT NOT NULL,
        device TEXT NOT NULL,
        latest TEXT NOT NULL,          -- last known state, JSON
        state BLOB NOT NULL,           -- the stages' states
        UNIQUE (tenant, device)
    ) STRICT;

    -- What keys of the JSON form have a column of their own is not in `body`.
    CREATE TABLE report (
        seq INTEGER PRIMARY KEY,
        id BLOB NOT NULL UNIQUE,
        device INTEGER,                -- nothing: it had not logged in
        time INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        connection INTEGER NOT NULL,
        frame INTEGER NOT NULL,
        part INTEGER NOT NULL,         -- 0: the first new row of its frame, which has the bytes
        late INTEGER,
        raw BLOB,
        body TEXT NOT NULL
    ) STRICT;
    CREATE INDEX report_by_time ON report (device, time);

    -- Frames that are not rows of `report`: where they ended.
    CREATE TABLE outcome (
        epoch INTEGER NOT NULL,
        connection INTEGER NOT NULL,
        frame INTEGER NOT NULL,
        bucket INTEGER NOT NULL,       -- 1 duplicate, 2 filtered, 3 quarantined
        reason TEXT
    ) STRICT;

    CREATE TABLE quarantine (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        epoch INTEGER NOT NULL,
        connection INTEGER NOT NULL,
        frame INTEGER NOT NULL,
        received_at INTEGER NOT NULL,
        peer TEXT,
        protocol TEXT NOT NULL,
        tenant TEXT,
        device TEXT,
        raw BLOB NOT NULL,
        field TEXT,
        offset INTEGER,
        error TEXT NOT NULL
    ) STRICT;

    CREATE TABLE profile (
        tenant TEXT NOT NULL,
        device TEXT NOT NULL,
        profile TEXT NOT NULL,
        PRIMARY KEY (tenant, device)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE command (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        tenant TEXT NOT NULL,
        device TEXT NOT NULL,
        text TEXT NOT NULL,
        state TEXT NOT NULL,           -- the names of `CommandState`
        queued_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        sent_at INTEGER,
        settled_at INTEGER,
        answer TEXT
    ) STRICT;
    CREATE INDEX command_by_device ON command (tenant, device, id);
    CREATE INDEX command_open ON command (expires_at) WHERE state IN ('queued', 'sent');
";

const FORMAT_2: &str = "
    ALTER TABLE command ADD COLUMN outcome TEXT;  -- what the answer says: success, deferred, refused
    ALTER TABLE command ADD COLUMN reason TEXT;   -- why it could never be sent
    CREATE INDEX command_waiting ON command (tenant, device, id) WHERE state = 'queued';
    CREATE INDEX command_sent ON command (tenant, device, sent_at) WHERE state = 'sent';
";

const FORMAT_3: &str = "
    -- Frames whose single records were given up, counted from these as they went. With the
    -- records that are left they make up every frame.
    CREATE TABLE folded (
        epoch INTEGER NOT NULL,
        bucket INTEGER NOT NULL,       -- as in `outcome`, and 0 for those of `report`
        reason TEXT NOT NULL,          -- empty where there is none
        frames INTEGER NOT NULL,
        PRIMARY KEY (epoch, bucket, reason)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO folded (epoch, bucket, reason, frames)
        SELECT epoch, bucket, coalesce(reason, ''), count(*) FROM outcome GROUP BY 1, 2, 3;
    DELETE FROM outcome;
";

/// The newest format that this version knows.
pub(super) const FORMAT: usize = STEPS.len();

/// Looks whether the file is a store that this version can read, and which format it has.
pub(super) fn check(db: &Connection, path: &Path) -> Result<usize, StoreError> {
    let opening = |error: rusqlite::Error| StoreError::opening(path, &error);
    let pragma = |name: &str| {
        db.pragma_query_value(None, name, |row| row.get::<_, i64>(0))
            .map_err(opening)
    };
    let found = pragma("user_version")?;
    let application = pragma("application_id")?;
    let tables: i64 = db
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(opening)?;
    if application != APPLICATION_ID && (tables > 0 || found != 0) {
        return Err(StoreError::Foreign(path.to_owned()));
    }
    match usize::try_from(found) {
        Ok(format) if format <= FORMAT => Ok(format),
        _ => Err(StoreError::Newer {
            path: path.to_owned(),
            found,
            supported: i64::try_from(FORMAT).unwrap_or(i64::MAX),
        }),
    }
}

/// Brings a store to the newest format: each step in a transaction of its own.
pub(super) fn migrate(db: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let opening = |error: rusqlite::Error| StoreError::opening(path, &error);
    let found = check(db, path)?;
    for (step, format) in STEPS.iter().zip(1_i64..).skip(found) {
        let tx = db
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(opening)?;
        tx.execute_batch(step).map_err(opening)?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)
            .map_err(opening)?;
        tx.pragma_update(None, "user_version", format)
            .map_err(opening)?;
        tx.commit().map_err(opening)?;
    }
    Ok(())
}
