//! Sockets for datagrams.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use tokio::net::UdpSocket;

/// A socket for datagrams: UDP, or anything like it.
pub trait Datagrams: Send + Sync + 'static {
    /// Receives one datagram into `buf`; how long it is, and who sent it. Must be safe to cancel.
    /// Called by one task.
    ///
    /// # Errors
    /// What went wrong; the framework backs off and tries again.
    fn receive(
        &self,
        buf: &mut [u8],
    ) -> impl Future<Output = io::Result<(usize, SocketAddr)>> + Send;

    /// Sends one datagram, or says why it cannot be sent now.
    ///
    /// # Errors
    /// What went wrong. The datagram is lost, as any may be.
    fn try_send(&self, bytes: &[u8], to: SocketAddr) -> io::Result<()>;

    /// The address that it is bound to, if there is one.
    fn local_addr(&self) -> Option<SocketAddr> {
        None
    }
}

impl Datagrams for UdpSocket {
    async fn receive(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.recv_from(buf).await
    }

    fn try_send(&self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        self.try_send_to(bytes, to).map(drop)
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        Self::local_addr(self).ok()
    }
}

pub(crate) fn bind(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind(addr)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}
