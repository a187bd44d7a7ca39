//! A gateway of CAN frames through the adapter: records in, one report per interval out.
#![cfg(feature = "j1939")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use milepost_listener::protocols::J1939;
use milepost_listener::test_util::{Device, Shelf, network};
use milepost_listener::{AcceptAll, Limits, Server};
use milepost_protocol_j1939::carrier::{Encoder, Form, Setting};
use milepost_protocol_j1939::claim::{ClaimRule, ClaimRules};
use milepost_protocol_j1939::simulate::Truck;
use milepost_protocol_j1939::{CanFrame, CanTime};
use milepost_telemetry::{Content, EventKind, Kind, Report, Tenant, Timestamp};
use tokio_util::sync::CancellationToken;

const NOW: i64 = 1_709_619_330;
const PEER: &str = "10.1.2.3:40000";

fn connect(protocol: J1939) -> (Device, Shelf) {
    let (dial, incoming) = network();
    let shelf = Shelf::default();
    let mut limits = Limits::default();
    limits.stranger_frames = 10_000;
    limits.stranger_bytes = 1 << 24;
    let registry = AcceptAll(Tenant::new("acme").unwrap());
    let server = Server::new(protocol, registry, shelf.clone())
        .limits(limits)
        .clock(|| Timestamp::from_unix(NOW))
        .serve(incoming);
    tokio::spawn(server.run(CancellationToken::new()));
    let peer: SocketAddr = PEER.parse().unwrap();
    (dial.connect_from(Some(peer)), shelf)
}

fn known() -> J1939 {
    J1939::new(ClaimRules::new(Some(ClaimRule::Known("truck-7".into()))))
}

fn truck(seconds: u64) -> Vec<CanFrame> {
    let start = CanTime(u64::try_from(NOW).unwrap() * 1_000_000);
    let end = CanTime(start.as_micros() + seconds * 1_000_000);
    Truck::starting_at(7, start)
        .take_while(|frame| frame.time() < Some(end))
        .collect()
}

fn encode(form: Form, frames: &[CanFrame]) -> BytesMut {
    let mut encoder = Encoder::new(form);
    let mut out = BytesMut::new();
    encoder.greet(&mut out);
    for frame in frames {
        encoder.encode(frame, &mut out).unwrap();
    }
    out
}

fn reports(shelf: &Shelf) -> Vec<Report> {
    let reports = |content| match content {
        Content::Reports(reports) => reports,
        _ => Vec::new(),
    };
    shelf.contents().into_iter().flat_map(reports).collect()
}

/// The value of each signal and source, but for the number of frames.
fn signals(report: &Report) -> BTreeMap<String, String> {
    let signals = report.more.signals.iter();
    signals
        .map(|one| {
            (
                format!("{:?} {:?}", one.id, one.source),
                format!("{:?}", one.value),
            )
        })
        .collect()
}

fn frames_of(report: &Report) -> String {
    let signals = report.more.signals.iter();
    let frames = signals.filter(|one| format!("{:?}", one.id).contains("j1939.frames"));
    frames.map(|one| format!("{:?}", one.value)).collect()
}

#[tokio::test(start_paused = true)]
async fn the_frames_of_an_interval_are_one_report_with_an_excerpt_as_its_bytes() {
    let (mut device, shelf) = connect(known().form(Form::Candump.into()));
    let frames = truck(9);
    for part in frames.chunks(100) {
        device.send(encode(Form::Candump, part)).await;
    }
    device.expect_silence(Duration::from_secs(9)).await;
    assert_eq!(shelf.envelopes().len(), 0, "held");
    device.expect_silence(Duration::from_secs(2)).await;
    let envelopes = shelf.envelopes();
    assert_eq!(envelopes.len(), 1);
    let reports = reports(&shelf);
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].kind, Kind::Can);
    assert_eq!(reports[0].device.unwrap().as_str(), "truck-7");
    assert_eq!(reports[0].tenant.unwrap().as_str(), "acme");
    assert!(frames_of(&reports[0]).contains(&frames.len().to_string()));
    let all = encode(Form::Candump, &frames).len();
    let kept = envelopes[0].raw.len();
    assert!(kept > 500 && kept < all / 20, "{kept} of {all}");
    let sent = frames.len().div_ceil(100) as u64;
    assert!(envelopes[0].frames.count() >= sent);
}

#[tokio::test(start_paused = true)]
async fn each_form_and_every_cut_gives_the_same_signals() {
    let frames = truck(8);
    let mut all = Vec::new();
    for (form, setting, cut) in [
        (Form::Candump, Setting::Form(Form::Candump), 1 << 20),
        (Form::Candump, Setting::Detect, 77),
        (Form::ThirteenByte, Setting::Form(Form::ThirteenByte), 1_000),
        (Form::Slcan, Setting::Detect, 333),
        (Form::Socketcand, Setting::Form(Form::Socketcand), 4_096),
    ] {
        let (mut device, shelf) = connect(known().form(setting));
        for part in encode(form, &frames).chunks(cut) {
            device.send(part).await;
        }
        device.finish().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let reports = reports(&shelf);
        assert_eq!(
            reports.len(),
            1,
            "{form}: the last interval leaves at the end"
        );
        all.push((form, signals(&reports[0])));
    }
    for (form, signals) in &all {
        assert!(signals.len() > 20);
        assert_eq!(signals, &all[0].1, "{form}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_trouble_code_leaves_at_once() {
    let (mut device, shelf) = connect(known());
    // The truck has two codes from the third minute on.
    let frames = truck(122);
    device.send(encode(Form::Candump, &frames)).await;
    device.expect_silence(Duration::from_millis(1_500)).await;
    let reports = reports(&shelf);
    let raised = |report: &Report| {
        let events = report.more.events.iter();
        events
            .filter(|event| event.kind == EventKind::TroubleCodeRaised)
            .count()
    };
    let counts: Vec<_> = reports.iter().map(raised).collect();
    assert_eq!(counts.iter().sum::<usize>(), 2, "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_device_is_named_by_its_network_or_its_first_line() {
    let mut rules = ClaimRules::new(None);
    rules.network("10.1.0.0".parse().unwrap(), 16, "by-network");
    let line = ClaimRules::new(Some(ClaimRule::FirstLine));
    for (rules, first, name) in [
        (rules, "", "by-network"),
        (line, "ID by-line\r\n", "by-line"),
    ] {
        let (mut device, shelf) = connect(J1939::new(rules));
        // A first line may be cut anywhere.
        for byte in first.as_bytes() {
            device.send([*byte]).await;
        }
        device.send(encode(Form::Candump, &truck(1))).await;
        device.finish().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let reports = reports(&shelf);
        assert_eq!(reports.len(), 1);
        assert_eq!(reports[0].device.unwrap().as_str(), name);
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_not_configured_is_told_nothing_and_closed() {
    for (rules, sent) in [
        (
            ClaimRules::new(None),
            "(1.0) can0 18FEF100#00\n(1.0) can0 18FEF100#00\n",
        ),
        (ClaimRules::new(Some(ClaimRule::FirstLine)), "not an id\n"),
    ] {
        let (mut device, shelf) = connect(J1939::new(rules).form(Form::Candump.into()));
        device.send(sent).await;
        device.expect_end().await;
        assert!(matches!(shelf.contents()[..], [Content::Quarantined(_)]));
    }
}

fn vin_line(vin: &str) -> BytesMut {
    use milepost_protocol_j1939::{Pgn, encode as build};
    let frames = build::broadcast(0, Pgn::VI, format!("{vin}*").as_bytes()).unwrap();
    encode(Form::Candump, &frames)
}

#[tokio::test(start_paused = true)]
async fn until_a_vin_is_found_frames_are_a_strangers_and_another_vin_closes() {
    let rules = ClaimRules::new(Some(ClaimRule::Vin));
    let (mut device, shelf) = connect(J1939::new(rules).form(Form::Candump.into()));
    device.send("(1.0) can0 18FEF100#F3003CCFFFFFE0FF\n").await;
    device.expect_silence(Duration::from_secs(5)).await;
    assert!(matches!(shelf.contents()[..], [Content::Filtered(_)]));
    device.send(vin_line("1M8GDM9AXKP042788")).await;
    device.send("(2.0) can0 18FEF100#F3003CCFFFFFE0FF\n").await;
    device.expect_silence(Duration::from_secs(11)).await;
    let first = reports(&shelf);
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].device.unwrap().as_str(), "1M8GDM9AXKP042788");
    device.send("(3.0) can0 18FEF100#F3003CCFFFFFE0FF\n").await;
    device.expect_silence(Duration::from_secs(1)).await;
    device.send(vin_line("1M8GDM9AXKP042789")).await;
    device.expect_end().await;
    assert_eq!(
        reports(&shelf).len(),
        1,
        "what may be another's is reported for nobody"
    );
    let quarantined = shelf
        .contents()
        .into_iter()
        .filter(|content| matches!(content, Content::Quarantined(_)));
    assert_eq!(quarantined.count(), 2, "the frame, and what was held");
}

#[tokio::test(start_paused = true)]
async fn a_vehicle_without_a_vin_is_closed_after_a_minute() {
    let rules = ClaimRules::new(Some(ClaimRule::Vin));
    let (mut device, shelf) = connect(J1939::new(rules).form(Form::Candump.into()));
    let line = "(1.0) can0 18FEF100#F3003CCFFFFFE0FF\n";
    for _ in 0..5 {
        device.send(line).await;
        device.expect_silence(Duration::from_secs(11)).await;
    }
    device.send(line).await;
    device.expect_end().await;
    assert!(reports(&shelf).is_empty());
}

#[tokio::test(start_paused = true)]
async fn cannelloni_is_greeted_before_it_has_sent_anything() {
    let (mut device, _) = connect(known().form(Form::Cannelloni.into()));
    device.expect("CANNELLONIv1").await;
}
