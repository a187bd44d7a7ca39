//! Decoding beside the bare floor, as ratios: `cargo bench -p milepost-protocol-gt06 --bench ratio`.
//!
//! All take turns, a thousand frames each, so that a machine that is slow for a while is slow for
//! all of them. What is printed are medians; the ratio is the median of the rounds' ratios.
#![allow(clippy::unwrap_used, reason = "a benchmark may fail loudly")]
#![allow(clippy::disallowed_methods, reason = "it measures time")]

mod support;

use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use support::{Bare, Desk, bare, decode_stream, locations, to_message, with_garbage};

const ROUNDS: usize = 3_000;

fn main() {
    let set = |number| locations(number);
    println!("nanoseconds a frame           ours   floor   ratio");
    location("0x12", &set(0x12), bare::<36, 8>);
    location("0x22", &set(0x22), bare::<39, 8>);
    location("0xa0", &set(0xa0), bare::<46, 15>);
    println!("\nmillion bytes a second        ours   floor   share");
    streams(&set(0x22));
}

fn location(name: &str, frames: &[Bytes], read: impl Fn(&[u8]) -> Option<Bare>) {
    let mut desk = Desk::new();
    let [floor, message, report] = take_turns([
        &mut || decode_bare(frames, &read),
        &mut || frames.iter().for_each(|f| to_message(black_box(&f[..]))),
        &mut || frames.iter().for_each(|f| desk.report(black_box(&f[..]))),
    ]);
    let per_frame = |rounds: &[f64]| median(rounds) * 1e9 / frames.len() as f64;
    for (what, ours) in [("message", message), ("report", report)] {
        let ratio = median(&divide(&ours, &floor));
        let (ours, floor) = (per_frame(&ours), per_frame(&floor));
        println!("{name} bytes to {what:<10} {ours:>8.1} {floor:>7.1} {ratio:>7.2}");
    }
}

fn streams(frames: &[Bytes]) {
    let (clean, noisy) = (frames.concat(), with_garbage(frames));
    assert_eq!(decode_stream(&clean), frames.len());
    let found = decode_stream(&noisy);
    let [floor, ours_clean, ours_noisy] = take_turns([
        &mut || decode_bare(frames, &bare::<39, 8>),
        &mut || _ = black_box(decode_stream(black_box(&clean))),
        &mut || _ = black_box(decode_stream(black_box(&noisy))),
    ]);
    let rate = |rounds: &[f64], bytes: usize| bytes as f64 / median(rounds) / 1e6;
    for (what, stream, ours) in [("clean", &clean, ours_clean), ("noisy", &noisy, ours_noisy)] {
        let longer = stream.len() as f64 / clean.len() as f64;
        let share = median(&divide(&floor, &ours)) * longer * 100.0;
        let (ours, floor) = (rate(&ours, stream.len()), rate(&floor, clean.len()));
        println!("0x22 stream, {what:<12} {ours:>8.0} {floor:>7.0} {share:>6.0}%");
    }
    println!(
        "(of {} frames among garbage {found} are found)",
        frames.len()
    );
}

fn decode_bare(frames: &[Bytes], read: &impl Fn(&[u8]) -> Option<Bare>) {
    for frame in frames {
        black_box(&read(black_box(&frame[..])).unwrap());
    }
}

/// Seconds of each round of each one.
fn take_turns<const N: usize>(mut all: [&mut dyn FnMut(); N]) -> [Vec<f64>; N] {
    let mut seconds = [const { Vec::new() }; N];
    for round in 0..ROUNDS + ROUNDS / 10 {
        for (one, seconds) in all.iter_mut().zip(&mut seconds) {
            let start = Instant::now();
            one();
            // The first rounds warm up.
            if round >= ROUNDS / 10 {
                seconds.push(start.elapsed().as_secs_f64());
            }
        }
    }
    seconds
}

fn divide(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a / b).collect()
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
