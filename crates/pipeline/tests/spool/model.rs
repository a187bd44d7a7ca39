//! Random appends, frees, reads, faults, kills and power losses: what was acknowledged is there.

use std::collections::BTreeMap;

use bytes::Bytes;
use milepost_pipeline::spool::{Record, Recovery, Segments, SpoolOptions, Storage};
use proptest::prelude::*;

use super::memory::{Disk, Session};

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<u16>),
    /// So many of the records that are not free.
    Free(u8),
    Read(u16),
    /// The nth change from now fails.
    Fault(u8),
    Kill,
    PowerLoss,
    /// As at a clean end.
    Mark,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec(0_u16..400, 1..12).prop_map(Step::Append),
        3 => any::<u8>().prop_map(Step::Free),
        3 => any::<u16>().prop_map(Step::Read),
        3 => (0_u8..8).prop_map(Step::Fault),
        1 => Just(Step::Kill),
        1 => Just(Step::PowerLoss),
        1 => Just(Step::Mark),
    ]
}

fn options() -> SpoolOptions {
    let mut options = SpoolOptions::default();
    options.segment_bytes = 2_000;
    options.max_bytes = 1 << 20;
    options
}

struct Model {
    disk: Disk,
    log: Segments<Session>,
    /// Acknowledged and not free.
    acknowledged: BTreeMap<u64, Bytes>,
    free_below: u64,
    /// Every record that anyone has ever read or been given a position for.
    known: BTreeMap<u64, Bytes>,
    serial: u64,
    may_be_damaged: bool,
}

impl Model {
    fn open(disk: &Disk) -> (Segments<Session>, Recovery) {
        // A fault may hit the opening too; the next one works.
        let opened = Segments::open(disk.session(), options());
        disk.fail_in(None);
        opened
            .or_else(|_| Segments::open(disk.session(), options()))
            .unwrap()
    }

    fn new(seed: u64) -> Self {
        let disk = Disk::new(seed);
        let (log, recovery) = Self::open(&disk);
        assert_eq!(recovery, Recovery::default());
        Self {
            disk,
            log,
            acknowledged: BTreeMap::new(),
            free_below: 0,
            known: BTreeMap::new(),
            serial: 0,
            may_be_damaged: false,
        }
    }

    fn append(&mut self, lengths: &[u16]) {
        let payloads: Vec<Bytes> = lengths
            .iter()
            .map(|len| {
                self.serial += 1;
                let mut payload = self.serial.to_le_bytes().to_vec();
                payload.resize(8 + usize::from(*len), 0xA5);
                payload.into()
            })
            .collect();
        if let Ok(first) = self.log.append(&payloads) {
            for (payload, position) in payloads.into_iter().zip(first..) {
                self.note(position, &payload);
                self.acknowledged.insert(position, payload);
            }
        }
    }

    fn note(&mut self, position: u64, payload: &Bytes) {
        let known = self
            .known
            .entry(position)
            .or_insert_with(|| payload.clone());
        assert_eq!(known, payload, "position {position} has two records");
    }

    fn free(&mut self, part: u8) {
        let count = self.acknowledged.len() * usize::from(part) / 255;
        let Some(position) = self.acknowledged.keys().take(count).last().copied() else {
            return;
        };
        self.log.free(position + 1);
        self.free_below = position + 1;
        self.acknowledged.retain(|known, _| *known > position);
    }

    fn read(&mut self, max_bytes: usize) -> Vec<Record> {
        let mut reader = self.log.reader();
        let mut records: Vec<Record> = Vec::new();
        loop {
            let more = reader.read(max_bytes.max(1)).unwrap();
            if more.is_empty() {
                break;
            }
            records.extend(more);
        }
        assert!(
            records.is_sorted_by(|a, b| a.position < b.position),
            "out of order"
        );
        for record in &records {
            self.note(record.position, &record.payload);
            assert!(record.position < self.log.next());
        }
        let mut missing = self.acknowledged.clone();
        for record in &records {
            missing.remove(&record.position);
        }
        assert!(
            missing.is_empty(),
            "acknowledged and lost: {:?}",
            missing.keys()
        );
        records
    }

    fn reopen(&mut self) {
        let (log, recovery) = Self::open(&self.disk);
        self.log = log;
        assert!(
            self.may_be_damaged || recovery.damage.is_empty(),
            "{recovery:?}"
        );
        let highest = self.known.keys().next_back().copied();
        assert!(highest.is_none_or(|highest| self.log.next() > highest));
        assert!(self.log.free_below() <= self.free_below);
        self.read(1_000);
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Append(lengths) => self.append(lengths),
            Step::Free(part) => self.free(*part),
            Step::Read(max_bytes) => {
                self.read(usize::from(*max_bytes));
            }
            Step::Fault(n) => self.disk.fail_in(Some(u32::from(*n))),
            Step::Kill => self.reopen(),
            Step::PowerLoss => {
                // Blocks of an append that was under way may be there without those before them,
                // which looks like damage.
                self.may_be_damaged |= self.disk.power_loss();
                self.reopen();
            }
            Step::Mark => drop(self.log.write_mark()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn what_is_acknowledged_is_read_in_order_until_it_is_freed(
        seed in any::<u64>(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut model = Model::new(seed);
        for step in &steps {
            model.run(step);
        }
        model.disk.fail_in(None);
        model.reopen();
        // After any of that the log takes records again.
        let before = model.acknowledged.len();
        model.append(&[10, 20]);
        prop_assert_eq!(model.acknowledged.len(), before + 2);
        model.read(100);
    }

    #[test]
    fn a_damaged_byte_costs_no_more_than_its_record(
        damaged in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let disk = Disk::new(1);
        let (mut log, _) = Segments::open(disk.session(), options()).unwrap();
        for serial in 0..40_u8 {
            log.append(&[Bytes::from(vec![serial; 100 + usize::from(serial)])]).unwrap();
        }
        let id = log.id();
        let next = log.next();
        let mut last_segment = false;
        let mut at = 0;
        disk.change(|files| {
            let total: usize = files.values().map(Vec::len).sum();
            at = damaged.index(total);
            let count = files.len();
            for (place, bytes) in files.values_mut().enumerate() {
                if at < bytes.len() {
                    bytes[at] ^= 1 << bit;
                    last_segment = place + 1 == count;
                    return;
                }
                at -= bytes.len();
            }
        });
        let (log, recovery) = Segments::open(disk.session(), options()).unwrap();
        prop_assert_eq!(log.id(), id);
        prop_assert!(log.next() >= next, "a position fell");
        let records = log.reader().read(usize::MAX).unwrap();
        for record in &records {
            prop_assert_eq!(record.payload[0] as u64, record.position);
        }
        let lost = 40 - records.len();
        match &recovery.damage[..] {
            [damage] => {
                prop_assert!(damage.range.contains(&(at as u64)), "{:?} at {}", damage, at);
                // A header is damaged without a record being lost.
                prop_assert!(lost <= 1, "{lost} lost");
                // What is reported is reported once.
                let (_, again) = Segments::open(disk.session(), options()).unwrap();
                prop_assert_eq!(again.damage.len(), 0);
                prop_assert!(disk.session().list().unwrap().contains(&damage.file));
            }
            [] => {
                // The last record of all cannot be told from a torn tail.
                prop_assert!(last_segment && lost == 1 && recovery.cut_bytes > 0, "{:?}", recovery);
            }
            more => prop_assert!(false, "{more:?}"),
        }
    }
}

#[test]
fn a_freed_log_stays_small_and_its_positions_rise() {
    let disk = Disk::new(2);
    let (mut log, _) = Segments::open(disk.session(), options()).unwrap();
    for _ in 0..100 {
        let position = log.append(&[Bytes::from_static(&[7; 900])]).unwrap();
        log.free(position + 1);
    }
    let logs = disk.session().list().unwrap().len();
    assert!(logs <= 2, "{logs} files");
    let (log, recovery) = Segments::open(disk.session(), options()).unwrap();
    assert_eq!(log.next(), 100);
    assert!(recovery.waiting <= 3, "free is written down: {recovery:?}");
}

#[test]
fn a_log_whose_headers_are_all_lost_begins_anew_with_another_id() {
    let disk = Disk::new(3);
    let (mut log, _) = Segments::open(disk.session(), options()).unwrap();
    log.append(&[Bytes::from_static(b"gone")]).unwrap();
    let id = log.id();
    disk.change(|files| {
        for bytes in files.values_mut() {
            bytes[..68].fill(0);
        }
    });
    let (mut log, recovery) = Segments::open(disk.session(), options()).unwrap();
    assert_ne!(log.id(), id);
    assert_eq!(
        recovery.damage.len() as u64 + recovery.cut_bytes.min(1),
        2,
        "{recovery:?}"
    );
    log.append(&[Bytes::from_static(b"new")]).unwrap();
    assert_eq!(log.reader().read(1_000).unwrap().len(), 1);
}
