//! What happens to a report between its decoder and its store.
//!
//! A stage is pure and synchronous: it is a function of its device's state, its settings and the
//! report, reads no clock and does no I/O. So a batch whose commit fails can be run again, and
//! gives the same.
//!
//! To add one, write a type that implements [`Stage`] and put it into the list that the
//! application gives: `Stages::standard().then(MyStage)`. The order of the list is the order in
//! which they run.

mod context;
mod dedup;
mod incident;
mod late;
mod list;
mod track;

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use milepost_telemetry::{Name, Report};

pub use context::{DeviceSettings, StageContext};
pub use dedup::Dedup;
pub use incident::Incidents;
pub use late::Late;
pub use list::Stages;
pub(crate) use list::States;
#[cfg(any(feature = "sqlite", feature = "timescale"))]
pub(crate) use list::piece;
pub use track::Track;

/// What a stage decides about a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flow {
    /// It goes on to the next stage.
    Pass,
    /// It is known to be durable already: it goes no further, and its device may be told.
    Duplicate,
    /// It is not wanted; why.
    Filter(Name),
}

/// One step of a lane.
pub trait Stage: Send + Sync + 'static {
    /// What the stage remembers of one device: bounded. It is shared between the committed lanes
    /// and a batch until it is changed, and copied then.
    type State: Clone + Default + Send + Sync + 'static;

    /// The name under which its state is kept. Never changes.
    const NAME: &'static str;

    /// The version of the snapshot's form.
    const VERSION: u32;

    /// Whether the state is kept over a restart. If not, changing it causes no snapshot.
    const KEPT: bool = true;

    /// Does its work on one report.
    fn apply(
        &self,
        state: &mut CopyOnWrite<Self::State>,
        report: &mut Report,
        cx: &mut StageContext<'_>,
    ) -> Flow;

    /// Writes the state, to be kept with the batch; nothing if the state may be forgotten.
    fn snapshot(state: &Self::State, out: &mut Vec<u8>);

    /// Reads what [`snapshot`](Self::snapshot) wrote in this version or an earlier one; `None`
    /// if it cannot be read, and the device starts anew.
    fn restore(version: u32, bytes: &[u8]) -> Option<Self::State>;
}

/// A state that is shared until it is changed: reading is free, the first change copies it.
#[derive(Debug)]
pub struct CopyOnWrite<S> {
    shared: Arc<S>,
    touched: bool,
}

impl<S> CopyOnWrite<S> {
    /// A state of its own, as for a test of a stage.
    pub fn new(state: S) -> Self {
        Self::sharing(Arc::new(state))
    }

    const fn sharing(shared: Arc<S>) -> Self {
        Self {
            shared,
            touched: false,
        }
    }

    /// Whether it was changed.
    pub const fn is_touched(&self) -> bool {
        self.touched
    }
}

impl<S> Deref for CopyOnWrite<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.shared
    }
}

impl<S: Clone> DerefMut for CopyOnWrite<S> {
    fn deref_mut(&mut self) -> &mut S {
        self.touched = true;
        Arc::make_mut(&mut self.shared)
    }
}
