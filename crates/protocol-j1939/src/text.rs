//! Groups that carry text: VI, CI, SOFT, DI, ECUID, and the FMS version.
//!
//! | group | fields, each ended by `*` |
//! |---|---|
//! | 65260 VI | SPN 237, the end mark is often missing |
//! | 65259 CI | SPN 586 make, 587 model, 588 serial number, 233 unit number |
//! | 65242 SOFT | byte 1: number of fields (SPN 965), then SPN 234 each |
//! | 65131 DI | SPN 1625 driver 1, 1626 driver 2 |
//! | 64965 ECUID | SPN 2901 part number, 2902 serial number, 2903 location, 2904 type |
//! | 64977 FMS | SPN 2806, bytes 2 to 5, without end mark |
//!
//! Source: SAE J1939-71; FMS standard.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use crate::id::Pgn;

/// A text field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextField {
    /// Its number.
    pub spn: u32,
    /// Its name.
    pub name: &'static str,
    /// The text without fill and blanks around it; `None` if every byte is FF (not available).
    pub text: Option<String>,
}

/// At most this many software identifications are read from one message.
const MAX_FIELDS: usize = 64;

/// The text fields of a group; `None` for a group without text.
#[must_use]
pub fn decode(pgn: Pgn, data: &[u8]) -> Option<Vec<TextField>> {
    let (names, data): (&[(u32, &str)], &[u8]) = match pgn {
        Pgn::VI => (&[(237, "vehicle_identification_number")], data),
        Pgn::CI => (
            &[
                (586, "make"),
                (587, "model"),
                (588, "serial_number"),
                (233, "unit_number"),
            ],
            data,
        ),
        Pgn::DI => (
            &[
                (1625, "driver_1_identification"),
                (1626, "driver_2_identification"),
            ],
            data,
        ),
        Pgn::ECUID => (
            &[
                (2901, "ecu_part_number"),
                (2902, "ecu_serial_number"),
                (2903, "ecu_location"),
                (2904, "ecu_type"),
            ],
            data,
        ),
        Pgn::SOFT => return Some(software(data)),
        Pgn::FMS_IDENTITY => (&[(2806, "fms_version")], data.get(1..5).unwrap_or(&[])),
        _ => return None,
    };
    let mut fields = data.split(|byte| *byte == b'*');
    let read = |(spn, name): &(u32, &'static str)| {
        Some(TextField {
            spn: *spn,
            name,
            text: text(fields.next()?),
        })
    };
    Some(names.iter().filter_map(read).collect())
}

fn software(data: &[u8]) -> Vec<TextField> {
    let Some((&count, rest)) = data.split_first() else {
        return Vec::new();
    };
    // FF: the number is not available. Text after the last end mark is fill.
    let count = if count == 0xFF {
        MAX_FIELDS
    } else {
        usize::from(count).min(MAX_FIELDS)
    };
    let marks = rest.iter().filter(|byte| **byte == b'*').count();
    rest.split(|byte| *byte == b'*')
        .take(count.min(marks.max(1)))
        .map(|field| TextField {
            spn: 234,
            name: "software_identification",
            text: text(field),
        })
        .collect()
}

fn text(bytes: &[u8]) -> Option<String> {
    if !bytes.is_empty() && bytes.iter().all(|byte| *byte == 0xFF) {
        return None;
    }
    let fill = |byte: &u8| *byte == 0xFF || *byte == 0;
    let start = bytes.iter().position(|b| !fill(b)).unwrap_or(bytes.len());
    let end = bytes
        .iter()
        .rposition(|b| !fill(b))
        .map_or(start, |at| at + 1);
    Some(
        latin(bytes.get(start..end).unwrap_or(&[]))
            .trim()
            .to_owned(),
    )
}

/// Latin-1 without control characters.
pub(crate) fn latin(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| char::from(*byte))
        .filter(|c| !c.is_control())
        .collect()
}

/// The VIN of a text, if it looks like one: 17 letters and digits without I, O and Q.
#[must_use]
pub fn vin(text: &str) -> Option<&str> {
    let vin = text.trim();
    let is_vin = vin.len() == 17
        && vin.bytes().all(|b| {
            (b.is_ascii_uppercase() && !matches!(b, b'I' | b'O' | b'Q')) || b.is_ascii_digit()
        });
    is_vin.then_some(vin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    fn texts(pgn: Pgn, data: &[u8]) -> Vec<Option<String>> {
        let fields = decode(pgn, data).unwrap();
        fields.into_iter().map(|field| field.text).collect()
    }

    fn some(list: &[&str]) -> Vec<Option<String>> {
        list.iter().map(|text| Some((*text).to_owned())).collect()
    }

    #[test]
    fn the_end_mark_of_a_vin_may_be_missing() {
        let vin = "1M8GDM9AXKP042788";
        for text in ["1M8GDM9AXKP042788*", vin, "1M8GDM9AXKP042788*\u{0}"] {
            assert_eq!(texts(Pgn::VI, text.as_bytes()), some(&[vin]));
        }
        assert_eq!(super::vin(vin), Some(vin));
        assert_eq!(super::vin("1M8GDM9AXKP04278O"), None);
        assert_eq!(super::vin("00000000000000000 "), Some("00000000000000000"));
        assert_eq!(texts(Pgn::VI, &[0xFF; 18]), vec![None]);
    }

    #[test]
    fn empty_and_blank_fields_keep_their_place() {
        assert_eq!(
            texts(Pgn::CI, b"BNDIX*EC-80**  *"),
            some(&["BNDIX", "EC-80", "", ""])
        );
        assert_eq!(
            texts(Pgn::CI, b"DTDSC*472N19*472912S9999999*          *"),
            some(&["DTDSC", "472N19", "472912S9999999", ""])
        );
        assert_eq!(texts(Pgn::CI, b"CMMNS"), some(&["CMMNS"]));
    }

    #[test]
    fn software_identifications_are_counted() {
        assert_eq!(texts(Pgn::SOFT, b"\x02AB*CD*"), some(&["AB", "CD"]));
        assert_eq!(texts(Pgn::SOFT, b"\x01AB*\xFF\xFF"), some(&["AB"]));
        assert_eq!(texts(Pgn::SOFT, b"\xFFAB*CD*\xFF"), some(&["AB", "CD"]));
        assert_eq!(texts(Pgn::SOFT, b"\x01AB"), some(&["AB"]));
    }
}
