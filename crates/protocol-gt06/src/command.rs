//! Commands to a device, by what they do rather than by how a maker spells them.
//!
//! A command is the text of an SMS command in a 0x80 frame with a flag, which comes back in the
//! answer (0x15, 0x21). [`Command`] spells the common ones and checks what goes into them;
//! [`Command::Raw`] is anything else. [`encode`] makes the frame;
//! [`Session::command`](crate::Session::command) does so by what is known about the device.
//!
//! ```
//! use milepost_protocol_gt06::command::{self, Command, Language, RelayWords};
//!
//! let cut = Command::CutRelay(RelayWords::Relay);
//! assert_eq!(cut.text()?, "RELAY,1#");
//! let frame = command::encode(1, &cut.text()?, Language::English, 1)?;
//! assert_eq!(frame[..4], [0x78, 0x78, 0x14, 0x80]);
//! # Ok::<(), command::CommandError>(())
//! ```
//!
//! Whether a command was carried out is only in the text of its answer: see
//! [`Reading::outcome`](crate::answer::Reading::outcome).

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use bytes::Bytes;

use crate::Message;

/// The longest text of a command, in bytes.
pub const LONGEST: usize = 1_000;

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Cut fuel or electricity. Devices defer it without a fix, or above about 20 km/h.
    CutRelay(RelayWords),
    /// Restore fuel or electricity.
    RestoreRelay(RelayWords),
    /// Report the position.
    Where(WhereWords),
    /// Report the state.
    Status,
    /// Report the parameters.
    Parameters,
    /// Report the firmware.
    Version,
    /// Report the settings of the mobile network.
    NetworkSettings,
    /// Report the number of the SIM card.
    Iccid,
    /// Report the number of the subscriber.
    Imsi,
    /// Start again.
    Reboot,
    /// Back to the factory's settings: the device may forget its server.
    FactoryReset,
    /// How often positions are sent.
    Timer {
        /// Seconds between positions while moving.
        moving_s: u32,
        /// Seconds between positions while standing.
        still_s: u32,
    },
    /// The zone of the device's own times.
    Zone {
        /// Minutes east of Greenwich, at most 14 hours either way.
        minutes_east: i16,
    },
    /// The server to talk to: the device leaves this one.
    Server {
        /// Name or IPv4 address.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// The access point of the mobile network.
    Apn {
        /// Its name.
        name: String,
        /// User and password, if it wants them.
        login: Option<(String, String)>,
    },
    /// The phone numbers that are called and written to in distress.
    SosNumbers(Vec<String>),
    /// Open the lock.
    Unlock,
    /// Text as it is.
    Raw(String),
}

/// How a maker spells cutting and restoring.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RelayWords {
    /// `RELAY,1#` and `RELAY,0#`: newer models.
    Relay,
    /// `DYD,000000#` and `HFYD,000000#`: classic models, with a password (123456, 000000 or
    /// 666666 by maker, unless it was changed).
    Password(String),
    /// `DYD#` and `HFYD#`: G109.
    Plain,
}

/// How a maker spells the question where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhereWords {
    /// `WHERE#`
    Where,
    /// `DWXX,000000#`: classic models, with a password.
    Password(String),
    /// `LJDW#`: at once, from the satellites.
    Now,
    /// `URL#`: as a link to a map.
    Link,
}

/// The language word after a command's text. Old GT06 refuse commands that have one; some newer
/// models need it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "telemetry", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "telemetry", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Language {
    /// No word.
    #[default]
    None,
    /// 1
    Chinese,
    /// 2
    English,
}

impl Language {
    const fn word(self) -> Option<u16> {
        match self {
            Self::None => None,
            Self::Chinese => Some(1),
            Self::English => Some(2),
        }
    }
}

/// A command that cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// There is no text, or an argument is missing.
    #[error("{0} is empty")]
    Empty(&'static str),
    /// Something other than printable ASCII; in an argument also `,` and `#`, which end it.
    #[error("{0} holds characters that a device cannot take")]
    Characters(&'static str),
    /// A number, or a length, that cannot be.
    #[error("{0} is out of range")]
    OutOfRange(&'static str),
    /// The device is one of the relatives without serial and checksum
    /// ([`Dialect::Topin`](crate::Dialect::Topin)), which read no command frames.
    #[error(
        "devices of this kind (Topin and its relatives) take no text commands over the connection"
    )]
    NoCommands,
}

/// Checks text that devices are to read.
fn checked<'a>(what: &'static str, text: &'a str, ends: &[u8]) -> Result<&'a str, CommandError> {
    if text.trim_ascii().is_empty() {
        return Err(CommandError::Empty(what));
    }
    if text.len() > LONGEST {
        return Err(CommandError::OutOfRange(what));
    }
    let fits = |byte: u8| matches!(byte, b' '..=b'~') && !ends.contains(&byte);
    if text.bytes().all(fits) {
        Ok(text)
    } else {
        Err(CommandError::Characters(what))
    }
}

fn argument<'a>(what: &'static str, text: &'a str) -> Result<&'a str, CommandError> {
    checked(what, text, b",# ")
}

impl Command {
    /// The text, as in an SMS.
    ///
    /// # Errors
    /// When an argument cannot be sent.
    pub fn text(&self) -> Result<String, CommandError> {
        let fixed = |text: &str| Ok(text.to_owned());
        match self {
            Self::CutRelay(words) => words.text("1", "DYD"),
            Self::RestoreRelay(words) => words.text("0", "HFYD"),
            Self::Where(WhereWords::Where) => fixed("WHERE#"),
            Self::Where(WhereWords::Password(password)) => {
                Ok(format!("DWXX,{}#", argument("the password", password)?))
            }
            Self::Where(WhereWords::Now) => fixed("LJDW#"),
            Self::Where(WhereWords::Link) => fixed("URL#"),
            Self::Status => fixed("STATUS#"),
            Self::Parameters => fixed("PARAM#"),
            Self::Version => fixed("VERSION#"),
            Self::NetworkSettings => fixed("GPRSSET#"),
            Self::Iccid => fixed("ICCID#"),
            Self::Imsi => fixed("IMSI#"),
            Self::Reboot => fixed("RESET#"),
            Self::FactoryReset => fixed("FACTORY#"),
            Self::Timer { moving_s, still_s } => Ok(format!("TIMER,{moving_s},{still_s}#")),
            Self::Zone { minutes_east } => {
                let minutes = minutes_east.unsigned_abs();
                if minutes > 14 * 60 {
                    return Err(CommandError::OutOfRange("the zone"));
                }
                let side = if *minutes_east < 0 { 'W' } else { 'E' };
                Ok(format!("GMT,{side},{},{}#", minutes / 60, minutes % 60))
            }
            Self::Server { host, port } => {
                let host = argument("the host", host)?;
                if *port == 0 {
                    return Err(CommandError::OutOfRange("the port"));
                }
                // 0: an address follows, 1: a name.
                let mode = if host.parse::<Ipv4Addr>().is_ok() {
                    0
                } else {
                    1
                };
                Ok(format!("SERVER,{mode},{host},{port},0#"))
            }
            Self::Apn { name, login } => {
                let name = argument("the access point", name)?;
                match login {
                    None => Ok(format!("APN,{name}#")),
                    Some((user, password)) => Ok(format!(
                        "APN,{name},{},{}#",
                        argument("the user", user)?,
                        argument("the password", password)?
                    )),
                }
            }
            Self::SosNumbers(numbers) => sos(numbers),
            Self::Unlock => fixed("UNLOCK#"),
            Self::Raw(text) => checked("the command", text, b"").map(ToOwned::to_owned),
        }
    }
}

/// `SOS,A,number[,number…]#`
fn sos(numbers: &[String]) -> Result<String, CommandError> {
    const WHAT: &str = "the phone number";
    if numbers.is_empty() {
        return Err(CommandError::Empty(WHAT));
    }
    let mut text = "SOS,A".to_owned();
    for number in numbers {
        let digits = argument(WHAT, number)?;
        let digits = digits.strip_prefix('+').unwrap_or(digits);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(CommandError::Characters(WHAT));
        }
        text.push(',');
        text.push_str(number);
    }
    text.push('#');
    checked("the list of phone numbers", &text, b"").map(ToOwned::to_owned)
}

impl RelayWords {
    fn text(&self, relay: &str, classic: &str) -> Result<String, CommandError> {
        Ok(match self {
            Self::Relay => format!("RELAY,{relay}#"),
            Self::Password(password) => {
                format!("{classic},{}#", argument("the password", password)?)
            }
            Self::Plain => format!("{classic}#"),
        })
    }
}

/// A command as a frame: a `78 78` one, or a `79 79` one where it does not fit in that. `serial` is
/// the server's own counter of what it sends unasked.
///
/// # Errors
/// When the text cannot be sent: empty, not printable ASCII, or longer than [`LONGEST`].
pub fn encode(
    flag: u32,
    text: &str,
    language: Language,
    serial: u16,
) -> Result<Bytes, CommandError> {
    let text = checked("the command", text, b"")?;
    let command = crate::message::Command::new(flag, text, language.word());
    Ok(Message::from(command).to_bytes(serial))
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::{Direction, Frame, Framing, Start};

    fn text(command: &Command) -> String {
        command.text().unwrap()
    }

    #[test]
    fn commands_are_spelled_as_the_manuals_spell_them() {
        let password = || "000000".to_owned();
        for (command, expected) in [
            (Command::CutRelay(RelayWords::Relay), "RELAY,1#"),
            (Command::RestoreRelay(RelayWords::Relay), "RELAY,0#"),
            (
                Command::CutRelay(RelayWords::Password(password())),
                "DYD,000000#",
            ),
            (
                Command::RestoreRelay(RelayWords::Password(password())),
                "HFYD,000000#",
            ),
            (Command::CutRelay(RelayWords::Plain), "DYD#"),
            (Command::RestoreRelay(RelayWords::Plain), "HFYD#"),
            (
                Command::Where(WhereWords::Password(password())),
                "DWXX,000000#",
            ),
            (Command::Where(WhereWords::Where), "WHERE#"),
            (Command::Where(WhereWords::Now), "LJDW#"),
            (Command::Where(WhereWords::Link), "URL#"),
            (Command::Status, "STATUS#"),
            (Command::Parameters, "PARAM#"),
            (Command::Version, "VERSION#"),
            (Command::NetworkSettings, "GPRSSET#"),
            (Command::Iccid, "ICCID#"),
            (Command::Imsi, "IMSI#"),
            (Command::Reboot, "RESET#"),
            (Command::FactoryReset, "FACTORY#"),
            (
                Command::Timer {
                    moving_s: 10,
                    still_s: 300,
                },
                "TIMER,10,300#",
            ),
            (Command::Zone { minutes_east: 0 }, "GMT,E,0,0#"),
            (Command::Zone { minutes_east: 345 }, "GMT,E,5,45#"),
            (Command::Zone { minutes_east: -210 }, "GMT,W,3,30#"),
            (Command::Unlock, "UNLOCK#"),
            (Command::Raw("GPSON,20#".to_owned()), "GPSON,20#"),
            (
                Command::Server {
                    host: "192.0.2.7".to_owned(),
                    port: 5_023,
                },
                "SERVER,0,192.0.2.7,5023,0#",
            ),
            (
                Command::Server {
                    host: "fleet.example".to_owned(),
                    port: 5_023,
                },
                "SERVER,1,fleet.example,5023,0#",
            ),
            (
                Command::Apn {
                    name: "internet".to_owned(),
                    login: None,
                },
                "APN,internet#",
            ),
            (
                Command::Apn {
                    name: "internet".to_owned(),
                    login: Some(("u".to_owned(), "p".to_owned())),
                },
                "APN,internet,u,p#",
            ),
            (
                Command::SosNumbers(vec!["123".to_owned(), "+4567".to_owned()]),
                "SOS,A,123,+4567#",
            ),
        ] {
            assert_eq!(text(&command), expected);
        }
    }

    #[test]
    fn an_argument_cannot_smuggle_in_another_command() {
        for bad in ["0#RESET", "0,1", "", "a b", "\r\n", "ü", "a\0"] {
            let bad = bad.to_owned();
            for command in [
                Command::CutRelay(RelayWords::Password(bad.clone())),
                Command::Where(WhereWords::Password(bad.clone())),
                Command::Server {
                    host: bad.clone(),
                    port: 1,
                },
                Command::Apn {
                    name: bad.clone(),
                    login: None,
                },
                Command::Apn {
                    name: "x".to_owned(),
                    login: Some((bad.clone(), bad.clone())),
                },
                Command::SosNumbers(vec![bad.clone()]),
            ] {
                assert!(command.text().is_err(), "{command:?}");
            }
        }
        for command in [
            Command::SosNumbers(vec![]),
            Command::SosNumbers(vec!["12a".to_owned()]),
            Command::SosNumbers(vec!["1".repeat(20); 60]),
            Command::Zone { minutes_east: 841 },
            Command::Zone {
                minutes_east: i16::MIN,
            },
            Command::Server {
                host: "x".to_owned(),
                port: 0,
            },
            Command::Raw(String::new()),
            Command::Raw("  ".to_owned()),
            Command::Raw("line\nbreak".to_owned()),
        ] {
            assert!(command.text().is_err(), "{command:?}");
        }
    }

    #[test]
    fn the_worked_examples() {
        for (flag, text, language, serial, expected) in [
            (
                1,
                "RELAY,1#",
                Language::None,
                1,
                "787812800c0000000152454c41592c312300017edc0d0a",
            ),
            (
                1,
                "RELAY,1#",
                Language::English,
                1,
                "787814800c0000000152454c41592c312300020001ee4d0d0a",
            ),
            (
                0x0001_a958,
                "DYD,000000#",
                Language::None,
                0xa0,
                "787815800f0001a9584459442c3030303030302300a0dcf10d0a",
            ),
        ] {
            assert_eq!(
                hex::encode(encode(flag, text, language, serial).unwrap()),
                expected
            );
        }
    }

    #[test]
    fn every_length_is_sent_whole_in_the_frame_it_fits_in() {
        for language in [Language::None, Language::Chinese, Language::English] {
            for len in [1, 242, 243, 244, 245, 246, 251, 252, 256, 300, LONGEST] {
                let text = "A".repeat(len);
                let raw = encode(7, &text, language, 9).unwrap();
                let frame = Frame::parse(raw.clone(), Framing::Checked).unwrap();
                let word = if language == Language::None { 0 } else { 2 };
                let long = 5 + len + word + 5 > 255;
                assert_eq!(frame.start() == Start::Long, long, "{language:?} {len}");
                let message = Message::decode(&frame, crate::Dialect::default()).unwrap();
                assert_eq!(message.direction(), Direction::Server);
                let Message::Command(command) = message else {
                    panic!("{message:?}")
                };
                assert_eq!((command.flag, command.text.len()), (7, len), "{language:?}");
                assert_eq!(command.language, language.word());
            }
        }
        assert!(encode(7, &"A".repeat(LONGEST + 1), Language::None, 9).is_err());
        assert!(encode(7, "ä", Language::None, 9).is_err());
    }
}
