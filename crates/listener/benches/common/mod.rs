//! What the benchmarks' clients send, and the bare loops that they are measured against.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each benchmark uses a part of it"
)]

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;

/// The login of the n-th device.
pub fn login(device: usize) -> Vec<u8> {
    let imei = format!("{:016}", 860_000_000_000_000 + device);
    frame(0x01, &hex::decode(imei).expect("digits"))
}

/// A location with cell tower and flags, in the form that most devices send (0x22).
pub fn location(n: usize) -> Vec<u8> {
    let mut body = hex::decode("0f0c1d0233050c027ac8190c4658000014e0").expect("hex");
    // Ten frames per second of the device's clock at most: the facts differ.
    let second = u8::try_from(n % 60).unwrap_or_default();
    let minute = u8::try_from(n / 60 % 60).unwrap_or_default();
    for (at, value) in [(4, minute), (5, second)] {
        if let Some(byte) = body.get_mut(at) {
            *byte = value;
        }
    }
    body.extend(hex::decode("01cc00287d001f71010000").expect("hex"));
    frame(0x22, &body)
}

fn frame(number: u8, body: &[u8]) -> Vec<u8> {
    let length = u8::try_from(body.len() + 5).expect("a short frame");
    let mut checked = vec![length, number];
    checked.extend(body);
    checked.extend([0x00, 0x01]);
    let crc = crc_x25(&checked);
    [&[0x78, 0x78], &*checked, &crc.to_be_bytes(), b"\r\n"].concat()
}

fn crc_x25(bytes: &[u8]) -> u16 {
    let crc = bytes.iter().fold(0xffff_u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| {
            if crc & 1 == 0 {
                crc >> 1
            } else {
                crc >> 1 ^ 0x8408
            }
        })
    });
    !crc
}

/// The floor: reads, answers the first read with ten bytes (as a login is answered), counts the
/// rest. Holds no buffer while it waits, and costs one system call per read.
pub async fn bare(mut stream: TcpStream, on_read: impl Fn(usize)) {
    let mut answered = false;
    loop {
        let read = poll_fn(|cx| {
            let mut scratch = [0; 4_096];
            let mut scratch = ReadBuf::new(&mut scratch);
            ready!(Pin::new(&mut stream).poll_read(cx, &mut scratch))?;
            Poll::Ready(Ok::<_, io::Error>(scratch.filled().len()))
        })
        .await;
        let Ok(n @ 1..) = read else { return };
        on_read(n);
        if !answered {
            answered = true;
            if stream.try_write(&[0; 10]).is_err() {
                return;
            }
        }
    }
}
