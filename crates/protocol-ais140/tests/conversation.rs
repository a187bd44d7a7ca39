//! Conversations: identity, replies, emergencies, clocks, checksums, commands.
#![cfg(all(feature = "simulate", feature = "telemetry"))]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use milepost_protocol_ais140::normalize::{Arrival, ReportSource, normalize};
use milepost_protocol_ais140::simulate::{Packet, State, Vehicle};
use milepost_protocol_ais140::{
    Checksum, Dialects, Frame, Handled, Imei, Profile, ReplyClass, ReplyPolicy, Session,
};
use milepost_telemetry::{EventKind, Incident, Kind, Origin, Report, Timestamp, Zone};

const NOW: i64 = 1_709_619_330;

const STATE: State = State {
    unix: NOW,
    latitude: 12.976545,
    longitude: 77.549759,
    speed: 32.5,
    course: 118.0,
    ignition: true,
    emergency: false,
};

/// A connection as a listener holds it.
struct Connection {
    session: Session,
    source: ReportSource,
    frame: u64,
}

impl Connection {
    fn new(policy: ReplyPolicy) -> Self {
        Self {
            session: Session::new(Dialects::builtin(), policy),
            source: ReportSource::new(None, None),
            frame: 0,
        }
    }

    fn hear(&mut self, packet: &[u8], now: i64) -> (Handled, Vec<Report>) {
        self.frame += 1;
        let frame = Frame::new(packet.trim_ascii_end().to_vec().into());
        let mut handled = self.session.on_frame(&frame, now);
        if let Some(imei) = handled.identify {
            self.source = ReportSource::new(None, imei.device_id());
            self.session.on_identified(None);
            handled = self.session.on_frame(&frame, now);
            assert_eq!(handled.identify, None);
        }
        let origin = Origin {
            epoch: 1,
            connection: 1,
            frame: self.frame,
        };
        let mut reports = Vec::new();
        let arrival = Arrival {
            at: Timestamp::from_unix(now),
            origin,
        };
        normalize(&handled, &self.source, arrival, &mut reports);
        (handled, reports)
    }
}

fn vehicle(dialect: &str) -> Vehicle {
    Vehicle::new(
        &Dialects::builtin(),
        dialect,
        Imei::new(123_456_789_012_347),
    )
    .unwrap()
}

fn mark(reports: &[Report]) -> Option<(EventKind, Option<Incident>)> {
    reports[0]
        .more
        .events
        .first()
        .map(|event| (event.kind, event.incident))
}

#[test]
fn any_packet_names_the_device_and_another_device_is_asked_for_anew() {
    let mut connection = Connection::new(ReplyPolicy::default());
    let packet = vehicle("rlp").packet(Packet::Position, &STATE).unwrap();
    let (_, reports) = connection.hear(&packet, NOW);
    assert_eq!(reports[0].device.unwrap().as_str(), "123456789012347");
    let other = Vehicle::new(&Dialects::builtin(), "rlp", Imei::new(5))
        .unwrap()
        .packet(Packet::Position, &STATE);
    let frame = Frame::new(other.unwrap().trim_ascii_end().to_vec().into());
    let asked = connection.session.on_frame(&frame, NOW).identify;
    assert_eq!(asked, Some(Imei::new(5)));
}

#[test]
fn the_first_packet_of_every_dialect_names_its_device() {
    let mut logins = 0;
    for dialect in Dialects::builtin().iter() {
        for packet in [Packet::Login, Packet::Position] {
            let Ok(bytes) = vehicle(dialect.name()).packet(packet, &STATE) else {
                continue;
            };
            logins += usize::from(packet == Packet::Login);
            let frame = Frame::new(bytes.trim_ascii_end().to_vec().into());
            let mut session = Session::new(Dialects::builtin(), ReplyPolicy::default());
            let named = session.on_frame(&frame, NOW).identify;
            let text = String::from_utf8_lossy(&bytes);
            assert_eq!(
                named,
                Some(Imei::new(123_456_789_012_347)),
                "{}: {text}",
                dialect.name()
            );
        }
    }
    assert!(logins > 10, "{logins}");
}

#[test]
fn only_dialects_that_wait_for_an_answer_get_one_and_emergencies_only_when_stored() {
    let sent = |dialect: &str, packet, policy| {
        let mut connection = Connection::new(policy);
        let bytes = vehicle(dialect).packet(packet, &STATE).unwrap();
        connection.hear(&bytes, NOW).0.reply
    };
    let silent = ReplyPolicy::default();
    let reply = sent("wetrack", Packet::Login, silent.clone()).unwrap();
    assert_eq!(
        (&reply.bytes[..], reply.class),
        (&b"$LGN05032024061530*"[..], ReplyClass::Now)
    );
    let reply = sent("xyz123", Packet::Login, silent.clone()).unwrap();
    assert_eq!(&reply.bytes[..], b"$,1,*");
    // What only one source describes is sent where it was chosen.
    let chosen = ReplyPolicy::of(["odisha"]);
    assert!(chosen.sends_unconfirmed("odisha") && !chosen.sends_unconfirmed("roadpoint"));
    assert_eq!(sent("roadpoint", Packet::Emergency, chosen), None);
    for dialect in ["roadpoint", "itriangle", "nic", "amendment3"] {
        for packet in [Packet::Login, Packet::Position, Packet::Emergency] {
            assert_eq!(sent(dialect, packet, silent.clone()), None, "{dialect}");
        }
    }
    // Known as RoadPoint's by its positions.
    let mut connection = Connection::new(ReplyPolicy::of(["roadpoint"]));
    let mut vehicle = vehicle("roadpoint");
    connection.hear(&vehicle.packet(Packet::Position, &STATE).unwrap(), NOW);
    let reply = connection
        .hear(&vehicle.packet(Packet::Emergency, &STATE).unwrap(), NOW)
        .0
        .reply;
    let reply = reply.unwrap();
    assert_eq!(reply.class, ReplyClass::WhenDelivered);
    assert_eq!(
        &reply.bytes[..],
        b"$AKN,EMR,123456789012347,KA01SIM347,0,05032024061530*"
    );
    assert_eq!(
        vehicle.understand(&reply.bytes),
        Some(ReplyClass::WhenDelivered)
    );
}

#[test]
fn an_emergency_begins_is_repeated_and_ends() {
    let mut connection = Connection::new(ReplyPolicy::default());
    let mut vehicle = vehicle("itriangle");
    let calm = STATE;
    let alarmed = State {
        emergency: true,
        ..STATE
    };
    let mut hear = |packet, state: &State, seconds| {
        let state = State {
            unix: NOW + seconds,
            ..*state
        };
        let bytes = vehicle.packet(packet, &state).unwrap();
        connection.hear(&bytes, NOW + seconds).1
    };
    assert_eq!(mark(&hear(Packet::Position, &calm, 0)), None);
    let began = hear(Packet::Alert(10), &alarmed, 10);
    assert_eq!(mark(&began), Some((EventKind::Sos, Some(Incident::Begin))));
    assert_eq!(began[0].more.events[0].code, Some(10));
    let packet = hear(Packet::Emergency, &alarmed, 10);
    assert_eq!(packet[0].kind, Kind::Emergency);
    assert_eq!(
        mark(&packet),
        Some((EventKind::Sos, Some(Incident::Repeat)))
    );
    let goes_on = hear(Packet::Position, &alarmed, 20);
    assert_eq!(
        mark(&goes_on),
        Some((EventKind::Sos, Some(Incident::Repeat)))
    );
    let over = hear(Packet::EmergencyEnd, &calm, 30);
    assert_eq!(mark(&over), Some((EventKind::Sos, Some(Incident::End))));
    assert_eq!(mark(&hear(Packet::Position, &calm, 40)), None);
    // The next one ends by its flag alone.
    assert_eq!(
        mark(&hear(Packet::Position, &alarmed, 50)).unwrap().1,
        Some(Incident::Begin)
    );
    assert_eq!(
        mark(&hear(Packet::Position, &calm, 60)).unwrap().1,
        Some(Incident::End)
    );
}

#[test]
fn a_position_in_the_shape_of_an_emergency_is_none() {
    let mut connection = Connection::new(ReplyPolicy::default());
    let (_, reports) = connection.hear(
        b"$EPB,TNT,0060AI14,NR,01,L,123456789012347,DDNNAC1234,1,010918,112653,28.451358,N,\
          77.071587,E,0.0,302.18,13,247.2,0.00,0.00,airtel,1,1,11.7,4.4,0,O,GEO-NA,27,404,10,96,3652,\
          96,3654,24,96,3653,24,96,35dc,17,96,40df,11,1110,00,039824,9906*",
        NOW,
    );
    assert_eq!(reports[0].kind, Kind::Location);
    assert!(reports[0].more.events.is_empty());
    let (_, reports) = connection.hear(
        b"$,NRP,123456789012347,NM,060319122325,A,1725.1747,N,07824.0597,E,627.7,0.0,0,G,AP07X,0,AB,*",
        NOW,
    );
    assert_eq!(reports[0].kind, Kind::Location);
    assert!(reports[0].more.events.is_empty());
}

#[test]
fn the_same_fact_from_the_buffer_has_the_same_id() {
    let mut connection = Connection::new(ReplyPolicy::default());
    let mut vehicle = vehicle("rlp");
    let mut id = |packet, state: &State| {
        let bytes = vehicle.packet(packet, state).unwrap();
        connection.hear(&bytes, NOW).1[0].id
    };
    let live = id(Packet::Position, &STATE);
    assert_eq!(
        live,
        id(Packet::History, &STATE),
        "1 and 2, L and H, and the frame number"
    );
    assert_ne!(live, id(Packet::Alert(13), &STATE));
    assert_ne!(
        live,
        id(
            Packet::Position,
            &State {
                unix: NOW + 1,
                ..STATE
            }
        )
    );
    assert_ne!(
        live,
        id(
            Packet::Position,
            &State {
                latitude: 12.9,
                ..STATE
            }
        )
    );
    assert_ne!(
        live,
        id(
            Packet::Position,
            &State {
                ignition: false,
                ..STATE
            }
        )
    );
    assert_ne!(
        live,
        id(
            Packet::Position,
            &State {
                emergency: true,
                ..STATE
            }
        )
    );
    assert_eq!(
        live,
        id(
            Packet::Position,
            &State {
                speed: 1.0,
                ..STATE
            }
        )
    );
}

#[test]
fn local_time_is_learned_from_live_packets_only() {
    let run = |packet| {
        let mut connection = Connection::new(ReplyPolicy::default());
        let mut vehicle = vehicle("rlp");
        for i in 0..10 {
            let now = NOW + i * 30;
            let state = State {
                unix: now + 19_800,
                ..STATE
            };
            connection.hear(&vehicle.packet(packet, &state).unwrap(), now);
        }
        let state = State {
            unix: NOW + 19_800,
            ..STATE
        };
        let bytes = vehicle.packet(Packet::Position, &state).unwrap();
        let report = connection.hear(&bytes, NOW).1.remove(0);
        (connection.session.profile().detected_zone, report)
    };
    let (zone, report) = run(Packet::Position);
    assert_eq!(zone, Some(330));
    assert_eq!(report.zone, Some(Zone::Detected));
    assert_eq!(report.device_time, Some(Timestamp::from_unix(NOW)));
    // The raw time makes the id, so that a zone that is learned makes no second row.
    assert_eq!(report.id.key_time(), Timestamp::from_unix(NOW + 19_800));
    assert_eq!(run(Packet::History).0, None);
}

#[test]
fn an_eight_bit_sum_of_nobody_is_certain_after_three_packets_and_given_up_after_three_misses() {
    let packet = |n: u32, base: u8| {
        let mut text = format!(
            "$,C,MAKER,1.0,NR,01,L,123456789012347,KA01,1,05032024,0615{n:02},12.976545,N,77.549759,E,\
             32.5,118.0,11,914.0,1.20,0.80,SIM,1,1,12.6,4.1,0,C,24,404,45,61b4,9ad9,0,0,0,0,0,0,0,0,0,0,\
             0,0,0001,00,{n:06},",
        );
        let sum = text
            .bytes()
            .skip(usize::from(base))
            .fold(0_u8, u8::wrapping_add);
        text.push_str(&format!("{sum:02X},*"));
        text
    };
    let mut connection = Connection::new(ReplyPolicy::default());
    // The byte sum modulo 256 in hexadecimal is no dialect's own.
    for (n, verdict) in [
        (1, Checksum::Unverified),
        (2, Checksum::Unverified),
        (3, Checksum::Valid),
        (4, Checksum::Valid),
    ] {
        assert_eq!(
            connection.hear(packet(n, 0).as_bytes(), NOW).0.checksum,
            verdict,
            "{n}"
        );
    }
    // New firmware leaves out the `$`.
    for n in 5..8 {
        let found = connection.hear(packet(n, 1).as_bytes(), NOW).0.checksum;
        assert_eq!(found, Checksum::Mismatch, "{n}");
    }
    assert_eq!(
        connection.hear(packet(8, 1).as_bytes(), NOW).0.checksum,
        Checksum::Valid
    );
}

#[test]
fn what_is_learned_is_kept_and_a_dialect_set_by_hand_goes_first() {
    let mut connection = Connection::new(ReplyPolicy::default());
    let mut vehicle = vehicle("roadpoint");
    for _ in 0..3 {
        connection.hear(&vehicle.packet(Packet::Position, &STATE).unwrap(), NOW);
    }
    let profile = connection.session.profile().clone();
    assert_eq!(profile.dialect.as_ref().unwrap().0, "roadpoint");
    let kept = milepost_telemetry::Profile::from(&profile);
    assert_eq!(Profile::try_from(&kept), Ok(profile));

    let mut set = Profile::default();
    set.configured_dialect = Some("wtex".into());
    let mut session = Session::default();
    let bytes = vehicle.packet(Packet::Position, &STATE).unwrap();
    let frame = Frame::new(bytes.trim_ascii_end().to_vec().into());
    assert!(session.on_frame(&frame, NOW).identify.is_some());
    session.on_identified(Some(set));
    let message = session.on_frame(&frame, NOW).message.unwrap();
    assert_eq!(message.dialect.name(), "wtex");
}

#[test]
fn answers_to_commands_name_what_they_are_about() {
    let mut connection = Connection::new(ReplyPolicy::default());
    for (packet, verb) in [
        (
            &b"$Header,VendorId,VC4.40,OA,12,L,123456789012347,MH01,1,06042025,120100,28.6139,N,77.2090,E,45.0,\
               303,12,194.0,0.00,1.38,airtel,0,0,0.0,3.7,0,C,24,404,10,93e,96d640b,186,ffff,137,174,ffff,84,\
               0,0,0,0,0,0,000000,1111,002958,0.0,0.0,0.0,0,(domain.com:12345,PIP,1)*68"[..],
            "PIP",
        ),
        (
            &b"$,PC,12,123456789012347,1,136.243.105.103,23092019,051150,GETVDETAILS,1.0.6,190919,A1*"[..],
            "GETVDETAILS",
        ),
    ] {
        let (_, reports) = connection.hear(packet, NOW);
        assert_eq!(reports[0].kind, Kind::CommandReply);
        let answer = reports[0].more.answer.as_ref().unwrap();
        assert_eq!(answer.verb.as_deref(), Some(verb));
        assert_eq!(reports[0].more.text.as_deref(), Some(&*answer.text));
        let code = reports[0].more.events.first().and_then(|event| event.code);
        assert_eq!(code, Some(12));
    }
    let release = connection.session.command("RELEASE");
    assert!(release.is_err(), "iTriangle's words for it are not known");
}

#[test]
fn missing_and_extra_fields_still_give_a_position_and_are_named() {
    let full = "$NRM,VENDOR,1.0.0,NR,01,L,123456789012347,KA01AB1234,1,05032024,061530,12.976545,N,\
        77.549759,E,32.5,118.0,11,914.0,1.20,0.80,Airtel,1,1,12.6,4.1,0,C,24,404,45,61B4,9AD9,31,61B4,\
        9ADB,28,61B4,9AE1,22,61B5,1F03,19,61B5,1F07,0001,00,000127,E4D8987B*";
    let hear = |packet: &str| {
        let mut connection = Connection::new(ReplyPolicy::default());
        connection.hear(packet.as_bytes(), NOW).1.remove(0)
    };
    let whole = hear(full);
    assert_eq!(whole.checksum, milepost_telemetry::Checksum::Valid);
    assert_eq!(whole.cells().count(), 5);
    let said = |report: &Report, name: &str| {
        let signal = report
            .more
            .signals
            .iter()
            .find(|s| s.id.to_string() == name);
        signal
            .and_then(|s| s.value.clone())
            .map(|v| serde_json::to_string(&v).unwrap())
    };
    for (name, from, to, sign) in [
        ("no tamper", ",0,C,24", ",0,24", None),
        ("empty operator", ",Airtel,", ",,", None),
        ("split date", "05032024,061530", "05,03,2024,06,15,30", None),
        ("six-digit date", "05032024,", "050324,", None),
        ("joined date", "05032024,061530", "05032024061530", None),
        ("extra empty field", "KA01AB1234,1,", "KA01AB1234,,1,", None),
        ("no alert", ",NR,01,L,", ",NR,L,", None),
        (
            "no operator",
            ",Airtel,",
            ",",
            Some(("ais140.missing", "operator")),
        ),
        (
            "no registration",
            ",KA01AB1234,1,",
            ",1,",
            Some(("ais140.missing", "registration")),
        ),
        (
            "stray number",
            ",0.80,Airtel",
            ",0.80,46,Airtel",
            Some(("ais140.extra", "46")),
        ),
        (
            "fix after time",
            ",1,05032024,061530,",
            ",05032024,061530,1,",
            None,
        ),
    ] {
        let report = hear(&full.replace(from, to));
        let fix = report.fix.as_ref().unwrap_or_else(|| panic!("{name}"));
        assert_eq!(fix.coordinates.latitude(), 12.976545, "{name}");
        assert!(fix.valid, "{name}");
        assert_eq!(report.device_time, whole.device_time, "{name}");
        assert_eq!(report.sequence, Some(127), "{name}");
        assert_eq!(report.io.ignition, Some(true), "{name}");
        assert_eq!(report.power.external, whole.power.external, "{name}");
        assert_eq!(report.network.cell.unwrap().cell_id, 0x9ad9, "{name}");
        assert_eq!(report.cells().count(), 5, "{name}");
        match sign {
            Some((signal, value)) => {
                assert_eq!(
                    said(&report, signal),
                    Some(format!("\"{value}\"")),
                    "{name}"
                );
            }
            None => assert_eq!(said(&report, "ais140.missing"), None, "{name}"),
        }
    }
}

#[test]
fn without_imei_and_position_the_error_names_field_and_byte() {
    let mut connection = Connection::new(ReplyPolicy::default());
    let (handled, reports) = connection.hear(b"$NRM,VENDOR,1.0.0,NR,01,L,nobody,KA01*", NOW);
    assert!(reports.is_empty());
    assert_eq!(
        handled.message.unwrap_err().to_string(),
        "tracking: missing in field imei at byte 5"
    );
}
