//! `milepost audit`: nothing vanished, and with a ledger: nothing that a device was told is
//! stored is missing. Reads only; the server may run meanwhile or not.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use milepost_pipeline::sink::sqlite::{
    Audit, Damage, DeepCheck, Page, Progress, Reader, Span, Store,
};
use milepost_simulate::ledger::{self, Comparison, LedgerAudit};
use milepost_telemetry::{DeviceId, DeviceKey, Tenant};
use serde::Serialize;

use crate::failure::Failure;
use crate::options::StorePlace;
use crate::protocol::Protocols;

/// Flags of `milepost audit`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Options {
    /// Where the store is, and whose devices it holds.
    #[command(flatten)]
    pub place: StorePlace,
    /// Checks the structure of the whole file and reads every row of it, and says what is damaged.
    /// It takes about as long as reading the file twice.
    #[arg(long)]
    pub deep: bool,
    /// What a simulation sent and saw acknowledged (milepost simulate --ledger).
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<PathBuf>,
    /// Fails when more than so many facts of the ledger are missing that were never acknowledged.
    /// Without it any number may be: a crash costs what was in memory and under way.
    #[arg(long, value_name = "N", requires = "ledger")]
    pub max_missing: Option<u64>,
    /// Prints the result as JSON.
    #[arg(long)]
    pub json: bool,
    /// Audits a fleet: its database, or without a value that of the configuration (database.url),
    /// which is safer for a password.
    #[cfg(feature = "fleet")]
    #[arg(long, value_name = "URL", num_args = 0..=1, conflicts_with_all = ["data_dir", "deep"])]
    pub database: Option<Option<String>>,
    /// Fails when more than so many frames of a fleet have no outcome yet.
    #[cfg(feature = "fleet")]
    #[arg(long, value_name = "N", requires = "database")]
    pub max_in_flight: Option<u64>,
}

/// All that was found.
#[derive(Debug, Serialize)]
struct Finding {
    ok: bool,
    /// Missing where the store is too damaged to make the sums.
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<Audit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deep: Option<DeepCheck>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger: Option<LedgerAudit>,
}

/// Checks the sums and the ledger, and prints them.
///
/// # Errors
/// When the store or the ledger cannot be read.
pub fn run(options: &Options, protocols: Protocols) -> Result<ExitCode, Failure> {
    let config = options.place.load(protocols)?;
    #[cfg(feature = "fleet")]
    if options.database.is_some() {
        return crate::fleet::audit::run(options, &config);
    }
    let wrong = |error: &dyn fmt::Display| {
        Failure::new(format!(
            "cannot audit {}: {error}",
            config.data_dir.display()
        ))
    };
    let store = Store::open_read_only(&config.data_dir).map_err(|error| wrong(&error))?;
    let reader = store.reader().map_err(|error| wrong(&error))?;
    let deep = options
        .deep
        .then(|| reader.check_all(progress))
        .transpose()
        .map_err(|error| wrong(&error))?;
    let is_damaged = deep.as_ref().is_some_and(|deep| !deep.ok);
    let sums = match reader.audit() {
        Ok(sums) => Some(sums),
        // What is damaged says more than that the sums cannot be made.
        Err(_) if is_damaged => None,
        Err(error) => return Err(wrong(&error)),
    };
    let ledger = match &options.ledger {
        Some(path) if !is_damaged => Some(compare(path, &reader, &config.devices.tenant)?),
        _ => None,
    };
    let finding = Finding {
        ok: sums.as_ref().is_some_and(|sums| sums.ok)
            && !is_damaged
            && ledger
                .as_ref()
                .is_none_or(|ledger| is_ledger_ok(options, ledger)),
        store: sums,
        deep,
        ledger,
    };
    show(options, &finding, finding.ok)
}

/// Prints what was found; the status says whether it is as it should be.
pub(crate) fn show<T: Serialize + fmt::Display>(
    options: &Options,
    finding: &T,
    is_ok: bool,
) -> Result<ExitCode, Failure> {
    if options.json {
        let text = serde_json::to_string_pretty(finding)
            .map_err(|error| Failure::new(error.to_string()))?;
        crate::say(text);
    } else {
        crate::say(finding);
    }
    Ok(if is_ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Says how far the check has come: on standard error, apart from its result.
fn progress(progress: Progress) {
    let Progress { part, rows, of, .. } = progress;
    match of {
        0 => crate::complain(format_args!("checking: {part}; {rows} rows were read")),
        of => crate::complain(format_args!(
            "checking: {part}; {rows} of {of} rows were read"
        )),
    }
}

/// How many reports are read at once.
const PAGE: u32 = 1_000;

/// Holds the ledger against all that the store has of its devices.
fn compare(path: &Path, reader: &Reader, tenant: &Tenant) -> Result<LedgerAudit, Failure> {
    let (mut comparison, devices) = read_ledger(path)?;
    let span = Span {
        raw: true,
        ..Span::default()
    };
    for device in devices {
        let key = DeviceKey {
            tenant: *tenant,
            device,
        };
        let mut page = Page::first(PAGE);
        loop {
            let reports = reader
                .history(&key, &span, &page)
                .map_err(|error| not_comparable(path, &error))?;
            for report in &reports.items {
                comparison.stored(device, report.id, report.more.raw.as_deref());
            }
            if reports.next.is_none() {
                break;
            }
            page = Page::after(PAGE, reports.next);
        }
    }
    Ok(comparison.finish())
}

/// What a ledger says, and of which devices.
pub(crate) fn read_ledger(path: &Path) -> Result<(Comparison, BTreeSet<DeviceId>), Failure> {
    let file = File::open(path).map_err(|error| not_comparable(path, &error))?;
    let mut comparison = Comparison::default();
    let mut devices = BTreeSet::new();
    for entry in ledger::read(BufReader::new(file)) {
        let entry = entry.map_err(|error| not_comparable(path, &error))?;
        devices.insert(entry.device);
        comparison.entry(&entry);
    }
    Ok((comparison, devices))
}

pub(crate) fn not_comparable(path: &Path, error: &dyn fmt::Display) -> Failure {
    Failure::new(format!("cannot compare {}: {error}", path.display()))
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:>6} {:>7} {:>10} = {:>10} + {:>10} + {:>9} + {:>11} + {:>9}",
            "epoch",
            "end",
            "received",
            "stored",
            "duplicate",
            "filtered",
            "quarantined",
            "abandoned"
        )?;
        let epochs = self.store.as_ref().map_or(&[][..], |store| &store.epochs);
        let last = epochs.last().map(|epoch| epoch.epoch);
        for epoch in epochs {
            let filtered: u64 = epoch.filtered.values().sum();
            writeln!(
                f,
                "{:>6} {:>7} {:>10} = {:>10} + {:>10} + {:>9} + {:>11} + {:>9}{}",
                epoch.epoch,
                match epoch.clean {
                    true => "clean",
                    // It may be running.
                    false if last == Some(epoch.epoch) => "not yet",
                    false => "cut off",
                },
                epoch.received,
                epoch.stored,
                epoch.duplicate,
                filtered,
                epoch.quarantined,
                epoch.abandoned,
                if epoch.ok { "" } else { "   WRONG" },
            )?;
            for (reason, count) in &epoch.filtered {
                writeln!(f, "{:>6} filtered, {reason}: {count}", "")?;
            }
        }
        if let Some(deep) = &self.deep {
            writeln!(f, "deep: {} rows were read", deep.rows)?;
            for Damage { place, what, .. } in &deep.damage {
                writeln!(f, "  DAMAGED {place}: {what}")?;
            }
        }
        if let Some(ledger) = &self.ledger {
            show_ledger(f, ledger)?;
        }
        f.write_str(if self.ok { "ok" } else { "NOT ok" })
    }
}

pub(crate) fn show_ledger(f: &mut fmt::Formatter<'_>, ledger: &LedgerAudit) -> fmt::Result {
    writeln!(
        f,
        "ledger: {} facts sent ({} of them again), {} acknowledged; {} are stored",
        ledger.facts, ledger.sent_again, ledger.acknowledged, ledger.stored
    )?;
    writeln!(
        f,
        "  acknowledged and missing: {}",
        ledger.acknowledged_missing
    )?;
    writeln!(f, "  stored twice: {}", ledger.stored_twice)?;
    writeln!(
        f,
        "  unacknowledged and missing: {}",
        ledger.unacknowledged_missing
    )?;
    for example in &ledger.examples {
        writeln!(
            f,
            "    {}: {} {}",
            example.fault, example.device, example.key
        )?;
    }
    Ok(())
}

/// Whether a ledger shows what it is to show.
pub(crate) fn is_ledger_ok(options: &Options, ledger: &LedgerAudit) -> bool {
    ledger.is_ok()
        && options
            .max_missing
            .is_none_or(|max| ledger.unacknowledged_missing <= max)
}

#[cfg(test)]
mod tests {
    use milepost_pipeline::sink::sqlite::EpochAudit;

    use super::*;

    #[test]
    fn only_the_last_run_may_still_end() {
        let epochs = [(1, true), (2, false), (3, false)].map(|(number, clean)| {
            let mut epoch = EpochAudit::default();
            (epoch.epoch, epoch.clean, epoch.ok) = (number, clean, true);
            epoch
        });
        let mut store = Audit::default();
        (store.epochs, store.ok) = (epochs.into(), true);
        let said = Finding {
            ok: true,
            store: Some(store),
            deep: None,
            ledger: None,
        }
        .to_string();
        let epochs = said.lines().skip(1).take(3);
        let ends: Vec<_> = epochs.map(|line| line[6..14].trim()).collect();
        assert_eq!(ends, ["clean", "cut off", "not yet"], "{said}");
    }
}
