//! Candump text beside the bare floor: `cargo bench -p milepost-protocol-j1939 --bench carrier`.
//!
//! The floor finds lines and `#` with memchr and converts the digits in a loop; it checks nothing,
//! reads no time and makes no frame. Both take turns, so that a machine that is slow for a while is
//! slow for both; `carrier/ratio` prints the median of the rounds' ratios. The other forms are
//! measured without a floor.
#![allow(clippy::unwrap_used, reason = "a benchmark may fail loudly")]
#![allow(clippy::disallowed_methods, reason = "it measures time")]

use std::hint::black_box;
use std::time::Instant;

use bytes::BytesMut;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use memchr::memchr;
use milepost_protocol_j1939::carrier::{Carrier, Encoder, Form, RecordKind};
use milepost_protocol_j1939::{CanFrame, CanId, CanTime};

const FRAMES: usize = 1_000;

fn frames() -> Vec<CanFrame> {
    let ids = [0x18FE_F100, 0x0CF0_0400, 0x0CF0_0203, 0x18FE_E000];
    (0..FRAMES as u64)
        .map(|n| {
            let id = CanId::Extended(ids[n as usize % ids.len()]);
            let data = n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes();
            let time = CanTime::new(1_543_509_533 + n / 500, n as u32 % 500 * 2_000);
            CanFrame::new(id, &data).unwrap().with_time(Some(time))
        })
        .collect()
}

fn stream(form: Form) -> BytesMut {
    let (mut encoder, mut out) = (Encoder::new(form), BytesMut::new());
    encoder.greet(&mut out);
    for frame in frames() {
        encoder.encode(&frame, &mut out).unwrap();
    }
    out
}

fn decode(form: Form, stream: &mut BytesMut) -> usize {
    let (mut carrier, mut frames) = (Carrier::new(form), 0);
    while let Some(record) = carrier.next_frame(stream).unwrap() {
        if let Some(frame) = record.frame() {
            black_box(&frame);
            frames += 1;
        }
    }
    frames
}

/// Without keeping the bytes of records.
fn decode_bare(form: Form, stream: &mut BytesMut) -> usize {
    let (mut carrier, mut frames) = (Carrier::new(form), 0);
    while let Some(kind) = carrier.next_kind(stream).unwrap() {
        if let RecordKind::Frame(frame) = kind {
            black_box(&frame);
            frames += 1;
        }
    }
    frames
}

/// What any reader of candump lines has to do at least.
fn floor(mut stream: &[u8]) -> usize {
    let mut frames = 0;
    while let Some(end) = memchr(b'\n', stream) {
        let line = &stream[..end];
        stream = &stream[end + 1..];
        let Some(hash) = memchr(b'#', line) else {
            continue;
        };
        let id = line[hash - 8..hash]
            .iter()
            .fold(0u32, |id, digit| id << 4 | u32::from(nibble(*digit)));
        let mut data = [0u8; 8];
        for (byte, digits) in data.iter_mut().zip(line[hash + 1..].chunks_exact(2)) {
            *byte = nibble(digits[0]) << 4 | nibble(digits[1]);
        }
        black_box((id, data));
        frames += 1;
    }
    frames
}

fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit & !0x20) - b'A' + 10,
    }
}

fn forms(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("j1939/carrier");
    for form in Form::ALL {
        let stream = stream(form);
        assert_eq!(decode(form, &mut stream.clone()), FRAMES);
        group.throughput(Throughput::Bytes(stream.len() as u64));
        group.bench_function(form.name(), |bencher| {
            bencher.iter_batched_ref(
                || stream.clone(),
                |stream| decode(form, stream),
                BatchSize::LargeInput,
            );
        });
    }
    let text = stream(Form::Candump);
    assert_eq!(floor(&text), FRAMES);
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("candump-floor", |bencher| {
        bencher.iter(|| floor(black_box(&text)));
    });
    group.finish();
    ratio("with bytes kept", &text, decode);
    ratio("without", &text, decode_bare);
}

fn ratio(what: &str, text: &BytesMut, decode: fn(Form, &mut BytesMut) -> usize) {
    let rounds: Vec<[f64; 2]> = (0..3_000)
        .map(|_| {
            let mut ours = text.clone();
            let start = Instant::now();
            black_box(floor(black_box(text)));
            let bare = start.elapsed().as_secs_f64();
            let start = Instant::now();
            black_box(decode(Form::Candump, &mut ours));
            [start.elapsed().as_secs_f64(), bare]
        })
        .skip(300)
        .collect();
    let median = |of: fn(&[f64; 2]) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let rate = |seconds: f64| text.len() as f64 / seconds / 1e6;
    println!(
        "carrier/ratio {what}: candump {:.0} MB/s, floor {:.0} MB/s, ours is {:.0} % of the floor; {:.1} ns a line",
        rate(median(|r| r[0])),
        rate(median(|r| r[1])),
        median(|r| r[1] / r[0]) * 100.0,
        median(|r| r[0]) * 1e9 / FRAMES as f64,
    );
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_secs(1));
    targets = forms
}
criterion_main!(benches);
