//! `milepost audit --database`: nothing vanished on its way through a fleet. Reads only.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use milepost_pipeline::sink::timescale::{
    Database, DatabaseError, DatabaseUrl, FleetAudit, Reader, RunAudit, Schema,
};
use milepost_simulate::ledger::LedgerAudit;
use milepost_telemetry::{DeviceKey, Tenant};
use serde::Serialize;

use crate::audit::{Options, is_ledger_ok, not_comparable, read_ledger, show, show_ledger};
use crate::config::Config;
use crate::failure::Failure;

/// Reports that are read at once.
const PAGE: i64 = 1_000;

#[derive(Debug, Serialize)]
struct Finding {
    ok: bool,
    fleet: FleetAudit,
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger: Option<LedgerAudit>,
}

/// Checks the sums and the ledger, and prints them.
///
/// # Errors
/// When the database or the ledger cannot be read.
pub(crate) fn run(options: &Options, config: &Config) -> Result<ExitCode, Failure> {
    let url: DatabaseUrl = match options.database.clone().flatten() {
        Some(url) => url
            .parse()
            .map_err(|error| Failure::new(format!("--database: {error}")))?,
        None => super::database(config)?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let finding = runtime.block_on(find(options, config, &url))?;
    show(options, &finding, finding.ok)
}

async fn find(options: &Options, config: &Config, url: &DatabaseUrl) -> Result<Finding, Failure> {
    let schema = Schema::default();
    let wrong = |error: &dyn fmt::Display| Failure::new(format!("cannot audit {url}: {error}"));
    let mut database = Database::connect(url, &schema)
        .await
        .map_err(|error| wrong(&error))?;
    let fleet = database.audit().await.map_err(|error| wrong(&error))?;
    let ledger = match &options.ledger {
        Some(path) => Some(compare(path, url, &schema, config.devices.tenant).await?),
        None => None,
    };
    let in_flight = fleet.all.in_flight;
    Ok(Finding {
        ok: fleet.ok
            && options.max_in_flight.is_none_or(|most| in_flight <= most)
            && ledger
                .as_ref()
                .is_none_or(|ledger| is_ledger_ok(options, ledger)),
        fleet,
        ledger,
    })
}

/// Holds the ledger against all that is stored of its devices.
async fn compare(
    path: &Path,
    url: &DatabaseUrl,
    schema: &Schema,
    tenant: Tenant,
) -> Result<LedgerAudit, Failure> {
    let wrong = |error: DatabaseError| not_comparable(path, &error);
    let (mut comparison, devices) = read_ledger(path)?;
    let mut reader = Reader::connect(url, schema).await.map_err(wrong)?;
    for device in devices {
        let key = DeviceKey { tenant, device };
        let mut after = None;
        loop {
            let page = reader
                .history(&key, None, None, after, PAGE)
                .await
                .map_err(wrong)?;
            for report in &page {
                comparison.stored(device, report.id, None);
            }
            let Some(last) = page.last() else { break };
            let id = u128::from_be_bytes(*last.id.as_bytes());
            after = Some((last.time.as_millis(), id));
        }
    }
    Ok(comparison.finish())
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<20} {:>20} {:>7} {:>10} = {:>10} + {:>10} + {:>9} + {:>11} + {:>9} + {:>9}",
            "gateway",
            "run",
            "end",
            "received",
            "stored",
            "duplicate",
            "filtered",
            "quarantined",
            "abandoned",
            "in flight"
        )?;
        let mut runs = self.fleet.runs.iter().peekable();
        for gateway in &self.fleet.gateways {
            while let Some(run) = runs.next_if(|run| run.gateway == gateway.gateway) {
                let name = match run.epoch {
                    // Runs that are too old to be told apart.
                    0 => "older".to_owned(),
                    epoch => epoch.to_string(),
                };
                line(f, run, &name, if run.ended { "clean" } else { "not yet" })?;
            }
            line(f, gateway, "all", "")?;
        }
        line(f, &self.fleet.all, "all", "")?;
        for (reason, count) in &self.fleet.all.filtered {
            writeln!(f, "filtered, {reason}: {count}")?;
        }
        if let Some(ledger) = &self.ledger {
            show_ledger(f, ledger)?;
        }
        f.write_str(if self.ok { "ok" } else { "NOT ok" })
    }
}

fn line(f: &mut fmt::Formatter<'_>, run: &RunAudit, name: &str, end: &str) -> fmt::Result {
    let filtered: u64 = run.filtered.values().sum();
    writeln!(
        f,
        "{:<20} {:>20} {:>7} {:>10} = {:>10} + {:>10} + {:>9} + {:>11} + {:>9} + {:>9}{}",
        run.gateway,
        name,
        end,
        run.received,
        run.stored,
        run.duplicate,
        filtered,
        run.quarantined,
        run.abandoned,
        run.in_flight,
        if run.ok { "" } else { "   WRONG" },
    )
}
