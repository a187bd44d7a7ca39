//! Commands to a device, and what answers are about.
//!
//! The standard names operations and leaves the words to makers. A command is written as a verb and
//! its arguments, and put into the words of the device's dialect:
//!
//! | text | means |
//! |---|---|
//! | `SET KEY VALUE` | change a parameter |
//! | `GET KEY` | ask for one |
//! | `CLR KEY` | clear one |
//! | `RELEASE` | end the emergency state |
//! | `ACTIVATE CODE` | activate the device |
//! | `RAW TEXT`, or anything else | sent as it is |

use bytes::Bytes;

use crate::checksum::Algorithm;
use crate::{Dialect, Imei};

/// The verbs of a dialect's table.
pub const VERBS: &[&str] = &["set", "get", "clear", "release", "activate"];

/// The longest text of a command, in bytes.
pub const LONGEST: usize = 512;

/// A command that cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// There is no text.
    #[error("the command is empty")]
    Empty,
    /// An argument is missing.
    #[error("{verb} needs {needs}")]
    Incomplete {
        /// The verb.
        verb: &'static str,
        /// What it needs.
        needs: &'static str,
    },
    /// It is too long.
    #[error("a command has at most {LONGEST} bytes, this one has {0}")]
    TooLong(usize),
    /// It holds what would end it, or begin another one.
    #[error("a command holds printable ASCII only")]
    NotText,
    /// The dialect has no words for it.
    #[error("devices of dialect {dialect} have no known command for {verb}; send it as RAW text")]
    NotInDialect {
        /// The dialect.
        dialect: String,
        /// The verb.
        verb: &'static str,
    },
    /// The dialect's words need the IMEI, and the device has not said it yet.
    #[error("the device has not said its IMEI yet")]
    NoImei,
}

/// Puts a command into the words of a dialect.
///
/// # Errors
/// When it is empty, too long or no text, lacks an argument, or the dialect has no words for it.
///
/// ```
/// use milepost_protocol_ais140::{Dialects, command};
///
/// let dialects = Dialects::builtin();
/// let dialect = dialects.by_name("istartek").expect("in the table");
/// let sent = command::encode("SET PIP 192.0.2.1", dialect, None)?;
/// assert_eq!(sent[..], b"SET PIP:192.0.2.1\r\n"[..]);
/// assert_eq!(command::encode("RELEASE", dialect, None)?[..], b"SET EO\r\n"[..]);
/// # Ok::<(), command::CommandError>(())
/// ```
pub fn encode(text: &str, dialect: &Dialect, imei: Option<Imei>) -> Result<Bytes, CommandError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(CommandError::Empty);
    }
    if text.len() > LONGEST {
        return Err(CommandError::TooLong(text.len()));
    }
    if !text.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
        return Err(CommandError::NotText);
    }
    let mut words = text.splitn(3, ' ');
    let word = words.next().unwrap_or_default();
    let (key, value) = (words.next(), words.next());
    let (verb, key, value) = match (word, key, value) {
        ("SET", Some(key), Some(value)) => ("set", key, value),
        ("SET", _, _) if !word_has_own_form(text, dialect) => {
            return Err(CommandError::Incomplete {
                verb: "SET",
                needs: "a key and a value",
            });
        }
        ("GET", Some(key), None) => ("get", key, ""),
        ("CLR", Some(key), None) => ("clear", key, ""),
        ("RELEASE", None, None) => ("release", "", ""),
        ("ACTIVATE", Some(code), None) => ("activate", "", code),
        ("ACTIVATE", None, _) => {
            return Err(CommandError::Incomplete {
                verb: "ACTIVATE",
                needs: "the code",
            });
        }
        ("RAW", Some(_), _) => return Ok(line(text.get(4..).unwrap_or_default())),
        _ => return Ok(line(text)),
    };
    let Some((_, template)) = dialect.commands.iter().find(|(known, _)| **known == *verb) else {
        let dialect = dialect.name().into();
        return Err(CommandError::NotInDialect { dialect, verb });
    };
    let mut sent = template.replace("{key}", key).replace("{value}", value);
    if sent.contains("{imei}") || sent.contains("{password}") {
        let imei = imei.ok_or(CommandError::NoImei)?.to_string();
        // The password is the last six digits of the IMEI unless it was changed.
        let password = imei.get(9..).unwrap_or_default();
        sent = sent
            .replace("{password}", password)
            .replace("{imei}", &imei);
    }
    if let Some(covered) = sent.strip_suffix("*{sum}") {
        let sum = Algorithm::Xor8.over(covered.strip_prefix('$').unwrap_or(covered).as_bytes());
        sent = format!("{covered}*{sum:02X}");
    }
    Ok(line(&sent))
}

/// `SET EO`: a maker's own words.
fn word_has_own_form(text: &str, dialect: &Dialect) -> bool {
    dialect
        .commands
        .iter()
        .any(|(_, template)| **template == *text)
        || text.contains(':')
}

fn line(text: &str) -> Bytes {
    format!("{text}\r\n").into_bytes().into()
}

/// The verb of a sent text or of an answer, for matching one to the other.
///
/// `SET PIP:1.2.3.4` and the answer `(192.0.2.1,PIP,1.2.3.4)` are both about `PIP`; `^ACTV,1#` is
/// about `ACTV`.
#[must_use]
pub fn subject(text: &str) -> Option<&str> {
    let separators = |c: char| {
        matches!(
            c,
            ' ' | ',' | ':' | '|' | '#' | '^' | '@' | '(' | ')' | '*' | '<' | '>' | '$'
        )
    };
    text.split(separators)
        .filter(|word| !word.is_empty())
        .find(|word| {
            let is_verb = matches!(*word, "SET" | "GET" | "CLR" | "RLP" | "SMS" | "RAW");
            let is_sender = word.contains('.')
                || word.bytes().all(|b| b.is_ascii_digit() && word.len() != 3)
                || word.starts_with("SCK");
            !is_verb && !is_sender
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dialects;

    fn sent(text: &str, dialect: &str) -> Result<String, CommandError> {
        let dialects = Dialects::builtin();
        let imei = Some(Imei::new(123_456_789_012_347));
        let bytes = encode(text, dialects.by_name(dialect).unwrap(), imei)?;
        Ok(String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[test]
    fn each_dialect_has_its_words() {
        assert_eq!(sent("GET APN", "istartek").unwrap(), "GET APN\r\n");
        assert_eq!(sent("RELEASE", "apmk").unwrap(), "^STOP_EMG#\r\n");
        assert_eq!(
            sent("ACTIVATE 654343", "apmk").unwrap(),
            "^ACTV,654343#\r\n"
        );
        let release = sent("RELEASE", "amendment3").unwrap();
        assert!(
            release.starts_with("$123456789012347,012347,CLR,020*"),
            "{release}"
        );
        assert_eq!(sent("SET EO", "istartek").unwrap(), "SET EO\r\n");
        assert_eq!(sent("RAW CLR 020", "nic").unwrap(), "CLR 020\r\n");
    }

    #[test]
    fn what_cannot_be_sent_is_refused_with_the_reason() {
        assert_eq!(sent(" ", "nic"), Err(CommandError::Empty));
        assert_eq!(sent("A\r\nB", "nic"), Err(CommandError::NotText));
        assert_eq!(
            sent(&"A".repeat(600), "nic"),
            Err(CommandError::TooLong(600))
        );
        let refused = sent("RELEASE", "nic").unwrap_err().to_string();
        assert!(
            refused.contains("dialect nic") && refused.contains("RAW"),
            "{refused}"
        );
        assert!(matches!(
            sent("SET APN", "apmk"),
            Err(CommandError::Incomplete { .. })
        ));
    }

    #[test]
    fn commands_and_answers_have_the_same_subject() {
        for (text, about) in [
            ("SET PIP:192.0.2.1", "PIP"),
            ("(192.0.2.1,PIP,192.0.2.7)", "PIP"),
            ("^ACTV,654343#", "ACTV"),
            ("(SCK1|SET|002:192.0.2.1:1)", "002"),
            ("SETREPORT", "SETREPORT"),
        ] {
            assert_eq!(subject(text), Some(about), "{text}");
        }
    }
}
