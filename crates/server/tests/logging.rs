//! What is logged, and logs that cannot be written: they stop nothing, not the data, not the
//! health, not the end.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::process::Stdio;

use support::tracker::{Tracker, alarm, frame, heartbeat, location, login};
use support::{Server, Start};

const ID: &str = "752533678900242";
const OTHER: &str = "752533678900259";

fn start(stderr: impl Into<Stdio>) -> Server {
    Start::default()
        .env("MILEPOST_LOG_LEVEL", "trace")
        .stderr(stderr)
        .start()
}

/// Something that is no request: a line at `debug`.
fn provoke(server: &Server) {
    let mut stream = TcpStream::connect(server.http).unwrap();
    // It may be closed before all is written.
    drop(stream.write_all(b"what?\r\n\r\n"));
    drop(stream.read_to_end(&mut Vec::new()));
}

fn works_and_ends(mut server: Server) {
    let mut tracker = Tracker::login(server.gt06, ID);
    for n in 0..200_u16 {
        let serial = 2 + 2 * n;
        tracker.send(&heartbeat(serial));
        assert_eq!(tracker.receive(), frame(0x13, &[], serial));
        assert_eq!(server.get("/healthz").status, 200);
        provoke(&server);
    }
    tracker.send(&alarm(10, 1_000));
    assert_eq!(tracker.receive(), frame(0x16, &[], 1_000));
    assert_eq!(server.get("/readyz").status, 200);
    drop(tracker);
    assert!(server.terminate().success());
}

#[test]
fn with_standard_error_closed_everything_works() {
    let (reader, writer) = std::io::pipe().unwrap();
    let server = start(OwnedFd::from(writer));
    drop(reader);
    works_and_ends(server);
}

#[test]
fn with_a_pipe_that_nobody_reads_everything_works() {
    let (reader, writer) = std::io::pipe().unwrap();
    let server = start(OwnedFd::from(writer));
    let has_dropped = || {
        let text = server.get("/metrics").body;
        text.contains("\nmilepost_log_lines_dropped_total ")
    };
    // Until the pipe and the queue before it are full.
    for _ in 0..100 {
        if has_dropped() {
            break;
        }
        (0..500).for_each(|_| provoke(&server));
    }
    assert!(has_dropped());
    works_and_ends(server);
    drop(reader);
}

#[test]
fn on_a_full_disk_everything_works() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    works_and_ends(start(full));
}

#[test]
fn sighup_ends_nothing() {
    let mut server = Server::start();
    let mut tracker = Tracker::login(server.gt06, ID);
    server.signal("HUP");
    server.until_log("SIGHUP");
    tracker.send(&alarm(10, 2));
    assert_eq!(tracker.receive(), frame(0x16, &[], 2));
    drop(tracker);
    assert!(server.terminate().success());
}

/// The lines of the log that have all of these.
fn lines_with(server: &Server, parts: &[&str]) -> Vec<String> {
    let log = server.log();
    let has_all = |line: &&str| parts.iter().all(|part| line.contains(part));
    log.lines().filter(has_all).map(str::to_owned).collect()
}

#[test]
fn a_traced_device_s_frames_are_logged_with_their_reading_and_no_other_s_are() {
    let server = Start::default()
        .config(&format!("[log]\ntrace_device = '{ID}'\n"))
        .start();
    let mut other = Tracker::login(server.gt06, OTHER);
    let mut traced = Tracker::login(server.gt06, ID);
    for tracker in [&mut other, &mut traced] {
        tracker.send(&location(7, 2));
        // Its length is that of no location: it cannot be read.
        tracker.send(&frame(0x22, &[26, 11], 3));
        tracker.send(&alarm(9, 4));
        assert_eq!(tracker.receive(), frame(0x16, &[], 4));
    }
    server.until_log(&hex::encode(frame(0x16, &[], 4)));
    let all = lines_with(&server, &["milepost_listener::frames"]);
    assert!(all.iter().all(|line| line.contains(ID)), "{all:#?}");
    let logged = |bytes: &[u8], reading: &str| {
        let bytes = format!("bytes={}", hex::encode(bytes));
        let found = lines_with(&server, &["direction=\"in\"", &bytes, reading]);
        assert_eq!(found.len(), 1, "{bytes} {reading}: {all:#?}");
        assert!(found[0].contains("peer=127.0.0.1:"), "{found:?}");
    };
    logged(&login(ID, 1), "reading=reported Login");
    logged(&location(7, 2), "reading=reported Location");
    logged(&frame(0x22, &[26, 11], 3), "reading=quarantined: ");
    logged(&alarm(9, 4), "reading=reported Alarm");
}

#[test]
fn frames_of_a_traced_peer_are_logged_before_it_has_logged_in() {
    let server = Start::default()
        .config("[log]\ntrace_peer = '127.0.0.9'\n")
        .start();
    let mut device = Tracker::login(server.gt06, ID);
    let mut traced = Tracker::connect_from([127, 0, 0, 9], server.gt06);
    traced.send(&location(7, 2));
    traced.send(&login(OTHER, 3));
    assert_eq!(traced.receive(), frame(0x01, &[], 3));
    device.send(&alarm(9, 2));
    assert_eq!(device.receive(), frame(0x16, &[], 2));
    server.until_log(&hex::encode(frame(0x01, &[], 3)));
    let bytes = hex::encode(location(7, 2));
    let found = lines_with(&server, &["peer=127.0.0.9:", &bytes]);
    assert_eq!(found.len(), 1, "{}", server.log());
    assert!(found[0].contains("reading=quarantined: "), "{found:?}");
    let others = lines_with(&server, &["milepost_listener::frames", "peer=127.0.0.1:"]);
    assert!(others.is_empty(), "{others:#?}");
}

#[test]
fn a_login_is_logged_with_device_and_peer() {
    let server = Server::start();
    let _tracker = Tracker::login(server.gt06, ID);
    server.until_log("a device has logged in");
    let found = lines_with(&server, &["INFO", "a device has logged in"]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains(ID), "{found:?}");
    assert!(found[0].contains("peer=127.0.0.1:"), "{found:?}");
}

#[test]
fn the_line_of_a_refused_stranger_names_its_peer_and_the_remedy() {
    let server = Start::default()
        .env("MILEPOST_DEVICES_UNKNOWN", "refuse")
        .start();
    let mut stranger = Tracker::connect(server.gt06);
    stranger.send(&login(ID, 1));
    assert_eq!(stranger.until_closed(), b"");
    server.until_log("an unknown device: its connection was closed");
    let found = lines_with(&server, &["INFO", "an unknown device"]);
    assert_eq!(found.len(), 1, "{found:?}");
    for part in [
        ID,
        "peer=127.0.0.1:",
        "list it as a [[device]]",
        "devices.unknown",
    ] {
        assert!(found[0].contains(part), "{part}: {found:?}");
    }
}
