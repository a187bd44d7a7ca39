//! A toy protocol of lines, as a third party would write one.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses a part of it"
)]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use milepost_listener::test_util::{Dialer, Shelf, network};
use milepost_listener::{
    AcceptAll, Claim, Closed, Command, CommandRefused, Connections, Context, Drained, Identified,
    Limits, MemoryBudget, Opened, Protocol, RawFrame, Registry, Resolution, Server, Session,
    Skipped,
};
use milepost_telemetry::{
    Content, Decoder, DeviceId, DeviceKey, IdentitySeed, Kind, Name, Profile, Quarantine, Report,
    ReportId, Tenant, Timestamp,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// One line is one frame:
///
/// | line | |
/// |---|---|
/// | `I id` | identifies; `welcome` at once |
/// | `J id` | identifies; `hello` at once, before the registry is asked |
/// | `H` | a heartbeat: `alive` at once, nothing to store |
/// | `D text` | data: `stored text` when delivered |
/// | `L text` | data without acknowledgement |
/// | `B` | cannot be read; `kept` when delivered |
/// | `N` | forgets to give an outcome; `never` when delivered |
/// | `P` | panics |
/// | `C` | panics at the next pause |
/// | `F` | reports for another device |
/// | `T text` | learns a profile |
/// | `X` | closes |
/// | `A text` | urgent data: `stored text` when delivered |
/// | `K text` | held; `settled text` when the envelope that settles it is delivered |
/// | `S` | data that settles all that is held; `stored S` when delivered |
/// | `S first last` | data that settles these frames; `stored S` when delivered |
/// | `M text` | held, and reports and settles all that was held before |
/// | `V ms` | wants to be woken in so many milliseconds, and then settles all that is held |
/// | `U` | wants to be woken at once, and then does nothing |
/// | `W2` | does nothing when it is woken |
/// | `E` | settles all that is held at the end of the connection |
/// | `Q` | panics when it is woken or told of the end |
/// | `Z bytes` | begins an upload of so many bytes |
/// | `%…` | a line that may be long |
/// | `!…` | bytes that are no frame |
/// | `W` without line end | a frame that is taken when the sender pauses |
pub struct Lines;

#[derive(Default)]
pub struct LineSession {
    paused: bool,
    panics: bool,
    panics_later: bool,
    settles_at_end: bool,
    wake_at: Option<Instant>,
    idle_wake: bool,
    upload: usize,
    seed: Option<IdentitySeed>,
    login: Option<Timestamp>,
}

/// A line of text.
pub struct Line(pub Bytes);

impl RawFrame for Line {
    fn raw(&self) -> Bytes {
        self.0.clone()
    }

    fn urgent(&self) -> bool {
        self.0.starts_with(b"A")
    }
}

pub const MAX_LINE: usize = 64;
const DECODER: Decoder = Decoder::new("lines", "lines/1");

impl Protocol for Lines {
    type Session = LineSession;

    fn name(&self) -> Name {
        DECODER.protocol()
    }

    fn session(&self, _: &Opened) -> LineSession {
        LineSession::default()
    }
}

impl LineSession {
    fn report(&self, cx: &Context<'_>, key: &[u8]) -> Report {
        let seed = IdentitySeed::new(
            cx.device().map(|d| &d.tenant),
            cx.device().map(|d| &d.device),
            "lines",
        );
        let id = ReportId::mint(self.seed.unwrap_or(seed), cx.now(), key);
        let mut report = Report::new(id, DECODER, Kind::Status, cx.now());
        report.device = cx.device().map(|d| d.device);
        report.tenant = cx.device().map(|d| d.tenant);
        report.more.text = Some(String::from_utf8_lossy(key).into());
        report
    }
}

impl Session for LineSession {
    type Frame = Line;

    fn next_frame(&mut self, src: &mut BytesMut) -> Result<Option<Line>, Skipped> {
        if self.paused && &src[..] == b"W" {
            return Ok(Some(Line(src.split().freeze())));
        }
        let Some(end) = src.iter().position(|b| *b == b'\n') else {
            if src.len() > MAX_LINE && !src.starts_with(b"%") {
                let bytes = src.len();
                src.clear();
                return Err(Skipped::new(bytes));
            }
            return Ok(None);
        };
        let line = src.split_to(end + 1).freeze();
        if line.starts_with(b"!") {
            let http = line.starts_with(b"!GET").then_some("http");
            return Err(Skipped::new(line.len()).looks_like(http));
        }
        Ok(Some(Line(line)))
    }

    fn on_frame(&mut self, frame: Line, cx: &mut Context<'_>) -> Result<(), Quarantine> {
        let text = String::from_utf8_lossy(&frame.0);
        let (kind, rest) = text.trim_end().split_at_checked(1).unwrap_or(("", ""));
        let rest = rest.trim();
        match kind {
            "I" | "J" => {
                if kind == "J" {
                    cx.reply(Bytes::from_static(b"hello\n"));
                }
                let id = DeviceId::new(rest).map_err(|e| Quarantine::new(e.to_string()))?;
                self.login = Some(cx.now());
                cx.identify(id);
            }
            "H" => {
                cx.filter("heartbeat");
                cx.reply(Bytes::from_static(b"alive\n"));
            }
            "D" | "A" => {
                cx.emit(self.report(cx, rest.as_bytes()));
                cx.reply_when_delivered(format!("stored {rest}\n").into());
            }
            "W" if rest == "2" => {
                self.idle_wake = true;
                cx.filter("does nothing when woken");
            }
            "L" | "W" => cx.emit(self.report(cx, rest.as_bytes())),
            "B" => {
                cx.reply_when_delivered(Bytes::from_static(b"kept\n"));
                return Err(Quarantine::new("a bad line"));
            }
            "N" => cx.reply_when_delivered(Bytes::from_static(b"never\n")),
            "P" => panic!("asked to"),
            "C" => {
                cx.filter("careful");
                self.panics = true;
            }
            "F" => {
                let mut report = self.report(cx, b"forged");
                report.device = Some(DeviceId::new("another").expect("an id"));
                cx.emit(report);
            }
            "T" => {
                cx.learn(Profile::new(rest));
                cx.filter("learned");
            }
            "K" => {
                cx.hold();
                cx.reply_when_delivered(format!("settled {rest}\n").into());
            }
            "S" => {
                match rest.split_once(' ') {
                    Some((first, last)) => {
                        cx.cover_held(first.parse().unwrap()..=last.parse().unwrap());
                    }
                    None => cx.cover_all_held(),
                }
                cx.emit(self.report(cx, b"S"));
                cx.reply_when_delivered(Bytes::from_static(b"stored S\n"));
            }
            "M" => {
                cx.emit(self.report(cx, b"merged"));
                cx.cover_all_held();
                cx.hold();
                cx.reply_when_delivered(format!("settled {rest}\n").into());
            }
            "V" => {
                let wait = Duration::from_millis(rest.parse().unwrap());
                self.wake_at = Some(cx.instant() + wait);
                cx.filter("will wake");
            }
            "U" => {
                self.wake_at = Some(cx.instant());
                self.idle_wake = true;
                cx.filter("will wake");
            }
            "E" => {
                self.settles_at_end = true;
                cx.filter("will settle");
            }
            "Q" => {
                self.panics_later = true;
                cx.filter("will panic");
            }
            "Z" => {
                self.upload = rest.parse().unwrap();
                cx.filter("upload");
            }
            "X" => {
                cx.filter("bye");
                cx.reply(Bytes::from_static(b"bye\n"));
                cx.close("asked to");
            }
            _ => cx.filter("other"),
        }
        Ok(())
    }

    fn on_identified(&mut self, _: &Identified, cx: &mut Context<'_>) -> Result<(), Quarantine> {
        cx.emit(self.report(cx, b"login"));
        cx.reply(Bytes::from_static(b"welcome\n"));
        Ok(())
    }

    fn on_pause(&mut self) {
        assert!(!self.panics, "asked to");
        self.paused = true;
    }

    fn wake_at(&self) -> Option<Instant> {
        self.wake_at
    }

    fn on_wake(&mut self, cx: &mut Context<'_>) {
        assert!(!self.panics_later, "asked to");
        if self.idle_wake {
            return;
        }
        self.wake_at = None;
        cx.emit(self.report(cx, b"woken"));
        cx.cover_all_held();
    }

    fn held_bytes(&self) -> usize {
        self.upload
    }

    fn shed(&mut self) -> usize {
        std::mem::take(&mut self.upload)
    }

    fn on_close(&mut self, _: &Closed<'_>, cx: &mut Context<'_>) {
        assert!(!self.panics_later, "asked to");
        if self.settles_at_end {
            cx.emit(self.report(cx, b"final"));
            cx.cover_all_held();
        }
    }

    fn on_command(
        &mut self,
        command: &Command,
        cx: &mut Context<'_>,
    ) -> Result<(), CommandRefused> {
        if &*command.text == "no" {
            return Err(CommandRefused::not_now("does not want to"));
        }
        cx.reply(format!("do {}\n", command.text).into());
        Ok(())
    }
}

/// A server of lines, with all that a test needs to look at.
pub struct Rig {
    pub dial: Dialer,
    pub shelf: Shelf,
    pub connections: Connections,
    pub memory: MemoryBudget,
    pub shutdown: CancellationToken,
    pub server: JoinHandle<Drained>,
}

impl Rig {
    pub fn new(limits: impl FnOnce(&mut Limits)) -> Self {
        Self::with_registry(limits, AcceptAll(Tenant::new("acme").unwrap()))
    }

    pub fn with_registry(limits: impl FnOnce(&mut Limits), registry: impl Registry) -> Self {
        Self::with(limits, registry, MemoryBudget::default())
    }

    pub fn with(
        limits: impl FnOnce(&mut Limits),
        registry: impl Registry,
        memory: MemoryBudget,
    ) -> Self {
        let (dial, incoming) = network();
        let shelf = Shelf::default();
        let connections = Connections::default();
        let shutdown = CancellationToken::new();
        let mut chosen = Limits::default();
        limits(&mut chosen);
        let server = Server::new(Lines, registry, shelf.clone())
            .limits(chosen)
            .epoch(7)
            .clock(|| Timestamp::from_unix(1_800_000_000))
            .connections(connections.clone())
            .memory(memory.clone())
            .serve(incoming);
        let server = tokio::spawn(server.run(shutdown.clone()));
        Self {
            dial,
            shelf,
            connections,
            memory,
            shutdown,
            server,
        }
    }

    pub async fn drain(self) -> Drained {
        self.shutdown.cancel();
        self.server.await.expect("the server does not panic")
    }
}

pub fn key(device: &str) -> DeviceKey {
    DeviceKey {
        tenant: Tenant::new("acme").unwrap(),
        device: DeviceId::new(device).expect("an id"),
    }
}

/// A registry whose answers a test decides by the id: `refused`, `aside`, `slow` (an hour), `never`.
#[derive(Clone, Default)]
pub struct Picky {
    pub learned: Arc<Mutex<Vec<(DeviceKey, Profile)>>>,
}

impl Registry for Picky {
    async fn resolve(&self, claim: Claim) -> Resolution {
        let profile = Profile::new("from the registry");
        let identified = Identified::new(key(claim.id.as_str())).with_profile(Some(profile));
        match claim.id.as_str() {
            "refused" => Resolution::Refuse,
            "aside" => Resolution::Quarantine(identified),
            "slow" => {
                tokio::time::sleep(Duration::from_secs(2)).await;
                Resolution::Accept(identified)
            }
            "never" => std::future::pending().await,
            _ => Resolution::Accept(identified),
        }
    }

    fn learn(&self, _: Name, device: &DeviceKey, profile: &Profile) {
        let mut learned = self.learned.lock().expect("not poisoned");
        learned.push((*device, profile.clone()));
    }
}

/// What an envelope holds, in one word and its reason.
pub fn summary(content: &Content) -> String {
    match content {
        Content::Reports(reports) => {
            let texts: Vec<_> = reports
                .iter()
                .filter_map(|r| r.more.text.as_deref())
                .collect();
            format!("reports {}", texts.join(","))
        }
        Content::Filtered(why) => format!("filtered {why}"),
        Content::Quarantined(why) => format!("quarantined {}", why.message),
    }
}

pub fn summaries(shelf: &Shelf) -> Vec<String> {
    shelf.contents().iter().map(summary).collect()
}
