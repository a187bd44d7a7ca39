//! Tables, and how an older database becomes a newer one.

use tokio_postgres::Client;

use super::DatabaseError;

/// One step per version. A step is never changed once it is released; a new one is added.
const STEPS: &[&str] = &[
    include_str!("migrations/0001_tables.sql"),
    include_str!("migrations/0002_views.sql"),
    include_str!("migrations/0003_fleet.sql"),
];

/// Serializes migrations of one database: "Mpst".
const LOCK: i64 = 0x4d70_7374;

/// Names of what a migration makes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Schema {
    /// The schema of the tables.
    pub tables: String,
    /// The schema of the views that the API's role reads.
    pub views: String,
    /// The API's role; it is made, without login, if it does not exist.
    pub api_role: String,
}

impl Default for Schema {
    fn default() -> Self {
        Self {
            tables: "milepost".into(),
            views: "milepost_api".into(),
            api_role: "milepost_api".into(),
        }
    }
}

impl Schema {
    pub(super) fn quoted_tables(&self) -> String {
        quoted(&self.tables)
    }
}

/// A name as an identifier, whatever is in it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Brings a database to this version's tables. Does nothing if it has them; concurrent calls wait
/// for each other.
///
/// Returns the versions that were applied.
///
/// # Errors
/// When the database is newer than this program, lacks TimescaleDB, or cannot be changed by this
/// role. Each step is one transaction.
pub(super) async fn migrate(
    client: &mut Client,
    schema: &Schema,
) -> Result<Vec<i32>, DatabaseError> {
    client
        .execute("SELECT pg_advisory_lock($1)", &[&LOCK])
        .await?;
    let applied = run(client, schema).await;
    client
        .execute("SELECT pg_advisory_unlock($1)", &[&LOCK])
        .await?;
    applied
}

async fn run(client: &mut Client, schema: &Schema) -> Result<Vec<i32>, DatabaseError> {
    let tables = schema.quoted_tables();
    let role = quoted(&schema.api_role);
    client
        .batch_execute(&format!(
            "CREATE SCHEMA IF NOT EXISTS {tables};
             CREATE TABLE IF NOT EXISTS {tables}.migration (
                 version int PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now());
             CREATE EXTENSION IF NOT EXISTS timescaledb;
             DO $$ BEGIN CREATE ROLE {role} NOLOGIN;
             EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;"
        ))
        .await?;
    let extension = extension_schema(client).await?;
    let mut applied = Vec::new();
    let done = version(client, schema).await?;
    for (version, step) in (1..).zip(STEPS).filter(|(version, _)| *version > done) {
        let step = step
            .replace("{views}", &quoted(&schema.views))
            .replace("{role}", &role);
        let transaction = client.transaction().await?;
        transaction
            .batch_execute(&format!(
                "SET LOCAL search_path = {tables}, {extension}; {step}"
            ))
            .await?;
        transaction
            .execute(
                &format!("INSERT INTO {tables}.migration (version) VALUES ($1)"),
                &[&version],
            )
            .await?;
        transaction.commit().await?;
        applied.push(version);
    }
    Ok(applied)
}

/// The schema that has TimescaleDB's functions, quoted.
pub(super) async fn extension_schema(client: &Client) -> Result<String, DatabaseError> {
    let row = client
        .query_one(
            "SELECT quote_ident(n.nspname) FROM pg_extension e
             JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'timescaledb'",
            &[],
        )
        .await?;
    Ok(row.try_get(0)?)
}

/// The database's version; 0 if it has none.
async fn version(client: &Client, schema: &Schema) -> Result<i32, DatabaseError> {
    let tables = schema.quoted_tables();
    let row = client
        .query_one(
            &format!("SELECT coalesce(max(version), 0) FROM {tables}.migration"),
            &[],
        )
        .await?;
    let version: i32 = row.try_get(0)?;
    let newest = i32::try_from(STEPS.len()).unwrap_or(i32::MAX);
    if version > newest {
        return Err(DatabaseError::Newer { version, newest });
    }
    Ok(version)
}

/// Whether the database has this version's tables.
///
/// # Errors
/// [`DatabaseError::Older`] or [`DatabaseError::Newer`] if it has others.
pub(super) async fn check_version(client: &Client, schema: &Schema) -> Result<(), DatabaseError> {
    let newest = i32::try_from(STEPS.len()).unwrap_or(i32::MAX);
    let has_table: bool = client
        .query_one(
            "SELECT to_regclass($1) IS NOT NULL",
            &[&format!("{}.migration", schema.quoted_tables())],
        )
        .await?
        .try_get(0)?;
    let version = if has_table {
        version(client, schema).await?
    } else {
        0
    };
    if version < newest {
        return Err(DatabaseError::Older { version, newest });
    }
    Ok(())
}
