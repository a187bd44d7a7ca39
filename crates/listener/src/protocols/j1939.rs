//! CAN frames of vehicles (SAE J1939, OBD-II): [`milepost_protocol_j1939`] on this crate's traits.
//!
//! A gateway's records come by thousands a second. All records that arrive together are one frame
//! of the framework; it is held, and what the frames of an interval say leaves as one report. Until
//! the device is known, frames are filtered as a stranger's.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use milepost_protocol_j1939::carrier::{Carrier, Form, RecordKind, Setting, Skipped as Passed};
use milepost_protocol_j1939::claim::{
    Claim, ClaimError, ClaimRule, ClaimRules, ClaimState, MAX_FIRST_LINE,
};
use milepost_protocol_j1939::merge::{Merged, Merger, Options};
use milepost_protocol_j1939::normalize::{DECODER, ReportContext};
use milepost_protocol_j1939::{CanFrame, CanTime};
use milepost_telemetry::{DeviceId, Name, Quarantine, Tenant};

use crate::{Closed, Context, Identified, Opened, Protocol, RawFrame, Session, Skipped};

/// CAN records in one frame of the framework, at most.
const RECORDS: usize = 256;

/// How the device of a connection becomes known; `None`: it is not served.
type Rules = dyn Fn(&Opened) -> Option<ClaimRule> + Send + Sync;

/// Forwarded CAN frames.
#[derive(Clone)]
pub struct J1939 {
    rules: Arc<Rules>,
    form: Setting,
    options: Options,
}

impl fmt::Debug for J1939 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("J1939")
            .field("form", &self.form)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl J1939 {
    /// Devices are known by these rules; the form of the frames is detected.
    pub fn new(rules: ClaimRules) -> Self {
        Self::with_rules(move |opened| rules.for_peer(opened.peer?.ip()))
    }

    /// Devices are known by what this says of a conversation that begins.
    pub fn with_rules(
        rules: impl Fn(&Opened) -> Option<ClaimRule> + Send + Sync + 'static,
    ) -> Self {
        Self {
            rules: Arc::new(rules),
            form: Setting::Detect,
            options: Options::default(),
        }
    }

    /// The form in which frames arrive.
    #[must_use]
    pub const fn form(mut self, form: Setting) -> Self {
        self.form = form;
        self
    }

    /// How frames are merged and decoded.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }
}

impl Protocol for J1939 {
    type Session = J1939Session;

    fn name(&self) -> Name {
        DECODER.protocol()
    }

    fn session(&self, opened: &Opened) -> J1939Session {
        let carrier = Carrier::new(self.form);
        let start = CanTime(0);
        // A device that the framework has resolved already is not looked for.
        let rule = match opened.claim {
            Some(id) => Some(ClaimRule::Known(id.as_str().to_owned())),
            None => (self.rules)(opened),
        };
        J1939Session {
            // These expect to be spoken to first.
            greets: matches!(carrier.form(), Some(Form::Cannelloni | Form::Socketcand)),
            carrier,
            claim: rule.map(|rule| Claim::new(rule, start)),
            merger: Merger::new(self.options.clone(), start),
            output: Vec::new(),
            started: None,
            device: None,
            waiting: None,
            is_lost: false,
            is_over: false,
        }
    }

    fn has_commands(&self) -> bool {
        false
    }
}

/// One connection of a gateway.
pub struct J1939Session {
    carrier: Carrier,
    /// `None` if nothing is configured for the peer.
    claim: Option<Claim>,
    merger: Merger,
    /// What the carrier wants to be sent.
    output: Vec<Bytes>,
    /// Where the session's clock begins: the first call that tells the time.
    started: Option<Instant>,
    device: Option<(Tenant, DeviceId)>,
    /// The frame that named the device, while the registry is asked.
    waiting: Option<Vec<CanFrame>>,
    /// Whether a greeting may wait to be sent.
    greets: bool,
    /// Whether the carrier cannot go on.
    is_lost: bool,
    /// Whether another vehicle is on the bus: what is held may be anybody's.
    is_over: bool,
}

impl fmt::Debug for J1939Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("J1939Session")
            .field("form", &self.carrier.form())
            .field("claim", &self.claim)
            .field("device", &self.device)
            .field("held_frames", &self.merger.held_frames())
            .finish_non_exhaustive()
    }
}

/// Records that arrived together, or the first line.
#[derive(Debug, Clone)]
pub struct Records {
    raw: Bytes,
    /// `None` for the first line.
    frames: Option<Vec<CanFrame>>,
}

impl RawFrame for Records {
    fn raw(&self) -> Bytes {
        self.raw.clone()
    }
}

impl J1939Session {
    fn now(&mut self, cx: &Context<'_>) -> CanTime {
        let started = *self.started.get_or_insert_with(|| cx.instant());
        let since = cx.instant().saturating_duration_since(started);
        CanTime(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }

    fn send_output(&mut self, cx: &mut Context<'_>) {
        self.greets = false;
        self.output.extend(self.carrier.take_output());
        for bytes in self.output.drain(..) {
            cx.reply(bytes);
        }
        if self.is_lost {
            cx.close("the records' boundaries are lost");
        }
    }

    /// The first line, if it is complete.
    fn first_line(&mut self, src: &mut BytesMut) -> Option<Records> {
        let claim = self.claim.as_mut().filter(|claim| claim.wants_bytes())?;
        let len = claim.bytes(src);
        Some(Records {
            raw: src.split_to(len.min(src.len())).freeze(),
            frames: None,
        })
    }

    /// Asks for the device that is known now, or says why none will be.
    fn claimed(&mut self, cx: &mut Context<'_>) -> Result<bool, Quarantine> {
        let state = match &self.claim {
            Some(claim) => claim.state().clone(),
            None => {
                cx.close("no device is configured for this peer");
                return Err(Quarantine::new("no device is configured for this peer"));
            }
        };
        match state {
            ClaimState::Waiting => Ok(false),
            ClaimState::Device(_) if self.device.is_some() => Ok(false),
            ClaimState::Device(id) => match DeviceId::new(&id) {
                Ok(id) => {
                    cx.identify(id);
                    Ok(true)
                }
                Err(error) => {
                    cx.close("not a device id");
                    Err(quarantine("id", &error))
                }
            },
            ClaimState::Failed(error) => {
                self.is_over = true;
                cx.close(reason(error));
                Err(quarantine("id", &error))
            }
        }
    }

    /// Merges frames. Returns whether a report is due.
    fn merge(&mut self, frames: &[CanFrame], now: CanTime) -> bool {
        let mut is_due = false;
        for frame in frames {
            let pushed = self.merger.push(frame, now);
            is_due |= pushed.due;
            if pushed.vin
                && let (Some(claim), Some(vin)) = (&mut self.claim, self.merger.vin())
            {
                claim.vin(vin);
            }
        }
        is_due
    }

    /// Frames of a known device: held, or reported with those that are held.
    fn take_in(&mut self, is_due: bool, now: CanTime, cx: &mut Context<'_>) {
        let merged = is_due.then(|| self.merger.take(now)).flatten();
        match merged {
            Some(merged) => self.report(&merged, cx),
            None => cx.hold(),
        }
    }

    fn report(&self, merged: &Merged, cx: &mut Context<'_>) {
        let Some((tenant, device)) = &self.device else {
            return;
        };
        let context = ReportContext {
            tenant: Some(tenant),
            device: Some(device),
            received_at: cx.now(),
            origin: cx.origin(),
        };
        cx.cover_all_held();
        cx.keep(merged.raw.clone().into());
        cx.emit(merged.report(&context, false));
    }
}

impl Session for J1939Session {
    type Frame = Records;

    fn next_frame(&mut self, src: &mut BytesMut) -> Result<Option<Records>, Skipped> {
        let wants_line = self.claim.as_ref().is_some_and(Claim::wants_bytes);
        if wants_line {
            // One more each for CR and LF.
            let limit = MAX_FIRST_LINE.saturating_add(2);
            let is_whole = src.contains(&b'\n') || src.len() >= limit;
            return Ok(is_whole.then(|| self.first_line(src)).flatten());
        }
        let mut raw = BytesMut::new();
        let mut frames = Vec::new();
        while frames.len() < RECORDS {
            match self.carrier.next_frame(src) {
                Ok(Some(record)) => {
                    raw.extend_from_slice(&record.raw);
                    if let RecordKind::Frame(frame) = record.kind {
                        frames.push(frame);
                    }
                }
                Ok(None) => break,
                Err(passed) => {
                    self.is_lost |= self.carrier.is_lost();
                    if raw.is_empty() {
                        return Err(skipped(&passed));
                    }
                    // They are kept with the records around them.
                    raw.extend_from_slice(&passed.raw);
                }
            }
        }
        self.output.extend(self.carrier.take_output());
        self.is_lost |= self.carrier.is_lost();
        Ok((!raw.is_empty()).then(|| Records {
            raw: raw.freeze(),
            frames: Some(frames),
        }))
    }

    fn on_pause(&mut self) {
        self.carrier.on_pause();
    }

    fn on_frame(&mut self, frame: Records, cx: &mut Context<'_>) -> Result<(), Quarantine> {
        let now = self.now(cx);
        self.send_output(cx);
        let Some(frames) = frame.frames else {
            if !self.claimed(cx)? {
                cx.filter("first_line");
            }
            return Ok(());
        };
        if frames.is_empty() {
            // Handshakes, prompts, frames of other kinds.
            cx.filter("no_can_frame");
            return Ok(());
        }
        if self.device.is_some() {
            let is_due = self.merge(&frames, now);
            self.claimed(cx)?;
            self.take_in(is_due, now, cx);
            return Ok(());
        }
        // A vehicle that has to be found on the bus is found by decoding.
        let is_searched = matches!(
            self.claim.as_ref().map(Claim::state),
            Some(ClaimState::Waiting)
        );
        if is_searched {
            self.merge(&frames, now);
        }
        if let Some(claim) = &mut self.claim {
            claim.advance(now);
        }
        if self.claimed(cx)? {
            self.waiting = Some(if is_searched { Vec::new() } else { frames });
        } else {
            // A stranger's frames are no device's: they are not merged.
            self.merger.flush(now);
            cx.filter("device_not_known_yet");
        }
        Ok(())
    }

    fn on_identified(&mut self, who: &Identified, cx: &mut Context<'_>) -> Result<(), Quarantine> {
        self.device = Some((who.device.tenant, who.device.device));
        let now = self.now(cx);
        match self.waiting.take() {
            Some(frames) => {
                let is_due = self.merge(&frames, now);
                self.take_in(is_due, now, cx);
            }
            None => cx.filter("first_line"),
        }
        Ok(())
    }

    fn wake_at(&self) -> Option<Instant> {
        let Some(started) = self.started else {
            // A carrier's greeting is sent before anything has arrived.
            return self.greets.then(Instant::now);
        };
        if self.is_lost {
            return Some(started);
        }
        let search = self.claim.as_ref().and_then(Claim::wake_at);
        let report = self.device.as_ref().and_then(|_| self.merger.wake_at());
        let at = match (search, report) {
            (Some(a), Some(b)) => a.min(b),
            (a, b) => a.or(b)?,
        };
        started.checked_add(Duration::from_micros(at.as_micros()))
    }

    fn on_wake(&mut self, cx: &mut Context<'_>) {
        let now = self.now(cx);
        self.send_output(cx);
        if let Some(claim) = &mut self.claim {
            claim.advance(now);
            if let ClaimState::Failed(error) = claim.state() {
                cx.close(reason(*error));
                return;
            }
        }
        // If it comes early, what is held takes too much memory.
        let merged = match self.merger.take(now) {
            Some(merged) => Some(merged),
            None if self.device.is_some() => self.merger.flush(now),
            None => None,
        };
        if let Some(merged) = merged {
            self.report(&merged, cx);
        }
    }

    fn held_bytes(&self) -> usize {
        self.merger.held_bytes()
    }

    fn on_close(&mut self, _: &Closed<'_>, cx: &mut Context<'_>) {
        if self.is_over || self.device.is_none() {
            // The framework keeps what is held in quarantine.
            return;
        }
        let now = self.now(cx);
        if let Some(merged) = self.merger.flush(now) {
            self.report(&merged, cx);
        }
    }
}

fn skipped(passed: &Passed) -> Skipped {
    Skipped::new(passed.raw.len())
}

fn quarantine(field: &'static str, error: &dyn fmt::Display) -> Quarantine {
    Quarantine {
        field: Some(Name::new(field)),
        offset: None,
        message: error.to_string().into(),
    }
}

const fn reason(error: ClaimError) -> &'static str {
    match error {
        ClaimError::LineTooLong => "the first line is longer than 64 bytes",
        ClaimError::NotAnId => "the first line is not a device id",
        ClaimError::NoVin => "no vehicle identification number within 60 s",
        ClaimError::OtherVin => "another vehicle identification number than before",
        _ => "the device is not known",
    }
}
