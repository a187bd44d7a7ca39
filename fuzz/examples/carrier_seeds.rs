//! Writes the seeds of the carriers' targets: invented frames, made by the crate's own encoder. Run
//! it from anywhere: `cargo run --manifest-path fuzz/Cargo.toml --example carrier_seeds`.

use std::path::Path;
use std::{fs, io};

use bytes::BytesMut;
use milepost_fuzz::carrier::write;
use milepost_protocol_j1939::carrier::{ByteOrder, Encoder, Form, Setting};
use milepost_protocol_j1939::{CanFrame, CanId, CanTime};

fn main() -> io::Result<()> {
    for form in Form::ALL {
        let name = form.name().replace('-', "_");
        let target = match form {
            Form::SocketCan(_) => "socketcan",
            _ => &name,
        };
        let stream = stream(form);
        seed(target, &name, form.into(), &stream)?;
        seed("detect", &name, Setting::Detect, &stream)?;
        seed(
            target,
            &format!("{name}-damaged"),
            form.into(),
            &damaged(&stream),
        )?;
        for (n, text) in texts(form).iter().enumerate() {
            seed(target, &format!("{name}-text-{n}"), form.into(), text)?;
        }
    }
    Ok(())
}

fn frames() -> Vec<CanFrame> {
    let data = [0xF3, 0x00, 0x3C, 0xCF, 0xFF, 0x27, 0xE0, 0x11];
    (0..12u32)
        .map(|n| {
            let id = match n % 4 {
                3 => CanId::Standard(0x7E8),
                n => CanId::Extended([0x18FE_F100, 0x0CF0_0400, 0x18EC_FF00][n as usize]),
            };
            let len = if n < 9 { n as usize } else { 8 };
            let frame = CanFrame::new(id, &data[..len]).expect("a frame");
            frame.with_time(Some(CanTime::new(59, n * 200_000)))
        })
        .collect()
}

fn stream(form: Form) -> Vec<u8> {
    let (mut encoder, mut out) = (Encoder::new(form), BytesMut::new());
    encoder.greet(&mut out);
    for frame in frames() {
        encoder.encode(&frame, &mut out).expect("no remote frame");
    }
    if form.carries_remote() {
        let remote = CanFrame::remote(CanId::Standard(0x7DF), 8).expect("a frame");
        encoder
            .encode(&remote, &mut out)
            .expect("a form with remote frames");
    }
    out.to_vec()
}

/// Garbage in the middle of a record, and whole records after it.
fn damaged(stream: &[u8]) -> Vec<u8> {
    let (before, after) = stream.split_at(stream.len() / 2 + 3);
    [before, b"\xff<?\xff", after, stream].concat()
}

/// What the encoder does not write.
fn texts(form: Form) -> &'static [&'static [u8]] {
    match form {
        Form::Candump => &[
            b" (000.008281)  can0  0CF00203   [8]  C1 6A 14 FF F7 E8 24 03   '.j....$.'\n",
            b" (2018-11-29 16:45:33.1)  can0  RX B -  123  [12]  11\n  can0  123   [3]  remote request\n",
            b"(1.5) x 123#1122334455667788_C\n(1.5) x 123##11122\n(1.5) x 20000004#00 T\nx 123#R8_9\n",
        ],
        Form::Slcan => &[b"t72081122334455667788EA5F\rz\r\x07V1013\rt7200023E000000000000\rd12391122334455667788AABBCCDD\r"],
        Form::Socketcand => &[b"< hi >< ok >< ok >< echo >< frame 7 1.5 11 22 >< frame CF00400 23.424242  >< fdframe 1 2 3 >"],
        Form::Elm327 => &[
            b"7E8 06 41 00 BE 3E B8 11\r7E8064100BE3EB811\r18DAF11003410D32\r7E8 2 41 0D\r>NO DATA\r",
            b"6 0FEF1 00 F3 00 3C CF\r3 0EAFF F9 CA FE 00\r7E8 06 41 <RX ERROR\r>",
            b"0902\r014\r0: 49 02 01 31 44 34\r1: 47 50 30 30 52 35 35\r2:42313233343536\r\r>410D32\r",
        ],
        Form::SocketCan(ByteOrder::Little) => &[
            b"\x00\xf1\xfe\x98\x0c\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x04\0\0\x20\x08\0\0\0\0\0\0\0\0\0\0\0",
        ],
        Form::Cannelloni => &[b"CANNELLONIv1\x98\xfe\xf1\x00\x88\x01\0\0\0\0\0\0\0\0\x00\x00\x07\xdf\x01\xffCANNELLONIv1\x00\x00\x07\xdf\x00"],
        _ => &[],
    }
}

fn seed(target: &str, name: &str, setting: Setting, stream: &[u8]) -> io::Result<()> {
    let folder = format!("seeds/j1939_carrier_{target}");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), write(setting, stream))
}
