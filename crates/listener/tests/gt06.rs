//! A GT06 device through the adapter: frames in, envelopes and answers out.
#![cfg(feature = "gt06")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use milepost_listener::protocols::Gt06;
use milepost_listener::test_util::{Device, Shelf, network};
use milepost_listener::{
    Claim, Command, Connections, Identified, Limits, NotSent, Registry, Resolution, Server,
};
use milepost_protocol_gt06::address::{Language, Purpose, Question, Resolver};
use milepost_protocol_gt06::message::{FileBlock, FileCheck};
use milepost_protocol_gt06::{AckPolicy, Message};
use milepost_telemetry::{Content, DeviceKey, Kind, Name, Profile, Tenant, Timestamp};
use tokio_util::sync::CancellationToken;

/// The login of the manual: 752533678900242, eight hours east.
const LOGIN: &str = "7878110107525336789002427000320100051279 0d0a";
const LOGIN_ANSWER: &str = "7878050100059ff8 0d0a";

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

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex.replace(' ', "")).unwrap()
}

fn connect(memory: &Memory) -> (Device, Shelf) {
    connect_to(Gt06::default(), memory)
}

fn connect_to(protocol: Gt06, memory: &Memory) -> (Device, Shelf) {
    connect_among(&Connections::default(), protocol, memory)
}

fn connect_among(connections: &Connections, protocol: Gt06, memory: &Memory) -> (Device, Shelf) {
    let (dial, incoming) = network();
    let shelf = Shelf::default();
    let server = Server::new(protocol, memory.clone(), shelf.clone())
        .limits(Limits::default())
        .connections(connections.clone())
        .clock(|| Timestamp::from_civil(2026, 11, 20, 7, 0, 0).unwrap())
        .serve(incoming);
    tokio::spawn(server.run(CancellationToken::new()));
    (dial.connect(), shelf)
}

fn frame(number: u8, body: &str, serial: u16) -> Vec<u8> {
    let body = bytes(body);
    let mut checked = vec![u8::try_from(body.len() + 5).unwrap(), number];
    checked.extend(&body);
    checked.extend(serial.to_be_bytes());
    let crc = milepost_protocol_gt06::checksum(&checked);
    [&[0x78, 0x78], &*checked, &crc.to_be_bytes(), b"\r\n"].concat()
}

#[tokio::test(start_paused = true)]
async fn a_device_logs_in_beats_and_reports() {
    let memory = Memory::default();
    let (mut device, shelf) = connect(&memory);
    device.send(bytes(LOGIN)).await;
    device.expect(bytes(LOGIN_ANSWER)).await;
    let learned = memory.0.lock().unwrap().clone();

    let heartbeat = frame(0x13, "4604040002", 6);
    device.send(&heartbeat).await;
    device.expect(frame(0x13, "", 6)).await;

    let location = frame(
        0x22,
        "0f0c1d0233050c027ac8190c4658000014e0 01cc00287d001f71 010000",
        7,
    );
    device.send(&location).await;
    device.expect_silence(Duration::from_secs(1)).await;

    let envelopes = shelf.envelopes();
    let kinds: Vec<_> = envelopes
        .iter()
        .map(|e| match &e.content {
            Content::Reports(reports) => reports[0].kind,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds, [Kind::Login, Kind::Heartbeat, Kind::Location]);
    let Content::Reports(reports) = &envelopes[2].content else {
        unreachable!()
    };
    let fix = reports[0].fix.as_ref().unwrap();
    assert!((fix.coordinates.latitude() - 23.1117).abs() < 0.01);
    assert_eq!(reports[0].device.unwrap().as_str(), "752533678900242");
    assert_eq!(envelopes[2].raw, location);

    // What the login taught is kept, and travels with the frames after it.
    assert!(learned.as_ref().unwrap().as_str().contains("480"));
    assert_eq!(envelopes[0].profile, None);
    assert_eq!(envelopes[1].profile, learned);
}

#[tokio::test(start_paused = true)]
async fn alarms_are_urgent_and_locations_are_not() {
    let (mut device, shelf) = connect(&Memory::default());
    device.send(bytes(LOGIN)).await;
    device.expect(bytes(LOGIN_ANSWER)).await;
    let gps = "0f0c1d0233050c027ac8190c4658000014e0";
    let alarm = format!("{gps}09 01cc00287d001f71 4406040101");
    for number in [0x16, 0x26, 0x27] {
        device.send(frame(number, &alarm, 7)).await;
    }
    device
        .send(frame(0x22, &format!("{gps}01cc00287d001f71 010000"), 8))
        .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let urgent: Vec<_> = shelf.envelopes().iter().map(|e| e.urgent).collect();
    assert_eq!(urgent, [false, true, true, true, false]);
}

#[tokio::test(start_paused = true)]
async fn a_probe_on_the_port_gets_no_answer_and_harms_nobody() {
    let (mut device, shelf) = connect(&Memory::default());
    device
        .send("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n")
        .await;
    device.expect_silence(Duration::from_secs(30)).await;
    // It may still be a device behind a proxy that speaks first.
    device.send(bytes(LOGIN)).await;
    device.expect(bytes(LOGIN_ANSWER)).await;
    assert_eq!(shelf.contents().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_profile_of_a_newer_version_is_not_overwritten() {
    let newer = Profile::new(r#"{"version":99}"#);
    let memory = Memory(Arc::new(Mutex::new(Some(newer.clone()))));
    let (mut device, _) = connect(&memory);
    device.send(bytes(LOGIN)).await;
    device.expect(bytes(LOGIN_ANSWER)).await;
    assert_eq!(*memory.0.lock().unwrap(), Some(newer));
}

#[tokio::test(start_paused = true)]
async fn who_knows_addresses_is_asked_by_every_connection() {
    let resolver = Resolver::new(|_| Some("Harbour Road 1".to_owned()));
    let session =
        milepost_protocol_gt06::Session::new(AckPolicy::default()).with_resolver(resolver);
    let (mut device, _) = connect_to(session.into(), &Memory::default());
    device.send(bytes(LOGIN)).await;
    device.expect(bytes(LOGIN_ANSWER)).await;
    // 0x2A in English: where am I, asked by 13800000000.
    let place = "0f0c1d023305 c9027ac8180c465860001400";
    let phone = format!("{}{}", hex::encode("13800000000"), "00".repeat(10));
    device
        .send(frame(0x2a, &format!("{place}{phone}0002"), 7))
        .await;
    let mut asked = [0; 21];
    asked[..11].copy_from_slice(b"13800000000");
    let answer = Question {
        purpose: Purpose::Query,
        position: None,
        cell: None,
        phone: asked,
        language: Language::English,
    };
    device.expect(answer.reply(7, "Harbour Road 1")).await;
}

#[tokio::test(start_paused = true)]
async fn a_command_that_cannot_be_sent_is_refused_with_its_own_reason() {
    let connections = Connections::default();
    let (mut device, shelf) = connect_among(&connections, Gt06::default(), &Memory::default());
    let reason = async |text: &str| {
        let envelopes = shelf.envelopes();
        let key = envelopes.last().unwrap().device.unwrap();
        match connections.send_command(&key, Command::new(1, text)).await {
            Err(NotSent::Refused(refused)) => {
                assert!(!refused.may_retry());
                refused.to_string()
            }
            other => panic!("{other:?}"),
        }
    };
    device.send(bytes(LOGIN)).await;
    device.expect(bytes(LOGIN_ANSWER)).await;
    assert_eq!(reason("").await, "the command is empty");
    let long = "X".repeat(1_001);
    assert_eq!(reason(&long).await, "the command is out of range");
    // A relative without serial and checksum reads none at all.
    let (mut device, shelf) = connect_among(&connections, Gt06::default(), &Memory::default());
    device.send(bytes("78780d010359339075005244010d0a")).await;
    device.expect(bytes("78780d01010d0a")).await;
    let key = shelf.envelopes()[0].device.unwrap();
    let refused = connections.send_command(&key, Command::new(2, "RELAY,1#"));
    let refused = refused.await.unwrap_err().to_string();
    assert!(refused.contains("take no text commands"), "{refused}");
    device.expect_silence(Duration::from_secs(1)).await;
}

/// Three bytes of six of the recording that an alarm of that serial made.
fn half_a_recording(alarm: u8) -> Bytes {
    let block = FileBlock {
        kind: 1,
        size: 6,
        check: FileCheck::Crc(0),
        offset: 0,
        data: Bytes::from_static(b"abc"),
        mark: Bytes::copy_from_slice(&[0, alarm]),
    };
    Message::from(block).to_bytes(8)
}

/// Runs a conversation; how many uploads were given up without a report, by reason.
fn given_up(conversation: impl Future<Output = ()>) -> BTreeMap<String, u64> {
    let recorder = DebuggingRecorder::new();
    metrics::with_local_recorder(&recorder, || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(conversation);
    });
    let counted = recorder.snapshotter().snapshot().into_vec();
    counted
        .into_iter()
        .filter(|(key, ..)| key.key().name() == "milepost_listener_uploads_abandoned_total")
        .map(|(key, _, _, value)| {
            let mut labels = key.key().labels();
            let reason = labels.find(|label| label.key() == "reason").unwrap();
            let DebugValue::Counter(n) = value else {
                panic!("no counter: {value:?}");
            };
            (reason.value().to_owned(), n)
        })
        .collect()
}

#[test]
fn an_upload_that_the_end_of_its_connection_cuts_off_is_counted_and_its_blocks_are_reports() {
    let counted = given_up(async {
        let (mut device, shelf) = connect(&Memory::default());
        device.send(bytes(LOGIN)).await;
        device.expect(bytes(LOGIN_ANSWER)).await;
        device.send(half_a_recording(1)).await;
        device.send(half_a_recording(2)).await;
        device.finish().await;
        device.expect_end().await;
        let reports = |content: &Content| match content {
            Content::Reports(reports) => reports.len(),
            other => panic!("{other:?}"),
        };
        let reports: Vec<_> = shelf.contents().iter().map(reports).collect();
        assert_eq!(reports, [1, 1, 1]);
    });
    assert_eq!(counted, BTreeMap::from([("closed".to_owned(), 2)]));
}

#[test]
fn an_upload_is_given_up_at_another_device_s_login_and_not_told_as_that_one_s() {
    let counted = given_up(async {
        let (mut device, shelf) = connect(&Memory::default());
        device.send(bytes(LOGIN)).await;
        device.expect(bytes(LOGIN_ANSWER)).await;
        device.send(half_a_recording(1)).await;
        device.send(frame(0x01, "0123456789012345", 9)).await;
        device.expect(frame(0x01, "", 9)).await;
        let contents = shelf.contents();
        let Content::Reports(login) = &contents[2] else {
            panic!("{contents:?}");
        };
        assert_eq!(login.len(), 1);
        device.finish().await;
        device.expect_end().await;
    });
    assert_eq!(counted, BTreeMap::from([("login".to_owned(), 1)]));
}
