//! The ten messages that devices send most, from bytes to message and to report; locations beside
//! the bare floor. The ratios to the floor are measured by `ratio`.
#![allow(missing_docs, reason = "criterion's macros")]
#![allow(clippy::unwrap_used, reason = "a benchmark may fail loudly")]

mod support;

use std::hint::black_box;

use bytes::BytesMut;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use milepost_protocol_gt06::Start;
use milepost_protocol_gt06::frame::encode;
use support::{Bare, Desk, FRAMES, bare, decode_stream, locations, to_message, with_garbage};

/// A thousand locations, each of another time and place.
fn location(c: &mut Criterion) {
    let frames = locations(0x22);
    let mut desk = Desk::new();
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
            frames
                .iter()
                .for_each(|frame| to_message(black_box(&frame[..])))
        });
    });
    group.bench_function("report", |b| {
        b.iter(|| {
            frames
                .iter()
                .for_each(|frame| desk.report(black_box(&frame[..])))
        });
    });
    group.finish();
}

fn stream(c: &mut Criterion) {
    let frames = locations(0x22);
    let clean = frames.concat();
    let noisy = with_garbage(&frames);
    let mut group = c.benchmark_group("gt06/stream");
    for (name, stream) in [("clean", &clean), ("noisy", &noisy)] {
        group.throughput(Throughput::Bytes(u64::try_from(stream.len()).unwrap()));
        group.bench_function(name, |b| b.iter(|| decode_stream(black_box(stream))));
    }
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
    let mut desk = Desk::new();
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
            b.iter(|| desk.report(black_box(&frame[..])));
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
