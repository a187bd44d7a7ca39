//! The same log with workers that come, go and are killed at random gives the same rows, events and
//! states as one worker that is left alone.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use milepost_pipeline::fleet::{Topics, Worker, WorkerOptions};
use milepost_pipeline::kafka::KafkaConfig;
use milepost_pipeline::stage::{Incidents, Stages, Track};
use milepost_telemetry::*;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::fleet::{Fleet, envelope, send};
use super::support::{now, server, unique};
use super::timescale::Fresh;

const CHILD: &str = "MILEPOST_TEST_CHILD";

/// The process of a worker: this test again, with its arguments in a variable. It ends in an orderly
/// way when its standard input does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs services/up"]
async fn a_worker_in_a_process_of_its_own() {
    let Ok(arguments) = std::env::var(CHILD) else {
        return;
    };
    let [url, prefix, group] = arguments.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{arguments}")
    };
    let mut options = WorkerOptions::new(url.parse().unwrap());
    options.topics = Topics::with_prefix(prefix);
    options.group = group.to_owned();
    options.session_timeout = Duration::from_secs(2);
    options.judge.snapshot_every = Duration::from_millis(300);
    options.pipeline.batch.frames = 40;
    options.pipeline.stages = Stages::standard().then(Incidents).then(Track::default());
    let kafka = KafkaConfig::new(server("MILEPOST_TEST_KAFKA"), "test");
    let worker = Worker::start(&kafka, options).await.unwrap();
    let (end, ended) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        std::io::stdin().read_line(&mut String::new()).unwrap();
        end.send(()).unwrap();
    });
    worker.run(async { ended.await.unwrap() }).await.unwrap();
}

/// Killed when it is dropped.
struct Process(Child);

impl Process {
    fn start(fresh: &Fresh, prefix: &str, group: &str) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "--ignored",
                "random::a_worker_in_a_process_of_its_own",
            ])
            .env(CHILD, format!("{} {prefix} {group}", fresh.url))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn end(mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended = self.0.kill().is_err();
        let _waited = self.0.wait().is_err();
    }
}

/// All that is to be the same, as text.
async fn all(fresh: &Fresh) -> Vec<(&'static str, Vec<String>)> {
    let mut found = Vec::new();
    for (what, query) in [
        (
            "reports",
            "SELECT (to_jsonb(r) - 'stored_at')::text FROM
                 (SELECT * FROM report UNION ALL SELECT * FROM report_odd) r ORDER BY id",
        ),
        (
            "events",
            "SELECT to_jsonb(e)::text FROM event e ORDER BY topic, partition, number",
        ),
        ("trips", "SELECT to_jsonb(t)::text FROM trip t ORDER BY id"),
        (
            "lanes",
            "SELECT concat_ws(' ', device, latest, encode(state, 'hex'), encode(newness, 'hex'))
             FROM lane ORDER BY device",
        ),
        (
            "audit",
            "SELECT concat_ws(' ', epoch, partition, bucket, reason, frames)
             FROM audit ORDER BY epoch, partition, bucket, reason",
        ),
    ] {
        let rows = fresh.client.query(query, &[]).await.unwrap();
        found.push((what, rows.iter().map(|row| row.get(0)).collect()));
    }
    found
}

async fn settled(fresh: &Fresh) -> i64 {
    let sum = "SELECT coalesce(sum(frames), 0)::bigint FROM audit";
    fresh.client.query_one(sum, &[]).await.unwrap().get(0)
}

/// Positions, repeats of devices, alarms, drives and halts.
fn random_envelope(random: &mut StdRng, number: u32, from: Timestamp) -> Envelope {
    let is_repeat = random.random_bool(0.15);
    let back = if is_repeat {
        random.random_range(1..200)
    } else {
        0
    };
    let fact = number.saturating_sub(back);
    let mut envelope = envelope(7, fact, from);
    envelope.origin.frame = u64::from(number) + 1;
    envelope.received_at = from.offset_millis(i64::from(number) * 1_000);
    match &mut envelope.content {
        Content::Reports(reports) if !random.random_bool(0.02) => {
            let report = &mut reports[0];
            // What a fact says depends on the fact only.
            let driven = f64::from(fact) * if fact % 1_500 < 700 { 9.0 } else { 0.0 };
            let here = Coordinates::from_degrees(52.0 + driven / 111_200.0, 13.0).unwrap();
            let mut fix = Fix::new(here, true, FixSource::Gnss);
            fix.time = Some(report.time);
            report.fix = Some(fix);
            if fact % 13 < 3 {
                report.more.events = vec![Event::by_device(EventKind::Sos, Some(1))];
            }
        }
        content => *content = Content::Quarantined(Quarantine::new("too short")),
    }
    envelope
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs services/up"]
async fn rebalances_and_kills_at_random_leave_the_same_rows_events_and_states() {
    let seed: u64 = std::env::var("MILEPOST_TEST_SEED")
        .map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    for case in 0..2_u64 {
        println!("MILEPOST_TEST_SEED={seed}, case {case}");
        let mut random = StdRng::seed_from_u64(seed ^ case);
        let fleet = Fleet::new(3).await;
        let prefix = fleet.topics.reports.strip_suffix(".reports").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let gateway = fleet.gateway(folder.path());
        let from = Timestamp::from_millis(now().as_millis() - 10_000_000);
        let mut parts: Vec<Vec<Envelope>> = (0..30_u32)
            .map(|part| {
                (part * 100..part * 100 + 100)
                    .map(|n| random_envelope(&mut random, n, from))
                    .collect()
            })
            .collect();
        let last_part = parts.pop().unwrap();
        let sending = tokio::spawn({
            let gateway = gateway.clone();
            async move {
                for part in parts {
                    send(&gateway, part.into_iter()).await;
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        });
        let mut workers = vec![Process::start(&fleet.fresh, prefix, &fleet.group)];
        let mut killed = 0;
        for _ in 0..9 {
            tokio::time::sleep(Duration::from_millis(random.random_range(300..1_500))).await;
            match random.random_range(0..3) {
                0 if !workers.is_empty() => {
                    drop(workers.remove(random.random_range(0..workers.len())));
                    killed += 1;
                }
                1 if workers.len() > 1 => {
                    workers.remove(random.random_range(0..workers.len())).end();
                }
                _ if workers.len() < 3 => {
                    workers.push(Process::start(&fleet.fresh, prefix, &fleet.group));
                }
                _ => {}
            }
        }
        sending.await.unwrap();
        workers.push(Process::start(&fleet.fresh, prefix, &fleet.group));
        let wait = async |fresh: &Fresh, all: i64| {
            let deadline = Instant::now() + Duration::from_secs(60);
            loop {
                let frames = settled(fresh).await;
                assert!(frames <= all, "{frames}: something is counted twice");
                if frames == all {
                    return;
                }
                assert!(Instant::now() < deadline, "{frames} of {all}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        wait(&fleet.fresh, 2_900).await;
        for worker in workers {
            worker.end();
        }
        // A partition that moved to a worker which was ending has an earlier snapshot, from which its
        // states are made again. One worker that gets something for each brings all up to the mark.
        let last = Process::start(&fleet.fresh, prefix, &fleet.group);
        send(&gateway, last_part.into_iter()).await;
        wait(&fleet.fresh, 3_000).await;
        last.end();
        gateway.close(Duration::from_secs(5)).await;

        let alone = Fresh::new().await;
        let worker = Process::start(&alone, prefix, &unique("group"));
        wait(&alone, 3_000).await;
        worker.end();
        let (tried, expected) = (all(&fleet.fresh).await, all(&alone).await);
        for ((what, tried), (_, expected)) in tried.iter().zip(&expected) {
            println!("{what}: {} rows, {killed} kills", tried.len());
            assert_eq!(tried.len(), expected.len(), "{what}");
            for (tried, expected) in tried.iter().zip(expected) {
                assert_eq!(tried, expected, "{what}");
            }
        }
    }
}
