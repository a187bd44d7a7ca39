//! Inputs of `gt06_session`: a setup and steps.
//!
//! | byte | meaning |
//! |---|---|
//! | first | flags, see [`Setup`] |
//! | second | the dialect that is known of the device: 0 none |
//! | third | how what arrives is cut; bit 7: little room for files, and a type word is known |
//! | then, 00 to 3F | that many bytes arrive |
//! | 40 to 7F | a frame: bits 0 and 1 its form, 2 and 3 its [`Fault`]; number; what it announces if it is a relative's; size of the body; body |
//! | 80 to 8F | a pause |
//! | 90 to 9F | a command of as many characters as the low four bits say |
//! | A0 to AF | time goes by |
//! | B0 to BF | the connection ends, and the device calls again |
//! | C0 to CF | the device sends back what it was sent last |
//! | D0 to DF | the device sends its last frame again |
//! | E0 to EF | what frames begin or end with, or half of it |
//! | F0 to FF | sixteen times the low four bits and sixteen bytes arrive |

use milepost_protocol_gt06::command::Language;
use milepost_protocol_gt06::{Dialect, Profile, Start};

use crate::frames::{Fault, Form};

/// What is so from the beginning.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    flags: u8,
    dialect: u8,
    cuts: u8,
}

impl Setup {
    pub const LOCATIONS: u8 = 0x01;
    pub const RESOLVER: u8 = 0x02;
    pub const CARDS: u8 = 0x04;
    pub const LONG_COMMANDS: u8 = 0x08;
    pub const BARE: u8 = 0x10;
    pub const ACKNOWLEDGE: u8 = 0x20;
    pub const ZONES: u8 = 0x40;
    pub const LANGUAGE: u8 = 0x80;

    #[must_use]
    pub const fn new(flags: u8, dialect: Option<u8>) -> Self {
        let dialect = match dialect {
            Some(at) => at + 1,
            None => 0,
        };
        Self {
            flags,
            dialect,
            cuts: 0x5a,
        }
    }

    /// With little room for files, and a type word that is known.
    #[must_use]
    pub const fn tight(self) -> Self {
        Self {
            cuts: self.cuts | 0x80,
            ..self
        }
    }

    #[must_use]
    pub const fn is_tight(&self) -> bool {
        self.cuts & 0x80 != 0
    }

    /// Whether a flag is set.
    #[must_use]
    pub const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// What is known of every device before it calls.
    #[must_use]
    pub fn known(&self) -> Option<Profile> {
        let flags = Self::BARE | Self::ACKNOWLEDGE | Self::ZONES | Self::LANGUAGE;
        if self.flags & flags == 0 && self.dialect == 0 {
            return None;
        }
        let mut known = Profile::default();
        known.bare_frames = self.has(Self::BARE);
        known.dialect = self
            .dialect
            .checked_sub(1)
            .map(|at| Dialect::ALL[usize::from(at) % Dialect::ALL.len()]);
        known.acknowledge_locations = self
            .has(Self::ACKNOWLEDGE)
            .then_some(!self.has(Self::LOCATIONS));
        if self.has(Self::ZONES) {
            known.zones.configured = (self.dialect & 1 == 0).then_some(-90);
            known.zones.detected = Some(345);
            known.zones.login = Some(-720);
        }
        known.command_language = self.has(Self::LANGUAGE).then_some(match self.dialect & 1 {
            0 => Language::English,
            _ => Language::Chinese,
        });
        Some(known)
    }

    /// How large the next chunks are: from byte by byte to some frames at once.
    pub fn sizes(&self) -> impl Iterator<Item = usize> + use<> {
        let most = [1, 4, 19, 150][usize::from(self.cuts & 3)];
        let mut state = u32::from(self.cuts) | 1;
        core::iter::repeat_with(move || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            1 + state as usize % most
        })
    }
}

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    Bytes(&'a [u8]),
    Frame {
        form: Form,
        fault: Fault,
        number: u8,
        body: &'a [u8],
    },
    Pause,
    Command(&'a [u8]),
    /// Seconds go by.
    Time(i64),
    Reconnect,
    Echo,
    Again,
}

const EDGES: [&[u8]; 8] = [
    b"\x78\x78",
    b"\x79\x79",
    b"\x0d\x0a",
    b"\x78",
    b"\x79",
    b"\x0d",
    b"\x0a",
    b"\x78\x78\x00",
];

/// Reads an input.
#[must_use]
pub fn read(data: &[u8]) -> Option<(Setup, Steps<'_>)> {
    let (&[flags, dialect, cuts], rest) = data.split_first_chunk::<3>()?;
    let setup = Setup {
        flags,
        dialect,
        cuts,
    };
    Some((setup, Steps(rest)))
}

/// The steps of an input.
#[derive(Debug, Clone)]
pub struct Steps<'a>(&'a [u8]);

impl<'a> Steps<'a> {
    fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    /// So many bytes, or as many as there are.
    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn frame(&mut self, bits: u8) -> Step<'a> {
        let number = self.byte();
        let form = match bits & 3 {
            0 => Form::Checked(Start::Short),
            1 => Form::Checked(Start::Long),
            2 => Form::Bare(self.byte()),
            _ => Form::Checked(Start::Wide),
        };
        let len = self.byte();
        Step::Frame {
            form,
            fault: Fault::ALL[usize::from(bits >> 2 & 3)],
            number,
            body: self.take(len.into()),
        }
    }
}

impl<'a> Iterator for Steps<'a> {
    type Item = Step<'a>;

    fn next(&mut self) -> Option<Step<'a>> {
        let (&control, rest) = self.0.split_first()?;
        self.0 = rest;
        let low = control & 0x0f;
        Some(match control {
            0x00..=0x3f => Step::Bytes(self.take(control.into())),
            0x40..=0x7f => self.frame(control),
            0x80..=0x8f => Step::Pause,
            0x90..=0x9f => Step::Command(self.take(low.into())),
            0xa0..=0xaf => Step::Time(i64::from(low) * 151),
            0xb0..=0xbf => Step::Reconnect,
            0xc0..=0xcf => Step::Echo,
            0xd0..=0xdf => Step::Again,
            0xe0..=0xef => Step::Bytes(EDGES[usize::from(low) % EDGES.len()]),
            0xf0..=0xff => Step::Bytes(self.take((usize::from(low) + 1) * 16)),
        })
    }
}

/// Writes an input. Bytes that are too many for one step become several.
#[must_use]
pub fn write(setup: &Setup, steps: &[Step<'_>]) -> Vec<u8> {
    let mut out = vec![setup.flags, setup.dialect, setup.cuts];
    let small = |len: usize| u8::try_from(len).expect("a short one");
    for step in steps {
        match *step {
            Step::Bytes(bytes) => {
                for chunk in bytes.chunks(0x3f) {
                    out.push(small(chunk.len()));
                    out.extend_from_slice(chunk);
                }
            }
            Step::Frame {
                form,
                fault,
                number,
                body,
            } => {
                let fault = Fault::ALL.iter().position(|one| *one == fault);
                let fault = small(fault.expect("one of all")) << 2;
                let (form, announced) = match form {
                    Form::Checked(Start::Short) => (0, None),
                    Form::Checked(Start::Long) => (1, None),
                    Form::Checked(Start::Wide) => (3, None),
                    Form::Bare(announced) => (2, Some(announced)),
                };
                out.extend([0x40 | fault | form, number]);
                out.extend(announced);
                out.push(small(body.len()));
                out.extend_from_slice(body);
            }
            Step::Pause => out.push(0x80),
            Step::Command(text) => {
                assert!(text.len() < 16, "too long a command");
                out.push(0x90 | small(text.len()));
                out.extend_from_slice(text);
            }
            Step::Time(seconds) => {
                let times = usize::try_from(seconds / 151).expect("not back");
                assert!(times < 16, "too long a time");
                out.push(0xa0 | small(times));
            }
            Step::Reconnect => out.push(0xb0),
            Step::Echo => out.push(0xc0),
            Step::Again => out.push(0xd0),
        }
    }
    out
}
