//! Repeats of what is known to be durable go no further.

use milepost_telemetry::{Report, ReportId};

use super::{CopyOnWrite, Flow, Stage, StageContext};

/// Remembers the last ids of each device.
///
/// The window is a short cut, not the judge: the store's unique id is. An id enters a lane's
/// committed state only with the batch that made it durable, so the window holds nothing that
/// could still fail; within a batch, a repeat shares the fate of the first.
///
/// It is kept over a restart: the stages after it see a repeat or not depending on the window, and a
/// log that is read again has to leave the same states.
#[derive(Debug, Default)]
pub struct Dedup;

/// How many ids are remembered per device: a device that missed an answer repeats its last few.
const WINDOW: usize = 16;

/// The last ids of one device, as a ring.
#[derive(Debug, Clone, Default)]
pub struct Window {
    ids: [Option<ReportId>; WINDOW],
    next: usize,
}

impl Stage for Dedup {
    type State = Window;
    const NAME: &'static str = "dedup";
    const VERSION: u32 = 1;

    fn apply(
        &self,
        window: &mut CopyOnWrite<Window>,
        report: &mut Report,
        _: &mut StageContext<'_>,
    ) -> Flow {
        if window.ids.contains(&Some(report.id)) {
            return Flow::Duplicate;
        }
        let window = &mut **window;
        if let Some(slot) = window.ids.get_mut(window.next) {
            *slot = Some(report.id);
        }
        window.next = (window.next + 1) % WINDOW;
        Flow::Pass
    }

    /// The ids, the oldest first.
    fn snapshot(window: &Window, out: &mut Vec<u8>) {
        let (young, old) = window.ids.split_at(window.next.min(WINDOW));
        for id in old.iter().chain(young).flatten() {
            out.extend_from_slice(id.as_bytes());
        }
    }

    fn restore(_: u32, bytes: &[u8]) -> Option<Window> {
        let (ids, []) = bytes.as_chunks::<16>() else {
            return None;
        };
        let mut window = Window::default();
        for id in ids.iter().take(WINDOW) {
            *window.ids.get_mut(window.next)? = Some(ReportId::from_bytes(*id));
            window.next = (window.next + 1) % WINDOW;
        }
        Some(window)
    }
}

#[cfg(test)]
mod tests {
    use milepost_telemetry::{Decoder, Kind, Timestamp};

    use super::*;
    use crate::stage::DeviceSettings;

    fn report(n: u8) -> Report {
        let id = ReportId::from_bytes([n; 16]);
        let decoder = Decoder::new("test", "test/1");
        Report::new(id, decoder, Kind::Location, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn the_window_is_the_same_after_a_restart() {
        let settings = DeviceSettings::default();
        for count in [0, 1, 15, 16, 17, 40] {
            let mut window = CopyOnWrite::new(Window::default());
            for n in 0..count {
                let mut report = report(n);
                let mut cx = StageContext::new(&settings, &report);
                Dedup.apply(&mut window, &mut report, &mut cx);
            }
            let mut bytes = Vec::new();
            Dedup::snapshot(&window, &mut bytes);
            assert_eq!(bytes.len(), 16 * usize::from(count.min(16)));
            let restored = Dedup::restore(Dedup::VERSION, &bytes).unwrap();
            // Each of the next ids pushes out the same one.
            let mut restored = CopyOnWrite::new(restored);
            for n in (0..count).chain(100..120).chain(0..count) {
                let mut one = report(n);
                let mut other = one.clone();
                let mut cx = StageContext::new(&settings, &one);
                assert_eq!(
                    Dedup.apply(&mut window, &mut one, &mut cx),
                    Dedup.apply(&mut restored, &mut other, &mut cx),
                    "{n} of {count}"
                );
            }
        }
        assert!(Dedup::restore(1, &[1; 15]).is_none());
    }

    #[test]
    fn a_repeat_is_known_until_the_window_has_moved_on() {
        let settings = DeviceSettings::default();
        let mut window = CopyOnWrite::new(Window::default());
        let mut apply = |n| {
            let mut report = report(n);
            let mut cx = StageContext::new(&settings, &report);
            Dedup.apply(&mut window, &mut report, &mut cx)
        };
        assert_eq!(apply(0), Flow::Pass);
        assert_eq!(apply(0), Flow::Duplicate);
        for n in 1..=16 {
            assert_eq!(apply(n), Flow::Pass);
        }
        assert_eq!(apply(0), Flow::Pass);
        assert_eq!(apply(16), Flow::Duplicate);
    }
}
