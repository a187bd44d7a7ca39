use super::*;
use crate::Message;
use crate::message::testing::{CELL, GPS, read_parts};

fn read(number: u8, parts: &[&str]) -> Location {
    match read_parts(Start::Short, number, parts) {
        Message::Location(read) => read,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_worked_example() {
    let read = read(0x22, &[GPS, CELL, "00 00 01"]);
    assert_eq!(read.gps.time().to_unix(), Some(1_451_357_465));
    assert_eq!(read.rest.trailer().unwrap().is_live(), Some(false));
}

#[test]
fn what_follows_is_known_by_its_length() {
    use LocationRest as R;
    let wide = "81cc 0007 287d 001f71";
    for cell in [CELL, wide] {
        for (rest, known) in [
            ("", (|r| matches!(r, R::Nothing)) as fn(&R) -> bool),
            ("0200", |r| matches!(r, R::Word(0x200))),
            ("01 00 00", |r| matches!(r, R::Trailer(_))),
            ("00110064", |r| matches!(r, R::Mileage(Mileage(0x11_0064)))),
            (
                "46 04e4 04 00",
                |r| matches!(r, R::Status(status) if status.supply.0 == 1_252),
            ),
            ("01 00 00 00000064", |r| {
                matches!(r, R::TrailerMileage(_, Mileage(100)))
            }),
        ] {
            let location = read(0x12, &[GPS, cell, rest]);
            assert!(known(&location.rest), "{rest}: {location:?}");
            // The other numbers have fewer of them.
            for number in [0x22, 0x2d] {
                let other = read_parts(Start::Short, number, &[GPS, cell, rest]);
                let is_location = matches!(&other, Message::Location(read) if known(&read.rest));
                let is_position = matches!(other, Message::PositionOnly(_));
                let has_trailer = location.rest.trailer().is_some() || rest.is_empty();
                assert_eq!(
                    (is_location, is_position),
                    (has_trailer, !has_trailer),
                    "{other:?}"
                );
            }
        }
    }
}

#[test]
fn a_4g_location_has_a_4g_cell() {
    for (cell, mnc) in [
        ("01cc 00 0000287d 0000000000001f71", 0),
        ("81cc 0007 0000287d 0000000000001f71", 7),
    ] {
        for (rest, mileage) in [("01 00 00", false), ("01 00 00 00000064", true)] {
            let read = read(0xa0, &[GPS, cell, rest]);
            let cell = read.cell.unwrap();
            assert_eq!((cell.mnc, cell.lac, cell.cell_id), (mnc, 10_365, 8_049));
            assert_eq!(
                matches!(read.rest, LocationRest::TrailerMileage(..)),
                mileage
            );
        }
    }
}

#[cfg(feature = "telemetry")]
#[test]
fn a_cell_of_all_ones_is_none_and_costs_nothing_after_it() {
    for number in [0x12, 0x22] {
        let none = read(number, &[GPS, "ffffffffffffffff", "01 00 00"]);
        assert!(matches!(none.rest, LocationRest::Trailer(_)), "{none:?}");
        let report = crate::message::testing::report(none);
        assert_eq!(report.io.ignition, Some(true));
        assert_eq!(report.fix.unwrap().live, Some(true));
        assert_eq!(report.network.cell, None);
        let bare = read(number, &[GPS, "ffffffffffffffff"]);
        assert!(matches!(bare.rest, LocationRest::Nothing), "{bare:?}");
    }
}

/// Twelve bytes: S5's status, or a mileage, a card of three digits and a driving time.
#[test]
fn a_vehicles_voltage_and_the_fix_tell_s5_from_a_card() {
    // An alarm 03 in place of a card's length, and text after it.
    let fuel = read(0x12, &[GPS, CELL, "46 04b6 04 03 2041 20 00000cd9"]);
    assert!(
        matches!(fuel.rest, LocationRest::Fuel(fuel) if fuel.alarm.0 == 3),
        "{fuel:?}"
    );
    let card = read(0x12, &[GPS, CELL, "0000869c 03 313233 01 00 0005"]);
    let LocationRest::Card(card) = &card.rest else {
        panic!("{card:?}")
    };
    assert_eq!((&card.card[..], card.driving_time), (&b"123"[..], Some(5)));
    // A voltage, but a terminal that denies the fix: a mileage of 4.2 km more.
    let card = read(0x12, &[GPS, CELL, "0004b604 03 313233 01 00 0005"]);
    assert!(matches!(card.rest, LocationRest::Card(_)), "{card:?}");
}

#[cfg(feature = "telemetry")]
#[test]
fn a_cards_alarm_is_a_flag_on_gt06e_and_a_code_on_wetrust() {
    use crate::message::testing::{report, signal};
    let blank = "20".repeat(75);
    // GT06E with an empty card: digits, both 0. 0x30 would be a harsh braking.
    let quiet = report(read(0x12, &[GPS, CELL, "00000064 4b", &blank, "30 30"]));
    assert!(quiet.more.events.is_empty() && quiet.more.identity.is_none());
    let event = |report: &milepost_telemetry::Report| {
        let event = report.more.events.first().unwrap();
        (event.kind, event.code)
    };
    let flag = report(read(0x12, &[GPS, CELL, "00000064 4b", &blank, "31 30"]));
    assert_eq!(
        event(&flag),
        (milepost_telemetry::EventKind::Unknown, Some(1))
    );
    let fast = report(read(0x12, &[GPS, CELL, "00000064 03 313233 06 01 0005"]));
    assert_eq!(
        event(&fast),
        (milepost_telemetry::EventKind::Overspeed, Some(6))
    );
    let wetrust = report(read(0x12, &[GPS, CELL, "00000064 03 313233 01 01 0005"]));
    assert_eq!(
        event(&wetrust),
        (milepost_telemetry::EventKind::Sos, Some(1))
    );
    assert_eq!(
        wetrust.more.identity.as_ref().unwrap().driver.as_deref(),
        Some("123")
    );
    assert_eq!(signal(&wetrust, "gt06.card_state").unwrap(), "1");
    assert_eq!(signal(&wetrust, "gt06.driving_time").unwrap(), "5");
}

#[cfg(feature = "telemetry")]
#[test]
fn two_bytes_are_a_language_or_benways_inputs() {
    use crate::message::testing::{report, reports_as, signal};
    let language = report(read(0x12, &[GPS, CELL, "0001"]));
    assert!(language.more.signals.is_empty() && language.io.inputs.is_empty());
    let inputs = report(read(0x12, &[GPS, CELL, "c000"]));
    assert_eq!(inputs.io.ignition, Some(true));
    assert_eq!(inputs.io.inputs.iter().filter(|on| *on).count(), 2);
    for (word, shown) in [
        ("0c00", "3072"),
        ("0201", "513"),
        ("00ff", "255"),
        ("8c00", "35840"),
    ] {
        let reserved = report(read(0x12, &[GPS, CELL, word]));
        let signals: alloc::vec::Vec<_> = reserved
            .more
            .signals
            .iter()
            .map(|s| alloc::format!("{}", s.id))
            .collect();
        assert_eq!(signals, ["gt06.reserved_word"], "{word}");
        assert_eq!(signal(&reserved, "gt06.reserved_word").unwrap(), shown);
        assert_eq!(reserved.io.inputs.iter().count(), 0, "{word}");
    }
    // Known to be something else.
    let of = |dialect| crate::Profile {
        dialect: Some(dialect),
        ..crate::Profile::default()
    };
    let jimi = reports_as(&of(Dialect::Jimi), read(0x12, &[GPS, CELL, "c000"])).remove(0);
    assert_eq!(signal(&jimi, "gt06.reserved_word").unwrap(), "49152");
    // By the profile even a 1 is an input.
    let profile = of(Dialect::Benway);
    let benway = reports_as(&profile, read(0x12, &[GPS, CELL, "0001"])).remove(0);
    assert_eq!(signal(&benway, "gt06.adc").unwrap(), "0.1");
    let cold = reports_as(&profile, read(0x12, &[GPS, CELL, "1205"])).remove(0);
    assert_eq!(signal(&cold, "gt06.temperature").unwrap(), "-5");
}

#[cfg(feature = "telemetry")]
#[test]
fn s5_and_seeworld_keep_their_units() {
    use crate::message::testing::{report, signal};
    let s5 = report(read(0x12, &[GPS, CELL, "46 04b6 04 00 0123 85 00000cd9"]));
    assert_eq!(s5.power.external.unwrap().as_volts(), 12.06);
    assert_eq!(signal(&s5, "gt06.temperature").unwrap(), "-5");
    assert_eq!(s5.odometer, Some(32_890.into()));
    let climate = "00 00 00 00000064 0000003c 8020 002d";
    let message = read(0x22, &[GPS, "01cc 00 287d 00001f71", climate]);
    assert_eq!(
        Message::from(message.clone()).dialect(),
        Some(Dialect::Seeworld)
    );
    let seeworld = report(message);
    assert_eq!(signal(&seeworld, "gt06.temperature_raw").unwrap(), "-32");
    assert_eq!(signal(&seeworld, "gt06.trip_time").unwrap(), "60");
    assert_eq!(seeworld.network.cell.unwrap().cell_id, 8_049);
}

#[test]
fn a_seeworld_s_cell_may_have_a_wide_mnc() {
    const REST: &str = "01 00 00 00000064 00000000 0020 002d";
    for cell in ["01cc 00 287d 00001f71", "81cc 0004 287d 00001f71"] {
        let read = read(0x22, &[GPS, cell, REST]);
        assert_eq!(read.cell.unwrap().cell_id, 8_049, "{read:?}");
        assert!(matches!(read.rest, LocationRest::Climate { .. }));
    }
}
