//! Which zone a device's clock is in, found by comparing live packets with their arrival.
//!
//! The standard wants UTC, and some firmware sends local time. A steady difference near a multiple
//! of a quarter of an hour is the zone; a buffer that is sent late is never steady for minutes.

const STEP_S: i64 = 15 * 60;
/// Transport, buffering, a slow clock.
const TOLERANCE_S: i64 = 120;
/// The zones of the world, −12 to +14 hours.
const STEPS: core::ops::RangeInclusive<i64> = -48..=56;
/// So many packets in a row must agree, over so long a time by both clocks.
const PACKETS: u8 = 5;
const SPAN_S: i64 = 120;

/// Watches the live packets of one connection.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ClockWatch {
    run: Option<Run>,
}

#[derive(Debug, Clone, Copy)]
struct Run {
    step: i64,
    packets: u8,
    arrived: i64,
    sent: i64,
}

impl ClockWatch {
    /// Takes notice of a live packet's time. The zone in minutes, once enough packets agree.
    pub(crate) fn observe(&mut self, sent: i64, now: i64) -> Option<i16> {
        let difference = sent.checked_sub(now)?;
        let step = (difference + STEP_S / 2).div_euclid(STEP_S);
        let off = difference - step * STEP_S;
        if off.abs() > TOLERANCE_S || !STEPS.contains(&step) {
            self.run = None;
            return None;
        }
        let run = match &mut self.run {
            Some(run) if run.step == step => {
                run.packets = run.packets.saturating_add(1);
                run
            }
            run => run.insert(Run {
                step,
                packets: 1,
                arrived: now,
                sent,
            }),
        };
        let is_steady = run.packets >= PACKETS
            && now.saturating_sub(run.arrived) >= SPAN_S
            && sent.saturating_sub(run.sent) >= SPAN_S / 2;
        is_steady.then(|| i16::try_from(step * STEP_S / 60).ok())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_763_622_000;

    #[test]
    fn a_steady_lead_is_the_zone_and_a_buffer_is_none() {
        let watch = |sent: &dyn Fn(i64) -> i64, arrives: &dyn Fn(i64) -> i64| {
            let mut watch = ClockWatch::default();
            (0..10)
                .filter_map(|i| watch.observe(NOW + sent(i), NOW + arrives(i)))
                .last()
        };
        assert_eq!(watch(&|i| i * 30 + 19_800, &|i| i * 30 + 3), Some(330));
        assert_eq!(watch(&|i| i * 30, &|i| i * 30 + 3), Some(0));
        // Sent at once, from a buffer.
        assert_eq!(watch(&|i| i * 30 - 3_600, &|i| i), None);
        // A clock that stands still.
        assert_eq!(watch(&|_| 19_800, &|i| i * 30), None);
    }
}
