//! Which trouble codes are active, so that each change becomes an event once.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// Active codes by control unit.
///
/// A code is a number without its occurrence count ([`super::Dtc::number`], or the two bytes of
/// an OBD-II code). At most [`Tracker::MAX_CODES`] are kept in all; further ones raise no event.
#[derive(Debug, Clone, Default)]
pub struct Tracker {
    active: BTreeMap<u32, BTreeSet<u32>>,
    codes: usize,
}

/// What changed with one message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Codes that were not active before.
    pub raised: Vec<u32>,
    /// Codes that are no longer active.
    pub cleared: Vec<u32>,
}

impl Changes {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.raised.is_empty() && self.cleared.is_empty()
    }
}

impl Tracker {
    /// How many active codes of all control units are kept.
    pub const MAX_CODES: usize = 4096;

    /// Nothing is known yet: the first list of a unit raises all its codes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the complete list of active codes of a control unit.
    pub fn update(&mut self, unit: u32, codes: impl IntoIterator<Item = u32>) -> Changes {
        let now: BTreeSet<u32> = codes.into_iter().collect();
        let before = self.active.remove(&unit).unwrap_or_default();
        self.codes = self.codes.saturating_sub(before.len());
        let cleared: Vec<u32> = before.difference(&now).copied().collect();
        let room = Self::MAX_CODES.saturating_sub(self.codes);
        let kept: BTreeSet<u32> = now.into_iter().take(room).collect();
        let raised = kept.difference(&before).copied().collect();
        self.codes = self.codes.saturating_add(kept.len());
        if !kept.is_empty() {
            self.active.insert(unit, kept);
        }
        Changes { raised, cleared }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_an_event_once() {
        let mut tracker = Tracker::new();
        assert_eq!(tracker.update(0, [5, 6]).raised, [5, 6]);
        assert!(tracker.update(0, [6, 5]).is_empty());
        let changes = tracker.update(0, [6, 7]);
        assert_eq!(
            (changes.raised, changes.cleared),
            (Vec::from([7]), Vec::from([5]))
        );
        // Another unit has its own list.
        assert_eq!(tracker.update(1, [6]).raised, [6]);
        assert_eq!(tracker.update(0, []).cleared, [6, 7]);
        assert!(tracker.update(0, []).is_empty());
    }

    #[test]
    fn the_number_of_codes_is_bounded() {
        let mut tracker = Tracker::new();
        for unit in 0..300 {
            tracker.update(unit, 0..450);
        }
        assert!(tracker.codes <= Tracker::MAX_CODES);
        assert!(tracker.update(999, [1]).is_empty());
    }
}
