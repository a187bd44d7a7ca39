//! Replies: what waits to be written, and what waits for a verdict first.
//!
//! Immediate replies and released acknowledgements share one buffer, so that what is ready
//! together leaves in one write. Acknowledgements are released in the order of their frames, each
//! when its own frame's verdict is `Ok`; one whose verdict is not is dropped. A frame without an
//! acknowledgement holds up none, and none holds up an immediate reply.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::stream::{FuturesUnordered, Stream};
use tokio::sync::oneshot;

use crate::memory::Permit;
use crate::metrics::Metrics;
use crate::{NotDelivered, NotSent, Sent};

type Verdict = Result<(), NotDelivered>;
type BoxedDelivery = Pin<Box<dyn Future<Output = Verdict> + Send>>;

/// A conversation's outgoing side. Empty, it owns no heap.
#[derive(Default)]
pub(crate) struct Outbox {
    unwritten: Unwritten,
    in_flight: Option<Box<InFlight>>,
    /// Commands that count as sent when all is written.
    when_written: Vec<(oneshot::Sender<Result<Sent, NotSent>>, Sent)>,
}

#[derive(Default)]
struct Unwritten {
    bytes: BytesMut,
    /// For datagrams: how long each reply is. In a stream they run together.
    #[allow(clippy::box_collection, reason = "an idle stream pays for it")]
    lengths: Option<Box<VecDeque<usize>>>,
}

impl Unwritten {
    fn push(&mut self, reply: &[u8]) {
        self.bytes.extend_from_slice(reply);
        if let Some(lengths) = &mut self.lengths
            && !reply.is_empty()
        {
            lengths.push_back(reply.len());
        }
    }

    fn clear(&mut self) {
        self.bytes = BytesMut::new();
        if let Some(lengths) = &mut self.lengths {
            lengths.clear();
        }
    }
}

#[derive(Default)]
struct InFlight {
    deliveries: FuturesUnordered<Delivery>,
    /// The numbers rise from front to back.
    acks: VecDeque<Ack>,
    last: u64,
    bytes: usize,
}

/// An envelope that was handed over.
struct Delivery {
    number: u64,
    bytes: usize,
    frames: u64,
    verdict: BoxedDelivery,
    permit: Permit,
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
    /// Each reply is written as a datagram of its own.
    pub(crate) fn of_datagrams() -> Self {
        Self {
            unwritten: Unwritten {
                lengths: Some(Box::default()),
                ..Unwritten::default()
            },
            ..Self::default()
        }
    }

    /// Answers at once.
    pub(crate) fn reply(&mut self, bytes: &[u8], metrics: &Metrics) {
        metrics.replies.increment(1);
        self.unwritten.push(bytes);
    }

    /// Follows an envelope that was handed over; `ack` leaves when it is durable. The delivery is
    /// polled here for the first time, so envelopes reach the far side in their order.
    #[allow(clippy::too_many_arguments, reason = "one call, all of it needed")]
    pub(crate) fn deliver<F>(
        &mut self,
        delivery: F,
        bytes: usize,
        frames: u64,
        permit: Permit,
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
                frames,
                verdict,
                permit,
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

    /// How many envelopes wait for their verdict.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.as_ref().map_or(0, |f| f.deliveries.len())
    }

    /// How many bytes of frames wait for their verdict.
    pub(crate) fn in_flight_bytes(&self) -> usize {
        self.in_flight.as_ref().map_or(0, |f| f.bytes)
    }

    /// How many bytes wait to be written.
    pub(crate) fn unwritten(&self) -> usize {
        self.unwritten.bytes.len()
    }

    /// Whether there is nothing to write and nobody waits for it.
    pub(crate) fn is_idle(&self) -> bool {
        self.unwritten.bytes.is_empty() && self.when_written.is_empty()
    }

    /// The bytes of a command are in the buffer: its sender hears when they are written.
    pub(crate) fn confirm_when_written(
        &mut self,
        sender: oneshot::Sender<Result<Sent, NotSent>>,
        sent: Sent,
    ) {
        self.when_written.push((sender, sent));
    }

    /// What is to be written next: all there is, or one datagram. Empty if there is nothing.
    pub(crate) fn next(&self) -> &[u8] {
        let bytes = &*self.unwritten.bytes;
        match &self.unwritten.lengths {
            Some(lengths) => lengths
                .front()
                .and_then(|length| bytes.get(..*length))
                .unwrap_or_default(),
            None => bytes,
        }
    }

    /// So many bytes of it are written; of a datagram, all or nothing.
    pub(crate) fn advance(&mut self, written: usize) {
        let written = match &mut self.unwritten.lengths {
            Some(lengths) => lengths.pop_front().unwrap_or_default(),
            None => written,
        };
        let written = written.min(self.unwritten.bytes.len());
        self.unwritten.bytes.advance(written);
    }

    /// Everything is with the kernel.
    pub(crate) fn all_written(&mut self) {
        if self.unwritten.bytes.is_empty() {
            self.unwritten.bytes = BytesMut::new();
        }
        for (sender, sent) in std::mem::take(&mut self.when_written) {
            // The caller may have stopped waiting.
            sender.send(Ok(sent)).ok();
        }
    }

    /// Nothing can be written any more; verdicts are still awaited.
    pub(crate) fn discard(&mut self, metrics: &Metrics) {
        self.unwritten.clear();
        self.when_written = Vec::new();
        if let Some(in_flight) = &mut self.in_flight {
            let withheld = std::mem::take(&mut in_flight.acks).len();
            metrics.replies_withheld.increment(withheld as u64);
        }
    }

    /// The peer has gone: envelopes that were taken beyond the memory budget are given up. Returns
    /// whether there were any: then verdicts have to be polled once more.
    pub(crate) fn give_up_excess(&mut self, metrics: &Metrics) -> bool {
        let Some(in_flight) = &mut self.in_flight else {
            return false;
        };
        if !in_flight.deliveries.iter().any(|d| d.permit.is_beyond()) {
            return false;
        }
        let before = in_flight.deliveries.len();
        // One after the other: each that goes may leave memory for the next.
        let (given_up, kept) = std::mem::take(&mut in_flight.deliveries).into_iter().fold(
            (0_u64, FuturesUnordered::new()),
            |(given_up, kept), delivery| {
                if delivery.permit.is_beyond() {
                    return (given_up.saturating_add(delivery.frames), kept);
                }
                kept.push(delivery);
                (given_up, kept)
            },
        );
        in_flight.bytes = kept.iter().map(|delivery: &Delivery| delivery.bytes).sum();
        in_flight.deliveries = kept;
        metrics
            .in_flight
            .decrement(before.saturating_sub(in_flight.deliveries.len()) as f64);
        metrics.given_up.increment(given_up);
        true
    }

    /// Stops waiting for verdicts; how many frames had none.
    pub(crate) fn abandon(&mut self, metrics: &Metrics) -> usize {
        self.discard(metrics);
        let Some(in_flight) = self.in_flight.take() else {
            return 0;
        };
        metrics
            .in_flight
            .decrement(in_flight.deliveries.len() as f64);
        let frames = in_flight
            .deliveries
            .iter()
            .map(|delivery| delivery.frames)
            .fold(0, u64::saturating_add);
        metrics.abandoned.increment(frames);
        usize::try_from(frames).unwrap_or(usize::MAX)
    }
}

impl InFlight {
    fn release_ready(&mut self, unwritten: &mut Unwritten, metrics: &Metrics) {
        while let Some(verdict) = self.acks.front().and_then(|ack| ack.verdict) {
            let ack = self.acks.pop_front().map(|ack| ack.bytes);
            release(unwritten, ack, verdict, metrics);
        }
    }
}

fn release(unwritten: &mut Unwritten, ack: Option<Bytes>, verdict: Verdict, metrics: &Metrics) {
    let Some(ack) = ack else { return };
    if verdict.is_ok() {
        metrics.replies_delivered.increment(1);
        unwritten.push(&ack);
    } else {
        metrics.replies_withheld.increment(1);
    }
}
