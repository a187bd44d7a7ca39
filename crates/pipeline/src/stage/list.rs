//! The list of stages that the application gives, and their states of one device.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use milepost_telemetry::{DeviceKey, Report};

use super::{CopyOnWrite, Dedup, DeviceSettings, Flow, Late, Stage, StageContext};
use crate::catch::catch;

/// A state whose type only its stage knows; `None` until something is remembered.
type Held = Option<Arc<dyn Any + Send + Sync>>;

/// A stage without its state's type: a call through a pointer per stage and report, which the
/// benchmark does not show.
trait Erased: Send + Sync {
    fn name(&self) -> &'static str;
    fn version(&self) -> u32;
    /// Whether the state has changed, if it is kept.
    fn apply(
        &self,
        state: &mut Held,
        changed: &mut bool,
        report: &mut Report,
        cx: &mut StageContext<'_>,
    ) -> Flow;
    fn snapshot(&self, state: &Held, out: &mut Vec<u8>);
    fn restore(&self, version: u32, bytes: &[u8]) -> Held;
}

impl<S: Stage> Erased for S {
    fn name(&self) -> &'static str {
        S::NAME
    }

    fn version(&self) -> u32 {
        S::VERSION
    }

    fn apply(
        &self,
        held: &mut Held,
        changed: &mut bool,
        report: &mut Report,
        cx: &mut StageContext<'_>,
    ) -> Flow {
        let known = held.take().and_then(|state| state.downcast().ok());
        let was_known = known.is_some();
        let mut state = CopyOnWrite::sharing(known.unwrap_or_default());
        let flow = Stage::apply(self, &mut state, report, cx);
        *changed |= state.touched && S::KEPT;
        if was_known || state.touched {
            *held = Some(state.shared);
        }
        flow
    }

    fn snapshot(&self, state: &Held, out: &mut Vec<u8>) {
        if let Some(state) = state.as_deref().and_then(|state| state.downcast_ref()) {
            S::snapshot(state, out);
        }
    }

    fn restore(&self, version: u32, bytes: &[u8]) -> Held {
        let state = S::restore(version, bytes)?;
        Some(Arc::new(state))
    }
}

/// Gives the settings of a device.
type Settings = dyn Fn(&DeviceKey) -> DeviceSettings + Send + Sync;

/// The stages of a pipeline, in the order in which they run. Cheap to clone.
#[derive(Clone)]
pub struct Stages {
    list: Vec<Arc<dyn Erased>>,
    settings: Option<Arc<Settings>>,
}

impl fmt::Debug for Stages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.list.iter().map(|stage| stage.name()))
            .finish()
    }
}

impl Default for Stages {
    /// [`standard`](Self::standard).
    fn default() -> Self {
        Self::standard()
    }
}

impl Stages {
    /// No stages.
    pub const fn none() -> Self {
        Self {
            list: Vec::new(),
            settings: None,
        }
    }

    /// What every pipeline should have: repeats are recognised, and late reports marked.
    pub fn standard() -> Self {
        Self::none().then(Dedup).then(Late)
    }

    /// Adds a stage at the end.
    ///
    /// # Panics
    /// When there is one of its name: their states would be mixed up.
    #[must_use]
    pub fn then(mut self, stage: impl Stage) -> Self {
        let name = Erased::name(&stage);
        assert!(
            self.list.iter().all(|other| other.name() != name),
            "there is a stage named {name} already"
        );
        self.list.push(Arc::new(stage));
        self
    }

    /// Where the settings of devices come from: asked once per device and batch.
    #[must_use]
    pub fn settings(
        mut self,
        of: impl Fn(&DeviceKey) -> DeviceSettings + Send + Sync + 'static,
    ) -> Self {
        self.settings = Some(Arc::new(of));
        self
    }

    pub(crate) fn settings_of(&self, device: &DeviceKey) -> DeviceSettings {
        self.settings
            .as_ref()
            .map_or_else(DeviceSettings::default, |of| of(device))
    }

    /// Runs a report through every stage, until one stops it.
    pub(crate) fn apply(
        &self,
        states: &mut States,
        report: &mut Report,
        cx: &mut StageContext<'_>,
    ) -> Flow {
        states.held.resize(self.list.len(), None);
        for (stage, state) in self.list.iter().zip(&mut states.held) {
            cx.enter(stage.name());
            let flow = stage.apply(state, &mut states.changed, report, cx);
            cx.leave(report);
            if flow != Flow::Pass {
                return flow;
            }
        }
        Flow::Pass
    }

    /// Everything that is to be kept, in one piece.
    pub(crate) fn snapshot(&self, states: &States) -> Vec<u8> {
        let mut out = Vec::new();
        let mut piece = Vec::new();
        for (stage, state) in self.list.iter().zip(&states.held) {
            piece.clear();
            stage.snapshot(state, &mut piece);
            write_piece(&mut out, stage.name(), stage.version(), &piece);
        }
        out
    }

    /// Reads a snapshot. Pieces of stages that are gone are passed over; a stage whose piece is
    /// absent or unreadable, or that panics on it, starts anew.
    pub(crate) fn restore(&self, mut bytes: &[u8]) -> States {
        let mut states = States {
            held: vec![None; self.list.len()],
            changed: false,
        };
        while let Some((name, version, piece)) = read_piece(&mut bytes) {
            for (stage, state) in self.list.iter().zip(&mut states.held) {
                if name == stage.name().as_bytes() && version <= stage.version() {
                    *state = catch(|| stage.restore(version, piece)).unwrap_or_else(|panicked| {
                        let stage = stage.name();
                        tracing::error!(%panicked, stage, "a kept state cannot be restored");
                        None
                    });
                }
            }
        }
        states
    }
}

/// What the stages remember of one device. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub(crate) struct States {
    held: Vec<Held>,
    changed: bool,
}

impl States {
    /// Whether anything that is kept has changed since this was asked last.
    pub(crate) const fn take_changed(&mut self) -> bool {
        let changed = self.changed;
        self.changed = false;
        changed
    }
}

/// name length (1), name, version (4), length (4), piece.
fn write_piece(out: &mut Vec<u8>, name: &str, version: u32, piece: &[u8]) {
    let (Ok(name_len), Ok(len)) = (u8::try_from(name.len()), u32::try_from(piece.len())) else {
        return;
    };
    if piece.is_empty() {
        return;
    }
    out.push(name_len);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(&version.to_be_bytes());
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(piece);
}

/// A stage's version and piece in a snapshot of all.
#[cfg(any(feature = "sqlite", feature = "timescale"))]
pub(crate) fn piece<'a>(mut bytes: &'a [u8], stage: &str) -> Option<(u32, &'a [u8])> {
    while let Some((name, version, piece)) = read_piece(&mut bytes) {
        if name == stage.as_bytes() {
            return Some((version, piece));
        }
    }
    None
}

fn read_piece<'a>(bytes: &mut &'a [u8]) -> Option<(&'a [u8], u32, &'a [u8])> {
    let (name_len, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*name_len))?;
    let (version, rest) = rest.split_first_chunk()?;
    let (len, rest) = rest.split_first_chunk()?;
    let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
    let (piece, rest) = rest.split_at_checked(len)?;
    *bytes = rest;
    Some((name, u32::from_be_bytes(*version), piece))
}

#[cfg(test)]
mod tests {
    use milepost_telemetry::{Decoder, Event, EventKind, Kind, Timestamp};

    use super::*;
    use crate::sink::CorrectedFields;

    #[test]
    fn a_damaged_snapshot_gives_a_fresh_state_and_no_panic() {
        let stages = Stages::standard();
        let mut whole = Vec::new();
        write_piece(&mut whole, "gone", 3, b"of a stage that was removed");
        write_piece(&mut whole, "late", 1, &7_i64.to_be_bytes());
        assert_eq!(stages.snapshot(&stages.restore(&whole)), {
            let mut kept = Vec::new();
            write_piece(&mut kept, "late", 1, &7_i64.to_be_bytes());
            kept
        });
        for cut in 0..whole.len() {
            let (part, _) = whole.split_at(cut);
            assert!(stages.snapshot(&stages.restore(part)).is_empty());
        }
    }

    #[test]
    fn a_snapshot_of_a_newer_version_is_not_guessed_at() {
        let stages = Stages::standard();
        let mut newer = Vec::new();
        write_piece(&mut newer, "late", 99, &7_i64.to_be_bytes());
        assert!(stages.snapshot(&stages.restore(&newer)).is_empty());
    }

    /// Counts reports; says so from the second one on.
    struct Counting;

    struct Limit(u32);

    impl Stage for Counting {
        type State = u32;
        const NAME: &'static str = "counting";
        const VERSION: u32 = 1;

        fn apply(
            &self,
            count: &mut CopyOnWrite<u32>,
            report: &mut Report,
            cx: &mut StageContext<'_>,
        ) -> Flow {
            let limit = cx.device().get::<Limit>().map_or(2, |limit| limit.0);
            if **count + 1 < limit {
                **count += 1;
            } else {
                cx.event(Event::by_pipeline(EventKind::Overspeed));
                cx.derive(Kind::Status, report);
                cx.derive(Kind::Status, report);
                cx.correct(report.id, 1, CorrectedFields::default());
            }
            Flow::Pass
        }

        fn snapshot(count: &u32, out: &mut Vec<u8>) {
            out.extend_from_slice(&count.to_be_bytes());
        }

        fn restore(_: u32, bytes: &[u8]) -> Option<u32> {
            Some(u32::from_be_bytes(bytes.try_into().ok()?))
        }
    }

    fn report(n: u8) -> Report {
        let id = milepost_telemetry::ReportId::from_bytes([n; 16]);
        let decoder = Decoder::new("test", "test/1");
        Report::new(id, decoder, Kind::Location, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_state_is_shared_until_it_changes_and_snapshotted_only_then() {
        let stages = Stages::none().then(Counting);
        let settings = DeviceSettings::default();
        let mut states = States::default();
        let mut first = report(1);
        let mut cx = StageContext::new(&settings, &first);
        stages.apply(&mut states, &mut first, &mut cx);
        assert!(states.take_changed());
        assert!(first.more.is_none());

        let committed = states.clone();
        let mut second = report(2);
        let mut cx = StageContext::new(&settings, &second);
        stages.apply(&mut states, &mut second, &mut cx);
        assert!(!states.take_changed());
        let same = |a: &States, b: &States| match (&a.held[0], &b.held[0]) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            _ => false,
        };
        assert!(same(&states, &committed));
        assert_eq!(second.more.events.len(), 1);
        let (derived, corrections) = cx.finish();
        assert_eq!((derived.len(), corrections.len()), (2, 1));
        assert_ne!(derived[0].id, derived[1].id);
        assert_eq!(derived[0].id.key_time(), second.id.key_time());

        // The same input gives the same ids.
        let mut again = report(2);
        let mut cx = StageContext::new(&settings, &again);
        stages.apply(&mut committed.clone(), &mut again, &mut cx);
        assert_eq!(cx.finish().0, derived);
    }

    #[test]
    fn a_stage_sees_the_settings_of_its_device() {
        let settings = DeviceSettings::default().with(Limit(1));
        let stages = Stages::none().then(Counting);
        let mut first = report(1);
        let mut cx = StageContext::new(&settings, &first);
        stages.apply(&mut States::default(), &mut first, &mut cx);
        assert_eq!(first.more.events.len(), 1);
    }

    #[test]
    #[should_panic(expected = "named counting already")]
    fn two_stages_of_one_name_are_refused() {
        let _stages = Stages::none().then(Counting).then(Counting);
    }
}
