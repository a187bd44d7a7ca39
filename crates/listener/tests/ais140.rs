//! An AIS 140 device through the adapter: packets in, envelopes and answers out.
#![cfg(feature = "ais140")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use milepost_listener::protocols::Ais140;
use milepost_listener::test_util::{Device, Shelf, network};
use milepost_listener::{
    Claim, Command, Connections, Identified, NotSent, Registry, Resolution, Server,
};
use milepost_protocol_ais140::simulate::{Packet, State, Vehicle};
use milepost_protocol_ais140::{Dialects, Imei};
use milepost_telemetry::{Content, DeviceKey, Kind, Name, Profile, Report, Tenant, Timestamp};
use tokio_util::sync::CancellationToken;

const NOW: i64 = 1_709_619_330;

const STATE: State = State {
    unix: NOW,
    latitude: 12.976_545,
    longitude: 77.549_759,
    speed: 32.5,
    course: 118.0,
    ignition: true,
    emergency: false,
};

/// Remembers profiles.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Option<Profile>>>);

impl Registry for Memory {
    async fn resolve(&self, claim: Claim) -> Resolution {
        let device = DeviceKey {
            tenant: Tenant::new("acme").unwrap(),
            device: claim.id,
        };
        let profile = self.0.lock().unwrap().clone();
        Resolution::Accept(Identified::new(device).with_profile(profile))
    }

    fn learn(&self, _: Name, _: &DeviceKey, profile: &Profile) {
        *self.0.lock().unwrap() = Some(profile.clone());
    }
}

fn connect(memory: &Memory, connections: &Connections) -> (Device, Shelf) {
    let (dial, incoming) = network();
    let shelf = Shelf::default();
    let server = Server::new(Ais140::default(), memory.clone(), shelf.clone())
        .connections(connections.clone())
        .clock(|| Timestamp::from_unix(NOW))
        .serve(incoming);
    tokio::spawn(server.run(CancellationToken::new()));
    (dial.connect(), shelf)
}

fn vehicle(dialect: &str) -> Vehicle {
    let imei = Imei::new(123_456_789_012_347);
    Vehicle::new(&Dialects::builtin(), dialect, imei).unwrap()
}

fn reports(shelf: &Shelf) -> Vec<Report> {
    let reports = |content| match content {
        Content::Reports(reports) => reports,
        other => panic!("{other:?}"),
    };
    shelf.contents().into_iter().flat_map(reports).collect()
}

#[tokio::test(start_paused = true)]
async fn a_device_logs_in_and_its_positions_are_its_own() {
    let memory = Memory::default();
    let (mut device, shelf) = connect(&memory, &Connections::default());
    let mut vehicle = vehicle("wetrack");
    device
        .send(vehicle.packet(Packet::Login, &STATE).unwrap())
        .await;
    device.expect("$LGN05032024061530*").await;
    let position = vehicle.packet(Packet::Position, &STATE).unwrap();
    device.send(&position).await;
    device.expect_silence(Duration::from_secs(5)).await;
    let reports = reports(&shelf);
    let kinds: Vec<_> = reports.iter().map(|report| report.kind).collect();
    assert_eq!(kinds, [Kind::Login, Kind::Location]);
    for report in &reports {
        assert_eq!(report.device.unwrap().as_str(), "123456789012347");
        assert_eq!(report.tenant.unwrap().as_str(), "acme");
    }
    assert_eq!(
        shelf.envelopes()[1].raw,
        position.trim_ascii_end().to_vec(),
        "the line's end is no part of the packet"
    );
    let learned = memory.0.lock().unwrap().clone().unwrap();
    assert!(learned.as_str().contains("\"dialect\":\"wetrack\""));
}

#[tokio::test(start_paused = true)]
async fn any_packet_names_the_device_and_is_reported_once() {
    let (mut device, shelf) = connect(&Memory::default(), &Connections::default());
    let position = vehicle("rlp").packet(Packet::Position, &STATE).unwrap();
    device.send(position).await;
    device.expect_silence(Duration::from_secs(5)).await;
    let reports = reports(&shelf);
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].device.unwrap().as_str(), "123456789012347");
}

#[tokio::test(start_paused = true)]
async fn emergencies_are_urgent_and_positions_are_not() {
    let (mut device, shelf) = connect(&Memory::default(), &Connections::default());
    let mut vehicle = vehicle("nic");
    for packet in [Packet::Position, Packet::Alert(10), Packet::Emergency] {
        device.send(vehicle.packet(packet, &STATE).unwrap()).await;
    }
    device.expect_silence(Duration::from_secs(5)).await;
    let urgent: Vec<_> = shelf.envelopes().iter().map(|e| e.urgent).collect();
    assert_eq!(urgent, [false, true, true]);
}

#[tokio::test(start_paused = true)]
async fn a_command_goes_out_in_the_words_of_the_device_s_dialect() {
    let connections = Connections::default();
    let (mut device, shelf) = connect(&Memory::default(), &connections);
    let mut vehicle = vehicle("amendment3");
    device
        .send(vehicle.packet(Packet::Position, &STATE).unwrap())
        .await;
    device.expect_silence(Duration::from_secs(5)).await;
    let key = shelf.envelopes()[0].device.unwrap();
    let sent = connections.send_command(&key, Command::new(1, "RELEASE"));
    assert!(sent.await.is_ok());
    let covered = "$123456789012347,012347,CLR,020";
    let sum = covered.bytes().skip(1).fold(0, |sum, byte| sum ^ byte);
    device.expect(format!("{covered}*{sum:02X}\r\n")).await;
    match connections.send_command(&key, Command::new(2, "SET")).await {
        Err(NotSent::Refused(refused)) => assert!(!refused.may_retry(), "{refused}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_kept_in_quarantine_with_its_field() {
    let (mut device, shelf) = connect(&Memory::default(), &Connections::default());
    device
        .send(vehicle("nic").packet(Packet::Login, &STATE).unwrap())
        .await;
    device.send("$NRM,1\r\n").await;
    device.expect_silence(Duration::from_secs(5)).await;
    let contents = shelf.contents();
    let Content::Quarantined(quarantine) = &contents[1] else {
        panic!("{contents:?}");
    };
    assert!(quarantine.field.is_some(), "{quarantine:?}");
}

#[tokio::test(start_paused = true)]
async fn a_profile_of_a_newer_version_is_not_overwritten() {
    let newer = Profile::new(r#"{"version":99}"#);
    let memory = Memory(Arc::new(Mutex::new(Some(newer.clone()))));
    let (mut device, shelf) = connect(&memory, &Connections::default());
    device
        .send(vehicle("wetrack").packet(Packet::Position, &STATE).unwrap())
        .await;
    device.expect_silence(Duration::from_secs(5)).await;
    assert_eq!(reports(&shelf).len(), 1);
    assert_eq!(*memory.0.lock().unwrap(), Some(newer));
}
