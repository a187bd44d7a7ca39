//! Which zone a device's clock is in, worked out from when its live frames arrive.
//!
//! Some firmware sends local time in messages whose zone no manual states, other firmware of the
//! same model sends UTC, and the zone that a login names need not be that of its times. What does
//! not lie is the arrival: a steady difference near a multiple of 15 minutes is the offset.
//! (Device clocks are set by satellites; transport takes seconds.)

use crate::field::DateTime;

/// Zones are multiples of this.
const STEP_S: i64 = 15 * 60;
/// How far from a multiple a difference may be: transport, buffering, a slow clock.
const TOLERANCE_S: i64 = 120;
/// The zones of the world reach from −12 to +14 hours.
const STEPS: core::ops::RangeInclusive<i64> = -12 * 4..=14 * 4;
/// How many frames must agree in a row …
const FRAMES: u8 = 5;
/// … over how long by our clock, and by the device's. A buffer is uploaded faster than that, and
/// a clock that has stopped does not advance.
const SPAN_S: i64 = 120;

/// Watches one connection's frames for a steady offset.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct OffsetWatch {
    run: Option<Run>,
}

/// Frames in a row with the same offset.
#[derive(Debug, Clone, Copy)]
struct Run {
    step: i64,
    frames: u8,
    first_arrival: i64,
    first_sent: i64,
}

impl OffsetWatch {
    /// Takes notice of a frame's time. `live` is how the frame is marked: stored ones teach
    /// nothing. The offset in minutes east of Greenwich, once enough frames agree.
    pub(crate) fn observe(
        &mut self,
        time: DateTime,
        live: Option<bool>,
        unix_now: i64,
    ) -> Option<i16> {
        if live == Some(false) {
            return None;
        }
        let sent = i64::from(time.to_unix()?);
        let difference = sent.checked_sub(unix_now)?;
        let step = difference.checked_add(STEP_S / 2)?.div_euclid(STEP_S);
        let off = difference.checked_sub(step.checked_mul(STEP_S)?)?;
        if off.abs() > TOLERANCE_S || !STEPS.contains(&step) {
            self.run = None;
            return None;
        }
        let run = match &mut self.run {
            Some(run) if run.step == step => {
                run.frames = run.frames.saturating_add(1);
                run
            }
            run => run.insert(Run {
                step,
                frames: 1,
                first_arrival: unix_now,
                first_sent: sent,
            }),
        };
        let steady = run.frames >= FRAMES
            && unix_now.saturating_sub(run.first_arrival) >= SPAN_S
            && sent.saturating_sub(run.first_sent) >= SPAN_S / 2;
        steady.then(|| i16::try_from(run.step.saturating_mul(STEP_S / 60)).ok())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_763_622_000;

    fn at(unix: i64) -> DateTime {
        DateTime::from_unix(unix).unwrap()
    }

    /// What is found when frame `i` is sent with `sent(i)` on its clock and arrives at `arrives(i)`.
    fn watch(
        frames: i64,
        live: Option<bool>,
        sent: impl Fn(i64) -> i64,
        arrives: impl Fn(i64) -> i64,
    ) -> Option<i16> {
        let mut watch = OffsetWatch::default();
        (0..frames)
            .filter_map(|i| watch.observe(at(NOW + sent(i)), live, NOW + arrives(i)))
            .last()
    }

    #[test]
    fn a_steady_difference_is_the_offset_whatever_its_sign() {
        for minutes in [0, 480, -240, 345, -570, 840] {
            for live in [Some(true), None] {
                let found = watch(
                    10,
                    live,
                    |i| i * 30 + i64::from(minutes) * 60,
                    |i| i * 30 + 4 + i % 3,
                );
                assert_eq!(found, Some(minutes), "{minutes} {live:?}");
            }
        }
    }

    #[test]
    fn stored_frames_teach_nothing() {
        assert_eq!(
            watch(50, Some(false), |i| i * 30 + 28_800, |i| i * 30),
            None
        );
        // A buffer of an hour, uploaded in ten seconds, by a message without a flag.
        assert_eq!(watch(120, None, |i| i * 30 - 3_600, |i| i / 12), None);
    }

    #[test]
    fn a_clock_that_does_not_advance_or_is_wrong_has_no_zone() {
        assert_eq!(
            watch(100, Some(true), |_| 28_800, |i| i * 5),
            None,
            "the clock does not advance"
        );
        assert_eq!(
            watch(100, Some(true), |i| i * 30 + 28_800 + 400, |i| i * 30),
            None,
            "400 s off"
        );
        assert_eq!(
            watch(100, Some(true), |i| i * 30 + 86_400, |i| i * 30),
            None,
            "a day off"
        );
    }

    #[test]
    fn too_few_frames_or_too_short_a_time_are_not_enough() {
        assert_eq!(watch(4, Some(true), |i| i * 60 + 28_800, |i| i * 60), None);
        assert_eq!(watch(11, Some(true), |i| i * 10 + 28_800, |i| i * 10), None);
        assert_eq!(
            watch(13, Some(true), |i| i * 10 + 28_800, |i| i * 10),
            Some(480)
        );
    }

    #[test]
    fn a_changed_offset_is_found_again() {
        let summer = |i: i64| i * 30 + if i < 20 { 3_600 } else { 7_200 };
        assert_eq!(watch(30, Some(true), summer, |i| i * 30), Some(120));
    }
}
