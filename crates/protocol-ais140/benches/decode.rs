//! A tracking packet of some 300 bytes, from bytes to report, beside a bare split-and-parse of the
//! same fields.
#![allow(missing_docs, reason = "criterion's macros")]
#![allow(clippy::unwrap_used, reason = "a benchmark may fail loudly")]

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use milepost_protocol_ais140::normalize::{Arrival, ReportSource, normalize};
use milepost_protocol_ais140::{Dialects, Frame, Known, Message, Profile, Session};
use milepost_telemetry::{Origin, Timestamp};

const ROADPOINT: &[u8] = b"$NRM,ROADRPA,1.0.0,NR,01,L,123456789012347,KA01AB1234,1,05032024,061530,\
    12.976545,N,77.549759,E,32.5,118.0,11,914.0,1.20,0.80,Airtel,1,1,12.6,4.1,0,C,24,404,45,61B4,9AD9,\
    31,61B4,9ADB,28,61B4,9AE1,22,61B5,1F03,19,61B5,1F07,0001,00,000127,";
const ITRIANGLE: &[u8] = b"$Header,iTriangle,1_37T02B0164MAIS_2,NR,1,L,123456789012347,KA01I2000,1,\
    19042018,102926,22.846401,N,75.948952,E,0.0,311,5,578.0,3.80,3.67,AirTel,0,1,12.5,4.3,0,C,14,404,\
    93,0456,16db,29,ebd8,0458,28,3843,18ab,25,072e,18ab,22,35da,0458,0000,00,031181,0.0,0.0,0,()*";

/// The fields a report needs, taken by position and parsed with the standard library: no framing,
/// no checksum, no dialect, no tolerance.
type Fields = (u64, f64, f64, [f64; 8], [u32; 16]);

fn bare(line: &[u8]) -> Option<Fields> {
    let text = core::str::from_utf8(line).ok()?;
    let items: Vec<&str> = text.split(',').collect();
    let number = |at: usize| items.get(at)?.parse::<f64>().ok();
    let hex = |at: usize| u32::from_str_radix(items.get(at)?, 16).ok();
    let imei = items.get(6)?.parse().ok()?;
    let date: u32 = items.get(9)?.parse().ok()?;
    let time: u32 = items.get(10)?.parse().ok()?;
    let mut numbers = [0.0; 8];
    for (place, at) in numbers.iter_mut().zip([15, 16, 17, 18, 19, 20, 24, 25]) {
        *place = number(at)?;
    }
    let mut cells = [0; 16];
    cells[0] = date;
    cells[1] = time;
    for (place, at) in cells
        .iter_mut()
        .skip(2)
        .zip([31, 32, 34, 35, 37, 38, 40, 41, 43, 44])
    {
        *place = hex(at)?;
    }
    for (place, at) in cells.iter_mut().skip(12).zip([29, 30, 28]) {
        *place = items.get(at)?.parse().ok()?;
    }
    Some((imei, number(11)?, number(13)?, numbers, cells))
}

/// With its checksum.
fn packet(body: &[u8]) -> Bytes {
    let mut packet = body.to_vec();
    if body.ends_with(b"*") {
        let sum = body.iter().fold(0, |sum, b| sum ^ b);
        packet.extend_from_slice(format!("{sum:02X}").as_bytes());
    } else {
        let sum = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(body);
        packet.extend_from_slice(format!("{sum:08X}*").as_bytes());
    }
    packet.into()
}

fn decode(c: &mut Criterion) {
    for (name, body) in [("roadpoint", ROADPOINT), ("itriangle", ITRIANGLE)] {
        let raw = packet(body);
        let mut group = c.benchmark_group(format!("ais140/{name}"));
        group.throughput(Throughput::Bytes(u64::try_from(raw.len()).unwrap()));
        group.bench_function("bare", |b| b.iter(|| bare(black_box(&raw))));

        let mut session = Session::default();
        let frame = Frame::new(raw.clone());
        for _ in 0..4 {
            let handled = session.on_frame(&frame, 1_709_619_330);
            if handled.identify.is_some() {
                session.on_identified(None);
            }
        }
        let dialects = Dialects::builtin();
        let known: Known = session.profile().known(&dialects);
        group.bench_function("message", |b| {
            b.iter(|| Message::decode(&Frame::new(black_box(raw.clone())), &dialects, &known));
        });

        let line = [&raw[..], b"\r\n"].concat();
        let mut stream = BytesMut::with_capacity(4_096);
        group.bench_function("deframe", |b| {
            b.iter(|| {
                stream.extend_from_slice(black_box(&line));
                session.next_frame(&mut stream)
            });
        });
        group.bench_function("handle", |b| {
            b.iter(|| session.on_frame(black_box(&frame), 1_709_619_332));
        });

        let source = ReportSource::new(None, session.imei().and_then(|imei| imei.device_id()));
        let origin = Origin {
            epoch: 1,
            connection: 1,
            frame: 1,
        };
        let arrival = Arrival {
            at: Timestamp::from_unix(1_709_619_332),
            origin,
        };
        let mut reports = Vec::with_capacity(1);
        let handled = session.on_frame(&frame, 1_709_619_332);
        group.bench_function("normalize", |b| {
            b.iter(|| {
                reports.clear();
                normalize(black_box(&handled), &source, arrival, &mut reports);
            });
        });
        group.bench_function("report", |b| {
            b.iter(|| {
                stream.extend_from_slice(black_box(&line));
                let frame = session.next_frame(&mut stream).unwrap().unwrap();
                let handled = session.on_frame(&frame, 1_709_619_332);
                reports.clear();
                normalize(&handled, &source, arrival, &mut reports);
                black_box(&reports);
            });
        });
        assert_eq!(reports.len(), 1);
        assert_eq!(session.profile(), &Profile::clone(session.profile()));
        group.finish();
    }
}

criterion_group!(benches, decode);
criterion_main!(benches);
