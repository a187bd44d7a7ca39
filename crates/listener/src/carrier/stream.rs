//! A byte stream.
//!
//! Reads go through a scratch buffer of the thread; only what arrived is copied, so that an idle
//! connection has no buffer.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Carrier, Received};

/// What one read takes at most.
const SCRATCH: usize = 16 * 1_024;

/// Discarding reads in a row before other tasks get their turn.
const ROUNDS: u32 = 16;

thread_local! {
    static SCRATCH_BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH]);
}

/// The peer at the other end of a stream.
pub(crate) struct StreamPeer<I>(pub(crate) I);

impl<I: AsyncRead + AsyncWrite + Unpin> Carrier for StreamPeer<I> {
    const DATAGRAMS: bool = false;

    fn poll_receive(
        &mut self,
        buf: &mut BytesMut,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Received>> {
        let io = &mut self.0;
        let read = ready!(
            SCRATCH_BUFFER.with(|scratch| match scratch.try_borrow_mut() {
                Ok(mut scratch) => poll_read_through(io, &mut scratch, buf, cx),
                // A stream that polls another connection from inside its own read.
                Err(_) => poll_read_through(io, &mut [0; 512], buf, cx),
            })
        )?;
        Poll::Ready(Ok(match read {
            0 => Received::End,
            n => Received::Bytes(n),
        }))
    }

    fn poll_write(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; 1_024];
        for _ in 0..ROUNDS {
            let mut scratch = ReadBuf::new(&mut scratch);
            let read = ready!(Pin::new(&mut self.0).poll_read(cx, &mut scratch));
            if read.is_err() || scratch.filled().is_empty() {
                return Poll::Ready(());
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

fn poll_read_through<I: AsyncRead + Unpin>(
    io: &mut I,
    scratch: &mut [u8],
    buf: &mut BytesMut,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let mut scratch = ReadBuf::new(scratch);
    ready!(Pin::new(io).poll_read(cx, &mut scratch))?;
    buf.extend_from_slice(scratch.filled());
    Poll::Ready(Ok(scratch.filled().len()))
}
