//! Inputs of `gt06_message`: dialect, form, number, body.
//!
//! The form's bits: 0 and 1 how the frame starts (`78 78`, `79 79`, without serial and checksum,
//! `78 78` with two bytes of length); 2 the dialect is in the profile; 3 and 4 zones are known;
//! 5 the last byte is the length that a frame without checksum announces.

use milepost_protocol_gt06::{Deframer, Dialect, Frame, Start};

use crate::frames::Form;

/// A frame and how it is to be read.
#[derive(Debug)]
pub struct Input {
    pub dialect: Dialect,
    pub frame: Frame,
    /// The dialect is in the profile.
    pub is_known: bool,
    /// The zones in the profile, in minutes.
    pub configured: Option<i16>,
    pub login: Option<i16>,
}

impl Input {
    /// `None` where the input is too short or what it says cannot be delimited.
    #[must_use]
    pub fn read(data: &[u8]) -> Option<Self> {
        let (&[dialect, bits, number], body) = data.split_first_chunk::<3>()?;
        let dialect = Dialect::ALL[usize::from(dialect) % Dialect::ALL.len()];
        Some(Self {
            dialect,
            frame: framed(bits, number, body)?,
            is_known: bits & 0x04 != 0,
            configured: (bits & 0x08 != 0).then_some(i16::MAX),
            login: (bits & 0x10 != 0).then_some(-720),
        })
    }

    /// The input that encodes this frame, its dialect being known.
    #[must_use]
    pub fn write(dialect: Dialect, frame: &Frame) -> Vec<u8> {
        let dialect = Dialect::ALL.iter().position(|one| *one == dialect);
        let dialect = u8::try_from(dialect.expect("one of all")).expect("few dialects");
        let (form, announced) = match Form::of(frame) {
            Form::Checked(Start::Short) => (0, None),
            Form::Checked(Start::Long) => (1, None),
            Form::Checked(Start::Wide) => (3, None),
            Form::Bare(announced) => (2 | 0x20, Some(announced)),
        };
        let mut input = vec![dialect, form | 0x4, frame.number()];
        input.extend_from_slice(frame.body());
        input.extend(announced);
        input
    }
}

fn framed(bits: u8, number: u8, body: &[u8]) -> Option<Frame> {
    let (form, body) = match bits & 3 {
        0 if body.len() <= 250 => (Form::Checked(Start::Short), body),
        2 => match body.split_last() {
            Some((announced, body)) if bits & 0x20 != 0 => (Form::Bare(*announced), body),
            _ => {
                let announced = u8::try_from(body.len()).unwrap_or(u8::MAX);
                (Form::Bare(announced), body)
            }
        },
        3 if body.len() <= 250 => (Form::Checked(Start::Wide), body),
        _ => (Form::Checked(Start::Long), body),
    };
    let raw = form.write(number, 1, body);
    match form {
        // What it announces may say anything.
        Form::Bare(_) => Frame::parse(raw, form.framing()),
        Form::Checked(_) => Deframer::default().next_frame(&mut raw.into()).ok()?,
    }
}
