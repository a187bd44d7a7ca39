//! A gateway of a fleet as libraries: GT06 listener, spool, Kafka.
//!
//! ```sh
//! services/up
//! cargo run -p milepost-examples --features fleet --bin fleet_gateway -- 127.0.0.1:19092
//! ```
//!
//! It serves on a free port, plays a tracker against itself, and waits until Kafka has what was
//! acknowledged.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use milepost_listener::protocols::Gt06;
use milepost_listener::{AcceptAll, NotDelivered, Server};
use milepost_pipeline::Outcome;
use milepost_pipeline::fleet::{Gateway, GatewayOptions, Topics};
use milepost_pipeline::kafka::{KafkaConfig, TopicSpec, ensure_topics};
use milepost_pipeline::spool::{Folder, Spool, SpoolOptions};
use milepost_telemetry::{Envelope, Tenant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

const LOGIN: &str = "78781101075253367890024270003201000512790d0a";
/// An SOS alarm: it is acknowledged, and only once it is synced in the spool.
const ALARM: &str =
    "787825160b0b0f0e241dcf027ac8870c4657e60014020901cc00287d001f726506040101003656a40d0a";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let brokers = arguments.next().unwrap_or_else(|| "127.0.0.1:9092".into());
    let prefix = arguments.next().unwrap_or_else(|| "milepost".into());
    let kafka = KafkaConfig::new(brokers, "example-gateway");
    let topics = Topics::with_prefix(&prefix);
    ensure_topics(&kafka, &[TopicSpec::new(&topics.reports, 4, 1)]).await?;

    let folder = std::env::temp_dir().join(format!("fleet-gateway-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let (spool, _recovery) = Spool::open(Folder::open(&folder)?, SpoolOptions::default())?;
    let mut options = GatewayOptions::new("example");
    options.topics = topics;
    let gateway = Gateway::with_spool(&kafka, options, spool)?;

    let way = gateway.clone();
    let deliver = move |envelope: Envelope| {
        // The call takes the place in the order; the future says when it is safe.
        let outcome = way.deliver(envelope);
        async move {
            match outcome.await {
                durable if durable.is_durable() => Ok(()),
                Outcome::Lost => Err(NotDelivered::Lost),
                _ => Err(NotDelivered::Failed),
            }
        }
    };
    // Unique among all gateways, in all of their runs.
    let epoch = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())? << 20;
    let server = Server::new(Gt06::default(), AcceptAll(Tenant::default()), deliver)
        .epoch(epoch | u64::from(std::process::id() & 0xF_FFFF))
        .bind("127.0.0.1:0".parse()?)?;
    let addr = server.local_addr().ok_or("no address")?;
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(server.run(shutdown.clone()));

    let mut tracker = tokio::net::TcpStream::connect(addr).await?;
    for frame in [LOGIN, ALARM] {
        tracker.write_all(&hex::decode(frame)?).await?;
        let mut reply = [0; 10];
        tracker.read_exact(&mut reply).await?;
        println!("the tracker is told {}", hex::encode(reply));
    }

    // The way of the frames is the order of the end: first the connections, then the spool.
    shutdown.cancel();
    serving.await?;
    gateway.close(Duration::from_secs(30)).await;
    println!("{} records wait for Kafka", gateway.waiting());
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
