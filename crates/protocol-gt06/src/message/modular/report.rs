//! 0x70 as reports: one for each position, or one without.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bytes::BytesMut;
use milepost_telemetry::{
    Altitude, Cell, Dop, Event, EventKind, FixSource, Kind, MacAddress, Percent, Radio, Report,
    Signal, TimeSource, Timestamp, WifiStation,
};

use super::{Modular, Module, ModulePosition};
use crate::field::{TerminalId, dbm};
use crate::normalize::{Context, Reports, note_bytes};

pub(super) fn normalize(modular: &Modular, cx: &Context<'_>, out: &mut Reports) {
    let mut positions = modular
        .modules
        .iter()
        .filter(|module| module.id == Module::POSITION)
        .filter_map(|module| ModulePosition::read(&module.data));
    let first = positions.next();
    let more = positions.next();
    let sent_at = modular
        .modules
        .iter()
        .find_map(|module| match (module.id, &module.data[..]) {
            (Module::TIME, &[a, b, c, d]) => Some(u32::from_be_bytes([a, b, c, d])),
            _ => None,
        });

    let report = match &first {
        Some(position) => {
            let facts = facts(modular, Some((position, more.is_none())));
            positioned(cx, out, position, sent_at, (0, 0), &facts)
        }
        None => unpositioned(cx, out, sent_at, &facts(modular, None)),
    };
    for Module { id, data } in &modular.modules {
        note_module(report, *id, data);
    }
    if !report.more.events.is_empty() {
        report.kind = Kind::Alarm;
    } else if report.fix.is_none() && report.cells().next().is_some() {
        report.kind = Kind::Cells;
    }
    cx.note_tail(report, &modular.tail);
    // How many of the same position and time have been.
    let mut alike = BTreeMap::new();
    let of = |position: &ModulePosition| {
        let key = crate::normalize::Key::new(0x70).position(&position.position);
        (position.unix, key.to_bytes())
    };
    if let (Some(first), Some(_)) = (&first, &more) {
        alike.insert(of(first), 1_u16);
    }
    for (index, position) in (1..).zip(more.into_iter().chain(positions)) {
        let repeats = alike.entry(of(&position)).or_default();
        positioned(cx, out, &position, sent_at, (index, *repeats), &[]);
        *repeats = repeats.saturating_add(1);
    }
}

/// What of the modules makes the report another fact: all where there is no position. Beside a
/// position what describes it, the device and its surroundings does not. The time of the report
/// does where it is another one than that of the only position, as of a parked device: in a
/// batch it is when the batch was sent. How often and how something is sent again never does.
fn facts(modular: &Modular, position: Option<(&ModulePosition, bool)>) -> Vec<u8> {
    let mut facts = BytesMut::new();
    for module in &modular.modules {
        let data = &module.data;
        let is_fact = match (module.id, position) {
            (0x0029 | 0x0035 | Module::REPLY_WANTED, _) => false,
            (_, None) => true,
            (Module::TIME, Some((position, is_only))) => {
                is_only && data[..] != position.unix.to_be_bytes()
            }
            (Module::POSITION, Some(_)) => ModulePosition::read(data).is_none(),
            (0x0000..=0x0003 | 0x0009..=0x000b | 0x0011 | 0x0012 | 0x0016 | 0x0018, _) => false,
            (0x0028 | 0x002e | 0x0030 | 0x0043 | 0x0044, _) => false,
            _ => true,
        };
        if is_fact {
            module.encode(&mut facts);
        }
    }
    facts.extend_from_slice(&modular.tail);
    facts.to_vec()
}

/// A time that a device can have: not 0, and not that of a clock that was never set.
fn is_time(unix: u32) -> bool {
    const YEAR_2000: u32 = 946_684_800;
    unix >= YEAR_2000
}

fn positioned<'r>(
    cx: &Context<'_>,
    out: &'r mut Reports,
    from: &ModulePosition,
    sent_at: Option<u32>,
    (index, repeats): (u32, u16),
    facts: &[u8],
) -> &'r mut Report {
    let mut key = crate::normalize::Key::new(0x70).position(&from.position);
    if repeats > 0 {
        // Nothing else distinguishes them.
        key = key.index(repeats);
    }
    let time = Some(from.unix)
        .filter(|unix| is_time(*unix))
        .or(sent_at)
        .or(Some(from.unix));
    let key = [&key.to_bytes(), facts].concat();
    let report = timed(cx, out, Kind::Location, time, &key, index);
    if let Some(mut fix) = crate::normalize::fix(&from.position) {
        fix.altitude = Altitude::from_metres(from.altitude.into()).ok();
        if fix.valid && is_time(from.unix) {
            fix.time = Some(Timestamp::from_unix(from.unix.into()));
            report.time_source = TimeSource::Fix;
        }
        report.fix = Some(fix);
    } else {
        report.kind = Kind::Status;
        // Zeros are no place; what is none on Earth is shown as it was sent.
        if !from.position.is_nowhere() {
            crate::field::note_raw_item(report, Module::POSITION, &from.to_module().data);
        }
    }
    if let Some(on) = from.position.course_status.ignition() {
        report
            .io
            .note_ignition(on, milepost_telemetry::IgnitionSource::CourseBits);
    }
    report
}

fn unpositioned<'r>(
    cx: &Context<'_>,
    out: &'r mut Reports,
    sent_at: Option<u32>,
    facts: &[u8],
) -> &'r mut Report {
    let key = [&crate::normalize::Key::new(0x70).to_bytes(), facts].concat();
    timed(cx, out, Kind::Status, sent_at, &key, 0)
}

fn timed<'r>(
    cx: &Context<'_>,
    out: &'r mut Reports,
    kind: Kind,
    time: Option<u32>,
    key: &[u8],
    index: u32,
) -> &'r mut Report {
    match time.filter(|time| *time != 0) {
        Some(time) => cx.timed_unix(out, kind, time, is_time(time), key, index),
        // There is no time, not even a wrong one.
        None => cx.untimed(out, kind, index),
    }
}

/// What an event of module 0034 is; `None` for the ordinary reasons of an upload.
const fn event_kind(code: u8) -> Option<EventKind> {
    Some(match code {
        0x00 | 0x02 | 0x06 | 0x0e | 0x11 => return None,
        0x10 => EventKind::Door,
        0x12 => EventKind::Removed,
        0x14 => EventKind::GeofenceEnter,
        0x15 => EventKind::GeofenceExit,
        0x16 => EventKind::Temperature,
        0x1a => EventKind::LowBattery,
        0x1b => EventKind::Overspeed,
        0x1c => EventKind::PowerOn,
        0x1d => EventKind::PowerOff,
        0x20 => EventKind::Vibration,
        0x21 => EventKind::PowerCut,
        0x23 => EventKind::Tamper,
        _ => EventKind::Unknown,
    })
}

fn note_module(report: &mut Report, id: u16, data: &[u8]) {
    let number = |name, value: f64, unit| Signal::named(name).number(value, unit);
    let one = |name, value: u8| number(name, value.into(), None);
    match (id, data) {
        // Noted before, or of no use to anybody after the wire.
        (Module::POSITION, _) if data.len() == 18 => {}
        (Module::TIME, &[_, _, _, _]) | (Module::REPLY_WANTED, _) => {}
        (0x0000, &[kind]) => report.more.signals.push(one("gt06.transfer_type", kind)),
        (0x0001, data) if data.len() == 8 => report.identity_mut().imei = digits(data),
        (0x0002, data) if data.len() == 8 => report.identity_mut().imsi = digits(data),
        (0x0003, _) => report.identity_mut().iccid = Some(crate::text::digits(data).into()),
        (0x0009, &[used]) => match &mut report.fix {
            Some(fix) => fix.satellites = Some(used),
            None => report.more.signals.push(one("gt06.satellites_used", used)),
        },
        (0x000a, &[visible]) => report
            .more
            .signals
            .push(one("gt06.satellites_visible", visible)),
        (0x0011, &[m1, m0, n1, n0, a1, a0, c2, c1, c0, signal]) => push_cell(
            report,
            Radio::Gsm,
            [m1, m0, n1, n0],
            u16::from_be_bytes([a1, a0]),
            u32::from_be_bytes([0, c2, c1, c0]),
            signal,
        ),
        (0x0043, &[m1, m0, n1, n0, a1, a0, c3, c2, c1, c0, signal]) => push_cell(
            report,
            Radio::Lte,
            [m1, m0, n1, n0],
            u16::from_be_bytes([a1, a0]),
            u32::from_be_bytes([c3, c2, c1, c0]),
            signal,
        ),
        (0x0044, data) if data.len().is_multiple_of(7) => push_neighbours(report, data),
        (0x0016, &[csq]) => match csq {
            1..=31 => report.network.signal_dbm = Some(i16::from(csq) * 2 - 113),
            _ => report.more.signals.push(one("gt06.csq", csq)),
        },
        (0x0018, &[high, low]) => {
            crate::field::note_battery_voltage(report, u16::from_be_bytes([high, low]));
        }
        (0x0028, &[hdop]) => {
            let hdop = f32::from(hdop) / 10.0;
            match &mut report.fix {
                Some(fix) => fix.hdop = Dop::new(hdop).ok(),
                None => report
                    .more
                    .signals
                    .push(number("gt06.hdop", hdop.into(), None)),
            }
        }
        (0x0029, &[a, b, c, d]) => report.more.signals.push(number(
            "gt06.uploads",
            u32::from_be_bytes([a, b, c, d]).into(),
            None,
        )),
        (0x002a, &[bits]) => report.more.signals.extend([
            one("gt06.tamper_state", bits >> 4),
            one("gt06.door_or_light_state", bits & 0x0f),
        ]),
        (0x002b, &[reason]) => report.more.signals.push(one("gt06.boot_reason", reason)),
        (0x002e, &[a, b, c, d]) => {
            crate::field::note_mileage(report, u32::from_be_bytes([a, b, c, d]));
        }
        (Module::EVENT, &[code, a, b, c, d, ref rest @ ..]) => {
            note_event(report, code, u32::from_be_bytes([a, b, c, d]), rest);
        }
        (0x0035, &[class]) => {
            report.more.signals.push(one("gt06.report_class", class));
            // 1 is live; what the others are is not certain enough to call them stored.
            if let (1, Some(fix)) = (class, &mut report.fix) {
                fix.live = Some(true);
            }
        }
        (0x0036, &[n, ref stations @ ..]) if stations.len() == usize::from(n) * 7 => {
            let (stations, _) = stations.as_chunks::<7>();
            for [a, b, c, d, e, f, signal] in stations {
                report.more.wifi.push(WifiStation {
                    mac: MacAddress([*a, *b, *c, *d, *e, *f]),
                    signal_dbm: dbm(*signal),
                    ssid: None,
                });
            }
        }
        (0x0045, &[n, ref beacons @ ..]) if beacons.len() == usize::from(n) * 11 => {
            let (beacons, _) = beacons.as_chunks::<11>();
            for (source, [a, b, c, d, e, f, signal, j1, j0, n1, n0]) in (0..=u8::MAX).zip(beacons) {
                let mut beacon = Signal::named("gt06.beacon").text(alloc::format!(
                    "{} major {} minor {} signal {signal}",
                    MacAddress([*a, *b, *c, *d, *e, *f]),
                    u16::from_be_bytes([*j1, *j0]),
                    u16::from_be_bytes([*n1, *n0]),
                ));
                beacon.source = Some(source);
                report.more.signals.push(beacon);
            }
        }
        (0x007f, &[a, b, c, d, e, f, v1, v0, battery, t1, t0, h1, h0, state]) => {
            let mac = MacAddress([a, b, c, d, e, f]);
            note_tag(
                report,
                mac,
                [[v1, v0], [t1, t0], [h1, h0]].map(u16::from_be_bytes),
                battery,
                state,
            );
        }
        _ => crate::field::note_raw_item(report, id, data),
    }
}

fn digits(data: &[u8]) -> Option<alloc::boxed::Box<str>> {
    let id = TerminalId(data.try_into().ok()?);
    Some(alloc::format!("{id}").into())
}

fn push_cell(
    report: &mut Report,
    radio: Radio,
    [m1, m0, n1, n0]: [u8; 4],
    lac: u16,
    cell_id: u32,
    signal: u8,
) {
    let mcc = u16::from_be_bytes([m1, m0]);
    if mcc == 0 {
        return;
    }
    report.push_cell(Cell {
        radio,
        serving: report.network.cell.is_none(),
        mcc,
        mnc: u16::from_be_bytes([n1, n0]),
        lac: lac.into(),
        cell_id: cell_id.into(),
        signal_dbm: dbm(signal),
    });
}

/// 0044 names no network of its own: its cells are of that of the serving one.
fn push_neighbours(report: &mut Report, data: &[u8]) {
    let Some(serving) = report.network.cell else {
        return note_bytes(report, "gt06.item.0044", data);
    };
    let (cells, _) = data.as_chunks::<7>();
    for [a1, a0, c3, c2, c1, c0, signal] in cells {
        if [a1, a0, c3, c2, c1, c0].iter().all(|byte| **byte == 0) {
            continue;
        }
        report.push_cell(Cell {
            radio: Radio::Lte,
            serving: false,
            lac: u16::from_be_bytes([*a1, *a0]).into(),
            cell_id: u32::from_be_bytes([*c3, *c2, *c1, *c0]).into(),
            signal_dbm: dbm(*signal),
            ..serving
        });
    }
}

fn note_event(report: &mut Report, code: u8, unix: u32, rest: &[u8]) {
    let kind = event_kind(code);
    if let Some(kind) = kind {
        report
            .more
            .events
            .push(Event::by_device(kind, Some(code.into())));
    }
    if kind == Some(EventKind::PowerCut) {
        report.power.external_connected = Some(false);
    }
    let mut signal = Signal::named("gt06.event").number(code.into(), None);
    signal.time = is_time(unix).then(|| Timestamp::from_unix(unix.into()));
    report.more.signals.push(signal);
    match rest {
        [] | [0] => {}
        [n, data @ ..] if data.len() == usize::from(*n) => {
            note_bytes(report, "gt06.event_data", data);
        }
        rest => note_bytes(report, "gt06.event_data", rest),
    }
    if let Some(fix) = &mut report.fix
        && !fix.valid
    {
        fix.source = FixSource::LastKnown;
    }
}

/// A Bluetooth tag. 7FFF: a value is not there; humidity is in tenths of a percent on
/// the tags seen, which no manual confirms.
fn note_tag(report: &mut Report, mac: MacAddress, values: [u16; 3], battery: u8, state: u8) {
    let tags = report
        .more
        .signals
        .iter()
        .filter(|s| s.name.as_str() == "tag_address")
        .count();
    let source = u8::try_from(tags).ok();
    let [millivolts, temperature, humidity] = values;
    let mut push = |mut signal: Signal| {
        signal.source = source;
        report.more.signals.push(signal);
    };
    push(Signal::named("gt06.tag_address").text(alloc::format!("{mac}")));
    let there = |raw: u16| Some(raw).filter(|raw| *raw != 0x7fff);
    if let Some(raw) = there(millivolts) {
        let volts = f64::from(raw) / 1_000.0;
        push(Signal::named("gt06.tag_battery").number(volts, Some("V")));
    }
    if Percent::new(battery.into()).is_ok() {
        push(Signal::named("gt06.tag_battery_charge").number(battery.into(), Some("%")));
    }
    if let Some(raw) = there(temperature) {
        let celsius = f64::from(raw.cast_signed()) / 10.0;
        push(Signal::named("gt06.tag_temperature").number(celsius, Some("°C")));
    }
    if let Some(raw) = there(humidity) {
        push(Signal::named("gt06.tag_humidity").number(f64::from(raw) / 10.0, Some("%")));
    }
    push(Signal::named("gt06.tag_state").number(state.into(), None));
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::field::Position;
    use crate::message::testing::{report, reports};

    fn modular(modules: &[(u16, &[u8])]) -> Modular {
        Modular {
            modules: modules
                .iter()
                .map(|(id, data)| Module::new(*id, data))
                .collect(),
            tail: Bytes::new(),
        }
    }

    fn position(unix: u32) -> ModulePosition {
        let position = Position::from_degrees(22.5, 113.9, 27, 160, 11).unwrap();
        ModulePosition {
            unix,
            altitude: 36,
            position,
        }
    }

    #[test]
    fn each_position_of_a_batch_has_a_report_and_an_identity_of_its_own() {
        let (a, b) = (
            position(1_700_000_000).to_module(),
            position(1_700_000_060).to_module(),
        );
        let batch = reports(modular(&[(0x0033, &a.data), (0x0033, &b.data)]));
        assert_eq!(batch.len(), 2);
        assert_ne!(batch[0].id, batch[1].id);
        assert_eq!(batch[1].time, Timestamp::from_unix(1_700_000_060));
        // Sent again with another counter of uploads: the same facts.
        let again = reports(modular(&[(0x0029, &[0, 0, 0, 9]), (0x0033, &a.data)]));
        assert_eq!(again[0].id, batch[0].id);
    }

    #[test]
    fn as_many_beacons_as_can_be_counted_are_listed() {
        let beacons = [&[255][..], &[7; 255 * 11]].concat();
        let r = report(modular(&[(0x0045, &beacons)]));
        assert_eq!(r.more.signals.len(), 255);
        assert_eq!(r.more.signals[254].source, Some(254));
    }
}
