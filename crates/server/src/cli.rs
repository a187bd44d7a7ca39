//! The command line.

use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::failure::Failure;
#[cfg(feature = "fleet")]
use crate::fleet;
use crate::protocol::{BUILT_IN, Protocols};
use crate::{
    audit, backup, check_config, decode, demo, forget, logging, options, serve, simulate, smooth,
};

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
    /// Take trackers' connections of a fleet: listeners to Kafka.
    #[cfg(feature = "fleet")]
    Gateway(fleet::Options),
    /// Store what the gateways of a fleet took: Kafka to TimescaleDB and Redis.
    #[cfg(feature = "fleet")]
    Worker(fleet::Options),
    /// Answer HTTP for a fleet, from TimescaleDB and Redis.
    #[cfg(feature = "fleet")]
    Api(fleet::Options),
    /// Bring a fleet's database to the tables of this version.
    #[cfg(feature = "fleet")]
    Migrate(fleet::Options),
    /// Check that nothing vanished: the store's sums and, with a ledger, every frame.
    Audit(audit::Options),
    /// Smooth a track, or find its trips: CSV in, CSV out.
    Smooth(smooth::Options),
    /// Write a consistent copy of the store into a new file; the server may run meanwhile.
    Backup(backup::Options),
    /// Remove what arrived before a time; the server must not run.
    Forget(forget::Options),
}

/// Reads the command line and does what it says, with the protocols of the `milepost` binary.
pub fn main() -> ExitCode {
    main_with(BUILT_IN)
}

/// The same with other protocols: for a binary that adds its own.
pub fn main_with(protocols: Protocols) -> ExitCode {
    let mut command = Cli::command();
    let mut roles = vec!["serve", "check-config"];
    if cfg!(feature = "fleet") {
        roles.push("gateway");
    }
    for role in roles {
        command = command.mut_subcommand(role, |role| options::with_protocols(role, protocols));
    }
    if let Some((simulated, _)) = protocols.simulated() {
        command = command.mut_subcommand("demo", |demo| demo::with_protocol(demo, simulated));
    }
    let names = protocols.iter().map(|protocol| protocol.name());
    let names = PossibleValuesParser::new(names.collect::<Vec<_>>());
    command = command.mut_subcommand("decode", |decode| {
        decode.mut_arg("protocol", |protocol| protocol.value_parser(names))
    });
    let matches = command.get_matches();
    let done = Cli::from_arg_matches(&matches)
        .map_err(|error| error.exit())
        .and_then(|cli: Cli| cli.run(&matches, protocols));
    // Before the reason of a failure, which is the last line.
    logging::finish();
    match done {
        Ok(code) => code,
        Err(failure) => {
            crate::complain(failure);
            ExitCode::FAILURE
        }
    }
}

impl Cli {
    fn run(self, matches: &ArgMatches, protocols: Protocols) -> Result<ExitCode, Failure> {
        let none = ArgMatches::default();
        let flags = matches.subcommand().map_or(&none, |(_, flags)| flags);
        let with_protocols = |options: options::Options| options::Options {
            protocols,
            listen: options::listen_flags(flags, protocols),
            ..options
        };
        match self.command {
            Command::Serve(options) => runtime()?
                .block_on(serve::run(&with_protocols(options)))
                .map(|()| ExitCode::SUCCESS),
            #[cfg(feature = "fleet")]
            Command::Gateway(options) => runtime()?
                .block_on(fleet::gateway::run(&fleet::Options {
                    common: with_protocols(options.common.clone()),
                    ..options
                }))
                .map(|()| ExitCode::SUCCESS),
            #[cfg(feature = "fleet")]
            Command::Worker(options) => runtime()?
                .block_on(fleet::worker::run(&options, protocols))
                .map(|()| ExitCode::SUCCESS),
            #[cfg(feature = "fleet")]
            Command::Api(options) => runtime()?
                .block_on(fleet::api::run(&options, protocols))
                .map(|()| ExitCode::SUCCESS),
            #[cfg(feature = "fleet")]
            Command::Migrate(options) => runtime()?
                .block_on(fleet::migrate::run(&options, protocols))
                .map(|()| ExitCode::SUCCESS),
            Command::Demo(options) => runtime()?
                .block_on(demo::run(options, flags, protocols))
                .map(|()| ExitCode::SUCCESS),
            Command::CheckConfig(options) => {
                check_config::run(&with_protocols(options)).map(|()| ExitCode::SUCCESS)
            }
            Command::Decode(options) => decode::run(options, protocols),
            Command::Simulate(options) => runtime()?.block_on(simulate::run(*options, protocols)),
            Command::Audit(options) => audit::run(&options, protocols),
            Command::Smooth(options) => smooth::run(&options).map(|()| ExitCode::SUCCESS),
            Command::Backup(options) => {
                backup::run(&options, protocols).map(|()| ExitCode::SUCCESS)
            }
            Command::Forget(options) => runtime()?
                .block_on(forget::run(&options, protocols))
                .map(|()| ExitCode::SUCCESS),
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?)
}
