//! The JSON form is public: a change to it shows here.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use milepost_telemetry::*;

const DECODER: Decoder = Decoder::new("gt06", "gt06/0.1.0");

fn full() -> Report {
    let tenant = Tenant::new("acme").unwrap();
    let device: DeviceId = "752533678900242".parse().unwrap();
    let seed = IdentitySeed::new(Some(&tenant), Some(&device), "gt06");
    let time = Timestamp::from_civil(2026, 11, 20, 6, 59, 58).unwrap();
    let mut r = Report::new(
        ReportId::mint(seed, time, b"key"),
        DECODER,
        Kind::Alarm,
        time.offset_millis(2_123),
    );
    r.set_device_time(time, TimeSource::Fix, Zone::Utc);
    r.raw_time = Some(RawTime::Civil {
        year: 2026,
        month: 11,
        day: 20,
        hour: 6,
        minute: 59,
        second: 58,
    });
    r.tenant = Some(tenant);
    r.device = Some(device);
    r.dialect = Some(Name::new("concox"));
    r.checksum = Checksum::Valid;
    r.sequence = Some(54);
    r.late = Some(false);
    let mut fix = Fix::new(
        Coordinates::from_degrees(23.111755, 114.40923).unwrap(),
        true,
        FixSource::Gnss,
    );
    fix.time = Some(time);
    fix.altitude = Altitude::from_metres(687.0).ok();
    fix.speed = Speed::from_kmh(0.0).ok();
    fix.course = Course::from_degrees(2.0).ok();
    fix.satellites = Some(9);
    fix.hdop = Dop::new(0.8).ok();
    fix.pdop = Dop::new(1.2).ok();
    fix.live = Some(true);
    r.fix = Some(fix);
    r.power.external_connected = Some(true);
    r.power.external = Voltage::from_volts(12.6).ok();
    r.power.battery = Voltage::from_volts(4.1).ok();
    r.power.battery_charge = Percent::new(90.0).ok();
    r.power.charging = Some(true);
    r.network.signal = Percent::new(80.0).ok();
    r.network.signal_dbm = Some(-71);
    for (serving, cell_id) in [(true, 8050), (false, 8051)] {
        r.push_cell(Cell {
            radio: Radio::Gsm,
            serving,
            mcc: 460,
            mnc: 0,
            lac: 10_365,
            cell_id,
            signal_dbm: serving.then_some(-80),
        });
    }
    r.more.wifi.push(WifiStation {
        mac: "aa:bb:cc:dd:ee:ff".parse().unwrap(),
        signal_dbm: Some(-60),
        ssid: None,
    });
    r.more.operator = Some("Example Mobile".into());
    r.io.note_ignition(true, IgnitionSource::Field);
    r.io.armed = Some(false);
    r.io.inputs = Switches::from_bits(0b0001, 4);
    r.io.outputs = Switches::from_bits(0, 2);
    r.odometer = Some(23_000.into());
    r.vehicle_mut().engine_hours_s = Some(3600.0);
    r.vehicle_mut().fuel = Percent::new(50.0).ok();
    r.identity_mut().vin = Some("1M8GDM9AXKP042788".into());
    r.more
        .events
        .push(Event::by_device(EventKind::Sos, Some(1)));
    r.more
        .signals
        .push(Signal::named("gt06.temperature").number(21.5, Some("C")));
    r.more
        .signals
        .push(Signal::new(SignalId::Spn(190), "engine_speed").number(1450.5, Some("rpm")));
    let mut media = Media::new("17", "image");
    media.data = bytes::Bytes::from_static(b"abc");
    media.complete = true;
    r.more.media = Some(media);
    r.more.reply_to = Some(108_888);
    r.more.text = Some("DYD=Success!".into());
    r.more.raw = Some([0x78, 0x78].into());
    r
}

fn sparse() -> Report {
    let now = Timestamp::from_unix(1_763_622_000);
    let origin = Origin {
        epoch: 1,
        connection: 2,
        frame: 3,
    };
    let seed = IdentitySeed::new(None, None, "gt06");
    let mut r = Report::new(
        ReportId::mint(seed, now, &origin.key(0)),
        DECODER,
        Kind::Heartbeat,
        now,
    );
    r.checksum = Checksum::Mismatch;
    r
}

#[test]
fn the_form_is_what_it_always_was() {
    for (report, snapshot) in [
        (full(), include_str!("snapshots/full.json")),
        (sparse(), include_str!("snapshots/sparse.json")),
    ] {
        let json = serde_json::to_string_pretty(&report).unwrap();
        assert_eq!(
            json,
            snapshot.trim_end(),
            "the public form changed:\n{json}"
        );
    }
}

#[test]
fn what_is_written_is_read_back() {
    for report in [full(), sparse()] {
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    }
}

#[test]
fn unknown_keys_are_passed_over_and_a_newer_schema_is_refused() {
    let json = serde_json::to_string(&sparse()).unwrap();
    let with_more = json.replacen('{', r#"{"new_key":{"a":[1]},"#, 1);
    assert_eq!(
        serde_json::from_str::<Report>(&with_more).unwrap(),
        sparse()
    );
    let newer = json.replace(r#""schema":1"#, r#""schema":2"#);
    let error = serde_json::from_str::<Report>(&newer)
        .unwrap_err()
        .to_string();
    assert!(error.contains("schema 2"), "{error}");
}

#[test]
fn implausible_values_are_not_read() {
    let json = serde_json::to_string(&full()).unwrap();
    for (from, to) in [
        (r#""latitude":23.111755"#, r#""latitude":90.5"#),
        (r#""battery_pct":90.0"#, r#""battery_pct":101"#),
        (r#""device":"752533678900242""#, r#""device":"""#),
    ] {
        assert!(json.contains(from), "{from} in {json}");
        assert!(
            serde_json::from_str::<Report>(&json.replace(from, to)).is_err(),
            "{to}"
        );
    }
}

#[test]
fn a_report_stays_small() {
    assert!(size_of::<Report>() <= 384, "{}", size_of::<Report>());
    assert!(
        size_of::<Option<Fix>>() <= 48,
        "{}",
        size_of::<Option<Fix>>()
    );
}

#[test]
fn what_few_reports_have_is_nothing_until_it_is_written() {
    let (mut one, other) = (full(), full());
    let mut empty = one.clone();
    empty.more = More::NOTHING;
    assert!(empty.more.is_none() && empty.more.events.is_empty());
    // Room for something is nothing, too.
    let mut room = empty.clone();
    room.more.signals.clear();
    assert!(!room.more.is_none());
    assert_eq!(room, empty);
    assert_eq!(one, other);
    one.more.text = None;
    assert_ne!(one, other);
}
