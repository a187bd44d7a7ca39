//! Commands as they are read back.

use milepost_telemetry::{DeviceId, DeviceKey, Tenant, Timestamp};
use rusqlite::{OptionalExtension, Row, params};

use super::super::StoreError;
use super::super::read::{Cursor, Page, Paged, Reader};
use super::{COLUMNS, Command, CommandState, UnconfirmedAnswer};

impl Reader {
    /// One command.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn command(&self, id: u32) -> Result<Option<Command>, StoreError> {
        Ok(self
            .db()
            .prepare_cached(&format!("SELECT {COLUMNS} FROM command WHERE id = ?1"))?
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
            "SELECT {COLUMNS} FROM command WHERE tenant = ?1 AND device = ?2 AND id < ?3 ORDER BY id DESC LIMIT ?4"
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

    /// The commands of all devices that wait for something, by device, the oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn open_commands(&self) -> Result<Vec<Command>, StoreError> {
        let mut find = self.db().prepare_cached(&format!(
            "SELECT {COLUMNS} FROM command WHERE state IN ('queued', 'sent')
             ORDER BY tenant, device, id"
        ))?;
        let rows = find.query_map([], command)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// When the next open command will have run out of time.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn next_command_expiry(&self) -> Result<Option<Timestamp>, StoreError> {
        let next: Option<i64> = self
            .db()
            .prepare_cached(
                "SELECT min(expires_at) FROM command WHERE state IN ('queued', 'sent')",
            )?
            .query_row([], |row| row.get(0))?;
        Ok(next.map(Timestamp::from_millis))
    }
}

pub(super) fn command(row: &Row<'_>) -> Result<Command, rusqlite::Error> {
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
        tenant: Tenant::new(&row.get::<_, String>(1)?).map_err(|e| odd(1, e.to_string()))?,
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
        outcome: row.get(10)?,
        reason: row.get(11)?,
        flag: row.get(12)?,
        protocol: row.get(13)?,
        unconfirmed: match (row.get(14)?, maybe(16)?) {
            (Some(text), Some(received_at)) => Some(UnconfirmedAnswer {
                text,
                peer: row.get(15)?,
                received_at,
            }),
            _ => None,
        },
    })
}
