//! The session hears of the end of its connection: once, after everything else, whatever the reason.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use common::{Line, LineSession, Picky};
use milepost_listener::test_util::{Device, Dialer, Shelf, network};
use milepost_listener::{
    Closed, Context, Drained, Identified, Limits, Opened, Protocol, Server, Session, Skipped,
};
use milepost_telemetry::{Name, Quarantine};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The toy protocol, with a diary of what its sessions were told of: logins and ends.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

struct Writer {
    session: LineSession,
    diary: Diary,
}

impl Diary {
    fn note(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }

    fn read(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Protocol for Diary {
    type Session = Writer;

    fn name(&self) -> Name {
        Name::new("lines")
    }

    fn session(&self, _: &Opened) -> Writer {
        Writer {
            session: LineSession::default(),
            diary: self.clone(),
        }
    }
}

impl Session for Writer {
    type Frame = Line;

    fn next_frame(&mut self, src: &mut BytesMut) -> Result<Option<Line>, Skipped> {
        self.session.next_frame(src)
    }

    fn on_frame(&mut self, frame: Line, cx: &mut Context<'_>) -> Result<(), Quarantine> {
        self.session.on_frame(frame, cx)
    }

    fn on_identified(&mut self, who: &Identified, cx: &mut Context<'_>) -> Result<(), Quarantine> {
        self.diary.note(format!("login {}", who.device.device));
        self.session.on_identified(who, cx)
    }

    fn on_pause(&mut self) {
        self.session.on_pause();
    }

    fn on_close(&mut self, closed: &Closed<'_>, _: &mut Context<'_>) {
        let device = closed.device.map(|key| key.device.to_string());
        let device = device.unwrap_or_else(|| "nobody".to_owned());
        self.diary.note(format!("{device}: {}", closed.reason));
    }
}

struct Rig {
    diary: Diary,
    dial: Dialer,
    shelf: Shelf,
    shutdown: CancellationToken,
    server: JoinHandle<Drained>,
}

impl Rig {
    fn new() -> Self {
        let (dial, incoming) = network();
        let (diary, shelf) = (Diary::default(), Shelf::default());
        let mut limits = Limits::default();
        limits.bad_in_row = 1;
        let server = Server::new(diary.clone(), Picky::default(), shelf.clone())
            .limits(limits)
            .serve(incoming);
        let shutdown = CancellationToken::new();
        let server = tokio::spawn(server.run(shutdown.clone()));
        Self {
            diary,
            dial,
            shelf,
            shutdown,
            server,
        }
    }

    async fn login(&self) -> Device {
        let mut device = self.dial.connect();
        device.send("I 42\n").await;
        device.expect("welcome\n").await;
        device
    }

    /// All that the sessions were told, when the server has ended.
    async fn end(self) -> Vec<String> {
        self.shutdown.cancel();
        self.server.await.unwrap();
        self.diary.read()
    }
}

#[tokio::test(start_paused = true)]
async fn every_end_is_told_once_with_its_reason() {
    let rig = Rig::new();
    let mut device = rig.login().await;
    device.finish().await;
    device.expect_end().await;
    for (said, answered) in [("X\n", "bye\n"), ("P\n", ""), ("B\nB\n", "kept\nkept\n")] {
        let mut device = rig.login().await;
        device.send(said).await;
        device.expect(answered).await;
        device.expect_end().await;
    }
    rig.login().await.expect_end().await;
    rig.dial.connect().expect_end().await;
    let mut stranger = rig.dial.connect();
    stranger.send("I refused\n").await;
    stranger.expect_end().await;
    drop(rig.dial.connect());
    let older = rig.login().await;
    let mut newer = Vec::new();
    for _ in 0..4 {
        newer.push(rig.login().await);
    }
    older.expect_end().await;

    let told = rig.end().await;
    let ends: Vec<_> = told.iter().filter(|line| *line != "login 42").collect();
    assert_eq!(
        ends,
        [
            "42: peer",
            "42: session: asked to",
            "42: defect",
            "42: too_many_bad",
            "42: idle_timeout",
            "nobody: login_timeout",
            "nobody: refused",
            "nobody: peer",
            "42: superseded",
            "42: drained",
            "42: drained",
            "42: drained",
            "42: drained",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_login_that_waits_for_the_registry_comes_before_the_end() {
    let rig = Rig::new();
    let mut slow = rig.dial.connect();
    slow.send("I slow\n").await;
    let mut never = rig.dial.connect();
    never.send("I never\n").await;
    never.expect_silence(Duration::from_secs(1)).await;
    assert_eq!(rig.diary.read(), [""; 0]);
    assert_eq!(
        rig.end().await,
        ["login slow", "slow: drained", "nobody: drained"]
    );
}

#[tokio::test(start_paused = true)]
async fn the_end_is_told_while_verdicts_are_awaited() {
    let rig = Rig::new();
    let mut device = rig.login().await;
    rig.shelf.hold();
    device.send("D one\n").await;
    device.finish().await;
    device.expect_silence(Duration::from_secs(1)).await;
    assert_eq!(rig.diary.read(), ["login 42", "42: peer"]);
    rig.shelf.release();
    assert_eq!(rig.end().await.len(), 2);
}

#[test]
fn a_task_that_is_ended_from_outside_tells_it_too() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let diary = runtime.block_on(async {
        let rig = Rig::new();
        let _device = rig.login().await;
        rig.diary
    });
    drop(runtime);
    assert_eq!(diary.read(), ["login 42", "42: aborted"]);
}
