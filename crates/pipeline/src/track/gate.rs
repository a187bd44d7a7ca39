//! Whether the reported speed agrees with the displacements.

/// Learns per device whether speed and course can be believed: a speed that is stuck at 0 or sent
/// in a wrong unit contradicts the way between the fixes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct SpeedGate {
    /// Running share of tests that contradict.
    pub(crate) share: f32,
    /// Number of tests, up to [`SpeedGate::LEARNED`].
    pub(crate) tests: u8,
    /// Whether the reported speed is ignored.
    pub(crate) closed: bool,
}

impl SpeedGate {
    /// After so many tests the share becomes a running one.
    const LEARNED: u8 = 16;

    /// Whether displacements have confirmed the speed several times.
    pub(crate) fn proven(&self) -> bool {
        self.tests >= 5 && self.share < 0.25
    }

    /// One test. `moved` is the displacement, `promised` what the mean of both reported velocities
    /// gives, `sigma` the standard deviation of their difference.
    pub(crate) fn test(
        &mut self,
        moved: (f64, f64),
        promised: (f64, f64),
        sigma: f64,
        loops: bool,
    ) {
        let size = moved.0.hypot(moved.1).max(promised.0.hypot(promised.1));
        // A short way says nothing.
        if size < 4.0 * sigma {
            return;
        }
        let off = (moved.0 - promised.0).hypot(moved.1 - promised.1);
        let shorter = moved.0.hypot(moved.1) < promised.0.hypot(promised.1);
        let contradicts = off > 0.2 * size + 2.0 * sigma && !(loops && shorter);
        self.tests = (self.tests + 1).min(Self::LEARNED);
        let weight = 1.0 / f32::from(self.tests);
        self.share += (f32::from(u8::from(contradicts)) - self.share) * weight;
        self.closed = if self.closed {
            self.share > 0.4
        } else {
            self.share > 0.5
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_that_is_stuck_at_zero_closes_the_gate_and_a_right_one_opens_it() {
        let mut gate = SpeedGate::default();
        gate.test((0.0, 140.0), (0.0, 0.0), 8.0, true);
        assert!(gate.closed);
        for _ in 0..60 {
            gate.test((0.0, 140.0), (0.0, 138.0), 8.0, true);
        }
        assert!(!gate.closed && gate.proven());
    }

    #[test]
    fn knots_taken_for_kilometres_contradict_and_a_short_way_says_nothing() {
        let mut gate = SpeedGate::default();
        gate.test((0.0, 1.0), (0.0, 0.0), 8.0, false);
        assert_eq!(gate, SpeedGate::default());
        gate.test((0.0, 14.0), (0.0, 7.5), 1.0, false);
        assert!(gate.closed);
    }

    #[test]
    fn a_way_shorter_than_promised_is_a_loop_at_long_intervals() {
        let mut gate = SpeedGate::default();
        gate.test((0.0, 20.0), (0.0, 140.0), 8.0, true);
        assert!(!gate.closed);
        gate.test((0.0, 20.0), (0.0, 140.0), 8.0, false);
        assert!(gate.tests == 2 && gate.share > 0.4);
    }
}
