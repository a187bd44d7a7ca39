//! A 0x22 location, from bytes to message and to report, beside the bare floor: the checksum and
//! reading the fields from a slice into a struct, and nothing else. Then the ten messages that
//! devices send most, and whole streams.
#![allow(missing_docs, reason = "criterion's macros")]
#![allow(clippy::unwrap_used, reason = "a benchmark may fail loudly")]

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use crc::{CRC_16_IBM_SDLC, Crc, Table};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use protocol_gt06::field::{Cell, CellForm, DateTime, Gps, Position, Trailer};
use protocol_gt06::frame::{Found, encode, find};
use protocol_gt06::message::Location;
use protocol_gt06::normalize::{Context, Reports, Speaker};
use protocol_gt06::{Deframer, Dialect, Framing, Message, Profile, Start};
use telemetry::{DeviceId, Origin, Tenant, Timestamp};

const FRAMES: u16 = 1_000;

fn frames() -> Vec<Bytes> {
    (0..FRAMES)
        .map(|n| {
            let step = f64::from(n) * 1e-4;
            let gps = Gps::new(
                DateTime::from_unix(1_700_000_000 + i64::from(n) * 10).unwrap(),
                &Position::from_degrees(23.1 + step, 114.4 - step, 40, n % 360, 9).unwrap(),
            );
            let cell = Cell {
                form: CellForm::L8,
                raw_mcc: 460,
                mnc: 0,
                lac: 10365,
                cell_id: 8049,
            };
            Message::from(Location::new(gps, cell, Trailer::default())).to_bytes(n)
        })
        .collect()
}

static X25: Crc<u16, Table<16>> = Crc::<u16, Table<16>>::new(&CRC_16_IBM_SDLC);

/// What a program without any care would read.
#[derive(Debug, Default)]
#[allow(dead_code, reason = "it is only made")]
struct Bare {
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
fn bare<const LEN: usize, const CELL: usize>(f: &[u8]) -> Option<Bare> {
    let f: &[u8; LEN] = f.get(..LEN)?.try_into().ok()?;
    let sum = X25.checksum(&f[2..LEN - 4]);
    if f[..2] != [0x78, 0x78]
        || f[LEN - 2..] != [0x0d, 0x0a]
        || sum != u16::from_be_bytes([f[LEN - 4], f[LEN - 3]])
    {
        return None;
    }
    let behind = 22 + CELL;
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
        trailer: if behind + 9 == LEN {
            [f[behind], f[behind + 1], f[behind + 2]]
        } else {
            [0; 3]
        },
        serial: u16::from_be_bytes([f[LEN - 6], f[LEN - 5]]),
    })
}

#[inline(always)]
fn to_message(raw: &[u8]) {
    let Found::Frame(head) = find(raw, false, Framing::Checked) else {
        unreachable!("a whole frame")
    };
    let message = Message::decode_slice(&head, raw, Dialect::default());
    black_box(&message);
}

#[inline(always)]
fn to_report(raw: &[u8], profile: &Profile, speaker: &Speaker, reports: &mut Reports) {
    let Found::Frame(head) = find(raw, false, Framing::Checked) else {
        unreachable!("a whole frame")
    };
    let Ok(message) = &Message::decode_slice(&head, raw, Dialect::default()) else {
        unreachable!("a whole frame")
    };
    let now = Timestamp::from_unix(1_700_000_000);
    let cx = Context::new(&head, profile, speaker, now, Origin::default());
    reports.clear();
    message.normalize(&cx, reports);
    black_box(&reports);
}

fn location(c: &mut Criterion) {
    let frames = frames();
    let mut group = c.benchmark_group("gt06/location");
    group.throughput(Throughput::Elements(FRAMES.into()));
    group.bench_function("floor", |b| {
        b.iter(|| {
            for frame in &frames {
                if let Some(message) = bare::<39, 8>(black_box(&frame[..])) {
                    black_box(&message);
                }
            }
        });
    });
    group.bench_function("message", |b| {
        b.iter(|| {
            for frame in &frames {
                to_message(black_box(&frame[..]));
            }
        });
    });
    let profile = Profile::default();
    let speaker = Speaker::new(
        Some(Tenant::new("acme").unwrap()),
        Some(DeviceId::new("752533678900242").unwrap()),
    );
    let mut reports = Vec::with_capacity(1);
    group.bench_function("report", |b| {
        b.iter(|| {
            for frame in &frames {
                to_report(black_box(&frame[..]), &profile, &speaker, &mut reports);
            }
        });
    });
    group.finish();
}

/// Deframed and decoded from a stream of reads of 4 KiB.
fn decode_stream(stream: &[u8]) -> usize {
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

fn stream(c: &mut Criterion) {
    let frames = frames();
    let clean = frames.concat();
    // A tenth of garbage: four random bytes between frames, false starts among them.
    let mut noisy = Vec::new();
    let mut random = 0x2545_f491_u32;
    for frame in &frames {
        for _ in 0..4 {
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            let byte = random.to_le_bytes()[0];
            noisy.push(if byte < 40 { 0x78 } else { byte });
        }
        noisy.extend_from_slice(frame);
    }
    println!(
        "noisy: {} of {FRAMES} frames decoded",
        decode_stream(&noisy)
    );
    let mut group = c.benchmark_group("gt06/stream");
    group.throughput(Throughput::Bytes(u64::try_from(clean.len()).unwrap()));
    group.bench_function("floor", |b| {
        b.iter(|| {
            for frame in black_box(&clean).chunks(39) {
                if let Some(message) = bare::<39, 8>(frame) {
                    black_box(&message);
                }
            }
        });
    });
    group.bench_function("clean", |b| b.iter(|| decode_stream(black_box(&clean))));
    group.throughput(Throughput::Bytes(u64::try_from(noisy.len()).unwrap()));
    group.bench_function("noisy", |b| b.iter(|| decode_stream(black_box(&noisy))));
    group.finish();
}

/// The ten messages that devices send most: start, number, body.
const COMMON: [(&str, Start, u8, &[&[u8]]); 10] = [
    (
        "01 login",
        Start::Short,
        0x01,
        &[b"\x07\x52\x53\x36\x78\x90\x02\x42"],
    ),
    ("10 position", Start::Short, 0x10, &[GPS]),
    ("12 location", Start::Short, 0x12, &[GPS, CELL]),
    (
        "13 heartbeat",
        Start::Short,
        0x13,
        &[b"\x46\x04\x04\x00\x02"],
    ),
    (
        "16 alarm",
        Start::Short,
        0x16,
        &[GPS, b"\x09", CELL, b"\x46\x04\x04\x02\x01"],
    ),
    (
        "21 command reply",
        Start::Long,
        0x21,
        &[b"\x00\x00\x00\x01\x01", b"RELAY:OK!"],
    ),
    (
        "22 location",
        Start::Short,
        0x22,
        &[GPS, CELL, b"\x01\x00\x00"],
    ),
    (
        "26 alarm",
        Start::Short,
        0x26,
        &[GPS, b"\x09", CELL, b"\x46\x04\x04\x02\x01"],
    ),
    ("94 information", Start::Long, 0x94, &[b"\x00\x04\x9f"]),
    (
        "a0 location",
        Start::Short,
        0xa0,
        &[GPS, CELL_4G, b"\x01\x00\x00"],
    ),
];
const GPS: &[u8] = b"\x18\x07\x0c\x0a\x1e\x2d\xc9\x02\x7a\xc8\x55\x0c\x46\x58\x60\x28\x14\x4d";
const CELL: &[u8] = b"\x01\xcc\x00\x28\x7d\x00\x1f\x71";
const CELL_4G: &[u8] = b"\x01\xcc\x00\x00\x00\x28\x7d\x00\x00\x00\x00\x00\x00\x1f\x71";

fn common(c: &mut Criterion) {
    let profile = Profile::default();
    let device = DeviceId::new("752533678900242").unwrap();
    let speaker = Speaker::new(Some(Tenant::new("acme").unwrap()), Some(device));
    let mut reports = Vec::with_capacity(1);
    for (name, start, number, body) in COMMON {
        let mut frame = BytesMut::new();
        encode(start, number, 1, &mut frame, |out| {
            for part in body {
                out.extend_from_slice(part);
            }
        });
        let mut group = c.benchmark_group(format!("gt06/{name}"));
        group.throughput(Throughput::Bytes(u64::try_from(frame.len()).unwrap()));
        match number {
            0x12 => floor(&mut group, &frame, bare::<36, 8>),
            0x22 => floor(&mut group, &frame, bare::<39, 8>),
            0xa0 => floor(&mut group, &frame, bare::<46, 15>),
            _ => {}
        }
        group.bench_function("message", |b| b.iter(|| to_message(black_box(&frame[..]))));
        group.bench_function("report", |b| {
            b.iter(|| to_report(black_box(&frame[..]), &profile, &speaker, &mut reports));
        });
        group.finish();
    }
}

fn floor(
    group: &mut BenchmarkGroup<'_, WallTime>,
    frame: &[u8],
    read: impl Fn(&[u8]) -> Option<Bare>,
) {
    group.bench_function("floor", |b| {
        b.iter(|| {
            let message = read(black_box(frame)).unwrap();
            black_box(&message);
        });
    });
}

criterion_group!(benches, location, common, stream);
criterion_main!(benches);
