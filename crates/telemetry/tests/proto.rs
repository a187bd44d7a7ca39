//! The Protobuf form says all that the JSON form says.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use milepost_telemetry::proto::{self, LogPosition};
use milepost_telemetry::*;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

fn time() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp::from_millis)
}

fn name() -> impl Strategy<Value = Name> {
    select(vec![
        "gt06",
        "gt06/0.1.0",
        "rpm",
        "",
        "longer name of a signal",
    ])
    .prop_map(Name::new)
}

fn text() -> impl Strategy<Value = Box<str>> {
    "\\PC{0,12}".prop_map(String::into_boxed_str)
}

/// A word of one of the closed sets, by its spelling in JSON.
fn words<T: serde::de::DeserializeOwned + Clone + std::fmt::Debug + 'static>(
    words: &[&str],
) -> impl Strategy<Value = T> + use<T> {
    select(
        words
            .iter()
            .map(|word| serde_json::from_value(serde_json::Value::from(*word)).unwrap())
            .collect::<Vec<T>>(),
    )
}

fn kind() -> impl Strategy<Value = Kind> {
    words(&[
        "login",
        "heartbeat",
        "location",
        "alarm",
        "status",
        "cells",
        "command_reply",
        "time_request",
        "address_request",
        "diagnostics",
        "can",
        "health",
        "emergency",
        "media",
        "unknown",
    ])
}

fn report_id() -> impl Strategy<Value = ReportId> {
    any::<[u8; 16]>().prop_map(ReportId::from_bytes)
}

fn raw_time() -> impl Strategy<Value = RawTime> {
    prop_oneof![
        any::<u32>().prop_map(RawTime::Unix),
        any::<(u16, [u8; 5])>().prop_map(|(year, [month, day, hour, minute, second])| {
            RawTime::Civil {
                year,
                month,
                day,
                hour,
                minute,
                second,
            }
        }),
    ]
}

fn coordinates() -> impl Strategy<Value = Coordinates> {
    (-90.0..=90.0, -180.0..=180.0).prop_map(|(n, e)| Coordinates::from_degrees(n, e).unwrap())
}

fn fix() -> impl Strategy<Value = Fix> {
    let source = words(&["gnss", "last_known", "cell", "wifi"]);
    (
        (
            coordinates(),
            any::<bool>(),
            source,
            of(time()),
            of(any::<bool>()),
            of(any::<u8>()),
        ),
        (
            of(-100.0_f32..9_000.0),
            of(0.0_f32..300.0),
            of(0.0_f32..360.0),
            of(0.0_f32..100.0),
            of(0.0_f32..100.0),
        ),
    )
        .prop_map(
            |(
                (at, valid, source, time, live, satellites),
                (altitude, speed, course, hdop, pdop),
            )| {
                let mut fix = Fix::new(at, valid, source);
                fix.time = time;
                fix.live = live;
                fix.satellites = satellites;
                fix.altitude = altitude.map(|v| Altitude::from_metres(v).unwrap());
                fix.speed = speed.map(|v| Speed::from_kmh(v).unwrap());
                fix.course = course.map(|v| Course::from_degrees(v).unwrap());
                fix.hdop = hdop.map(|v| Dop::new(v).unwrap());
                fix.pdop = pdop.map(|v| Dop::new(v).unwrap());
                fix
            },
        )
}

fn smoothed() -> impl Strategy<Value = Smoothed> {
    let rejected = words(&[
        "jump",
        "replay",
        "zero",
        "future",
        "ancient",
        "frozen",
        "hemisphere",
    ]);
    (
        coordinates(),
        of(0.0_f32..300.0),
        of(0.0_f32..360.0),
        of(0.0_f32..500.0),
        of(any::<bool>()),
        any::<bool>(),
        of(rejected),
    )
        .prop_map(|(at, speed, course, accuracy, moving, outlier, rejected)| {
            let mut smoothed = Smoothed::new(at);
            // Not a step of 1e-7 degrees: it is computed.
            smoothed.latitude = (smoothed.latitude + 1e-9).min(90.0);
            smoothed.speed = speed.map(|v| Speed::from_kmh(v).unwrap());
            smoothed.course = course.map(|v| Course::from_degrees(v).unwrap());
            smoothed.accuracy_m = accuracy;
            smoothed.moving = moving;
            smoothed.outlier = outlier;
            smoothed.rejected = rejected;
            smoothed
        })
}

fn power() -> impl Strategy<Value = Power> {
    let level = words(&[
        "empty",
        "extremely_low",
        "very_low",
        "low",
        "medium",
        "high",
        "full",
    ]);
    (
        of(any::<bool>()),
        of(0.0_f32..60.0),
        of(0.0_f32..5.0),
        of(0.0_f32..=100.0),
        of(level),
        of(any::<bool>()),
    )
        .prop_map(|(connected, external, battery, charge, level, charging)| {
            let mut power = Power::default();
            power.external_connected = connected;
            power.external = external.map(|v| Voltage::from_volts(v).unwrap());
            power.battery = battery.map(|v| Voltage::from_volts(v).unwrap());
            power.battery_charge = charge.map(|v| Percent::new(v).unwrap());
            power.battery_level = level;
            power.charging = charging;
            power
        })
}

fn cell() -> impl Strategy<Value = Cell> {
    let radio = words(&["gsm", "wcdma", "lte", "nr", "unknown"]);
    (radio, any::<(bool, u16, u16, u32, u64)>(), of(any::<i16>())).prop_map(
        |(radio, (serving, mcc, mnc, lac, cell_id), signal_dbm)| Cell {
            radio,
            serving,
            mcc,
            mnc,
            lac,
            cell_id,
            signal_dbm,
        },
    )
}

fn station() -> impl Strategy<Value = WifiStation> {
    (any::<[u8; 6]>(), of(any::<i16>()), of(text())).prop_map(|(mac, signal_dbm, ssid)| {
        WifiStation {
            mac: MacAddress(mac),
            signal_dbm,
            ssid,
        }
    })
}

fn io() -> impl Strategy<Value = Io> {
    let source = words(&["field", "alarm", "status", "course_bits"]);
    (
        of(any::<bool>()),
        of(source),
        of(any::<bool>()),
        any::<[(u32, u8); 2]>(),
    )
        .prop_map(|(ignition, source, armed, [inputs, outputs])| {
            let mut io = Io::default();
            io.ignition = ignition;
            io.ignition_source = source;
            io.armed = armed;
            io.inputs = Switches::from_bits(inputs.0, inputs.1 % 33);
            io.outputs = Switches::from_bits(outputs.0, outputs.1 % 33);
            io
        })
}

fn event() -> impl Strategy<Value = Event> {
    (
        select(EventKind::ALL),
        any::<bool>(),
        of(any::<u32>()),
        of(words(&["begin", "repeat", "end", "stuck"])),
        of(report_id()),
        of(any::<bool>()),
    )
        .prop_map(|(kind, by_device, code, incident, incident_id, late)| {
            let mut event = if by_device {
                Event::by_device(kind, code)
            } else {
                Event::by_pipeline(kind)
            };
            event.incident = incident;
            event.incident_id = incident_id;
            event.late = late;
            event
        })
}

fn signal() -> impl Strategy<Value = Signal> {
    let id = prop_oneof![
        any::<u32>().prop_map(SignalId::Spn),
        any::<(u8, u16)>().prop_map(|(mode, pid)| SignalId::Pid { mode, pid }),
        Just(SignalId::named("gt06.temperature")),
    ];
    let value = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        (-1e12..1e12).prop_map(Value::Number),
        text().prop_map(Value::Text),
    ];
    let state = words(&["not_available", "error", "reserved", "parameter_specific"]);
    (
        id,
        name(),
        of(value),
        of(name()),
        of(any::<u8>()),
        of(time()),
        of(state),
    )
        .prop_map(|(id, name, value, unit, source, time, state)| {
            let mut signal = Signal::new(id, name.as_str());
            signal.value = value;
            signal.unit = unit;
            signal.source = source;
            signal.time = time;
            signal.state = state;
            signal
        })
}

fn media() -> impl Strategy<Value = Media> {
    (
        text(),
        of(name()),
        any::<(Option<u32>, Option<u32>, Option<u64>, u64, bool)>(),
        vec(any::<u8>(), 0..50),
    )
        .prop_map(
            |(id, format, (event, channel, size, offset, complete), data)| {
                let mut media = Media::new(id, "image");
                media.format = format;
                media.event = event;
                media.channel = channel;
                media.size = size;
                media.offset = offset;
                media.complete = complete;
                media.data = data.into();
                media
            },
        )
}

fn vehicle() -> impl Strategy<Value = Vehicle> {
    any::<[Option<u16>; 6]>().prop_map(|[hours, fuel, used, rpm, wheels, coolant]| {
        let mut vehicle = Vehicle::default();
        vehicle.engine_hours_s = hours.map(f64::from);
        vehicle.fuel = fuel.map(|v| Percent::new(f32::from(v % 101)).unwrap());
        vehicle.fuel_used_l = used.map(f64::from);
        vehicle.engine_rpm = rpm.map(f64::from);
        vehicle.wheel_speed_kmh = wheels.map(f64::from);
        vehicle.coolant_c = coolant.map(f64::from);
        vehicle
    })
}

fn identity() -> impl Strategy<Value = Identity> {
    vec(of(text()), 9).prop_map(|mut texts| {
        let mut next = || texts.pop().unwrap();
        let mut identity = Identity::default();
        identity.vin = next();
        identity.registration = next();
        identity.vendor = next();
        identity.firmware = next();
        identity.model = next();
        identity.imei = next();
        identity.iccid = next();
        identity.imsi = next();
        identity.driver = next();
        identity
    })
}

fn answer() -> impl Strategy<Value = CommandAnswer> {
    let outcome = select(vec![
        CommandOutcome::Success,
        CommandOutcome::Refused,
        CommandOutcome::Deferred,
    ]);
    (of(any::<u32>()), of(outcome), of(text()), text()).prop_map(|(flag, outcome, verb, text)| {
        let mut answer = CommandAnswer::new(text);
        answer.flag = flag;
        answer.outcome = outcome;
        answer.verb = verb;
        answer
    })
}

fn device() -> impl Strategy<Value = DeviceKey> {
    ("[!-~]{1,39}", "[!-~]{1,23}").prop_map(|(tenant, device)| DeviceKey {
        tenant: tenant.parse().unwrap(),
        device: device.parse().unwrap(),
    })
}

fn head() -> impl Strategy<Value = Report> {
    (
        (
            report_id(),
            kind(),
            time(),
            time(),
            of(device()),
            of(name()),
        ),
        (
            words(&["valid", "mismatch", "absent", "unverified"]),
            of(any::<u32>()),
            words(&["fix", "device", "received", "estimated"]),
            of(time()),
            of(raw_time()),
            of(words(&[
                "utc",
                "login",
                "configured",
                "detected",
                "assumed",
            ])),
            of(any::<bool>()),
        ),
    )
        .prop_map(
            |(
                (id, kind, received_at, time, device, dialect),
                (checksum, sequence, source, device_time, raw_time, zone, late),
            )| {
                let decoder = Decoder::new("gt06", "gt06/0.1.0");
                let mut report = Report::new(id, decoder, kind, received_at);
                report.time = time;
                report.tenant = device.map(|device| device.tenant);
                report.device = device.map(|device| device.device);
                report.dialect = dialect;
                report.checksum = checksum;
                report.sequence = sequence;
                report.time_source = source;
                report.device_time = device_time;
                report.raw_time = raw_time;
                report.zone = zone;
                report.late = late;
                report
            },
        )
}

fn report() -> impl Strategy<Value = Report> {
    let inline = (
        of(fix()),
        of(smoothed()),
        power(),
        io(),
        of(0.0..1e9),
        (of(0.0_f32..=100.0), of(any::<i16>()), vec(cell(), 0..3)),
    );
    let rare = (
        (
            vec(event(), 0..3),
            vec(signal(), 0..4),
            of(media()),
            of(vehicle()),
            of(identity()),
        ),
        (
            of(any::<u32>()),
            of(answer()),
            of(text()),
            of(vec(any::<u8>(), 0..20)),
            of(text()),
            vec(station(), 0..3),
        ),
    );
    (head(), inline, of(rare)).prop_map(|(mut report, inline, rare)| {
        let (fix, smoothed, power, io, odometer, (signal, signal_dbm, cells)) = inline;
        report.fix = fix;
        report.smoothed = smoothed;
        report.power = power;
        report.io = io;
        report.odometer = odometer.map(|v| Odometer::from_metres(v).unwrap());
        report.network.signal = signal.map(|v| Percent::new(v).unwrap());
        report.network.signal_dbm = signal_dbm;
        for cell in cells {
            report.push_cell(cell);
        }
        if let Some((
            (events, signals, media, vehicle, identity),
            (reply_to, answer, text, raw, operator, wifi),
        )) = rare
        {
            report.more.events = events;
            report.more.signals = signals;
            report.more.media = media;
            report.more.vehicle = vehicle;
            report.more.identity = identity;
            report.more.reply_to = reply_to;
            report.more.answer = answer;
            report.more.text = text;
            report.more.raw = raw.map(Into::into);
            report.more.operator = operator;
            report.more.wifi = wifi;
        }
        report
    })
}

fn envelope() -> impl Strategy<Value = Envelope> {
    let content = prop_oneof![
        4 => vec(report(), 1..3).prop_map(Content::Reports),
        1 => name().prop_map(Content::Filtered),
        1 => (of(name()), of(any::<u32>()), text()).prop_map(|(field, offset, message)| {
            let mut why = Quarantine::new(message);
            why.field = field;
            why.offset = offset;
            Content::Quarantined(why)
        }),
    ];
    (
        any::<[u64; 3]>(),
        (
            time(),
            of(any::<std::net::SocketAddr>()),
            of(device()),
            of(text()),
        ),
        any::<(bool, bool)>(),
        vec(any::<u8>(), 0..60),
        vec(1_u64..3, 0..6),
        content,
    )
        .prop_map(
            |(
                [epoch, connection, frame],
                (at, peer, device, profile),
                flags,
                raw,
                gaps,
                content,
            )| {
                let mut origin = Origin {
                    epoch,
                    connection,
                    frame,
                };
                let mut frames = FrameRanges::one(frame);
                for gap in gaps {
                    origin.frame = origin.frame.saturating_add(gap);
                    frames.push(origin.frame);
                }
                let protocol = Name::new("gt06");
                let mut envelope = Envelope::new(origin, at, protocol, raw.into(), content);
                envelope.frames = frames;
                // An IPv6 scope is local to one machine and not written.
                envelope.peer = peer.map(|peer| (peer.ip(), peer.port()).into());
                envelope.device = device;
                envelope.profile = profile.map(|text| Profile::new(&text));
                (envelope.accepted, envelope.urgent) = flags;
                envelope
            },
        )
}

proptest! {
    #[test]
    fn an_envelope_is_read_back_whole(
        envelope in envelope(),
        gateway in "\\PC{0,20}",
        position in of(any::<(u128, u64)>()),
    ) {
        let position = position.map(|(log, position)| LogPosition { log, position });
        let mut bytes = proto::encode(&gateway, &envelope);
        if let Some(position) = position {
            proto::append_position(&mut bytes, position);
        }
        let wire = proto::decode(bytes.into()).unwrap();
        prop_assert_eq!(&*wire.gateway, gateway);
        prop_assert_eq!(wire.position, position);
        prop_assert_eq!(wire.envelope, envelope);
    }

    #[test]
    fn a_report_has_the_same_json_after_the_journey(report in report()) {
        let back = proto::decode_report(proto::encode_report(&report).into()).unwrap();
        prop_assert_eq!(serde_json::to_string(&back).unwrap(), serde_json::to_string(&report).unwrap());
        prop_assert_eq!(back, report);
    }

    #[test]
    fn any_bytes_are_an_envelope_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
        drop(proto::decode(bytes.into()));
    }

    #[test]
    fn a_damaged_envelope_is_an_envelope_or_an_error(
        envelope in envelope(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = proto::encode("g", &envelope);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        drop(proto::decode(bytes.into()));
    }
}

#[test]
fn values_that_no_report_may_hold_are_refused_with_their_field() {
    let now = Timestamp::UNIX_EPOCH;
    let decoder = Decoder::new("gt06", "gt06/0.1.0");
    let mut report = Report::new(ReportId::from_bytes([1; 16]), decoder, Kind::Location, now);
    report.power.battery_charge = Percent::new(100.0).ok();
    let bytes = proto::encode_report(&report);
    let hundred = 100.0_f32.to_le_bytes();
    let at = bytes
        .windows(4)
        .position(|window| window == hundred)
        .unwrap();
    let mut wrong = bytes.clone();
    wrong[at..at + 4].copy_from_slice(&101.0_f32.to_le_bytes());
    let error = proto::decode_report(wrong.into()).unwrap_err();
    assert_eq!(error.field(), "power.battery_pct");

    let error = proto::decode_report(Bytes::from_static(&[0xFF; 4])).unwrap_err();
    assert!(error.to_string().starts_with("not Protobuf"), "{error}");
    let error = proto::decode(Bytes::new()).unwrap_err();
    assert_eq!(error.field(), "content");
}

/// The generated code belongs to the `.proto` file.
#[test]
fn the_generated_code_is_current() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = tempfile::tempdir().unwrap();
    let status = Command::new(env!("CARGO"))
        .args([
            "run",
            "--quiet",
            "-p",
            "milepost-telemetry",
            "--example",
            "generate_proto",
            "--",
        ])
        .arg(out.path())
        .current_dir(package)
        .status()
        .unwrap();
    assert!(status.success());
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    assert!(
        read(&out.path().join("generated.rs")) == read(&package.join("src/proto/generated.rs")),
        "run `cargo run -p milepost-telemetry --example generate_proto`"
    );
}
