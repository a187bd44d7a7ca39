//! CS2: course and status bits.
//!
//! | bit | meaning |
//! |---|---|
//! | 9–0 | course, degrees clockwise from north |
//! | 10 | 1 north, 0 south |
//! | 11 | 1 west, 0 east |
//! | 12 | 1 positioned |
//! | 13 | 0 real-time, 1 differential; many clones keep it 1 |
//! | 14 | 1: bit 15 carries ACC |
//! | 15 | ACC on; some 4G models fill it and leave bit 14 at 0 |
//!
//! Bits 0 to 13: Concox GT06 manual; 14 and 15: added by makers, seen on devices.

use alloc::format;
use alloc::string::String;

/// Course and status as sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct CourseStatus(pub u16);

impl CourseStatus {
    /// The bits of a valid real-time fix. The course is taken modulo 1024.
    #[must_use]
    pub const fn new(course: u16, north: bool, west: bool, positioned: bool) -> Self {
        let north = (north as u16) << 10;
        let west = (west as u16) << 11;
        let positioned = (positioned as u16) << 12;
        Self(course & 0x3ff | north | west | positioned)
    }

    /// The ten bits of the course, degrees when no more than 360.
    #[inline]
    #[must_use]
    pub const fn raw_course(self) -> u16 {
        self.0 & 0x3ff
    }

    /// Northern hemisphere.
    #[inline]
    #[must_use]
    pub const fn is_north(self) -> bool {
        self.0 & 1 << 10 != 0
    }

    /// Western hemisphere.
    #[inline]
    #[must_use]
    pub const fn is_west(self) -> bool {
        self.0 & 1 << 11 != 0
    }

    /// The receiver has a fix.
    #[inline]
    #[must_use]
    pub const fn is_positioned(self) -> bool {
        self.0 & 1 << 12 != 0
    }

    /// Differential, or not real-time.
    #[inline]
    #[must_use]
    pub const fn is_differential(self) -> bool {
        self.0 & 1 << 13 != 0
    }

    /// The ignition, where these bits report it: bit 14 set, or bit 15 set. Never "off" from 00.
    #[inline]
    #[must_use]
    pub const fn ignition(self) -> Option<bool> {
        match self.0 >> 14 {
            0b00 => None,
            0b01 => Some(false),
            _ => Some(true),
        }
    }

    /// The bits that belong to the position: hemispheres and validity.
    #[cfg(feature = "telemetry")]
    #[inline]
    #[must_use]
    pub(crate) const fn hemispheres(self) -> u8 {
        (self.0 >> 8).to_be_bytes()[1] & 0b1_1100
    }

    pub(crate) fn describe(self) -> String {
        format!(
            "course {}°, {}, {}, {}, {}{}",
            self.raw_course(),
            if self.is_north() { "north" } else { "south" },
            if self.is_west() { "west" } else { "east" },
            if self.is_positioned() {
                "positioned"
            } else {
                "no fix"
            },
            if self.is_differential() {
                "differential"
            } else {
                "real-time"
            },
            match self.ignition() {
                None => "",
                Some(true) => ", ignition on",
                Some(false) => ", ignition off",
            }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worked_examples() {
        let cs = CourseStatus(0x154c);
        assert_eq!((cs.raw_course(), cs.ignition()), (332, None));
        assert!(cs.is_north() && !cs.is_west() && cs.is_positioned() && !cs.is_differential());
        assert_eq!(CourseStatus(0x5561).ignition(), Some(false));
        assert_eq!(CourseStatus(0x5561).raw_course(), 353);
        assert_eq!(CourseStatus(0xd54f).ignition(), Some(true));
        assert_eq!(CourseStatus(0xd54f).raw_course(), 335);
        assert_eq!(CourseStatus::new(332, true, false, true), cs);
    }

    #[test]
    fn bit_15_alone_means_on_and_none_means_unknown() {
        assert_eq!(CourseStatus(0x9400).ignition(), Some(true));
        assert_eq!(CourseStatus(0x1400).ignition(), None);
    }
}
