-- What the API's role may see: rows of the tenant that its transaction names
-- (`SET LOCAL milepost.tenant = 'acme'`), and none if it names none. security_barrier keeps a
-- condition of a query from seeing other tenants' rows before the tenant is compared.
--
-- {views} and {role} are filled in by `migrate`.
CREATE SCHEMA {views};
GRANT USAGE ON SCHEMA {views} TO {role};

CREATE VIEW {views}.report WITH (security_barrier) AS
    SELECT * FROM report WHERE tenant = current_setting('milepost.tenant', true)
    UNION ALL
    SELECT * FROM report_odd WHERE tenant = current_setting('milepost.tenant', true);
CREATE VIEW {views}.event WITH (security_barrier) AS
    SELECT * FROM event WHERE tenant = current_setting('milepost.tenant', true);
CREATE VIEW {views}.trip WITH (security_barrier) AS
    SELECT * FROM trip WHERE tenant = current_setting('milepost.tenant', true);
CREATE VIEW {views}.quarantine WITH (security_barrier) AS
    SELECT * FROM quarantine WHERE tenant = current_setting('milepost.tenant', true);
CREATE VIEW {views}.device WITH (security_barrier) AS
    SELECT tenant, device, latest FROM lane
    WHERE tenant = current_setting('milepost.tenant', true);
GRANT SELECT ON ALL TABLES IN SCHEMA {views} TO {role};
