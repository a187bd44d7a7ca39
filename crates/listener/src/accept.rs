//! Where connections come from.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::OwnedSemaphorePermit;

use crate::{Limits, ServeError};

/// A source of connections: a TCP listener, or anything else that yields streams.
pub trait Accept: Send + 'static {
    /// One connection's stream.
    type Io: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// The next connection and, on a network, its other end. Must be safe to cancel: a call that
    /// is dropped before it resolves loses no connection.
    ///
    /// # Errors
    /// What went wrong; the framework backs off and tries again.
    fn accept(&mut self)
    -> impl Future<Output = io::Result<(Self::Io, Option<SocketAddr>)>> + Send;

    /// Where it listens, if that can be said.
    fn local_addr(&self) -> Option<SocketAddr> {
        None
    }
}

/// A TCP listener whose streams are set up for small messages and silent peers.
#[derive(Debug)]
pub struct Tcp {
    listener: TcpListener,
    keepalive: Option<Duration>,
    descriptors: DescriptorReserve,
}

impl Tcp {
    /// Streams of a listener that is there already; `keepalive` is the silence after which the
    /// kernel probes a peer.
    pub fn new(listener: TcpListener, keepalive: Option<Duration>) -> Self {
        Self {
            listener,
            keepalive,
            descriptors: DescriptorReserve::new(0),
        }
    }

    /// Streams of a listener that is there already, set up as the limits say.
    pub(crate) fn with_limits(listener: TcpListener, limits: &Limits) -> Self {
        Self {
            descriptors: DescriptorReserve::new(limits.descriptor_reserve),
            ..Self::new(listener, limits.keepalive)
        }
    }

    /// Listens on an address.
    pub(crate) fn bind(addr: SocketAddr, limits: &Limits) -> Result<Self, ServeError> {
        let listener =
            listen(addr, limits.backlog).map_err(|source| ServeError::Bind { addr, source })?;
        Ok(Self::with_limits(listener, limits))
    }

    fn set_up(&self, stream: &TcpStream) -> io::Result<()> {
        // Replies are whole messages: nothing to gain from waiting for more.
        stream.set_nodelay(true)?;
        if let Some(silence) = self.keepalive {
            let keepalive = socket2::TcpKeepalive::new()
                .with_time(silence)
                .with_interval(silence / 4);
            socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive)?;
        }
        Ok(())
    }
}

/// Listens on an address; `backlog` connections wait in the system's queue until they are
/// accepted. `[::]` means every address of the machine, IPv4 ones too, whatever the system's
/// default is. Called within a tokio runtime.
///
/// # Errors
/// What the system says: in use, not permitted, not ours.
pub fn listen(addr: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = match addr {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A restart must not wait for the connections of the run before.
    socket.set_reuseaddr(true)?;
    if addr.is_ipv6() && addr.ip().is_unspecified() {
        socket2::SockRef::from(&socket).set_only_v6(false)?;
    }
    socket.bind(addr)?;
    socket.listen(backlog)
}

impl Accept for Tcp {
    type Io = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, Option<SocketAddr>)> {
        let (stream, peer) = self.listener.accept().await?;
        self.descriptors.check(&stream)?;
        // A peer that is gone already refuses options; its first read says so too.
        if let Err(e) = self.set_up(&stream) {
            tracing::debug!(%peer, error = %e, "socket options were refused");
        }
        Ok((stream, Some(peer)))
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }
}

/// File descriptors that connections leave to the rest of the process: its store must be able to
/// open a file, and its HTTP to accept, however many connect.
///
/// The system gives the lowest free number, so a high one says that few are left.
#[derive(Debug, Clone, Copy)]
struct DescriptorReserve {
    /// The first number that is not for connections.
    ceiling: u64,
}

impl DescriptorReserve {
    #[cfg(unix)]
    fn new(reserve: u64) -> Self {
        use rustix::process::{Resource, getrlimit};

        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        // Of few descriptors at most a quarter is kept.
        Self::within(limit, reserve.min(limit / 4))
    }

    #[cfg(not(unix))]
    const fn new(_: u64) -> Self {
        Self::within(u64::MAX, 0)
    }

    const fn within(limit: u64, reserve: u64) -> Self {
        Self {
            ceiling: limit.saturating_sub(reserve),
        }
    }

    #[cfg(unix)]
    fn check(self, stream: &TcpStream) -> io::Result<()> {
        use std::os::fd::AsRawFd;

        let number = u64::try_from(stream.as_raw_fd()).unwrap_or_default();
        if number < self.ceiling {
            return Ok(());
        }
        Err(io::Error::other(
            "the last file descriptors are kept for the store and HTTP: raise the limit on open \
             files, or lower the number of connections",
        ))
    }

    #[cfg(not(unix))]
    const fn check(self, _: &TcpStream) -> io::Result<()> {
        Ok(())
    }
}

/// How long to wait before the next accept after failures in a row.
///
/// Out of file descriptors (`EMFILE`, `ENFILE`) or memory, an accept fails at once and would fail
/// again at once; a connection that was reset while it waited (`ECONNABORTED`) says nothing about
/// the next.
#[derive(Debug, Default)]
pub(crate) struct BackOff {
    failures: u32,
}

impl BackOff {
    const FIRST: Duration = Duration::from_millis(5);
    const LAST: Duration = Duration::from_secs(1);

    pub(crate) const fn succeeded(&mut self) {
        self.failures = 0;
    }

    pub(crate) fn failed(&mut self, error: &io::Error) -> Option<Duration> {
        if matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::Interrupted
        ) {
            return None;
        }
        let wait = Self::FIRST
            .saturating_mul(1 << self.failures.min(8))
            .min(Self::LAST);
        self.failures = self.failures.saturating_add(1);
        Some(wait)
    }
}

/// Counts connections per address, when that is limited.
#[derive(Debug, Clone)]
pub(crate) struct PerIp {
    limit: usize,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl PerIp {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            open: Arc::default(),
        }
    }

    /// A place for one more connection from there, if there is one.
    pub(crate) fn admit(&self, ip: IpAddr) -> Option<IpPermit> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(ip).or_default();
        if *count >= self.limit {
            return None;
        }
        *count = count.saturating_add(1);
        Some(IpPermit {
            per_ip: self.clone(),
            ip,
        })
    }
}

/// A place among an address's connections, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct IpPermit {
    per_ip: PerIp,
    ip: IpAddr,
}

impl Drop for IpPermit {
    fn drop(&mut self) {
        let mut open = self
            .per_ip
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.ip) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(&self.ip);
            }
        }
    }
}

/// A stream and the places that it takes among the connections, given back when it is closed:
/// frames that wait for their verdict without it keep nobody out.
pub(crate) struct Admitted<I> {
    // Fields are dropped in this order: who waits for the last of them finds the others free.
    io: I,
    _ip_permit: Option<Box<IpPermit>>,
    _permit: OwnedSemaphorePermit,
}

impl<I> Admitted<I> {
    pub(crate) const fn new(
        io: I,
        permit: OwnedSemaphorePermit,
        ip_permit: Option<Box<IpPermit>>,
    ) -> Self {
        Self {
            io,
            _ip_permit: ip_permit,
            _permit: permit,
        }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Admitted<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Admitted<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_out_of_file_descriptors_backs_off_and_a_reset_peer_does_not() {
        let mut back_off = BackOff::default();
        let out = io::Error::from_raw_os_error(24);
        let waits: Vec<_> = std::iter::repeat_with(|| back_off.failed(&out))
            .take(12)
            .collect();
        assert_eq!(waits[0], Some(BackOff::FIRST));
        assert!(waits.is_sorted());
        assert_eq!(waits[11], Some(BackOff::LAST));
        back_off.succeeded();
        assert_eq!(back_off.failed(&out), Some(BackOff::FIRST));
        assert_eq!(
            back_off.failed(&io::ErrorKind::ConnectionAborted.into()),
            None
        );
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn the_last_descriptors_are_not_for_connections() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mut tcp = Tcp::new(listener, None);
        tcp.descriptors = DescriptorReserve::within(1_000, 1_000);
        let _first = TcpStream::connect(addr).await.unwrap();
        let refused = tcp.accept().await.unwrap_err();
        assert!(BackOff::default().failed(&refused).is_some());
        tcp.descriptors = DescriptorReserve::within(1_000_000, 0);
        let _second = TcpStream::connect(addr).await.unwrap();
        tcp.accept().await.unwrap();
    }

    #[test]
    fn an_address_gets_its_places_back() {
        let per_ip = PerIp::new(1);
        let ip = IpAddr::from([127, 0, 0, 1]);
        let permit = per_ip.admit(ip).expect("a place");
        assert!(per_ip.admit(ip).is_none());
        drop(permit);
        assert!(per_ip.admit(ip).is_some());
        assert!(per_ip.open.lock().expect("not poisoned").is_empty());
    }
}
