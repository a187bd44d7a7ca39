//! Repeats of what is known to be durable go no further.

use milepost_telemetry::{Report, ReportId};

use super::{CopyOnWrite, Flow, Stage, StageContext};

/// Remembers the last ids of each device.
///
/// The window is a short cut, not the judge: the store's unique id is. An id enters a lane's
/// committed state only with the batch that made it durable, so the window holds nothing that
/// could still fail; within a batch, a repeat shares the fate of the first. Losing the window
/// costs look-ups and nothing else, so it is not kept over a restart.
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
    const KEPT: bool = false;

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

    fn snapshot(_: &Window, _: &mut Vec<u8>) {}

    fn restore(_: u32, _: &[u8]) -> Option<Window> {
        None
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
