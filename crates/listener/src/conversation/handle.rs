//! From frames to envelopes: each frame ends in exactly one.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use milepost_telemetry::{
    Content, DeviceId, Envelope, FrameRanges, Name, Origin, Profile, Quarantine, Report, Timestamp,
};
use tokio::time::Instant;

use super::held::{Held, HeldFrame};
use super::{Conversation, FrameOf, Panicked, Who};
use crate::connections::Login;
use crate::context::{Actions, Covers};
use crate::{
    Claim, CloseReason, Deliver, Identified, Protocol, RawFrame, Registry, Resolution, Session,
};

/// What is known of a frame apart from what it reports.
pub(super) struct FrameMeta {
    origin: Origin,
    received_at: Timestamp,
    raw: Bytes,
    urgent: bool,
    /// As it was when the frame was decoded.
    profile: Option<Profile>,
}

/// What waits for the registry's answer: a frame with its replies, or a claim of the
/// configuration.
pub(super) struct Suspended {
    pub(super) until: Instant,
    pub(super) frame: Option<FrameMeta>,
    actions: Actions,
    resolution: Pin<Box<dyn Future<Output = Resolution> + Send>>,
}

/// What a session made of a frame.
enum Reading {
    Understood,
    Unreadable(Quarantine),
    /// Understood, but the registry does not want its device.
    Refused,
    Panicked,
}

impl Reading {
    fn of(result: Result<Result<(), Quarantine>, Panicked>) -> Self {
        match result {
            Ok(Ok(())) => Self::Understood,
            Ok(Err(quarantine)) => Self::Unreadable(quarantine),
            Err(Panicked) => Self::Panicked,
        }
    }
}

impl<P, R, D> Conversation<P, R, D>
where
    P: Protocol,
    R: Registry,
    D: Deliver,
{
    pub(super) fn on_frame(&mut self, frame: FrameOf<P>, cx: &mut Context<'_>) {
        self.frames = self.frames.saturating_add(1);
        let meta = FrameMeta {
            origin: self.origin(self.frames),
            received_at: self.arrived,
            raw: frame.raw(),
            urgent: frame.urgent(),
            profile: self.profile.clone(),
        };
        let mut actions = Actions::default();
        let about = Some((meta.origin, meta.received_at));
        let reading = Reading::of(self.call(about, &mut actions, |session, cx| {
            session.on_frame(frame, cx)
        }));
        match (&reading, actions.identify.take()) {
            (Reading::Understood, Some(id)) => {
                self.suspend(Some(meta), actions, id);
                self.poll_resolution(cx);
            }
            _ => self.finish(meta, actions, reading, cx),
        }
    }

    /// Asks the registry; until it has answered, no frame is handled.
    pub(super) fn suspend(&mut self, frame: Option<FrameMeta>, actions: Actions, id: DeviceId) {
        let link = self.entry.link();
        let mut claim = Claim::new(self.shared.name, id);
        claim.peer = link.peer;
        claim.network = link.network;
        let shared = Arc::clone(&self.shared);
        self.suspended = Some(Box::new(Suspended {
            until: self.now + self.shared.limits.resolve,
            frame,
            actions,
            resolution: Box::pin(async move { shared.registry.resolve(claim).await }),
        }));
    }

    /// Goes on with what waits for the registry, if that has answered.
    pub(super) fn poll_resolution(&mut self, cx: &mut Context<'_>) {
        let Some(suspended) = &mut self.suspended else {
            return;
        };
        let Poll::Ready(resolution) = suspended.resolution.as_mut().poll(cx) else {
            return;
        };
        let Some(suspended) = self.suspended.take() else {
            return;
        };
        let Suspended {
            frame, mut actions, ..
        } = *suspended;
        let (identified, quarantined) = match resolution {
            Resolution::Accept(identified) => (identified, false),
            Resolution::Quarantine(identified) => (identified, true),
            Resolution::Refuse => {
                self.log_refused();
                if let Some(meta) = frame {
                    self.finish(meta, without_replies(actions), Reading::Refused, cx);
                }
                return self.begin_close(CloseReason::Refused);
            }
        };
        self.become_device(&identified, quarantined, cx);
        let about = frame.as_ref().map(|meta| (meta.origin, meta.received_at));
        let reading = Reading::of(self.call(about, &mut actions, |session, cx| {
            session.on_identified(&identified, cx)
        }));
        match frame {
            Some(mut meta) => {
                meta.profile = identified.profile;
                self.finish(meta, actions, reading, cx);
            }
            None => match reading {
                Reading::Panicked => self.defect("the session panicked on its identity"),
                _ => {
                    self.finish_without_frame(actions, cx);
                }
            },
        }
    }

    /// The registry did not answer in time.
    pub(super) fn on_no_resolution(&mut self, cx: &mut Context<'_>) {
        let Some(suspended) = self.suspended.take() else {
            return;
        };
        let why = Quarantine::new("the registry did not answer in time");
        if let Some(meta) = suspended.frame {
            let actions = without_replies(suspended.actions);
            self.finish(meta, actions, Reading::Unreadable(why), cx);
        }
        self.begin_close(CloseReason::RegistryTimeout);
    }

    fn become_device(&mut self, identified: &Identified, quarantined: bool, cx: &mut Context<'_>) {
        let device = identified.device;
        let known = self.who.as_ref().map(|who| who.key);
        if known.is_some_and(|known| known != device) {
            self.quarantine_held("another device logged in", cx);
        }
        self.profile.clone_from(&identified.profile);
        let link = self.entry.link();
        let trace = &self.shared.trace;
        self.traced = trace.iter().any(|t| t.includes(link.peer, Some(&device)));
        let now = self.shared.clock.now();
        if known != Some(device)
            && let Some(left_out) = self.shared.log.login.admit(now)
        {
            tracing::info!(
                connection = link.id,
                peer = link.peer.map(tracing::field::display),
                protocol = %self.shared.name,
                %device,
                quarantined,
                left_out,
                "a device has logged in"
            );
        }
        if quarantined || !self.can_answer() {
            self.entry.unbind();
        } else if let Login::Beside { same_network } = self.entry.bind(identified, now) {
            self.shared.metrics.parallel_login(same_network);
            if let Some(left_out) = self.shared.log.parallel_login.admit(now) {
                let link = self.entry.link();
                tracing::info!(
                    connection = link.id,
                    peer = link.peer.map(tracing::field::display),
                    %device,
                    same_network,
                    left_out,
                    "a device has logged in that is connected already"
                );
            }
        }
        self.entry.link().set_accepted(!quarantined);
        self.who = Some(Who {
            key: device,
            quarantined,
        });
    }

    /// Wakes the session: at its time, or early because it holds too much.
    pub(super) fn wake(&mut self, early: bool, cx: &mut Context<'_>) {
        let before = self.held_len();
        let mut actions = Actions::default();
        if let Err(Panicked) = self.call(None, &mut actions, |session, cx| session.on_wake(cx)) {
            self.quarantine_held("the session panicked", cx);
            return self.defect("the session panicked when it was woken");
        }
        let closes = actions.close.is_some();
        let made = self.finish_without_frame(actions, cx);
        if early {
            if self.held_len() >= before {
                self.begin_close(CloseReason::HeldTooMuch);
            }
        } else if !made
            && !closes
            && self
                .session
                .wake_at()
                .is_some_and(|at| at <= self.now.into_std())
        {
            self.defect("the session wants to be woken and does nothing");
        }
    }

    /// Carries out what a session asked for with a frame, and hands its envelope over.
    fn finish(
        &mut self,
        meta: FrameMeta,
        mut actions: Actions,
        reading: Reading,
        cx: &mut Context<'_>,
    ) {
        if !self.is_accepted() && !self.admit_stranger_frame() {
            // What is not read is not received.
            self.trace_in(
                &meta.raw,
                &"not received: too many frames before an accepted login",
            );
            self.frames = self.frames.saturating_sub(1);
            return;
        }
        let understood = matches!(reading, Reading::Understood);
        let panicked = matches!(reading, Reading::Panicked);
        let reports = !actions.reports.is_empty() || actions.filtered.is_some();
        let covered = if understood && reports {
            self.take_held(&actions.covers)
        } else {
            Vec::new()
        };
        let origin = meta.origin;
        // A frame that is to be held though its reports cover no other is covered by them.
        let hold = actions.hold && understood && (!reports || !covered.is_empty());
        let content = if hold && !reports {
            self.bad_in_row = 0;
            None
        } else {
            let frames = covered.len().saturating_add(usize::from(!hold));
            Some(self.judge(origin, frames, &mut actions, reading))
        };
        match &content {
            Some(content) if !hold => self.trace_in(&meta.raw, &crate::trace::Reading(content)),
            _ => self.trace_in(&meta.raw, &"held until later frames complete it"),
        }
        if let Some(content) = &content {
            self.trace_held(covered.len(), content);
        }
        let close = actions.close;
        let keep = actions.keep.take();
        let reply = self.carry_out(actions);
        let own = if hold {
            self.hold(meta, reply.clone());
            None
        } else {
            Some(meta)
        };
        if let Some(content) = content {
            let reply = reply.filter(|_| own.is_some());
            self.hand_over(own, covered, content, (keep, reply), cx);
        }
        if panicked {
            self.quarantine_held("the session panicked", cx);
            self.defect("the session panicked on a frame");
        } else if let Some(why) = close {
            self.begin_close(CloseReason::Session(why));
        } else {
            self.close_if_too_many_bad();
        }
    }

    /// Carries out what a session asked for without a frame; whether it made an envelope.
    pub(super) fn finish_without_frame(
        &mut self,
        mut actions: Actions,
        cx: &mut Context<'_>,
    ) -> bool {
        let reports = !actions.reports.is_empty() || actions.filtered.is_some();
        let covered = if reports {
            self.take_held(&actions.covers)
        } else {
            Vec::new()
        };
        let close = actions.close;
        let made = if let Some(last) = covered.last() {
            let origin = self.origin(last.number);
            let content = self.judge(origin, covered.len(), &mut actions, Reading::Understood);
            self.trace_held(covered.len(), &content);
            let keep = actions.keep.take();
            let reply = self.carry_out(actions);
            self.hand_over(None, covered, content, (keep, reply), cx);
            true
        } else {
            if reports && let Some(left_out) = self.shared.log.defect.admit(self.arrived) {
                tracing::error!(
                    protocol = %self.shared.name,
                    connection = self.entry.link().id,
                    reports = actions.reports.len(),
                    left_out,
                    "the session reported without covering a held frame: the reports are dropped"
                );
            }
            self.carry_out(actions);
            false
        };
        if let Some(why) = close {
            self.begin_close(CloseReason::Session(why));
        }
        made
    }

    /// Learns, answers, and returns what is to be answered once the envelope is durable.
    fn carry_out(&mut self, actions: Actions) -> Option<Bytes> {
        if let Some(profile) = actions.learn {
            self.learn(profile);
        }
        self.reply(actions.replies);
        let replies = self.within_allowance(actions.replies_when_delivered);
        join(replies)
    }

    pub(super) fn reply(&mut self, replies: Vec<Bytes>) {
        for reply in self.within_allowance(replies) {
            self.trace_out(&reply);
            self.outbox.reply(&reply, &self.shared.metrics);
        }
    }

    /// Before an accepted login, a datagram is answered with no more bytes than it has: a sender
    /// can forge its address.
    fn within_allowance(&mut self, mut replies: Vec<Bytes>) -> Vec<Bytes> {
        if self.datagrams && !self.is_accepted() {
            replies.retain(|reply| {
                let fits = self.may_answer.checked_sub(reply.len());
                match fits {
                    Some(left) => self.may_answer = left,
                    None => self.shared.metrics.replies_withheld.increment(1),
                }
                fits.is_some()
            });
        }
        replies
    }

    fn hold(&mut self, meta: FrameMeta, reply: Option<Bytes>) {
        let held = self
            .held
            .get_or_insert_with(|| Box::new(Held::new(self.shared.memory.permit())));
        held.push(HeldFrame {
            number: meta.origin.frame,
            received_at: meta.received_at,
            raw: meta.raw,
            urgent: meta.urgent,
            profile: meta.profile,
            reply,
        });
    }

    fn take_held(&mut self, covers: &Covers) -> Vec<HeldFrame> {
        let Some(held) = &mut self.held else {
            return Vec::new();
        };
        if matches!(covers, Covers::None) {
            return Vec::new();
        }
        let taken = held.take(covers);
        if held.len() == 0 {
            self.held = None;
        }
        taken
    }

    /// Puts all that is held into quarantine, with its bytes and its count.
    pub(super) fn quarantine_held(&mut self, why: &str, cx: &mut Context<'_>) {
        let covered = self.take_held(&Covers::All);
        if covered.is_empty() {
            return;
        }
        let frames = covered.len();
        self.shared.metrics.quarantined.increment(frames as u64);
        let why = Quarantine::new(format!("{frames} held frames were not reported: {why}"));
        let content = Content::Quarantined(why);
        self.trace_held(frames, &content);
        self.hand_over(None, covered, content, (None, None), cx);
    }

    /// Hands over an envelope of a frame and of held ones that it covers; with what is kept instead
    /// of their bytes, and what is answered once it is durable.
    fn hand_over(
        &mut self,
        own: Option<FrameMeta>,
        covered: Vec<HeldFrame>,
        content: Content,
        (keep, reply): (Option<Bytes>, Option<Bytes>),
        cx: &mut Context<'_>,
    ) {
        let Some((numbers, received_at)) = numbers(own.as_ref(), &covered) else {
            return;
        };
        let urgent = own.as_ref().is_some_and(|meta| meta.urgent)
            || covered.iter().any(|frame| frame.urgent);
        let mut replies: Vec<Bytes> = Vec::new();
        let (raw, profile) = if covered.is_empty() {
            own.map_or_else(Default::default, |meta| (meta.raw, meta.profile))
        } else {
            let mut raw = Vec::new();
            // The profile by which the last of them was read, whatever was learned since.
            let mut profile = None;
            for frame in covered {
                raw.extend_from_slice(&frame.raw);
                replies.extend(frame.reply);
                profile = frame.profile;
            }
            if let Some(meta) = own {
                raw.extend_from_slice(&meta.raw);
                profile = meta.profile;
            }
            (raw.into(), profile)
        };
        let reply = match reply {
            Some(reply) if replies.is_empty() => Some(reply),
            reply => {
                replies.extend(reply);
                join(replies)
            }
        };
        let origin = self.origin(numbers.last);
        let raw = match keep {
            Some(keep) if matches!(content, Content::Reports(_)) => keep,
            _ => raw,
        };
        let mut envelope = Envelope::new(origin, received_at, self.shared.name, raw, content);
        let frames = numbers.ranges.count();
        envelope.frames = numbers.ranges;
        envelope.peer = self.entry.link().peer;
        envelope.device = self.who.as_ref().map(|who| who.key);
        envelope.accepted = self.is_accepted();
        // Anyone can send an alarm: those of strangers wait like all their frames.
        envelope.urgent = urgent && envelope.accepted;
        envelope.profile = profile;

        if let Some(rate) = self.rate() {
            self.bucket.take(rate, self.now);
        }
        let bytes = envelope.raw.len();
        let reply_len = reply.as_ref().map_or(0, Bytes::len);
        if let Some(reply) = &reply {
            self.trace_out(reply);
        }
        let mut permit = self
            .shared
            .memory
            .take(&envelope, reply_len, self.in_reserve);
        // The frame keeps all of its read's buffer alive, whatever else was in it. The first
        // frame of a read is charged for that.
        permit.grow(std::mem::take(&mut self.uncharged).saturating_sub(bytes));
        let delivery = self.shared.deliver.deliver(envelope);
        let metrics = &self.shared.metrics;
        self.outbox
            .deliver(delivery, bytes, frames, permit, reply, metrics, cx);
        if self.gone {
            // It waited for the registry, and its peer has gone meanwhile.
            self.give_up_excess();
        }
    }

    /// The one bucket that the frames of an envelope go to.
    fn judge(
        &mut self,
        origin: Origin,
        frames: usize,
        actions: &mut Actions,
        reading: Reading,
    ) -> Content {
        let metrics = &self.shared.metrics;
        let frames = frames as u64;
        let reports = std::mem::take(&mut actions.reports);
        let quarantine = match reading {
            Reading::Refused => {
                metrics.filtered.increment(frames);
                return Content::Filtered(Name::new("refused"));
            }
            Reading::Unreadable(quarantine) => {
                self.bad_in_row = self.bad_in_row.saturating_add(1);
                metrics.unreadable(quarantine.field);
                quarantine
            }
            Reading::Panicked => {
                metrics.unreadable(None);
                Quarantine::new("the decoder panicked on this frame")
            }
            Reading::Understood => {
                self.bad_in_row = 0;
                match (&self.who, actions.filtered) {
                    (None, _) if !reports.is_empty() => Quarantine::new("data before login"),
                    (Some(who), _) if !reports.is_empty() => {
                        if !speaks_for(who, &reports) {
                            Quarantine::new("the session reported for another device")
                        } else if who.quarantined {
                            Quarantine::new("the device is in quarantine")
                        } else {
                            metrics.reports.increment(frames);
                            return Content::Reports(reports);
                        }
                    }
                    (_, Some(reason)) => {
                        metrics.filtered.increment(frames);
                        return Content::Filtered(reason);
                    }
                    (_, None) => {
                        metrics.lost.increment(frames);
                        if let Some(left_out) = self.shared.log.defect.admit(self.arrived) {
                            tracing::error!(
                                protocol = %self.shared.name,
                                connection = origin.connection,
                                frame = origin.frame,
                                left_out,
                                "the session gave no outcome for a frame: it is kept in quarantine"
                            );
                        }
                        let why = Quarantine::new("the decoder gave no outcome for this frame");
                        return Content::Quarantined(why);
                    }
                }
            }
        };
        metrics.quarantined.increment(frames);
        Content::Quarantined(quarantine)
    }

    fn learn(&mut self, profile: Profile) {
        if self.profile.as_ref() == Some(&profile) {
            return;
        }
        if let Some(who) = self.who.as_ref().filter(|who| !who.quarantined) {
            let (registry, protocol) = (&self.shared.registry, self.shared.name);
            registry.learn(protocol, &who.key, &profile);
        }
        self.profile = Some(profile);
    }
}

/// The frames of an envelope, and when the last of them arrived.
struct Numbers {
    ranges: FrameRanges,
    last: u64,
}

fn numbers(own: Option<&FrameMeta>, covered: &[HeldFrame]) -> Option<(Numbers, Timestamp)> {
    let own = own.map(|meta| (meta.origin.frame, meta.received_at));
    let mut all = covered
        .iter()
        .map(|frame| (frame.number, frame.received_at))
        .chain(own);
    let (first, received_at) = all.next()?;
    let mut numbers = Numbers {
        ranges: FrameRanges::one(first),
        last: first,
    };
    let mut latest = received_at;
    for (number, received_at) in all {
        numbers.ranges.push(number);
        numbers.last = number;
        latest = received_at;
    }
    Some((numbers, latest))
}

fn speaks_for(who: &Who, reports: &[Report]) -> bool {
    reports.iter().all(|report| {
        report.device == Some(who.key.device) && report.tenant.as_ref() == Some(&who.key.tenant)
    })
}

fn without_replies(mut actions: Actions) -> Actions {
    actions.replies = Vec::new();
    actions.replies_when_delivered = Vec::new();
    actions
}

fn join(mut replies: Vec<Bytes>) -> Option<Bytes> {
    if replies.len() > 1 {
        return Some(replies.concat().into());
    }
    replies.pop()
}
