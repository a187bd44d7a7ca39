//! `milepost demo`: a server and fifty simulated vehicles in one process, from any folder.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::failure::Failure;
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
    /// Where the vehicles connect; another port is taken when this one is in use.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5023")]
    pub gt06: SocketAddr,
}

/// Runs until a signal.
///
/// # Errors
/// When it cannot start.
pub async fn run(options: Options) -> Result<(), Failure> {
    let mut config = Config::default();
    "warn".clone_into(&mut config.log.level);
    logging::start(&config.log);
    config.data_dir = options.data_dir;
    config.http.listen = free(options.http);
    config.gt06.listen = vec![free(options.gt06)];
    config.check()?;

    let stop = shutdown::on_signal()?;
    let server = Server::start(&config).await?;
    let gt06 = server.gt06_addrs().next();
    let gt06 = gt06.ok_or_else(|| Failure::new("the demo has nowhere to connect to"))?;
    let vehicles_at = reachable(gt06);
    if let Some(page) = server.http_addr() {
        crate::say(format_args!(
            "Fifty vehicles are on their way: http://{}/\nTrackers connect to {gt06}. Data is in \
             {}. Ctrl-C ends it.",
            reachable(page),
            config.data_dir.display(),
        ));
    }
    // The vehicles stop first, so that the server has nothing left to wait for.
    let end_of_server = CancellationToken::new();
    let end = end_of_server.clone();
    let vehicles = tokio::spawn(async move {
        let summary = milepost_simulate::demo(vehicles_at, stop.clone()).await;
        if let Err(failure) = &summary {
            eprintln!("milepost: the vehicles stopped: {failure}");
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
            eprintln!("milepost: {address} is in use: taking another port");
            SocketAddr::new(address.ip(), 0)
        }
        _ => address,
    }
}

/// How a program of this machine reaches what listens there.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    address
}
