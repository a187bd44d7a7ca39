//! From a message to reports: units, zone, validity, identity (feature `telemetry`).
//!
//! # A report's identity
//!
//! An id is made of the raw device time and a key.
//!
//! | kind | in the key | not in the key |
//! |---|---|---|
//! | tracking, batch records | packet type, alert id (1 and 2 count as one), position, ignition, inputs, outputs, emergency flag | frame number, `L` or `H`, voltages, signal, cells |
//! | emergency | `EMR` or `SEM`, position | the same |
//! | others with a time | kind, position, text | |
//! | without a plausible time | where the packet arrived | |
//!
//! # Times
//!
//! Devices are to send UTC. A zone that is set by hand, or that was found by comparing live packets
//! with their arrival, is taken off; the report says so in `zone`.

use milepost_telemetry::{
    Altitude, Cell, CommandAnswer, Coordinates, Course, Decoder, DeviceId, Dop, Event, EventKind,
    Fix, FixSource, IdentitySeed, IgnitionSource, Incident, Odometer, Origin, Percent, Radio,
    RawTime, Report, ReportId, Signal, SignalId, Speed, Switches, Tenant, TimeSource, Timestamp,
    Voltage, Zone,
};

use crate::dialect::{Dialect, Kind, Meaning};
use crate::incident::{Mark, meaning};
use crate::profile::Checksum;
use crate::record::{Alarm, Record};
use crate::session::Handled;
use crate::text::{Bits, Text};
use crate::{Message, command};

/// The names under which reports of this decoder go.
pub const DECODER: Decoder = Decoder::new("ais140", concat!("ais140/", env!("CARGO_PKG_VERSION")));

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
        let protocol = DECODER.protocol();
        let seed = IdentitySeed::new(tenant.as_ref(), device.as_ref(), protocol.as_str());
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

/// When and where a packet arrived.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// When.
    pub at: Timestamp,
    /// Which packet of which connection.
    pub origin: Origin,
}

/// Appends the reports of a packet to `out`: one, or one for each record of a batch; none for what
/// could not be read or comes from a server.
pub fn normalize(
    handled: &Handled,
    source: &ReportSource,
    arrival: Arrival,
    out: &mut Vec<Report>,
) {
    let Ok(message) = &handled.message else {
        return;
    };
    if message.is_from_server() {
        return;
    }
    let context = Context {
        handled,
        message,
        source,
        arrival,
    };
    for (at, record) in message.records().enumerate() {
        let index = u32::try_from(at).unwrap_or(u32::MAX);
        out.push(context.report(record, index));
    }
}

/// What a message's reports have in common.
#[derive(Clone, Copy)]
struct Context<'a> {
    handled: &'a Handled,
    message: &'a Message,
    source: &'a ReportSource,
    arrival: Arrival,
}

impl Context<'_> {
    fn report(&self, record: &Record, index: u32) -> Report {
        let dialect = &*self.message.dialect;
        let meaning = meaning(record, dialect);
        let mut report = Report::new(
            ReportId::from_bytes([0; 16]),
            DECODER,
            kind(self.message.kind, record, meaning),
            self.arrival.at,
        );
        report.dialect = Some(dialect.label);
        report.tenant = self.source.tenant;
        report.device = self.source.device;
        report.checksum = match self.handled.checksum {
            Checksum::Valid => milepost_telemetry::Checksum::Valid,
            Checksum::Mismatch => milepost_telemetry::Checksum::Mismatch,
            Checksum::Absent => milepost_telemetry::Checksum::Absent,
            Checksum::Unverified => milepost_telemetry::Checksum::Unverified,
        };
        report.sequence = record.frame;
        let coordinates = coordinates(record);
        self.time(&mut report, record, coordinates, index);
        fix(&mut report, record, coordinates);
        power(&mut report, record);
        network(&mut report, record);
        switches(&mut report, record, dialect);
        report.odometer = record
            .odometer_m
            .and_then(|m| Odometer::from_metres(m).ok());
        identity(&mut report, record);
        self.events(&mut report, record, meaning, index);
        signals(&mut report, record);
        self.texts(&mut report, record, meaning);
        report
    }

    /// The time, and the id that is made of it.
    fn time(&self, report: &mut Report, record: &Record, place: Option<Coordinates>, index: u32) {
        let mut local = None;
        if let Some(t) = record.time {
            let raw = RawTime::Civil {
                year: t.year,
                month: t.month,
                day: t.day,
                hour: t.hour,
                minute: t.minute,
                second: t.second,
            };
            report.raw_time = Some(raw);
            local = t.to_unix().map(Timestamp::from_unix);
            if let Some(local) = local {
                let (minutes, zone) = match self.handled.zone {
                    Some((minutes, true)) => (minutes, Zone::Configured),
                    Some((minutes, false)) => (minutes, Zone::Detected),
                    None => (0, Zone::Utc),
                };
                let utc = local.offset_millis(i64::from(minutes) * -60_000);
                let source = if record.fix == Some(true) && place.is_some() {
                    TimeSource::Fix
                } else {
                    TimeSource::Device
                };
                report.set_device_time(utc, source, zone);
            }
        }
        report.id = match local {
            Some(local) => {
                let mut key = Key::default();
                self.key(&mut key, record, place);
                ReportId::mint(self.source.seed, local, key.as_slice())
            }
            None => {
                let key = self.arrival.origin.key(index);
                ReportId::mint(self.source.seed, self.arrival.at, &key)
            }
        };
    }

    /// What stays the same when a device sends the same fact again.
    fn key(&self, key: &mut Key, record: &Record, place: Option<Coordinates>) {
        let kind = match self.message.kind {
            Kind::Tracking => 1,
            Kind::Emergency => 2,
            Kind::Login => 3,
            Kind::Health => 4,
            Kind::Heartbeat => 5,
            Kind::Ota => 6,
            Kind::Activation => 7,
            _ => 8,
        };
        key.push(&[kind]);
        match place {
            Some(place) => {
                key.push(&place.latitude_e7().to_be_bytes());
                key.push(&place.longitude_e7().to_be_bytes());
            }
            None => key.push(&[0xff]),
        }
        if let Some(alarm) = record.alarm() {
            key.push(&[match alarm {
                Alarm::Emergency => 1,
                Alarm::End => 2,
            }]);
            return;
        }
        let flag = |flag: Option<bool>| match flag {
            None => 0,
            Some(false) => 1,
            Some(true) => 2,
        };
        let alert = match record.alert {
            Some(2) => 1,
            other => other.unwrap_or(0),
        };
        key.push(record.packet_type.as_bytes());
        key.push(&alert.to_be_bytes());
        key.push(&[flag(record.ignition), flag(record.emergency)]);
        for bits in [record.inputs, record.outputs] {
            key.push(&[bits.len()]);
            key.push(&bits.printed().to_be_bytes());
        }
        // Two answers of one second are two facts.
        if let Some(more) = &record.more {
            for text in [&more.ota, &more.parameters, &more.sender] {
                if text.as_bytes().len() > 2 {
                    key.push(text.as_bytes());
                }
            }
        }
    }

    fn events(&self, report: &mut Report, record: &Record, meaning: Meaning, index: u32) {
        let code = record.alert.map(u32::from);
        let mark = self
            .handled
            .incidents
            .iter()
            .find(|(at, _)| u32::try_from(*at) == Ok(index))
            .map(|(_, mark)| match mark {
                Mark::Begin => Incident::Begin,
                Mark::Repeat => Incident::Repeat,
                Mark::End => Incident::End,
            });
        if let Some(mark) = mark {
            let mut event = Event::by_device(EventKind::Sos, code);
            event.incident = Some(mark);
            report.more.events.push(event);
        }
        let kinds: &[EventKind] = match meaning {
            // The incident above, or nothing.
            Meaning::EmergencyOn | Meaning::EmergencyOff | Meaning::Position => &[],
            Meaning::ParametersChanged => &[EventKind::SettingsChanged],
            Meaning::PowerCut => &[EventKind::PowerCut],
            Meaning::PowerRestored => &[EventKind::PowerRestored],
            Meaning::LowBattery => &[EventKind::LowBattery],
            Meaning::LowBatteryEnd => &[EventKind::LowBatteryEnd],
            Meaning::IgnitionOn => &[EventKind::IgnitionOn],
            Meaning::IgnitionOff => &[EventKind::IgnitionOff],
            Meaning::Tamper => &[EventKind::Tamper],
            Meaning::HarshBraking => &[EventKind::HarshBraking],
            Meaning::HarshAcceleration => &[EventKind::HarshAcceleration],
            Meaning::HarshCornering => &[EventKind::HarshCornering],
            Meaning::Overspeed => &[EventKind::Overspeed],
            Meaning::GeofenceEnter => &[EventKind::GeofenceEnter],
            Meaning::GeofenceExit => &[EventKind::GeofenceExit],
            Meaning::OverspeedEnter => &[EventKind::Overspeed, EventKind::GeofenceEnter],
            Meaning::OverspeedExit => &[EventKind::Overspeed, EventKind::GeofenceExit],
            Meaning::Tilt => &[EventKind::Tilt],
            Meaning::Collision => &[EventKind::Collision],
            Meaning::Tow => &[EventKind::Tow],
            Meaning::CardSwiped => &[EventKind::CardSwiped],
            Meaning::Idling => &[EventKind::Idling],
            // A type that no table knows, without an id, says nothing that could be kept as a code.
            Meaning::Unknown if code.is_none() => &[],
            Meaning::Unknown => &[EventKind::Unknown],
        };
        for kind in kinds {
            report.more.events.push(Event::by_device(*kind, code));
        }
    }

    /// Answers to commands, and packets that have no fields.
    fn texts(&self, report: &mut Report, record: &Record, meaning: Meaning) {
        if !self.message.text.is_empty() {
            report.more.raw = Some(self.message.text.as_bytes().into());
            return;
        }
        let Some(more) = &record.more else { return };
        let is_answer = meaning == Meaning::ParametersChanged
            || matches!(self.message.kind, Kind::Ota | Kind::Activation);
        let answer = [&more.ota, &more.parameters, &more.activation]
            .into_iter()
            .find(|text| !text.is_empty() && **text != *"()");
        let Some(answer) = answer else { return };
        let text = answer.to_boxed_str();
        if is_answer {
            let mut found = CommandAnswer::new(text.clone());
            found.verb = command::subject(&text).map(Into::into);
            report.more.answer = Some(found);
        }
        report.more.text = Some(text);
    }
}

fn kind(kind: Kind, record: &Record, meaning: Meaning) -> milepost_telemetry::Kind {
    use milepost_telemetry::Kind as Report;
    match kind {
        Kind::Login => Report::Login,
        Kind::Emergency => Report::Emergency,
        Kind::Health => Report::Health,
        Kind::Heartbeat => Report::Heartbeat,
        Kind::Ota | Kind::Activation => Report::CommandReply,
        Kind::Tracking => match meaning {
            _ if record.emergency == Some(true) => Report::Alarm,
            Meaning::Position => Report::Location,
            Meaning::ParametersChanged => Report::CommandReply,
            Meaning::Unknown if record.alert.is_none_or(|alert| alert <= 2) => Report::Location,
            _ => Report::Alarm,
        },
        Kind::Command | Kind::Foreign | Kind::Unknown => Report::Unknown,
    }
}

fn coordinates(record: &Record) -> Option<Coordinates> {
    Coordinates::from_degrees(record.latitude?, record.longitude?).ok()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "quantities are single precision"
)]
const fn narrow(value: f64) -> f32 {
    value as f32
}

fn fix(report: &mut Report, record: &Record, coordinates: Option<Coordinates>) {
    let Some(coordinates) = coordinates else {
        return;
    };
    let is_zero = coordinates.latitude_e7() == 0 && coordinates.longitude_e7() == 0;
    let has_fix = record.fix == Some(true) && !is_zero;
    // A login states the last position it had, without a time.
    let is_stated = record.fix.is_none();
    let source = if has_fix || is_zero {
        FixSource::Gnss
    } else {
        FixSource::LastKnown
    };
    let mut fix = Fix::new(
        coordinates,
        has_fix || is_stated && !is_zero && record.time.is_some(),
        source,
    );
    if has_fix {
        fix.time = report.device_time;
    }
    fix.altitude = record
        .altitude
        .and_then(|v| Altitude::from_metres(narrow(v)).ok());
    fix.speed = record.speed.and_then(|v| Speed::from_kmh(narrow(v)).ok());
    fix.course = record
        .heading
        .and_then(|v| Course::from_degrees(narrow(v)).ok());
    fix.satellites = record.satellites;
    fix.hdop = record.hdop.and_then(|v| Dop::new(narrow(v)).ok());
    fix.pdop = record.pdop.and_then(|v| Dop::new(narrow(v)).ok());
    fix.live = record.live;
    report.fix = Some(fix);
}

fn power(report: &mut Report, record: &Record) {
    let volts = |v: f64| Voltage::from_volts(narrow(v)).ok();
    report.power.external_connected = record.main_power;
    report.power.external = record.main_volts.and_then(volts);
    report.power.battery = record.battery_volts.and_then(volts);
    if let Some(more) = &record.more {
        report.power.battery_charge = more.battery_pct.and_then(|v| Percent::new(narrow(v)).ok());
    }
}

fn network(report: &mut Report, record: &Record) {
    if let Some(csq @ 0..=31) = record.gsm {
        report.network.signal = Percent::new(f32::from(csq) * 100.0 / 31.0).ok();
        report.network.signal_dbm = Some(i16::from(csq) * 2 - 113);
    }
    if !record.operator.is_empty() {
        report.more.operator = Some(record.operator.to_boxed_str());
    }
    let radio = |is_wide: bool| if is_wide { Radio::Lte } else { Radio::Gsm };
    let cells = &record.cells;
    // History of some makers keeps no cells: zeros all over.
    let (Some(mcc), Some(mnc)) = (cells.mcc.filter(|mcc| *mcc > 0), cells.mnc) else {
        // TranSync states no country.
        return;
    };
    if let (Some(lac), Some(cell_id)) = (cells.lac, cells.cell) {
        report.push_cell(Cell {
            radio: radio(cells.is_wide),
            serving: true,
            mcc,
            mnc,
            lac,
            cell_id,
            signal_dbm: None,
        });
    }
    let neighbours = record.neighbours.as_slice();
    report.more.cells.reserve_exact(neighbours.len());
    for neighbour in neighbours {
        let Some(lac) = neighbour.lac else { continue };
        report.push_cell(Cell {
            radio: radio(neighbour.is_wide),
            serving: false,
            mcc,
            mnc,
            lac,
            cell_id: neighbour.cell,
            // Positive values are CSQ, RxLev or a loss, by maker.
            signal_dbm: neighbour.signal.filter(|s| *s < 0),
        });
    }
}

fn switches(report: &mut Report, record: &Record, dialect: &Dialect) {
    let row = |bits: Bits| {
        let value = if dialect.is_last_input_first {
            bits.reversed()
        } else {
            bits.printed()
        };
        Switches::from_bits(value.into(), bits.len())
    };
    report.io.inputs = row(record.inputs);
    report.io.outputs = row(record.outputs);
    if let Some(on) = record.ignition {
        report.io.note_ignition(on, IgnitionSource::Field);
    }
}

fn identity(report: &mut Report, record: &Record) {
    let text = |text: &Text| (!text.is_empty()).then(|| text.to_boxed_str());
    if !record.vendor.is_empty() || !record.firmware.is_empty() || !record.registration.is_empty() {
        let identity = report.identity_mut();
        identity.vendor = text(&record.vendor);
        identity.firmware = text(&record.firmware);
        identity.registration = text(&record.registration);
    }
    if let Some(more) = &record.more
        && !(more.iccid.is_empty() && more.imsi.is_empty())
    {
        let identity = report.identity_mut();
        identity.iccid = text(&more.iccid);
        identity.imsi = text(&more.imsi);
    }
}

/// A signal of this decoder. (The dot is where it always is: nothing is searched.)
#[inline]
fn named(id: &'static str) -> Signal {
    let name = id.strip_prefix("ais140.").unwrap_or(id);
    Signal::new(SignalId::named(id), name)
}

/// Values without a place of their own.
fn signals(report: &mut Report, record: &Record) {
    let tamper = match record.tamper {
        Some(b'O') => Some(true),
        Some(b'C') => Some(false),
        _ => None,
    };
    // One list of the right size: nearly all packets have two or three.
    let few = record.analog.as_slice().len() + usize::from(tamper.is_some()) + 1;
    let mut add = |signal: Signal| {
        let signals = &mut report.more.signals;
        if signals.capacity() == 0 {
            signals.reserve_exact(few);
        }
        signals.push(signal);
    };
    if let Some(open) = tamper {
        add(named("ais140.box_open").bool(open));
    }
    const ANALOG: [&str; 6] = [
        "ais140.analog_1",
        "ais140.analog_2",
        "ais140.analog_3",
        "ais140.analog_4",
        "ais140.analog_5",
        "ais140.analog_6",
    ];
    for (name, value) in ANALOG.into_iter().zip(record.analog.as_slice()) {
        add(named(name).number(*value, Some("V")));
    }
    let neighbours = record.neighbours.as_slice();
    let without_area = neighbours.iter().any(|n| n.lac.is_none());
    if neighbours.iter().any(|n| n.signal.is_some_and(|s| s >= 0)) || without_area {
        add(named("ais140.neighbours").text(neighbour_text(neighbours)));
    }
    let Some(more) = &record.more else { return };
    const AXES: [&str; 6] = [
        "ais140.acceleration_1",
        "ais140.acceleration_2",
        "ais140.acceleration_3",
        "ais140.acceleration_4",
        "ais140.acceleration_5",
        "ais140.acceleration_6",
    ];
    for (name, value) in AXES.into_iter().zip(more.accelerations.as_slice()) {
        add(named(name).number(*value, None));
    }
    let numbers = [
        ("ais140.distance", more.distance, None),
        ("ais140.distance_delta", more.delta, Some("m")),
        ("ais140.low_battery_threshold", more.low_pct, Some("%")),
        ("ais140.memory_used", more.memory_pct, Some("%")),
        ("ais140.memory_2_used", more.memory2_pct, Some("%")),
        ("ais140.interval_ignition_on", more.interval_on, Some("s")),
        ("ais140.interval_ignition_off", more.interval_off, Some("s")),
    ];
    for (name, value, unit) in numbers {
        if let Some(value) = value {
            add(named(name).number(value, unit));
        }
    }
    let mode = more.mode.map(|mode| match mode {
        b'M' => "moving",
        b'H' => "halted",
        _ => "sleeping",
    });
    if let Some(mode) = mode {
        add(named("ais140.mode").text(mode));
    }
    let texts = [
        ("ais140.geofence", &more.geofence),
        ("ais140.provider", &more.provider),
        ("ais140.reply_number", &more.reply),
        ("ais140.protocol", &more.protocol),
        ("ais140.command_source", &more.source),
        ("ais140.command_sender", &more.sender),
        ("ais140.extra", &more.extra),
    ];
    for (name, text) in texts {
        if !text.is_empty() {
            add(named(name).text(text.to_boxed_str()));
        }
    }
    if !more.block.is_empty() {
        add(named("ais140.switches").text(more.block.to_string()));
    }
    if !more.missing.is_empty() {
        let names: Vec<_> = more.missing.iter().map(|field| field.name()).collect();
        add(named("ais140.missing").text(names.join(" ")));
    }
}

/// `61b4/9adb:31 …`: neighbours with their signals as printed.
fn neighbour_text(neighbours: &[crate::neighbour::Neighbour]) -> Box<str> {
    let mut text = Row::default();
    for n in neighbours {
        if text.len > 0 {
            text.push(b' ');
        }
        if let Some(lac) = n.lac {
            text.hex(lac.into());
            text.push(b'/');
        }
        text.hex(n.cell);
        if let Some(signal) = n.signal {
            text.push(b':');
            if signal < 0 {
                text.push(b'-');
            }
            text.decimal(signal.unsigned_abs());
        }
    }
    let text = text.bytes.get(..text.len).unwrap_or_default();
    core::str::from_utf8(text).unwrap_or_default().into()
}

/// Six neighbours: 8, 16 and 5 digits and what stands between. (Formatting four neighbours would
/// cost as much as reading the packet.)
struct Row {
    len: usize,
    bytes: [u8; 6 * 34],
}

impl Default for Row {
    fn default() -> Self {
        Self {
            len: 0,
            bytes: [0; 6 * 34],
        }
    }
}

impl Row {
    #[inline]
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }

    /// In lower case, without leading zeros.
    fn hex(&mut self, value: u64) {
        let mut shift = value.checked_ilog2().unwrap_or(0) & !3;
        loop {
            let digit = u8::try_from(value >> shift & 0xf).unwrap_or(0);
            self.push(if digit < 10 { b'0' } else { b'a' - 10 } + digit);
            if shift == 0 {
                return;
            }
            shift -= 4;
        }
    }

    fn decimal(&mut self, value: u16) {
        let digit = |value: u16| b'0' + u8::try_from(value % 10).unwrap_or(0);
        // Divisors that the compiler knows become multiplications.
        let digits = [
            digit(value / 10_000),
            digit(value / 1_000),
            digit(value / 100),
            digit(value / 10),
            digit(value),
        ];
        let blank = match value {
            0..10 => 4,
            10..100 => 3,
            100..1_000 => 2,
            1_000..10_000 => 1,
            _ => 0,
        };
        for digit in digits.into_iter().skip(blank) {
            self.push(digit);
        }
    }
}

/// A key that is put together inline; what goes beyond is left out by a mark.
struct Key {
    len: usize,
    bytes: [u8; 96],
}

impl Default for Key {
    fn default() -> Self {
        Self {
            len: 0,
            bytes: [0; 96],
        }
    }
}

impl Key {
    fn push(&mut self, part: &[u8]) {
        let room = self.bytes.get_mut(self.len..).unwrap_or_default();
        // A long text goes in as a sum.
        if part.len() > 24 || part.len() > room.len() {
            let sum = crate::checksum::Algorithm::Crc32.over(part).to_be_bytes();
            for (place, byte) in room.iter_mut().zip(sum) {
                *place = byte;
                self.len += 1;
            }
            return;
        }
        for (place, byte) in room.iter_mut().zip(part) {
            *place = *byte;
            self.len += 1;
        }
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}
