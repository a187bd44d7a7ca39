//! Inputs of `gt06_deframe`: flags, three sizes of chunks, bytes.
//!
//! The flags' bits: 7 the frames have neither serial nor checksum; 6 whole frames follow after
//! the bytes; 5 `AA` and a number encode sixteen times that many bytes, so that short inputs
//! reach the bounds of long frames.

use milepost_protocol_gt06::{Framing, Start};

use crate::frames::Form;

const BARE: u8 = 0x80;
const FOLLOWED: u8 = 0x40;
const STRETCHED: u8 = 0x20;
const STRETCH: u8 = 0xaa;
const FILL: u8 = 0x55;
/// Twice the longest frame and some.
const LONGEST: usize = 140_000;

/// A stream, how it is cut, and which frames must be found at its end.
#[derive(Debug)]
pub struct Input {
    pub framing: Framing,
    pub sizes: [usize; 4],
    pub stream: Vec<u8>,
    /// Where each of the frames begins that follow.
    pub followed: Vec<(usize, Vec<u8>)>,
}

impl Input {
    #[must_use]
    pub fn read(data: &[u8]) -> Option<Self> {
        let (sizes, bytes) = data.split_first_chunk::<4>()?;
        let flags = sizes[0];
        let mut stream = if flags & STRETCHED == 0 {
            bytes.to_vec()
        } else {
            stretched(bytes)
        };
        let mut followed = Vec::new();
        if flags & FOLLOWED != 0 {
            for frame in follow() {
                followed.push((stream.len(), frame.clone()));
                stream.extend(frame);
            }
        }
        Some(Self {
            framing: if flags & BARE == 0 {
                Framing::Checked
            } else {
                Framing::Bare
            },
            sizes: sizes.map(|size| usize::from(size) % 67),
            stream,
            followed,
        })
    }

    /// The input that encodes this stream.
    #[must_use]
    pub fn write(framing: Framing, is_followed: bool, stream: &[u8]) -> Vec<u8> {
        let flag = |is_set, flag| if is_set { flag } else { 0 };
        let flags = flag(framing == Framing::Bare, BARE) | flag(is_followed, FOLLOWED);
        let input = |flags: u8, bytes: &[u8]| [&[flags | 5, 17, 2, 67], bytes].concat();
        match shrunk(stream) {
            Some(shrunk) if shrunk.len() < stream.len() => input(flags | STRETCHED, &shrunk),
            _ => input(flags, stream),
        }
    }
}

/// What [`stretched`] makes the stream of, if anything is.
fn shrunk(stream: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = stream;
    while let [byte, after @ ..] = rest {
        let run = rest.iter().take_while(|byte| **byte == FILL).count() / 16;
        match u8::try_from(run.min(255)) {
            Ok(run) if run > 0 => {
                bytes.extend([STRETCH, run]);
                rest = &rest[usize::from(run) * 16..];
            }
            _ if *byte == STRETCH => return None,
            _ => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    Some(bytes)
}

fn stretched(bytes: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    let mut bytes = bytes.iter();
    while let Some(&byte) = bytes.next() {
        match (byte, bytes.as_slice()) {
            (STRETCH, [times, ..]) => {
                bytes.next();
                stream.resize(stream.len() + usize::from(*times) * 16, FILL);
            }
            _ => stream.push(byte),
        }
        if stream.len() > LONGEST {
            break;
        }
    }
    stream
}

/// Frames that must be found whatever comes before them.
fn follow() -> [Vec<u8>; 3] {
    let write = |start, number, serial, body: &[u8]| {
        Form::Checked(start).write(number, serial, body).to_vec()
    };
    [
        write(Start::Short, 0x13, 1, &[0x46, 5, 4, 0, 2]),
        write(Start::Long, 0x94, 2, b"\x04a body\x00of some length"),
        write(Start::Short, 0x01, 3, &[1, 2, 3, 4, 5, 6, 7, 8]),
    ]
}
