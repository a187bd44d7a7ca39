//! Listener, pipeline and embedded store as libraries: an ingestion tier in one file.
//!
//! `Deliver` is the line that joins them: a device is told "received" only when the store has
//! synced what it sent. Run it: it serves GT06 on a free port, plays a tracker against itself, and
//! prints what the store holds.

use std::time::Duration;

use milepost_listener::protocols::Gt06;
use milepost_listener::{AcceptAll, NotDelivered, Server};
use milepost_pipeline::sink::sqlite::{Page, Span, Store, StoreOptions};
use milepost_pipeline::{Options, Outcome, Pipeline};
use milepost_telemetry::{DeviceKey, Envelope, Tenant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

const LOGIN: &str = "78781101075253367890024270003201000512790d0a";
/// An SOS alarm: it is acknowledged, and only once it is stored.
const ALARM: &str =
    "787825160b0b0f0e241dcf027ac8870c4657e60014020901cc00287d001f726506040101003656a40d0a";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join(format!("ingest-embedded-{}", std::process::id()));
    let store = Store::open(&folder, StoreOptions::default())?;
    let epoch = store.begin_epoch()?;
    let pipeline = Pipeline::start(store.judge(epoch)?, &Options::default())?;

    let handle = pipeline.handle();
    let deliver = move |envelope: Envelope| {
        let outcome = handle.submit(envelope);
        async move {
            match outcome.await {
                durable if durable.is_durable() => Ok(()),
                Outcome::Lost => Err(NotDelivered::Lost),
                _ => Err(NotDelivered::Failed),
            }
        }
    };
    let tenant = Tenant::default();
    let server = Server::new(Gt06::default(), AcceptAll(tenant), deliver)
        .epoch(epoch)
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

    // The way of the frames is the order of the end: first the connections, then the pipeline.
    shutdown.cancel();
    serving.await?;
    pipeline.drain(Duration::from_secs(10)).await;

    let device = DeviceKey {
        tenant,
        device: "752533678900242".parse()?,
    };
    let history = store
        .read(move |reader| reader.history(&device, &Span::default(), &Page::first(100)))
        .await?;
    for report in history.items {
        println!("stored: {}", serde_json::to_string(&report)?);
    }
    println!(
        "{}",
        if store.read(|reader| reader.audit()).await?.ok {
            "nothing vanished"
        } else {
            "BROKEN"
        }
    );
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
