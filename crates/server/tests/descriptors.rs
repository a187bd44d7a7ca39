//! Strangers that take all connections there are: health is answered, the store writes, and a
//! place that is only held is free again soon.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use std::io::Write;
use std::net::TcpStream;

use support::Start;
use support::tracker::{Tracker, alarm, frame};

const ID: &str = "752533678900242";

#[test]
fn strangers_connections_leave_files_for_http_and_the_store() {
    let server = Start::default().open_files(256).start();
    let mut tracker = Tracker::login(server.gt06, ID);
    // More than there are files. Those beyond the bound wait in the system's queue.
    let strangers: Vec<TcpStream> = (0..300)
        .map(|_| TcpStream::connect(server.gt06).unwrap())
        .collect();
    server.until("/metrics", |answer| {
        let open = answer
            .body
            .lines()
            .find(|line| line.starts_with("milepost_listener_connections_open{protocol=\"gt06\"}"))
            .and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        open.is_some_and(|open| open >= 50.0)
    });
    for serial in 2..20 {
        assert_eq!(server.get("/healthz").status, 200);
        assert_eq!(server.get("/v1/devices").status, 200);
        tracker.send(&alarm(10, serial));
        assert_eq!(tracker.receive(), frame(0x16, &[], serial));
    }
    drop(strangers);
}

#[test]
fn health_is_answered_while_slow_heads_hold_every_place_and_they_hold_it_for_five_seconds() {
    let server = Start::default()
        .config("[http]\nmax_connections = 4\ntimeout_s = 60\n")
        .start();
    let slow: Vec<TcpStream> = (0..4)
        .map(|_| {
            let mut stream = TcpStream::connect(server.http).unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: local").unwrap();
            stream
        })
        .collect();
    // They are all in when a full place cannot be had.
    server.until("/v1/devices", |answer| answer.status == 503);
    assert_eq!(server.get("/healthz").status, 200);
    assert_eq!(server.get("/readyz").status, 200);
    server.until("/v1/devices", |answer| answer.status == 200);
    drop(slow);
}
