//! What both benchmarks measure, and the bare floor beside it: a program without any care that checks
//! the checksum, by the `crc` crate, and reads the fields from a slice into a struct.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use crc::{CRC_16_IBM_SDLC, Crc, Table};
use milepost_protocol_gt06::field::{Cell, CellForm, DateTime, Gps, Position, Trailer};
use milepost_protocol_gt06::find::{Found, find};
use milepost_protocol_gt06::message::{Location, LocationRest};
use milepost_protocol_gt06::normalize::{Context, ReportSource, Reports};
use milepost_protocol_gt06::{Deframer, Dialect, Framing, Message, Profile};
use milepost_telemetry::{DeviceId, Origin, Tenant, Timestamp};

/// How many frames a set has: more than the processor could learn by heart.
pub(crate) const FRAMES: u16 = 1_000;

/// A set of plain locations of one number (0x12, 0x22 or 0xA0), each of another time and place.
pub(crate) fn locations(number: u8) -> Vec<Bytes> {
    (0..FRAMES).map(|n| location(number, n)).collect()
}

fn location(number: u8, n: u16) -> Bytes {
    let step = f64::from(n) * 1e-4;
    let gps = Gps::new(
        DateTime::from_unix(1_700_000_000 + i64::from(n) * 10).unwrap(),
        &Position::from_degrees(23.1 + step, 114.4 - step, 40, n % 360, 9).unwrap(),
    );
    let form = match number {
        0xa0 => CellForm::L15,
        _ => CellForm::L8,
    };
    let cell = Cell {
        form,
        raw_mcc: 460,
        mnc: 0,
        lac: 10365,
        cell_id: 8049,
    };
    let mut location = Location::new(gps, cell, Trailer::default());
    location.number = number;
    if number == 0x12 {
        location.rest = LocationRest::Nothing;
    }
    Message::from(location).to_bytes(n)
}

static X25: Crc<u16, Table<16>> = Crc::<u16, Table<16>>::new(&CRC_16_IBM_SDLC);

/// What a program without any care would read.
#[derive(Debug, Default)]
#[allow(dead_code, reason = "it is only made")]
pub(crate) struct Bare {
    time: [u8; 6],
    satellites: u8,
    latitude: u32,
    longitude: u32,
    speed: u8,
    course: u16,
    mcc: u16,
    mnc: u8,
    lac: u32,
    cell: u64,
    trailer: [u8; 3],
    serial: u16,
}

/// A frame of `LEN` bytes with a cell of `CELL` bytes, and a trailer if there is room for one.
#[inline]
pub(crate) fn bare<const LEN: usize, const CELL: usize>(f: &[u8]) -> Option<Bare> {
    let f: &[u8; LEN] = f.get(..LEN)?.try_into().ok()?;
    let sum = X25.checksum(&f[2..LEN - 4]);
    if f[..2] != [0x78, 0x78]
        || f[LEN - 2..] != [0x0d, 0x0a]
        || sum != u16::from_be_bytes([f[LEN - 4], f[LEN - 3]])
    {
        return None;
    }
    let after = 22 + CELL;
    Some(Bare {
        time: [f[4], f[5], f[6], f[7], f[8], f[9]],
        satellites: f[10] & 0x0f,
        latitude: u32::from_be_bytes([f[11], f[12], f[13], f[14]]),
        longitude: u32::from_be_bytes([f[15], f[16], f[17], f[18]]),
        speed: f[19],
        course: u16::from_be_bytes([f[20], f[21]]),
        mcc: u16::from_be_bytes([f[22], f[23]]),
        mnc: f[24],
        lac: if CELL == 15 {
            u32::from_be_bytes([f[25], f[26], f[27], f[28]])
        } else {
            u32::from_be_bytes([0, 0, f[25], f[26]])
        },
        cell: if CELL == 15 {
            u64::from_be_bytes([f[29], f[30], f[31], f[32], f[33], f[34], f[35], f[36]])
        } else {
            u64::from_be_bytes([0, 0, 0, 0, 0, f[27], f[28], f[29]])
        },
        trailer: if after + 9 == LEN {
            [f[after], f[after + 1], f[after + 2]]
        } else {
            [0; 3]
        },
        serial: u16::from_be_bytes([f[LEN - 6], f[LEN - 5]]),
    })
}

/// From a frame's bytes to its message.
#[inline(always)]
pub(crate) fn to_message(raw: &[u8]) {
    let Found::Frame(head) = find(raw, false, Framing::Checked) else {
        unreachable!("a whole frame")
    };
    let message = Message::decode_slice(&head, raw, Dialect::default());
    black_box(&message);
}

/// The reporting device, what is known about it, and where reports are put.
pub(crate) struct Desk {
    profile: Profile,
    source: ReportSource,
    reports: Reports,
}

impl Desk {
    /// Of a device that has logged in.
    pub(crate) fn new() -> Self {
        Self {
            profile: Profile::default(),
            source: ReportSource::new(
                Some(Tenant::new("acme").unwrap()),
                Some(DeviceId::new("752533678900242").unwrap()),
            ),
            reports: Vec::with_capacity(1),
        }
    }

    /// From a frame's bytes to its report, identity included.
    #[inline(always)]
    pub(crate) fn report(&mut self, raw: &[u8]) {
        let Found::Frame(head) = find(raw, false, Framing::Checked) else {
            unreachable!("a whole frame")
        };
        let Ok(message) = &Message::decode_slice(&head, raw, Dialect::default()) else {
            unreachable!("a whole frame")
        };
        let now = Timestamp::from_unix(1_700_000_000);
        let cx = Context::new(&head, &self.profile, &self.source, now, Origin::default());
        self.reports.clear();
        message.normalize(&cx, &mut self.reports);
        black_box(&self.reports);
    }
}

/// A stream with a tenth of garbage: four random bytes before each frame, false starts among them.
pub(crate) fn with_garbage(frames: &[Bytes]) -> Vec<u8> {
    let mut noisy = Vec::new();
    let mut random = 0x2545_f491_u32;
    for frame in frames {
        for _ in 0..4 {
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            let byte = random.to_le_bytes()[0];
            noisy.push(if byte < 40 { 0x78 } else { byte });
        }
        noisy.extend_from_slice(frame);
    }
    noisy
}

/// Deframed and decoded from a stream of reads of 4 KiB: how many messages.
pub(crate) fn decode_stream(stream: &[u8]) -> usize {
    let mut deframer = Deframer::new();
    let mut src = BytesMut::with_capacity(8_192);
    let mut decoded = 0;
    for chunk in stream.chunks(4_096) {
        src.extend_from_slice(chunk);
        loop {
            // By reference: a frame that was just made is slow to move.
            match &deframer.next_frame(&mut src) {
                Ok(Some(frame)) => {
                    decoded += usize::from(Message::decode(frame, Dialect::default()).is_ok());
                }
                Ok(None) => break,
                Err(_) => {}
            }
        }
    }
    decoded
}
