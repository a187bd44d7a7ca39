-- A store of format 3, as version 0.1 wrote it.
PRAGMA application_id = 1299215220;
PRAGMA user_version = 3;
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
    ALTER TABLE command ADD COLUMN outcome TEXT;  -- what the answer says: success, deferred, refused
    ALTER TABLE command ADD COLUMN reason TEXT;   -- why it could never be sent
    CREATE INDEX command_waiting ON command (tenant, device, id) WHERE state = 'queued';
    CREATE INDEX command_sent ON command (tenant, device, sent_at) WHERE state = 'sent';
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

INSERT INTO epoch VALUES (1, 1800000000000, 1800000001000, 4, 1, 1, 1, 1);
INSERT INTO device VALUES (1, 'acme', '350000000000001', '{"last_seen":"2027-01-15T08:00:00Z"}', x'');
INSERT INTO report VALUES (1, x'01a3185c500086a4ac5591e4852dc057', 1, 1800000000000, 1, 1, 1, 0, 0,
    x'0000000000000001',
    '{"schema":1,"decoder":"gt06/0.1.0","id":"01a3185c-5000-86a4-ac55-91e4852dc057","protocol":"gt06","kind":"location","checksum":"absent","received_at":"2027-01-15T08:00:00Z","time":"2027-01-15T08:00:00Z","time_source":"fix","device_time":"2027-01-15T08:00:00Z","zone":"utc","fix":{"time":"2027-01-15T08:00:00Z","latitude":23.0,"longitude":114.0,"speed_kmh":54.0,"valid":true,"source":"gnss"}}');
INSERT INTO outcome VALUES (1, 1, 2, 1, NULL), (1, 1, 3, 2, 'echo'), (1, 1, 4, 3, NULL);
INSERT INTO quarantine VALUES (1, 1, 1, 4, 1800000000000, '192.0.2.7:5023', 'gt06', NULL, NULL,
    x'0000000000000004', 'latitude', 11, 'out of range');
INSERT INTO profile VALUES ('acme', '350000000000001', 'learned long ago');
INSERT INTO command (id, tenant, device, text, state, queued_at, expires_at)
    VALUES (1700000001, 'acme', '350000000000001', 'WHERE#', 'queued', 1800000000000, 1900000000000);
