//! From a message to reports: zones, units, validity, identity (feature `telemetry`).
//!
//! # A report's identity
//!
//! An id is made of the raw device time and a key: what stays the same when a device sends the
//! same fact again, and differs when it sends another one of the same second.
//!
//! | message | its key |
//! |---|---|
//! | with a position | number, position, upload mode, alarm, and what else makes it another fact: a card, a fence, inputs |
//! | with a time and no position | number and body |
//! | without a plausible time | where the frame arrived |
//!
//! Alarm is the code or, where that is 0, the terminal's alarm bits. Serial, re-upload flag and
//! checksum are never in a key, nor are message numbers that differ only between buffered and live
//! ones; nor, beside a position, are readings that a device may take anew (battery, mobile
//! signal, cells). Each message states its key.
//!
//! # Zones
//!
//! | numbers | zone |
//! |---|---|
//! | 22, 26, 27, 28, 2A, 2C, 8A, A0 to A5 | UTC |
//! | 10, 11, 12, 15, 16, 18, 1A, 21 | set by hand, detected, reported at login, else assumed UTC |
//! | others | set by hand, detected, else assumed UTC |

mod key;

pub use key::Key;

use alloc::vec::Vec;

use milepost_telemetry::{
    Coordinates, Course, Decoder, DeviceId, Fix, FixSource, IdentitySeed, Kind, Name, Origin,
    RawTime, Report, ReportId, Signal, Speed, Tenant, TimeSource, Timestamp, Voltage, Zone,
};

use crate::field::{DateTime, Gps, Position};
use crate::frame::Head;
pub(crate) use crate::text::hex;
use crate::{Checksum, Dialect, Message, Profile, Upload};

/// The names under which reports of this decoder go.
pub const DECODER: Decoder = Decoder::new("gt06", concat!("gt06/", env!("CARGO_PKG_VERSION")));

/// Identity of the reporting device, computed once per login.
#[derive(Debug, Clone)]
pub struct ReportSource {
    tenant: Option<Tenant>,
    device: Option<DeviceId>,
    seed: IdentitySeed,
}

impl ReportSource {
    /// A device of a tenant, as far as they are known.
    #[must_use]
    pub fn new(tenant: Option<Tenant>, device: Option<DeviceId>) -> Self {
        let seed = IdentitySeed::new(
            tenant.as_ref(),
            device.as_ref(),
            DECODER.protocol().as_str(),
        );
        Self {
            tenant,
            device,
            seed,
        }
    }

    /// The device, if it has named itself.
    #[must_use]
    pub const fn device(&self) -> Option<DeviceId> {
        self.device
    }
}

/// Until what the id is made of is known.
const NO_ID: ReportId = ReportId::from_bytes([0; 16]);

/// Where a message's reports are put. They are made where they stay: a report is large, and moving
/// one that was just written costs more than writing it.
pub type Reports = Vec<Report>;

/// Turns a message into reports, which are added to `out`.
#[inline]
pub fn normalize(message: &Message, cx: &Context<'_>, out: &mut Reports) {
    let first = out.len();
    message.normalize(cx, out);
    for report in out.iter_mut().skip(first) {
        note_measured_supply(report);
    }
}

/// A measured supply of a vehicle's voltage means that external power is connected, whatever a flag
/// reports: on many models the flag means "charging", which a full battery does not. The flag itself
/// stays in `charging`.
#[inline]
fn note_measured_supply(report: &mut Report) {
    let supply = report.power.external.map(Voltage::as_volts);
    if supply.is_some_and(|volts| (12.0..=30.0).contains(&volts)) {
        report.power.external_connected = Some(true);
    }
}

/// Turns what became of uploaded files into reports, after those of the message itself: a file
/// that is complete now, and uploads that were given up.
pub fn normalize_upload(message: &Message, upload: &Upload, cx: &Context<'_>, out: &mut Reports) {
    if let Some(whole) = &upload.completed {
        message.normalize_whole(cx, whole, out);
    }
    // The message's own reports come before, fewer than these indices.
    for (index, abandoned) in (0x1_0000..).zip(&upload.abandoned) {
        let report = cx.untimed(out, Kind::Media, index);
        report.more.media = Some(abandoned.media());
        let held = u32::try_from(abandoned.held).unwrap_or(u32::MAX);
        let held = Signal::named("gt06.upload_abandoned").number(held.into(), Some("B"));
        report.more.signals.push(held);
    }
}

/// What a message's reports need besides the message.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    head: &'a Head,
    profile: &'a Profile,
    source: &'a ReportSource,
    received_at: Timestamp,
    origin: Origin,
}

impl<'a> Context<'a> {
    /// The context of one frame: its head, what is known about the device, its identity, and
    /// when and where the frame arrived.
    #[must_use]
    pub const fn new(
        head: &'a Head,
        profile: &'a Profile,
        source: &'a ReportSource,
        received_at: Timestamp,
        origin: Origin,
    ) -> Self {
        Self {
            head,
            profile,
            source,
            received_at,
            origin,
        }
    }

    /// The family of devices.
    #[inline]
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.profile.dialect()
    }

    /// The dialect for a message whose content may itself identify the dialect.
    /// What is known about the device takes precedence.
    #[must_use]
    pub fn dialect_or(&self, reported: Option<Dialect>) -> Dialect {
        self.profile
            .known_dialect()
            .or(reported)
            .unwrap_or_default()
    }

    /// What is known about the device.
    #[must_use]
    pub const fn profile(&self) -> &Profile {
        self.profile
    }

    /// When the frame arrived.
    #[must_use]
    pub const fn received_at(&self) -> Timestamp {
        self.received_at
    }

    /// A report without a time of its own: the `index`-th of its frame.
    #[inline]
    pub fn untimed<'r>(&self, out: &'r mut Reports, kind: Kind, index: u32) -> &'r mut Report {
        let report = self.report(out, kind);
        report.id = self.untimed_id(index);
        report
    }

    /// A report with a device time. An impossible time is kept raw, and the report's time is its
    /// arrival.
    #[inline(always)]
    pub fn timed<'r>(
        &self,
        out: &'r mut Reports,
        kind: Kind,
        time: DateTime,
        key: &[u8],
        index: u32,
    ) -> &'r mut Report {
        let report = self.report(out, kind);
        let local = self.note_time(report, time);
        report.id = self.id(local, key, index);
        report
    }

    /// Notes a device's time; what it is as if it were UTC.
    #[inline(always)]
    fn note_time(&self, report: &mut Report, time: DateTime) -> Option<Timestamp> {
        report.raw_time = Some(raw_time(time));
        let local = time.to_unix().map(Timestamp::from_unix_u32)?;
        let (utc, zone) = self.in_utc(local);
        report.set_device_time(utc, TimeSource::Device, zone);
        Some(local)
    }

    /// The id of a report with this key at this time; without a time, of the `index`-th report of
    /// its frame.
    #[inline(always)]
    fn id(&self, time: Option<Timestamp>, key: &[u8], index: u32) -> ReportId {
        match time {
            Some(time) => ReportId::mint(self.source.seed, time, key),
            None => self.untimed_id(index),
        }
    }

    fn untimed_id(&self, index: u32) -> ReportId {
        let key = self.origin.key(index);
        ReportId::mint(self.source.seed, self.received_at, &key)
    }

    /// A report with a device time in seconds since 1970, which is UTC. Where `is_time` denies that
    /// it is one, it is kept raw, and the report's time is its arrival.
    pub fn timed_unix<'r>(
        &self,
        out: &'r mut Reports,
        kind: Kind,
        unix: u32,
        is_time: bool,
        key: &[u8],
        index: u32,
    ) -> &'r mut Report {
        let report = self.report(out, kind);
        report.raw_time = Some(RawTime::Unix(unix));
        let time = is_time.then(|| Timestamp::from_unix_u32(unix));
        if let Some(time) = time {
            report.set_device_time(time, TimeSource::Device, Zone::Utc);
        }
        report.id = self.id(time, key, index);
        report
    }

    /// A civil time of the device in UTC, and how its zone is known; `None` if there is no such
    /// time.
    #[must_use]
    pub fn utc(&self, time: DateTime) -> Option<(Timestamp, Zone)> {
        let local = time.to_unix().map(Timestamp::from_unix_u32)?;
        Some(self.in_utc(local))
    }

    /// A report with a position, at the position's time. Both belong to its key.
    #[inline(always)]
    pub fn positioned<'r>(
        &self,
        out: &'r mut Reports,
        kind: Kind,
        gps: &Gps,
        key: Key,
    ) -> &'r mut Report {
        self.positioned_at(out, kind, gps, gps.time(), key)
    }

    /// A report with a position, at a time that need not be the position's. Both belong to its
    /// key.
    #[inline(always)]
    pub fn positioned_at<'r>(
        &self,
        out: &'r mut Reports,
        kind: Kind,
        gps: &Gps,
        time: DateTime,
        key: Key,
    ) -> &'r mut Report {
        let report = self.report(out, kind);
        let local = self.note_time(report, time);
        let Some(fix) = fix(&gps.position()) else {
            return self.without_fix(report, gps, time, local, key);
        };
        let fix = report.fix.insert(fix);
        if fix.valid {
            fix.time = if time == gps.time() {
                report.device_time
            } else {
                self.utc(gps.time())
                    .map(|(utc, _)| utc)
                    .filter(|utc| utc.is_plausible_device_time(self.received_at))
            };
            if report.device_time.is_some() {
                report.time_source = TimeSource::Fix;
            }
        }
        self.identify(report, gps, time, local, key);
        report
    }

    /// A position off the Earth costs the fix, and nothing else: it is shown as it was sent.
    #[cold]
    #[inline(never)]
    fn without_fix<'r>(
        &self,
        report: &'r mut Report,
        gps: &Gps,
        time: DateTime,
        local: Option<Timestamp>,
        key: Key,
    ) -> &'r mut Report {
        let position = gps.position();
        if !position.is_nowhere() {
            let raw = [position.raw_latitude, position.raw_longitude].map(u32::to_be_bytes);
            note_bytes(report, "gt06.position_out_of_range", raw.as_flattened());
        }
        self.identify(report, gps, time, local, key);
        report
    }

    /// What a position has besides the fix, and the report's id.
    #[inline(always)]
    fn identify(
        &self,
        report: &mut Report,
        gps: &Gps,
        time: DateTime,
        local: Option<Timestamp>,
        key: Key,
    ) {
        let position = &gps.position();
        if let Some(on) = position.course_status.ignition() {
            report
                .io
                .note_ignition(on, milepost_telemetry::IgnitionSource::CourseBits);
        }
        // What takes longest is waited for last.
        let key = key.position(position);
        match local {
            Some(local) if time == gps.time() => {
                report.id = ReportId::mint(self.source.seed, local, &key.to_bytes());
            }
            _ => self.identify_rare(report, gps, time, local, key),
        }
    }

    /// The id where there is no plausible time, or where it is not the position's.
    #[cold]
    #[inline(never)]
    fn identify_rare(
        &self,
        report: &mut Report,
        gps: &Gps,
        time: DateTime,
        local: Option<Timestamp>,
        key: Key,
    ) {
        report.id = if time == gps.time() {
            self.id(local, &key.to_bytes(), 0)
        } else {
            self.id(local, &key.with_time(gps.time()), 0)
        };
    }

    /// A report with a position, at the position's time, where more than [`Key`] holds makes it
    /// another fact.
    pub fn positioned_with<'r>(
        &self,
        out: &'r mut Reports,
        kind: Kind,
        gps: &Gps,
        key: Key,
        more: &[u8],
    ) -> &'r mut Report {
        let report = self.positioned(out, kind, gps, key);
        self.distinguish(report, gps, gps.time(), key, more);
        report
    }

    /// Adds what else distinguishes facts of the same time and place to a positioned
    /// report's id; without bytes the id stays.
    #[cold]
    pub fn distinguish(
        &self,
        report: &mut Report,
        gps: &Gps,
        time: DateTime,
        key: Key,
        more: &[u8],
    ) {
        let local = time.to_unix().map(Timestamp::from_unix_u32);
        if more.is_empty() || local.is_none() {
            return;
        }
        let key = key.position(&gps.position());
        let mut bytes = if time == gps.time() {
            key.to_bytes().to_vec()
        } else {
            key.with_time(gps.time()).to_vec()
        };
        bytes.extend_from_slice(more);
        report.id = self.id(local, &bytes, 0);
    }

    /// Notes bytes that no manual describes, so that they are seen.
    #[inline]
    pub fn note_tail(&self, report: &mut Report, tail: &[u8]) {
        if !tail.is_empty() {
            note_bytes(report, "gt06.tail", tail);
        }
    }

    #[inline(always)]
    fn report<'r>(&self, out: &'r mut Reports, kind: Kind) -> &'r mut Report {
        // Made where it stays: what is pushed is made first and then moved.
        out.extend(core::iter::once_with(|| {
            Report::new(NO_ID, DECODER, kind, self.received_at)
        }));
        let Some(report) = out.last_mut() else {
            unreachable!()
        };
        report.dialect = Some(Name::new(self.dialect().name()));
        report.tenant = self.source.tenant;
        report.device = self.source.device;
        report.sequence = self.head.serial().map(u32::from);
        report.checksum = match self.head.checksum() {
            Checksum::Valid => milepost_telemetry::Checksum::Valid,
            Checksum::Mismatch => milepost_telemetry::Checksum::Mismatch,
            Checksum::Absent => milepost_telemetry::Checksum::Absent,
        };
        report
    }

    /// A device's time, read as if it were UTC, in UTC.
    #[inline]
    fn in_utc(&self, local: Timestamp) -> (Timestamp, Zone) {
        let (minutes, zone) = self.zone();
        if minutes == 0 {
            return (local, zone);
        }
        (local.offset_millis(i64::from(minutes) * -60_000), zone)
    }

    #[inline]
    fn zone(&self) -> (i16, Zone) {
        let zones = &self.profile.zones;
        if *IS_UTC
            .get(usize::from(self.head.number()))
            .unwrap_or(&false)
        {
            return (0, Zone::Utc);
        }
        if let Some(minutes) = zones.configured {
            return (minutes, Zone::Configured);
        }
        if let Some(minutes) = zones.detected {
            return (minutes, Zone::Detected);
        }
        match (self.head.number(), zones.login) {
            (0x10..=0x12 | 0x15 | 0x16 | 0x18 | 0x1a | 0x21, Some(minutes)) => {
                (minutes, Zone::Login)
            }
            _ => (0, Zone::Assumed),
        }
    }
}

/// The numbers whose times are UTC by the manuals.
#[expect(clippy::indexing_slicing, reason = "worked out by the compiler")]
static IS_UTC: [bool; 256] = {
    let mut is_utc = [false; 256];
    let mut number = 0;
    while number < 256 {
        is_utc[number] = matches!(
            number,
            0x22 | 0x26..=0x28 | 0x2a | 0x2c | 0x8a | 0xa0..=0xa5
        );
        number += 1;
    }
    is_utc
};

/// A device's time exactly as sent.
#[inline]
#[must_use]
pub fn raw_time(time: DateTime) -> RawTime {
    RawTime::Civil {
        year: u16::from(time.year()).saturating_add(2_000),
        month: time.month(),
        day: time.day(),
        hour: time.hour(),
        minute: time.minute(),
        second: time.second(),
    }
}

/// The fix of a position. None is invented from zeros, and none that is not on Earth.
#[inline(always)]
#[must_use]
pub fn fix(position: &Position) -> Option<Fix> {
    if position.is_nowhere() {
        return None;
    }
    let bits = position.course_status;
    let latitude = steps_to_e7(position.raw_latitude, !bits.is_north());
    let longitude = steps_to_e7(position.raw_longitude, bits.is_west());
    let coordinates = Coordinates::from_e7(latitude, longitude).ok()?;
    let mut fix = Fix::new(coordinates, bits.is_positioned(), FixSource::Gnss);
    fix.speed = Some(Speed::from_whole_kmh(position.raw_speed));
    fix.course = Course::from_whole_degrees(bits.raw_course()).ok();
    fix.satellites = Some(position.satellites());
    Some(fix)
}

/// 1 / 1 800 000 degrees to 1 / 10 000 000, rounded to nearest.
#[inline]
const fn steps_to_e7(steps: u32, negative: bool) -> i64 {
    let e7 = (steps as u64 * 100 + 9) / 18;
    let e7 = e7.cast_signed();
    if negative { -e7 } else { e7 }
}

#[cold]
pub(crate) fn note_bytes(report: &mut Report, name: &'static str, bytes: &[u8]) {
    report
        .more
        .signals
        .push(Signal::named(name).text(hex(bytes)));
}

#[cfg(test)]
mod tests;
