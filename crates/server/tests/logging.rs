//! Logs that cannot be written stop nothing: not the data, not the health, not the end.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::process::Stdio;

use support::tracker::{Tracker, alarm, frame, heartbeat};
use support::{Server, Start};

const ID: &str = "752533678900242";

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
