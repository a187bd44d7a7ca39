//! TimescaleDB: what is stored once, stays apart, and goes.

use std::sync::Arc;

use milepost_pipeline::sink::timescale::*;
use milepost_telemetry::*;
use tokio_postgres::Client;

use super::support::{device, full, location, now, server, unique};

const DAY: i64 = 24 * 3_600_000;
pub(crate) const TOPIC: Name = Name::new("milepost.reports");

/// A database of the test's own.
pub(crate) struct Fresh {
    pub(crate) url: DatabaseUrl,
    pub(crate) schema: Schema,
    /// To look into it.
    pub(crate) client: Client,
}

impl Fresh {
    pub(crate) async fn new() -> Self {
        let name = unique("test");
        let server: DatabaseUrl = server("MILEPOST_TEST_DATABASE").parse().unwrap();
        let admin = client(&server).await;
        admin
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .await
            .unwrap();
        let url = server.with_database(&name);
        let schema = Schema::default();
        Database::migrate(&url, &schema).await.unwrap();
        let client = client(&url).await;
        client
            .batch_execute("SET search_path = milepost, public")
            .await
            .unwrap();
        Self {
            url,
            schema,
            client,
        }
    }

    pub(crate) async fn open(&self) -> Database {
        Database::connect(&self.url, &self.schema).await.unwrap()
    }

    /// The judge of partition 0 of [`TOPIC`].
    pub(crate) async fn claim(&self, transport: &Transport) -> (TimescaleJudge, Claimed) {
        TimescaleJudge::claim(
            &self.url,
            &self.schema,
            TOPIC,
            0,
            transport.clone(),
            JudgeOptions::default(),
        )
        .await
        .unwrap()
    }

    pub(crate) async fn count(&self, what: &str) -> i64 {
        let row = self
            .client
            .query_one(&format!("SELECT count(*) FROM {what}"), &[])
            .await
            .unwrap();
        row.get(0)
    }
}

pub(crate) async fn client(url: &DatabaseUrl) -> Client {
    let config: tokio_postgres::Config = url.to_string().parse().unwrap();
    let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// One envelope with these reports, from `from` to `to`.
pub(crate) fn batch(
    claim: Claim,
    from: Option<i64>,
    to: i64,
    reports: &[(&Report, Route)],
) -> BatchRows {
    let mut rows = BatchRows::new(claim, from, to);
    for (number, (report, route)) in reports.iter().enumerate() {
        let origin = Origin {
            epoch: 7,
            connection: 1,
            frame: u64::try_from(to).unwrap() * 1_000 + u64::try_from(number).unwrap(),
        };
        let frame = rows.frame(FrameRow::new(Arc::from("gw"), origin, 1, Fate::Reports));
        let row = ReportRow {
            report,
            gateway: "gw",
            origin,
            part: 0,
            revision: 0,
            profile: None,
            raw: Some(b"\x78\x78"),
        };
        rows.report(frame, &row, *route).unwrap();
    }
    rows
}

#[tokio::test]
#[ignore = "needs services/up"]
async fn migrations_run_once_and_wait_for_each_other() {
    let fresh = Fresh::new().await;
    let again = Database::migrate(&fresh.url, &fresh.schema).await.unwrap();
    assert_eq!(again, [0; 0], "nothing is left to do");

    let mut other = Schema::default();
    other.tables = "other".into();
    other.views = "other_api".into();
    let error = Database::connect(&fresh.url, &other).await.unwrap_err();
    assert!(error.to_string().contains("milepost migrate"), "{error}");
    let (one, two) = tokio::join!(
        Database::migrate(&fresh.url, &other),
        Database::migrate(&fresh.url, &other),
    );
    assert_eq!(one.unwrap().len() + two.unwrap().len(), 3);

    fresh
        .client
        .batch_execute("INSERT INTO migration (version) VALUES (1000)")
        .await
        .unwrap();
    let error = Database::connect(&fresh.url, &fresh.schema)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("newer"), "{error}");
}

#[tokio::test]
#[ignore = "needs services/up"]
async fn a_report_is_read_back_as_it_was() {
    let fresh = Fresh::new().await;
    let mut database = fresh.open().await;
    let claim = database.claim(TOPIC, 0).await.unwrap().claim;
    let key = device(1);
    let mut smoothed = location(&key, now(), now());
    let mut position = Smoothed::new(smoothed.fix.as_ref().unwrap().coordinates);
    position.speed = Speed::from_kmh(1.5).ok();
    position.moving = Some(true);
    position.rejected = Some(Rejected::Jump);
    smoothed.smoothed = Some(position);
    let mut odd_text = location(&key, now().offset_millis(1), now());
    odd_text.more.text = Some("zero \0 and \\u0000".into());
    let mut full = full();
    let reports = [
        (&full, Route::Straight),
        (&smoothed, Route::Compared),
        (&odd_text, Route::Odd),
    ];
    database
        .write(&batch(claim, None, 1, &reports))
        .await
        .unwrap();

    // The frame's bytes are a column of their own.
    full.more.raw = None;
    odd_text.more.text = Some("zero  and \\u0000".into());
    for report in [full, smoothed, odd_text] {
        let stored = database.reports(&[report.id]).await.unwrap();
        assert_eq!(stored, [report]);
    }
}

#[tokio::test]
#[ignore = "needs services/up"]
async fn a_repeat_is_known_whatever_way_it_comes() {
    let fresh = Fresh::new().await;
    let mut database = fresh.open().await;
    let claim = database.claim(TOPIC, 0).await.unwrap().claim;
    let key = device(1);
    let at = now();
    let one = location(&key, at, at);
    let two = location(&key, at.offset_millis(1_000), at);

    let first = batch(claim, None, 10, &[(&one, Route::Straight)]);
    let stored = database.write(&first).await.unwrap();
    assert_eq!(stored.reports, [Verdict::New]);
    assert_eq!((stored.stored, stored.duplicate), (1, 0));

    // Compared; twice in one batch; and wrongly taken for new.
    let reports = [
        (&one, Route::Compared),
        (&two, Route::Compared),
        (&two, Route::Compared),
    ];
    let stored = database
        .write(&batch(claim, Some(10), 20, &reports))
        .await
        .unwrap();
    assert_eq!(
        stored.reports,
        [Verdict::Known, Verdict::New, Verdict::Known]
    );
    assert_eq!((stored.stored, stored.duplicate), (1, 2));
    assert!(!stored.restaged);

    let reports = [(&one, Route::Straight), (&two, Route::Odd)];
    let stored = database
        .write(&batch(claim, Some(20), 30, &reports))
        .await
        .unwrap();
    assert_eq!(stored.reports, [Verdict::Known, Verdict::Known]);
    assert!(stored.restaged);

    // A row of the plain table is found from the other side, too.
    let three = location(&key, at.offset_millis(3 * DAY), at);
    let stored = database
        .write(&batch(claim, Some(30), 40, &[(&three, Route::Odd)]))
        .await
        .unwrap();
    assert_eq!(stored.reports, [Verdict::New]);
    let stored = database
        .write(&batch(claim, Some(40), 50, &[(&three, Route::Compared)]))
        .await
        .unwrap();
    assert_eq!(stored.reports, [Verdict::Known]);
    assert_eq!(fresh.count("report").await, 2);
    assert_eq!(fresh.count("report_odd").await, 1);
    assert_eq!(
        fresh.count("milepost_api.report").await,
        0,
        "no tenant is named"
    );

    let row = fresh
        .client
        .query_one(
            "SELECT sum(frames) FILTER (WHERE bucket = 'stored')::bigint,
                    sum(frames) FILTER (WHERE bucket = 'duplicate')::bigint FROM audit",
            &[],
        )
        .await
        .unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (3, 5));
}

#[tokio::test]
#[ignore = "needs services/up"]
async fn only_a_higher_decoder_version_replaces_a_row_and_its_events() {
    let fresh = Fresh::new().await;
    let mut database = fresh.open().await;
    let claim = database.claim(TOPIC, 0).await.unwrap().claim;
    let at = now();
    let mut report = location(&device(1), at, at);
    report.more.events = vec![
        Event::by_device(EventKind::Sos, Some(1)),
        Event::by_device(EventKind::PowerCut, None),
    ];
    database
        .write(&batch(claim, None, 1, &[(&report, Route::Straight)]))
        .await
        .unwrap();

    let mut newer = report.clone();
    newer.decoder = Name::new("gt06/0.10.0");
    newer.more.events.truncate(1);
    newer.late = Some(true);
    let mut older = newer.clone();
    older.decoder = Name::new("gt06/0.9.0");
    older.late = Some(false);
    for (report, from, verdict) in [
        (&newer, 1, Verdict::Changed),
        (&older, 2, Verdict::Known),
        (&newer, 3, Verdict::Known),
    ] {
        let rows = batch(claim, Some(from), from + 1, &[(report, Route::Compared)]);
        let stored = database.write(&rows).await.unwrap();
        assert_eq!(stored.reports, [verdict], "at {from}");
    }
    assert_eq!(database.reports(&[report.id]).await.unwrap(), [newer]);
    // What is published is numbered on: the corrected events have numbers of their own.
    let numbers: Vec<i64> = fresh
        .client
        .query("SELECT number FROM event ORDER BY number", &[])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert_eq!(numbers, [3]);
}

#[tokio::test]
#[ignore = "needs services/up"]
async fn a_superseded_claim_writes_nothing() {
    let fresh = Fresh::new().await;
    let (mut old, mut new) = (fresh.open().await, fresh.open().await);
    let at = now();
    let one = location(&device(1), at, at);
    let two = location(&device(1), at.offset_millis(1), at);

    let claim = old.claim(TOPIC, 3).await.unwrap().claim;
    old.write(&batch(claim, None, 5, &[(&one, Route::Straight)]))
        .await
        .unwrap();
    let claimed = new.claim(TOPIC, 3).await.unwrap();
    assert_eq!(claimed.offset, Some(5));
    assert!(claimed.claim.generation > claim.generation);

    let refused = old
        .write(&batch(claim, Some(5), 6, &[(&two, Route::Straight)]))
        .await
        .unwrap_err();
    assert!(refused.is_superseded(), "{refused}");
    let lane = LaneRow::new(device(1), "{}".into(), Vec::new(), Vec::new());
    let refused = old.snapshot(claim, 5, &[lane]).await.unwrap_err();
    assert!(refused.is_superseded(), "{refused}");
    // A batch that does not begin at the mark is refused, too.
    let refused = new
        .write(&batch(
            claimed.claim,
            Some(4),
            6,
            &[(&two, Route::Straight)],
        ))
        .await
        .unwrap_err();
    assert!(refused.is_superseded(), "{refused}");
    assert_eq!(fresh.count("report").await, 1);
    assert_eq!(fresh.count("lane").await, 0);

    new.write(&batch(
        claimed.claim,
        Some(5),
        6,
        &[(&two, Route::Straight)],
    ))
    .await
    .unwrap();
    assert_eq!(fresh.count("report").await, 2);
}

#[tokio::test]
#[ignore = "needs services/up"]
async fn a_batch_whose_answer_was_lost_is_recognised() {
    let fresh = Fresh::new().await;
    let mut database = fresh.open().await;
    let claim = database.claim(TOPIC, 0).await.unwrap().claim;
    let report = location(&device(1), now(), now());
    let rows = batch(claim, None, 5, &[(&report, Route::Straight)]);
    assert!(!database.write(&rows).await.unwrap().was_stored);
    let again = database.write(&rows).await.unwrap();
    assert!(again.was_stored);
    assert_eq!(again.reports, [Verdict::New]);
    assert_eq!(fresh.count("report").await, 1);
    assert_eq!(fresh.count("audit").await, 1);
}

#[tokio::test]
#[ignore = "needs services/up"]
async fn all_of_a_batch_is_stored_or_nothing() {
    let fresh = Fresh::new().await;
    let mut database = fresh.open().await;
    let claim = database.claim(TOPIC, 0).await.unwrap().claim;
    let at = now();
    let mut report = location(&device(1), at, at);
    report.more.events = vec![Event::by_device(EventKind::Sos, Some(1))];
    let mut rows = batch(claim, None, 5, &[(&report, Route::Straight)]);
    rows.position(9, 100);
    rows.profile(&Profile::new("{\"zone\":\"utc\"}"));
    let why = Quarantine::new("too short");
    let origin = Origin {
        epoch: 7,
        connection: 2,
        frame: 1,
    };
    let frame = FrameRow::new(Arc::from("gw"), origin, 1, Fate::Quarantined);
    rows.frame(frame);
    let quarantined = QuarantineRow {
        received_at: at,
        gateway: "gw",
        origin,
        frames: 1,
        peer: Some(([127, 0, 0, 1], 5023).into()),
        protocol: Name::new("gt06"),
        device: None,
        profile: None,
        why: &why,
        raw: b"\x78",
    };
    rows.quarantine(&quarantined);
    // The last table that is written refuses.
    let everything = [
        "report",
        "event",
        "quarantine",
        "audit",
        "log_position",
        "profile",
    ];
    fresh
        .client
        .batch_execute("ALTER TABLE audit ADD CONSTRAINT no CHECK (frames < 0)")
        .await
        .unwrap();
    let error = database.write(&rows).await.unwrap_err();
    assert!(!error.needs_reconnect(), "{error}");
    for table in everything {
        assert_eq!(fresh.count(table).await, 0, "{table}");
    }
    fresh
        .client
        .batch_execute("ALTER TABLE audit DROP CONSTRAINT no")
        .await
        .unwrap();
    let stored = database.write(&rows).await.unwrap();
    assert_eq!((stored.stored, stored.quarantined), (1, 1));
    for table in everything {
        assert!(fresh.count(table).await >= 1, "{table}");
    }
    let claimed = database.claim(TOPIC, 0).await.unwrap();
    assert_eq!(claimed.positions, [(9, 100)].into());
}

#[tokio::test]
#[ignore = "needs services/up"]
async fn the_api_sees_one_tenant_and_no_table() {
    let fresh = Fresh::new().await;
    let mut database = fresh.open().await;
    let claim = database.claim(TOPIC, 0).await.unwrap().claim;
    let at = now();
    let mut report = location(&device(1), at, at);
    report.more.events = vec![Event::by_device(EventKind::Sos, Some(1))];
    let mut odd = location(&device(1), at.offset_millis(9 * DAY), at);
    odd.more.text = Some("secret".into());
    let rows = batch(
        claim,
        None,
        1,
        &[(&report, Route::Straight), (&odd, Route::Odd)],
    );
    database.write(&rows).await.unwrap();
    let lane = LaneRow::new(device(1), "{}".into(), Vec::new(), Vec::new());
    database.snapshot(claim, 1, &[lane]).await.unwrap();

    let mut api = client(&fresh.url).await;
    api.batch_execute("SET ROLE milepost_api").await.unwrap();
    let views = ["report", "event", "device"];
    for (tenant, expected) in [("acme", [2, 1, 1]), ("other", [0; 3])] {
        let transaction = api.transaction().await.unwrap();
        transaction
            .execute("SELECT set_config('milepost.tenant', $1, true)", &[&tenant])
            .await
            .unwrap();
        for (view, expected) in views.into_iter().zip(expected) {
            let row = transaction
                .query_one(&format!("SELECT count(*) FROM milepost_api.{view}"), &[])
                .await
                .unwrap();
            assert_eq!(row.get::<_, i64>(0), expected, "{view} of {tenant}");
        }
        transaction.commit().await.unwrap();
    }
    // After the transaction no tenant is named. A condition with a side effect sees no row.
    let rows = api
        .query("SELECT 1 / (CASE WHEN rest->>'text' = 'secret' THEN 0 ELSE 1 END) FROM milepost_api.report", &[])
        .await
        .unwrap();
    assert!(rows.is_empty());
    for table in [
        "report",
        "report_odd",
        "event",
        "trip",
        "quarantine",
        "profile",
        "lane",
        "mark",
        "audit",
        "log_position",
        "gateway_run",
        "retention",
        "device_profile",
    ] {
        let refused = api
            .query(&format!("SELECT 1 FROM milepost.{table}"), &[])
            .await
            .unwrap_err();
        let code = refused.code().unwrap().code().to_owned();
        assert_eq!(code, "42501", "{table}: {refused}");
    }
}

#[tokio::test]
#[ignore = "needs services/up"]
async fn lanes_are_stored_with_their_snapshot() {
    let fresh = Fresh::new().await;
    let mut database = fresh.open().await;
    let claim = database.claim(TOPIC, 0).await.unwrap().claim;
    let lanes: Vec<LaneRow> = (0..3)
        .map(|n| {
            let latest = format!("{{\"n\": {n}}}");
            LaneRow::new(device(n), latest, vec![n as u8], vec![0, 1])
        })
        .collect();
    database.snapshot(claim, 17, &lanes).await.unwrap();
    let mut changed = lanes[1].clone();
    changed.state = vec![9];
    database
        .snapshot(claim, 18, &[changed.clone()])
        .await
        .unwrap();

    let keys = [device(2), device(7), device(1)];
    let loaded = database.load_lanes(&keys).await.unwrap();
    assert_eq!(loaded, [Some(lanes[2].clone()), None, Some(changed)]);
    let claimed = database.claim(TOPIC, 0).await.unwrap();
    assert_eq!(claimed.snapshot_offset, Some(18));
    assert_eq!(claimed.offset, None);
}

#[tokio::test]
#[ignore = "needs services/up"]
async fn what_is_old_goes_and_does_not_come_back_as_a_chunk() {
    let fresh = Fresh::new().await;
    let mut database = fresh.open().await;
    let claim = database.claim(TOPIC, 0).await.unwrap().claim;
    let at = now();
    let key = device(1);
    let old = at.offset_millis(-20 * DAY);
    let reports = [
        location(&key, old, old),
        location(&key, at.offset_millis(-DAY), at),
        // A wrong clock, long ago and now.
        location(&key, at.offset_millis(400 * DAY), old),
        location(&key, at.offset_millis(401 * DAY), at),
    ];
    let routed: Vec<_> = reports
        .iter()
        .map(|report| {
            let odd = is_odd(report.id.key_time(), report.received_at, None);
            (report, if odd { Route::Odd } else { Route::Compared })
        })
        .collect();
    database
        .write(&batch(claim, None, 1, &routed))
        .await
        .unwrap();
    assert_eq!(
        (fresh.count("report").await, fresh.count("report_odd").await),
        (2, 2)
    );
    assert_eq!(database.kept_since().await.unwrap(), None);

    let keep = Keep::all(std::time::Duration::from_secs(10 * 24 * 3_600));
    let dropped = database.drop_old(keep).await.unwrap();
    assert_eq!((dropped.chunks, dropped.odd_rows), (1, 1));
    assert_eq!(
        (fresh.count("report").await, fresh.count("report_odd").await),
        (1, 1)
    );
    let since = database.kept_since().await.unwrap().unwrap();
    assert!(since <= at.offset_millis(-10 * DAY) && since > at.offset_millis(-12 * DAY));
    assert!(is_odd(old, old, Some(since)));
    assert_eq!(database.drop_old(keep).await.unwrap(), Dropped::default());
}
