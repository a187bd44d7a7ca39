//! Finds trips anew where late reports have changed them.

use std::time::Duration;

use milepost_pipeline::sink::sqlite::Store;
use milepost_pipeline::track::Settings;
use tokio_util::sync::CancellationToken;

/// How often is looked for late reports: those of one upload are taken together.
const EVERY: Duration = Duration::from_secs(10);
/// Nine parts of rest to one of work: at most 10 % of a core.
const REST: u32 = 9;

/// Works until `shutdown`, on one device after the other.
pub(crate) async fn run(store: Store, settings: Settings, shutdown: CancellationToken) {
    let pause = |worked: Duration| tokio::time::sleep(worked.saturating_mul(REST));
    loop {
        let redone = tokio::select! {
            // What is under way is done or not done, and never half.
            () = shutdown.cancelled() => return,
            redone = store.redo_trips(&settings, pause) => redone,
        };
        match redone {
            Ok(Some(redone)) => {
                metrics::counter!("milepost_trips_redone_total").increment(1);
                tracing::debug!(
                    reports = redone.reports,
                    changed = redone.changed,
                    corrected = redone.corrected,
                    "the trips of late reports were found anew"
                );
                continue;
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "trips could not be found anew; later again"),
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}
