//! The life of a command, over HTTP on one side and TCP on the other.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::tracker::{Tracker, alarm, answer, frame, heartbeat, login, long_answer};
use support::{Answer, Server, Start, is_problem};

const ID: &str = "752533678900242";
const HERE: [u8; 4] = [127, 0, 0, 1];
const ELSEWHERE: [u8; 4] = [127, 0, 1, 1];
/// Long enough for a command that should not come to come.
const A_WHILE: Duration = Duration::from_millis(1_500);

fn start() -> Server {
    Start::default().token("sesame").start()
}

fn path() -> String {
    format!("/v1/devices/{ID}/commands")
}

fn post(server: &Server, body: &Value) -> Answer {
    server.request("POST", &path(), &[], &body.to_string())
}

/// Queues a command; its number.
fn queued(server: &Server, text: &str) -> u32 {
    let answer = post(server, &json!({ "text": text }));
    assert_eq!(answer.status, 202, "{answer:?}");
    u32::try_from(answer.json()["id"].as_u64().unwrap()).unwrap()
}

fn one(server: &Server, id: u32) -> Value {
    server.json(&format!("{}/{id}", path()))
}

/// Waits until a command is in a state.
fn until(server: &Server, id: u32, status: &str) -> Value {
    let place = format!("{}/{id}", path());
    server
        .until(&place, |answer| answer.json()["status"] == status)
        .json()
}

/// A device that the server knows, and that has gone again.
fn seen_once(server: &Server) {
    let mut tracker = Tracker::login(server.gt06, ID);
    tracker.send(&alarm(1, 2));
    assert_eq!(tracker.receive(), frame(0x16, &[], 2));
    drop(tracker);
    server.until(&format!("/v1/devices/{ID}"), |answer| {
        answer.json()["connected"] == false
    });
}

#[test]
fn a_command_waits_for_its_device_is_sent_after_the_login_and_answered() {
    let server = start();
    seen_once(&server);
    let id = queued(&server, "WHERE#");
    let waiting = one(&server, id);
    assert_eq!(waiting["status"], "queued");
    assert!(waiting.get("sent_at").is_none(), "{waiting}");

    // The answer to the login comes first: `login` reads it.
    let mut tracker = Tracker::login(server.gt06, ID);
    let (flag, text) = tracker.command();
    assert_eq!(text, "WHERE#");
    let sent = until(&server, id, "sent");
    assert!(sent["sent_at"].is_string());
    tracker.send(&long_answer(flag, "Lat:N22.5,Lon:E113.9", 2));
    let done = until(&server, id, "answered");
    assert_eq!(done["answer"], "Lat:N22.5,Lon:E113.9");
    assert!(done["settled_at"].is_string());

    let metrics = server.get("/metrics").body;
    for state in ["queued", "sent", "answered"] {
        let line = format!("milepost_commands_total{{state=\"{state}\"}} 1");
        assert!(metrics.contains(&line), "{state}\n{metrics}");
    }
}

#[test]
fn who_waits_is_given_the_answer_and_who_does_not_hears_that_it_was_sent() {
    let server = start();
    let mut tracker = Tracker::login(server.gt06, ID);
    let answered = std::thread::scope(|scope| {
        let asking = scope.spawn(|| post(&server, &json!({ "text": "STATUS#", "wait_s": 20 })));
        let (flag, text) = tracker.command();
        assert_eq!(text, "STATUS#");
        tracker.send(&answer(flag, "Battery:4.16V,NORMAL", 2));
        asking.join().unwrap()
    });
    assert_eq!(answered.status, 200, "{answered:?}");
    assert_eq!(answered.json()["status"], "answered");
    assert_eq!(answered.json()["answer"], "Battery:4.16V,NORMAL");

    let sent = post(&server, &json!({ "text": "PARAM#" }));
    assert_eq!(sent.status, 202, "{sent:?}");
    assert_eq!(sent.json()["status"], "sent");
    let id = sent.json()["id"].as_u64().unwrap();
    assert_eq!(
        sent.header("location"),
        Some(format!("{}/{id}", path()).as_str())
    );

    // Who waits for too short a time is told how far it came.
    let unanswered = post(&server, &json!({ "text": "PARAM#", "wait_s": 0.2 }));
    assert_eq!(unanswered.status, 202, "{unanswered:?}");
}

#[test]
fn a_device_that_says_no_has_refused() {
    let server = start();
    let mut tracker = Tracker::login(server.gt06, ID);
    let id = queued(&server, "RELAY,1#");
    let (flag, _) = tracker.command();
    tracker.send(&answer(flag, "Error!Unknown command", 2));
    let done = until(&server, id, "refused");
    assert_eq!(done["answer"], "Error!Unknown command");
    assert_eq!(done["outcome"], "refused");

    // Later is not no; what it says when it has done it replaces that.
    let id = queued(&server, "DYD,000000#");
    let (flag, _) = tracker.command();
    tracker.send(&answer(flag, "DYD=Speed Limit, Speed 40km/h", 3));
    assert_eq!(until(&server, id, "answered")["outcome"], "deferred");
    tracker.send(&answer(flag, "DYD=Success!", 4));
    let place = format!("{}/{id}", path());
    server.until(&place, |answer| answer.json()["outcome"] == "success");
}

#[test]
fn a_device_that_reads_no_commands_is_sent_none_and_the_reason_is_said() {
    let server = start();
    // One of the relatives without serial and checksum; its login is answered in kind.
    let mut tracker = Tracker::connect(server.gt06);
    tracker.send(&hex::decode(format!("78780d010{ID}010d0a")).unwrap());
    let welcome = hex::decode("78780d01010d0a").unwrap();
    assert_eq!(tracker.read(welcome.len()), welcome);
    server.until(&format!("/v1/devices/{ID}"), |answer| answer.status == 200);

    let refused = post(&server, &json!({ "text": "RELAY,1#", "wait_s": 20 }));
    assert_eq!(refused.status, 200, "{refused:?}");
    let command = refused.json();
    assert_eq!(command["status"], "refused");
    let reason = command["reason"].as_str().unwrap();
    assert!(reason.contains("take no text commands"), "{reason}");
    assert!(!tracker.hears_within(A_WHILE));
}

#[test]
fn an_answer_on_the_next_connection_is_matched_by_its_flag() {
    let server = start();
    let mut before = Tracker::login(server.gt06, ID);
    let id = queued(&server, "RESET#");
    let (flag, _) = before.command();
    drop(before);
    let mut after = Tracker::login(server.gt06, ID);
    // It is not sent again: the device would restart for ever.
    assert!(!after.hears_within(A_WHILE));
    after.send(&answer(flag, "The terminal will restart!", 2));
    let done = until(&server, id, "answered");
    assert_eq!(done["answer"], "The terminal will restart!");
}

#[test]
fn commands_and_answers_survive_a_killed_server() {
    let folder = tempfile::tempdir().unwrap();
    let start = |at: Option<&Server>| {
        let start = Start::default().token("sesame").data_dir(folder.path());
        match at {
            None => start.start(),
            Some(before) => start.at(before.http, before.gt06).start(),
        }
    };
    let mut server = start(None);
    let mut tracker = Tracker::login(server.gt06, ID);
    let first = queued(&server, "RELAY,1#");
    let (flag, _) = tracker.command();
    let second = queued(&server, "WHERE#");
    server.signal("KILL");
    server.wait();

    let server = start(Some(&server));
    let mut tracker = Tracker::login(server.gt06, ID);
    // The first was sent and is not sent again; the second waits for its answer.
    assert!(!tracker.hears_within(A_WHILE));
    assert_eq!(one(&server, first)["status"], "sent");
    assert_eq!(one(&server, second)["status"], "queued");
    tracker.send(&answer(flag, "Cut off the fuel supply: Success!", 2));
    let done = until(&server, first, "answered");
    assert_eq!(done["outcome"], "success");
    assert_eq!(tracker.command().1, "WHERE#");
}

#[test]
fn what_is_not_answered_in_time_has_expired_and_a_late_answer_counts_all_the_same() {
    let server = start();
    seen_once(&server);
    let expiring = |text: &str| {
        let answer = post(&server, &json!({ "text": text, "expires_s": 1 }));
        assert_eq!(answer.status, 202, "{answer:?}");
        u32::try_from(answer.json()["id"].as_u64().unwrap()).unwrap()
    };
    let unsent = expiring("WHERE#");
    assert!(until(&server, unsent, "expired").get("sent_at").is_none());
    let mut tracker = Tracker::login(server.gt06, ID);
    assert!(
        !tracker.hears_within(A_WHILE),
        "an expired command is not sent"
    );

    let id = expiring("STATUS#");
    let (flag, _) = tracker.command();
    until(&server, id, "expired");
    tracker.send(&answer(flag, "Battery:4.16V", 2));
    until(&server, id, "answered");
    assert_eq!(one(&server, unsent)["status"], "expired");
}

#[test]
fn a_command_that_waits_can_be_taken_back_and_one_that_was_sent_cannot() {
    let server = start();
    seen_once(&server);
    let delete = |id: u32| server.request("DELETE", &format!("{}/{id}", path()), &[], "");
    let (mistaken, meant) = (queued(&server, "RELAY,1#"), queued(&server, "WHERE#"));
    for _ in 0..2 {
        let answer = delete(mistaken);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["status"], "withdrawn");
    }
    let mut tracker = Tracker::login(server.gt06, ID);
    let (flag, text) = tracker.command();
    assert_eq!(text, "WHERE#");
    let late = delete(meant);
    is_problem(&late, 409);
    assert!(late.json()["detail"].as_str().unwrap().contains("is sent"));
    tracker.send(&answer(flag, "Lat:N23.111,Lon:E114.409", 2));
    until(&server, meant, "answered");
    is_problem(&delete(meant), 409);
    is_problem(&delete(1), 404);
    assert!(!tracker.hears_within(A_WHILE));
    let withdrawn = one(&server, mistaken);
    assert_eq!(withdrawn["status"], "withdrawn");
    assert!(withdrawn.get("sent_at").is_none() && withdrawn["settled_at"].is_string());
    let nobody = [("Authorization", "")];
    let place = format!("{}/{meant}", path());
    is_problem(&server.request("DELETE", &place, &nobody, ""), 401);
}

#[test]
fn a_device_that_repeats_no_flag_is_sent_one_command_at_a_time() {
    let server = start();
    let mut tracker = Tracker::login(server.gt06, ID);
    let ids = ["WHERE#", "STATUS#", "PARAM#"].map(|text| queued(&server, text));
    for (serial, text) in (2..).zip(["WHERE#", "STATUS#", "PARAM#"]) {
        assert_eq!(tracker.command().1, text);
        assert!(!tracker.hears_within(Duration::from_millis(700)));
        tracker.send(&answer(0, &format!("said to {text}"), serial));
    }
    for (id, text) in ids.iter().zip(["WHERE#", "STATUS#", "PARAM#"]) {
        assert_eq!(
            until(&server, *id, "answered")["answer"],
            format!("said to {text}")
        );
    }
}

#[test]
fn a_command_that_is_not_answered_holds_up_the_next_only_for_so_long() {
    let server = Start::default()
        .token("sesame")
        .env("MILEPOST_COMMANDS_ANSWER_TIMEOUT_S", "1")
        .start();
    let mut tracker = Tracker::login(server.gt06, ID);
    let (first, second) = (queued(&server, "A#"), queued(&server, "B#"));
    let (flag, text) = tracker.command();
    assert_eq!(text, "A#");
    assert_eq!(tracker.command().1, "B#");
    // Its own flag still finds it.
    tracker.send(&answer(flag, "late", 2));
    assert_eq!(until(&server, first, "answered")["answer"], "late");
    assert_eq!(one(&server, second)["status"], "sent");
}

#[test]
fn while_two_networks_claim_a_device_its_commands_wait() {
    let server = start();
    let connect = |from| {
        let mut tracker = Tracker::connect_from(from, server.gt06);
        tracker.send(&login(ID, 1));
        assert_eq!(tracker.receive(), frame(0x01, &[], 1));
        tracker
    };
    let mut device = connect(HERE);
    let mut thief = connect(ELSEWHERE);
    // Nobody can say which of them is the device, whoever speaks.
    let id = queued(&server, "RELAY,1#");
    for tracker in [&mut device, &mut thief] {
        tracker.send(&heartbeat(2));
        assert_eq!(tracker.receive(), frame(0x13, &[], 2));
        assert!(!tracker.hears_within(A_WHILE));
    }
    let waiting = one(&server, id);
    assert_eq!(waiting["status"], "queued");
    let peers: Vec<_> = waiting["contested"].as_array().unwrap().iter().collect();
    assert_eq!(peers.len(), 2, "{waiting}");
    let elsewhere = |peer: &&Value| peer.as_str().unwrap().starts_with("127.0.1.1:");
    assert!(
        peers.iter().copied().any(|peer| elsewhere(&peer)),
        "{waiting}"
    );
    // Only one of them is left.
    drop(thief);
    let (flag, _) = device.command();
    device.send(&answer(flag, "Cut off: Success", 3));
    assert!(until(&server, id, "answered").get("contested").is_none());
}

#[test]
fn the_language_word_is_sent_to_devices_that_are_said_to_need_it() {
    let config = format!("[[device]]\nid = \"{ID}\"\ncommand_language = \"english\"\n");
    let server = Start::default().token("sesame").config(&config).start();
    seen_once(&server);
    queued(&server, "WHERE#");
    let mut tracker = Tracker::login(server.gt06, ID);
    let raw = tracker.receive();
    assert_eq!(raw[9..17], *b"WHERE#\x00\x02");
}

#[test]
fn without_a_token_nothing_is_commanded_and_the_remedy_is_said() {
    let server = Server::start();
    let mut tracker = Tracker::login(server.gt06, ID);
    tracker.send(&alarm(1, 2));
    assert_eq!(tracker.receive(), frame(0x16, &[], 2));
    let answer = post(&server, &json!({ "text": "RELAY,1#" }));
    is_problem(&answer, 403);
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("--api-token"), "{detail}");
    let place = format!("{}/1", path());
    is_problem(&server.request("DELETE", &place, &[], ""), 403);
    assert_eq!(
        server.json(&path()),
        json!({ "commands": [] }),
        "nothing was kept"
    );
}

#[test]
fn what_cannot_be_a_command_is_refused_with_the_reason() {
    let server = start();
    let unknown = post(&server, &json!({ "text": "WHERE#" }));
    is_problem(&unknown, 404);
    is_problem(&server.get(&path()), 404);
    let nobody = server.request("POST", &path(), &[("Authorization", "")], "{}");
    is_problem(&nobody, 401);
    is_problem(&server.request("PUT", &path(), &[], "{}"), 405);
    // With its quotes one byte too long, so that all of it is read before it is refused.
    let long = "X".repeat((2 << 20) - 1);
    is_problem(&post(&server, &json!(long)), 413);
    seen_once(&server);
    for (body, about) in [
        (json!({ "text": "" }), "text"),
        (json!({ "text": "X".repeat(1_001) }), "text"),
        (json!({ "text": "RELAY,1#\r\nFACTORY#" }), "text"),
        (json!({ "text": "caf\u{e9}" }), "text"),
        (json!({ "text": "A#", "wait_s": -1 }), "wait_s"),
        (json!({ "text": "A#", "wait_s": 1e9 }), "wait_s"),
        (json!({ "text": "A#", "expires_s": 0 }), "expires_s"),
        (
            json!({ "text": "A#", "expires_s": 31 * 86_400 }),
            "expires_s",
        ),
        (json!({ "text": "A#", "expires": 60 }), "expires"),
        (json!({ "txt": "A#" }), "text"),
        (json!("A#"), "JSON"),
        (json!(["A#", 0, null]), "JSON"),
        (json!({ "text": 7 }), "text"),
        (json!({ "text": "  " }), "text"),
        (json!({ "text": "A#", "wait_s": "1" }), "seconds"),
        (json!({ "text": "A#", "expires_s": 1.5 }), "whole seconds"),
    ] {
        let answer = post(&server, &body);
        is_problem(&answer, 400);
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(about), "{body}: {detail}");
    }
    assert_eq!(server.json(&path()), json!({ "commands": [] }));
    is_problem(&server.get(&format!("{}/1", path())), 404);
    is_problem(&server.get(&format!("{}/x", path())), 404);
}

#[test]
fn so_many_commands_wait_and_no_more_and_all_are_listed() {
    let server = Start::default()
        .token("sesame")
        .env("MILEPOST_COMMANDS_MAX_WAITING", "3")
        .start();
    seen_once(&server);
    let ids: Vec<_> = ["A#", "B#", "C#"].map(|text| queued(&server, text)).into();
    let refused = post(&server, &json!({ "text": "D#" }));
    is_problem(&refused, 409);

    let mut listed = Vec::new();
    let mut next = format!("{}?limit=2", path());
    loop {
        let page = server.json(&next);
        let commands = page["commands"].as_array().unwrap();
        listed.extend(
            commands
                .iter()
                .map(|command| command["id"].as_u64().unwrap()),
        );
        let Some(cursor) = page["next"].as_str() else {
            break;
        };
        next = format!("{}?limit=2&cursor={cursor}", path());
    }
    let newest_first: Vec<_> = ids.iter().rev().map(|id| u64::from(*id)).collect();
    assert_eq!(listed, newest_first);

    // Another device sees nothing of it.
    let mut other = Tracker::login(server.gt06, "752533678900259");
    other.send(&alarm(1, 2));
    assert_eq!(other.receive(), frame(0x16, &[], 2));
    let others = format!("/v1/devices/752533678900259/commands/{}", ids[0]);
    assert_eq!(server.get(&others).status, 404);
    assert!(!other.hears_within(Duration::from_millis(200)));
}

#[test]
fn what_a_command_says_is_not_in_the_log() {
    const SECRET: &str = "hunter2";
    let server = Start::default()
        .token("sesame")
        .env("MILEPOST_LOG_LEVEL", "trace")
        .env("MILEPOST_COMMANDS_MAX_WAITING", "1")
        .start();
    let mut tracker = Tracker::login(server.gt06, ID);
    let id = queued(&server, &format!("APN,net,user,{SECRET}#"));
    let (flag, _) = tracker.command();
    tracker.send(&long_answer(flag, "OK", 2));
    until(&server, id, "answered");
    // Those that come to nothing: one that waits, one too many, those that are not understood.
    drop(tracker);
    server.until(&format!("/v1/devices/{ID}"), |answer| {
        answer.json()["connected"] == false
    });
    let text = format!("PSW,{SECRET}#");
    for (body, status) in [
        (json!({ "text": text, "expires_s": 1 }), 202),
        (json!({ "text": text }), 409),
        (json!({ "text": format!("{SECRET}\n") }), 400),
        (json!({ "text": text, "wait_s": SECRET }), 400),
        (json!({ "text": text, SECRET: 1 }), 400),
    ] {
        let answer = post(&server, &body);
        assert_eq!(answer.status, status, "{answer:?}");
    }
    until(&server, id + 1, "expired");
    let log = server.log();
    assert!(log.contains(&format!("command={id}")), "{log}");
    for said in [SECRET.to_owned(), hex::encode(SECRET)] {
        assert!(!log.contains(&said), "{log}");
    }
}
