//! Commands to devices, from the request to the answer, over restarts.

mod answer;
mod read;

use std::fmt;
use std::sync::Arc;

use milepost_telemetry::{DeviceId, DeviceKey, Name, Tenant, Timestamp};
use rusqlite::{OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use super::encode::int;
use super::known::Known;
use super::writer::Writing;
use super::{Store, StoreError, now};
use crate::command::SentTo;
pub(super) use answer::answer;
use read::command;

/// How far a command has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandState {
    /// It waits for its device.
    Queued,
    /// It was given to the device's connection.
    Sent,
    /// The device has answered; what the answer says is in its text.
    Answered,
    /// The device has answered that it will not, or the command can never be sent.
    Refused,
    /// Its time ran out before an answer came.
    Expired,
    /// It was taken back before it was sent.
    Withdrawn,
}

impl CommandState {
    const ALL: [Self; 6] = [
        Self::Queued,
        Self::Sent,
        Self::Answered,
        Self::Refused,
        Self::Expired,
        Self::Withdrawn,
    ];

    /// Whether the command still waits for something.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::Sent)
    }

    /// The state's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
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
    /// Its number: unique in the store, rising, not repeated by a store that replaces this one.
    pub id: u32,
    /// What the device repeats in its answer, if its protocol can: random, so that an answer
    /// cannot be guessed, and different from those of the device's other open commands.
    #[serde(skip)]
    pub flag: u32,
    /// Whose device it is for.
    pub tenant: Tenant,
    /// The device that it is for.
    pub device: DeviceId,
    /// The protocol that takes it; empty for one of an older version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub protocol: String,
    /// The command, in the device's own words.
    pub text: String,
    /// How far it has come.
    pub status: CommandState,
    /// When it was asked for.
    pub queued_at: Timestamp,
    /// Until when it may be sent, and its answer is waited for.
    pub expires_at: Timestamp,
    /// When it was sent. That happens once at most, since "cut the fuel" or "start again" must not
    /// be carried out twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
    /// When it came to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<Timestamp>,
    /// What the device answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// What the answer's text says of the outcome, where its decoder can tell: `success`,
    /// `deferred` (the device will do it later, and may say so then), `refused`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Why it could never be sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// An answer that did not come from where the command was sent. It settles nothing: anyone
    /// can claim a device's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unconfirmed: Option<UnconfirmedAnswer>,
}

/// An answer from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UnconfirmedAnswer {
    /// Its text.
    pub text: String,
    /// Who sent it, on the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// When it arrived.
    pub received_at: Timestamp,
}

/// A command was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotQueued {
    /// As many as may wait for one device do so already.
    #[error("{0} commands wait for the device already")]
    TooMany(u32),
    /// It could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

const COLUMNS: &str = "id, tenant, device, text, state, queued_at, expires_at, sent_at,
    settled_at, answer, outcome, reason, coalesce(flag, id), protocol, unconfirmed,
    unconfirmed_peer, unconfirmed_at";

impl Store {
    /// Keeps a command; it is durable when this resolves. At most `max_waiting` wait for one
    /// device.
    ///
    /// # Errors
    /// When too many wait, or it could not be stored.
    pub async fn queue_command(
        &self,
        device: &DeviceKey,
        protocol: Name,
        text: &str,
        expires_at: Timestamp,
        max_waiting: u32,
    ) -> Result<Command, NotQueued> {
        let (device, text) = (*device, text.to_owned());
        let queued = self.write(move |tx| {
            let waiting: u32 = tx
                .prepare_cached(
                    "SELECT count(*) FROM command
                     WHERE tenant = ?1 AND device = ?2 AND state = 'queued'",
                )?
                .query_row([device.tenant.as_str(), device.device.as_str()], |row| {
                    row.get(0)
                })?;
            if waiting >= max_waiting {
                return Ok(Err(NotQueued::TooMany(waiting)));
            }
            let flag = new_flag(tx, &device)?;
            tx.prepare_cached(&format!(
                "INSERT INTO command (tenant, device, text, state, queued_at, expires_at,
                                      protocol, flag)
                 VALUES (?1, ?2, ?3, 'queued', ?4, ?5, ?6, ?7) RETURNING {COLUMNS}"
            ))?
            .query_row(
                params![
                    device.tenant.as_str(),
                    device.device.as_str(),
                    text,
                    now().as_millis(),
                    expires_at.as_millis(),
                    protocol.as_str(),
                    flag,
                ],
                command,
            )
            .map(Ok)
        });
        let command = queued.await??;
        self.announce(command.id, command.status);
        Ok(command)
    }

    /// Takes the oldest command that waits for a device and protocol, and notes that it is sent,
    /// and to whom: durable before the first byte leaves, so that no crash can send it twice. Give
    /// it back with [`command_unsent`](Self::command_unsent) if it was certainly not sent.
    ///
    /// Only answers from that connection, from its network or from a network that the device is
    /// bound to settle it; without `to`, any of the device do.
    ///
    /// # Errors
    /// When it could not be stored; then it waits on.
    pub async fn take_command(
        &self,
        device: &DeviceKey,
        protocol: Name,
        to: Option<SentTo>,
    ) -> Result<Option<Command>, StoreError> {
        let device = *device;
        let taken = self.write(move |tx| {
            tx.prepare_cached(&format!(
                "UPDATE command SET state = 'sent', sent_at = ?3, sent_epoch = ?5,
                        sent_connection = ?6, sent_network = ?7 WHERE id =
                     (SELECT id FROM command WHERE tenant = ?1 AND device = ?2
                      AND protocol IN (?4, '') AND state = 'queued' AND expires_at > ?3
                      ORDER BY id LIMIT 1)
                 RETURNING {COLUMNS}"
            ))?
            .query_row(
                params![
                    device.tenant.as_str(),
                    device.device.as_str(),
                    now().as_millis(),
                    protocol.as_str(),
                    to.as_ref().map(|to| int(to.epoch)),
                    to.as_ref().map(|to| int(to.connection)),
                    to.as_ref().and_then(|to| to.network.as_deref()),
                ],
                command,
            )
            .optional()
        });
        let taken = taken.await?;
        if let Some(command) = &taken {
            self.announce(command.id, command.status);
        }
        Ok(taken)
    }

    /// A command that was taken was certainly not sent: it waits again. `false`: it is not open.
    ///
    /// # Errors
    /// When it could not be stored.
    pub async fn command_unsent(&self, id: u32) -> Result<bool, StoreError> {
        self.change(
            id,
            CommandState::Queued,
            "UPDATE command SET state = 'queued', sent_at = NULL, sent_epoch = NULL,
                    sent_connection = NULL, sent_network = NULL
             WHERE id = ?1 AND state = 'sent'",
            [],
        )
        .await
    }

    /// Notes that a command can never be sent; why. `false`: it is not open.
    ///
    /// # Errors
    /// When it could not be stored.
    pub async fn command_refused(&self, id: u32, reason: &str) -> Result<bool, StoreError> {
        self.change(
            id,
            CommandState::Refused,
            "UPDATE command SET state = 'refused', sent_at = NULL, settled_at = ?2, reason = ?3
             WHERE id = ?1 AND state IN ('queued', 'sent')",
            [now().as_millis().into(), reason.to_owned().into()],
        )
        .await
    }

    /// Takes back a command that waits: it is never sent. `false`: it does not wait any more, and
    /// may have been carried out.
    ///
    /// # Errors
    /// When it could not be stored.
    pub async fn withdraw_command(&self, id: u32) -> Result<bool, StoreError> {
        self.change(
            id,
            CommandState::Withdrawn,
            "UPDATE command SET state = 'withdrawn', settled_at = ?2
             WHERE id = ?1 AND state = 'queued'",
            [now().as_millis().into()],
        )
        .await
    }

    /// Ends the commands whose time has run out; which.
    ///
    /// # Errors
    /// When it could not be stored.
    pub async fn expire_commands(&self, at: Timestamp) -> Result<Vec<u32>, StoreError> {
        let expired = self.write(move |tx| {
            tx.prepare_cached(
                "UPDATE command SET state = 'expired', settled_at = ?1
                 WHERE expires_at <= ?1 AND state IN ('queued', 'sent') RETURNING id",
            )?
            .query_map([at.as_millis()], |row| row.get(0))?
            .collect::<Result<Vec<u32>, _>>()
        });
        let expired = expired.await?;
        for id in &expired {
            self.announce(*id, CommandState::Expired);
        }
        Ok(expired)
    }

    /// The number and the new state of each command that changes, once that is durable. A receiver
    /// that lags gets `Lagged` and should look up the commands that it waits for.
    pub fn command_changes(&self) -> broadcast::Receiver<(u32, CommandState)> {
        self.inner.shared.commands.subscribe()
    }

    fn announce(&self, id: u32, state: CommandState) {
        announce(&self.inner.shared.commands, id, state);
    }

    async fn change<const N: usize>(
        &self,
        id: u32,
        state: CommandState,
        statement: &'static str,
        values: [rusqlite::types::Value; N],
    ) -> Result<bool, StoreError> {
        let changed = self.write(move |tx| {
            let all = std::iter::once(id.into()).chain(values);
            let all = rusqlite::params_from_iter(all);
            Ok(tx.prepare_cached(statement)?.execute(all)? > 0)
        });
        let changed = changed.await?;
        if changed {
            self.announce(id, state);
        }
        Ok(changed)
    }

    /// Runs a short transaction in the thread that writes. It is not begun any more when whoever
    /// asked for it has gone: a command is not accepted without its sender's knowledge.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Transaction<'_>) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write_and(job, |_| ()).await
    }

    /// The same for one that changes what the writer remembers: `after` runs when it is committed.
    pub(super) async fn write_and<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Transaction<'_>) -> Result<T, rusqlite::Error> + Send + 'static,
        after: impl FnOnce(&mut Known) + Send + 'static,
    ) -> Result<T, StoreError> {
        let here = Arc::new(());
        let asked_by = Arc::downgrade(&here);
        let heard = self.writer()?.give(move |writing| {
            let Writing { db, known } = writing;
            if asked_by.strong_count() == 0 {
                return Err(rusqlite::Error::QueryReturnedNoRows);
            }
            let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let done = job(&tx)?;
            tx.commit()?;
            after(known);
            Ok::<_, rusqlite::Error>(done)
        })?;
        let done = heard.await;
        drop(here);
        Ok(done.map_err(|_| StoreError::Closed)??)
    }
}

/// No clock is right that says more; numbers must stay within 32 bits.
const LATEST: i64 = 4_000_000_000;

/// From here on commands get numbers above this time, in seconds, where they have not come so far
/// already. On average there is less than one a second, so numbers stay behind the clock.
pub(super) fn number_from(tx: &Transaction<'_>, at: Timestamp) -> Result<(), rusqlite::Error> {
    let seconds = at.as_unix().clamp(0, LATEST);
    let known = tx.execute(
        "UPDATE sqlite_sequence SET seq = max(seq, ?1) WHERE name = 'command'",
        [seconds],
    )?;
    if known == 0 {
        tx.execute(
            "INSERT INTO sqlite_sequence (name, seq) VALUES ('command', ?1)",
            [seconds],
        )?;
    }
    Ok(())
}

/// A flag that no open command of the device has. Zero means "none" in some protocols.
fn new_flag(tx: &Transaction<'_>, device: &DeviceKey) -> Result<u32, rusqlite::Error> {
    let mut find = tx.prepare_cached(
        "SELECT 1 FROM command WHERE tenant = ?1 AND device = ?2 AND state IN ('queued', 'sent')
         AND coalesce(flag, id) = ?3",
    )?;
    loop {
        let flag = rand::random_range(1..=u32::MAX);
        if !find.exists(params![
            device.tenant.as_str(),
            device.device.as_str(),
            flag
        ])? {
            return Ok(flag);
        }
    }
}

/// Tells and counts a change that is durable.
pub(super) fn announce(to: &broadcast::Sender<(u32, CommandState)>, id: u32, state: CommandState) {
    metrics::counter!("milepost_commands_total", "state" => state.as_str()).increment(1);
    // Nobody may be listening.
    let _nobody = to.send((id, state)).is_err();
}

#[cfg(test)]
mod tests {
    use super::super::StoreOptions;
    use super::*;

    #[tokio::test]
    async fn numbers_are_not_repeated_by_a_store_that_replaces_this_one() {
        let whose = DeviceKey {
            tenant: Tenant::new("acme").unwrap(),
            device: DeviceId::new("1").unwrap(),
        };
        let next = async |store: &Store| {
            let far = Timestamp::from_unix(LATEST);
            let queued = store
                .queue_command(&whose, Name::new("test"), "WHERE#", far, 9)
                .await;
            i64::from(queued.unwrap().id)
        };
        let begun = now().as_unix();
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
        store.begin_epoch().unwrap();
        let first = next(&store).await;
        assert!(first > begun, "{first}");

        let later = Timestamp::from_unix(first + 100);
        store.write(move |tx| number_from(tx, later)).await.unwrap();
        assert_eq!(next(&store).await, first + 101);
        // A clock that was set back repeats none, and one that runs wild leaves numbers over.
        store.begin_epoch().unwrap();
        assert_eq!(next(&store).await, first + 102);
        let wild = Timestamp::from_millis(i64::MAX);
        store.write(move |tx| number_from(tx, wild)).await.unwrap();
        assert_eq!(next(&store).await, LATEST + 1);
    }
}
