//! Frames that a session has received and not reported yet.

use std::collections::VecDeque;

use bytes::Bytes;
use milepost_telemetry::{Profile, Timestamp};

use crate::context::Covers;
use crate::memory::Permit;

/// A frame that waits for an envelope that covers it.
pub(super) struct HeldFrame {
    pub(super) number: u64,
    pub(super) received_at: Timestamp,
    pub(super) raw: Bytes,
    pub(super) urgent: bool,
    /// What was known of the device when it was read.
    pub(super) profile: Option<Profile>,
    /// What the device is answered when that envelope is durable.
    pub(super) reply: Option<Bytes>,
}

impl HeldFrame {
    fn footprint(&self) -> usize {
        let reply = self.reply.as_ref().map_or(0, Bytes::len);
        size_of::<Self>()
            .saturating_add(self.raw.len())
            .saturating_add(reply)
    }
}

/// A conversation's held frames, in the order in which they came; never empty.
pub(super) struct Held {
    frames: VecDeque<HeldFrame>,
    bytes: usize,
    permit: Permit,
}

impl Held {
    pub(super) const fn new(permit: Permit) -> Self {
        Self {
            frames: VecDeque::new(),
            bytes: 0,
            permit,
        }
    }

    pub(super) fn push(&mut self, mut frame: HeldFrame) {
        // A frame shares its read's buffer, which is much larger and would be kept with it.
        frame.raw = Bytes::copy_from_slice(&frame.raw);
        let bytes = frame.footprint();
        self.permit.grow(bytes);
        self.bytes = self.bytes.saturating_add(bytes);
        self.frames.push_back(frame);
    }

    /// Takes those that an envelope covers, in order.
    pub(super) fn take(&mut self, covers: &Covers) -> Vec<HeldFrame> {
        let frames = std::mem::take(&mut self.frames);
        let taken: Vec<_> = if matches!(covers, Covers::All) {
            frames.into()
        } else {
            let (taken, kept): (VecDeque<_>, _) = frames
                .into_iter()
                .partition(|frame| covers.includes(frame.number));
            self.frames = kept;
            taken.into()
        };
        let bytes = taken
            .iter()
            .map(HeldFrame::footprint)
            .fold(0, usize::saturating_add);
        self.permit.shrink(bytes);
        self.bytes = self.bytes.saturating_sub(bytes);
        taken
    }

    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}
