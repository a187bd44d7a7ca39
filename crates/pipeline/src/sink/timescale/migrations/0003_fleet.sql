-- The position of each gateway's log as of the partition's snapshot offset: what a gateway sent
-- again before the mark is passed over once more when states are restored.
ALTER TABLE log_position ADD COLUMN snapshot_position bigint;

-- Fractions of a second, as the embedded store keeps them.
DROP VIEW {views}.trip;
ALTER TABLE trip ALTER COLUMN idle_s TYPE double precision;
CREATE VIEW {views}.trip WITH (security_barrier) AS
    SELECT * FROM trip WHERE tenant = current_setting('milepost.tenant', true);
GRANT SELECT ON {views}.trip TO {role};

-- With the states of the stages: an open trip is in them.
CREATE OR REPLACE VIEW {views}.device WITH (security_barrier) AS
    SELECT tenant, device, latest, state FROM lane
    WHERE tenant = current_setting('milepost.tenant', true);
