//! TimescaleDB: history for a fleet (feature `timescale`).
//!
//! # Guarantees
//!
//! - **One batch is one transaction**: reports, events, quarantined frames, audit counts, gateways'
//!   positions and the partition's mark are stored together or not at all.
//! - **Stored once.** (id, key_time) is unique. Reports that are surely new ([`Newness`]) are copied
//!   straight in; all others are compared first. A row is replaced only by a higher version of its
//!   decoder, or a higher revision.
//! - **One writer per partition.** A claim raises the partition's generation; a batch of an older
//!   claim rolls back ([`DatabaseError::Superseded`]).
//! - **An answer that was lost is found.** A batch that is written again after its commit was not
//!   answered is recognised by the mark.
//! - **Wrong clocks make no chunks.** Reports far from their arrival ([`is_odd`]) go to a plain table
//!   that the views include.
//! - **Tenants are apart.** The API's role has no right on the tables; its views show the rows of the
//!   tenant that the transaction names, and none if it names none.
//!
//! Works with the Apache edition of TimescaleDB; nothing of the other edition is used.

mod audit;
mod batch;
mod connect;
mod copy;
mod correct;
mod error;
mod judge;
mod mark;
mod migrate;
mod newness;
mod publish;
mod read;
mod reader;
mod retention;
mod row;
mod trips;
mod write;

use tokio_postgres::Client;

pub use audit::{FleetAudit, RunAudit, RunRow};
pub use batch::{BatchRows, Claim, Fate, FrameRow, Route};
pub use connect::DatabaseUrl;
pub use error::DatabaseError;
pub use judge::{ChangedLanes, JudgeOptions, Passed, PreparedRows, TimescaleJudge, Transport};
pub use mark::{Claimed, LaneRow};
pub use migrate::Schema;
pub use newness::{Newness, is_odd};
pub use publish::{EventRecord, Unpublished};
pub use reader::{HistoryPlace, QuarantinePlace, Reader, StoredFrame};
pub use retention::{Dropped, Keep};
pub use row::{QuarantineRow, ReportRow};
pub use write::{Stored, Verdict};

/// A connection to the database, with the rights of the writer's role.
///
/// Calls are made one at a time. After an error that is not an answer of the server
/// ([`DatabaseError::needs_reconnect`]) connect again.
#[derive(Debug)]
pub struct Database {
    client: Client,
    schema: Schema,
    statements: write::Statements,
    has_staging: bool,
}

impl Database {
    /// Connects, and checks that the tables are of this version.
    ///
    /// # Errors
    /// When the server cannot be reached, or [`migrate`](Self::migrate) has to run first.
    pub async fn connect(url: &DatabaseUrl, schema: &Schema) -> Result<Self, DatabaseError> {
        let database = Self::connect_unchecked(url, schema).await?;
        migrate::check_version(&database.client, schema).await?;
        let tables = schema.quoted_tables();
        let functions = migrate::extension_schema(&database.client).await?;
        database
            .client
            .batch_execute(&format!(
                "SET search_path = {tables}, {functions}; SET timezone = 'UTC';"
            ))
            .await?;
        Ok(database)
    }

    /// Brings the database to this version's tables. Does nothing if it has them; concurrent calls
    /// wait for each other. Returns the versions that were applied.
    ///
    /// # Errors
    /// When the database is newer than this program, lacks TimescaleDB, or cannot be changed by
    /// this role. Each step is one transaction.
    pub async fn migrate(url: &DatabaseUrl, schema: &Schema) -> Result<Vec<i32>, DatabaseError> {
        let mut database = Self::connect_unchecked(url, schema).await?;
        migrate::migrate(&mut database.client, schema).await
    }

    async fn connect_unchecked(url: &DatabaseUrl, schema: &Schema) -> Result<Self, DatabaseError> {
        Ok(Self {
            client: url.connect().await?,
            schema: schema.clone(),
            statements: write::Statements::new(),
            has_staging: false,
        })
    }

    /// Whether the connection is usable.
    ///
    /// # Errors
    /// Why it is not.
    pub async fn check(&self) -> Result<(), DatabaseError> {
        self.client.batch_execute("").await?;
        Ok(())
    }

    /// The names of schemas and role.
    pub const fn schema(&self) -> &Schema {
        &self.schema
    }
}
