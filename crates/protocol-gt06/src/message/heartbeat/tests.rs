use super::*;
use crate::frame::Start;
use crate::message::testing::{read_body, round_trip};

fn beat(number: u8, body: &[u8]) -> Heartbeat {
    match read_body(Start::Short, number, body) {
        Ok(crate::Message::Heartbeat(heartbeat)) => heartbeat,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_length_reads_back() {
    for len in 1..=16_u8 {
        let body: alloc::vec::Vec<u8> = (1..=len).collect();
        round_trip(beat(0x13, &body));
        round_trip(beat(0x23, &body));
    }
}

#[test]
fn the_content_tells_only_what_it_can_only_be() {
    for (body, dialect) in [
        // Levels, ports, percent: the usual one.
        ([0x46, 6, 4, 0, 2], None),
        ([0x44, 6, 3, 0x0b, 2], None),
        ([0x06, 0, 100, 0, 1], None),
        ([0x42, 148, 6, 0, 2], None),
        // A signal in percent and a state of ports without a language.
        ([0x45, 6, 86, 11, 0], None),
        ([0x45, 6, 86, 11, 1], Some(Dialect::Seeworld)),
        // A signal of 234 is none; 12.58 V is a voltage, 2.34 V none of a supply.
        ([0x06, 0x04, 0xea, 4, 0], Some(Dialect::R11)),
        ([0x06, 0x00, 0xea, 4, 0], None),
        ([0x06, 0x04, 0xea, 99, 0], None),
        ([0x06, 0x04, 0xea, 0, 2], None),
        // A level of five with a signal of -106 dBm, or an unknown one.
        ([0x06, 0x05, 106, 4, 0], None),
        ([0x06, 0x05, 0xff, 4, 0], None),
    ] {
        assert_eq!(beat(0x13, &body).apparent_dialect(), dialect, "{body:02x?}");
    }
}

#[cfg(feature = "telemetry")]
mod reports {
    use super::*;
    use crate::Profile;
    use crate::message::testing::{report, reports_as, signal};

    fn as_of(dialect: Dialect, body: &[u8]) -> milepost_telemetry::Report {
        let profile = Profile {
            dialect: Some(dialect),
            ..Profile::default()
        };
        reports_as(&profile, beat(0x13, body)).remove(0)
    }

    fn external(report: &milepost_telemetry::Report) -> Option<f32> {
        report
            .power
            .external
            .map(milepost_telemetry::Voltage::as_volts)
    }

    #[test]
    fn the_same_five_bytes_mean_five_things() {
        let body = [0x06, 0x05, 0x40, 0x20, 0x7e];
        let usual = as_of(Dialect::Concox, &body);
        assert_eq!(external(&usual), None);
        assert_eq!(signal(&usual, "gt06.gsm_signal").unwrap(), "64");
        let r11 = as_of(Dialect::R11, &body);
        assert_eq!(external(&r11), Some(13.44));
        assert_eq!(r11.power.battery_level, None);
        let lynkworld = as_of(Dialect::Lynkworld, &body);
        assert_eq!(external(&lynkworld), Some(12.6));
        let seeworld = as_of(Dialect::Seeworld, &body);
        assert_eq!(external(&seeworld), Some(32.0));
        assert_eq!(seeworld.network.signal.unwrap().value(), 64.0);
        // Fifth: the ports of the usual one, which are no alarm.
        let ports = as_of(Dialect::Concox, &[0x06, 6, 4, 2, 2]);
        assert!(ports.more.events.is_empty());
    }

    #[test]
    fn what_is_known_of_a_device_counts_more_than_what_its_content_looks_like() {
        let seeworld = [0x45, 6, 86, 11, 1];
        assert_eq!(external(&report(beat(0x13, &seeworld))), Some(11.0));
        assert_eq!(external(&as_of(Dialect::Concox, &seeworld)), None);
    }

    #[test]
    fn longer_ones_hold_percent_volts_and_temperature() {
        // OBD6 in mode 4: 5.1 degrees below zero.
        let obd = [
            0x02, 0x80, 0x18, 0, 0, 46, 4, 0x01, 0x6f, 0, 0, 0, 0xff, 0xcd,
        ];
        let r = report(beat(0x13, &obd));
        assert_eq!(r.power.battery.unwrap().as_volts(), 3.67);
        assert_eq!(r.power.battery_charge.unwrap().value(), 46.0);
        assert_eq!(r.network.signal_dbm, Some(-65));
        assert_eq!(signal(&r, "gt06.temperature").unwrap(), "-5.1");
        // Space10X: the sign is a bit of its own.
        for (high, celsius) in [(0x80, "25.5"), (0x00, "-25.5")] {
            let space = [
                0x02, 0, 7, 0, 0, 46, 1, 0x01, 0x6f, 0, 0, 0, 0, 9, high, 0xff,
            ];
            let r = report(beat(0x13, &space));
            assert_eq!(signal(&r, "gt06.temperature").unwrap(), celsius);
        }
    }

    #[test]
    fn volts_of_0x23_are_the_batterys_up_to_what_one_can_have() {
        let r = report(beat(0x23, &[0xc0, 0x01, 0x22, 4, 0, 1]));
        assert_eq!(r.power.battery.unwrap().as_volts(), 2.9);
        let r = report(beat(0x23, &[0x05, 0x0f, 0x92, 4, 0, 2]));
        assert_eq!(external(&r), Some(39.86));
    }
}

#[cfg(feature = "telemetry")]
#[test]
fn an_alarm_s_code_is_an_event_and_alarm_bits_are_a_state() {
    use crate::message::testing::{read_parts, report, signal};
    use milepost_telemetry::EventKind;

    // OBD6 and Space10X.
    let obd6 = [
        "44", "0014", "06", "02", "64", "01", "04e2", "00", "0000", "0000",
    ];
    let space10x = [
        "44", "0014", "06", "02", "64", "01", "04e2", "00", "0000", "0000", "80fa",
    ];
    for parts in [&obd6[..], &space10x[..]] {
        let r = report(read_parts(Start::Short, 0x13, parts));
        assert_eq!(r.kind, milepost_telemetry::Kind::Heartbeat);
        let events: alloc::vec::Vec<_> = r.more.events.iter().map(|e| (e.kind, e.code)).collect();
        assert_eq!(events, [(EventKind::Overspeed, Some(6))]);
        assert_eq!(signal(&r, "gt06.alarm_state"), None);
    }
    let r = report(read_parts(Start::Short, 0x13, &["64", "06", "04", "0002"]));
    assert!(r.more.events.is_empty());
    assert_eq!(signal(&r, "gt06.alarm_state").unwrap(), "4");
}
