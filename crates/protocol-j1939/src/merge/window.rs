//! What one interval has gathered.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::fmt::Write as _;

use milepost_telemetry::{Diagnostics, Dtc, Event, Lamps, Signal, SignalId};

use super::{Cause, Merged, Options, is_kept, is_number, preference, worst};
use crate::can::{CanFrame, CanId, CanTime};
use crate::decoder::{Data, Head, Message};
use crate::encode;
use crate::id::GLOBAL;
use crate::normalize::{self, Navigation};
use crate::signal::{Reading, Sample, Spn};
use crate::transport::Stamp;

/// A signal, its sender, and its location (axle or tyre).
type Key = (SignalKey, u8, u8);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum SignalKey {
    /// A row of a table, by number and name.
    Row(u32, &'static str),
    /// Any other: several parts of one OBD-II parameter differ by name.
    Other(SignalId, &'static str),
}

#[derive(Debug)]
enum Kept {
    /// Becomes a signal when the report is made: most samples are replaced before that.
    Sample(&'static Spn, u64, Reading),
    Signal(Signal),
}

#[derive(Debug, Default)]
pub(super) struct Window {
    pub(super) frames: u64,
    pub(super) unread: u64,
    pub(super) failures: u64,
    dropped: u64,
    signals: BTreeMap<Key, Kept>,
    /// Signals that had a value in an earlier interval: that one is not available now is news.
    known: BTreeSet<Key>,
    /// The last frame of each group and source.
    last: BTreeMap<(u32, bool), (CanFrame, Stamp)>,
    /// Multi-packet messages, each payload once.
    long: BTreeMap<(u32, bool, Vec<u8>), (Head, Stamp)>,
    long_bytes: usize,
    /// Every frame, if asked for.
    all: Vec<(CanFrame, Stamp)>,
    codes: BTreeMap<u32, (Option<Lamps>, Vec<Dtc>)>,
    pub(super) events: Vec<Event>,
    pub(super) vin: Option<Box<str>>,
    pub(super) driver: Option<Box<str>>,
    pub(super) navigation: Navigation,
    stamp: Option<Stamp>,
}

/// Bytes of a line of `raw`, at most.
const LINE: usize = 56;

impl Window {
    pub(super) fn frame(&mut self, frame: &CanFrame, stamp: Stamp, options: &Options) {
        self.frames += 1;
        self.stamp = Some(stamp);
        if frame.is_remote() {
            self.unread += 1;
        }
        if options.keep_frames {
            if self.all.len() < options.raw_bytes / LINE {
                self.all.push((*frame, stamp));
            } else {
                self.dropped += 1;
            }
        }
    }

    /// Keeps the frame or the payload of a message for `raw`.
    pub(super) fn message(&mut self, message: &Message, options: &Options) {
        if options.keep_frames {
            return;
        }
        let (key, is_extended) = match message.head {
            // The priority is not part of a group's identity.
            Head::Group(id) => (id.to_raw() & 0x03FF_FFFF, true),
            Head::Can(id) => (id.raw(), id.is_extended()),
        };
        match &message.data {
            Data::Short(frame) => {
                let is_known = self.last.contains_key(&(key, is_extended));
                if is_known || self.last.len() < options.groups {
                    self.last
                        .insert((key, is_extended), (*frame, message.stamp));
                } else {
                    self.dropped += 1;
                }
            }
            Data::Long(bytes) => {
                let lines = bytes.len().div_ceil(6) + 4;
                let entry = (key, is_extended, bytes.clone());
                if self.long.contains_key(&entry) {
                    self.long.insert(entry, (message.head, message.stamp));
                } else if self.long_bytes + lines * LINE <= options.raw_bytes / 2 {
                    self.long_bytes += lines * LINE;
                    self.long.insert(entry, (message.head, message.stamp));
                } else {
                    self.dropped += 1;
                }
            }
        }
    }

    /// Keeps a sample. Returns whether it is another value than the last one.
    pub(super) fn sample(
        &mut self,
        sample: &Sample,
        source: u8,
        location: u8,
        options: &Options,
    ) -> bool {
        let spn = sample.spn;
        let key = (SignalKey::Row(spn.number, spn.name), source, location);
        let before = self.signals.get(&key);
        if !is_kept(sample, before.is_some() || self.known.contains(&key)) {
            return false;
        }
        let changed = matches!(
            before,
            Some(Kept::Sample(_, raw, Reading::Value(_)))
                if *raw != sample.raw && matches!(sample.reading, Reading::Value(_))
        );
        let kept = Kept::Sample(spn, sample.raw, sample.reading);
        self.keep(key, kept, options);
        changed
    }

    pub(super) fn signal(&mut self, signal: Signal, options: &Options) {
        let name = SignalKey::Other(signal.id, signal.name.as_str());
        let key = (name, signal.source.unwrap_or(u8::MAX), 0);
        if signal.value.is_some() || self.signals.contains_key(&key) {
            self.keep(key, Kept::Signal(signal), options);
        }
    }

    fn keep(&mut self, key: Key, kept: Kept, options: &Options) {
        if self.signals.contains_key(&key) || self.signals.len() < options.signals {
            self.signals.insert(key, kept);
        } else {
            self.dropped += 1;
        }
    }

    pub(super) fn codes(&mut self, unit: u32, lamps: Option<Lamps>, codes: Vec<Dtc>) {
        self.codes.insert(unit, (lamps, codes));
    }

    /// Everything gathered; the window is empty afterwards.
    pub(super) fn take(&mut self, cause: Cause, raw_bytes: usize) -> Merged {
        let stamp = self.stamp.unwrap_or(Stamp::estimated(CanTime(0)));
        let raw = self.raw(raw_bytes);
        let diagnostics = self.diagnostics();
        let mut signals = Vec::with_capacity(self.signals.len());
        let mut best: BTreeMap<SignalId, ((usize, u8), usize)> = BTreeMap::new();
        self.known.clear();
        for (key, kept) in core::mem::take(&mut self.signals) {
            let (_, source, _) = key;
            let signal = match kept {
                Kept::Signal(signal) => signal,
                Kept::Sample(spn, raw, reading) => {
                    let sample = Sample { spn, raw, reading };
                    let Some(signal) = normalize::signal(&sample, source) else {
                        continue;
                    };
                    signal
                }
            };
            if is_number(&signal) {
                self.known.insert(key);
                let rank = preference(signal.id, source);
                let at = signals.len();
                best.entry(signal.id)
                    .and_modify(|best| {
                        if rank < best.0 {
                            *best = (rank, at);
                        }
                    })
                    .or_insert((rank, at));
            }
            signals.push(signal);
        }
        let preferred = best
            .values()
            .filter_map(|(_, at)| signals.get(*at).cloned())
            .collect();
        let fix = self.navigation.take();
        let taken = Self {
            known: core::mem::take(&mut self.known),
            navigation: core::mem::take(&mut self.navigation),
            ..Self::default()
        };
        let before = core::mem::replace(self, taken);
        Merged {
            frames: before.frames,
            unread: before.unread,
            failures: before.failures,
            dropped: before.dropped,
            cause,
            stamp,
            raw,
            signals,
            preferred,
            events: before.events,
            diagnostics,
            vin: before.vin,
            driver: before.driver,
            fix,
        }
    }

    fn diagnostics(&mut self) -> Option<Box<Diagnostics>> {
        if self.codes.is_empty() {
            return None;
        }
        let mut all = Diagnostics::default();
        let mut list = Vec::new();
        let single = self.codes.len() == 1;
        for (unit, (lamps, codes)) in core::mem::take(&mut self.codes) {
            if single {
                let [source, ..] = unit.to_le_bytes();
                all.source = Some(source);
            }
            if let Some(lamps) = lamps {
                all.message = Some("dm1".into());
                all.lamps = Some(all.lamps.map_or(lamps, |before| worst(before, lamps)));
            }
            list.extend(codes);
        }
        all.dtcs = Some(list);
        Some(Box::new(all))
    }

    fn raw(&self, limit: usize) -> Vec<u8> {
        let mut lines: Vec<(Stamp, Vec<CanFrame>)> = Vec::new();
        for (frame, stamp) in self.all.iter().chain(self.last.values()) {
            lines.push((*stamp, Vec::from([*frame])));
        }
        for ((.., data), (head, stamp)) in &self.long {
            if let Some(frames) = rebuilt(*head, data) {
                lines.push((*stamp, frames));
            }
        }
        lines.sort_by_key(|(stamp, _)| stamp.at);
        let mut text = alloc::string::String::new();
        for (stamp, frames) in lines {
            for frame in frames {
                let micros = stamp.at.as_micros();
                let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
                if text.len() + LINE > limit {
                    return text.into_bytes();
                }
                // Writing to a string does not fail.
                let _written = writeln!(text, "({seconds}.{micros:06}) can0 {frame}");
            }
        }
        text.into_bytes()
    }
}

/// Frames that carry a payload again. All of a message have one stamp: the packets' own are gone.
fn rebuilt(head: Head, data: &[u8]) -> Option<Vec<CanFrame>> {
    match head {
        Head::Group(id) if data.len() > 1785 => {
            encode::extended(id.source, id.destination, id.pgn, data).ok()
        }
        Head::Group(id) if id.destination == GLOBAL => {
            encode::broadcast(id.source, id.pgn, data).ok()
        }
        Head::Group(id) => encode::addressed(id.source, id.destination, id.pgn, data).ok(),
        Head::Can(id @ (CanId::Standard(_) | CanId::Extended(_))) => {
            encode::iso_tp(id, data, 0xCC).ok()
        }
    }
}
