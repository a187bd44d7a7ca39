//! Diagnostic messages (DM) of J1939: trouble codes, lamps, ratios, tests, calibrations.
//!
//! | group | message | read as |
//! |---|---|---|
//! | 65226, 65227, 65231, 65236, 64949, 64898, 64896 | DM1, DM2, DM6, DM12, DM23, DM27, DM28 | [`TroubleCodes`] |
//! | 65228, 65235 | DM3, DM11: clear codes | [`Diagnostic::Clear`] |
//! | 54016 | DM19 | [`Calibration`] |
//! | 49664 | DM20 | [`Ratios`] |
//! | 64950 | DM24 | [`SupportedSpn`] |
//! | 64951 | DM25 | [`FreezeFrame`] |
//! | 41984 | DM30 | [`TestResult`] |
//! | 40960 | DM34 | [`EmissionControl`] |
//! | 65230, 49408, 64952, 40448 | DM5, DM21, DM26, DM29 | signals of the table |
//!
//! Source: SAE J1939-73, section 5.7; layouts of DM19 to DM34 checked against frames of control
//! units.

mod dtc;
mod tracker;

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

pub use dtc::{Dtc, SpnConversion, failure_mode};
pub use tracker::{Changes, Tracker};

use crate::error::DecodeError;
use crate::id::Pgn;

/// Diagnostic messages by group number, with their number.
const MESSAGES: &[(u32, u8, &str)] = &[
    (40448, 29, "dm29"),
    (40960, 34, "dm34"),
    (41984, 30, "dm30"),
    (49408, 21, "dm21"),
    (49664, 20, "dm20"),
    (54016, 19, "dm19"),
    (64896, 28, "dm28"),
    (64898, 27, "dm27"),
    (64949, 23, "dm23"),
    (64950, 24, "dm24"),
    (64951, 25, "dm25"),
    (64952, 26, "dm26"),
    (65226, 1, "dm1"),
    (65227, 2, "dm2"),
    (65228, 3, "dm3"),
    (65230, 5, "dm5"),
    (65231, 6, "dm6"),
    (65235, 11, "dm11"),
    (65236, 12, "dm12"),
];

/// Number and name of the diagnostic message of a group.
#[must_use]
pub fn message(pgn: Pgn) -> Option<(u8, &'static str)> {
    let at = MESSAGES
        .binary_search_by_key(&pgn.raw(), |(pgn, ..)| *pgn)
        .ok()?;
    MESSAGES.get(at).map(|(_, number, name)| (*number, *name))
}

/// What a diagnostic message says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Diagnostic {
    /// Trouble codes with lamps.
    TroubleCodes(TroubleCodes),
    /// Codes are cleared, or are to be.
    Clear,
    /// Calibrations.
    Calibrations(Vec<Calibration>),
    /// Monitor performance.
    Ratios(Ratios),
    /// Parameters that the unit supports for diagnostics.
    Supported(Vec<SupportedSpn>),
    /// Values stored with codes.
    FreezeFrames(Vec<FreezeFrame>),
    /// Results of tests.
    Tests(Vec<TestResult>),
    /// Emission control areas.
    EmissionControl(EmissionControl),
}

/// State of a lamp, two bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lamp {
    /// Off.
    Off,
    /// On.
    On,
    /// Error.
    Error,
    /// Not available.
    NotAvailable,
}

/// How a lamp flashes, two bits; meaningful while it is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flash {
    /// About 1 Hz.
    Slow,
    /// About 2 Hz or faster.
    Fast,
    /// Reserved code.
    Reserved,
    /// Does not flash, or not available.
    None,
}

/// One value for each of the four lamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lamps<T> {
    /// Malfunction indicator.
    pub mil: T,
    /// Red stop.
    pub rsl: T,
    /// Amber warning.
    pub awl: T,
    /// Protect.
    pub pl: T,
}

impl<T> Lamps<T> {
    fn from_byte(byte: u8, read: impl Fn(u8) -> T) -> Self {
        Self {
            mil: read(byte >> 6 & 3),
            rsl: read(byte >> 4 & 3),
            awl: read(byte >> 2 & 3),
            pl: read(byte & 3),
        }
    }
}

/// Lamps and codes: DM1 and the messages with its layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TroubleCodes {
    /// Lamp states.
    pub lamps: Lamps<Lamp>,
    /// Lamp flashing.
    pub flash: Lamps<Flash>,
    /// Codes; empty in every form of "no fault".
    pub codes: Vec<Dtc>,
}

/// A calibration (DM19).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calibration {
    /// Verification number; `None` while the unit does not know it.
    pub cvn: Option<u32>,
    /// Identifier without fill; `None` while the unit does not know it.
    pub id: Option<String>,
}

/// Monitor performance (DM20).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ratios {
    /// Ignition cycles; `None`: not available.
    pub ignition_cycles: Option<u16>,
    /// How often the conditions for monitoring were met; `None`: not available.
    pub obd_conditions: Option<u16>,
    /// One entry a monitor: SPN, numerator, denominator.
    pub monitors: Vec<(u32, u16, u16)>,
}

/// What the unit supports for a parameter (DM24). In the message 0 means supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SupportedSpn {
    /// The parameter.
    pub spn: u32,
    /// Expanded freeze frame.
    pub freeze_frame: bool,
    /// Data stream.
    pub data_stream: bool,
    /// Scaled test results.
    pub test_results: bool,
    /// Rationality fault.
    pub rationality: bool,
    /// Data length in a freeze frame.
    pub length: u8,
}

/// Values stored with a code (DM25).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreezeFrame {
    /// The code.
    pub dtc: Dtc,
    /// The values, in the order of the unit's DM24.
    pub data: Vec<u8>,
}

/// A test result (DM30). The scaling is that of the SLOT, never that of the SPN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TestResult {
    /// Test identifier.
    pub test: u8,
    /// The component.
    pub spn: u32,
    /// The failure mode tested.
    pub fmi: u8,
    /// Scaling.
    pub slot: u16,
    /// Raw value as sent; FB00 for a test that is not complete.
    pub value: u16,
    /// Raw upper limit; FFFF for none.
    pub max: u16,
    /// Raw lower limit; FFFF for none.
    pub min: u16,
}

/// Two-bit states of DM34 for one pollutant, as sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlArea {
    /// Inside the control area.
    pub control_area: u8,
    /// Inside the manufacturer's carve-out.
    pub carve_out: u8,
    /// Inside the deficiency area.
    pub deficiency: u8,
}

/// Not-to-exceed states (DM34).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmissionControl {
    /// Nitrogen oxides.
    pub nox: ControlArea,
    /// Particulate matter.
    pub pm: ControlArea,
}

impl Diagnostic {
    /// Reads a diagnostic message. `None` for a group that is none, or whose content is signals
    /// of the table.
    ///
    /// # Errors
    /// If the payload is too short for the message.
    pub fn decode(
        pgn: Pgn,
        data: &[u8],
        conversion: SpnConversion,
    ) -> Option<Result<Self, DecodeError>> {
        let (number, _) = message(pgn)?;
        Some(match number {
            1 | 2 | 6 | 12 | 23 | 27 | 28 => {
                TroubleCodes::decode(pgn, data, conversion).map(Self::TroubleCodes)
            }
            3 | 11 => Ok(Self::Clear),
            19 => calibrations(pgn, data).map(Self::Calibrations),
            20 => ratios(pgn, data).map(Self::Ratios),
            24 => Ok(Self::Supported(supported(data))),
            25 => Ok(Self::FreezeFrames(freeze_frames(data, conversion))),
            30 => tests(pgn, data).map(Self::Tests),
            34 => emission_control(pgn, data).map(Self::EmissionControl),
            _ => return None,
        })
    }
}

impl TroubleCodes {
    /// Reads lamps and codes. Bytes after the last whole code are fill.
    ///
    /// # Errors
    /// If there are fewer than two bytes.
    pub fn decode(pgn: Pgn, data: &[u8], conversion: SpnConversion) -> Result<Self, DecodeError> {
        let Some((&[status, flash], rest)) = data.split_first_chunk::<2>() else {
            return Err(DecodeError::truncated(pgn, "lamps", 0, 2 - data.len()));
        };
        let (codes, _) = rest.as_chunks::<4>();
        Ok(Self {
            lamps: Lamps::from_byte(status, |bits| match bits {
                0 => Lamp::Off,
                1 => Lamp::On,
                2 => Lamp::Error,
                _ => Lamp::NotAvailable,
            }),
            flash: Lamps::from_byte(flash, |bits| match bits {
                0 => Flash::Slow,
                1 => Flash::Fast,
                2 => Flash::Reserved,
                _ => Flash::None,
            }),
            codes: codes
                .iter()
                .filter_map(|bytes| Dtc::decode(*bytes, conversion))
                .collect(),
        })
    }
}

fn at_least(pgn: Pgn, data: &[u8], len: usize, field: &'static str) -> Result<(), DecodeError> {
    match len.checked_sub(data.len()) {
        None | Some(0) => Ok(()),
        Some(missing) => Err(DecodeError::truncated(pgn, field, 0, missing)),
    }
}

fn calibrations(pgn: Pgn, data: &[u8]) -> Result<Vec<Calibration>, DecodeError> {
    at_least(pgn, data, 20, "calibration")?;
    let (items, _) = data.as_chunks::<20>();
    Ok(items
        .iter()
        .map(|item| {
            let [a, b, c, d, id @ ..] = *item;
            let is_unknown = id == [0xFF; 16];
            let id = id.map(|byte| if byte == 0xFF { 0 } else { byte });
            let text = crate::text::latin(&id);
            let cvn = u32::from_le_bytes([a, b, c, d]);
            Calibration {
                cvn: (!is_unknown || cvn != 0).then_some(cvn),
                id: (!is_unknown).then(|| text.trim().to_owned()),
            }
        })
        .collect())
}

fn ratios(pgn: Pgn, data: &[u8]) -> Result<Ratios, DecodeError> {
    let Some((&[a, b, c, d], rest)) = data.split_first_chunk::<4>() else {
        return Err(DecodeError::truncated(
            pgn,
            "ignition_cycles",
            0,
            4 - data.len(),
        ));
    };
    let count = |value: u16| (value < 0xFB00).then_some(value);
    let (items, _) = rest.as_chunks::<7>();
    Ok(Ratios {
        ignition_cycles: count(u16::from_le_bytes([a, b])),
        obd_conditions: count(u16::from_le_bytes([c, d])),
        monitors: items
            .iter()
            .map(|&[s1, s2, s3, n1, n2, d1, d2]| {
                // Unlike in a code, the SPN is the low 19 bits; the five above are fill.
                let spn = u32::from_le_bytes([s1, s2, s3, 0]) & 0x7_FFFF;
                (
                    spn,
                    u16::from_le_bytes([n1, n2]),
                    u16::from_le_bytes([d1, d2]),
                )
            })
            .filter(|(spn, ..)| *spn != 0x7_FFFF)
            .collect(),
    })
}

fn supported(data: &[u8]) -> Vec<SupportedSpn> {
    let (items, _) = data.as_chunks::<4>();
    items
        .iter()
        .filter(|item| **item != [0xFF; 4])
        .map(|&[a, b, c, length]| SupportedSpn {
            spn: dtc::spn(a, b, c),
            freeze_frame: c & 1 == 0,
            data_stream: c & 2 == 0,
            test_results: c & 4 == 0,
            rationality: c & 8 == 0,
            length,
        })
        .collect()
}

fn freeze_frames(data: &[u8], conversion: SpnConversion) -> Vec<FreezeFrame> {
    let mut frames = Vec::new();
    let mut rest = data;
    while let Some((&len, after)) = rest.split_first() {
        // Some units state a wrong length: what follows is taken as far as it goes.
        let (frame, next) = after
            .split_at_checked(usize::from(len))
            .unwrap_or((after, &[]));
        let Some((code, values)) = frame.split_first_chunk::<4>() else {
            break;
        };
        let code = Dtc::decode_any(*code, conversion);
        if values.iter().any(|byte| *byte != 0xFF) || code.spn != 0x7_FFFF {
            frames.push(FreezeFrame {
                dtc: code,
                data: values.to_vec(),
            });
        }
        rest = next;
    }
    frames
}

fn tests(pgn: Pgn, data: &[u8]) -> Result<Vec<TestResult>, DecodeError> {
    at_least(pgn, data, 12, "test_result")?;
    let (items, _) = data.as_chunks::<12>();
    Ok(items
        .iter()
        .map(
            |&[test, a, b, c, s1, s2, v1, v2, max1, max2, min1, min2]| TestResult {
                test,
                spn: dtc::spn(a, b, c),
                fmi: c & 0x1F,
                slot: u16::from_le_bytes([s1, s2]),
                value: u16::from_le_bytes([v1, v2]),
                max: u16::from_le_bytes([max1, max2]),
                min: u16::from_le_bytes([min1, min2]),
            },
        )
        .collect())
}

fn emission_control(pgn: Pgn, data: &[u8]) -> Result<EmissionControl, DecodeError> {
    let Some(&[nox, pm]) = data.first_chunk::<2>() else {
        return Err(DecodeError::truncated(pgn, "nox", 0, 2 - data.len()));
    };
    let area = |byte: u8| ControlArea {
        control_area: byte >> 6 & 3,
        carve_out: byte >> 4 & 3,
        deficiency: byte >> 2 & 3,
    };
    Ok(EmissionControl {
        nox: area(nox),
        pm: area(pm),
    })
}

#[cfg(test)]
mod tests_of_layouts {
    use super::*;
    use std::vec;

    fn codes(text: &str) -> TroubleCodes {
        let data = hex::decode(text).unwrap();
        TroubleCodes::decode(Pgn::DM1, &data, SpnConversion::default()).unwrap()
    }

    #[test]
    fn the_worked_frame_of_the_reference_is_read() {
        let read = codes("C4FFCB05097EFFFF");
        assert_eq!(read.lamps.mil, Lamp::NotAvailable);
        assert_eq!(read.lamps.rsl, Lamp::Off);
        assert_eq!(read.lamps.awl, Lamp::On);
        assert_eq!(read.lamps.pl, Lamp::Off);
        assert_eq!(read.flash.mil, Flash::None);
        let [code] = read.codes[..] else { panic!() };
        assert_eq!((code.spn, code.fmi, code.count), (1483, 9, 126));
    }

    #[test]
    fn every_form_of_no_fault_is_an_empty_list() {
        for text in [
            "00FF00000000FFFF",
            "03FF00000000FFFF",
            "00FFFFFFFFFFFFFF",
            "00FF0000007FFFFF",
            "00FF00000000",
            "00FF",
            "00FF0000",
        ] {
            assert_eq!(codes(text).codes, vec![], "{text}");
        }
        assert!(TroubleCodes::decode(Pgn::DM1, &[0], SpnConversion::default()).is_err());
    }

    fn decode(pgn: u32, text: &str) -> Diagnostic {
        let data = hex::decode(text).unwrap();
        Diagnostic::decode(Pgn::new(pgn).unwrap(), &data, SpnConversion::default())
            .unwrap()
            .unwrap()
    }

    #[test]
    fn a_ratio_has_its_spn_in_the_low_bits() {
        let Diagnostic::Ratios(ratios) = decode(49664, "13000100CA14F803000400") else {
            panic!()
        };
        assert_eq!(ratios.ignition_cycles, Some(19));
        assert_eq!(ratios.monitors, [(5322, 3, 4)]);
    }

    #[test]
    fn zero_means_supported() {
        let Diagnostic::Supported(all) = decode(64950, "1F0210011E021100") else {
            panic!()
        };
        assert_eq!((all[0].spn, all[0].length), (543, 1));
        assert!(all[0].freeze_frame && all[0].rationality);
        assert!(!all[1].freeze_frame && all[1].data_stream);
    }

    #[test]
    fn a_test_that_is_not_complete_keeps_its_code() {
        let Diagnostic::Tests(all) = decode(41984, "F7C10D12000100FBFFFFFFFF") else {
            panic!()
        };
        let [one] = all[..] else { panic!() };
        assert_eq!((one.test, one.spn, one.fmi), (247, 3521, 18));
        assert_eq!((one.slot, one.value, one.max), (256, 0xFB00, 0xFFFF));
    }

    #[test]
    fn a_calibration_may_be_unknown_yet() {
        let known = "000000004E5044434646444E540000000000000000";
        let Diagnostic::Calibrations(all) = decode(54016, &known[..40]) else {
            panic!()
        };
        assert_eq!(all[0].id.as_deref(), Some("NPDCFFDNT"));
        assert_eq!(all[0].cvn, Some(0));
        let unknown = "00000000FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF";
        let Diagnostic::Calibrations(all) = decode(54016, unknown) else {
            panic!()
        };
        assert_eq!((&all[0].id, all[0].cvn), (&None, None));
    }

    #[test]
    fn a_freeze_frame_counts_its_code_and_its_data() {
        let Diagnostic::FreezeFrames(all) = decode(64951, "065B0004017D7E055B000401AA") else {
            panic!()
        };
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].dtc.spn, &all[0].data[..]), (91, &[0x7D, 0x7E][..]));
        let Diagnostic::FreezeFrames(none) = decode(64951, "0000000000FFFFFF") else {
            panic!()
        };
        assert_eq!(none, []);
    }

    #[test]
    fn control_areas_are_read_from_the_top() {
        let Diagnostic::EmissionControl(state) = decode(40960, "0F8FFFFFFFFFFFFF") else {
            panic!()
        };
        assert_eq!((state.nox.control_area, state.nox.deficiency), (0, 3));
        assert_eq!((state.pm.control_area, state.pm.carve_out), (2, 0));
    }

    #[test]
    fn no_length_panics() {
        for (pgn, ..) in MESSAGES {
            for len in 0..64 {
                let data = vec![0xA5; len];
                let pgn = Pgn::new(*pgn).unwrap();
                let _read = Diagnostic::decode(pgn, &data, SpnConversion::Version1);
            }
        }
    }
}
