//! The HTTP API, as its clients see it.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;
use support::tracker::{Tracker, alarm, frame, heartbeat, location};
use support::{PATIENCE, Server, Start, is_problem};

const ID: &str = "752533678900242";

/// Sends locations and waits until they are stored.
fn with_locations(server: &Server, id: &str, count: u32) -> Tracker {
    let mut tracker = Tracker::login(server.gt06, id);
    for n in 0..count {
        tracker.send(&location(n, 2));
    }
    // The alarm's acknowledgement says that all before it is stored.
    tracker.send(&alarm(86_399, 3));
    assert_eq!(tracker.receive(), frame(0x16, &[], 3));
    tracker
}

#[test]
fn a_frame_becomes_a_device_and_a_report() {
    let server = Server::start();
    assert_eq!(
        server.json("/v1/devices"),
        serde_json::json!({ "devices": [] })
    );
    let mut tracker = Tracker::login(server.gt06, ID);
    tracker.send(&heartbeat(2));
    assert_eq!(tracker.receive(), frame(0x13, &[], 2));
    tracker.send(&location(3600, 3));
    let answer = server.until(&format!("/v1/devices/{ID}"), |answer| {
        answer.status == 200 && answer.json().get("fix").is_some()
    });
    let device = answer.json();
    assert_eq!(device["device"], ID);
    assert_eq!(device["connected"], true);
    assert_eq!(device["fix"]["valid"], true);
    assert_eq!(device["fix"]["latitude"], 22.502);
    assert_eq!(device["fix"]["speed_kmh"], 60.0);
    assert_eq!(device["io"]["ignition"], true);
    assert!(device["last_seen"].is_string());

    let history = server.json(&format!("/v1/devices/{ID}/history"));
    let reports = history["reports"].as_array().unwrap();
    let location = reports.iter().find(|r| r["kind"] == "location").unwrap();
    assert_eq!(location["time"], "2026-11-20T01:00:00Z");
    assert_eq!(location["device"], ID);
    assert!(location.get("raw").is_none());

    drop(tracker);
    server.until(&format!("/v1/devices/{ID}"), |a| {
        a.json()["connected"] == false
    });
}

#[test]
fn history_pages_through_a_span_by_time() {
    let server = Server::start();
    let _tracker = with_locations(&server, ID, 250);
    let path = format!(
        "/v1/devices/{ID}/history?from=2026-11-20T00:00:00Z&to=2026-11-20T00:03:20Z&limit=70"
    );
    let mut times: Vec<String> = Vec::new();
    let mut next: Option<String> = None;
    let mut sizes = Vec::new();
    loop {
        let cursor = next.map_or_else(String::new, |next| format!("&cursor={next}"));
        let page = server.json(&format!("{path}{cursor}"));
        let reports = page["reports"].as_array().unwrap();
        sizes.push(reports.len());
        times.extend(
            reports
                .iter()
                .map(|r| r["time"].as_str().unwrap().to_owned()),
        );
        next = page
            .get("next")
            .map(|next| next.as_str().unwrap().to_owned());
        if next.is_none() {
            break;
        }
    }
    assert_eq!(sizes, [70, 70, 60]);
    assert_eq!(times.first().unwrap(), "2026-11-20T00:00:00Z");
    assert_eq!(times.last().unwrap(), "2026-11-20T00:03:19Z");
    assert!(times.is_sorted());

    // Unix seconds say the same.
    let from = 1_795_132_800;
    let same = server.json(&format!(
        "/v1/devices/{ID}/history?from={from}&to={}",
        from + 10
    ));
    assert_eq!(same["reports"].as_array().unwrap().len(), 10);
    let raw = server.json(&format!(
        "/v1/devices/{ID}/history?from={from}&limit=1&raw=1"
    ));
    assert_eq!(raw["reports"][0]["raw"], hex::encode(location(0, 2)));
}

#[test]
fn history_streams_whole_as_lines() {
    let server = Server::start();
    let _tracker = with_locations(&server, ID, 1_700);
    let answer = server.request(
        "GET",
        &format!("/v1/devices/{ID}/history?to=2026-11-20T12:00:00Z"),
        &[("Accept", "application/x-ndjson")],
        "",
    );
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let times: Vec<String> = answer
        .body
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["time"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(times.len(), 1_700);
    assert!(times.is_sorted());
}

#[test]
fn a_stream_of_lines_keeps_to_the_limit() {
    let server = Server::start();
    let _tracker = with_locations(&server, ID, 20);
    for (query, lines) in [("?limit=7", 7), ("?limit=1000", 22), ("", 22)] {
        let path = format!("/v1/devices/{ID}/history{query}");
        let answer = server.request("GET", &path, &[("Accept", "application/x-ndjson")], "");
        assert_eq!(answer.body.lines().count(), lines, "{query}: {answer:?}");
    }
    // The same bounds as everywhere.
    let path = format!("/v1/devices/{ID}/history?limit=1001");
    let answer = server.request("GET", &path, &[("Accept", "application/x-ndjson")], "");
    is_problem(&answer, 400);
}

#[test]
fn devices_page_by_their_ids() {
    let server = Server::start();
    let ids: Vec<String> = (0..5).map(|n| format!("86000000000000{n}")).collect();
    for id in &ids {
        with_locations(&server, id, 1);
    }
    let first = server.json("/v1/devices?limit=3");
    let next = first["next"].as_str().unwrap();
    let second = server.json(&format!("/v1/devices?limit=3&cursor={next}"));
    assert!(second.get("next").is_none());
    let seen: Vec<&str> = [&first, &second]
        .iter()
        .flat_map(|page| page["devices"].as_array().unwrap())
        .map(|device| device["device"].as_str().unwrap())
        .collect();
    assert_eq!(seen, ids);
}

#[test]
fn what_cannot_be_read_is_listed_with_its_bytes_and_costs_nothing_else() {
    let server = Server::start();
    let mut tracker = Tracker::login(server.gt06, ID);
    // A location that is too short for its fields.
    let short = frame(0x22, &[26, 11, 20, 1], 2);
    tracker.send(&short);
    tracker.send(&alarm(5, 3));
    assert_eq!(tracker.receive(), frame(0x16, &[], 3));
    let page = server.json("/v1/quarantine");
    let frames = page["frames"].as_array().unwrap();
    assert_eq!(frames.len(), 1, "{page}");
    assert_eq!(frames[0]["raw"], hex::encode(&short));
    assert_eq!(frames[0]["device"], ID);
    assert_eq!(frames[0]["protocol"], "gt06");
    assert!(
        frames[0]["peer"]
            .as_str()
            .unwrap()
            .starts_with("127.0.0.1:")
    );
    assert!(!frames[0]["error"]["message"].as_str().unwrap().is_empty());
    assert!(frames[0]["error"]["offset"].is_u64(), "{page}");
}

#[test]
fn refusals_are_problems_that_name_the_parameter() {
    let server = Server::start();
    let _tracker = with_locations(&server, ID, 1);
    let history = format!("/v1/devices/{ID}/history");
    for (path, parameter) in [
        ("/v1/devices?limit=0".to_owned(), "limit"),
        ("/v1/devices?limit=1001".to_owned(), "limit"),
        ("/v1/devices?limit=many".to_owned(), "limit"),
        ("/v1/devices?cursor=zz".to_owned(), "cursor"),
        ("/v1/quarantine?limit=-1".to_owned(), "limit"),
        ("/v1/quarantine?cursor=%C3%A4".to_owned(), "cursor"),
        (format!("{history}?from=yesterday"), "from"),
        (format!("{history}?to=2026-11-20"), "to"),
        (format!("{history}?from=20&to=10"), "to"),
        (format!("{history}?raw=yes"), "raw"),
        (format!("{history}?limit=5&limit=6"), "limit"),
        (format!("{history}?cursor=00"), "cursor"),
    ] {
        let answer = server.get(&path);
        is_problem(&answer, 400);
        assert_eq!(answer.json()["parameter"], parameter, "{path}");
    }
    let unknown = server.get(&format!("{history}?form=10"));
    is_problem(&unknown, 400);
    assert!(unknown.json()["detail"].as_str().unwrap().contains("form"));

    for path in [
        "/v1/devices/1",
        "/v1/devices/1/history",
        "/v1/nothing",
        "/nothing",
        "/v1/devices/a%20b",
    ] {
        is_problem(&server.get(path), 404);
    }
    is_problem(&server.get("/v1/devices/%ff"), 400);
    for (method, path, allowed) in [
        ("DELETE", "/v1/devices", "GET,HEAD"),
        ("POST", "/healthz", "GET,HEAD"),
        ("PUT", "/v1/devices/1/commands", "GET,HEAD,POST"),
        ("PUT", "/", "GET,HEAD"),
    ] {
        let answer = server.request(method, path, &[], "");
        is_problem(&answer, 405);
        assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
    }
}

#[test]
fn with_a_token_every_v1_request_shows_it() {
    let server = Start::default().token("a-token-of-this-test").start();
    for path in [
        "/v1/devices",
        "/v1/devices/1",
        "/v1/devices/1/history",
        "/v1/quarantine",
        "/v1/nothing",
    ] {
        for given in [
            "",
            "Bearer wrong",
            "Bearer a-token-of-this-tes",
            "Basic a-token-of-this-test",
        ] {
            let answer = server.request("GET", path, &[("Authorization", given)], "");
            is_problem(&answer, 401);
            assert!(
                answer
                    .header("www-authenticate")
                    .unwrap()
                    .starts_with("Bearer")
            );
        }
        assert_ne!(server.get(path).status, 401);
    }
    // Supervisors, scrapers and the page itself have none.
    for path in ["/healthz", "/readyz", "/metrics", "/"] {
        let answer = server.request("GET", path, &[("Authorization", "")], "");
        assert_eq!(answer.status, 200, "{path}");
    }
}

#[test]
fn without_a_token_commands_are_refused_with_the_remedy() {
    let server = Server::start();
    let answer = server.request(
        "POST",
        "/v1/devices/1/commands",
        &[("Content-Type", "application/json")],
        r#"{"text":"WHERE#"}"#,
    );
    is_problem(&answer, 403);
    assert!(
        answer.json()["detail"]
            .as_str()
            .unwrap()
            .contains("--api-token")
    );
}

#[test]
fn without_a_token_no_page_of_another_site_can_ask() {
    let server = Server::start();
    let rebound = server.request("GET", "/v1/devices", &[("Host", "trackers.example")], "");
    is_problem(&rebound, 403);
    let local = server.request("GET", "/v1/devices", &[("Host", "localhost:8080")], "");
    assert_eq!(local.status, 200);
    let server = Start::default().token("a-token-of-this-test").start();
    let named = server.request("GET", "/v1/devices", &[("Host", "trackers.example")], "");
    assert_eq!(named.status, 200);
}

#[test]
fn health_readiness_and_counters_are_told() {
    let server = Server::start();
    assert_eq!(server.get("/healthz").status, 200);
    assert_eq!(server.get("/readyz").status, 200);
    let _tracker = with_locations(&server, ID, 3);
    let answer = server.get("/metrics");
    assert!(
        answer
            .header("content-type")
            .unwrap()
            .starts_with("text/plain; version=0.0.4")
    );
    for line in [
        "milepost_frames_total{bucket=\"stored\"} ",
        "milepost_listener_connections_open{protocol=\"gt06\"} 1",
        "milepost_listener_accepted_total{protocol=\"gt06\"} 1",
    ] {
        assert!(answer.body.contains(line), "{line}\n{}", answer.body);
    }
}

#[test]
fn answers_are_not_cached_and_not_guessed_at() {
    let server = Server::start();
    let answer = server.get("/v1/devices");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[test]
fn a_client_that_never_finishes_its_request_is_let_go_and_others_are_served() {
    let server = Start::default()
        .env("MILEPOST_HTTP_TIMEOUT_S", "1")
        .env("MILEPOST_HTTP_MAX_CONNECTIONS", "2")
        .start();
    let mut slow: Vec<TcpStream> = (0..2)
        .map(|_| {
            let mut stream = TcpStream::connect(server.http).unwrap();
            stream
                .write_all(b"GET /healthz HTTP/1.1\r\nHost: local")
                .unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream
        })
        .collect();
    // It is answered once the slow ones have lost their places.
    assert_eq!(server.get("/healthz").status, 200);
    for stream in &mut slow {
        drop(stream.read_to_end(&mut Vec::new()));
    }
}

#[test]
fn what_is_no_readable_head_is_refused_without_a_body_and_the_connection_ends() {
    let server = Start::default().env("MILEPOST_HTTP_TIMEOUT_S", "1").start();
    let long = "x".repeat(20_000);
    for (head, answer) in [
        ("GET / HTTP/9.9\r\n\r\n".to_owned(), "HTTP/1.1 400 "),
        ("\u{1}\u{2}\r\n\r\n".to_owned(), "HTTP/1.1 400 "),
        (
            format!("GET / HTTP/1.1\r\nA: {long}\r\n\r\n"),
            "HTTP/1.1 431 ",
        ),
        (format!("GET /{long} HTTP/1.1\r\n\r\n"), "HTTP/1.1 431 "),
        // One that never ends.
        ("GET / HTTP/1.1\r\nHost: local".to_owned(), ""),
    ] {
        let mut stream = TcpStream::connect(server.http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let mut said = Vec::new();
        // It may end with a reset where more was sent than was read.
        drop(stream.read_to_end(&mut said));
        let said = String::from_utf8(said).unwrap();
        assert!(said.starts_with(answer), "{said:?}");
        assert!(said.is_empty() || said.ends_with("\r\n\r\n"), "{said:?}");
        assert_eq!(said.is_empty(), answer.is_empty(), "{said:?}");
    }
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn a_reader_that_stops_reading_loses_its_place() {
    let server = Start::default()
        .env("MILEPOST_HTTP_TIMEOUT_S", "1")
        .env("MILEPOST_HTTP_MAX_CONNECTIONS", "1")
        .start();
    let mut stuck = TcpStream::connect(server.http).unwrap();
    // Far more answers than the system's buffers hold.
    let requests = "GET /page/app.js HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1_500);
    stuck.write_all(requests.as_bytes()).unwrap();
    assert_eq!(server.get("/healthz").status, 200);
    drop(stuck);
}

#[test]
fn a_reader_that_stops_reading_does_not_hold_up_the_end() {
    let mut server = Start::default().env("MILEPOST_HTTP_TIMEOUT_S", "1").start();
    let _tracker = with_locations(&server, ID, 3_000);
    let mut stuck = TcpStream::connect(server.http).unwrap();
    write!(
        stuck,
        "GET /v1/devices/{ID}/history HTTP/1.1\r\nHost: localhost\r\nAccept: application/x-ndjson\r\n\r\n"
    )
    .unwrap();
    stuck
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stuck.read_exact(&mut [0; 16]).unwrap();
    assert!(server.terminate().success(), "{}", server.log());
}

#[test]
fn the_end_of_time_is_a_time_and_two_hosts_are_one_too_many() {
    let server = Server::start();
    let mut tracker = Tracker::login(server.gt06, ID);
    tracker.send(&alarm(10, 2));
    tracker.receive();
    let path = format!("/v1/devices/{ID}/history?to=9999-12-31T23:59:59Z");
    assert!(!server.json(&path)["reports"].as_array().unwrap().is_empty());

    let two = server.request(
        "GET",
        "/v1/devices",
        &[("Host", "localhost"), ("Host", "a.example")],
        "",
    );
    is_problem(&two, 400);
    for path in ["/", "/metrics", "/page/app.js", "/v1/devices"] {
        let answer = server.request("GET", path, &[("Host", "a.example")], "");
        is_problem(&answer, 403);
    }
    for path in ["/healthz", "/readyz"] {
        let answer = server.request("GET", path, &[("Host", "a.example")], "");
        assert_eq!(answer.status, 200);
    }
}

#[test]
fn a_key_that_is_there_twice_is_refused_and_a_command_is_logged_with_its_sender() {
    let server = Start::default().token("a-token-of-this-test").start();
    let _tracker = Tracker::login(server.gt06, ID);
    server.until(&format!("/v1/devices/{ID}"), |answer| answer.status == 200);
    let path = format!("/v1/devices/{ID}/commands");
    let twice = server.request(
        "POST",
        &path,
        &[],
        r#"{"text": "WHERE#", "text": "RESET#"}"#,
    );
    is_problem(&twice, 400);
    assert!(twice.body.contains("twice"), "{twice:?}");
    let once = server.request("POST", &path, &[], r#"{"text": "WHERE#"}"#);
    assert_eq!(once.status, 202);
    server.until_log("a command was accepted");
    let log = server.log();
    let line = log
        .lines()
        .find(|line| line.contains("a command was accepted"));
    assert!(line.unwrap().contains("127.0.0.1:"), "{log}");
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_the_store() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = Server::start();
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&server.data_dir), 0o700);
    for file in std::fs::read_dir(&server.data_dir).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}
