//! `milepost simulate`: trackers against a server, and what came of it.

use std::process::ExitCode;

use milepost_simulate::{Error, Options};

use crate::failure::Failure;
use crate::protocol::Protocols;
use crate::shutdown;

/// Simulates until it is over or a signal comes, and prints what it did.
///
/// # Errors
/// When it cannot start.
pub async fn run(options: Options, protocols: Protocols) -> Result<ExitCode, Failure> {
    let simulator = match &options.protocol {
        Some(name) => protocols
            .named(name)
            .ok_or_else(|| Failure::new(format!("no protocol is named {name:?}")))?
            .simulator(),
        None => protocols.simulated().map(|(_, simulator)| simulator),
    };
    let simulator =
        simulator.ok_or_else(|| Failure::new("no devices of this protocol can be simulated"))?;
    let json = options.json;
    let summary = simulator(options, shutdown::on_signal()?).await?;
    if json {
        let text = serde_json::to_string_pretty(&summary)
            .map_err(|error| Failure::new(error.to_string()))?;
        crate::say(text);
    } else {
        crate::say(&summary);
    }
    Ok(if summary.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let failure = Self::new(error.to_string());
        match error.remedy() {
            Some(remedy) => failure.remedy(remedy),
            None => failure,
        }
    }
}
