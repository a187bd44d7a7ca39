//! The open set of values: whatever has a name and perhaps a unit, but no field of its own.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Name, Timestamp};

/// What a signal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SignalId {
    /// A suspect parameter number of SAE J1939, written `spn.190`.
    Spn(u32),
    /// An OBD-II parameter, written `pid.01.0c` (mode and PID, hexadecimal).
    Pid {
        /// The service (mode).
        mode: u8,
        /// The parameter of that service.
        pid: u16,
    },
    /// A name with its protocol in front, for example `gt06.fuel_adc`.
    Named(Name),
}

impl SignalId {
    /// A signal without a standard number.
    pub const fn named(name: &'static str) -> Self {
        Self::Named(Name::new(name))
    }
}

impl fmt::Display for SignalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spn(n) => write!(f, "spn.{n}"),
            Self::Pid { mode, pid } => write!(f, "pid.{mode:02x}.{pid:02x}"),
            Self::Named(name) => fmt::Display::fmt(name, f),
        }
    }
}

impl FromStr for SignalId {
    type Err = crate::Malformed;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let bad = || crate::Malformed::new("signal id", "neither `spn.N`, `pid.MM.PP` nor a name");
        if let Some(number) = s.strip_prefix("spn.") {
            return number.parse().map(Self::Spn).map_err(|_| bad());
        }
        if let Some(pair) = s.strip_prefix("pid.") {
            let (mode, pid) = pair.split_once('.').ok_or_else(bad)?;
            return Ok(Self::Pid {
                mode: u8::from_str_radix(mode, 16).map_err(|_| bad())?,
                pid: u16::from_str_radix(pid, 16).map_err(|_| bad())?,
            });
        }
        Name::intern(s).map(Self::Named)
    }
}

impl Serialize for SignalId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SignalId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// A signal's value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Yes or no.
    Bool(bool),
    /// A number, in the signal's unit. Always finite.
    Number(f64),
    /// Text as sent.
    Text(Box<str>),
}

/// Why a signal has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SignalState {
    /// The sender does not have it.
    NotAvailable,
    /// The sender's sensor is faulty.
    Error,
    /// The code is reserved.
    Reserved,
    /// The code means something that only this parameter defines.
    ParameterSpecific,
}

/// One named value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Signal {
    /// What it is.
    pub id: SignalId,
    /// What people call it.
    pub name: Name,
    /// The value; `None` where `state` says why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// The unit, for example `rpm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Name>,
    /// The address of the control unit that sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<u8>,
    /// When it was measured, if not at the report's time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// Why there is no value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<SignalState>,
}

impl Signal {
    /// A signal without value yet.
    pub const fn new(id: SignalId, name: &'static str) -> Self {
        Self {
            id,
            name: Name::new(name),
            value: None,
            unit: None,
            source: None,
            time: None,
            state: None,
        }
    }

    /// A signal without a standard number: its name behind the dot is what people call it.
    pub fn named(id: &'static str) -> Self {
        let name = id.split_once('.').map_or(id, |(_, name)| name);
        Self::new(SignalId::named(id), name)
    }

    /// With a number in a unit. A number that is not finite leaves the signal in error.
    #[must_use]
    pub fn number(mut self, value: f64, unit: Option<&'static str>) -> Self {
        self.unit = unit.map(Name::new);
        if value.is_finite() {
            self.value = Some(Value::Number(value));
        } else {
            self.state = Some(SignalState::Error);
        }
        self
    }

    /// With a yes or no.
    #[must_use]
    pub fn bool(mut self, value: bool) -> Self {
        self.value = Some(Value::Bool(value));
        self
    }

    /// With a text.
    #[must_use]
    pub fn text(mut self, value: impl Into<Box<str>>) -> Self {
        self.value = Some(Value::Text(value.into()));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip() {
        for id in [
            SignalId::Spn(190),
            SignalId::Pid { mode: 1, pid: 0x0c },
            SignalId::Pid {
                mode: 0x22,
                pid: 0xf190,
            },
            SignalId::named("gt06.fuel_adc"),
        ] {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        assert_eq!(
            SignalId::Pid { mode: 1, pid: 0x0c }.to_string(),
            "pid.01.0c"
        );
        assert!("spn.x".parse::<SignalId>().is_err());
    }

    #[test]
    fn a_number_that_is_none_is_an_error_state() {
        let s = Signal::named("gt06.x").number(f64::NAN, Some("V"));
        assert_eq!((s.value, s.state), (None, Some(SignalState::Error)));
    }
}
