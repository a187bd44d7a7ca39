//! What moves the bytes of one conversation.

mod datagram;
mod stream;

use std::io;
use std::task::{Context, Poll};

use bytes::BytesMut;

pub(crate) use self::datagram::DatagramPeer;
pub(crate) use self::stream::StreamPeer;

/// What has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    /// So many bytes were appended to the buffer.
    Bytes(usize),
    /// The peer will send no more.
    End,
}

/// One peer's way in and out.
pub(crate) trait Carrier: Unpin {
    /// Whether what arrives at once is a datagram: whole, and followed by a pause.
    const DATAGRAMS: bool;

    /// Appends what has arrived.
    fn poll_receive(
        &mut self,
        buf: &mut BytesMut,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Received>>;

    /// Writes some bytes of a stream, or one datagram.
    fn poll_write(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>>;

    /// Hands everything that was written to the kernel.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ends the sending side.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Reads and throws away until the peer's end.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}
