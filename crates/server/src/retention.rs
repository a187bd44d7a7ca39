//! Forgets what is older than the operator wants to keep.

use std::time::{Duration, Instant};

use milepost_listener::{Clock as _, SystemClock};
use milepost_pipeline::sink::sqlite::{CutOff, Forgotten, Retention, Store, StoreError};
use milepost_telemetry::Timestamp;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often is looked for what has become too old.
const EVERY: Duration = Duration::from_hours(1);
/// Rows that are removed in one transaction: some milliseconds of the writer's time.
const STEP: u32 = 1_000;
/// What lies between two such transactions: data goes before.
const PAUSE: Duration = Duration::from_millis(50);

/// Works until `shutdown`: at once, and then every hour.
pub(crate) async fn run(store: Store, keep: Duration, shutdown: CancellationToken) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut retention = Retention::new(keep);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = tick.tick() => {}
        }
        let arrivals = match store.read(|reader| reader.arrivals()).await {
            Ok(arrivals) => arrivals,
            Err(error) => {
                tracing::warn!(%error, "what is too old could not be found; later again");
                continue;
            }
        };
        let before = match retention.cut_off(arrivals, SystemClock.now(), Instant::now()) {
            CutOff::Before(before) => before,
            CutOff::Waits {
                before,
                oldest,
                begins,
            } => {
                if begins {
                    tracing::warn!(
                        %before,
                        %oldest,
                        "more than a day of history would be forgotten at once: that waits for 24 \
                         hours. Is the clock right?"
                    );
                }
                continue;
            }
            _ => continue,
        };
        tokio::select! {
            // What is under way is done or not done, and never half.
            () = shutdown.cancelled() => return,
            forgotten = forget(&store, before) => {
                if let Err(error) = forgotten {
                    tracing::warn!(%error, "what is too old could not be forgotten; later again");
                }
            }
        }
    }
}

async fn forget(store: &Store, before: Timestamp) -> Result<(), StoreError> {
    let mut all = Forgotten::default();
    loop {
        let forgotten = store.forget_before(before, STEP).await?;
        for (what, rows, sum) in [
            ("reports", forgotten.reports, &mut all.reports),
            ("quarantine", forgotten.quarantined, &mut all.quarantined),
            ("commands", forgotten.commands, &mut all.commands),
        ] {
            if rows > 0 {
                metrics::counter!("milepost_store_forgotten_total", "what" => what).increment(rows);
            }
            *sum += rows;
        }
        if !forgotten.more {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    if all != Forgotten::default() {
        let Forgotten {
            reports,
            quarantined,
            commands,
            ..
        } = all;
        tracing::info!(%before, reports, quarantined, commands, "what is too old was forgotten");
    }
    Ok(())
}
