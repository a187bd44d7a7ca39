//! What waits to be written, and what waits to be allowed to.
//!
//! Immediate replies and released acknowledgements share one buffer, so that what is ready
//! together leaves in one write. Acknowledgements are released in the order of their frames, each
//! when its own frame's verdict is `Ok`; one whose verdict is not is dropped. A frame without an
//! acknowledgement holds up none, and none holds up an immediate reply.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::stream::{FuturesUnordered, Stream};
use tokio::io::AsyncWrite;
use tokio::sync::oneshot;

use crate::NotDelivered;
use crate::connections::NotSent;
use crate::metrics::Metrics;
use crate::room::Place;

type Verdict = Result<(), NotDelivered>;
type BoxedDelivery = Pin<Box<dyn Future<Output = Verdict> + Send>>;

/// A connection's outgoing side. Empty, it owns no heap.
#[derive(Default)]
pub(crate) struct Outbox {
    unwritten: BytesMut,
    needs_flush: bool,
    in_flight: Option<Box<InFlight>>,
    /// Commands that count as sent when all is written.
    when_written: Vec<oneshot::Sender<Result<(), NotSent>>>,
}

#[derive(Default)]
struct InFlight {
    deliveries: FuturesUnordered<Delivery>,
    /// The numbers rise from front to back.
    acks: VecDeque<Ack>,
    last: u64,
    bytes: usize,
}

/// A frame that was handed over.
struct Delivery {
    number: u64,
    bytes: usize,
    verdict: BoxedDelivery,
    place: Place,
}

impl Future for Delivery {
    type Output = (u64, usize, Verdict);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let verdict = ready!(self.verdict.as_mut().poll(cx));
        Poll::Ready((self.number, self.bytes, verdict))
    }
}

/// An answer that means "I have your data".
struct Ack {
    number: u64,
    bytes: Bytes,
    verdict: Option<Verdict>,
}

impl Outbox {
    /// Answers at once.
    pub(crate) fn reply(&mut self, bytes: &[u8], metrics: &Metrics) {
        metrics.replies.increment(1);
        self.unwritten.extend_from_slice(bytes);
    }

    /// Follows a frame that was handed over; `ack` leaves when it is durable. The delivery is
    /// polled here for the first time, so frames reach the far side in their order.
    pub(crate) fn deliver<F>(
        &mut self,
        delivery: F,
        bytes: usize,
        place: Place,
        ack: Option<Bytes>,
        metrics: &Metrics,
        cx: &mut Context<'_>,
    ) where
        F: Future<Output = Verdict> + Send + 'static,
    {
        let mut verdict: BoxedDelivery = Box::pin(delivery);
        let at_once = match verdict.as_mut().poll(cx) {
            Poll::Ready(verdict) => Some(verdict),
            Poll::Pending => None,
        };
        if let Some(Err(why)) = at_once {
            metrics.not_delivered(why);
        }
        if let (Some(verdict), None) = (at_once, &self.in_flight) {
            release(&mut self.unwritten, ack, verdict, metrics);
            return;
        }
        let in_flight = self.in_flight.get_or_insert_default();
        in_flight.last = in_flight.last.wrapping_add(1);
        let number = in_flight.last;
        if at_once.is_none() {
            metrics.in_flight.increment(1);
            in_flight.bytes = in_flight.bytes.saturating_add(bytes);
            in_flight.deliveries.push(Delivery {
                number,
                bytes,
                verdict,
                place,
            });
        }
        if let Some(bytes) = ack {
            in_flight.acks.push_back(Ack {
                number,
                bytes,
                verdict: at_once,
            });
            in_flight.release_ready(&mut self.unwritten, metrics);
        }
    }

    /// Collects verdicts.
    pub(crate) fn poll_verdicts(&mut self, metrics: &Metrics, cx: &mut Context<'_>) {
        let Some(in_flight) = self.in_flight.as_deref_mut() else {
            return;
        };
        while let Poll::Ready(Some((number, bytes, verdict))) =
            Pin::new(&mut in_flight.deliveries).poll_next(cx)
        {
            metrics.in_flight.decrement(1);
            in_flight.bytes = in_flight.bytes.saturating_sub(bytes);
            if let Err(why) = verdict {
                metrics.not_delivered(why);
            }
            if let Ok(at) = in_flight
                .acks
                .binary_search_by_key(&number, |ack| ack.number)
                && let Some(ack) = in_flight.acks.get_mut(at)
            {
                ack.verdict = Some(verdict);
            }
            in_flight.release_ready(&mut self.unwritten, metrics);
        }
        if in_flight.deliveries.is_empty() {
            self.in_flight = None;
        }
    }

    /// How many frames wait for their verdict.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.as_ref().map_or(0, |f| f.deliveries.len())
    }

    /// How many bytes of frames wait for their verdict.
    pub(crate) fn in_flight_bytes(&self) -> usize {
        self.in_flight.as_ref().map_or(0, |f| f.bytes)
    }

    /// How many bytes wait to be written.
    pub(crate) fn unwritten(&self) -> usize {
        self.unwritten.len()
    }

    /// Whether everything that may leave has left.
    pub(crate) fn is_written(&self) -> bool {
        self.unwritten.is_empty() && !self.needs_flush
    }

    /// Whether there is nothing to do for [`poll_write`](Self::poll_write).
    pub(crate) fn is_idle(&self) -> bool {
        self.is_written() && self.when_written.is_empty()
    }

    /// A command's bytes are in the buffer: say so when they are written.
    pub(crate) fn tell_when_written(&mut self, sender: oneshot::Sender<Result<(), NotSent>>) {
        self.when_written.push(sender);
    }

    /// Writes; `Ready` when everything is with the kernel, and how far it got either way.
    pub(crate) fn poll_write<W>(
        &mut self,
        io: &mut W,
        cx: &mut Context<'_>,
    ) -> (bool, Poll<io::Result<()>>)
    where
        W: AsyncWrite + Unpin,
    {
        let mut progress = false;
        while !self.unwritten.is_empty() {
            match Pin::new(&mut *io).poll_write(cx, &self.unwritten) {
                Poll::Pending => return (progress, Poll::Pending),
                Poll::Ready(Err(e)) => return (progress, Poll::Ready(Err(e))),
                Poll::Ready(Ok(0)) => {
                    return (progress, Poll::Ready(Err(io::ErrorKind::WriteZero.into())));
                }
                Poll::Ready(Ok(n)) => {
                    progress = true;
                    self.needs_flush = true;
                    self.unwritten.advance(n.min(self.unwritten.len()));
                }
            }
        }
        if self.needs_flush {
            match Pin::new(&mut *io).poll_flush(cx) {
                Poll::Pending => return (progress, Poll::Pending),
                Poll::Ready(Err(e)) => return (progress, Poll::Ready(Err(e))),
                Poll::Ready(Ok(())) => self.needs_flush = false,
            }
            self.unwritten = BytesMut::new();
        }
        for sender in std::mem::take(&mut self.when_written) {
            // Whoever asked may have stopped waiting.
            sender.send(Ok(())).ok();
        }
        (progress, Poll::Ready(Ok(())))
    }

    /// Nothing can be written any more; verdicts are still awaited.
    pub(crate) fn discard(&mut self, metrics: &Metrics) {
        self.unwritten = BytesMut::new();
        self.needs_flush = false;
        self.when_written = Vec::new();
        if let Some(in_flight) = &mut self.in_flight {
            let withheld = std::mem::take(&mut in_flight.acks).len();
            metrics.replies_withheld.increment(withheld as u64);
        }
    }

    /// Nobody is there any more: frames that were taken beyond the room for all are given up.
    /// Whether there were any: then verdicts are to be polled once more.
    pub(crate) fn give_up_excess(&mut self, metrics: &Metrics) -> bool {
        let Some(in_flight) = &mut self.in_flight else {
            return false;
        };
        if !in_flight.deliveries.iter().any(|d| d.place.is_beyond()) {
            return false;
        }
        // One after the other: each that goes may leave room for the next.
        let (given_up, kept) = std::mem::take(&mut in_flight.deliveries).into_iter().fold(
            (0_u64, FuturesUnordered::new()),
            |(given_up, kept), delivery| {
                if delivery.place.is_beyond() {
                    return (given_up + 1, kept);
                }
                kept.push(delivery);
                (given_up, kept)
            },
        );
        in_flight.bytes = kept.iter().map(|delivery: &Delivery| delivery.bytes).sum();
        in_flight.deliveries = kept;
        metrics.in_flight.decrement(given_up as f64);
        metrics.given_up.increment(given_up);
        true
    }

    /// Stops waiting for verdicts; how many frames had none.
    pub(crate) fn abandon(&mut self, metrics: &Metrics) -> usize {
        let abandoned = self.in_flight();
        self.discard(metrics);
        self.in_flight = None;
        metrics.in_flight.decrement(abandoned as f64);
        metrics.abandoned.increment(abandoned as u64);
        abandoned
    }
}

impl InFlight {
    fn release_ready(&mut self, unwritten: &mut BytesMut, metrics: &Metrics) {
        while let Some(verdict) = self.acks.front().and_then(|ack| ack.verdict) {
            let ack = self.acks.pop_front().map(|ack| ack.bytes);
            release(unwritten, ack, verdict, metrics);
        }
    }
}

fn release(unwritten: &mut BytesMut, ack: Option<Bytes>, verdict: Verdict, metrics: &Metrics) {
    let Some(ack) = ack else { return };
    if verdict.is_ok() {
        metrics.replies_delivered.increment(1);
        unwritten.extend_from_slice(&ack);
    } else {
        metrics.replies_withheld.increment(1);
    }
}
