//! `milepost demo`: a server and fifty simulated vehicles in one process, from any folder.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command, value_parser};
use tokio_util::sync::CancellationToken;

use crate::config::setting::list;
use crate::config::{Config, keys};
use crate::failure::Failure;
use crate::protocol::{ProtocolPlug, Protocols, reachable};
use crate::serve::Server;
use crate::{logging, shutdown};

/// Flags of `milepost demo`. It reads no configuration: what it does depends on nothing else.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Where the demo keeps its data.
    #[arg(long, value_name = "DIR", default_value = "./milepost-demo")]
    pub data_dir: PathBuf,
    /// Where the page and the API listen; another port is taken when this one is in use.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub http: SocketAddr,
}

/// Adds the flag for where the vehicles connect.
pub fn with_protocol(command: Command, simulated: &'static dyn ProtocolPlug) -> Command {
    let name = simulated.name();
    command.arg(
        Arg::new(name)
            .long(name)
            .value_name("ADDR")
            .value_parser(value_parser!(SocketAddr))
            .help(
                "Where the vehicles connect; another port is taken when this one is in use \
                 [default: this machine, the protocol's port]",
            ),
    )
}

/// Runs until a signal.
///
/// # Errors
/// When it cannot start.
pub async fn run(
    options: Options,
    flags: &ArgMatches,
    protocols: Protocols,
) -> Result<(), Failure> {
    let (protocol, simulator) = protocols
        .simulated()
        .ok_or_else(|| Failure::new("no protocol has a simulator"))?;
    let mut config = Config::of(protocols);
    "warn".clone_into(&mut config.log.level);
    logging::start(&config.log);
    config.data_dir = options.data_dir;
    config.http.listen = free(options.http);
    // Fifty vehicles: any machine has files for as many.
    config.limits.max_connections = 500;
    config.http.max_connections = 128;
    for key in keys(protocols).iter().filter(|key| key.listens) {
        // Only the vehicles connect, and from this machine.
        let own = key.name.strip_suffix(".listen") == Some(protocol.name());
        let address = flags.get_one::<SocketAddr>(protocol.name()).copied();
        let default = config.protocols.addresses(key.name);
        let default = default.first().copied().map(reachable);
        let address = address.or(default).filter(|_| own).map(free);
        config
            .protocols
            .set(key.name, list(address.iter().map(ToString::to_string)));
    }
    config.check(protocols)?;

    let stop = shutdown::on_signal()?;
    let server = Server::start(&config, protocols).await?;
    let listening = server
        .device_addrs()
        .find(|(name, _)| *name == protocol.name());
    let (_, listening) =
        listening.ok_or_else(|| Failure::new("the demo has nowhere to connect to"))?;
    let vehicles_at = reachable(listening);
    if let Some(page) = server.http_addr() {
        crate::say(format_args!(
            "Fifty vehicles are on their way: http://{}/\nTrackers connect to {listening}. Data is in \
             {}. Ctrl-C ends it.",
            reachable(page),
            config.data_dir.display(),
        ));
    }
    // The vehicles stop first, so that the server has nothing left to wait for.
    let end_of_server = CancellationToken::new();
    let end = end_of_server.clone();
    let vehicles = tokio::spawn(async move {
        let vehicles = milepost_simulate::Options::demo(vehicles_at);
        let summary = simulator(vehicles, stop.clone()).await;
        if let Err(failure) = &summary {
            crate::complain(format_args!("the vehicles stopped: {failure}"));
            stop.cancelled().await;
        }
        end.cancel();
    });
    let result = server.run(end_of_server).await;
    vehicles.abort();
    result
}

/// The address if it is free, else the same with a port that the system chooses.
fn free(address: SocketAddr) -> SocketAddr {
    match std::net::TcpListener::bind(address) {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            crate::complain(format_args!("{address} is in use: taking another port"));
            SocketAddr::new(address.ip(), 0)
        }
        _ => address,
    }
}
