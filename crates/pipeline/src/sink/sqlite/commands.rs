//! Commands to devices, from the wish to the answer, over restarts.

use std::fmt;

use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde::{Deserialize, Serialize};
use telemetry::{DeviceId, DeviceKey, Tenant, Timestamp};
use tokio::sync::broadcast;

use super::encode::DeviceRow;
use super::read::{Cursor, Page, Paged, Reader};
use super::{Store, StoreError, now};

/// How far a command has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandState {
    /// It waits for its device.
    Queued,
    /// It was given to the device's connection.
    Sent,
    /// The device has answered.
    Answered,
    /// It could not be sent, and never will be.
    Refused,
    /// Its time ran out before an answer came.
    Expired,
}

impl CommandState {
    const ALL: [Self; 5] = [
        Self::Queued,
        Self::Sent,
        Self::Answered,
        Self::Refused,
        Self::Expired,
    ];

    /// The state's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for CommandState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A command and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Command {
    /// Its number: unique in the store, and the flag that the device repeats in its answer.
    pub id: u32,
    /// Whose device it is for.
    pub tenant: Tenant,
    /// The device that it is for.
    pub device: DeviceId,
    /// The command, in the device's own words.
    pub text: String,
    /// How far it has come.
    pub status: CommandState,
    /// When it was asked for.
    pub queued_at: Timestamp,
    /// Until when it may be sent, and its answer is waited for.
    pub expires_at: Timestamp,
    /// When it was last sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
    /// When it came to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<Timestamp>,
    /// What the device answered, or why the command was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

const COMMAND: &str = "SELECT id, tenant, device, text, state, queued_at, expires_at, sent_at,
    settled_at, answer FROM command";

impl Store {
    /// Keeps a command; it is durable when this resolves.
    ///
    /// # Errors
    /// When it could not be stored.
    pub async fn queue_command(
        &self,
        device: &DeviceKey,
        text: &str,
        expires_at: Timestamp,
    ) -> Result<Command, StoreError> {
        let (device, text) = (device.clone(), text.to_owned());
        self.write(move |tx| {
            tx.query_row(
                "INSERT INTO command (tenant, device, text, state, queued_at, expires_at)
                 VALUES (?1, ?2, ?3, 'queued', ?4, ?5)
                 RETURNING id, tenant, device, text, state, queued_at, expires_at, sent_at,
                           settled_at, answer",
                params![
                    device.tenant.as_str(),
                    device.device.as_str(),
                    text,
                    now().as_millis(),
                    expires_at.as_millis(),
                ],
                command,
            )
        })
        .await
    }

    /// Notes that a command was given to its device's connection. `false`: it is not open.
    ///
    /// # Errors
    /// When it could not be stored.
    pub async fn command_sent(&self, id: u32) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let changed = tx.execute(
                "UPDATE command SET state = 'sent', sent_at = ?2
                 WHERE id = ?1 AND state IN ('queued', 'sent')",
                params![id, now().as_millis()],
            )?;
            Ok(changed > 0)
        })
        .await
    }

    /// Notes that a command will never be sent; why. `false`: it is not open.
    ///
    /// # Errors
    /// When it could not be stored.
    pub async fn command_refused(&self, id: u32, reason: &str) -> Result<bool, StoreError> {
        let reason = reason.to_owned();
        self.write(move |tx| {
            let changed = tx.execute(
                "UPDATE command SET state = 'refused', settled_at = ?2, answer = ?3
                 WHERE id = ?1 AND state IN ('queued', 'sent')",
                params![id, now().as_millis(), reason],
            )?;
            Ok(changed > 0)
        })
        .await
    }

    /// Ends the commands whose time has run out; how many.
    ///
    /// # Errors
    /// When it could not be stored.
    pub async fn expire_commands(&self, at: Timestamp) -> Result<usize, StoreError> {
        self.write(move |tx| {
            tx.execute(
                "UPDATE command SET state = 'expired', settled_at = ?1
                 WHERE expires_at <= ?1 AND state IN ('queued', 'sent')",
                [at.as_millis()],
            )
        })
        .await
    }

    /// Tells the number of each command whose answer has become durable. Who falls behind is told
    /// so, and looks the command up.
    pub fn answers(&self) -> broadcast::Receiver<u32> {
        self.inner.answered.subscribe()
    }

    /// Runs a short transaction in the thread that writes.
    async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Transaction<'_>) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let heard = self.writer()?.give(move |db| {
            let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let done = job(&tx)?;
            tx.commit()?;
            Ok::<_, rusqlite::Error>(done)
        })?;
        Ok(heard.await.map_err(|_| StoreError::Closed)??)
    }
}

impl Reader {
    /// One command.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn command(&self, id: u32) -> Result<Option<Command>, StoreError> {
        Ok(self
            .db()
            .prepare_cached(&format!("{COMMAND} WHERE id = ?1"))?
            .query_row([id], command)
            .optional()?)
    }

    /// The commands of a device, the newest first.
    ///
    /// # Errors
    /// When the store cannot be read, or the cursor is not one.
    pub fn commands(&self, key: &DeviceKey, page: &Page) -> Result<Paged<Command>, StoreError> {
        let before = page.after.as_ref().map(Cursor::number).transpose()?;
        let mut find = self.db().prepare_cached(&format!(
            "{COMMAND} WHERE tenant = ?1 AND device = ?2 AND id < ?3 ORDER BY id DESC LIMIT ?4"
        ))?;
        let rows = find.query_map(
            params![
                key.tenant.as_str(),
                key.device.as_str(),
                before.unwrap_or(i64::MAX),
                i64::from(page.limit) + 1
            ],
            |row| {
                let command = command(row)?;
                let place = command.id.to_string();
                Ok((command, place))
            },
        )?;
        Ok(Paged::cut(rows.collect::<Result<_, _>>()?, page.limit))
    }

    /// The commands that wait for a device to connect, the oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn waiting_commands(
        &self,
        key: &DeviceKey,
        at: Timestamp,
    ) -> Result<Vec<Command>, StoreError> {
        let mut find = self.db().prepare_cached(&format!(
            "{COMMAND} WHERE tenant = ?1 AND device = ?2 AND state = 'queued' AND expires_at > ?3
             ORDER BY id"
        ))?;
        let rows = find.query_map(
            params![key.tenant.as_str(), key.device.as_str(), at.as_millis()],
            command,
        )?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// A device has answered: in the transaction of the report that says so. An answer that repeats a
/// number for which nothing is open (any more) changes nothing.
pub(super) fn answer(
    tx: &Transaction<'_>,
    device: &DeviceRow,
    flag: u32,
    text: &str,
    at: Timestamp,
) -> Result<bool, rusqlite::Error> {
    let changed = tx
        .prepare_cached(
            "UPDATE command SET state = 'answered', settled_at = ?4, answer = ?5
             WHERE id = ?1 AND tenant = ?2 AND device = ?3
               AND state IN ('queued', 'sent', 'expired')",
        )?
        .execute(params![
            flag,
            device.tenant.as_str(),
            device.device.as_str(),
            at.as_millis(),
            text,
        ])?;
    Ok(changed > 0)
}

fn command(row: &Row<'_>) -> Result<Command, rusqlite::Error> {
    let time = |at: usize| Ok::<_, rusqlite::Error>(Timestamp::from_millis(row.get(at)?));
    let maybe = |at: usize| {
        let millis: Option<i64> = row.get(at)?;
        Ok::<_, rusqlite::Error>(millis.map(Timestamp::from_millis))
    };
    let device: String = row.get(2)?;
    let state: String = row.get(4)?;
    let odd = |at: usize, what: String| {
        rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, what.into())
    };
    Ok(Command {
        id: row.get(0)?,
        tenant: Tenant::new(&row.get::<_, String>(1)?),
        device: DeviceId::new(&device).map_err(|e| odd(2, e.to_string()))?,
        text: row.get(3)?,
        status: CommandState::ALL
            .into_iter()
            .find(|known| known.as_str() == state)
            .ok_or_else(|| odd(4, format!("unknown state {state}")))?,
        queued_at: time(5)?,
        expires_at: time(6)?,
        sent_at: maybe(7)?,
        settled_at: maybe(8)?,
        answer: row.get(9)?,
    })
}
