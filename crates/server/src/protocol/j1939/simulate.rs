//! Simulated trucks: each sends the frames of its bus over a connection, in real time.

use std::time::Duration;

use bytes::BytesMut;
use milepost_protocol_j1939::carrier::{Encoder, Form};
use milepost_protocol_j1939::simulate::Truck;
use milepost_protocol_j1939::{CanFrame, CanTime};
use milepost_simulate::{Error, Kind, KindSummary, Options, Summary};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// How often a gateway sends what it has collected.
const TICK: Duration = Duration::from_millis(100);

/// What one truck did.
#[derive(Debug, Default)]
struct Driven {
    frames: u64,
    is_connected: bool,
    is_lost: bool,
}

/// One truck's gateway.
struct Gateway {
    server: String,
    form: Form,
    seed: u64,
    speedup: f64,
    /// What names the truck before its first frame.
    first_line: Option<String>,
    /// Whether its number is on its bus, every ten seconds.
    has_vin: bool,
}

/// Lets trucks drive until the time is over or `shutdown` is cancelled.
pub(super) async fn run(options: Options, shutdown: CancellationToken) -> Result<Summary, Error> {
    let form = options.form.as_deref().unwrap_or("candump");
    let form: Form = form.parse().map_err(|error| Error::Form {
        form: form.to_owned(),
        reason: format!("{error}"),
    })?;
    let server = options
        .server
        .clone()
        .unwrap_or_else(|| "127.0.0.1:5939".to_owned());
    if let Err(source) = TcpStream::connect(&server).await {
        return Err(Error::NoServer { server, source });
    }
    let started = Instant::now();
    let stop = shutdown.child_token();
    let mut trucks = JoinSet::new();
    for number in 0..options.devices {
        let gateway = Gateway {
            server: server.clone(),
            form,
            seed: options.seed.wrapping_add(u64::from(number)),
            speedup: options.speedup,
            first_line: match options.identify.as_deref() {
                Some("line") => Some(format!("ID {}\r\n", options.id(number)?)),
                _ => None,
            },
            has_vin: matches!(options.identify.as_deref(), None | Some("vin")),
        };
        trucks.spawn(gateway.drive(stop.clone()));
    }
    if let Some(duration) = options.duration {
        let _ = shutdown
            .run_until_cancelled(sleep_until(started + duration))
            .await;
        stop.cancel();
    }
    let mut summary = Summary {
        devices: u64::from(options.devices),
        ..Summary::default()
    };
    let mut frames = 0;
    while let Some(truck) = trucks.join_next().await {
        let truck = truck.unwrap_or_default();
        frames += truck.frames;
        summary.connects += u64::from(truck.is_connected);
        summary.refused += u64::from(!truck.is_connected);
        summary.disconnects += u64::from(truck.is_lost);
    }
    summary.seconds = started.elapsed().as_secs_f64();
    summary.kinds.push(KindSummary {
        kind: Kind::Frame,
        sent: frames,
        again: 0,
        acknowledged: 0,
        unanswered: 0,
        latency_ms: None,
    });
    Ok(summary)
}

impl Gateway {
    /// Sends what its truck sends, in real time.
    async fn drive(self, stop: CancellationToken) -> Driven {
        let mut driven = Driven::default();
        let Ok(mut stream) = TcpStream::connect(&self.server).await else {
            return driven;
        };
        driven.is_connected = true;
        let start = CanTime(unix_micros());
        let mut truck = Truck::starting_at(self.seed, start);
        if !self.has_vin {
            truck = truck.without_vin();
        }
        let mut truck = truck.peekable();
        let mut encoder = Encoder::new(self.form);
        let mut out = BytesMut::new();
        out.extend_from_slice(self.first_line.as_deref().unwrap_or_default().as_bytes());
        encoder.greet(&mut out);
        let began = Instant::now();
        let mut tick = began;
        let (mut reader, mut writer) = stream.split();
        let mut replies = [0; 256];
        loop {
            let elapsed = began.elapsed().mul_f64(self.speedup).as_micros();
            let until = start
                .as_micros()
                .saturating_add(u64::try_from(elapsed).unwrap_or(u64::MAX));
            let is_due = |frame: &CanFrame| frame.time().is_none_or(|at| at.as_micros() <= until);
            while let Some(frame) = truck.next_if(is_due) {
                // The truck sends no remote frames.
                driven.frames += u64::from(encoder.encode(&frame, &mut out).is_ok());
            }
            if writer.write_all(&out).await.is_err() {
                driven.is_lost = true;
                return driven;
            }
            out.clear();
            tick += TICK;
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep_until(tick) => {}
                read = reader.read(&mut replies) => if !matches!(read, Ok(1..)) {
                    driven.is_lost = true;
                    return driven;
                },
            }
        }
        // What was sent is on its way; the end tells the server that it is all.
        // The server may have closed first.
        let _gone = writer.shutdown().await.is_err();
        driven
    }
}

fn unix_micros() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_microsecond()).unwrap_or(0)
}
