//! A device's answer, in the transaction of the report that says so.

use std::net::SocketAddr;

use milepost_telemetry::{CommandAnswer, CommandOutcome, DeviceKey, Timestamp};
use rusqlite::{Transaction, params};

use super::super::read::uint;
use super::CommandState;
use crate::command::{AnswerFrom, Sent, SentTo, match_answer};

/// A device has answered: in the transaction of the report that says so. Which command that
/// settles, if any, and how.
///
/// A command that has expired is answered all the same; one whose answer said "later" takes
/// another. Any other repetition changes nothing. See [`match_answer`] and
/// [`Sent::may_be_settled_from`].
pub(in super::super) fn answer(
    tx: &Transaction<'_>,
    device: &DeviceKey,
    protocol: &str,
    answer: &CommandAnswer,
    from: &AnswerFrom,
    peer: Option<SocketAddr>,
    at: Timestamp,
) -> Result<Option<(u32, CommandState)>, rusqlite::Error> {
    let sent = sent(tx, device, protocol)?;
    let Some(id) = match_answer(&sent, answer) else {
        return Ok(None);
    };
    let is_theirs = sent
        .iter()
        .any(|one| one.id == id && one.may_be_settled_from(from));
    if !is_theirs {
        let peer = peer.map(|peer| peer.to_string());
        tracing::warn!(command = id, %device, ?peer, "an answer came from elsewhere");
        metrics::counter!("milepost_commands_unconfirmed_total").increment(1);
        tx.prepare_cached(
            "UPDATE command SET unconfirmed = ?2, unconfirmed_peer = ?3, unconfirmed_at = ?4
             WHERE id = ?1",
        )?
        .execute(params![id, answer.text, peer, at.as_millis()])?;
        return Ok(None);
    }
    let state = match answer.outcome {
        Some(CommandOutcome::Refused) => CommandState::Refused,
        _ => CommandState::Answered,
    };
    tx.prepare_cached(
        "UPDATE command SET state = ?2, settled_at = ?3, answer = ?4, outcome = ?5 WHERE id = ?1",
    )?
    .execute(params![
        id,
        state.as_str(),
        at.as_millis(),
        answer.text,
        answer.outcome.map(CommandOutcome::as_str),
    ])?;
    Ok(Some((id, state)))
}

/// The commands of a device that were sent and may still be answered, the newest first.
fn sent(
    tx: &Transaction<'_>,
    device: &DeviceKey,
    protocol: &str,
) -> Result<Vec<Sent>, rusqlite::Error> {
    let mut find = tx.prepare_cached(
        "SELECT id, coalesce(flag, id), text, sent_at, state = 'sent', sent_epoch,
                sent_connection, sent_network FROM command
         WHERE tenant = ?1 AND device = ?2 AND protocol IN (?3, '') AND sent_at IS NOT NULL
           AND (state IN ('sent', 'expired') OR state = 'answered' AND outcome = 'deferred')
         ORDER BY sent_at DESC, id DESC LIMIT 64",
    )?;
    let whose = [device.tenant.as_str(), device.device.as_str(), protocol];
    let rows = find.query_map(whose, |row| {
        let text: String = row.get(2)?;
        let at = Timestamp::from_millis(row.get(3)?);
        let mut sent = Sent::new(row.get(0)?, row.get(1)?, &text, at);
        sent.is_open = row.get(4)?;
        let connection: Option<(i64, i64)> = row
            .get::<_, Option<i64>>(5)?
            .zip(row.get::<_, Option<i64>>(6)?);
        sent.to = match connection {
            Some((epoch, connection)) => Some(SentTo {
                epoch: uint(epoch),
                connection: uint(connection),
                network: row.get::<_, Option<String>>(7)?.map(Into::into),
            }),
            None => None,
        };
        Ok(sent)
    })?;
    rows.collect()
}
