//! A value on its way into the configuration, whatever it came from.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;

/// A value as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// From the environment or a flag: the key decides what it is.
    Untyped(String),
    /// A string of a file.
    String(String),
    /// A whole number of a file.
    Integer(i64),
    /// A truth value of a file.
    Boolean(bool),
    /// A list of a file.
    List(Vec<Self>),
    /// Anything else of a file, as it is written there: never right.
    Other(String),
}

impl Value {
    /// The text, whose kind is named by `what`.
    ///
    /// # Errors
    /// What it must be.
    pub fn text(&self, what: &str) -> Result<&str, String> {
        match self {
            Self::Untyped(text) | Self::String(text) => Ok(text),
            _ => Err(format!("must be {what}, in quotes")),
        }
    }

    /// A whole number within bounds.
    ///
    /// # Errors
    /// What it must be.
    pub fn whole<T>(&self, range: RangeInclusive<T>) -> Result<T, String>
    where
        T: TryFrom<i64> + PartialOrd + fmt::Display,
    {
        let number = match self {
            Self::Untyped(text) => text.trim().parse().ok(),
            Self::Integer(number) => Some(*number),
            _ => None,
        };
        number
            .and_then(|number: i64| T::try_from(number).ok())
            .filter(|number| range.contains(number))
            .ok_or_else(|| {
                format!(
                    "must be a whole number from {} to {}",
                    range.start(),
                    range.end()
                )
            })
    }

    /// Seconds within bounds.
    ///
    /// # Errors
    /// What they must be.
    pub fn seconds(&self, range: RangeInclusive<u64>) -> Result<std::time::Duration, String> {
        self.whole(range.clone())
            .map(std::time::Duration::from_secs)
            .map_err(|_| {
                format!(
                    "must be a whole number of seconds from {} to {}",
                    range.start(),
                    range.end()
                )
            })
    }

    /// A truth value.
    ///
    /// # Errors
    /// What it must be.
    pub fn switch(&self) -> Result<bool, String> {
        match self {
            Self::Boolean(value) => Ok(*value),
            Self::Untyped(text) if text == "true" => Ok(true),
            Self::Untyped(text) if text == "false" => Ok(false),
            _ => Err("must be true or false".to_owned()),
        }
    }

    /// One of a few words.
    ///
    /// # Errors
    /// Which words there are.
    pub fn one_of<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, String> {
        let given = match self {
            Self::Untyped(text) | Self::String(text) => Some(text.as_str()),
            _ => None,
        };
        words
            .iter()
            .find(|(word, _)| Some(*word) == given)
            .map(|(_, meaning)| *meaning)
            .ok_or_else(|| {
                let words: Vec<_> = words
                    .iter()
                    .map(|(word, _)| format!("\"{word}\""))
                    .collect();
                format!("must be one of {}", words.join(", "))
            })
    }

    /// An address to listen on.
    ///
    /// # Errors
    /// What it must be.
    pub fn address(&self, example: &str) -> Result<SocketAddr, String> {
        let wrong = || {
            format!(
                "must be an address and a port, for example \"{example}\" \
                 (0.0.0.0 or [::] for every address of this machine)"
            )
        };
        let (Self::Untyped(text) | Self::String(text)) = self else {
            return Err(wrong());
        };
        let text = text.trim();
        if let Some(port) = text.strip_prefix("localhost:") {
            let port: u16 = port.parse().map_err(|_| wrong())?;
            return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        }
        text.parse().map_err(|_| wrong())
    }

    /// Addresses to listen on: a list or, outside of files, separated by commas; `off` is none.
    ///
    /// # Errors
    /// What they must be.
    pub fn addresses(&self, example: &str) -> Result<Vec<SocketAddr>, String> {
        let listed;
        let values = match self {
            Self::List(values) => values.as_slice(),
            Self::Untyped(text) | Self::String(text) if text == "off" => &[],
            Self::Untyped(text) => {
                listed = text
                    .split(',')
                    .map(|part| Self::Untyped(part.to_owned()))
                    .collect::<Vec<_>>();
                &listed
            }
            other => std::slice::from_ref(other),
        };
        values
            .iter()
            .map(|value| value.address(example))
            .collect::<Result<_, _>>()
            .map_err(|remedy| format!("{remedy}; or a list of these; or \"off\""))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untyped(text) | Self::String(text) => write!(f, "{text:?}"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::List(values) => {
                f.write_str("[")?;
                for (i, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Self::Other(text) => f.write_str(text),
        }
    }
}
