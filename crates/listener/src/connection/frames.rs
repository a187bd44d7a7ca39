//! From bytes to envelopes: each frame ends in exactly one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use milepost_telemetry::{Content, Envelope, Name, Origin, Profile, Quarantine, Report, Timestamp};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::{Connection, Who};
use crate::connections::Bound;
use crate::context::Wishes;
use crate::{
    Claim, CloseReason, Deliver, Identified, Protocol, RawFrame, Registry, Resolution, Session,
    Skipped,
};

/// What is known of a frame apart from what it says.
pub(super) struct Facts {
    origin: Origin,
    received_at: Timestamp,
    raw: Bytes,
    /// As it was when the frame was decoded.
    profile: Option<Profile>,
}

/// A frame that waits for the registry's answer, with its replies.
pub(super) struct Held {
    pub(super) until: Instant,
    facts: Facts,
    wishes: Wishes,
    resolution: Pin<Box<dyn Future<Output = Resolution> + Send>>,
}

/// What a session made of a frame.
enum Verdict {
    Understood,
    Unreadable(Quarantine),
    /// Understood, but the registry does not want it.
    Refused,
    Panicked,
}

impl Verdict {
    fn of(result: std::thread::Result<Result<(), Quarantine>>) -> Self {
        match result {
            Ok(Ok(())) => Self::Understood,
            Ok(Err(quarantine)) => Self::Unreadable(quarantine),
            Err(_) => Self::Panicked,
        }
    }
}

pub(super) const fn origin(epoch: u64, connection: u64, frame: u64) -> Origin {
    Origin {
        epoch,
        connection,
        frame,
    }
}

impl<P, R, D, I> Connection<P, R, D, I>
where
    P: Protocol,
    R: Registry,
    D: Deliver,
    I: AsyncRead + AsyncWrite + Unpin,
{
    /// Whether [`work`](Self::work) stopped for a reason that is gone.
    pub(super) fn can_work(&self) -> bool {
        self.stopped && !self.blocked
    }

    /// Handles the frames that are complete, as long as it may.
    pub(super) fn work(&mut self, cx: &mut Context<'_>) {
        self.stopped = false;
        if self.buf.is_empty() && !self.eof {
            return;
        }
        let mut consumed = false;
        while self.closing.is_none() {
            if self.is_blocked() {
                self.stopped = true;
                break;
            }
            let before = self.buf.len();
            let next = if before == 0 {
                Ok(None)
            } else {
                match catch_unwind(AssertUnwindSafe(|| self.session.next_frame(&mut self.buf))) {
                    Ok(next) => next,
                    Err(_) => return self.defect("the session panicked between frames"),
                }
            };
            let progress = self.buf.len() < before;
            match next {
                Ok(None) if !self.eof => {
                    if self.buf.len() > self.shared.limits.partial_frame {
                        self.begin_close(CloseReason::FrameTooLong);
                    }
                    break;
                }
                // The end of the stream is a pause: what waited for a suffix is taken now.
                Ok(None) if !self.paused => self.pause(),
                Ok(None) => {
                    let reason = self.muted.map_or(CloseReason::Peer, CloseReason::Io);
                    self.begin_close(reason);
                }
                _ if !progress => return self.defect("the session consumed nothing"),
                Ok(Some(frame)) => {
                    consumed = true;
                    self.on_frame(frame, cx);
                }
                Err(skipped) => {
                    consumed = true;
                    self.on_skipped(skipped);
                }
            }
        }
        self.keep_partial(consumed);
    }

    /// Keeps what is left of the bytes, and no more memory than they need.
    fn keep_partial(&mut self, consumed: bool) {
        if self.buf.is_empty() {
            self.buf = BytesMut::new();
            self.partial_since = None;
        } else if consumed {
            // What is left shares its allocation with the frames that were taken off it.
            self.buf = BytesMut::from(&*self.buf);
            self.partial_since = Some(self.last_read);
        } else if self.partial_since.is_none() {
            self.partial_since = Some(self.last_read);
        }
    }

    fn on_frame(&mut self, frame: <P::Session as Session>::Frame, cx: &mut Context<'_>) {
        self.frames = self.frames.saturating_add(1);
        let link = self.entry.link();
        let facts = Facts {
            origin: origin(self.shared.epoch, link.id, self.frames),
            received_at: self.arrived,
            raw: frame.raw(),
            profile: self.profile.clone(),
        };
        let mut wishes = Wishes::default();
        let mut context = crate::Context::new(
            facts.received_at,
            link.peer,
            facts.origin,
            self.who.as_ref().map(|who| &who.key),
            &mut wishes,
        );
        let verdict = Verdict::of(catch_unwind(AssertUnwindSafe(|| {
            self.session.on_frame(frame, &mut context)
        })));
        match (&verdict, wishes.identify.take()) {
            (Verdict::Understood, Some(id)) => {
                let claim = Claim {
                    protocol: self.shared.name,
                    id,
                    peer: link.peer,
                };
                let shared = Arc::clone(&self.shared);
                self.held = Some(Box::new(Held {
                    until: Instant::now() + self.shared.limits.resolve,
                    facts,
                    wishes,
                    resolution: Box::pin(async move { shared.registry.resolve(claim).await }),
                }));
                self.poll_resolution(cx);
            }
            _ => self.settle(facts, wishes, verdict, cx),
        }
    }

    /// Goes on with the frame that waits for the registry, if that has answered.
    pub(super) fn poll_resolution(&mut self, cx: &mut Context<'_>) {
        let Some(held) = &mut self.held else { return };
        let Poll::Ready(resolution) = held.resolution.as_mut().poll(cx) else {
            return;
        };
        let Some(held) = self.held.take() else { return };
        let Held {
            mut facts,
            mut wishes,
            ..
        } = *held;
        let (identified, set_aside) = match resolution {
            Resolution::Accept(identified) => (identified, false),
            Resolution::Quarantine(identified) => (identified, true),
            Resolution::Refuse => {
                self.settle(facts, without_replies(wishes), Verdict::Refused, cx);
                return self.begin_close(CloseReason::Refused);
            }
        };
        facts.profile.clone_from(&identified.profile);
        self.become_device(&identified, set_aside);
        let mut context = crate::Context::new(
            facts.received_at,
            self.entry.link().peer,
            facts.origin,
            Some(&identified.device),
            &mut wishes,
        );
        let verdict = Verdict::of(catch_unwind(AssertUnwindSafe(|| {
            self.session.on_identified(&identified, &mut context)
        })));
        self.settle(facts, wishes, verdict, cx);
    }

    /// The registry did not answer in time.
    pub(super) fn on_no_resolution(&mut self, cx: &mut Context<'_>) {
        let Some(held) = self.held.take() else { return };
        let why = Quarantine::new("the registry did not answer in time");
        let wishes = without_replies(held.wishes);
        self.settle(held.facts, wishes, Verdict::Unreadable(why), cx);
        self.begin_close(CloseReason::RegistryTimeout);
    }

    fn become_device(&mut self, identified: &Identified, set_aside: bool) {
        self.profile.clone_from(&identified.profile);
        if set_aside || !self.can_be_told() {
            self.entry.unbind();
        } else if let Bound::TookOver { same_network } = self.entry.bind(&identified.device) {
            self.shared.metrics.takeover(same_network);
            tracing::info!(
                connection = self.entry.link().id,
                peer = ?self.entry.link().peer,
                device = %identified.device,
                same_network,
                "a newer connection of a device that is still connected"
            );
        }
        self.who = Some(Who {
            key: identified.device,
            set_aside,
        });
    }

    /// Carries out what a session wished for a frame, and hands its envelope over.
    fn settle(&mut self, facts: Facts, mut wishes: Wishes, verdict: Verdict, cx: &mut Context<'_>) {
        let panicked = matches!(verdict, Verdict::Panicked);
        let content = self.judge(&facts, &mut wishes, verdict);
        if let Some(profile) = wishes.learn.take() {
            self.learn(profile);
        }
        for reply in &wishes.replies {
            self.outbox.reply(reply, &self.shared.metrics);
        }
        let (origin, arrived) = (facts.origin, facts.received_at);
        let mut envelope = Envelope::new(origin, arrived, self.shared.name, facts.raw, content);
        envelope.peer = self.entry.link().peer;
        envelope.device = self.who.as_ref().map(|who| who.key);
        envelope.accepted = self.who.as_ref().is_some_and(|who| !who.set_aside);
        envelope.profile = facts.profile;
        let bytes = envelope.raw.len();
        let place = self.shared.room.take(&envelope);
        let delivery = self.shared.deliver.deliver(envelope);
        let ack = join(wishes.replies_when_delivered);
        self.outbox
            .deliver(delivery, bytes, place, ack, &self.shared.metrics, cx);
        if self.io.is_none() {
            // It waited for the registry, and its peer has gone meanwhile.
            self.give_up_excess();
        }

        if panicked {
            self.defect("the session panicked on a frame");
        } else if let Some(why) = wishes.close {
            self.begin_close(CloseReason::Session(why));
        } else if self.bad_in_row > self.shared.limits.bad_in_row {
            self.begin_close(CloseReason::TooManyBad);
        }
    }

    /// The one bucket that the frame goes to.
    fn judge(&mut self, facts: &Facts, wishes: &mut Wishes, verdict: Verdict) -> Content {
        let metrics = &self.shared.metrics;
        let reports = std::mem::take(&mut wishes.reports);
        let quarantine = match verdict {
            Verdict::Refused => {
                metrics.filtered.increment(1);
                return Content::Filtered(Name::new("refused"));
            }
            Verdict::Unreadable(quarantine) => {
                self.bad_in_row = self.bad_in_row.saturating_add(1);
                quarantine
            }
            Verdict::Panicked => Quarantine::new("the decoder panicked on this frame"),
            Verdict::Understood => {
                self.bad_in_row = 0;
                match (&self.who, wishes.filtered) {
                    (None, _) if !reports.is_empty() => Quarantine::new("data before login"),
                    (Some(who), _) if !reports.is_empty() => {
                        if !speaks_for(who, &reports) {
                            Quarantine::new("the session reported for another device")
                        } else if who.set_aside {
                            Quarantine::new("the device is in quarantine")
                        } else {
                            metrics.reports.increment(1);
                            return Content::Reports(reports);
                        }
                    }
                    (_, Some(reason)) => {
                        metrics.filtered.increment(1);
                        return Content::Filtered(reason);
                    }
                    (_, None) => {
                        metrics.lost.increment(1);
                        tracing::error!(
                            protocol = %self.shared.name,
                            connection = facts.origin.connection,
                            frame = facts.origin.frame,
                            "the session gave no outcome for a frame: it is kept in quarantine"
                        );
                        let why = Quarantine::new("the decoder gave no outcome for this frame");
                        return Content::Quarantined(why);
                    }
                }
            }
        };
        metrics.quarantined.increment(1);
        Content::Quarantined(quarantine)
    }

    fn learn(&mut self, profile: Profile) {
        if self.profile.as_ref() == Some(&profile) {
            return;
        }
        if let Some(who) = self.who.as_ref().filter(|who| !who.set_aside) {
            self.shared.registry.learn(&who.key, &profile);
        }
        self.profile = Some(profile);
    }

    fn on_skipped(&mut self, skipped: Skipped) {
        let looks_like = skipped.looks_like.unwrap_or("unknown");
        self.shared.metrics.skipped(skipped.bytes, looks_like);
        if !self.stranger_named
            && let Some(what) = skipped.looks_like
        {
            self.stranger_named = true;
            if let Some(silenced) = self.shared.strangers.admit(self.arrived) {
                tracing::warn!(
                    connection = self.entry.link().id,
                    peer = ?self.entry.link().peer,
                    protocol = %self.shared.name,
                    looks_like = what,
                    silenced,
                    "something else speaks on this port"
                );
            }
        }
        self.bad_in_row = self.bad_in_row.saturating_add(1);
        if self.bad_in_row > self.shared.limits.bad_in_row {
            self.begin_close(CloseReason::TooManyBad);
        }
    }

    pub(super) fn defect(&mut self, what: &'static str) {
        tracing::error!(
            protocol = %self.shared.name,
            connection = self.entry.link().id,
            peer = ?self.entry.link().peer,
            frame = self.frames,
            unread = self.buf.len(),
            "{what}: the connection is closed"
        );
        self.begin_close(CloseReason::Defect);
    }
}

fn speaks_for(who: &Who, reports: &[Report]) -> bool {
    reports.iter().all(|report| {
        report.device == Some(who.key.device) && report.tenant.as_ref() == Some(&who.key.tenant)
    })
}

fn without_replies(mut wishes: Wishes) -> Wishes {
    wishes.replies = Vec::new();
    wishes.replies_when_delivered = Vec::new();
    wishes
}

fn join(mut replies: Vec<Bytes>) -> Option<Bytes> {
    if replies.len() > 1 {
        return Some(replies.concat().into());
    }
    replies.pop()
}
