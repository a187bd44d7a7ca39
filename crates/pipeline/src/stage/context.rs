//! What a stage may see and do beside its own report.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

use milepost_telemetry::{Decoder, Event, IdentitySeed, Kind, Report, ReportId};

use crate::sink::{CorrectedFields, Correction};
use crate::track::{Dirty, Leg};

/// The settings of one device, by their types: each stage defines its own type, and the
/// application fills them in.
///
/// ```
/// use milepost_pipeline::stage::DeviceSettings;
///
/// struct SpeedLimit(f32);
/// let settings = DeviceSettings::default().with(SpeedLimit(80.0));
/// assert_eq!(settings.get::<SpeedLimit>().map(|limit| limit.0), Some(80.0));
/// ```
#[derive(Debug, Clone, Default)]
pub struct DeviceSettings(Arc<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl DeviceSettings {
    /// Adds or replaces the settings of one stage.
    #[must_use]
    pub fn with<T: Send + Sync + 'static>(mut self, settings: T) -> Self {
        Arc::make_mut(&mut self.0).insert(TypeId::of::<T>(), Arc::new(settings));
        self
    }

    /// The settings of one stage, if there are any.
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.0.get(&TypeId::of::<T>())?.downcast_ref()
    }
}

/// What a stage may see and do beside its own report.
#[derive(Debug)]
pub struct StageContext<'a> {
    settings: &'a DeviceSettings,
    cause: ReportId,
    stage: &'static str,
    index: u32,
    events: Vec<Event>,
    derived: Vec<Report>,
    corrections: Vec<Correction>,
    found: Found,
}

/// What a report has led to beside reports.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) legs: Vec<Leg>,
    pub(crate) dirty: Option<Dirty>,
}

impl<'a> StageContext<'a> {
    /// The context of one report; also for tests of a stage.
    pub const fn new(settings: &'a DeviceSettings, cause: &Report) -> Self {
        Self {
            settings,
            cause: cause.id,
            stage: "",
            index: 0,
            events: Vec::new(),
            derived: Vec::new(),
            corrections: Vec::new(),
            found: Found {
                legs: Vec::new(),
                dirty: None,
            },
        }
    }

    pub(super) const fn enter(&mut self, stage: &'static str) {
        self.stage = stage;
        self.index = 0;
    }

    /// The device's settings.
    pub const fn device(&self) -> &'a DeviceSettings {
        self.settings
    }

    /// Adds an event to the report.
    pub fn event(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Derives a further report from this one. It has the same device and times; it is stored
    /// after it, shares its acknowledgement, passes no stage and is no frame of the audit.
    ///
    /// Its id is made from the cause, the stage and how many the stage has derived from this
    /// report before: the same input gives the same id.
    pub fn derive(&mut self, kind: Kind, cause: &Report) -> &mut Report {
        let mut key = Vec::with_capacity(64);
        key.extend_from_slice(self.cause.as_bytes());
        key.extend_from_slice(self.stage.as_bytes());
        key.extend_from_slice(&self.index.to_be_bytes());
        self.index += 1;
        let seed = IdentitySeed::new(
            cause.tenant.as_ref(),
            cause.device.as_ref(),
            cause.protocol.as_str(),
        );
        let id = ReportId::mint(seed, self.cause.key_time(), &key);
        let decoder = Decoder::new(cause.protocol.as_str(), cause.decoder.as_str());
        let mut report = Report::new(id, decoder, kind, cause.received_at);
        report.tenant = cause.tenant;
        report.device = cause.device;
        report.dialect = cause.dialect;
        report.time = cause.time;
        report.time_source = cause.time_source;
        report.device_time = cause.device_time;
        report.zone = cause.zone;
        report.late = cause.late;
        let at = self.derived.len();
        self.derived.push(report);
        // The one that was just pushed.
        &mut self.derived[at]
    }

    /// Corrects an earlier report. It is applied if the stored one has a lower revision.
    pub fn correct(&mut self, id: ReportId, revision: u32, fields: CorrectedFields) {
        self.corrections.push(Correction::new(id, revision, fields));
    }

    /// A trip or a stop has ended: the store keeps it.
    pub fn leg(&mut self, leg: Leg) {
        self.found.legs.push(leg);
    }

    /// The trips of a stretch of time must be found anew, if the report is new to the store.
    pub const fn dirty(&mut self, stretch: Dirty) {
        self.found.dirty = Some(stretch);
    }

    pub(crate) fn take_found(&mut self) -> Found {
        std::mem::take(&mut self.found)
    }

    /// Puts the events of the stage that has just run on the report.
    pub(super) fn leave(&mut self, report: &mut Report) {
        // Reading through `more` is free, writing makes the place.
        if !self.events.is_empty() {
            report.more.events.append(&mut self.events);
        }
    }

    /// What was derived and corrected.
    pub fn finish(self) -> (Vec<Report>, Vec<Correction>) {
        (self.derived, self.corrections)
    }
}
