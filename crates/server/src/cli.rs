//! The command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::Failure;
use crate::{audit, check_config, decode, demo, options, serve, simulate};

/// Vehicle tracker ingestion in one binary.
#[derive(Debug, Parser)]
#[command(name = "milepost", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What to do. One line each here, one module each with its `Options` and `run`.
#[derive(Debug, Subcommand)]
enum Command {
    /// Take trackers' connections, store what they say, answer HTTP.
    Serve(options::Options),
    /// See it work: a server and fifty simulated vehicles, with nothing to set up.
    Demo(demo::Options),
    /// Say what is wrong with a configuration, or what would run.
    CheckConfig(options::Options),
    /// Say what frames mean: one message per line in, one JSON object per message out.
    Decode(decode::Options),
    /// Simulate trackers against a server.
    Simulate(Box<milepost_simulate::Options>),
    /// Check that nothing vanished: the store's sums and, with a ledger, every frame.
    Audit(audit::Options),
}

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.run() {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("milepost: {failure}");
            ExitCode::FAILURE
        }
    }
}

impl Cli {
    fn run(self) -> Result<ExitCode, Failure> {
        match self.command {
            Command::Serve(options) => runtime()?
                .block_on(serve::run(&options))
                .map(|()| ExitCode::SUCCESS),
            Command::Demo(options) => runtime()?
                .block_on(demo::run(options))
                .map(|()| ExitCode::SUCCESS),
            Command::CheckConfig(options) => {
                check_config::run(&options).map(|()| ExitCode::SUCCESS)
            }
            Command::Decode(options) => decode::run(options),
            Command::Simulate(options) => runtime()?.block_on(simulate::run(&options)),
            Command::Audit(options) => audit::run(&options),
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?)
}
