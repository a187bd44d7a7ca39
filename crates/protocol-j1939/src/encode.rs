//! Encoding: frames of single groups and of multi-packet messages, for simulators and tests.

use alloc::vec::Vec;

use crate::can::{CanFrame, CanId};
use crate::id::{GLOBAL, J1939Id, Pgn};
use crate::signal::{self, Spn};
use crate::transport::control;

/// Why something cannot be encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The payload does not fit the form.
    #[error("{len} bytes do not fit: {allowed}")]
    Length {
        /// Its length.
        len: usize,
        /// What would fit.
        allowed: &'static str,
    },
    /// The table does not have the signal in this group.
    #[error("group {pgn} has no signal {spn}")]
    UnknownSignal {
        /// The group.
        pgn: u32,
        /// The signal.
        spn: u32,
    },
    /// No code stands for the value.
    #[error("signal {spn} has no code for this value")]
    OutOfRange {
        /// The signal.
        spn: u32,
    },
}

/// A single frame of a group.
///
/// # Errors
/// If there are more than eight bytes.
pub fn single(id: J1939Id, data: &[u8]) -> Result<CanFrame, EncodeError> {
    CanFrame::new(id.to_can(), data).map_err(|_| EncodeError::Length {
        len: data.len(),
        allowed: "at most 8",
    })
}

/// A payload of eight bytes with the given signals; every other bit is set (not available).
///
/// # Errors
/// If a signal is not in the group, or has no code for its value.
pub fn payload(pgn: Pgn, values: &[(u32, f64)]) -> Result<[u8; 8], EncodeError> {
    let group = signal::group(pgn.raw());
    let mut word = u64::MAX;
    for &(number, value) in values {
        let spn = group
            .and_then(|group| group.signals.iter().find(|spn| spn.number == number))
            .filter(|spn| spn.start + u16::from(spn.bits) <= 64)
            .ok_or_else(|| EncodeError::UnknownSignal {
                pgn: pgn.raw(),
                spn: number,
            })?;
        let code = spn
            .code(value)
            .ok_or(EncodeError::OutOfRange { spn: number })?;
        word = put(word, spn, code);
    }
    Ok(word.to_le_bytes())
}

const fn put(word: u64, spn: &Spn, code: u64) -> u64 {
    let mask = u64::MAX >> (64 - spn.bits as u32);
    word & !(mask << spn.start) | code << spn.start
}

/// Announcement and packets of a broadcast (BAM) of 9 to 1785 bytes.
///
/// # Errors
/// If the payload has another length.
pub fn broadcast(source: u8, pgn: Pgn, data: &[u8]) -> Result<Vec<CanFrame>, EncodeError> {
    let (size, packets) = checked(data)?;
    let [low, high] = size.to_le_bytes();
    let [p1, p2, p3] = pgn.to_le_bytes();
    let announcement = [control::BAM, low, high, packets, 0xFF, p1, p2, p3];
    let mut frames = Vec::with_capacity(usize::from(packets) + 1);
    frames.push(frame(Pgn::TP_CM, source, GLOBAL, announcement)?);
    packets_of(Pgn::TP_DT, source, GLOBAL, data, &mut frames)?;
    Ok(frames)
}

/// A transfer with RTS, one CTS for all packets, the packets and the acknowledgement.
///
/// # Errors
/// If the payload does not have 9 to 1785 bytes.
pub fn addressed(
    source: u8,
    destination: u8,
    pgn: Pgn,
    data: &[u8],
) -> Result<Vec<CanFrame>, EncodeError> {
    let (size, packets) = checked(data)?;
    let [low, high] = size.to_le_bytes();
    let [p1, p2, p3] = pgn.to_le_bytes();
    let from = |code, b2, b3, b4, b5| [code, b2, b3, b4, b5, p1, p2, p3];
    let rts = from(control::RTS, low, high, packets, 0xFF);
    let cts = from(control::CTS, packets, 1, 0xFF, 0xFF);
    let end = from(control::END, low, high, packets, 0xFF);
    let mut frames = Vec::with_capacity(usize::from(packets) + 3);
    frames.push(frame(Pgn::TP_CM, source, destination, rts)?);
    frames.push(frame(Pgn::TP_CM, destination, source, cts)?);
    packets_of(Pgn::TP_DT, source, destination, data, &mut frames)?;
    frames.push(frame(Pgn::TP_CM, destination, source, end)?);
    Ok(frames)
}

/// A transfer with the extended protocol, in windows of 255 packets.
///
/// # Errors
/// If the payload does not have 1786 to 117 440 505 bytes.
pub fn extended(
    source: u8,
    destination: u8,
    pgn: Pgn,
    data: &[u8],
) -> Result<Vec<CanFrame>, EncodeError> {
    let wrong = EncodeError::Length {
        len: data.len(),
        allowed: "1786 to 117440505",
    };
    let size = u32::try_from(data.len())
        .ok()
        .filter(|size| (1786..=117_440_505).contains(size))
        .ok_or(wrong)?;
    let [s1, s2, s3, s4] = size.to_le_bytes();
    let [p1, p2, p3] = pgn.to_le_bytes();
    let mut frames = Vec::new();
    let rts = [control::EXTENDED_RTS, s1, s2, s3, s4, p1, p2, p3];
    frames.push(frame(Pgn::ETP_CM, source, destination, rts)?);
    let mut offset = 0u32;
    for window in data.chunks(255 * 7) {
        let count = u8::try_from(window.len().div_ceil(7)).unwrap_or(u8::MAX);
        let [n1, n2, n3, _] = offset.saturating_add(1).to_le_bytes();
        let cts = [control::EXTENDED_CTS, count, n1, n2, n3, p1, p2, p3];
        frames.push(frame(Pgn::ETP_CM, destination, source, cts)?);
        let [o1, o2, o3, _] = offset.to_le_bytes();
        let dpo = [control::EXTENDED_DPO, count, o1, o2, o3, p1, p2, p3];
        frames.push(frame(Pgn::ETP_CM, source, destination, dpo)?);
        packets_of(Pgn::ETP_DT, source, destination, window, &mut frames)?;
        offset = offset.saturating_add(u32::from(count));
    }
    let end = [control::EXTENDED_END, s1, s2, s3, s4, p1, p2, p3];
    frames.push(frame(Pgn::ETP_CM, destination, source, end)?);
    Ok(frames)
}

/// The frames of one ISO-TP message of 1 to 4095 bytes, filled to eight bytes with `fill`.
///
/// # Errors
/// If the payload has another length.
pub fn iso_tp(id: CanId, data: &[u8], fill: u8) -> Result<Vec<CanFrame>, EncodeError> {
    let wrong = EncodeError::Length {
        len: data.len(),
        allowed: "1 to 4095",
    };
    let len = u16::try_from(data.len())
        .ok()
        .filter(|len| (1..=4095).contains(len))
        .ok_or(wrong)?;
    let [high, low] = len.to_be_bytes();
    let build = |head: &[u8], body: &[u8]| {
        let mut bytes = [fill; 8];
        let source = head.iter().chain(body);
        for (place, byte) in bytes.iter_mut().zip(source) {
            *place = *byte;
        }
        CanFrame::new(id, &bytes).map_err(|_| wrong)
    };
    if len <= 7 {
        return Ok(Vec::from([build(&[low], data)?]));
    }
    let (first, rest) = data.split_at_checked(6).ok_or(wrong)?;
    let mut frames = Vec::from([build(&[0x10 | high, low], first)?]);
    for (body, number) in rest.chunks(7).zip((0u8..16).cycle().skip(1)) {
        frames.push(build(&[0x20 | number], body)?);
    }
    Ok(frames)
}

fn checked(data: &[u8]) -> Result<(u16, u8), EncodeError> {
    let size = u16::try_from(data.len())
        .ok()
        .filter(|size| (9..=1785).contains(size));
    let packets = u8::try_from(data.len().div_ceil(7)).ok();
    size.zip(packets).ok_or(EncodeError::Length {
        len: data.len(),
        allowed: "9 to 1785",
    })
}

fn packets_of(
    pgn: Pgn,
    source: u8,
    destination: u8,
    data: &[u8],
    into: &mut Vec<CanFrame>,
) -> Result<(), EncodeError> {
    for (body, number) in data.chunks(7).zip(1u8..=255) {
        let mut bytes = [0xFF; 8];
        for (place, byte) in bytes.iter_mut().zip([number].iter().chain(body)) {
            *place = *byte;
        }
        into.push(frame(pgn, source, destination, bytes)?);
    }
    Ok(())
}

fn frame(pgn: Pgn, source: u8, destination: u8, data: [u8; 8]) -> Result<CanFrame, EncodeError> {
    let id = J1939Id {
        priority: 7,
        pgn,
        source,
        destination,
    };
    single(id, &data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_holds_the_signals_and_nothing_else() {
        let pgn = Pgn::new(65265).unwrap();
        let data = payload(pgn, &[(84, 60.0), (70, 0.0)]).unwrap();
        assert_eq!(data, [0xF3, 0x00, 0x3C, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]);
        assert_eq!(
            payload(pgn, &[(190, 1.0)]),
            Err(EncodeError::UnknownSignal {
                pgn: 65265,
                spn: 190
            })
        );
        assert_eq!(
            payload(pgn, &[(84, 252.0)]),
            Err(EncodeError::OutOfRange { spn: 84 })
        );
    }

    #[test]
    fn lengths_that_a_form_cannot_carry_are_refused() {
        let pgn = Pgn::VI;
        for len in [0, 8, 1786] {
            assert!(broadcast(0, pgn, &alloc::vec![0; len]).is_err(), "{len}");
        }
        assert!(extended(0, 1, pgn, &[0; 1785]).is_err());
        assert!(iso_tp(CanId::Standard(0x7E8), &[], 0).is_err());
        assert!(iso_tp(CanId::Standard(0x7E8), &[0; 4096], 0).is_err());
    }
}
