-- Tables belong to the writer's role, in a schema of their own. The API's role sees only the views
-- of 0002.
-- One row per report. Columns are named as the keys of the JSON form; what has no column is in
-- `rest`, in the JSON form. Times are UTC.
CREATE TABLE report (
    id uuid NOT NULL,
    key_time timestamptz NOT NULL,      -- the time the id was minted with
    revision int NOT NULL,              -- of corrections; a report begins with 0
    decoder_version bigint NOT NULL,    -- orders the versions of one decoder
    tenant text,                        -- NULL: the device had not named itself
    device text,
    protocol text NOT NULL,
    decoder text NOT NULL,
    dialect text,
    kind text NOT NULL,
    checksum text NOT NULL,
    sequence bigint,
    received_at timestamptz NOT NULL,
    "time" timestamptz NOT NULL,
    time_source text NOT NULL,
    device_time timestamptz,
    raw_time text,                      -- as sent; need not be a date that exists
    zone text,
    late bool,

    latitude double precision,
    longitude double precision,
    altitude_m real,
    speed_kmh real,
    course_deg real,
    satellites smallint,
    hdop real,
    pdop real,
    fix_time timestamptz,
    fix_valid bool,
    fix_live bool,
    fix_source text,

    smoothed_latitude double precision,
    smoothed_longitude double precision,
    smoothed_speed_kmh real,
    smoothed_course_deg real,
    smoothed_accuracy_m real,
    moving bool,
    outlier bool,
    rejected text,

    external_connected bool,
    external_v real,
    battery_v real,
    battery_pct real,
    battery_level text,
    charging bool,

    signal_pct real,
    signal_dbm smallint,

    ignition bool,
    ignition_source text,
    armed bool,
    inputs bit varying(32),             -- the first switch first
    outputs bit varying(32),

    odometer_m double precision,

    gateway text NOT NULL,
    epoch bigint NOT NULL,              -- the gateway's run
    connection bigint NOT NULL,
    frame bigint NOT NULL,              -- the last frame of its envelope
    part smallint NOT NULL,             -- which report of the envelope; 0 has the frame's bytes
    profile uuid,                       -- of the profile that it was decoded with
    raw bytea,
    rest jsonb,

    -- The start of the transaction that stored it, but for its place in the batch.
    stored_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
SELECT create_hypertable('report', by_range('key_time', INTERVAL '1 day'), create_default_indexes => false);
CREATE UNIQUE INDEX report_id ON report (id, key_time);
CREATE INDEX report_device_time ON report (tenant, device, "time" DESC);
CREATE INDEX report_tenant_time ON report (tenant, "time" DESC);

-- Reports whose key_time is far from their arrival: a wrong clock makes no chunks.
CREATE TABLE report_odd (LIKE report INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
CREATE UNIQUE INDEX report_odd_id ON report_odd (id, key_time);
CREATE INDEX report_odd_device_time ON report_odd (tenant, device, "time" DESC);
CREATE INDEX report_odd_tenant_time ON report_odd (tenant, "time" DESC);
CREATE INDEX report_odd_received_at ON report_odd (received_at);

-- Events of the reports above, numbered per partition in the order in which they were stored.
CREATE TABLE event (
    id uuid NOT NULL,                   -- of the report
    place smallint NOT NULL,            -- in the report
    tenant text,
    device text,
    "time" timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    kind text NOT NULL,
    raised_by text NOT NULL,
    code bigint,
    incident text,
    incident_id uuid,
    late bool,
    latitude double precision,
    longitude double precision,
    topic text NOT NULL,
    partition int NOT NULL,
    number bigint NOT NULL
);
SELECT create_hypertable('event', by_range('received_at', INTERVAL '7 days'), create_default_indexes => false);
CREATE UNIQUE INDEX event_id ON event (id, place, received_at);
CREATE UNIQUE INDEX event_number ON event (topic, partition, number, received_at);
CREATE INDEX event_device_time ON event (tenant, device, "time" DESC);
CREATE INDEX event_tenant_time ON event (tenant, "time" DESC);

-- Trips and stops. One that is open has no `until`.
CREATE TABLE trip (
    id uuid NOT NULL,
    key_time timestamptz NOT NULL,
    revision int NOT NULL,
    tenant text NOT NULL,
    device text NOT NULL,
    kind text NOT NULL,                 -- trip, stop
    since timestamptz NOT NULL,
    until timestamptz,
    start_latitude double precision,
    start_longitude double precision,
    end_latitude double precision,
    end_longitude double precision,
    distance_m double precision,
    odometer_m double precision,
    max_speed_kmh real,
    idle_s bigint
);
SELECT create_hypertable('trip', by_range('key_time', INTERVAL '30 days'), create_default_indexes => false);
CREATE UNIQUE INDEX trip_id ON trip (id, key_time);
CREATE INDEX trip_device_time ON trip (tenant, device, since DESC);

-- Frames that could not be read, with their bytes.
CREATE TABLE quarantine (
    received_at timestamptz NOT NULL,
    gateway text NOT NULL,
    epoch bigint NOT NULL,
    connection bigint NOT NULL,
    frame bigint NOT NULL,
    frames bigint NOT NULL,             -- how many it stands for
    peer text,
    protocol text NOT NULL,
    tenant text,
    device text,
    profile uuid,
    field text,
    place bigint,                       -- byte offset of the field
    error text NOT NULL,
    raw bytea NOT NULL
);
SELECT create_hypertable('quarantine', by_range('received_at', INTERVAL '7 days'), create_default_indexes => false);
CREATE UNIQUE INDEX quarantine_frame ON quarantine (epoch, connection, frame, received_at);
CREATE INDEX quarantine_tenant_time ON quarantine (tenant, received_at DESC);

-- Distinct profiles. The id is a hash of the text.
CREATE TABLE profile (
    id uuid PRIMARY KEY,
    text text NOT NULL,
    since timestamptz NOT NULL DEFAULT now()
);

-- How far each partition of the log is stored.
CREATE TABLE mark (
    topic text NOT NULL,
    partition int NOT NULL,
    generation bigint NOT NULL,         -- raised with each assignment
    log_offset bigint,                  -- the first offset that is not stored; NULL: none is
    snapshot_offset bigint,             -- lane states are those before this offset
    events bigint NOT NULL DEFAULT 0,   -- how many events were numbered
    published bigint NOT NULL DEFAULT 0,-- how many of them were published
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition)
);

-- The highest position of each gateway's log that is stored, per partition.
CREATE TABLE log_position (
    topic text NOT NULL,
    partition int NOT NULL,
    log uuid NOT NULL,
    position bigint NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition, log)
);

-- Devices: last known state, and the states of the stages as of the partition's snapshot offset.
CREATE TABLE lane (
    tenant text NOT NULL,
    device text NOT NULL,
    topic text NOT NULL,
    partition int NOT NULL,
    latest jsonb NOT NULL,
    state bytea NOT NULL,
    newness bytea NOT NULL,             -- which key_times are surely new
    PRIMARY KEY (tenant, device)
);
CREATE INDEX lane_partition ON lane (topic, partition);

-- The newest profile of a device and protocol.
CREATE TABLE device_profile (
    tenant text NOT NULL,
    device text NOT NULL,
    protocol text NOT NULL,
    profile uuid NOT NULL,
    PRIMARY KEY (tenant, device, protocol)
);

-- Where frames ended, counted in the transactions that stored them. Partitions count apart, so that
-- they do not wait for each other.
CREATE TABLE audit (
    gateway text NOT NULL,
    epoch bigint NOT NULL,
    topic text NOT NULL,
    partition int NOT NULL,
    bucket text NOT NULL,               -- stored, duplicate, filtered, quarantined
    reason text NOT NULL,               -- empty where there is none
    frames bigint NOT NULL,
    PRIMARY KEY (gateway, epoch, topic, partition, bucket, reason)
);

-- What gateways say of a run of theirs.
CREATE TABLE gateway_run (
    gateway text NOT NULL,
    epoch bigint NOT NULL,
    received bigint NOT NULL,
    abandoned bigint NOT NULL,
    filtered jsonb NOT NULL,            -- reason → frames that were not sent to the log
    ended bool NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (gateway, epoch)
);

-- One row. Reports before `kept_since` go to report_odd: their chunks are gone.
CREATE TABLE retention (
    only_row bool PRIMARY KEY DEFAULT true CHECK (only_row),
    kept_since timestamptz
);
INSERT INTO retention DEFAULT VALUES;
