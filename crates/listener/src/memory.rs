//! The memory of all connections together: what it may be, and who gives way when it is used up.
//!
//! Two pools. Frames in flight (and frames that a session holds) take permits of the first: when
//! it is used up, connections are not read. Partial frames and uploads take permits of the second:
//! when it is used up, the connection that has most of it gives way.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use milepost_telemetry::Envelope;

use crate::connections::{Link, Signal};

/// What an envelope in flight takes beside itself: its future and its entries in lists.
const PER_DELIVERY: usize = 768;

const MIB: usize = 1_024 * 1_024;

/// A bound on the memory that all connections take together. Cheap to clone; all clones are one,
/// so that several servers can share it.
///
/// | part of it | used for | at the bound |
/// |---|---|---|
/// | two thirds | frames in flight, frames that sessions hold, replies that wait for them | a connection with [`SHARE`](Self::SHARE) frames in flight is not read until one of them is resolved |
/// | 5 % of that | urgent frames, and those of their connection before them | as above |
/// | one third | partial frames and uploads | the largest holder gives up an upload, or is closed |
/// | a quarter of that | of these, before an accepted login | the same, among these connections |
///
/// Each connection may have [`SHARE`](Self::SHARE) frames in flight whatever others take, so that
/// logins and heartbeats are answered. No connection that has less than
/// [`NEVER_BELOW`](Self::NEVER_BELOW) bytes of partial frames and uploads is closed for them.
#[derive(Debug, Clone)]
pub struct MemoryBudget {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    in_flight_limit: usize,
    in_flight: AtomicUsize,
    partial_limit: usize,
    stranger_limit: usize,
    /// Bytes of partial frames and uploads of connections with an accepted login, and without.
    partial: [AtomicUsize; 2],
    holders: Mutex<Holders>,
}

/// Connections that have enough of the second pool to be worth closing.
#[derive(Debug, Default)]
struct Holders {
    /// By size, for connections with an accepted login and without.
    by_size: [BTreeMap<(usize, u64), Arc<Link>>; 2],
    /// Those that were asked to give way and have not yet.
    asked: HashMap<u64, (usize, Class)>,
    /// The bytes that these will give back.
    expected: [usize; 2],
}

/// Whose partial frames they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Accepted = 0,
    Stranger = 1,
}

impl Default for MemoryBudget {
    fn default() -> Self {
        Self::new(192 * MIB)
    }
}

impl MemoryBudget {
    /// What a connection may always have in flight: its login, and a heartbeat after it.
    pub const SHARE: usize = 2;
    /// Partial frames and uploads of this size never cost a connection.
    pub const NEVER_BELOW: usize = 4 * 1_024;

    /// A budget of about so many bytes ([`Envelope::footprint`]).
    pub fn new(bytes: usize) -> Self {
        let partial_limit = bytes / 3;
        Self {
            inner: Arc::new(Inner {
                in_flight_limit: bytes.saturating_sub(partial_limit),
                in_flight: AtomicUsize::new(0),
                partial_limit,
                stranger_limit: partial_limit / 4,
                partial: [AtomicUsize::new(0), AtomicUsize::new(0)],
                holders: Mutex::default(),
            }),
        }
    }

    /// About how many bytes frames in flight and held frames take.
    pub fn in_flight(&self) -> usize {
        self.inner.in_flight.load(Ordering::Relaxed)
    }

    /// How many bytes partial frames and uploads take.
    pub fn partial(&self) -> usize {
        self.partial_of(Class::Accepted)
            .saturating_add(self.partial_of(Class::Stranger))
    }

    /// Whether frames that are not urgent have to wait.
    pub fn is_full(&self) -> bool {
        self.in_flight() >= self.inner.in_flight_limit / 20 * 19
    }

    /// Whether urgent frames have to wait too.
    pub fn is_full_for_urgent(&self) -> bool {
        self.in_flight() >= self.inner.in_flight_limit
    }

    /// Takes what an envelope and its replies need, whether it is there or not: the caller has
    /// looked before, at the reserve for urgent frames if `reserve`.
    pub(crate) fn take(&self, envelope: &Envelope, replies: usize, reserve: bool) -> Permit {
        let bytes = envelope
            .footprint()
            .saturating_add(PER_DELIVERY)
            .saturating_add(replies);
        let mut permit = self.permit();
        permit.beyond = if reserve {
            self.is_full_for_urgent()
        } else {
            self.is_full()
        };
        permit.grow(bytes);
        permit
    }

    /// A permit for nothing yet.
    pub(crate) fn permit(&self) -> Permit {
        Permit {
            budget: self.clone(),
            bytes: 0,
            beyond: false,
        }
    }

    fn partial_of(&self, class: Class) -> usize {
        self.inner.partial[class as usize].load(Ordering::Relaxed)
    }

    fn holders(&self) -> MutexGuard<'_, Holders> {
        self.inner
            .holders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self, expected: [usize; 2]) -> Option<Class> {
        let strangers = self
            .partial_of(Class::Stranger)
            .saturating_sub(expected[Class::Stranger as usize]);
        if strangers > self.inner.stranger_limit {
            return Some(Class::Stranger);
        }
        let accepted = self
            .partial_of(Class::Accepted)
            .saturating_sub(expected[Class::Accepted as usize]);
        (strangers.saturating_add(accepted) > self.inner.partial_limit).then_some(Class::Accepted)
    }

    /// Asks the largest holders to give way, strangers first, until what is left is within bounds.
    fn relieve(&self) {
        if self.is_over([0, 0]).is_none() {
            return;
        }
        let mut holders = self.holders();
        while let Some(over) = self.is_over(holders.expected) {
            let mut largest = holders.by_size[Class::Stranger as usize]
                .pop_last()
                .map(|holder| (holder, Class::Stranger));
            if largest.is_none() && over == Class::Accepted {
                largest = holders.by_size[Class::Accepted as usize]
                    .pop_last()
                    .map(|holder| (holder, Class::Accepted));
            }
            let Some((((bytes, id), link), class)) = largest else {
                return;
            };
            holders.asked.insert(id, (bytes, class));
            let expected = &mut holders.expected[class as usize];
            *expected = expected.saturating_add(bytes);
            link.signal(Signal::GiveWay);
        }
    }
}

impl Holders {
    fn remove(&mut self, bytes: usize, id: u64, class: Class) {
        self.by_size[class as usize].remove(&(bytes, id));
        if let Some((bytes, class)) = self.asked.remove(&id) {
            let expected = &mut self.expected[class as usize];
            *expected = expected.saturating_sub(bytes);
        }
    }
}

/// What frames in flight or held frames take of the budget, until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    budget: MemoryBudget,
    bytes: usize,
    beyond: bool,
}

impl Permit {
    /// Whether the budget was used up already when this was taken, and still is.
    pub(crate) fn is_beyond(&self) -> bool {
        self.beyond && self.budget.is_full()
    }

    pub(crate) fn grow(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.budget
            .inner
            .in_flight
            .fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.budget
            .inner
            .in_flight
            .fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

/// What a connection's partial frames and uploads take of the budget. Its owner sets it to 0 at the end.
#[derive(Debug)]
pub(crate) struct PartialPermit {
    bytes: usize,
    class: Class,
    listed: bool,
}

impl PartialPermit {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: 0,
            class: Class::Stranger,
            listed: false,
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Notes what is held now. If that is too much for all together, the largest holders are
    /// asked to give way; this connection may be among them.
    pub(crate) fn set(
        &mut self,
        budget: &MemoryBudget,
        link: &Arc<Link>,
        bytes: usize,
        class: Class,
    ) {
        if bytes == self.bytes && class == self.class {
            return;
        }
        let pools = &budget.inner.partial;
        pools[class as usize].fetch_add(bytes, Ordering::Relaxed);
        pools[self.class as usize].fetch_sub(self.bytes, Ordering::Relaxed);
        let list = bytes >= MemoryBudget::NEVER_BELOW;
        if list || self.listed {
            let mut holders = budget.holders();
            holders.remove(self.bytes, link.id, self.class);
            if list {
                holders.by_size[class as usize].insert((bytes, link.id), Arc::clone(link));
            }
        }
        let grown = bytes > self.bytes || class != self.class;
        (self.bytes, self.class, self.listed) = (bytes, class, list);
        if grown {
            budget.relieve();
        }
    }
}

#[cfg(test)]
mod tests {
    use milepost_telemetry::{Name, Timestamp};

    use super::*;
    use crate::Connections;

    fn link() -> Arc<Link> {
        let connections = Connections::default();
        let entry = connections.open(1, Name::new("test"), true, None, Timestamp::UNIX_EPOCH);
        Arc::clone(entry.link())
    }

    fn asked(link: &Link) -> bool {
        link.take_signals()
            .is_some_and(|signals| signals.has(Signal::GiveWay))
    }

    #[test]
    fn of_partial_frames_the_largest_gives_way_and_strangers_first() {
        let budget = MemoryBudget::new(12 * MIB);
        // 4 MiB for all, 1 MiB of them for strangers.
        let (device, small, large) = (link(), link(), link());
        let mut of = [
            PartialPermit::new(),
            PartialPermit::new(),
            PartialPermit::new(),
        ];
        of[0].set(&budget, &device, 3 * MIB, Class::Accepted);
        of[1].set(&budget, &small, 300_000, Class::Stranger);
        of[2].set(&budget, &large, 600_000, Class::Stranger);
        assert!(!asked(&device) && !asked(&small) && !asked(&large));
        of[1].set(&budget, &small, 500_000, Class::Stranger);
        assert!(!asked(&device) && !asked(&small) && asked(&large));
        // Nobody else is asked while that one has not answered.
        of[1].set(&budget, &small, 510_000, Class::Stranger);
        assert!(!asked(&small));
        of[2].set(&budget, &large, 0, Class::Stranger);
        assert_eq!(budget.partial(), 3 * MIB + 510_000);

        // Too much for all: a stranger goes though it is the smaller one.
        of[0].set(&budget, &device, 4 * MIB, Class::Accepted);
        assert!(asked(&small) && !asked(&device));
        of[1].set(&budget, &small, 0, Class::Stranger);
        of[0].set(&budget, &device, 5 * MIB, Class::Accepted);
        assert!(asked(&device));
    }

    #[test]
    fn nobody_is_closed_for_a_few_bytes() {
        let budget = MemoryBudget::new(12 * 1_024);
        let links: Vec<_> = std::iter::repeat_with(link).take(10).collect();
        let mut permits: Vec<_> = links.iter().map(|_| PartialPermit::new()).collect();
        for (permit, link) in permits.iter_mut().zip(&links) {
            permit.set(
                &budget,
                link,
                MemoryBudget::NEVER_BELOW - 1,
                Class::Stranger,
            );
        }
        assert!(links.iter().all(|link| !asked(link)));
    }

    #[test]
    fn five_percent_of_the_frames_in_flight_are_for_urgent_ones() {
        let budget = MemoryBudget::new(300_000);
        let mut permit = budget.permit();
        permit.grow(189_999);
        assert!(!budget.is_full());
        permit.grow(1);
        assert!(budget.is_full() && !budget.is_full_for_urgent());
        permit.grow(10_000);
        assert!(budget.is_full_for_urgent());
        drop(permit);
        assert_eq!(budget.in_flight(), 0);
    }
}
