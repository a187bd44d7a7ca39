//! The pipeline with the embedded store under it.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
#![cfg(feature = "sqlite")]

mod support;

use std::time::Duration;

use milepost_pipeline::sink::sqlite::{CommandState, NotQueued, Page, Span, Store, StoreOptions};
use milepost_pipeline::{Backoff, Health, Options, Outcome, Pipeline};
use milepost_telemetry::{
    CommandAnswer, CommandOutcome, Content, DeviceKey, IgnitionSource, Io, Kind, Profile, ReportId,
};
use support::{at, filtered, frame, gt06, key, located, open, position, unreadable};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn every_frame_ends_in_one_bucket_and_a_clean_epoch_adds_up() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    assert_eq!(store.begin_epoch().unwrap(), 1);
    let pipeline = Pipeline::start(store.judge(1).unwrap(), &Options::default()).unwrap();
    let handle = pipeline.handle();
    let device = key(1);

    assert_eq!(
        handle.submit(located(&device, 1, 0)).await,
        Outcome::Delivered
    );
    assert_eq!(
        handle.submit(located(&device, 2, 0)).await,
        Outcome::Delivered
    );
    assert_eq!(handle.submit(unreadable(3)).await, Outcome::Delivered);
    assert_eq!(handle.submit(filtered(&device, 4)).await, Outcome::Filtered);
    let batch = vec![position(&device, 10, 10), position(&device, 0, 0)];
    let several = frame(Some(&device), 5, Content::Reports(batch));
    assert_eq!(handle.submit(several).await, Outcome::Delivered);
    let drained = pipeline.drain(SOON).await;
    assert!(drained.clean && drained.settled == 5 && drained.failed == 0);
    assert_eq!(
        handle.submit(located(&device, 6, 99)).await,
        Outcome::Failed
    );

    let audit = store.read(|reader| reader.audit()).await.unwrap();
    assert!(audit.ok, "{audit:?}");
    let epoch = audit.epochs.first().unwrap();
    assert!(epoch.clean);
    let sums = [
        epoch.received,
        epoch.stored,
        epoch.duplicate,
        epoch.quarantined,
    ];
    assert_eq!(sums, [5, 2, 1, 1]);
    assert_eq!(epoch.filtered.get("echo"), Some(&1));
    assert_eq!(epoch.abandoned, 0);

    let reader = store.reader().unwrap();
    let quarantined = reader.quarantine(&Page::first(10)).unwrap().items;
    assert_eq!(quarantined.len(), 1);
    let only = quarantined.first().unwrap();
    assert_eq!(
        (only.raw.as_str(), only.offset),
        ("0000000000000003", Some(11))
    );
}

#[tokio::test]
async fn what_comes_back_is_what_went_in() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.begin_epoch().unwrap();
    let pipeline = Pipeline::start(store.judge(1).unwrap(), &Options::default()).unwrap();
    let device = key(1);
    let mut sent = position(&device, 5, 6);
    sent.io.note_ignition(true, IgnitionSource::Field);
    let envelope = frame(Some(&device), 1, Content::Reports(vec![sent.clone()]));
    pipeline.handle().submit(envelope).await;

    let reader = store.reader().unwrap();
    let back = reader.report(&sent.id).unwrap().unwrap();
    sent.late = Some(false);
    sent.more.raw = Some(1_u64.to_be_bytes().into());
    assert_eq!(back, sent);
    let found = reader.device(&device).unwrap().unwrap();
    assert_eq!(found.latest.fix, sent.fix);
    assert_eq!(found.latest.fix_time, Some(at(5)));
    assert_ne!(found.latest.io, Io::default());
    assert_eq!(found.latest.last_seen, Some(at(0)));
    assert!(reader.device(&key(2)).unwrap().is_none());
    let listed = reader.devices(&device.tenant, &Page::first(10)).unwrap();
    assert_eq!(listed.items, [found]);
    assert_eq!(listed.next, None);
    let history = reader
        .history(&device, &Span::default(), &Page::first(10))
        .unwrap();
    sent.more.raw = None;
    assert_eq!(history.items, [sent]);
}

/// Until the store's health is as wanted.
async fn until(handle: &milepost_pipeline::Handle, wanted: impl Fn(&Health) -> bool) {
    let reached = async {
        while !wanted(&handle.health()) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(SOON, reached).await.unwrap();
}

#[tokio::test]
async fn a_store_that_is_locked_is_not_ready_though_nothing_comes() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let epoch = store.begin_epoch().unwrap();
    let mut options = quick();
    options.check_every = Duration::from_millis(5);
    let pipeline = Pipeline::start(store.judge(epoch).unwrap(), &options).unwrap();
    let handle = pipeline.handle();
    let lock = rusqlite::Connection::open(store.path()).unwrap();
    lock.busy_timeout(SOON).unwrap();
    let version = || -> i64 {
        lock.pragma_query_value(None, "data_version", |row| row.get(0))
            .unwrap()
    };
    let before = version();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    until(&handle, |health| {
        matches!(health, Health::Stalled(why) if why.contains("locked by another program"))
    })
    .await;
    lock.execute_batch("ROLLBACK").unwrap();
    until(&handle, |health| *health == Health::Ready).await;
    assert_eq!(version(), before, "looking has written something");
    assert!(pipeline.drain(SOON).await.clean);
}

#[tokio::test]
async fn what_is_given_up_at_an_end_in_a_stall_was_received_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let epoch = store.begin_epoch().unwrap();
    let pipeline = Pipeline::start(store.judge(epoch).unwrap(), &quick()).unwrap();
    let handle = pipeline.handle();
    handle.submit(located(&key(1), 1, 0)).await;
    let lock = rusqlite::Connection::open(store.path()).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let waiting: Vec<_> = (2..=4)
        .map(|n| Box::pin(handle.submit(located(&key(1), n, 10))))
        .collect();
    let drained = pipeline.drain(Duration::ZERO).await;
    assert!(!drained.clean && drained.failed == 3, "{drained:?}");
    for verdict in waiting {
        assert_eq!(verdict.await, Outcome::Failed);
    }
    drop(store);

    let sums = |audit: milepost_pipeline::sink::sqlite::Audit| {
        assert!(audit.ok, "{audit:?}");
        let epoch = audit.epochs.first().unwrap().clone();
        (epoch.received, epoch.stored, epoch.abandoned, epoch.clean)
    };
    // Before anybody can write again, after that, and when another run has come.
    let reader = Store::open_read_only(folder.path()).unwrap();
    let audit = || reader.reader().unwrap().audit().unwrap();
    assert_eq!(sums(audit()), (4, 1, 3, false));
    lock.execute_batch("ROLLBACK").unwrap();
    drop(lock);
    let store = open(&folder);
    assert_eq!(sums(audit()), (4, 1, 3, false));
    store.begin_epoch().unwrap();
    assert_eq!(sums(audit()), (4, 1, 3, false));
}

#[tokio::test]
async fn a_locked_store_holds_data_back_and_readers_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.begin_epoch().unwrap();
    let pipeline = Pipeline::start(store.judge(1).unwrap(), &quick()).unwrap();
    let handle = pipeline.handle();
    let device = key(1);
    handle.submit(located(&device, 1, 0)).await;

    let lock = rusqlite::Connection::open(store.path()).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let first = Box::pin(handle.submit(located(&device, 2, 10)));
    let again = Box::pin(handle.submit(located(&device, 3, 10)));
    while handle.health() == Health::Ready {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let Health::Stalled(why) = handle.health() else {
        panic!("stalled a moment ago");
    };
    assert!(why.contains("locked by another program"), "{why}");
    // Nothing that a login needs waits for the writer.
    let profile = Profile::new("learned while stalled");
    store.put_profile(&device, gt06(), &profile).unwrap();
    let read = store.read(move |reader| Ok((reader.count()?, reader.profile(&key(1), gt06())?)));
    assert_eq!(read.await.unwrap(), (1, Some(profile.clone())));

    lock.execute_batch("ROLLBACK").unwrap();
    assert_eq!(first.await, Outcome::Delivered);
    assert_eq!(again.await, Outcome::Delivered);
    assert!(pipeline.drain(SOON).await.clean);
    let audit = store.reader().unwrap().audit().unwrap();
    let epoch = audit.epochs.first().unwrap();
    assert!(
        audit.ok && epoch.stored == 2 && epoch.duplicate == 1,
        "{audit:?}"
    );
    drop(store);
    let reopened = open(&folder);
    let known = reopened.reader().unwrap().profile(&device, gt06()).unwrap();
    assert_eq!(known, Some(profile));
}

#[tokio::test]
async fn a_restart_forgets_nothing_and_a_late_report_never_moves_the_last_position() {
    let folder = tempfile::tempdir().unwrap();
    let device = key(1);
    for (epoch, time, expected) in [(1, 100, 100), (2, 50, 100), (3, 100, 100), (4, 200, 200)] {
        let store = open(&folder);
        assert_eq!(store.begin_epoch().unwrap(), epoch);
        let pipeline = Pipeline::start(store.judge(epoch).unwrap(), &quick()).unwrap();
        let mut envelope = located(&device, 1, time);
        envelope.origin.epoch = epoch;
        assert_eq!(pipeline.handle().submit(envelope).await, Outcome::Delivered);
        let found = store.reader().unwrap().device(&device).unwrap().unwrap();
        assert_eq!(found.latest.fix_time, Some(at(expected)), "epoch {epoch}");
        assert!(pipeline.drain(SOON).await.clean);
    }
    let store = open(&folder);
    let reader = store.reader().unwrap();
    let history = reader
        .history(&device, &Span::default(), &Page::first(10))
        .unwrap();
    let late: Vec<_> = history.items.iter().map(|report| report.late).collect();
    assert_eq!(late, [Some(true), Some(false), Some(false)]);
    let audit = reader.audit().unwrap();
    assert!(audit.ok);
    let repeated = audit.epochs.iter().find(|epoch| epoch.epoch == 3).unwrap();
    assert_eq!((repeated.stored, repeated.duplicate), (0, 1));
}

#[tokio::test]
async fn lists_are_read_in_pages_that_fit_together() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.begin_epoch().unwrap();
    let pipeline = Pipeline::start(store.judge(1).unwrap(), &quick()).unwrap();
    let device = key(1);
    // Three reports for each moment, so that pages end between equals.
    let mut sent = Vec::new();
    for n in 0..21_u64 {
        let mut report = position(&device, i64::try_from(n / 3).unwrap(), 100);
        let mut id = *report.id.as_bytes();
        id[15] = u8::try_from(n).unwrap();
        report.id = ReportId::from_bytes(id);
        sent.push(report.id);
        let envelope = frame(Some(&device), n, Content::Reports(vec![report]));
        pipeline.handle().submit(envelope).await;
        pipeline.handle().submit(unreadable(100 + n)).await;
        pipeline
            .handle()
            .submit(located(&key(n), 200 + n, 1_000))
            .await;
    }
    let reader = store.reader().unwrap();
    let all = Span {
        to: Some(at(500)),
        ..Span::default()
    };
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let page = Page::after(4, after);
        let part = reader.history(&device, &all, &page).unwrap();
        ids.extend(part.items.iter().map(|report| report.id));
        after = part.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(ids, sent);
    let some = Span {
        from: Some(at(2)),
        to: Some(at(4)),
        raw: true,
    };
    let part = reader.history(&device, &some, &Page::first(100)).unwrap();
    let expected: Vec<_> = sent.iter().skip(6).take(6).copied().collect();
    assert!(part.items.iter().map(|report| report.id).eq(expected));
    assert!(part.items.iter().all(|report| report.more.raw.is_some()));

    let (mut devices, mut after) = (Vec::new(), None);
    loop {
        let part = reader
            .devices(&device.tenant, &Page::after(4, after))
            .unwrap();
        devices.extend(part.items.into_iter().map(|found| found.key));
        after = part.next;
        if after.is_none() {
            break;
        }
    }
    assert!(devices.iter().cloned().eq((0..21).map(key)));
    let newest = reader.quarantine(&Page::first(20)).unwrap();
    let oldest = reader.quarantine(&Page::after(20, newest.next)).unwrap();
    assert_eq!((newest.items.len(), oldest.items.len()), (20, 1));
    assert_eq!(oldest.items.first().unwrap().raw, format!("{:016x}", 100));
    assert_eq!(oldest.next, None);
}

#[tokio::test]
async fn quarantine_is_bounded_and_what_it_forgets_stays_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = StoreOptions::default();
    options.quarantine = 5;
    let store = Store::open(&folder, options).unwrap();
    store.begin_epoch().unwrap();
    let pipeline = Pipeline::start(store.judge(1).unwrap(), &quick()).unwrap();
    for n in 1..=12 {
        pipeline.handle().submit(unreadable(n)).await;
    }
    assert!(pipeline.drain(SOON).await.clean);
    let reader = store.reader().unwrap();
    let kept = reader.quarantine(&Page::first(100)).unwrap().items;
    assert_eq!(kept.len(), 5);
    assert_eq!(kept.first().unwrap().raw, format!("{:016x}", 12));
    let audit = reader.audit().unwrap();
    assert!(audit.ok);
    assert_eq!(audit.epochs.first().unwrap().quarantined, 12);
}

#[tokio::test]
async fn records_of_frames_outside_of_the_history_are_bounded_and_stay_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = StoreOptions::default();
    options.outcomes = 16;
    let device = key(1);
    // Two runs, so that the first one's records are folded in the second.
    for run in 1..=2 {
        let store = Store::open(&folder, options.clone()).unwrap();
        assert_eq!(store.begin_epoch().unwrap(), run);
        let pipeline = Pipeline::start(store.judge(run).unwrap(), &quick()).unwrap();
        let handle = pipeline.handle();
        for n in 0..25 {
            // In the second run the position is known from the first.
            for mut envelope in [
                located(&device, 4 * n, 0),
                located(&device, 4 * n + 1, 0),
                filtered(&device, 4 * n + 2),
                unreadable(4 * n + 3),
            ] {
                envelope.origin.epoch = run;
                handle.submit(envelope).await;
            }
            let db = rusqlite::Connection::open(store.path()).unwrap();
            let kept: u32 = db
                .query_row("SELECT count(*) FROM outcome", [], |row| row.get(0))
                .unwrap();
            // An eighth more than was asked for.
            assert!(kept <= 18, "{kept} in run {run}, round {n}");
            // The newest are there singly.
            assert!(
                kept >= 16 || run == 1 && n < 6,
                "{kept} in run {run}, round {n}"
            );
            let audit = store.reader().unwrap().audit().unwrap();
            assert!(audit.ok, "{audit:?}");
        }
        assert!(pipeline.drain(SOON).await.clean);
    }
    let store = Store::open(&folder, options).unwrap();
    let audit = store.reader().unwrap().audit().unwrap();
    assert!(audit.ok, "{audit:?}");
    let sums = audit.epochs.iter().map(|epoch| {
        let echoes = epoch.filtered.get("echo").copied().unwrap();
        assert_eq!(epoch.filtered.len(), 1);
        [
            epoch.received,
            epoch.stored,
            epoch.duplicate,
            echoes,
            epoch.quarantined,
        ]
    });
    assert!(
        sums.eq([[100, 1, 49, 25, 25], [100, 0, 50, 25, 25]]),
        "{audit:?}"
    );
}

#[tokio::test]
async fn what_arrived_long_ago_is_forgotten_on_request_and_stays_counted() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let device = key(1);
    let mut last = 0;
    for run in 1..=2 {
        store.begin_epoch().unwrap();
        let pipeline = Pipeline::start(store.judge(run).unwrap(), &quick()).unwrap();
        for n in 0..10 {
            last += 1;
            // By its own clock the device reports from the far future, then from the past: what
            // counts is when it arrived. Two reports a frame.
            let clock = 1_000_000 - 100 * last;
            let both = vec![
                position(&device, clock, last),
                position(&device, clock + 1, last),
            ];
            let mut several = frame(Some(&device), n, Content::Reports(both));
            let mut strange = unreadable(100 + n);
            for envelope in [&mut several, &mut strange] {
                envelope.origin.epoch = run;
                envelope.received_at = at(last);
            }
            pipeline.handle().submit(several).await;
            pipeline.handle().submit(strange).await;
        }
        assert!(pipeline.drain(SOON).await.clean);
    }
    let before = store.reader().unwrap().audit().unwrap();
    assert!(before.ok);
    let latest = store.reader().unwrap().device(&device).unwrap();

    // In small steps, of which some end within a frame.
    let (mut reports, mut quarantined) = (0, 0);
    loop {
        let forgotten = store.forget_before(at(15), 3).await.unwrap();
        reports += forgotten.reports;
        quarantined += forgotten.quarantined;
        let audit = store.reader().unwrap().audit().unwrap();
        assert_eq!(audit, before);
        if !forgotten.more {
            break;
        }
    }
    assert_eq!((reports, quarantined), (28, 14));
    let reader = store.reader().unwrap();
    let left = reader
        .history(&device, &Span::default(), &Page::first(100))
        .unwrap();
    let mut arrived: Vec<_> = left.items.iter().map(|report| report.received_at).collect();
    arrived.sort_unstable();
    let expected: Vec<_> = (15..=20).flat_map(|n| [at(n), at(n)]).collect();
    assert_eq!(arrived, expected);
    assert_eq!(reader.quarantine(&Page::first(100)).unwrap().items.len(), 6);
    assert_eq!(reader.device(&device).unwrap(), latest);

    // All of it; and the store goes on.
    while store.forget_before(at(1_000), 3).await.unwrap().more {}
    assert_eq!(reader.count().unwrap(), 0);
    assert_eq!(store.begin_epoch().unwrap(), 3);
    let pipeline = Pipeline::start(store.judge(3).unwrap(), &quick()).unwrap();
    let mut envelope = located(&device, 1, 5);
    envelope.origin.epoch = 3;
    assert_eq!(pipeline.handle().submit(envelope).await, Outcome::Delivered);
    assert!(pipeline.drain(SOON).await.clean);
    let after = store.reader().unwrap().audit().unwrap();
    assert!(after.ok, "{after:?}");
    assert_eq!(after.epochs[..2], before.epochs[..]);
    assert_eq!(after.epochs[2].stored, 1);
}

#[tokio::test]
async fn commands_that_have_ended_are_forgotten_and_their_numbers_do_not_return() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let device = key(1);
    let far = at(1_000_000_000);
    let mut ids = Vec::new();
    for (text, expires) in [("A", at(1)), ("B", far), ("C", at(1))] {
        let queued = store.queue_command(&device, gt06(), text, expires, 9).await;
        ids.push(queued.unwrap().id);
    }
    store.expire_commands(at(2)).await.unwrap();
    let found = |id| store.reader().unwrap().command(id).unwrap().is_some();
    assert_eq!(store.forget_before(at(2), 9).await.unwrap().commands, 0);
    assert_eq!(store.forget_before(at(3), 9).await.unwrap().commands, 2);
    assert_eq!(
        [found(ids[0]), found(ids[1]), found(ids[2])],
        [false, true, false]
    );
    let next = store
        .queue_command(&device, gt06(), "D", far, 9)
        .await
        .unwrap()
        .id;
    assert!(next > ids[2]);
}

#[tokio::test]
async fn an_answer_is_matched_with_its_command_in_its_reports_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.begin_epoch().unwrap();
    let device = key(1);
    let far = at(1_000_000_000);
    let command = store
        .queue_command(&device, gt06(), "RELAY,1#", far, 9)
        .await
        .unwrap();
    assert_eq!(command.status, CommandState::Queued);
    // Durable: another run finds it.
    drop(store);
    let store = open(&folder);
    let waiting = store.reader().unwrap().open_commands().unwrap();
    assert_eq!(waiting, std::slice::from_ref(&command));
    let taken = store
        .take_command(&device, gt06(), None)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((taken.id, taken.status), (command.id, CommandState::Sent));
    assert!(
        store
            .take_command(&device, gt06(), None)
            .await
            .unwrap()
            .is_none()
    );

    let mut changes = store.command_changes();
    let pipeline = Pipeline::start(store.judge(1).unwrap(), &quick()).unwrap();
    let answer = |from: &DeviceKey, n: u64| {
        let mut report = position(from, i64::try_from(n).unwrap(), 100);
        report.kind = Kind::CommandReply;
        report.fix = None;
        let mut answer = CommandAnswer::new("Cut off: Success");
        answer.flag = Some(command.flag);
        answer.outcome = Some(CommandOutcome::Success);
        report.more.answer = Some(answer);
        frame(Some(from), n, Content::Reports(vec![report]))
    };
    // Another device cannot answer for this one.
    pipeline.handle().submit(answer(&key(2), 1)).await;
    let state = |store: &Store| {
        store
            .reader()
            .unwrap()
            .command(command.id)
            .unwrap()
            .unwrap()
    };
    assert_eq!(state(&store).status, CommandState::Sent);
    pipeline.handle().submit(answer(&device, 2)).await;
    assert_eq!(
        changes.recv().await.unwrap(),
        (command.id, CommandState::Answered)
    );
    let done = state(&store);
    assert_eq!(done.status, CommandState::Answered);
    assert_eq!(done.answer.as_deref(), Some("Cut off: Success"));
    assert_eq!(done.outcome.as_deref(), Some("success"));
    assert!(!store.command_refused(command.id, "too late").await.unwrap());

    let refused = store
        .queue_command(&device, gt06(), "X", far, 9)
        .await
        .unwrap();
    assert!(
        store
            .command_refused(refused.id, "no such thing")
            .await
            .unwrap()
    );
    assert!(!store.withdraw_command(command.id).await.unwrap());
    let back = store
        .queue_command(&device, gt06(), "Z", far, 9)
        .await
        .unwrap();
    assert!(store.withdraw_command(back.id).await.unwrap());
    assert!(!store.withdraw_command(back.id).await.unwrap());
    assert_eq!(
        store.take_command(&device, gt06(), None).await.unwrap(),
        None
    );
    let short = store
        .queue_command(&device, gt06(), "Y", at(1), 9)
        .await
        .unwrap();
    assert_eq!(
        store
            .reader()
            .unwrap()
            .next_command_expiry()
            .unwrap()
            .unwrap(),
        at(1)
    );
    assert_eq!(store.expire_commands(at(2)).await.unwrap(), [short.id]);
    let reader = store.reader().unwrap();
    let listed = reader.commands(&device, &Page::first(10)).unwrap().items;
    let states: Vec<_> = listed.iter().map(|c| (c.id, c.status)).collect();
    assert_eq!(
        states,
        [
            (short.id, CommandState::Expired),
            (back.id, CommandState::Withdrawn),
            (refused.id, CommandState::Refused),
            (command.id, CommandState::Answered)
        ]
    );
}

/// A device's answer: with a flag, and with what its decoder made of the words.
fn answer(
    from: &DeviceKey,
    n: u64,
    flag: u32,
    outcome: Option<&str>,
) -> milepost_telemetry::Envelope {
    let mut report = position(from, i64::try_from(n).unwrap(), 100);
    report.kind = Kind::CommandReply;
    report.fix = None;
    let mut answer = CommandAnswer::new(format!("answer {n}"));
    answer.flag = (flag != 0).then_some(flag);
    answer.outcome = outcome.map(|name| {
        use CommandOutcome::{Deferred, Refused, Success};
        let known = [Success, Refused, Deferred];
        known.into_iter().find(|o| o.as_str() == name).unwrap()
    });
    report.more.answer = Some(answer);
    frame(Some(from), n, Content::Reports(vec![report]))
}

#[tokio::test]
async fn an_answer_without_a_flag_is_for_what_the_device_was_sent_last() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.begin_epoch().unwrap();
    let pipeline = Pipeline::start(store.judge(1).unwrap(), &quick()).unwrap();
    let device = key(1);
    let far = at(1_000_000_000);
    let queue = async |text| {
        let queued = store.queue_command(&device, gt06(), text, far, 9).await;
        queued.unwrap()
    };
    let (first, second) = (queue("A").await, queue("B").await);
    let found = |id| store.reader().unwrap().command(id).unwrap().unwrap();

    // Nothing was sent: what the device says is no answer to what waits.
    pipeline.handle().submit(answer(&device, 1, 0, None)).await;
    pipeline
        .handle()
        .submit(answer(&device, 2, first.flag, None))
        .await;
    assert_eq!(found(first.id).status, CommandState::Queued);

    store
        .take_command(&device, gt06(), None)
        .await
        .unwrap()
        .unwrap();
    pipeline
        .handle()
        .submit(answer(&device, 3, 0, Some("refused")))
        .await;
    assert_eq!(found(first.id).status, CommandState::Refused);
    assert_eq!(found(first.id).answer.as_deref(), Some("answer 3"));
    assert_eq!(found(second.id).status, CommandState::Queued);
}

#[tokio::test]
async fn an_answer_without_a_flag_settles_no_command_that_it_may_not_be_for() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.begin_epoch().unwrap();
    let pipeline = Pipeline::start(store.judge(1).unwrap(), &quick()).unwrap();
    let device = key(1);
    let found = |id| store.reader().unwrap().command(id).unwrap().unwrap();
    let far = at(1_000_000_000);
    let sent = async |text| {
        let queued = store.queue_command(&device, gt06(), text, far, 9).await;
        store
            .take_command(&device, gt06(), None)
            .await
            .unwrap()
            .unwrap();
        queued.unwrap().id
    };
    let mut n = 0;
    let mut answered = async |verb: Option<&str>, outcome| {
        n += 1;
        let mut envelope = answer(&device, n, 0, outcome);
        if let (Some(verb), Content::Reports(reports)) = (verb, &mut envelope.content) {
            reports[0].more.answer.as_mut().unwrap().verb = Some(verb.into());
        }
        pipeline.handle().submit(envelope).await;
    };

    // The fuel is to be cut when the device stands; then it is to flow again.
    let cut = sent("DYD,000000#").await;
    answered(Some("DYD"), Some("deferred")).await;
    assert_eq!(found(cut).status, CommandState::Answered);
    let restore = sent("HFYD,000000#").await;
    answered(Some("DYD"), Some("success")).await;
    assert_eq!(found(restore).status, CommandState::Sent);
    assert_eq!(found(cut).outcome.as_deref(), Some("success"));
    answered(Some("RELAY"), Some("success")).await;
    assert_eq!(found(restore).status, CommandState::Sent);

    // Two were sent, and the answer says of none what it is to.
    let relay = sent("RELAY,1#").await;
    answered(None, Some("success")).await;
    assert_eq!(found(restore).status, CommandState::Sent);
    assert_eq!(found(relay).status, CommandState::Sent);
    answered(Some("hfyd"), None).await;
    assert_eq!(found(restore).status, CommandState::Answered);
    answered(None, Some("success")).await;
    assert_eq!(found(relay).status, CommandState::Answered);
}

#[tokio::test]
async fn late_and_second_answers_are_taken_where_they_say_something_new() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.begin_epoch().unwrap();
    let pipeline = Pipeline::start(store.judge(1).unwrap(), &quick()).unwrap();
    let device = key(1);
    let soon = at(1_000_000_000);
    let queued = store.queue_command(&device, gt06(), "RELAY,1#", soon, 9);
    let (id, flag) = queued.await.map(|one| (one.id, one.flag)).unwrap();
    let found = || store.reader().unwrap().command(id).unwrap().unwrap();
    store
        .take_command(&device, gt06(), None)
        .await
        .unwrap()
        .unwrap();
    // Certainly not sent after all: it waits again, and is sent again.
    assert!(store.command_unsent(id).await.unwrap());
    assert_eq!(
        (found().status, found().sent_at),
        (CommandState::Queued, None)
    );
    store
        .take_command(&device, gt06(), None)
        .await
        .unwrap()
        .unwrap();

    store.expire_commands(soon).await.unwrap();
    let mut n = 0;
    let mut said = async |outcome| {
        n += 1;
        pipeline
            .handle()
            .submit(answer(&device, n, flag, Some(outcome)))
            .await;
    };
    said("deferred").await;
    assert_eq!(found().outcome.as_deref(), Some("deferred"));
    said("success").await;
    assert_eq!(found().status, CommandState::Answered);
    assert_eq!(found().answer.as_deref(), Some("answer 2"));
    said("refused").await;
    assert_eq!(found().answer.as_deref(), Some("answer 2"));
}

#[tokio::test]
async fn no_more_commands_wait_for_a_device_than_may() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let far = at(1_000_000_000);
    for _ in 0..2 {
        store
            .queue_command(&key(1), gt06(), "A", far, 2)
            .await
            .unwrap();
    }
    let refused = store.queue_command(&key(1), gt06(), "A", far, 2).await;
    assert!(matches!(refused, Err(NotQueued::TooMany(2))), "{refused:?}");
    store
        .queue_command(&key(2), gt06(), "A", far, 2)
        .await
        .unwrap();
}

#[tokio::test]
async fn frames_that_are_set_aside_make_no_device_known() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.begin_epoch().unwrap();
    let pipeline = Pipeline::start(store.judge(1).unwrap(), &quick()).unwrap();
    let handle = pipeline.handle();
    let device = key(1);
    let set_aside = |n| {
        let mut envelope = unreadable(n);
        envelope.device = Some(device);
        envelope
    };
    handle.submit(set_aside(1)).await;
    handle.submit(filtered(&device, 2)).await;
    let reader = store.reader().unwrap();
    assert_eq!(reader.device(&device).unwrap(), None);
    let kept = reader.quarantine(&Page::first(9)).unwrap().items;
    assert_eq!(kept[0].device.as_deref(), Some(device.device.as_str()));

    // Once it has reported something, they are signs of life.
    handle.submit(located(&device, 3, 0)).await;
    let before = reader.device(&device).unwrap().unwrap().latest.last_seen;
    handle.submit(set_aside(4)).await;
    let after = reader.device(&device).unwrap().unwrap().latest.last_seen;
    assert!(after >= before);
}

fn quick() -> Options {
    let mut options = Options::default();
    options.backoff = Backoff {
        first: Duration::from_millis(5),
        most: Duration::from_millis(20),
    };
    options
}
