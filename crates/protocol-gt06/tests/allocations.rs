//! What is read without the heap: the usual messages, from bytes to message and to report.
#![cfg(feature = "telemetry")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use allocation_counter::measure;
use bytes::{BufMut, BytesMut};
use milepost_protocol_gt06::normalize::{self, Context, ReportSource};
use milepost_protocol_gt06::{Deframer, Message, Profile, Start, frame};
use milepost_telemetry::{Origin, Tenant, Timestamp};

const GPS: &[u8] = &[
    0x0f, 0x0c, 0x1d, 0x02, 0x33, 0x05, 0xc9, 0x02, 0x7a, 0xc8, 0x18, 0x0c, 0x46, 0x58, 0x60, 0x00,
    0x14, 0x00,
];
const CELL: &[u8] = &[0x01, 0xcc, 0x00, 0x28, 0x7d, 0x00, 0x1f, 0x71];
const CELL_4G: &[u8] = &[
    0x01, 0xcc, 0x00, 0x00, 0x00, 0x28, 0x7d, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x1f, 0x71,
];

fn stream(frames: u16, number: u8, body: &[&[u8]]) -> BytesMut {
    let mut stream = BytesMut::new();
    for serial in 0..frames {
        frame::encode(Start::Short, number, serial, &mut stream, |out| {
            body.iter().for_each(|part| out.put_slice(part));
        });
    }
    stream
}

/// How often the heap is asked while a thousand frames are deframed, decoded and normalized.
fn allocations(number: u8, body: &[&[u8]]) -> u64 {
    const FRAMES: u16 = 1_000;
    let mut stream = stream(FRAMES, number, body);
    let mut deframer = Deframer::default();
    let device = Some("752533678900242".parse().unwrap());
    let (profile, source) = (
        Profile::default(),
        ReportSource::new(Some(Tenant::new("a").unwrap()), device),
    );
    let mut reports = Vec::with_capacity(1);
    let (mut read, mut reported) = (0, 0);
    let counted = measure(|| {
        while let Some(frame) = deframer.next_frame(&mut stream).unwrap() {
            let message = Message::decode(&frame, profile.dialect()).unwrap();
            read += 1;
            let now = Timestamp::UNIX_EPOCH;
            let cx = Context::new(frame.head(), &profile, &source, now, Origin::default());
            reports.clear();
            normalize::normalize(&message, &cx, &mut reports);
            reported += reports.len();
        }
    });
    assert_eq!(
        (read, reported),
        (FRAMES, usize::from(FRAMES)),
        "{number:#04x}"
    );
    counted.count_total
}

#[test]
fn plain_locations_and_heartbeats_need_no_heap() {
    let trailer: &[u8] = &[1, 0, 0];
    let usual: [(u8, &[&[u8]]); 8] = [
        (0x12, &[GPS, CELL]),
        (0x22, &[GPS, CELL, trailer]),
        (0x22, &[GPS, CELL, trailer, &[0, 1, 2, 3]]),
        (0x2d, &[GPS, CELL, trailer]),
        (0xa0, &[GPS, CELL_4G, trailer]),
        (0x10, &[GPS]),
        (0x13, &[&[0x46, 0x04, 0x04, 0x00, 0x02]]),
        (0x23, &[&[0x46, 0x01, 0x9a, 0x04, 0x00, 0x02]]),
    ];
    for (number, body) in usual {
        // Sharing the read buffer costs one, once; not one a frame.
        let counted = allocations(number, body);
        assert!(
            counted <= 2,
            "{number:#04x}: {counted} allocations for 1,000 frames"
        );
    }
}

#[test]
fn the_counter_counts() {
    // An alarm has an event, which is on the heap.
    let status: &[u8] = &[0x65, 0x06, 0x04, 0x01, 0x02];
    assert!(allocations(0x16, &[GPS, &[0x09], CELL, status]) >= 1_000);
}
