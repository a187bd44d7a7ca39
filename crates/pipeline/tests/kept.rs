//! What is kept of frames: their profile, their ids, the room that they take, and for how long.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
#![cfg(feature = "sqlite")]

mod support;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use milepost_pipeline::command::SentTo;
use milepost_pipeline::sink::sqlite::{
    BoundNetworks, CommandState, KeptFrame, KeptProfile, Page, Span, SqliteJudge, Store,
    StoreOptions,
};
use milepost_pipeline::sink::{Batch, Judge, LaneStore, Loaded, Mark, Source, Written};
use milepost_pipeline::{Outcome, Pipeline, SinkError};
use milepost_telemetry::{
    Cell, CommandAnswer, Content, Course, DeviceKey, Envelope, IgnitionSource, Level, Odometer,
    Percent, Profile, Quarantine, Radio, RawTime, Report, Smoothed, Speed, Switches, TimeSource,
    Voltage, Zone,
};
use support::judge::{LONG, options};
use support::{at, frame, gt06, key, open, position, unreadable};
use tokio::sync::broadcast;

fn start(store: &Store) -> Pipeline {
    let epoch = store.begin_epoch().unwrap();
    Pipeline::start(store.judge(epoch).unwrap(), &options()).unwrap()
}

/// A decoder: the time of the frame, read in the zone of the profile.
fn decode(device: &DeviceKey, raw: &[u8], profile: Option<&Profile>) -> Vec<Report> {
    let seconds = i64::from_be_bytes(raw.try_into().unwrap());
    let hours: i64 = profile.map_or(0, |profile| profile.as_str().parse().unwrap());
    let mut report = position(device, seconds, seconds);
    let time = at(seconds).offset_millis(hours * 3_600_000);
    report.set_device_time(time, TimeSource::Fix, Zone::Login);
    vec![report]
}

fn sent(device: &DeviceKey, number: u64, seconds: i64, profile: Option<&str>) -> Envelope {
    let raw = seconds.to_be_bytes();
    let profile = profile.map(Profile::new);
    let reports = decode(device, &raw, profile.as_ref());
    let mut envelope = frame(Some(device), number, Content::Reports(reports));
    envelope.raw = Bytes::copy_from_slice(&raw);
    envelope.profile = profile;
    envelope.received_at = at(seconds);
    envelope
}

#[tokio::test]
async fn a_kept_frame_is_decoded_again_with_its_own_profile_though_another_holds_now() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let pipeline = start(&store);
    let handle = pipeline.handle();
    let device = key(1);
    for (number, profile) in [(1, Some("-8")), (2, Some("2")), (3, None)] {
        let seconds = i64::try_from(number).unwrap() * 100;
        handle.submit(sent(&device, number, seconds, profile)).await;
    }
    // What holds now.
    let today = Profile::new("5");
    store.put_profile(&device, gt06(), &today).unwrap();
    assert!(pipeline.drain(LONG).await.clean);

    let reader = store.reader().unwrap();
    let page = Page::first(10);
    let history = reader.history(&device, &Span::default(), &page).unwrap();
    assert_eq!(history.items.len(), 3);
    for first in history.items {
        let kept = reader.kept_frame(&first.id).unwrap().unwrap();
        assert_eq!(kept.device, Some(device));
        if first.time == at(300) {
            assert_eq!(kept.profile, KeptProfile::Unknown);
        }
        let mut again = decode(&device, &kept.raw, kept.profile.exact());
        kept.reuse_ids(&mut again);
        again[0].late = first.late;
        assert_eq!(again, std::slice::from_ref(&first));
        // The proof that the profile matters.
        let wrong = decode(&device, &kept.raw, Some(&today));
        assert_ne!(wrong[0].time, first.time);
    }
}

#[tokio::test]
async fn a_frame_in_quarantine_keeps_its_profile_too() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let pipeline = start(&store);
    let mut envelope = unreadable(1);
    envelope.profile = Some(Profile::new("7"));
    pipeline.handle().submit(envelope).await;
    pipeline.handle().submit(unreadable(2)).await;
    assert!(pipeline.drain(LONG).await.clean);
    let frames = store.reader().unwrap().kept_quarantine(0, 10).unwrap();
    let profiles: Vec<_> = frames
        .iter()
        .map(|(_, frame)| frame.profile.clone())
        .collect();
    assert_eq!(
        profiles,
        [KeptProfile::Known(Profile::new("7")), KeptProfile::Unknown]
    );
    let after = frames[0].0;
    let rest: Vec<(i64, KeptFrame)> = store.reader().unwrap().kept_quarantine(after, 10).unwrap();
    assert_eq!(rest, frames[1..]);
}

#[tokio::test]
async fn a_device_brings_at_most_a_hundred_profiles_a_day_and_old_ones_go() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let pipeline = start(&store);
    let handle = pipeline.handle();
    let device = key(1);
    for n in 0..105_u64 {
        let seconds = i64::try_from(n).unwrap();
        handle
            .submit(sent(&device, n, seconds, Some(&n.to_string())))
            .await;
    }
    // The next day, and another device.
    let tomorrow = 86_400;
    handle
        .submit(sent(&device, 200, tomorrow, Some("200")))
        .await;
    handle.submit(sent(&key(2), 201, 50, Some("201"))).await;
    let profile_of = |device: &DeviceKey, seconds: i64| {
        let id = position(device, seconds, 0).id;
        let kept = store.reader().unwrap().kept_frame(&id).unwrap().unwrap();
        kept.profile
    };
    assert_eq!(
        profile_of(&device, 99),
        KeptProfile::Known(Profile::new("99"))
    );
    for seconds in [100, 104] {
        let stand_in = KeptProfile::StandIn(Profile::new("0"));
        assert_eq!(profile_of(&device, seconds), stand_in);
        assert_eq!(profile_of(&device, seconds).exact(), None);
    }
    let known = KeptProfile::Known(Profile::new("200"));
    assert_eq!(profile_of(&device, tomorrow), known);
    assert_eq!(
        profile_of(&key(2), 50),
        KeptProfile::Known(Profile::new("201"))
    );

    // Rows that go take the profiles with them that nothing else refers to.
    let cut_off = at(tomorrow - 3_600);
    while store.forget_before(cut_off, 50).await.unwrap().more {}
    let db = rusqlite::Connection::open(store.path()).unwrap();
    let left: Vec<String> = db
        .prepare("SELECT text FROM used_profile")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(left, ["200"]);
    // A profile that comes again is stored again.
    handle
        .submit(sent(&device, 300, tomorrow + 9, Some("3")))
        .await;
    assert_eq!(
        profile_of(&device, tomorrow + 9),
        KeptProfile::Known(Profile::new("3"))
    );
    assert!(pipeline.drain(LONG).await.clean);
}

#[tokio::test]
async fn a_frame_decoded_again_reuses_the_ids_that_are_stored_with_it_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let pipeline = start(&store);
    let handle = pipeline.handle();
    let device = key(1);
    // Of three reports the second is known already.
    let reports: Vec<_> = [10, 20, 30].map(|n| position(&device, n, n)).into();
    let known = Content::Reports(vec![reports[1].clone()]);
    handle.submit(frame(Some(&device), 1, known)).await;
    let all = Content::Reports(reports.clone());
    handle.submit(frame(Some(&device), 2, all)).await;
    assert!(pipeline.drain(LONG).await.clean);
    let reader = store.reader().unwrap();
    let kept = reader.kept_frame(&reports[2].id).unwrap().unwrap();
    assert_eq!(kept.ids, [(0, reports[0].id), (2, reports[2].id)]);

    // A newer version makes ids by another rule, and finds a fourth report.
    let mut again: Vec<_> = [11, 21, 31, 41].map(|n| position(&device, n, n)).into();
    let minted: Vec<_> = again.iter().map(|report| report.id).collect();
    kept.reuse_ids(&mut again);
    let ids: Vec<_> = again.iter().map(|report| report.id).collect();
    assert_eq!(ids, [reports[0].id, minted[1], reports[2].id, minted[3]]);
}

#[tokio::test]
async fn every_frame_of_an_envelope_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut options_of_store = StoreOptions::default();
    options_of_store.outcomes = 4;
    let store = Store::open(&folder, options_of_store).unwrap();
    let pipeline = start(&store);
    let handle = pipeline.handle();
    let device = key(1);
    for n in 0..20 {
        let mut envelope = match n % 3 {
            0 => unreadable(n),
            // New the first time, then a repeat.
            1 => sent(&device, n, 5, None),
            _ => sent(&device, n, i64::try_from(n).unwrap(), None),
        };
        envelope.frames.push(n + 1);
        envelope.frames.push(n + 5);
        handle.submit(envelope).await;
    }
    assert_eq!(handle.received(), 60);
    let drained = pipeline.drain(LONG).await;
    assert_eq!(drained.settled, 60);
    let audit = store.reader().unwrap().audit().unwrap();
    let sums = &audit.epochs[0];
    assert!(audit.ok, "{audit:?}");
    assert_eq!(
        [sums.stored, sums.duplicate, sums.quarantined],
        [18, 21, 21],
        "{audit:?}"
    );
    while store.forget_before(at(1_000), 3).await.unwrap().more {}
    assert_eq!(store.reader().unwrap().audit().unwrap(), audit);
}

/// A report with every value that has a column, and some that have none.
fn full(device: &DeviceKey) -> Report {
    let mut report = position(device, 5, 6);
    report.dialect = Some(milepost_telemetry::Name::new("concox"));
    report.sequence = Some(54);
    report.raw_time = Some(RawTime::Civil {
        year: 2026,
        month: 13,
        day: 40,
        hour: 25,
        minute: 61,
        second: 61,
    });
    let fix = report.fix.as_mut().unwrap();
    fix.time = Some(at(4));
    fix.course = Some(Course::from_degrees(12.3).unwrap());
    fix.satellites = Some(9);
    fix.live = Some(false);
    fix.hdop = milepost_telemetry::Dop::new(0.8).ok();
    report.power.external = Voltage::from_volts(12.6).ok();
    report.power.external_connected = Some(true);
    report.power.battery = Voltage::from_volts(4.1).ok();
    report.power.battery_charge = Percent::new(90.0).ok();
    report.power.battery_level = Some(Level::High);
    report.power.charging = Some(false);
    report.io.note_ignition(true, IgnitionSource::Status);
    report.io.armed = Some(false);
    report.io.inputs = Switches::from_bits(0b101, 4);
    report.odometer = Odometer::from_metres(23_000.5).ok();
    let mut smoothed = Smoothed::new(fix_place());
    smoothed.speed = Speed::from_kmh(53.3).ok();
    smoothed.accuracy_m = Some(3.7);
    smoothed.moving = Some(true);
    smoothed.outlier = true;
    smoothed.rejected = Some(milepost_telemetry::Rejected::Jump);
    report.smoothed = Some(smoothed);
    for cell_id in [8_050, 8_051] {
        report.push_cell(cell(cell_id));
    }
    report.more.text = Some("text".into());
    report.more.reply_to = Some(9);
    report
}

fn fix_place() -> milepost_telemetry::Coordinates {
    milepost_telemetry::Coordinates::from_degrees(23.111_755, 114.409_23).unwrap()
}

const fn cell(cell_id: u64) -> Cell {
    Cell {
        radio: Radio::Gsm,
        serving: true,
        mcc: 460,
        mnc: 0,
        lac: 10_365,
        cell_id,
        signal_dbm: None,
    }
}

#[tokio::test]
async fn a_report_comes_back_from_its_columns_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let pipeline = start(&store);
    let device = key(1);
    let full = full(&device);
    let mut bare = position(&device, 50, 60);
    bare.fix = None;
    bare.raw_time = Some(RawTime::Unix(u32::try_from(at(50).as_unix()).unwrap()));
    // A device that has not said its name.
    let mut nameless = position(&device, 70, 70);
    nameless.device = None;
    nameless.tenant = None;
    for (n, device, report) in [
        (1, Some(&device), &full),
        (2, Some(&device), &bare),
        (3, None, &nameless),
    ] {
        let content = Content::Reports(vec![report.clone()]);
        pipeline.handle().submit(frame(device, n, content)).await;
    }
    assert!(pipeline.drain(LONG).await.clean);
    let reader = store.reader().unwrap();
    for sent in [full, bare, nameless] {
        let mut back = reader.report(&sent.id).unwrap().unwrap();
        back.more.raw = None;
        back.late = None;
        assert_eq!(back, sent);
        let json = |report: &Report| serde_json::to_string(report).unwrap();
        assert_eq!(json(&back), json(&sent));
    }
}

/// A location as GT06 has it: 39 bytes of frame, one cell.
fn gt06_location(device: &DeviceKey, n: u64) -> Envelope {
    let seconds = i64::try_from(n).unwrap() * 10;
    let mut report = position(device, seconds, seconds + 1);
    report.dialect = Some(milepost_telemetry::Name::new("concox"));
    report.sequence = Some(u32::try_from(n % 65_536).unwrap());
    let (year, month, day, hour, minute, second) = at(seconds).to_civil();
    report.raw_time = Some(RawTime::Civil {
        year: u16::try_from(year).unwrap(),
        month,
        day,
        hour,
        minute,
        second,
    });
    let spread = f64::from(u32::try_from(n * 7 % 1_000_000).unwrap()) / 1e6;
    let place = milepost_telemetry::Coordinates::from_degrees(22.0 + spread, 113.0 + spread);
    let fix = report.fix.as_mut().unwrap();
    fix.coordinates = place.unwrap();
    fix.course = Course::from_degrees(f32::from(u16::try_from(n % 360).unwrap())).ok();
    fix.satellites = Some(9);
    fix.live = Some(true);
    report.network.cell = Some(cell(8_050));
    report.io.note_ignition(true, IgnitionSource::Field);
    let mut envelope = frame(Some(device), n, Content::Reports(vec![report]));
    envelope.raw = Bytes::copy_from_slice(&[0x78; 39]);
    envelope.received_at = at(seconds).offset_millis(1_123);
    envelope.profile = Some(Profile::new(
        "{\"v\":1,\"dialect\":\"concox\",\"zone\":480}",
    ));
    envelope
}

#[tokio::test]
async fn a_location_takes_at_most_350_bytes_with_its_indexes_frame_and_profile() {
    let folder = tempfile::tempdir().unwrap();
    let mut options_of_store = StoreOptions::default();
    options_of_store.unsafe_without_sync = true;
    let store = Store::open(&folder, options_of_store).unwrap();
    let pipeline = start(&store);
    let handle = pipeline.handle();
    let rows = 20_000;
    let mut verdicts = std::collections::VecDeque::new();
    for n in 0..rows {
        let mut envelope = gt06_location(&key(n % 100), n);
        envelope.origin.connection = n % 100;
        verdicts.push_back(Box::pin(handle.submit(envelope)));
        if verdicts.len() > 5_000 {
            verdicts.pop_front().unwrap().await;
        }
    }
    for verdict in verdicts {
        assert_eq!(verdict.await, Outcome::Delivered);
    }
    assert!(pipeline.drain(LONG).await.clean);
    assert_eq!(store.reader().unwrap().count().unwrap(), rows);
    let path = store.path().to_owned();
    drop((store, handle));
    let each = std::fs::metadata(path).unwrap().len() / rows;
    assert!(each <= 350, "{each} bytes");
}

#[tokio::test]
async fn a_page_of_history_sorts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let db = rusqlite::Connection::open(store.path()).unwrap();
    let plan: Vec<String> = db
        .prepare(
            "EXPLAIN QUERY PLAN SELECT * FROM report r
             WHERE r.device = 1 AND r.time >= 5 AND r.time < 9 AND (r.time, r.seq) > (5, 7)
             ORDER BY r.time, r.seq LIMIT 10",
        )
        .unwrap()
        .query_map([], |row| row.get(3))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let all = plan.join("\n");
    assert!(
        all.contains("report_by_time") && !all.contains("TEMP B-TREE"),
        "{all}"
    );
}

#[tokio::test]
async fn no_reason_and_no_stranger_fills_the_quarantine() {
    let folder = tempfile::tempdir().unwrap();
    let mut options_of_store = StoreOptions::default();
    options_of_store.quarantine = 20;
    options_of_store.quarantine_per_reason = 8;
    let store = Store::open(&folder, options_of_store).unwrap();
    let pipeline = start(&store);
    let handle = pipeline.handle();
    let set_aside = |n: u64, accepted: bool, reason: &str| {
        let why = Quarantine::new(format!("{reason} at byte {n}"));
        let device = accepted.then(|| key(1));
        frame(device.as_ref(), n, Content::Quarantined(why))
    };
    let mut n = 0;
    let mut many = async |count: u64, accepted, reason| {
        for _ in 0..count {
            n += 1;
            handle.submit(set_aside(n, accepted, reason)).await;
        }
    };
    let kept = || {
        let reader = store.reader().unwrap();
        let all = reader.quarantine(&Page::first(100)).unwrap().items;
        let accepted = all.iter().filter(|one| one.device.is_some()).count();
        (accepted, all.len() - accepted)
    };
    many(30, true, "too short").await;
    assert_eq!(kept(), (8, 0));
    many(2, true, "too long").await;
    // A stranger with many reasons: half is for accepted devices.
    for reason in ["a", "b", "c", "d", "e"] {
        many(8, false, reason).await;
    }
    assert_eq!(kept(), (10, 10));
    many(8, true, "checksum").await;
    assert_eq!(kept(), (10, 10));
    assert!(pipeline.drain(LONG).await.clean);
    let audit = store.reader().unwrap().audit().unwrap();
    assert!(audit.ok && audit.epochs[0].quarantined == 80, "{audit:?}");
}

#[tokio::test]
async fn an_answer_from_elsewhere_is_shown_and_the_real_one_still_counts() {
    let folder = tempfile::tempdir().unwrap();
    let mut options_of_store = StoreOptions::default();
    options_of_store.bound =
        BoundNetworks::new(|_, address| address.to_string().starts_with("172."));
    let store = Store::open(&folder, options_of_store).unwrap();
    let pipeline = start(&store);
    let handle = pipeline.handle();
    let device = key(1);
    let far = at(1_000_000_000);
    let sent = async |text: &str| {
        let queued = store.queue_command(&device, gt06(), text, far, 9).await;
        let to = SentTo {
            epoch: 1,
            connection: 7,
            network: Some("10.1.2.0/24".into()),
        };
        store.take_command(&device, gt06(), Some(to)).await.unwrap();
        queued.unwrap()
    };
    let mut n = 0;
    let mut answered = async |connection: u64, peer: &str, flag: u32| {
        n += 1;
        let mut report = position(&device, n, n);
        let mut answer = CommandAnswer::new(format!("answer {n}"));
        answer.flag = Some(flag);
        report.more.answer = Some(answer);
        let number = u64::try_from(n).unwrap();
        let mut envelope = frame(Some(&device), number, Content::Reports(vec![report]));
        envelope.origin.connection = connection;
        envelope.peer = Some(peer.parse::<SocketAddr>().unwrap());
        handle.submit(envelope).await;
    };
    let found = |id| store.reader().unwrap().command(id).unwrap().unwrap();

    let first = sent("RELAY,1#").await;
    answered(8, "192.0.2.9:4", first.flag).await;
    let shown = found(first.id);
    assert_eq!(shown.status, CommandState::Sent);
    let unconfirmed = shown.unconfirmed.unwrap();
    assert_eq!(unconfirmed.text, "answer 1");
    assert_eq!(unconfirmed.peer.as_deref(), Some("192.0.2.9:4"));
    // The network that was sent it, on another connection.
    answered(9, "10.1.2.99:4", first.flag).await;
    let shown = found(first.id);
    assert_eq!(shown.status, CommandState::Answered);
    assert_eq!(shown.answer.as_deref(), Some("answer 2"));
    let second = sent("RELAY,0#").await;
    answered(9, "172.16.0.1:4", second.flag).await;
    assert_eq!(found(second.id).status, CommandState::Answered);
    let third = sent("STATUS#").await;
    answered(7, "192.0.2.9:4", third.flag).await;
    assert_eq!(found(third.id).status, CommandState::Answered);
    assert!(first.flag != second.flag && first.id < second.id);
}

/// The store's judge, that looks for announcements between the write of a batch and its end.
struct Looking {
    judge: SqliteJudge,
    store: Store,
    command: u32,
    changes: broadcast::Receiver<(u32, CommandState)>,
    early: Arc<Mutex<Vec<(u32, CommandState)>>>,
}

impl LaneStore for Looking {
    fn load(&mut self, devices: &[DeviceKey]) -> Result<Vec<Loaded>, SinkError> {
        self.judge.load(devices)
    }
}

impl Judge for Looking {
    type Prepared = <SqliteJudge as Judge>::Prepared;

    fn source(&self) -> Source {
        self.judge.source()
    }

    fn prepare(&mut self, batch: &Arc<Batch>) -> Result<Self::Prepared, SinkError> {
        self.judge.prepare(batch)
    }

    fn begin(&mut self, prepared: Self::Prepared) -> Result<(), SinkError> {
        self.judge.begin(prepared)
    }

    fn complete(&mut self) -> Result<Written, SinkError> {
        let reader = self.store.reader().unwrap();
        let answered = || reader.command(self.command).unwrap().unwrap().status;
        while answered() != CommandState::Answered {
            std::thread::yield_now();
        }
        // The writer's job goes on for a moment after its transaction; the next one comes after it.
        drop(reader);
        self.judge.check().unwrap();
        self.early.lock().unwrap().extend(self.changes.try_recv());
        self.judge.complete()
    }

    fn finish(&mut self, mark: &Mark, settled: bool) -> Result<(), SinkError> {
        self.judge.finish(mark, settled)
    }
}

#[tokio::test]
async fn that_a_command_is_answered_is_announced_when_the_files_were_looked_after() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let epoch = store.begin_epoch().unwrap();
    let (device, far) = (key(1), at(1_000_000_000));
    let queued = store.queue_command(&device, gt06(), "A", far, 9).await;
    let queued = queued.unwrap();
    store.take_command(&device, gt06(), None).await.unwrap();
    let mut changes = store.command_changes();
    let early = Arc::new(Mutex::new(Vec::new()));
    let looking = Looking {
        judge: store.judge(epoch).unwrap(),
        store: store.clone(),
        command: queued.id,
        changes: store.command_changes(),
        early: Arc::clone(&early),
    };
    let pipeline = Pipeline::start(looking, &options()).unwrap();
    let mut report = position(&device, 1, 1);
    let mut answer = CommandAnswer::new("done");
    answer.flag = Some(queued.flag);
    report.more.answer = Some(answer);
    let envelope = frame(Some(&device), 1, Content::Reports(vec![report]));
    assert_eq!(pipeline.handle().submit(envelope).await, Outcome::Delivered);
    assert!(early.lock().unwrap().is_empty());
    let announced = changes.recv().await.unwrap();
    assert_eq!(announced, (queued.id, CommandState::Answered));
    assert!(pipeline.drain(LONG).await.clean);
}

#[tokio::test]
async fn a_command_goes_to_its_protocol() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let other = milepost_telemetry::Name::new("other");
    let (device, far) = (key(1), at(1_000_000_000));
    let queued = store.queue_command(&device, other, "A", far, 9).await;
    let id = queued.unwrap().id;
    let taken = store.take_command(&key(1), gt06(), None).await.unwrap();
    assert_eq!(taken, None);
    let taken = store.take_command(&key(1), other, None).await.unwrap();
    assert_eq!(taken.unwrap().id, id);
}

#[tokio::test]
async fn the_network_that_a_device_has_come_from_longest_cannot_be_pushed_out() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let device = key(1);
    let day = |n: i64| at(n * 86_400);
    store.put_network(&device, "10.1.2.0/24", day(0)).unwrap();
    let known = || store.reader().unwrap().networks(&device).unwrap();
    // At once, and after it is written.
    assert_eq!(known()[0].network, "10.1.2.0/24");
    let written = |store: &Store| {
        let db = rusqlite::Connection::open(store.path()).unwrap();
        db.query_row("SELECT count(*) FROM device_network", [], |row| {
            row.get::<_, i64>(0)
        })
        .unwrap()
    };
    while written(&store) == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    for n in 0..40 {
        let network = format!("192.0.{n}.0/24");
        store.put_network(&device, &network, day(1)).unwrap();
    }
    store.put_network(&device, "10.1.2.0/24", day(2)).unwrap();
    drop(store);
    let store = open(&folder);
    let pipeline = start(&store);
    pipeline.handle().submit(sent(&device, 1, 5, None)).await;
    let known = store.reader().unwrap().networks(&device).unwrap();
    assert_eq!(known.len(), 16);
    assert_eq!(known[0].network, "10.1.2.0/24");
    assert_eq!((known[0].first_seen, known[0].last_seen), (day(0), day(2)));

    // After 90 days without it is forgotten.
    store.put_network(&device, "10.9.9.0/24", day(95)).unwrap();
    pipeline.handle().submit(sent(&device, 2, 6, None)).await;
    let known = store.reader().unwrap().networks(&device).unwrap();
    let names: Vec<_> = known.iter().map(|one| one.network.as_str()).collect();
    assert_eq!(names, ["10.9.9.0/24"]);
    assert!(pipeline.drain(LONG).await.clean);
}
