//! What is not a GT06 tracker on the GT06 port, and devices that nobody knows.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use support::tracker::{Tracker, alarm, frame, heartbeat, location};
use support::{Server, Start};

const ID: &str = "752533678900242";

#[test]
fn probes_are_named_in_the_log_and_counted_and_cost_nobody_else_anything() {
    let server = Server::start();
    let mut device = Tracker::login(server.gt06, ID);
    let probes: [(&str, &[u8]); 4] = [
        ("http", b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"),
        ("tls", b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03 and so on and so on and so on"),
        ("gt02", b"\x68\x68\x25\x00\x00\x01\x23\x45\x67\x89\x01\x23\x45\x00\x01\x10\x01\x01\x01\x01\x01\x01\r\n"),
        ("h02", b"*HQ,4209951296,V1,214309,A,0455.82,N,11425.05,E,0.00,000.00,130917,FFFFFBFF#"),
    ];
    for (_, bytes) in probes {
        let mut stranger = Tracker::connect(server.gt06);
        stranger.send(bytes);
    }
    for (name, _) in probes {
        let label = format!("looks_like=\"{name}\"");
        let answer = server.until("/metrics", |answer| answer.body.contains(&label));
        assert!(
            answer
                .body
                .contains("milepost_listener_skipped_bytes_total")
        );
        assert!(server.log().contains(name), "{name}\n{}", server.log());
    }
    device.send(&alarm(1, 2));
    assert_eq!(device.receive(), frame(0x16, &[], 2));
}

#[test]
fn a_flood_of_nonsense_is_closed_and_a_neighbour_does_not_notice() {
    let server = Server::start();
    let mut device = Tracker::login(server.gt06, ID);
    let mut stranger = Tracker::connect(server.gt06);
    // A peer that is cut off may see a reset while it still writes.
    for _ in 0..64 {
        if stranger.try_send(&[0xa5; 4096]).is_err() {
            break;
        }
    }
    device.send(&alarm(1, 2));
    assert_eq!(device.receive(), frame(0x16, &[], 2));
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn an_unknown_device_is_quarantined_and_answered_where_the_policy_says_so() {
    let policy = format!("[devices]\nunknown = 'quarantine'\n[[device]]\nid = '{ID}'\n");
    let server = Start::default().config(&policy).start();
    let stranger = "752533678900259";
    for round in 0..2_u16 {
        // Twice: what was set aside does not make it known.
        let mut unknown = Tracker::login(server.gt06, stranger);
        unknown.send(&heartbeat(2));
        assert_eq!(unknown.receive(), frame(0x13, &[], 2));
        unknown.send(&location(u32::from(round), 3));
        unknown.send(&alarm(u32::from(round), 4));
        assert_eq!(unknown.receive(), frame(0x16, &[], 4));
        let page = server.json("/v1/quarantine?limit=1000");
        let raw = hex::encode(location(u32::from(round), 3));
        let frames = page["frames"].as_array().unwrap();
        assert!(
            frames.iter().any(|f| f["raw"] == raw),
            "round {round}: {page}"
        );
    }
    assert_eq!(server.get(&format!("/v1/devices/{stranger}")).status, 404);
    let history = server.get(&format!("/v1/devices/{stranger}/history"));
    assert_eq!(history.status, 404);
    let devices = server.json("/v1/devices");
    assert_eq!(devices, serde_json::json!({ "devices": [] }));

    let mut listed = Tracker::login(server.gt06, ID);
    listed.send(&alarm(9, 2));
    assert_eq!(listed.receive(), frame(0x16, &[], 2));
    assert_eq!(server.get(&format!("/v1/devices/{ID}")).status, 200);
}

#[test]
fn an_unknown_device_is_closed_without_an_answer_where_the_policy_says_so() {
    let server = Start::default()
        .env("MILEPOST_DEVICES_UNKNOWN", "refuse")
        .start();
    let mut unknown = Tracker::connect(server.gt06);
    unknown.send(&support::tracker::login(ID, 1));
    assert_eq!(unknown.until_closed(), b"");
    assert_eq!(server.get(&format!("/v1/devices/{ID}")).status, 404);
}

#[test]
fn a_listed_device_is_told_about_its_locations_and_others_are_not() {
    let config = format!("[[device]]\nid = '{ID}'\nacknowledge_locations = 'always'\n");
    let server = Start::default().config(&config).start();
    let mut told = Tracker::login(server.gt06, ID);
    told.send(&location(1, 2));
    assert_eq!(told.receive(), frame(0x22, &[], 2));
    let mut other = Tracker::login(server.gt06, "752533678900259");
    other.send(&location(1, 2));
    other.send(&alarm(2, 3));
    assert_eq!(other.receive(), frame(0x16, &[], 3));
}
