//! Frames of one vehicle in, one report per interval out.
//!
//! A bus carries thousands of frames a second. The [`Merger`] holds them back and gives one
//! report per interval with the last value of each signal and source. It does no I/O and reads no
//! clock; whoever owns the connection calls [`Merger::push`] for each frame, and
//! [`Merger::take`] when a push says so, when [`Merger::wake_at`] has come, and at the end.
//!
//! - **Every frame is counted** in exactly one report ([`Merged::frames`]), so that the owner can
//!   settle them as ranges. What a crash loses is at most the frames of one interval.
//! - **At once**, but not more often than [`Options::urgent_micros`], a report leaves when a
//!   trouble code appears or disappears, or one of the switches of [`URGENT`] changes.
//! - **`raw`** of a report is `candump` text: the last frame of each group and source and each
//!   different multi-packet message, which is written as an announcement with its packets. It can
//!   be decoded again. With [`Options::keep_frames`] it is every frame as it came.
//! - **Several senders** of one signal are all in `signals`. The report's named groups take the
//!   value of the preferred sender: the one that is known for it, else the lowest address, among
//!   those that have a value.
//! - **Memory** is bounded by [`Options::signals`], [`Options::groups`], [`Options::raw_bytes`]
//!   and the limits of the decoder; what exceeds them is counted in [`Merged::dropped`].

mod window;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use milepost_telemetry::{
    Diagnostics, Event, EventKind, Incident, Kind, LampState, Lamps, Report, Signal, SignalId,
    TimeSource, Value,
};

use crate::can::{CanFrame, CanTime};
use crate::decoder::{self, Content, Decoder, Head, Message, Output};
use crate::diagnostics::{Diagnostic, Tracker, TroubleCodes};
use crate::normalize::{self, Found, ReportContext};
use crate::obd::ObdMessage;
use crate::signal::{Reading, Sample};
use crate::text;
use crate::transport::Stamp;
use window::Window;

/// How frames are merged.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Time between two reports.
    pub interval_micros: u64,
    /// Shortest time between two reports that leave at once.
    pub urgent_micros: u64,
    /// Whether `raw` is every frame.
    pub keep_frames: bool,
    /// Different signals kept, by source and location.
    pub signals: usize,
    /// Different groups kept for `raw`, by source.
    pub groups: usize,
    /// Bytes of `raw`.
    pub raw_bytes: usize,
    /// How the bus is decoded.
    pub decoder: decoder::Options,
}

impl Default for Options {
    /// 10 s; at once at most every second; 4096 signals, 1024 groups, 256 KiB.
    fn default() -> Self {
        Self {
            interval_micros: 10_000_000,
            urgent_micros: 1_000_000,
            keep_frames: false,
            signals: 4096,
            groups: 1024,
            raw_bytes: 256 * 1024,
            decoder: decoder::Options::default(),
        }
    }
}

/// Switches and states whose change makes a report at once: parking brake, doors, seat belt,
/// driver cards and states, PTO, overspeed, engine protection, inducement. Brake and clutch
/// switches are not among them, since they change all the time.
pub const URGENT: &[u32] = &[
    70, 590, 1109, 1110, 1612, 1613, 1614, 1615, 1616, 1821, 1856, 3411, 3413, 3416, 3697, 3700,
    3948, 5245, 5246,
];

/// Why a report leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The interval is over.
    Interval,
    /// A trouble code or a switch changed.
    Urgent,
    /// The connection ends.
    Close,
}

/// What a frame led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use]
pub struct Pushed {
    /// A report is due now: call [`Merger::take`].
    pub due: bool,
    /// A vehicle identification number was found: [`Merger::vin`].
    pub vin: bool,
}

/// The frames of one interval, merged.
#[derive(Debug, Clone)]
pub struct Merged {
    /// How many frames it covers.
    pub frames: u64,
    /// How many of them are remote frames, or belong to messages that could not be read.
    pub unread: u64,
    /// Multi-packet and segmented messages that were refused, aborted or lost.
    pub failures: u64,
    /// Signals, groups or frames that exceeded a bound.
    pub dropped: u64,
    /// Why it leaves.
    pub cause: Cause,
    /// Time of the last frame.
    pub stamp: Stamp,
    /// `candump` text that can be decoded again.
    pub raw: Vec<u8>,
    signals: Vec<Signal>,
    preferred: Vec<Signal>,
    events: Vec<Event>,
    diagnostics: Option<Box<Diagnostics>>,
    vin: Option<Box<str>>,
    driver: Option<Box<str>>,
    fix: Option<Found>,
}

impl Merged {
    /// The report. `raw` is included if asked for.
    #[must_use]
    pub fn report(&self, context: &ReportContext<'_>, with_raw: bool) -> Report {
        let mut report = context.report(Kind::Can, 0);
        normalize::set_time(&mut report, self.stamp);
        if self.stamp.estimated {
            report.time_source = TimeSource::Estimated;
        }
        report.sequence = None;
        report.fix = self.fix.as_ref().map(|fix| fix.at(context.received_at));
        for signal in &self.preferred {
            normalize::note(&mut report, signal);
        }
        report.more.signals.clone_from(&self.signals);
        #[expect(clippy::cast_precision_loss, reason = "far fewer frames than 2^53")]
        report
            .more
            .signals
            .push(Signal::named("j1939.frames").number(self.frames as f64, None));
        report.more.events.clone_from(&self.events);
        report.more.diagnostics.clone_from(&self.diagnostics);
        if let Some(vin) = &self.vin {
            report.identity_mut().vin = Some(vin.clone());
        }
        if let Some(driver) = &self.driver {
            report.identity_mut().driver = Some(driver.clone());
        }
        if with_raw {
            report.more.raw = Some(self.raw.as_slice().into());
        }
        report
    }
}

/// Merges the frames of one vehicle. See the [module](self).
#[derive(Debug)]
pub struct Merger {
    options: Options,
    decoder: Decoder,
    tracker: Tracker,
    window: Window,
    opened: CanTime,
    last_urgent: Option<CanTime>,
    urgent: bool,
    vin: Option<String>,
}

impl Merger {
    /// Nothing merged yet. `now` is the caller's clock, as in every other call.
    #[must_use]
    pub fn new(options: Options, now: CanTime) -> Self {
        Self {
            decoder: Decoder::new(options.decoder.clone()),
            tracker: Tracker::new(),
            window: Window::default(),
            opened: now,
            last_urgent: None,
            urgent: false,
            vin: None,
            options,
        }
    }

    /// Takes a frame and holds it until the next report.
    pub fn push(&mut self, frame: &CanFrame, now: CanTime) -> Pushed {
        let mut pushed = Pushed::default();
        if self.window.frames == 0 {
            // Intervals count from the first frame, not through silence.
            self.opened = now;
        }
        let stamp = frame
            .time()
            .map_or_else(|| Stamp::estimated(now), Stamp::exact);
        self.window.frame(frame, stamp, &self.options);
        self.decoder.push(frame, now);
        while let Some(output) = self.decoder.poll() {
            match output {
                Output::Message(message) => pushed.vin |= self.message(&message),
                Output::Malformed { .. } => self.window.unread += 1,
                Output::Failure(_) | Output::IsoTpFailure { .. } => self.window.failures += 1,
            }
        }
        pushed.due = self.wake_at().is_some_and(|at| now >= at);
        pushed
    }

    /// The last VIN found on the bus.
    #[must_use]
    pub fn vin(&self) -> Option<&str> {
        self.vin.as_deref()
    }

    /// How many frames are held.
    #[must_use]
    pub const fn held_frames(&self) -> u64 {
        self.window.frames
    }

    /// Bytes held for unfinished messages of several frames.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.decoder.held_bytes()
    }

    /// Who holds which address on this bus.
    #[must_use]
    pub const fn addresses(&self) -> &crate::name::AddressBook {
        self.decoder.addresses()
    }

    /// When the next report is due; `None` while no frame is held.
    #[must_use]
    pub fn wake_at(&self) -> Option<CanTime> {
        if self.window.frames == 0 {
            return None;
        }
        let interval = self.opened.as_micros();
        let interval = interval.saturating_add(self.options.interval_micros);
        let urgent = self.urgent.then(|| {
            self.last_urgent.map_or(0, |last| {
                last.as_micros().saturating_add(self.options.urgent_micros)
            })
        });
        Some(CanTime(urgent.map_or(interval, |at| at.min(interval))))
    }

    /// The report that is due, if one is.
    pub fn take(&mut self, now: CanTime) -> Option<Merged> {
        let due = self.wake_at()?;
        if now < due {
            return None;
        }
        let interval = self.opened.as_micros();
        let is_over = now.as_micros() >= interval.saturating_add(self.options.interval_micros);
        Some(self.merge(
            now,
            if is_over {
                Cause::Interval
            } else {
                Cause::Urgent
            },
        ))
    }

    /// The last report, at the end of the connection; `None` if no frame is held.
    pub fn flush(&mut self, now: CanTime) -> Option<Merged> {
        (self.window.frames > 0).then(|| self.merge(now, Cause::Close))
    }

    fn merge(&mut self, now: CanTime, cause: Cause) -> Merged {
        if self.urgent {
            self.last_urgent = Some(now);
        }
        self.urgent = false;
        self.opened = now;
        self.window.take(cause, self.options.raw_bytes)
    }

    /// Takes a decoded message. Returns whether it named the vehicle.
    fn message(&mut self, message: &Message) -> bool {
        let source = message.head.source();
        self.window.message(message, &self.options);
        self.window.navigation.message(message);
        let location = location(message);
        for sample in message.signals() {
            let changed = self.window.sample(&sample, source, location, &self.options);
            self.urgent |= changed && URGENT.contains(&sample.spn.number);
        }
        match &message.content {
            Content::Signals => {}
            Content::Diagnostic(Diagnostic::TroubleCodes(codes)) => {
                if matches!(message.head, Head::Group(id) if id.pgn == crate::id::Pgn::DM1) {
                    self.active_codes(source, codes);
                }
            }
            Content::Obd(ObdMessage::Codes { service: 3, codes }) => {
                // OBD-II units are numbered apart from addresses.
                let unit = 0x1_0000 | u32::from(source);
                let numbers = codes.iter().map(|code| u32::from(code.0));
                self.changed(unit, numbers.collect());
                let list = codes
                    .iter()
                    .map(|code| milepost_telemetry::Dtc::obd(alloc::format!("{code}")));
                self.window.codes(unit, None, list.collect());
                self.other_signals(message);
            }
            _ => self.other_signals(message),
        }
        let vin = match &message.content {
            Content::Text(fields) => fields
                .iter()
                .filter(|field| field.spn == 237)
                .find_map(|field| text::vin(field.text.as_deref()?)),
            Content::Obd(ObdMessage::Info {
                info: crate::obd::VehicleInfo::Vin(vin),
                ..
            }) => text::vin(vin),
            _ => None,
        };
        if let Content::Text(fields) = &message.content {
            let driver = fields.iter().find(|field| field.spn == 1625);
            let driver = driver.and_then(|field| field.text.as_deref());
            if let Some(driver) = driver.filter(|text| !text.is_empty()) {
                self.window.driver = Some(driver.into());
            }
        }
        if let Some(vin) = vin {
            self.window.vin = Some(vin.into());
            self.vin = Some(vin.into());
        }
        vin.is_some()
    }

    fn other_signals(&mut self, message: &Message) {
        if matches!(
            message.content,
            Content::Request(_) | Content::Acknowledge(_)
        ) {
            return;
        }
        for signal in normalize::signals(message) {
            self.window.signal(signal, &self.options);
        }
    }

    fn active_codes(&mut self, source: u8, codes: &TroubleCodes) {
        let unit = u32::from(source);
        self.changed(unit, codes.codes.iter().map(|code| code.number()).collect());
        let list = codes
            .codes
            .iter()
            .map(|code| {
                let mut dtc = normalize::dtc(code);
                dtc.source = Some(source);
                dtc
            })
            .collect();
        let lamps = normalize::lamp_states(codes);
        self.window.codes(unit, Some(lamps), list);
    }

    fn changed(&mut self, unit: u32, numbers: Vec<u32>) {
        let changes = self.tracker.update(unit, numbers);
        self.urgent |= !changes.is_empty();
        for (kind, incident, numbers) in [
            (
                EventKind::TroubleCodeRaised,
                Incident::Begin,
                changes.raised,
            ),
            (
                EventKind::TroubleCodeCleared,
                Incident::End,
                changes.cleared,
            ),
        ] {
            for number in numbers {
                let mut event = Event::by_device(kind, Some(number));
                event.incident = Some(incident);
                self.window.events.push(event);
            }
        }
    }
}

/// Groups that are repeated for each axle or tyre carry their location first: one value is kept
/// per location.
fn location(message: &Message) -> u8 {
    match message.head {
        Head::Group(id) if matches!(id.pgn.raw(), 65258 | 65268) => {
            message.data.first().copied().unwrap_or(0)
        }
        _ => 0,
    }
}

/// Who is preferred as the sender of a signal, best first; others follow by address.
fn preference(signal: SignalId, source: u8) -> (usize, u8) {
    let known: &[u8] = match signal {
        // Odometer: instrument cluster, tachograph, engine.
        SignalId::Spn(245 | 917) => &[23, 238, 0],
        // Wheel speed: engine (cruise control), tachograph, brakes.
        SignalId::Spn(84) => &[0, 238, 11],
        SignalId::Spn(96) => &[23, 33, 0],
        _ => &[0, 1],
    };
    let rank = known.iter().position(|address| *address == source);
    (rank.unwrap_or(known.len()), source)
}

/// Whether a sample is worth keeping: a value, or the loss of one.
const fn is_kept(sample: &Sample, had_value: bool) -> bool {
    match sample.reading {
        Reading::Absent => false,
        Reading::NotAvailable => had_value,
        _ => true,
    }
}

const fn worse(a: LampState, b: LampState) -> LampState {
    const fn rank(lamp: LampState) -> u8 {
        match lamp {
            LampState::NotAvailable => 0,
            LampState::Off => 1,
            LampState::Error => 2,
            LampState::On => 3,
        }
    }
    if rank(a) >= rank(b) { a } else { b }
}

const fn worst(a: Lamps, b: Lamps) -> Lamps {
    Lamps {
        mil: worse(a.mil, b.mil),
        rsl: worse(a.rsl, b.rsl),
        awl: worse(a.awl, b.awl),
        pl: worse(a.pl, b.pl),
    }
}

fn is_number(signal: &Signal) -> bool {
    matches!(signal.value, Some(Value::Number(_)))
}

#[cfg(test)]
mod tests;
