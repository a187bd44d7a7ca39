//! ISO-TP (ISO 15765-2), passively: single, first and consecutive frames of one identifier.
//!
//! | frame | bytes |
//! |---|---|
//! | single | `0L` and 1 to 7 data bytes |
//! | first | `1L LL` and 6 bytes; `10 00`, a 32-bit big-endian length, and 2 bytes |
//! | consecutive | `2N` and 7 bytes; N starts at 1 and goes from 15 to 0 |
//! | flow control | `3S BS ST`: not needed by a listener |
//!
//! A wrong N drops the message, so does a new single or first frame of the same identifier. A
//! consecutive frame without a first one starts nothing. Bytes after the announced length are
//! dropped.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use crate::can::CanId;
use crate::transport::Stamp;

/// Where the protocol bytes start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Addressing {
    /// At the first byte.
    #[default]
    Normal,
    /// After one address byte (extended and mixed addressing). That byte is part of the key.
    Extended,
}

/// Bounds of an [`IsoTp`] listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Open messages.
    pub messages: usize,
    /// The largest message, in bytes.
    pub len: usize,
}

impl Default for Limits {
    /// 32 messages of at most 8 KiB.
    fn default() -> Self {
        Self {
            messages: 32,
            len: 8 * 1024,
        }
    }
}

/// Why a message was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum IsoTpError {
    /// A length that the form of the frame does not allow.
    Length {
        /// The length.
        len: u32,
    },
    /// Longer than [`Limits::len`].
    TooLong {
        /// The length.
        len: u32,
    },
    /// A consecutive frame is missing.
    WrongNumber {
        /// The number that was expected.
        expected: u8,
        /// The number that came.
        got: u8,
    },
    /// Another message started.
    Interrupted,
    /// No consecutive frame for one second.
    TimedOut,
    /// Dropped for the sake of newer messages.
    Evicted,
}

impl fmt::Display for IsoTpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { len } => write!(f, "segmented message refused: length {len}"),
            Self::TooLong { len } => {
                write!(
                    f,
                    "segmented message refused: {len} bytes are above the limit"
                )
            }
            Self::WrongNumber { expected, got } => write!(
                f,
                "segmented message dropped: frame {got} instead of {expected}"
            ),
            Self::Interrupted => f.write_str("segmented message incomplete: another one started"),
            Self::TimedOut => f.write_str("segmented message incomplete: timed out"),
            Self::Evicted => f.write_str("segmented message dropped: too many open messages"),
        }
    }
}

/// What a frame led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IsoTpEvent {
    /// A message is complete.
    Message {
        /// Who sent it.
        id: CanId,
        /// The payload, cut to the announced length.
        data: Vec<u8>,
    },
    /// A message was dropped.
    Failure {
        /// Who sent it.
        id: CanId,
        /// Why.
        error: IsoTpError,
    },
}

struct Open {
    data: Vec<u8>,
    len: usize,
    next: u8,
    last: Stamp,
}

const CONSECUTIVE_MICROS: u64 = 1_000_000;
const ESTIMATED_MICROS: u64 = 5_000_000;

/// Puts segmented messages of one bus together.
#[derive(Default)]
pub struct IsoTp {
    addressing: Addressing,
    limits: Limits,
    open: BTreeMap<(CanId, u8), Open>,
}

impl IsoTp {
    /// Nothing open yet.
    #[must_use]
    pub const fn new(addressing: Addressing, limits: Limits) -> Self {
        Self {
            addressing,
            limits,
            open: BTreeMap::new(),
        }
    }

    /// Number of open messages.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Bytes held by open messages.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.open.values().map(|open| open.data.capacity()).sum()
    }

    /// Ends the messages whose time is up.
    pub fn advance(&mut self, now: Stamp, mut emit: impl FnMut(IsoTpEvent)) {
        self.open.retain(|(id, _), open| {
            let idle = now.at.micros_since(open.last.at);
            let limit = if now.estimated || open.last.estimated {
                ESTIMATED_MICROS
            } else {
                CONSECUTIVE_MICROS
            };
            // A clock that was set back: nothing can be said about this message any more.
            let keep = idle <= limit && open.last.at.micros_since(now.at) <= limit;
            if !keep {
                emit(IsoTpEvent::Failure {
                    id: *id,
                    error: IsoTpError::TimedOut,
                });
            }
            keep
        });
    }

    /// A tester asks this unit something new: an unfinished answer will not be finished.
    pub fn interrupt(&mut self, id: CanId, mut emit: impl FnMut(IsoTpEvent)) {
        self.open.retain(|(open, _), _| {
            let keep = *open != id;
            if !keep {
                let error = IsoTpError::Interrupted;
                emit(IsoTpEvent::Failure { id, error });
            }
            keep
        });
    }

    /// Takes the data bytes of a frame.
    pub fn push(&mut self, id: CanId, data: &[u8], stamp: Stamp, mut emit: impl FnMut(IsoTpEvent)) {
        self.advance(stamp, &mut emit);
        let (address, data) = match self.addressing {
            Addressing::Normal => (0, data),
            Addressing::Extended => match data.split_first() {
                Some((address, rest)) => (*address, rest),
                None => return,
            },
        };
        let room = match self.addressing {
            Addressing::Normal => 7usize,
            Addressing::Extended => 6,
        };
        let key = (id, address);
        let Some((&head, rest)) = data.split_first() else {
            return;
        };
        let low = head & 0x0F;
        match head >> 4 {
            0 => {
                let len = usize::from(low);
                self.drop_open(key, &mut emit);
                match rest.get(..len) {
                    Some(payload) if (1..=room).contains(&len) => emit(IsoTpEvent::Message {
                        id,
                        data: payload.to_vec(),
                    }),
                    _ => emit(IsoTpEvent::Failure {
                        id,
                        error: IsoTpError::Length { len: low.into() },
                    }),
                }
            }
            1 => {
                self.drop_open(key, &mut emit);
                if let Err(error) = self.first(key, low, rest, room, stamp, &mut emit) {
                    emit(IsoTpEvent::Failure { id, error });
                }
            }
            2 => self.consecutive(key, low, rest, stamp, emit),
            _ => {}
        }
    }

    fn first(
        &mut self,
        key: (CanId, u8),
        high: u8,
        rest: &[u8],
        room: usize,
        stamp: Stamp,
        emit: &mut impl FnMut(IsoTpEvent),
    ) -> Result<(), IsoTpError> {
        let Some((&low, payload)) = rest.split_first() else {
            return Err(IsoTpError::Length { len: high.into() });
        };
        let short = u16::from_be_bytes([high, low]);
        let (len, payload) = match (short, payload.split_first_chunk::<4>()) {
            (0, Some((long, payload))) => (u32::from_be_bytes(*long), payload),
            _ => (u32::from(short), payload),
        };
        let total = usize::try_from(len).unwrap_or(usize::MAX);
        // A message that fits into a single frame has none, and a long form is for long ones.
        if total <= room || (short == 0 && len <= 4095) || payload.len() >= total {
            return Err(IsoTpError::Length { len });
        }
        if total > self.limits.len {
            return Err(IsoTpError::TooLong { len });
        }
        if self.open.len() >= self.limits.messages {
            let oldest = self.open.iter().min_by_key(|(_, open)| open.last.at);
            if let Some(oldest) = oldest.map(|(key, _)| *key) {
                self.open.remove(&oldest);
                emit(IsoTpEvent::Failure {
                    id: oldest.0,
                    error: IsoTpError::Evicted,
                });
            }
        }
        self.open.insert(
            key,
            Open {
                data: payload.to_vec(),
                len: total,
                next: 1,
                last: stamp,
            },
        );
        Ok(())
    }

    fn consecutive(
        &mut self,
        key: (CanId, u8),
        number: u8,
        rest: &[u8],
        stamp: Stamp,
        mut emit: impl FnMut(IsoTpEvent),
    ) {
        let Some(open) = self.open.get_mut(&key) else {
            return;
        };
        let missing = open.len.saturating_sub(open.data.len());
        let payload = rest.get(..missing.min(rest.len())).unwrap_or(&[]);
        // Only the last frame may be short.
        let is_whole = payload.len() == missing || payload.len() >= 6;
        if number != open.next || !is_whole {
            let expected = open.next;
            self.open.remove(&key);
            emit(IsoTpEvent::Failure {
                id: key.0,
                error: IsoTpError::WrongNumber {
                    expected,
                    got: number,
                },
            });
            return;
        }
        open.data.extend_from_slice(payload);
        open.next = (number + 1) & 0x0F;
        open.last = stamp;
        if open.data.len() >= open.len
            && let Some(done) = self.open.remove(&key)
        {
            emit(IsoTpEvent::Message {
                id: key.0,
                data: done.data,
            });
        }
    }

    fn drop_open(&mut self, key: (CanId, u8), emit: &mut impl FnMut(IsoTpEvent)) {
        if self.open.remove(&key).is_some() {
            emit(IsoTpEvent::Failure {
                id: key.0,
                error: IsoTpError::Interrupted,
            });
        }
    }
}

impl fmt::Debug for IsoTp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IsoTp")
            .field("open", &self.open.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::can::CanTime;
    use crate::encode;
    use proptest::prelude::*;
    use std::vec;

    const ECU: CanId = CanId::Standard(0x7E8);

    fn run(isotp: &mut IsoTp, frames: &[(CanId, Vec<u8>)]) -> Vec<IsoTpEvent> {
        let mut events = Vec::new();
        for ((id, data), n) in frames.iter().zip(0u64..) {
            let stamp = Stamp::exact(CanTime(n * 10_000));
            isotp.push(*id, data, stamp, |event| events.push(event));
        }
        events
    }

    fn frames(data: &[u8], fill: u8) -> Vec<(CanId, Vec<u8>)> {
        let frames = encode::iso_tp(ECU, data, fill).unwrap();
        frames.iter().map(|f| (f.id(), f.data().to_vec())).collect()
    }

    fn message(data: &[u8]) -> IsoTpEvent {
        IsoTpEvent::Message {
            id: ECU,
            data: data.to_vec(),
        }
    }

    #[test]
    fn every_length_arrives_and_fill_is_dropped() {
        let all: Vec<u8> = (0..=255).cycle().take(4095).collect();
        for len in (1..200).chain([4094, 4095]) {
            for fill in [0x00, 0x55, 0xAA, 0xCC, 0xFF] {
                let events = run(&mut IsoTp::default(), &frames(&all[..len], fill));
                assert_eq!(events, [message(&all[..len])], "{len}");
            }
        }
    }

    #[test]
    fn surplus_frames_after_the_end_start_nothing() {
        let mut all = frames(&[0x23; 8], 0);
        for number in 2..9 {
            all.push((ECU, vec![0x20 | number, 0, 0, 0, 0, 0, 0, 0]));
        }
        assert_eq!(run(&mut IsoTp::default(), &all), [message(&[0x23; 8])]);
    }

    #[test]
    fn impossible_lengths_are_refused() {
        for data in [
            vec![0x00, 1, 2, 3],
            vec![0x08, 1, 2, 3, 4, 5, 6, 7],
            vec![0x05, 1, 2],
            vec![0x10, 0x07, 1, 2, 3, 4, 5, 6],
            vec![0x10, 0x00, 0, 0, 0x0F, 0xFF, 1, 2],
            vec![0x10],
        ] {
            let events = run(&mut IsoTp::default(), &[(ECU, data.clone())]);
            assert!(
                matches!(
                    events[..],
                    [IsoTpEvent::Failure {
                        error: IsoTpError::Length { .. },
                        ..
                    }]
                ),
                "{data:x?}"
            );
        }
        let long = vec![0x10, 0x00, 0x7F, 0xFF, 0xFF, 0xFF, 1, 2];
        let events = run(&mut IsoTp::default(), &[(ECU, long)]);
        assert!(matches!(
            events[..],
            [IsoTpEvent::Failure {
                error: IsoTpError::TooLong { .. },
                ..
            }]
        ));
    }

    #[test]
    fn memory_is_bounded_when_messages_never_end() {
        let limits = Limits::default();
        let mut isotp = IsoTp::default();
        for n in 0..2048u16 {
            let id = CanId::Standard(n);
            run(&mut isotp, &[(id, vec![0x1F, 0xFF, 1, 2, 3, 4, 5, 6])]);
            assert!(isotp.open() <= limits.messages);
        }
        assert!(isotp.bytes() <= limits.messages * limits.len);
    }

    #[test]
    fn extended_addressing_keeps_addresses_apart() {
        let mut isotp = IsoTp::new(Addressing::Extended, Limits::default());
        let events = run(
            &mut isotp,
            &[
                (ECU, vec![0x01, 0x10, 0x08, 1, 2, 3, 4, 5]),
                (ECU, vec![0x02, 0x10, 0x08, 9, 9, 9, 9, 9]),
                (ECU, vec![0x01, 0x21, 6, 7, 8, 0, 0, 0]),
            ],
        );
        assert_eq!(events, [message(&[1, 2, 3, 4, 5, 6, 7, 8])]);
    }

    proptest! {
        #[test]
        fn losses_never_yield_a_message_that_was_not_sent(
            lens in proptest::collection::vec(8usize..60, 1..4),
            kept in proptest::collection::vec(proptest::bool::weighted(0.85), 40),
        ) {
            let mut sent = Vec::new();
            let mut all = Vec::new();
            for (len, n) in lens.iter().zip(1u8..) {
                let data = vec![n; *len];
                // The tester asks, then the unit answers: as on a real bus.
                all.push(None);
                all.extend(frames(&data, 0xAA).into_iter().map(Some));
                sent.push(data);
            }
            let mut isotp = IsoTp::default();
            let mut events = Vec::new();
            for (frame, n) in all.into_iter().zip(0usize..) {
                let stamp = Stamp::exact(CanTime(n as u64 * 10_000));
                match frame {
                    None => isotp.interrupt(ECU, |event| events.push(event)),
                    Some((id, data)) if kept[n % kept.len()] => {
                        isotp.push(id, &data, stamp, |event| events.push(event));
                    }
                    Some(_) => {}
                }
            }
            for event in events {
                if let IsoTpEvent::Message { data, .. } = event {
                    prop_assert!(sent.contains(&data));
                }
            }
        }
    }
}
