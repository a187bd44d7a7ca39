//! Whose turn it is: deficit round robin over the connections' lines.
//!
//! No locks and no clock here: [`queue`](super::queue) has those.

use std::collections::{HashMap, VecDeque};

use milepost_telemetry::Envelope;

use super::{BatchLimits, PER_BATCH, Pending, QUANTUM, STRANGERS_PART, Selection};

/// The frames of one connection that have permits, in order.
#[derive(Debug, Default)]
struct Line {
    frames: VecDeque<Pending>,
    urgent: usize,
    accepted: bool,
    /// Whether it is in one of the two lists of its class.
    listed: bool,
    /// Whether it is in the list of lines with urgent frames.
    listed_urgent: bool,
    deficit: i64,
    /// How many frames it has in which selection.
    taken: usize,
    selection: u64,
}

/// Lines of one class that have their turns.
#[derive(Debug, Default)]
struct Class {
    /// Lines that had nothing in the queue before.
    fresh: VecDeque<u64>,
    others: VecDeque<u64>,
}

/// All lines.
#[derive(Debug)]
pub(super) struct Turns {
    lines: HashMap<u64, Line>,
    accepted: Class,
    strangers: Class,
    urgent: VecDeque<u64>,
    /// Frames in all lines, and in those of strangers.
    len: usize,
    strange: usize,
    /// Lines that are not empty.
    busy: usize,
    /// What an average frame costs.
    unit: i64,
    selections: u64,
    /// Empty lines' memory, for the next ones.
    spare: Vec<VecDeque<Pending>>,
}

/// Empty lines that are kept.
const SPARE: usize = 1_024;

impl Turns {
    pub(super) fn new(unit: u64) -> Self {
        Self {
            lines: HashMap::new(),
            accepted: Class::default(),
            strangers: Class::default(),
            urgent: VecDeque::new(),
            len: 0,
            strange: 0,
            busy: 0,
            unit: i64::try_from(unit).unwrap_or(i64::MAX),
            selections: 0,
            spare: Vec::new(),
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Whether an urgent frame is among them.
    pub(super) fn has_urgent(&self) -> bool {
        !self.urgent.is_empty()
    }

    /// The line of an envelope. What comes from a log is one line: its order is the log's.
    pub(super) const fn line_of(envelope: &Envelope, offset: Option<i64>) -> u64 {
        match offset {
            Some(_) => 0,
            None => envelope.origin.connection,
        }
    }

    pub(super) fn push(&mut self, pending: Pending) {
        let key = Self::line_of(&pending.envelope, pending.offset);
        let spare = &mut self.spare;
        let line = self.lines.entry(key).or_insert_with(|| Line {
            frames: spare.pop().unwrap_or_default(),
            ..Line::default()
        });
        let accepted = pending.envelope.accepted || pending.offset.is_some();
        if accepted && !line.accepted {
            // It has logged in: its earlier frames count with the rest from here on.
            line.accepted = true;
            self.strange -= line.frames.len();
            if line.listed {
                // Out of the strangers' lists; found there it is passed over.
                line.listed = false;
            }
        }
        if !line.listed {
            line.listed = true;
            line.deficit = 0;
            let class = if line.accepted {
                &mut self.accepted
            } else {
                &mut self.strangers
            };
            class.fresh.push_back(key);
        }
        if line.frames.is_empty() {
            self.busy += 1;
        }
        if pending.envelope.urgent && pending.offset.is_none() {
            line.urgent += 1;
            if !line.listed_urgent {
                line.listed_urgent = true;
                self.urgent.push_back(key);
            }
        }
        if !line.accepted {
            self.strange += 1;
        }
        self.len += 1;
        line.frames.push_back(pending);
    }

    /// Begins a selection.
    pub(super) fn select(&mut self) -> Selection {
        self.selections += 1;
        Selection {
            number: self.selections,
            ..Selection::default()
        }
    }

    /// Adds to a selection what belongs in it.
    pub(super) fn fill(&mut self, selection: &mut Selection, limits: &BatchLimits) {
        self.fill_urgent(selection, limits);
        // While accepted connections wait, all others together get no more than their part.
        let most = (limits.frames / STRANGERS_PART).saturating_sub(selection.strangers);
        let kept = most.min(self.strange);
        self.serve(true, selection, limits, limits.frames.saturating_sub(kept));
        let accepted_wait = self.len > self.strange;
        let most = if accepted_wait { most } else { usize::MAX };
        let up_to = selection.frames.len().saturating_add(most);
        self.serve(false, selection, limits, up_to.min(limits.frames));
        self.serve(true, selection, limits, limits.frames);
    }

    fn fill_urgent(&mut self, selection: &mut Selection, limits: &BatchLimits) {
        let most = limits.frames.div_ceil(2);
        let mut rounds = self.urgent.len().saturating_mul(PER_BATCH);
        while selection.urgent < most
            && rounds > 0
            && !is_full(selection, limits, limits.frames)
            && let Some(key) = self.urgent.pop_front()
        {
            rounds -= 1;
            let mut left = most - selection.urgent;
            while let Some(line) = self.lines.get(&key) {
                if line.urgent == 0 || left == 0 || is_full(selection, limits, limits.frames) {
                    break;
                }
                left -= 1;
                selection.urgent += 1;
                if self.take(key, selection) {
                    break;
                }
            }
            if let Some(line) = self.lines.get_mut(&key) {
                line.listed_urgent = line.urgent > 0;
                if line.listed_urgent {
                    self.urgent.push_back(key);
                }
            }
        }
    }

    /// Moves a line's first frame to a selection; whether it is urgent.
    fn take(&mut self, key: u64, selection: &mut Selection) -> bool {
        let Some(line) = self.lines.get_mut(&key) else {
            return false;
        };
        let Some(pending) = line.frames.pop_front() else {
            return false;
        };
        if line.selection != selection.number {
            line.selection = selection.number;
            line.taken = 0;
        }
        line.taken += 1;
        line.deficit -= i64::try_from(pending.cost).unwrap_or(i64::MAX);
        let urgent = pending.envelope.urgent && pending.offset.is_none();
        line.urgent -= usize::from(urgent);
        self.len -= 1;
        if !line.accepted {
            self.strange -= 1;
            selection.strangers += 1;
        }
        if line.frames.is_empty() {
            self.busy -= 1;
        }
        selection.bytes = selection.bytes.saturating_add(pending.cost);
        selection.frames.push(pending);
        urgent
    }

    /// Gives the lines of a class their turns, until the selection holds `up_to` frames.
    fn serve(
        &mut self,
        accepted: bool,
        selection: &mut Selection,
        limits: &BatchLimits,
        up_to: usize,
    ) {
        let (quantum, cap) = if accepted {
            (QUANTUM.saturating_mul(self.unit), PER_BATCH)
        } else {
            (self.unit, PER_BATCH / STRANGERS_PART)
        };
        // Those that have had their part of this selection.
        let mut served = Vec::new();
        while !is_full(selection, limits, up_to) {
            let class = self.class(accepted);
            let (key, was_fresh) = match class.fresh.pop_front() {
                Some(key) => (key, true),
                None => match class.others.pop_front() {
                    Some(key) => (key, false),
                    None => break,
                },
            };
            let others_wait = self.busy > 1;
            let Some(line) = self.lines.get_mut(&key) else {
                continue;
            };
            if line.accepted != accepted {
                continue;
            }
            if line.frames.is_empty() {
                self.forget(key);
                continue;
            }
            if line.selection != selection.number {
                line.selection = selection.number;
                line.taken = 0;
            }
            if others_wait && line.taken >= cap {
                served.push(key);
                continue;
            }
            if line.deficit <= 0 {
                // The first turn is one frame, so that many that begin at once wait little.
                let worth = if was_fresh { self.unit } else { quantum };
                line.deficit = line.deficit.saturating_add(worth);
            }
            while let Some(line) = self.lines.get(&key) {
                if line.frames.is_empty()
                    || line.deficit <= 0
                    || others_wait && line.taken >= cap
                    || is_full(selection, limits, up_to)
                {
                    break;
                }
                self.take(key, selection);
            }
            // An empty line stays listed until its next turn: a connection that sends a frame at
            // a time must not be a fresh one each time while others wait.
            self.class(accepted).others.push_back(key);
        }
        // They were first in line before, and are so in the next selection.
        for key in served.into_iter().rev() {
            self.class(accepted).others.push_front(key);
        }
    }

    const fn class(&mut self, accepted: bool) -> &mut Class {
        if accepted {
            &mut self.accepted
        } else {
            &mut self.strangers
        }
    }

    fn forget(&mut self, key: u64) {
        if let Some(line) = self.lines.remove(&key)
            && self.spare.len() < SPARE
            && line.frames.capacity() <= PER_BATCH
        {
            self.spare.push(line.frames);
        }
    }
}

fn is_full(selection: &Selection, limits: &BatchLimits, up_to: usize) -> bool {
    let bytes = u64::try_from(limits.bytes).unwrap_or(u64::MAX);
    selection.frames.len() >= up_to.min(limits.frames) || selection.bytes >= bytes
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use milepost_telemetry::{Content, Name, Origin, Timestamp};
    use tokio::sync::oneshot;

    use super::*;
    use crate::ack::Ack;
    use crate::permit::{Cost, Permit, Permits};

    #[derive(Debug)]
    struct Nowhere;

    impl Permits for Nowhere {
        fn release(self: Arc<Self>, _: Cost) {}
    }

    const UNIT: u64 = 1_000;

    fn pending(connection: u64, frame: u64) -> Pending {
        let origin = Origin {
            epoch: 1,
            connection,
            frame,
        };
        let content = Content::Filtered(Name::new("test"));
        let mut envelope = Envelope::new(
            origin,
            Timestamp::UNIX_EPOCH,
            Name::new("test"),
            Bytes::new(),
            content,
        );
        envelope.accepted = true;
        Pending {
            envelope: Arc::new(envelope),
            offset: None,
            cost: UNIT,
            ack: Ack::new(
                oneshot::channel().0,
                Permit::new(Arc::new(Nowhere), Cost::default()),
            ),
        }
    }

    fn changed(mut pending: Pending, change: impl FnOnce(&mut Envelope)) -> Pending {
        change(Arc::get_mut(&mut pending.envelope).unwrap());
        pending
    }

    fn urgent(connection: u64, frame: u64) -> Pending {
        changed(pending(connection, frame), |envelope| {
            envelope.urgent = true
        })
    }

    fn stranger(connection: u64, frame: u64) -> Pending {
        changed(pending(connection, frame), |envelope| {
            envelope.accepted = false;
        })
    }

    fn limits(frames: usize) -> BatchLimits {
        BatchLimits {
            frames,
            ..BatchLimits::default()
        }
    }

    fn next(turns: &mut Turns, frames: usize) -> Vec<(u64, u64)> {
        let mut selection = turns.select();
        turns.fill(&mut selection, &limits(frames));
        let frames = selection.frames.iter();
        frames
            .map(|p| (p.envelope.origin.connection, p.envelope.origin.frame))
            .collect()
    }

    fn of(connection: u64, taken: &[(u64, u64)]) -> usize {
        taken.iter().filter(|(c, _)| *c == connection).count()
    }

    #[test]
    fn a_connection_with_one_frame_does_not_wait_for_those_with_thousands() {
        let mut turns = Turns::new(UNIT);
        for connection in 1..=1_000 {
            for frame in 0..20 {
                turns.push(pending(connection, frame));
            }
        }
        assert_eq!(next(&mut turns, 100).len(), 100);
        turns.push(pending(5_000, 1));
        let taken = next(&mut turns, 2_500);
        assert_eq!(of(5_000, &taken), 1, "not in the next batch");
    }

    #[test]
    fn one_that_sends_a_frame_at_a_time_is_fresh_only_once_in_a_round() {
        let mut turns = Turns::new(UNIT);
        for connection in 1..=10 {
            for frame in 0..60 {
                turns.push(pending(connection, frame));
            }
        }
        // It always has a frame when a batch is made, of which there is place for four.
        let mut of_the_one = 0;
        for frame in 0..20 {
            turns.push(pending(99, frame));
            of_the_one += of(99, &next(&mut turns, 4));
        }
        assert!((2..=12).contains(&of_the_one), "{of_the_one} of 20");
    }

    #[test]
    fn a_connection_has_at_most_64_frames_in_a_batch_while_others_wait() {
        let mut turns = Turns::new(UNIT);
        for frame in 0..500 {
            turns.push(pending(1, frame));
            turns.push(stranger(2, frame));
        }
        let taken = next(&mut turns, 5_000);
        assert_eq!((of(1, &taken), of(2, &taken)), (64, 16));
        let mut alone = Turns::new(UNIT);
        for frame in 0..500 {
            alone.push(pending(1, frame));
        }
        assert_eq!(next(&mut alone, 5_000).len(), 500);
    }

    #[test]
    fn strangers_get_at_most_a_quarter_of_a_batch_while_accepted_ones_wait() {
        let mut turns = Turns::new(UNIT);
        for connection in 0..100 {
            for frame in 0..10 {
                turns.push(stranger(1_000 + connection, frame));
                turns.push(pending(2_000 + connection, frame));
            }
        }
        let taken = next(&mut turns, 400);
        let strange = taken.iter().filter(|(c, _)| *c < 2_000).count();
        assert_eq!((strange, taken.len()), (100, 400));
        let mut only = Turns::new(UNIT);
        for connection in 0..100 {
            only.push(stranger(connection, 1));
        }
        assert_eq!(next(&mut only, 80).len(), 80);
    }

    #[test]
    fn the_order_of_a_connection_stays_and_an_urgent_frame_takes_those_before_it_along() {
        let mut turns = Turns::new(UNIT);
        for connection in 1..=50 {
            for frame in 0..20 {
                turns.push(pending(connection, frame));
            }
        }
        for frame in 0..5 {
            turns.push(pending(77, frame));
        }
        turns.push(urgent(77, 5));
        turns.push(pending(77, 6));
        let taken = next(&mut turns, 20);
        let first: Vec<_> = taken.iter().take(6).copied().collect();
        assert_eq!(first, (0..6).map(|n| (77, n)).collect::<Vec<_>>());
        let mut all = taken;
        while turns.len() > 0 {
            all.extend(next(&mut turns, 20));
        }
        for connection in (1..=50).chain([77]) {
            let frames: Vec<_> = all.iter().filter(|(c, _)| *c == connection).collect();
            assert!(frames.is_sorted(), "{frames:?}");
        }
        assert_eq!(all.len(), 50 * 20 + 7);
    }

    #[test]
    fn urgent_frames_are_at_most_half_of_a_batch_and_shared_between_connections() {
        let mut turns = Turns::new(UNIT);
        for connection in 1..=1_000 {
            for frame in 0..10 {
                turns.push(urgent(connection, frame));
            }
        }
        turns.push(urgent(5_000, 1));
        for connection in 2_001..=2_100 {
            turns.push(pending(connection, 1));
        }
        let mut waited = 0;
        let mut located = 0;
        while located < 100 {
            let taken = next(&mut turns, 200);
            located += taken
                .iter()
                .filter(|(c, _)| (2_001..=2_100).contains(c))
                .count();
            waited += 1;
        }
        assert!(waited <= 30, "{waited} batches");
    }

    #[test]
    fn large_frames_have_their_cost_counted() {
        let mut turns = Turns::new(UNIT);
        for frame in 0..50 {
            let mut large = pending(1, frame);
            large.cost = 40 * UNIT;
            turns.push(large);
            turns.push(pending(2, frame));
        }
        let taken = next(&mut turns, 44);
        assert!(of(1, &taken) <= 6, "{taken:?}");
        assert!(of(2, &taken) >= 36, "{taken:?}");
    }

    #[test]
    fn a_connection_that_logs_in_has_the_turns_of_accepted_ones_from_then_on() {
        let mut turns = Turns::new(UNIT);
        turns.push(stranger(1, 1));
        turns.push(pending(1, 2));
        turns.push(pending(1, 3));
        assert_eq!(turns.strange, 0);
        assert_eq!(next(&mut turns, 10), [(1, 1), (1, 2), (1, 3)]);
        assert_eq!(turns.len(), 0);
        assert!(next(&mut turns, 10).is_empty());
        assert!(turns.lines.is_empty() && turns.busy == 0);
    }
}
