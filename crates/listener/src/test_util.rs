//! Scripted devices over in-memory streams, and a store whose verdicts a test decides.
//!
//! With a paused tokio clock (`#[tokio::test(start_paused = true)]`) a test of deadlines takes no
//! time. All methods panic when something else than the script happens: that fails the test.
#![allow(
    clippy::missing_panics_doc,
    reason = "panicking is how these say that a test has failed"
)]

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use milepost_telemetry::{Content, Envelope};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::{Accept, Datagrams, Deliver, NotDelivered};

/// How long a device waits for what it expects.
const DEADLINE: Duration = Duration::from_secs(3_600);
/// What fits into one direction of a stream before it stalls.
const PIPE: usize = 4 * 1_024;

/// A network without sockets: devices dial, a server accepts.
pub fn network() -> (Dialer, Incoming) {
    let (dial, incoming) = mpsc::unbounded_channel();
    (Dialer { dial }, Incoming { incoming })
}

/// The devices' end of a [`network`].
#[derive(Debug, Clone)]
pub struct Dialer {
    dial: mpsc::UnboundedSender<(DuplexStream, Option<SocketAddr>)>,
}

impl Dialer {
    /// Connects a device.
    pub fn connect(&self) -> Device {
        self.connect_from(None)
    }

    /// Connects a device that the server sees under an address.
    pub fn connect_from(&self, peer: Option<SocketAddr>) -> Device {
        let (near, far) = duplex(PIPE);
        self.dial.send((far, peer)).expect("a server that accepts");
        Device { io: near }
    }
}

/// The server's end of a [`network`].
#[derive(Debug)]
pub struct Incoming {
    incoming: mpsc::UnboundedReceiver<(DuplexStream, Option<SocketAddr>)>,
}

impl Accept for Incoming {
    type Io = DuplexStream;

    async fn accept(&mut self) -> io::Result<(DuplexStream, Option<SocketAddr>)> {
        match self.incoming.recv().await {
            Some(connection) => Ok(connection),
            // Nobody will ever dial again.
            None => std::future::pending().await,
        }
    }
}

/// A device that follows a script.
#[derive(Debug)]
pub struct Device {
    io: DuplexStream,
}

impl Device {
    /// Sends bytes in one write.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        timeout(DEADLINE, self.io.write_all(bytes.as_ref()))
            .await
            .expect("the server did not read")
            .expect("the connection is open");
    }

    /// Sends as much as the server takes before it stops reading; how many bytes that were.
    pub async fn flood(&mut self, bytes: &[u8]) -> usize {
        let mut sent = 0;
        while let Ok(Ok(n)) = timeout(
            Duration::from_millis(10),
            self.io.write(bytes.get(sent..).unwrap_or_default()),
        )
        .await
        {
            if n == 0 {
                break;
            }
            sent += n;
        }
        sent
    }

    /// Says that no more will be sent; what the server says can still be read.
    pub async fn finish(&mut self) {
        self.io.shutdown().await.expect("the connection is open");
    }

    /// Reads exactly these bytes.
    pub async fn expect(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        let mut read = vec![0; bytes.len()];
        timeout(DEADLINE, self.io.read_exact(&mut read))
            .await
            .unwrap_or_else(|_| panic!("never came: {:?}", String::from_utf8_lossy(bytes)))
            .unwrap_or_else(|e| panic!("{e}; expected {:?}", String::from_utf8_lossy(bytes)));
        assert_eq!(
            String::from_utf8_lossy(&read),
            String::from_utf8_lossy(bytes)
        );
    }

    /// Waits and expects nothing.
    pub async fn expect_silence(&mut self, wait: Duration) {
        let mut byte = [0];
        let read = timeout(wait, self.io.read(&mut byte)).await;
        assert!(read.is_err(), "not silent: {read:?} {byte:?}");
    }

    /// Expects the server to close the connection without another byte, and closes it too.
    pub async fn expect_end(mut self) {
        let mut rest = Vec::new();
        timeout(DEADLINE, self.io.read_to_end(&mut rest))
            .await
            .expect("the connection was not closed")
            .expect("an orderly end");
        assert_eq!(String::from_utf8_lossy(&rest), "");
    }
}

/// A datagram socket without a network: devices send to it, a server receives.
pub fn datagram_network() -> (DatagramDialer, DatagramSocket) {
    let (dial, incoming) = mpsc::unbounded_channel();
    let answers = Arc::default();
    let dialer = DatagramDialer {
        dial,
        answers: Arc::clone(&answers),
    };
    let socket = DatagramSocket {
        incoming: tokio::sync::Mutex::new(incoming),
        answers,
    };
    (dialer, socket)
}

type Answers = Arc<Mutex<HashMap<SocketAddr, mpsc::UnboundedSender<Vec<u8>>>>>;

/// The devices' end of a [`datagram_network`].
#[derive(Debug, Clone)]
pub struct DatagramDialer {
    dial: mpsc::UnboundedSender<(Vec<u8>, SocketAddr)>,
    answers: Answers,
}

impl DatagramDialer {
    /// A device at an address.
    pub fn device(&self, at: SocketAddr) -> DatagramDevice {
        let (sender, answers) = mpsc::unbounded_channel();
        let mut known = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(at, sender);
        DatagramDevice {
            dial: self.dial.clone(),
            answers,
            at,
        }
    }
}

/// A device that sends and receives datagrams.
#[derive(Debug)]
pub struct DatagramDevice {
    dial: mpsc::UnboundedSender<(Vec<u8>, SocketAddr)>,
    answers: mpsc::UnboundedReceiver<Vec<u8>>,
    at: SocketAddr,
}

impl DatagramDevice {
    /// Sends a datagram.
    pub fn send(&self, bytes: impl AsRef<[u8]>) {
        let sent = self.dial.send((bytes.as_ref().to_vec(), self.at));
        sent.expect("a server that receives");
    }

    /// Receives exactly this datagram.
    pub async fn expect(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = String::from_utf8_lossy(bytes.as_ref()).into_owned();
        let answer = timeout(DEADLINE, self.answers.recv())
            .await
            .unwrap_or_else(|_| panic!("never came: {bytes:?}"))
            .expect("a server");
        assert_eq!(String::from_utf8_lossy(&answer), bytes);
    }

    /// Waits and expects nothing.
    pub async fn expect_silence(&mut self, wait: Duration) {
        let answer = timeout(wait, self.answers.recv()).await;
        assert!(answer.is_err(), "not silent: {answer:?}");
    }
}

/// The server's end of a [`datagram_network`].
#[derive(Debug)]
pub struct DatagramSocket {
    incoming: tokio::sync::Mutex<mpsc::UnboundedReceiver<(Vec<u8>, SocketAddr)>>,
    answers: Answers,
}

impl Datagrams for DatagramSocket {
    async fn receive(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let received = self.incoming.lock().await.recv().await;
        let Some((bytes, from)) = received else {
            // Nobody will ever send again.
            return std::future::pending().await;
        };
        let len = bytes.len().min(buf.len());
        buf[..len].copy_from_slice(&bytes[..len]);
        Ok((len, from))
    }

    fn try_send(&self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let device = answers.get(&to).ok_or(io::ErrorKind::NotConnected)?;
        device
            .send(bytes.to_vec())
            .map_err(|_| io::ErrorKind::NotConnected.into())
    }
}

/// A [`Deliver`] that keeps what it is given in memory; a test decides the verdicts.
#[derive(Debug, Clone, Default)]
pub struct Shelf {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    holding: bool,
    envelopes: Vec<Envelope>,
    waiting: Vec<Option<oneshot::Sender<Result<(), NotDelivered>>>>,
}

impl Shelf {
    /// From now on verdicts wait for [`settle`](Self::settle).
    pub fn hold(&self) {
        self.inner().holding = true;
    }

    /// From now on everything is durable at once, and so is what waited.
    pub fn release(&self) {
        let mut inner = self.inner();
        inner.holding = false;
        for waiting in inner.waiting.iter_mut().filter_map(Option::take) {
            waiting.send(Ok(())).ok();
        }
    }

    /// Gives the verdict on the envelope with this index.
    pub fn settle(&self, index: usize, verdict: Result<(), NotDelivered>) {
        let waiting = self.inner().waiting.get_mut(index).and_then(Option::take);
        waiting.expect("an envelope that waits").send(verdict).ok();
    }

    /// All envelopes so far.
    pub fn envelopes(&self) -> Vec<Envelope> {
        self.inner().envelopes.clone()
    }

    /// All contents so far.
    pub fn contents(&self) -> Vec<Content> {
        self.inner()
            .envelopes
            .iter()
            .map(|envelope| envelope.content.clone())
            .collect()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deliver for Shelf {
    fn deliver(
        &self,
        envelope: Envelope,
    ) -> impl Future<Output = Result<(), NotDelivered>> + Send + 'static {
        let (sender, verdict) = oneshot::channel();
        let mut inner = self.inner();
        inner.envelopes.push(envelope);
        let sender = if inner.holding {
            Some(sender)
        } else {
            sender.send(Ok(())).ok();
            None
        };
        inner.waiting.push(sender);
        async move { verdict.await.unwrap_or(Err(NotDelivered::Lost)) }
    }
}
