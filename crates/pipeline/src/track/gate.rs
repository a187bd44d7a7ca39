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
