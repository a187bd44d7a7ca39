//! One frame to typed signals, beside a bare mask-and-scale loop over the same fields; and the
//! whole decoder.
#![allow(missing_docs, reason = "a benchmark")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use milepost_protocol_j1939::decoder::{Decoder, Output};
use milepost_protocol_j1939::signal::{self, Reading};
use milepost_protocol_j1939::{CanFrame, CanId, CanTime, J1939Id};

/// EEC1: eight signals.
fn frame() -> CanFrame {
    let data = [0xF0, 0x7D, 0x85, 0x9B, 0x0F, 0x00, 0xF1, 0x85];
    CanFrame::new(CanId::Extended(0x0CF0_0400), &data).expect("eight bytes")
}

/// Position, width, scale, offset.
const FIELDS: [(u32, u32, f64, f64); 8] = [
    (0, 4, 1.0, 0.0),
    (4, 4, 0.125, 0.0),
    (8, 8, 1.0, -125.0),
    (16, 8, 1.0, -125.0),
    (24, 16, 0.125, 0.0),
    (40, 8, 1.0, 0.0),
    (48, 4, 1.0, 0.0),
    (56, 8, 1.0, -125.0),
];

fn signals(c: &mut Criterion) {
    let mut group = c.benchmark_group("j1939");
    let frame = frame();
    group.throughput(Throughput::Elements(1));
    group.bench_function("signals_of_8", |b| {
        b.iter(|| {
            let frame = black_box(&frame);
            let id = J1939Id::new(frame.id()).expect("29 bits");
            let mut out = [Reading::Absent; 8];
            let read = signal::read(id.pgn.raw(), frame.data());
            for (place, sample) in out.iter_mut().zip(read) {
                *place = sample.reading;
            }
            out
        });
    });
    group.bench_function("floor_mask_and_scale_of_8", |b| {
        b.iter(|| {
            let frame = black_box(&frame);
            let word = u64::from_le_bytes(frame.data().try_into().expect("eight bytes"));
            let mut out = [0.0; 8];
            for (place, (start, bits, scale, offset)) in out.iter_mut().zip(black_box(&FIELDS)) {
                let raw = word >> start & ((1 << bits) - 1);
                *place = raw as f64 * scale + offset;
            }
            out
        });
    });
    group.bench_function("decoder_push_and_poll", |b| {
        let mut decoder = Decoder::default();
        b.iter(|| {
            decoder.push(black_box(&frame), CanTime(0));
            let mut sum = 0.0;
            while let Some(Output::Message(message)) = decoder.poll() {
                sum += message
                    .signals()
                    .filter_map(|s| s.reading.value())
                    .sum::<f64>();
            }
            sum
        });
    });
    group.finish();
}

criterion_group!(benches, signals);
criterion_main!(benches);
