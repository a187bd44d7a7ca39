//! One tracker's task: connects it to the server, carries bytes, and reconnects.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::journal::Journal;
use super::random::Random;
use super::tracker::{Tracker, Wish};

/// How long a connection may take to be made.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);
/// How long the server may take to close its side at the end.
const FAREWELL: Duration = Duration::from_secs(5);
/// The longest pause between two attempts to connect.
const MAX_BACK_OFF: Duration = Duration::from_secs(5);

/// What all tasks share.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) server: SocketAddr,
    pub(crate) started: Instant,
    pub(crate) journal: Arc<Journal>,
    /// Nothing new is recorded from now on.
    pub(crate) finish: CancellationToken,
    /// Nothing is waited for any more.
    pub(crate) stop: CancellationToken,
}

impl Network {
    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

/// How a connection ended.
enum End {
    /// All is said and heard.
    Done,
    /// The tracker hung up, for a while.
    HungUp(Duration),
    /// The server closed it, or the network broke.
    Lost,
    /// The simulation is over.
    Stopped,
}

/// Runs a tracker until it has said and heard all, or the simulation is over. The first
/// connection is made at `connect_at`.
pub(crate) async fn run(
    network: &Network,
    mut tracker: Tracker,
    mut random: Random,
    mut connect_at: Duration,
) {
    let stats = &network.journal.stats;
    let mut failures = 0_u32;
    loop {
        tokio::select! {
            () = sleep_until(network.started + connect_at) => {}
            () = network.finish.cancelled() => {
                tracker.finish();
                // No need to hurry when it failed a moment ago.
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(200)) => {}
                    () = network.stop.cancelled() => {}
                }
            }
        }
        if tracker.poll(network.now()) == Wish::Done {
            return;
        }
        if network.stop.is_cancelled() {
            return tracker.give_up();
        }
        let Ok(Ok(stream)) = timeout(CONNECT, TcpStream::connect(network.server)).await else {
            stats.refused.fetch_add(1, Relaxed);
            failures = failures.saturating_add(1);
            let pause = Duration::from_millis(500)
                .saturating_mul(1 << failures.min(8))
                .min(MAX_BACK_OFF);
            connect_at = network.now() + pause.mul_f64(random.between(0.5, 1.0));
            continue;
        };
        failures = 0;
        stats.connects.fetch_add(1, Relaxed);
        stats.online.fetch_add(1, Relaxed);
        tracker.connected(network.now());
        let end = talk(network, &mut tracker, stream).await;
        stats.online.fetch_sub(1, Relaxed);
        tracker.disconnected();
        match end {
            End::Done => return,
            End::Stopped => return tracker.give_up(),
            End::HungUp(until) => connect_at = until,
            End::Lost => {
                connect_at =
                    network.now() + Duration::from_secs(1).mul_f64(random.between(0.3, 1.5));
            }
        }
        stats.disconnects.fetch_add(1, Relaxed);
    }
}

/// One connection. Reading never waits for writing: a server that does not read for a while, as
/// it may when its store is behind, still gets its replies through.
async fn talk(network: &Network, tracker: &mut Tracker, mut stream: TcpStream) -> End {
    if stream.set_nodelay(true).is_err() {
        return End::Lost;
    }
    let mut finishing = network.finish.is_cancelled();
    let mut output = Bytes::new();
    let mut input = [0; 512];
    loop {
        if output.is_empty() {
            // What is due while the network is not ready waits, as it does in a device.
            let wish = tracker.poll(network.now());
            output = tracker.take_output();
            match wish {
                Wish::Done if output.is_empty() => {
                    say_farewell(&mut stream).await;
                    return End::Done;
                }
                Wish::HangUp(until) => return End::HungUp(until),
                Wish::Done => {}
                Wish::Wait(until) if output.is_empty() => {
                    tokio::select! {
                        read = stream.read(&mut input) => match read {
                            Ok(len @ 1..) => {
                                let bytes = input.get(..len).unwrap_or_default();
                                if tracker.received(network.now(), bytes).is_err() {
                                    return End::Lost;
                                }
                            }
                            Ok(0) | Err(_) => return End::Lost,
                        },
                        () = sleep_until(network.started + until) => {}
                        () = network.finish.cancelled(), if !finishing => {
                            finishing = true;
                            tracker.finish();
                        }
                        () = network.stop.cancelled() => return End::Stopped,
                    }
                }
                Wish::Wait(_) => {}
            }
            continue;
        }
        let (mut reader, mut writer) = stream.split();
        tokio::select! {
            read = reader.read(&mut input) => match read {
                Ok(len @ 1..) => {
                    let bytes = input.get(..len).unwrap_or_default();
                    if tracker.received(network.now(), bytes).is_err() {
                        return End::Lost;
                    }
                }
                Ok(0) | Err(_) => return End::Lost,
            },
            written = writer.write(&output) => match written {
                Ok(len @ 1..) => output.advance(len),
                Ok(0) | Err(_) => return End::Lost,
            },
            () = network.stop.cancelled() => return End::Stopped,
        }
    }
}

/// Closes a connection so that nothing that was sent is lost: the server sees the end, and has
/// closed its side when it has read all.
pub(crate) async fn say_farewell(stream: &mut TcpStream) {
    let deadline = Instant::now() + FAREWELL;
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut rest = [0; 256];
    while let Ok(Ok(1..)) = timeout_at(deadline, stream.read(&mut rest)).await {}
}
