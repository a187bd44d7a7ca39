//! OBD-II over CAN (SAE J1979, ISO 15031-5): services 01, 02, 03, 06, 07, 09, 0A.
//!
//! | use | 11-bit | 29-bit |
//! |---|---|---|
//! | request to all | 7DF | 18DB33F1 |
//! | request to one unit | 7E0 to 7E7 | 18DA*tt*F1 |
//! | response | 7E8 to 7EF | 18DAF1*ss* |

pub mod isotp;

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::can::CanId;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::id::{J1939Id, Pgn};
use crate::signal::pid::{self, Pid};
use crate::text;

/// What an identifier is used for in OBD-II.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A request to all units.
    FunctionalRequest,
    /// A request to one unit; the identifier that it answers with.
    Request {
        /// The identifier of the response.
        response: CanId,
    },
    /// A response.
    Response,
    /// Another identifier that carries ISO-TP: diagnostics of a maker.
    Other,
}

/// What an identifier is used for; `None` if it does not carry ISO-TP.
///
/// Other 11-bit identifiers from 700 on are taken for diagnostics of a maker.
#[must_use]
pub fn role(id: CanId) -> Option<Role> {
    match id {
        CanId::Standard(0x7DF) => Some(Role::FunctionalRequest),
        CanId::Standard(raw @ 0x7E0..=0x7E7) => Some(Role::Request {
            response: CanId::Standard(raw + 8),
        }),
        CanId::Standard(0x7E8..=0x7EF) => Some(Role::Response),
        CanId::Standard(0x700..) => Some(Role::Other),
        CanId::Standard(_) => None,
        CanId::Extended(raw) => {
            let id = J1939Id::from_raw(raw);
            match (id.pgn, id.source, id.destination) {
                (Pgn::ISO_TP_FUNCTIONAL, _, _) => Some(Role::FunctionalRequest),
                (Pgn::ISO_TP_PHYSICAL, 0xF1, unit) => Some(Role::Request {
                    response: J1939Id {
                        source: unit,
                        destination: 0xF1,
                        ..id
                    }
                    .to_can(),
                }),
                (Pgn::ISO_TP_PHYSICAL, _, 0xF1) => Some(Role::Response),
                (Pgn::ISO_TP_PHYSICAL, _, _) => Some(Role::Other),
                _ => None,
            }
        }
    }
}

/// A trouble code of OBD-II, two bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObdCode(pub u16);

/// Five characters, for example `P0143`.
impl fmt::Display for ObdCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = match self.0 >> 14 {
            0 => 'P',
            1 => 'C',
            2 => 'B',
            _ => 'U',
        };
        write!(f, "{letter}{:04X}", self.0 & 0x3FFF)
    }
}

/// A parameter with its data bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PidData {
    /// The parameter.
    pub pid: u8,
    /// Its bytes.
    pub data: Vec<u8>,
}

impl PidData {
    /// Its row of the table.
    #[must_use]
    pub fn definition(&self) -> Option<&'static Pid> {
        pid::find(self.pid)
    }
}

/// A result of service 06.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MonitorResult {
    /// Monitor identifier.
    pub monitor: u8,
    /// Test identifier.
    pub test: u8,
    /// Unit and scaling identifier.
    pub scaling: u8,
    /// Raw value.
    pub value: u16,
    /// Raw lower limit.
    pub min: u16,
    /// Raw upper limit.
    pub max: u16,
}

/// An item of service 09.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum VehicleInfo {
    /// Parameters that are supported.
    Supported(Vec<u8>),
    /// Vehicle identification number.
    Vin(String),
    /// Calibration identifications.
    CalibrationIds(Vec<String>),
    /// Calibration verification numbers.
    CalibrationNumbers(Vec<u32>),
    /// Name of the control unit.
    EcuName(String),
    /// Another item, as sent.
    Other(Vec<u8>),
}

/// A message of OBD-II.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ObdMessage {
    /// A request.
    Request {
        /// The service.
        service: u8,
        /// The parameters asked for.
        pids: Vec<u8>,
    },
    /// Values of service 01, or of a freeze frame (02).
    Values {
        /// The service.
        service: u8,
        /// Number of the freeze frame; service 02 only.
        frame: Option<u8>,
        /// The values.
        values: Vec<PidData>,
        /// What follows a parameter whose length is not known, that one included.
        rest: Vec<u8>,
    },
    /// Trouble codes of service 03, 07 or 0A.
    Codes {
        /// The service.
        service: u8,
        /// The codes.
        codes: Vec<ObdCode>,
    },
    /// Results of service 06.
    Monitors(Vec<MonitorResult>),
    /// Service 09.
    Info {
        /// The parameter.
        pid: u8,
        /// What it holds.
        info: VehicleInfo,
    },
    /// Codes were cleared (service 04).
    Cleared,
    /// A request was refused.
    Refused {
        /// The service that was asked for.
        service: u8,
        /// The response code.
        code: u8,
    },
    /// A message of another protocol on the same identifiers, such as UDS.
    Other {
        /// Its first byte.
        service: u8,
    },
}

impl ObdMessage {
    /// Reads the payload of a message.
    ///
    /// # Errors
    /// If a response of OBD-II is too short for its service.
    pub fn decode(role: Role, payload: &[u8]) -> Result<Self, DecodeError> {
        let Some((&first, rest)) = payload.split_first() else {
            return Err(DecodeError::obd(
                "service",
                0,
                DecodeErrorKind::Truncated { needed: 1 },
            ));
        };
        let is_request = !matches!(role, Role::Response);
        match first {
            0x01..=0x0A if is_request => Ok(Self::Request {
                service: first,
                pids: rest.to_vec(),
            }),
            _ if is_request => {
                Ok(Self::refusal(first, rest).unwrap_or(Self::Other { service: first }))
            }
            0x41 => Ok(values(rest, false)),
            0x42 => Ok(values(rest, true)),
            0x43 | 0x47 | 0x4A => codes(first & 0x0F, rest),
            0x44 => Ok(Self::Cleared),
            0x46 => Ok(monitors(rest)),
            0x49 => info(rest),
            _ => Ok(Self::refusal(first, rest).unwrap_or(Self::Other { service: first })),
        }
    }

    fn refusal(first: u8, rest: &[u8]) -> Option<Self> {
        match (first, rest) {
            (0x7F, &[service, code, ..]) => Some(Self::Refused { service, code }),
            _ => None,
        }
    }
}

/// Parameters with their data, one after the other. The length of each must be known to find the
/// next one.
fn values(mut rest: &[u8], is_freeze_frame: bool) -> ObdMessage {
    let mut all = Vec::new();
    let mut frame = None;
    while let Some((&number, after)) = rest.split_first() {
        let after = match (is_freeze_frame, after.split_first()) {
            (true, Some((&number, after))) => {
                frame = Some(number);
                after
            }
            (true, None) => break,
            (false, _) => after,
        };
        let len = pid::find(number).map(|pid| usize::from(pid.len));
        let Some((data, next)) = len.and_then(|len| after.split_at_checked(len)) else {
            break;
        };
        all.push(PidData {
            pid: number,
            data: data.to_vec(),
        });
        rest = next;
    }
    ObdMessage::Values {
        service: if is_freeze_frame { 2 } else { 1 },
        frame,
        values: all,
        rest: rest.to_vec(),
    }
}

fn codes(service: u8, rest: &[u8]) -> Result<ObdMessage, DecodeError> {
    // On CAN a count comes first. Bridges from older buses leave it out: then the rest is even.
    let listed = match rest.split_first() {
        Some((&count, listed)) if listed.len() % 2 == 0 => {
            let len = usize::from(count) * 2;
            listed.get(..len).ok_or_else(|| {
                let needed = u32::try_from(len - listed.len()).unwrap_or(u32::MAX);
                DecodeError::obd("dtcs", 2, DecodeErrorKind::Truncated { needed })
            })?
        }
        _ => rest,
    };
    let (pairs, _) = listed.as_chunks::<2>();
    Ok(ObdMessage::Codes {
        service,
        codes: pairs
            .iter()
            .map(|pair| ObdCode(u16::from_be_bytes(*pair)))
            .filter(|code| code.0 != 0)
            .collect(),
    })
}

fn monitors(rest: &[u8]) -> ObdMessage {
    // The bit map of supported monitors has no results.
    let is_map = rest.len() == 5 && rest.first().is_some_and(|mid| pid::is_supported_map(*mid));
    let (items, _) = if is_map {
        (&[][..], rest)
    } else {
        rest.as_chunks::<9>()
    };
    ObdMessage::Monitors(
        items
            .iter()
            .map(
                |&[monitor, test, scaling, v1, v2, min1, min2, max1, max2]| MonitorResult {
                    monitor,
                    test,
                    scaling,
                    value: u16::from_be_bytes([v1, v2]),
                    min: u16::from_be_bytes([min1, min2]),
                    max: u16::from_be_bytes([max1, max2]),
                },
            )
            .collect(),
    )
}

fn info(rest: &[u8]) -> Result<ObdMessage, DecodeError> {
    let truncated = |needed| {
        let kind = DecodeErrorKind::Truncated { needed };
        DecodeError::obd("vehicle_info", 1, kind)
    };
    let (&number, data) = rest.split_first().ok_or_else(|| truncated(1))?;
    // The bit map has no count of items on CAN.
    if pid::is_supported_map(number) {
        let map = data.first_chunk::<4>().ok_or_else(|| truncated(4))?;
        let supported = pid::supported(number, *map).collect();
        return Ok(ObdMessage::Info {
            pid: number,
            info: VehicleInfo::Supported(supported),
        });
    }
    let (_, items) = data.split_first().ok_or_else(|| truncated(1))?;
    let clean = |bytes: &[u8]| {
        let printable: Vec<u8> = bytes.iter().copied().filter(|b| *b != 0xFF).collect();
        text::latin(&printable).trim().to_owned()
    };
    let info = match number {
        0x02 => {
            // Filled with 00 on the left to whole frames by older units.
            let start = items.len().saturating_sub(17);
            VehicleInfo::Vin(clean(items.get(start..).unwrap_or(items)))
        }
        0x04 => VehicleInfo::CalibrationIds(items.chunks(16).map(clean).collect()),
        0x06 => {
            let (numbers, _) = items.as_chunks::<4>();
            VehicleInfo::CalibrationNumbers(
                numbers.iter().map(|n| u32::from_be_bytes(*n)).collect(),
            )
        }
        0x0A => VehicleInfo::EcuName(clean(items)),
        _ => VehicleInfo::Other(items.to_vec()),
    };
    Ok(ObdMessage::Info { pid: number, info })
}

/// What a negative response code means.
#[must_use]
pub fn refusal_reason(code: u8) -> String {
    match code {
        0x11 => "service not supported".to_owned(),
        0x12 => "sub-function not supported".to_owned(),
        0x22 => "conditions not correct".to_owned(),
        0x31 => "request out of range".to_owned(),
        0x78 => "response pending".to_owned(),
        _ => format!("code {code:#04x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;
    use std::vec;

    fn response(text: &str) -> ObdMessage {
        ObdMessage::decode(Role::Response, &hex::decode(text).unwrap()).unwrap()
    }

    #[test]
    fn roles_follow_the_identifiers() {
        let ext = |raw| CanId::Extended(raw);
        assert_eq!(role(CanId::Standard(0x7E8)), Some(Role::Response));
        assert_eq!(
            role(CanId::Standard(0x7E0)),
            Some(Role::Request {
                response: CanId::Standard(0x7E8)
            })
        );
        assert_eq!(role(CanId::Standard(0x123)), None);
        assert_eq!(role(ext(0x18DB_33F1)), Some(Role::FunctionalRequest));
        assert_eq!(
            role(ext(0x18DA_10F1)),
            Some(Role::Request {
                response: ext(0x18DA_F110)
            })
        );
        assert_eq!(role(ext(0x18DA_F111)), Some(Role::Response));
        assert_eq!(role(ext(0x18FE_F100)), None);
    }

    #[test]
    fn codes_have_five_characters() {
        for (raw, text) in [
            (0x0133, "P0133"),
            (0x226D, "P226D"),
            (0xC123, "U0123"),
            (0x5ABC, "C1ABC"),
            (0x9FFF, "B1FFF"),
        ] {
            assert_eq!(ObdCode(raw).to_string(), text);
        }
        let listed = |text| match response(text) {
            ObdMessage::Codes { codes, .. } => codes,
            other => panic!("{other:?}"),
        };
        assert_eq!(listed("4300"), []);
        assert_eq!(listed("430101330000"), [ObdCode(0x133)]);
        assert_eq!(listed("43013300000000"), [ObdCode(0x133)]);
        assert!(ObdMessage::decode(Role::Response, &[0x43, 3, 1, 0x33]).is_err());
    }

    #[test]
    fn several_parameters_in_one_answer_are_split_by_their_lengths() {
        let ObdMessage::Values { values, rest, .. } = response("410C1AF8055F0D32") else {
            panic!()
        };
        let pids: Vec<_> = values.iter().map(|value| value.pid).collect();
        assert_eq!(pids, [0x0C, 0x05, 0x0D]);
        assert!(rest.is_empty());
        // A parameter of unknown length ends it.
        let ObdMessage::Values { values, rest, .. } = response("410C1AF8EE0102055F") else {
            panic!()
        };
        assert_eq!((values.len(), rest), (1, vec![0xEE, 1, 2, 5, 0x5F]));
    }

    #[test]
    fn a_freeze_frame_has_its_number_after_each_parameter() {
        let ObdMessage::Values { frame, values, .. } = response("420C001AF8050060") else {
            panic!()
        };
        assert_eq!((frame, values.len()), (Some(0), 2));
        assert_eq!(values[1].data, [0x60]);
    }

    #[test]
    fn a_vin_may_be_filled_on_the_left() {
        for text in [
            "490201314847424834314A584D4E313039313836",
            "490201000000314847424834314A584D4E313039313836",
        ] {
            let info = VehicleInfo::Vin("1HGBH41JXMN109186".into());
            assert_eq!(response(text), ObdMessage::Info { pid: 2, info });
        }
    }

    #[test]
    fn the_map_of_service_09_has_no_count() {
        let info = VehicleInfo::Supported(vec![2, 4, 6, 10]);
        assert_eq!(response("490054400000"), ObdMessage::Info { pid: 0, info });
    }

    #[test]
    fn a_refusal_names_the_service() {
        assert_eq!(
            response("7F0912"),
            ObdMessage::Refused {
                service: 9,
                code: 0x12
            }
        );
        assert_eq!(response("6101FF"), ObdMessage::Other { service: 0x61 });
    }

    #[test]
    fn monitor_results_are_nine_bytes_each() {
        let ObdMessage::Monitors(all) = response("4601010A0B2900000FA0") else {
            panic!()
        };
        let [one] = all[..] else { panic!() };
        assert_eq!((one.monitor, one.test, one.scaling), (1, 1, 10));
        assert_eq!((one.value, one.min, one.max), (0x0B29, 0, 0x0FA0));
        assert_eq!(response("4600C0000001"), ObdMessage::Monitors(vec![]));
    }
}
