//! Frames that could not be read: kept, and bounded in number.

use milepost_telemetry::{Content, Name, Quarantine};
use rusqlite::{Transaction, params};

use super::StoreOptions;
use super::encode::int;
use super::known::Known;
use super::write::FrameRow;

/// Keeps a frame that could not be read.
pub(super) fn add(
    tx: &Transaction<'_>,
    known: &mut Known,
    row: &FrameRow<'_>,
) -> Result<(), rusqlite::Error> {
    let envelope = row.envelope;
    let Content::Quarantined(why) = &envelope.content else {
        return Ok(());
    };
    let reason = reason(why);
    // Counted before, so that what is counted from the table does not hold it yet.
    let counts = known.quarantined(tx)?;
    let key = (envelope.protocol.as_str().to_owned(), reason.clone());
    *counts.by_reason.entry(key).or_default() += 1;
    if envelope.accepted {
        counts.accepted += 1;
    } else {
        counts.strangers += 1;
    }
    let device = row.device.map(|(_, key)| key);
    tx.prepare_cached(
        "INSERT INTO quarantine (epoch, connection, frame, received_at, peer, protocol,
                                 tenant, device, raw, field, offset, error, profile, frames,
                                 accepted, reason)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    )?
    .execute(params![
        int(envelope.origin.epoch),
        int(envelope.origin.connection),
        int(envelope.origin.frame),
        envelope.received_at.as_millis(),
        envelope.peer.map(|peer| peer.to_string()),
        envelope.protocol.as_str(),
        device.map(|device| device.tenant.as_str()),
        device.map(|device| device.device.as_str()),
        envelope.raw.as_ref(),
        why.field.map(Name::as_str),
        why.offset,
        why.message,
        row.profile,
        row.frames,
        envelope.accepted,
        reason,
    ])?;
    Ok(())
}

/// What kind of fault it is: the field, or the message without the numbers in it, so that a
/// stranger cannot invent reasons without end.
fn reason(why: &Quarantine) -> String {
    match why.field {
        Some(field) => field.as_str().to_owned(),
        None => why
            .message
            .split_whitespace()
            .filter(|word| word.chars().all(|c| c.is_ascii_alphabetic() || c == ','))
            .take(5)
            .collect::<Vec<_>>()
            .join(" "),
    }
}

/// Removes the oldest frames that are beyond a bound: per protocol and reason, and in all, of
/// which strangers have no more than half while devices that were accepted need the room.
pub(super) fn bound(
    tx: &Transaction<'_>,
    known: &mut Known,
    options: &StoreOptions,
) -> Result<(), rusqlite::Error> {
    let per_reason = i64::from(options.quarantine_per_reason);
    let all = i64::from(options.quarantine);
    let counts = known.quarantined(tx)?;
    let mut removed = Vec::new();
    for ((protocol, reason), count) in &mut counts.by_reason {
        if *count > per_reason {
            let find = "DELETE FROM quarantine WHERE seq IN
                (SELECT seq FROM quarantine WHERE protocol = ?1 AND reason = ?2
                 ORDER BY seq LIMIT ?3) RETURNING accepted";
            let mut delete = tx.prepare_cached(find)?;
            let gone = delete.query_map(params![protocol, reason, *count - per_reason], |row| {
                row.get::<_, bool>(0)
            })?;
            removed.extend(gone.collect::<Result<Vec<_>, _>>()?);
            *count = per_reason;
        }
    }
    for accepted in removed {
        counts.accepted -= i64::from(accepted);
        counts.strangers -= i64::from(!accepted);
    }
    loop {
        let excess = counts.accepted + counts.strangers - all;
        if excess <= 0 {
            break;
        }
        let over_half = counts.strangers - all / 2;
        let (accepted, most) = if over_half > 0 {
            (false, excess.min(over_half))
        } else {
            (true, excess)
        };
        let mut delete = tx.prepare_cached(
            "DELETE FROM quarantine WHERE seq IN
                (SELECT seq FROM quarantine WHERE accepted = ?1 ORDER BY seq LIMIT ?2)
             RETURNING protocol, reason",
        )?;
        let gone = delete.query_map(params![accepted, most], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })?;
        let gone = gone.collect::<Result<Vec<_>, _>>()?;
        if gone.is_empty() {
            break;
        }
        for key in gone {
            if accepted {
                counts.accepted -= 1;
            } else {
                counts.strangers -= 1;
            }
            if let Some(count) = counts.by_reason.get_mut(&key) {
                *count -= 1;
                if *count <= 0 {
                    counts.by_reason.remove(&key);
                }
            }
        }
    }
    Ok(())
}
