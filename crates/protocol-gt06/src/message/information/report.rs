//! 0x94 as reports.

use alloc::boxed::Box;

use milepost_telemetry::{Event, EventKind, Kind, Report, Signal, SignalState};

use super::satellites::state_name;
use super::{Card, Information, InformationContent, SatelliteReport};
use crate::normalize::{Context, note_bytes};

pub(super) fn normalize(
    information: &Information,
    cx: &Context<'_>,
    out: &mut crate::normalize::Reports,
) {
    use InformationContent as C;

    let time = match &information.content {
        C::Ports { time, .. } | C::Fuel { time, .. } => *time,
        _ => None,
    };
    let sub = information.sub.unwrap_or_default();
    let report = match time {
        Some(time) => {
            let key = crate::message::whole_key(information);
            cx.timed(out, Kind::Status, time, &key, 0)
        }
        None => cx.untimed(out, Kind::Status, 0),
    };
    let number = |name, value: f64, unit| Signal::named(name).number(value, unit);
    match &information.content {
        C::ExternalVoltage(raw) => {
            crate::field::note_supply(report, *raw);
        }
        C::State(text) => note_state(report, &crate::answer::ascii(text)),
        C::Ports { ports, .. } => {
            let bit = |bit: u8| ports >> bit & 1 == 1;
            report.more.signals.extend([
                Signal::named("gt06.door_open").bool(bit(0)),
                Signal::named("gt06.door_trigger_high").bool(bit(1)),
                Signal::named("gt06.door_input_high").bool(bit(2)),
            ]);
        }
        C::Text(text) => report.more.text = Some(crate::answer::ascii(text).into()),
        C::Satellites(satellites) => note_satellites(report, satellites),
        C::Numbers { imei, imsi, iccid } => {
            let identity = report.identity_mut();
            identity.imei = Some(alloc::format!("{imei}").into());
            identity.imsi = Some(alloc::format!("{imsi}").into());
            identity.iccid = Some(crate::text::digits(iccid).into());
        }
        C::Generation(generation) => report.more.signals.push(match generation {
            0 => Signal::named("gt06.network_generation").text("2G"),
            1 => Signal::named("gt06.network_generation").text("4G"),
            other => number("gt06.network_generation", f64::from(*other), None),
        }),
        C::Fuel { text, .. } => {
            let text = crate::answer::ascii(text);
            note_fuel(report, &text);
            report.more.text = Some(text.into());
        }
        C::Tag {
            index,
            id,
            millivolts,
            temperature,
        } => {
            let by_tag = |mut signal: Signal| {
                signal.source = Some(*index);
                signal
            };
            report.more.signals.extend([
                by_tag(Signal::named("gt06.tag_id").text(crate::text::hex(id))),
                by_tag(number(
                    "gt06.tag_battery",
                    f64::from(*millivolts) / 1_000.0,
                    Some("V"),
                )),
                by_tag(number(
                    "gt06.tag_temperature",
                    f64::from(*temperature) / 100.0,
                    Some("°C"),
                )),
            ]);
        }
        C::Card(card) => {
            let (driver, raw): (Box<str>, &[u8]) = match card {
                Card::Text(text) => {
                    let text_ascii = crate::answer::ascii(text);
                    (text_ascii.trim_start_matches("RFID:").into(), text)
                }
                Card::Framed { id, .. } => (crate::text::hex(id).into(), id),
                Card::Raw(raw) => (crate::text::hex(raw).into(), raw),
            };
            if let Card::Text(_) = card {
                report.more.text = Some(crate::answer::ascii(raw).into());
            }
            report.identity_mut().driver = Some(driver);
            report
                .more
                .events
                .push(Event::by_device(EventKind::CardSwiped, None));
        }
        C::Climate {
            temperature,
            humidity,
        } => report.more.signals.extend([
            number(
                "gt06.temperature",
                f64::from(*temperature) / 10.0,
                Some("°C"),
            ),
            number("gt06.humidity", f64::from(*humidity) / 10.0, Some("%")),
        ]),
        C::BluetoothMac(mac) => report.more.signals.push(
            Signal::named("gt06.bluetooth_address")
                .text(alloc::format!("{}", milepost_telemetry::MacAddress(*mac))),
        ),
        // A key is a secret: that it was sent is reported, its value stays in the raw frame.
        C::BluetoothKey(_) => report
            .more
            .signals
            .push(Signal::named("gt06.bluetooth_key_sent").bool(true)),
        C::Raw => {
            report
                .more
                .signals
                .push(number("gt06.information_sub", f64::from(sub), None));
            note_bytes(report, "gt06.information_raw", &information.tail);
        }
    }
    if !matches!(information.content, C::Raw) {
        cx.note_tail(report, &information.tail);
    }
}

/// `ALM1=C4;STA1=C0;DYD=01;ICCID=…`: switches in hexadecimal, numbers and settings as text.
fn note_state(report: &mut Report, text: &str) {
    const NUMBERS: [(&str, &str); 6] = [
        ("ALM1", "gt06.alarm_switches_1"),
        ("ALM2", "gt06.alarm_switches_2"),
        ("ALM3", "gt06.alarm_switches_3"),
        ("ALM4", "gt06.alarm_switches_4"),
        ("STA1", "gt06.state_bits"),
        ("DYD", "gt06.fuel_bits"),
    ];
    const TEXTS: [(&str, &str); 5] = [
        ("SOS", "gt06.sos_numbers"),
        ("CENTER", "gt06.center_number"),
        ("FENCE", "gt06.fence"),
        ("MODE", "gt06.mode"),
        ("MIFI", "gt06.mifi"),
    ];
    for (key, value) in crate::text::pairs(text, ';') {
        let name = |table: &[(&str, &'static str)]| {
            table
                .iter()
                .find(|(known, _)| *known == key)
                .map(|(_, name)| *name)
        };
        if let Some(name) = name(&NUMBERS) {
            let Ok(bits) = u8::from_str_radix(value, 16) else {
                continue;
            };
            report
                .more
                .signals
                .push(Signal::named(name).number(bits.into(), None));
            match key {
                "STA1" => report.io.armed = Some(bits & 0x80 != 0),
                "DYD" => note_fuel_bits(report, bits),
                _ => {}
            }
        } else if let Some(name) = name(&TEXTS) {
            if !value.trim_matches(',').is_empty() {
                report.more.signals.push(Signal::named(name).text(value));
            }
        } else if key == "ICCID" && !value.is_empty() {
            report.identity_mut().iccid = Some(value.into());
        }
    }
    report.more.text = Some(text.into());
}

/// DYD: bit 0 connected, 1 cut, 2 and 3 to be cut later (no fix; too fast).
fn note_fuel_bits(report: &mut Report, bits: u8) {
    if bits & 0b11 != 0 {
        report
            .more
            .signals
            .push(Signal::named("gt06.fuel_cut").bool(bits & 0b10 != 0));
    }
    if bits & 0b1100 != 0 {
        let why = if bits & 0b100 != 0 { "no fix" } else { "speed" };
        report
            .more
            .signals
            .push(Signal::named("gt06.fuel_cut_deferred").text(why));
    }
}

fn note_satellites(report: &mut Report, satellites: &SatelliteReport) {
    let systems = [
        (
            Some(&satellites.gps),
            [
                "gt06.gps_state",
                "gt06.gps_used",
                "gt06.gps_visible",
                "gt06.gps_strengths",
            ],
        ),
        (
            satellites.bds.as_ref(),
            [
                "gt06.bds_state",
                "gt06.bds_used",
                "gt06.bds_visible",
                "gt06.bds_strengths",
            ],
        ),
    ];
    for (system, [state, used, visible, strengths]) in systems {
        let Some(system) = system else { continue };
        if let Some(raw) = system.state {
            report
                .more
                .signals
                .push(Signal::named(state).text(state_name(raw)));
        }
        let count = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).into();
        report.more.signals.extend([
            Signal::named(used).number(count(&system.used), None),
            Signal::named(visible).number(count(&system.visible), None),
        ]);
        let mut list = alloc::string::String::new();
        for strength in system.used.iter().chain(&system.visible) {
            if !list.is_empty() {
                list.push(' ');
            }
            list.push_str(&alloc::format!("{strength}"));
        }
        if !list.is_empty() {
            report
                .more
                .signals
                .push(Signal::named(strengths).text(list));
        }
    }
    if let Some(extension) = satellites
        .extension
        .as_deref()
        .filter(|bytes| !bytes.is_empty())
    {
        note_bytes(report, "gt06.satellites_extension", extension);
    }
}

/// `!AIOIL,address,level,temperature,version,reserved,measured,motion,…,sum`; of the level and of
/// what was measured the unit is not stated.
fn note_fuel(report: &mut Report, text: &str) {
    const FIELDS: [(usize, &str, Option<&str>); 3] = [
        (2, "gt06.fuel_probe_level", None),
        (3, "gt06.fuel_probe_temperature", Some("°C")),
        (6, "gt06.fuel_probe_measured", None),
    ];
    let source = text
        .split(',')
        .nth(1)
        .and_then(|address| u8::from_str_radix(address, 16).ok());
    for (at, name, unit) in FIELDS {
        let Some(value) = text.split(',').nth(at) else {
            continue;
        };
        let mut signal = Signal::named(name);
        signal.source = source;
        match value.trim().parse::<f64>() {
            Ok(value) => report.more.signals.push(signal.number(value, unit)),
            Err(_) if value.is_empty() => {
                signal.state = Some(SignalState::NotAvailable);
                report.more.signals.push(signal);
            }
            Err(_) => report.more.signals.push(signal.text(value)),
        }
    }
}
