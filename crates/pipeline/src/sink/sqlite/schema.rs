//! Tables, and how an older store becomes a newer one.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

/// "Mpst": marks a file as ours.
const APPLICATION_ID: i64 = 0x4d70_7374;

/// One step per format. A step is never changed once it is released; a new one is added.
const STEPS: &[&str] = &[FORMAT_1, FORMAT_2, FORMAT_3, FORMAT_4, FORMAT_5, FORMAT_6];

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

/// Rows of earlier formats are left as they are: their `provenance` is NULL, and all that they say
/// is in their `body`. So nothing is rewritten, and a large store opens as quickly as a small one.
const FORMAT_4: &str = "
    -- What most reports of a device have in common, once for all of them.
    CREATE TABLE provenance (
        id INTEGER PRIMARY KEY,
        protocol TEXT NOT NULL,
        decoder TEXT NOT NULL,
        dialect TEXT,
        kind TEXT NOT NULL,
        checksum TEXT NOT NULL,
        time_source TEXT NOT NULL,
        zone TEXT,
        fix_source TEXT,
        live INTEGER,
        ignition_source TEXT,
        same INTEGER NOT NULL          -- which times equal others: 1 device_time = time,
                                       -- 2 fix_time = time, 4 and 8 raw time = that of the id
    ) STRICT;

    -- Distinct profiles that rows refer to.
    CREATE TABLE used_profile (
        id INTEGER PRIMARY KEY,
        text TEXT NOT NULL UNIQUE,
        device INTEGER,                -- the first device that had it
        day INTEGER NOT NULL,          -- and when, in days since 1970
        last_used INTEGER NOT NULL,    -- at most an hour before it was used last
        reused INTEGER NOT NULL DEFAULT 0  -- frames that had another one, beyond the daily bound
    ) STRICT;
    CREATE INDEX used_profile_by_device ON used_profile (device, day);

    ALTER TABLE report ADD COLUMN provenance INTEGER;
    ALTER TABLE report ADD COLUMN profile INTEGER;     -- NULL: not known
    ALTER TABLE report ADD COLUMN frames INTEGER;      -- of the audit; NULL: one
    ALTER TABLE report ADD COLUMN item INTEGER;        -- place in its frame; NULL: `part`
    ALTER TABLE report ADD COLUMN revision INTEGER;    -- NULL: 0
    ALTER TABLE report ADD COLUMN received_at INTEGER;
    ALTER TABLE report ADD COLUMN device_time INTEGER;
    ALTER TABLE report ADD COLUMN fix_time INTEGER;
    ALTER TABLE report ADD COLUMN sequence INTEGER;
    ALTER TABLE report ADD COLUMN latitude REAL;
    ALTER TABLE report ADD COLUMN longitude REAL;
    ALTER TABLE report ADD COLUMN altitude_m REAL;
    ALTER TABLE report ADD COLUMN speed_kmh REAL;
    ALTER TABLE report ADD COLUMN course_deg REAL;
    ALTER TABLE report ADD COLUMN satellites INTEGER;
    ALTER TABLE report ADD COLUMN valid INTEGER;
    ALTER TABLE report ADD COLUMN ignition INTEGER;
    ALTER TABLE report ADD COLUMN external_connected INTEGER;
    ALTER TABLE report ADD COLUMN external_v REAL;
    ALTER TABLE report ADD COLUMN battery_v REAL;
    ALTER TABLE report ADD COLUMN battery_pct REAL;
    ALTER TABLE report ADD COLUMN odometer_m REAL;
    ALTER TABLE report ADD COLUMN smoothed_latitude REAL;
    ALTER TABLE report ADD COLUMN smoothed_longitude REAL;
    ALTER TABLE report ADD COLUMN smoothed_speed_kmh REAL;
    ALTER TABLE report ADD COLUMN smoothed_course_deg REAL;
    ALTER TABLE report ADD COLUMN accuracy_m REAL;
    ALTER TABLE report ADD COLUMN moving INTEGER;
    ALTER TABLE report ADD COLUMN outlier INTEGER;
    ALTER TABLE report ADD COLUMN rejected TEXT;

    ALTER TABLE outcome ADD COLUMN frames INTEGER;

    -- Changes of reports, for followers.
    CREATE TABLE correction (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        correction TEXT NOT NULL       -- JSON
    ) STRICT;

    -- Numbers that must not fall when rows are forgotten.
    CREATE TABLE counter (
        name TEXT PRIMARY KEY,
        value INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    ALTER TABLE quarantine ADD COLUMN profile INTEGER;
    ALTER TABLE quarantine ADD COLUMN frames INTEGER;
    ALTER TABLE quarantine ADD COLUMN accepted INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE quarantine ADD COLUMN reason TEXT NOT NULL DEFAULT '';
    UPDATE quarantine SET accepted = device IS NOT NULL;
    CREATE INDEX quarantine_by_reason ON quarantine (protocol, reason, seq);
    CREATE INDEX quarantine_by_accepted ON quarantine (accepted, seq);

    -- What is learned, by protocol; an empty one is from before there were several.
    CREATE TABLE learned (
        tenant TEXT NOT NULL,
        device TEXT NOT NULL,
        protocol TEXT NOT NULL,
        profile TEXT NOT NULL,
        PRIMARY KEY (tenant, device, protocol)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO learned SELECT tenant, device, '', profile FROM profile;
    DROP TABLE profile;

    -- From which networks a device has come.
    CREATE TABLE device_network (
        tenant TEXT NOT NULL,
        device TEXT NOT NULL,
        network TEXT NOT NULL,
        first_seen INTEGER NOT NULL,
        last_seen INTEGER NOT NULL,
        PRIMARY KEY (tenant, device, network)
    ) STRICT, WITHOUT ROWID;

    ALTER TABLE command ADD COLUMN protocol TEXT NOT NULL DEFAULT '';
    ALTER TABLE command ADD COLUMN flag INTEGER;       -- NULL: its number
    ALTER TABLE command ADD COLUMN sent_epoch INTEGER;
    ALTER TABLE command ADD COLUMN sent_connection INTEGER;
    ALTER TABLE command ADD COLUMN sent_network TEXT;
    ALTER TABLE command ADD COLUMN unconfirmed TEXT;   -- an answer that did not come from there
    ALTER TABLE command ADD COLUMN unconfirmed_peer TEXT;
    ALTER TABLE command ADD COLUMN unconfirmed_at INTEGER;

    -- For people: every report with its usual values, whatever format its row has. Times are
    -- milliseconds since 1970; `rest` is what has no column, as JSON.
    CREATE VIEW history AS
    SELECT r.seq, lower(hex(r.id)) AS id, d.tenant, d.device,
        coalesce(p.protocol, r.body ->> 'protocol') AS protocol,
        coalesce(p.kind, r.body ->> 'kind') AS kind,
        r.time,
        coalesce(p.time_source, r.body ->> 'time_source') AS time_source,
        CASE WHEN p.id IS NULL THEN CAST(round(unixepoch(r.body ->> 'received_at', 'subsec') * 1000) AS INTEGER)
             ELSE r.received_at END AS received_at,
        CASE WHEN p.id IS NULL THEN CAST(round(unixepoch(r.body ->> 'device_time', 'subsec') * 1000) AS INTEGER)
             WHEN p.same & 1 THEN r.time ELSE r.device_time END AS device_time,
        CASE WHEN p.id IS NULL THEN CAST(round(unixepoch(r.body ->> '$.fix.time', 'subsec') * 1000) AS INTEGER)
             WHEN p.same & 2 THEN r.time ELSE r.fix_time END AS fix_time,
        r.late,
        CASE WHEN p.id IS NULL THEN r.body ->> '$.fix.latitude' ELSE r.latitude END AS latitude,
        CASE WHEN p.id IS NULL THEN r.body ->> '$.fix.longitude' ELSE r.longitude END AS longitude,
        CASE WHEN p.id IS NULL THEN r.body ->> '$.fix.altitude_m' ELSE r.altitude_m END AS altitude_m,
        CASE WHEN p.id IS NULL THEN r.body ->> '$.fix.speed_kmh' ELSE r.speed_kmh END AS speed_kmh,
        CASE WHEN p.id IS NULL THEN r.body ->> '$.fix.course_deg' ELSE r.course_deg END AS course_deg,
        CASE WHEN p.id IS NULL THEN r.body ->> '$.fix.satellites' ELSE r.satellites END AS satellites,
        CASE WHEN p.id IS NULL THEN r.body ->> '$.fix.valid' ELSE r.valid END AS valid,
        CASE WHEN p.id IS NULL THEN r.body ->> '$.fix.live' ELSE p.live END AS live,
        CASE WHEN p.id IS NULL THEN r.body ->> '$.fix.source' ELSE p.fix_source END AS fix_source,
        CASE WHEN p.id IS NULL THEN r.body ->> '$.io.ignition' ELSE r.ignition END AS ignition,
        CASE WHEN p.id IS NULL THEN r.body ->> '$.power.external_connected'
             ELSE r.external_connected END AS external_connected,
        CASE WHEN p.id IS NULL THEN r.body ->> '$.power.external_v' ELSE r.external_v END AS external_v,
        CASE WHEN p.id IS NULL THEN r.body ->> '$.power.battery_v' ELSE r.battery_v END AS battery_v,
        CASE WHEN p.id IS NULL THEN r.body ->> '$.power.battery_pct' ELSE r.battery_pct END AS battery_pct,
        CASE WHEN p.id IS NULL THEN r.body ->> 'odometer_m' ELSE r.odometer_m END AS odometer_m,
        r.smoothed_latitude, r.smoothed_longitude, r.smoothed_speed_kmh, r.smoothed_course_deg,
        r.accuracy_m, r.moving, r.outlier, r.rejected,
        nullif(r.body, '') AS rest, r.raw
    FROM report r
    LEFT JOIN provenance p ON p.id = r.provenance
    LEFT JOIN device d ON d.id = r.device;
";

const FORMAT_5: &str = "
    -- Trips and stops that have ended. The open one is in the state of its device.
    CREATE TABLE trip (
        device INTEGER NOT NULL,
        from_ms INTEGER NOT NULL,
        to_ms INTEGER NOT NULL,
        kind TEXT NOT NULL,            -- trip or stop
        start_latitude REAL NOT NULL,
        start_longitude REAL NOT NULL,
        end_latitude REAL NOT NULL,
        end_longitude REAL NOT NULL,
        distance_m REAL NOT NULL,
        odometer_m REAL,               -- NULL: the device has none
        max_speed_kmh REAL NOT NULL,
        idle_s REAL NOT NULL,
        revision INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (device, from_ms)
    ) STRICT, WITHOUT ROWID;

    -- Stretches of time whose trips must be found anew.
    CREATE TABLE dirty (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        device INTEGER NOT NULL,
        from_ms INTEGER NOT NULL,
        to_ms INTEGER NOT NULL
    ) STRICT;
";

const FORMAT_6: &str = "
    -- Which history the rows of a run belong to: a store that is restored from a backup gives the
    -- numbers of rows that it has lost to others.
    ALTER TABLE epoch ADD COLUMN history INTEGER;            -- random; NULL: of an older version
    ALTER TABLE epoch ADD COLUMN rows_before INTEGER;        -- the last row before the run
    ALTER TABLE epoch ADD COLUMN corrections_before INTEGER;
    CREATE INDEX epoch_by_history ON epoch (history) WHERE history IS NOT NULL;

    ALTER TABLE correction ADD COLUMN made_at INTEGER;       -- NULL: of an older version
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
