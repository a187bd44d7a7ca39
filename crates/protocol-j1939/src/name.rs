//! The 64-bit NAME of a control unit, and who holds which address when.
//!
//! | bits (0 is the lowest) | field | bits | field |
//! |---|---|---|---|
//! | 0..20 | identity number | 48 | reserved |
//! | 21..31 | manufacturer code | 49..55 | vehicle system |
//! | 32..34 | ECU instance | 56..59 | vehicle system instance |
//! | 35..39 | function instance | 60..62 | industry group |
//! | 40..47 | function | 63 | arbitrary address capable |
//!
//! Every code is a value; all ones does not mean "not available" in a NAME.
//! Source: SAE J1939-81, section 4.1.1.

use alloc::collections::{BTreeMap, VecDeque};
use core::fmt;

use crate::can::CanTime;
use crate::id::NULL_ADDRESS;

/// A NAME. The numerically lower one wins an address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(pub u64);

impl Name {
    /// From the eight bytes of an address claim, low byte first.
    #[must_use]
    pub const fn from_le_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_le_bytes(bytes))
    }

    const fn field(self, shift: u32, bits: u32) -> u64 {
        (self.0 >> shift) & ((1 << bits) - 1)
    }

    fn byte(self, shift: u32, bits: u32) -> u8 {
        u8::try_from(self.field(shift, bits)).unwrap_or(u8::MAX)
    }

    /// Identity number, 21 bits.
    #[must_use]
    pub fn identity_number(self) -> u32 {
        u32::try_from(self.field(0, 21)).unwrap_or(u32::MAX)
    }

    /// Manufacturer code, 11 bits.
    #[must_use]
    pub fn manufacturer_code(self) -> u16 {
        u16::try_from(self.field(21, 11)).unwrap_or(u16::MAX)
    }

    /// ECU instance, 3 bits.
    #[must_use]
    pub fn ecu_instance(self) -> u8 {
        self.byte(32, 3)
    }

    /// Function instance, 5 bits.
    #[must_use]
    pub fn function_instance(self) -> u8 {
        self.byte(35, 5)
    }

    /// Function.
    #[must_use]
    pub fn function(self) -> u8 {
        self.byte(40, 8)
    }

    /// The reserved bit.
    #[must_use]
    pub const fn reserved(self) -> bool {
        self.field(48, 1) == 1
    }

    /// Vehicle system, 7 bits.
    #[must_use]
    pub fn vehicle_system(self) -> u8 {
        self.byte(49, 7)
    }

    /// Vehicle system instance, 4 bits.
    #[must_use]
    pub fn vehicle_system_instance(self) -> u8 {
        self.byte(56, 4)
    }

    /// Industry group, 3 bits.
    #[must_use]
    pub fn industry_group(self) -> u8 {
        self.byte(60, 3)
    }

    /// Whether the unit can choose another address when it loses one.
    #[must_use]
    pub const fn is_arbitrary_address_capable(self) -> bool {
        self.field(63, 1) == 1
    }
}

/// Sixteen upper-case hexadecimal digits, highest first.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One period in which a NAME held an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tenure {
    /// The address.
    pub address: u8,
    /// Who held it.
    pub name: Name,
    /// First claim.
    pub from: CanTime,
    /// When another NAME claimed it, or the holder gave it up; `None` while it holds.
    pub until: Option<CanTime>,
}

/// Which NAME held which address when, on one bus.
///
/// Keeps the current holders (at most 254) and the last [`AddressBook::HISTORY`] ended tenures.
#[derive(Debug, Clone, Default)]
pub struct AddressBook {
    holders: BTreeMap<u8, (Name, CanTime)>,
    ended: VecDeque<Tenure>,
}

/// What an address claim changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClaimOutcome {
    /// The address had no known holder.
    New,
    /// The holder repeated its claim.
    Repeated,
    /// Another unit holds the address from now on.
    Replaced {
        /// The former holder.
        former: Name,
    },
    /// The claim lost against a lower NAME: the holder stays.
    Lost {
        /// The holder.
        holder: Name,
    },
    /// The unit states that it could not claim an address.
    CannotClaim,
}

impl AddressBook {
    /// How many ended tenures are kept; the oldest is dropped first.
    pub const HISTORY: usize = 256;
    /// After this time a holder that repeats nothing may be replaced by a higher NAME: the unit
    /// may have been exchanged while nobody listened. (250 ms is the contention time of
    /// J1939-81.)
    const CONTENTION_MICROS: u64 = 250_000;

    /// An empty book.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes note of a claim.
    pub fn claim(&mut self, address: u8, name: Name, at: CanTime) -> ClaimOutcome {
        // A unit that moves gives up its former address.
        let former: Option<u8> = self
            .holders
            .iter()
            .find(|(held, (holder, _))| *holder == name && **held != address)
            .map(|(held, _)| *held);
        if let Some(former) = former {
            self.end(former, at);
        }
        if address >= NULL_ADDRESS {
            return ClaimOutcome::CannotClaim;
        }
        match self.holders.get(&address).copied() {
            None => {
                self.holders.insert(address, (name, at));
                ClaimOutcome::New
            }
            Some((holder, _)) if holder == name => ClaimOutcome::Repeated,
            Some((holder, since))
                if holder < name && at.micros_since(since) < Self::CONTENTION_MICROS =>
            {
                ClaimOutcome::Lost { holder }
            }
            Some((former, _)) => {
                self.end(address, at);
                self.holders.insert(address, (name, at));
                ClaimOutcome::Replaced { former }
            }
        }
    }

    fn end(&mut self, address: u8, at: CanTime) {
        if let Some((name, from)) = self.holders.remove(&address) {
            if self.ended.len() >= Self::HISTORY {
                self.ended.pop_front();
            }
            self.ended.push_back(Tenure {
                address,
                name,
                from,
                until: Some(at),
            });
        }
    }

    /// Who holds an address now.
    #[must_use]
    pub fn holder(&self, address: u8) -> Option<Name> {
        self.holders.get(&address).map(|(name, _)| *name)
    }

    /// Who held an address at a time.
    #[must_use]
    pub fn holder_at(&self, address: u8, at: CanTime) -> Option<Name> {
        self.history(address)
            .find(|t| t.from <= at && t.until.is_none_or(|until| at < until))
            .map(|t| t.name)
    }

    /// The tenures of an address, oldest first, the current one last.
    pub fn history(&self, address: u8) -> impl Iterator<Item = Tenure> {
        let current = self.holders.get(&address).map(|(name, from)| Tenure {
            address,
            name: *name,
            from: *from,
            until: None,
        });
        self.ended
            .iter()
            .filter(move |t| t.address == address)
            .copied()
            .chain(current)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Name = Name(10);
    const B: Name = Name(20);

    #[test]
    fn the_history_tells_who_held_an_address_when() {
        let mut book = AddressBook::new();
        assert_eq!(book.claim(3, B, CanTime(1_000)), ClaimOutcome::New);
        assert_eq!(book.claim(3, B, CanTime(2_000)), ClaimOutcome::Repeated);
        assert_eq!(
            book.claim(3, A, CanTime(3_000)),
            ClaimOutcome::Replaced { former: B }
        );
        assert_eq!(book.holder_at(3, CanTime(500)), None);
        assert_eq!(book.holder_at(3, CanTime(2_999)), Some(B));
        assert_eq!(book.holder_at(3, CanTime(3_000)), Some(A));
        assert_eq!(book.holder(3), Some(A));
    }

    #[test]
    fn the_lower_name_keeps_the_address_in_contention() {
        let mut book = AddressBook::new();
        book.claim(3, A, CanTime(0));
        assert_eq!(
            book.claim(3, B, CanTime(100_000)),
            ClaimOutcome::Lost { holder: A }
        );
        assert_eq!(book.holder(3), Some(A));
        // Much later it is another unit in the same place.
        assert_eq!(
            book.claim(3, B, CanTime(900_000)),
            ClaimOutcome::Replaced { former: A }
        );
    }

    #[test]
    fn a_unit_that_moves_or_cannot_claim_gives_up_its_address() {
        let mut book = AddressBook::new();
        book.claim(3, A, CanTime(0));
        book.claim(4, A, CanTime(10));
        assert_eq!((book.holder(3), book.holder(4)), (None, Some(A)));
        assert_eq!(
            book.claim(NULL_ADDRESS, A, CanTime(20)),
            ClaimOutcome::CannotClaim
        );
        assert_eq!(book.holder(4), None);
        assert_eq!(book.history(3).count(), 1);
    }

    #[test]
    fn the_history_is_bounded() {
        let mut book = AddressBook::new();
        for n in 0..10_000u64 {
            book.claim(7, Name(n), CanTime(n * 1_000_000));
        }
        assert_eq!(book.history(7).count(), AddressBook::HISTORY + 1);
    }
}
