//! What the devices say against what the store holds. Pure: entries and rows in, verdict out.

use std::collections::HashMap;

use milepost_telemetry::{DeviceId, ReportId};
use serde::Serialize;

use super::{Entry, What};

/// How many examples of each fault are named.
const EXAMPLES: usize = 10;

/// The verdict.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LedgerAudit {
    /// Different facts that were sent.
    pub facts: u64,
    /// Those of them whose acknowledgement was seen.
    pub acknowledged: u64,
    /// Facts that were sent more than once.
    pub sent_again: u64,
    /// Facts that the store holds.
    pub stored: u64,
    /// Acknowledged, and not in the store: the promise is broken.
    pub acknowledged_missing: u64,
    /// In the store more than once: the other promise is broken.
    pub stored_twice: u64,
    /// Never acknowledged, and not in the store: what a crash may cost, within a bound.
    pub unacknowledged_missing: u64,
    /// Some of each.
    pub examples: Vec<Example>,
}

impl LedgerAudit {
    /// Whether both promises held. What was never acknowledged may be missing.
    pub const fn is_ok(&self) -> bool {
        self.acknowledged_missing == 0 && self.stored_twice == 0
    }
}

/// A fact with which something is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Example {
    /// What is wrong.
    pub fault: &'static str,
    /// Whose fact.
    pub device: DeviceId,
    /// Its report's id.
    pub key: ReportId,
}

/// A comparison under way: first the whole ledger, then all rows of the store.
#[derive(Debug, Default)]
pub struct Comparison {
    facts: HashMap<ReportId, Fact>,
    /// The bodies of frames that were stored, to find one fact stored under two ids: the judge
    /// of the ids must not trust them.
    stored: HashMap<(DeviceId, Box<[u8]>), ReportId>,
    twice: Vec<(DeviceId, ReportId)>,
}

#[derive(Debug)]
struct Fact {
    device: DeviceId,
    sent: u32,
    acknowledged: bool,
    stored: bool,
}

impl Comparison {
    /// Takes one entry of the ledger.
    pub fn entry(&mut self, entry: &Entry) {
        let Some(key) = entry.key else { return };
        let fact = self.facts.entry(key).or_insert(Fact {
            device: entry.device,
            sent: 0,
            acknowledged: false,
            stored: false,
        });
        match entry.event {
            What::Sent => fact.sent += 1,
            What::Acked => fact.acknowledged = true,
        }
    }

    /// Takes one row of the store, with the frame it came from where that is kept. Rows of others
    /// than the ledger's devices do no harm.
    pub fn stored(&mut self, device: DeviceId, id: ReportId, raw: Option<&[u8]>) {
        let seen_before = match self.facts.get_mut(&id) {
            Some(fact) => std::mem::replace(&mut fact.stored, true),
            None => false,
        };
        let same_body = raw.and_then(body).and_then(|body| {
            let first = self.stored.insert((device, body), id);
            first.filter(|first| *first != id)
        });
        if seen_before || same_body.is_some() {
            self.twice.push((device, id));
        }
    }

    /// The verdict.
    pub fn finish(self) -> LedgerAudit {
        let mut audit = LedgerAudit {
            facts: count(self.facts.len()),
            stored_twice: count(self.twice.len()),
            ..LedgerAudit::default()
        };
        let mut examples = Examples::default();
        for (device, key) in self.twice {
            examples.add("stored twice", device, key);
        }
        // In the order of their ids, which begin with their time, so that a report can be read
        // again.
        let mut facts: Vec<_> = self.facts.into_iter().collect();
        facts.sort_unstable_by_key(|(key, _)| *key);
        for (key, fact) in facts {
            audit.acknowledged += u64::from(fact.acknowledged);
            audit.sent_again += u64::from(fact.sent > 1);
            audit.stored += u64::from(fact.stored);
            match (fact.acknowledged, fact.stored) {
                (_, true) => {}
                (true, false) => {
                    audit.acknowledged_missing += 1;
                    examples.add("acknowledged and missing", fact.device, key);
                }
                (false, false) => {
                    audit.unacknowledged_missing += 1;
                    examples.add("unacknowledged and missing", fact.device, key);
                }
            }
        }
        audit.examples = examples.named;
        audit
    }
}

#[derive(Default)]
struct Examples {
    named: Vec<Example>,
    counts: HashMap<&'static str, usize>,
}

impl Examples {
    fn add(&mut self, fault: &'static str, device: DeviceId, key: ReportId) {
        let count = self.counts.entry(fault).or_default();
        *count += 1;
        if *count <= EXAMPLES {
            self.named.push(Example { fault, device, key });
        }
    }
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// What a simulated location or alarm says, without what changes when it is sent again: serial
/// number, check sum and re-upload flag. `None` for other frames, which may well say the same
/// thing twice.
fn body(raw: &[u8]) -> Option<Box<[u8]>> {
    // 78 78, length, number, body, serial, check sum, 0D 0A.
    let [0x78, 0x78, _, number @ (0x12 | 0x16 | 0x22 | 0x26), ..] = raw else {
        return None;
    };
    let end = raw.len().checked_sub(6)?;
    let mut body: Box<[u8]> = raw.get(3..end)?.into();
    // Time, position and cell: 26 bytes after the number; then ignition, upload mode, re-upload.
    if matches!(number, 0x12 | 0x22)
        && let Some(again) = body.get_mut(29)
    {
        *again = 0;
    }
    Some(body)
}

#[cfg(test)]
mod tests {
    use milepost_telemetry::Timestamp;

    use super::super::Kind;
    use super::*;

    fn device() -> DeviceId {
        DeviceId::new("004999010000015").unwrap()
    }

    fn id(n: u8) -> ReportId {
        ReportId::from_bytes([n; 16])
    }

    fn ledger(entries: &[(What, u8)]) -> Comparison {
        let mut comparison = Comparison::default();
        for &(event, key) in entries {
            comparison.entry(&Entry {
                t: Timestamp::UNIX_EPOCH,
                device: device(),
                event,
                kind: Kind::Location,
                key: Some(id(key)),
                frame: None,
            });
        }
        comparison
    }

    #[test]
    fn a_store_that_holds_all_is_fine() {
        let mut all = ledger(&[
            (What::Sent, 1),
            (What::Acked, 1),
            (What::Sent, 2),
            (What::Sent, 2),
        ]);
        all.stored(device(), id(1), None);
        all.stored(device(), id(2), None);
        // A row of somebody else.
        all.stored(device(), id(9), None);
        let audit = all.finish();
        assert!(audit.is_ok());
        assert_eq!(
            audit,
            LedgerAudit {
                facts: 2,
                acknowledged: 1,
                sent_again: 1,
                stored: 2,
                ..LedgerAudit::default()
            }
        );
    }

    #[test]
    fn acknowledged_and_missing_is_found() {
        let mut comparison = ledger(&[(What::Sent, 1), (What::Acked, 1), (What::Sent, 2)]);
        comparison.stored(device(), id(2), None);
        let audit = comparison.finish();
        assert!(!audit.is_ok());
        assert_eq!(audit.acknowledged_missing, 1);
        assert_eq!(audit.examples.len(), 1);
        assert_eq!(audit.examples[0].fault, "acknowledged and missing");
        assert_eq!(audit.examples[0].key, id(1));
    }

    #[test]
    fn an_id_stored_twice_is_found() {
        let mut comparison = ledger(&[(What::Sent, 1)]);
        comparison.stored(device(), id(1), None);
        comparison.stored(device(), id(1), None);
        let audit = comparison.finish();
        assert!(!audit.is_ok());
        assert_eq!(audit.stored_twice, 1);
    }

    #[test]
    fn a_fact_stored_under_two_ids_is_found_by_its_bytes() {
        let frame = |serial: u8, again: u8| {
            let mut raw = vec![0x78, 0x78, 0x22, 0x22];
            raw.extend([9; 26]);
            raw.extend([1, 0, again, 0, serial, 0xAA, serial, 0x0D, 0x0A]);
            raw
        };
        let mut comparison = ledger(&[(What::Sent, 1)]);
        comparison.stored(device(), id(1), Some(&frame(1, 0)));
        comparison.stored(device(), id(5), Some(&frame(2, 1)));
        let audit = comparison.finish();
        assert!(!audit.is_ok());
        assert_eq!(audit.stored_twice, 1);
    }

    #[test]
    fn heartbeats_that_say_the_same_are_different_facts() {
        let heartbeat = [
            0x78, 0x78, 0x0A, 0x13, 0x44, 6, 4, 0, 2, 0, 1, 0xAA, 0xBB, 0x0D, 0x0A,
        ];
        let mut comparison = ledger(&[]);
        comparison.stored(device(), id(1), Some(&heartbeat));
        comparison.stored(device(), id(2), Some(&heartbeat));
        assert!(comparison.finish().is_ok());
    }

    #[test]
    fn unacknowledged_and_missing_is_counted_and_allowed() {
        let audit = ledger(&[(What::Sent, 1), (What::Sent, 2), (What::Sent, 2)]).finish();
        assert!(audit.is_ok());
        assert_eq!(audit.unacknowledged_missing, 2);
        assert_eq!(audit.examples.len(), 2);
    }

    #[test]
    fn many_faults_give_few_examples() {
        let entries: Vec<_> = (0..100).map(|n| (What::Sent, n)).collect();
        let audit = ledger(&entries).finish();
        assert_eq!(audit.unacknowledged_missing, 100);
        assert_eq!(audit.examples.len(), EXAMPLES);
    }
}
