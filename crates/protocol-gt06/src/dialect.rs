//! Families of devices that mean different things by the same bytes.
//!
//! A dialect is a value: recognised from messages that only one family sends or that name the
//! firmware ([`Message::dialect`](crate::Message::dialect)), or from the type word of the login
//! if their meaning is configured ([`Models`]), or set for a device by hand, and kept in
//! its [`Profile`](crate::Profile). Decoding takes it as an argument and never guesses after the
//! caller's back.

use alloc::sync::Arc;
use core::fmt;
use core::str::FromStr;

macro_rules! dialects {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A family of devices.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Dialect {
            $($(#[$doc])* $variant,)*
        }

        impl Dialect {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name, as it is written in profiles and reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

dialects! {
    /// Nothing is known: the manuals' reading.
    #[default]
    Concox = "concox",
    /// Newer Jimi models (VL103, LL303, VL512, G18): other alarm codes.
    Jimi = "jimi",
    /// Lynkworld LW models.
    Lynkworld = "lynkworld",
    /// Seeworld models: percent for levels, four-byte cells.
    Seeworld = "seeworld",
    /// R11: external voltage in the heartbeat.
    R11 = "r11",
    /// TRX16i: a card reader after positions.
    Trx16i = "trx16i",
    /// Benway: inputs after positions.
    Benway = "benway",
    /// The relatives without serial and checksum (Topin, ZX303, 365GPS).
    Topin = "topin",
}

impl Dialect {
    /// The family of the models whose firmware has that name: the models that Jimi's alarm codes
    /// are known of begin with the model's name.
    #[must_use]
    pub fn of_firmware(name: &str) -> Option<Self> {
        const JIMI: [&str; 4] = ["VL103", "LL303", "VL512", "G18"];
        let begins = |model: &str| {
            let front = name.as_bytes().get(..model.len());
            front.is_some_and(|front| front.eq_ignore_ascii_case(model.as_bytes()))
        };
        JIMI.into_iter().any(begins).then_some(Self::Jimi)
    }

    /// The family by a text in which a device may name its firmware.
    pub(crate) fn of_text(text: &str) -> Option<Self> {
        crate::answer::Reading::read(text)
            .firmware
            .and_then(Self::of_firmware)
    }
}

/// What the type words of logins mean. No public manual lists them, so there are none but
/// those that are put in.
///
/// ```
/// use milepost_protocol_gt06::{AckPolicy, Dialect, Models, Session};
///
/// let models: Models = [(0x8033, Dialect::Jimi)].into_iter().collect();
/// assert_eq!(models.dialect(0x8033), Some(Dialect::Jimi));
/// let session = Session::new(AckPolicy::default()).with_models(models);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Models(Arc<[(u16, Dialect)]>);

impl Models {
    /// The family of devices that log in with this type word.
    #[must_use]
    pub fn dialect(&self, model: u16) -> Option<Dialect> {
        let found = self.0.iter().find(|(known, _)| *known == model);
        found.map(|(_, dialect)| *dialect)
    }
}

impl FromIterator<(u16, Dialect)> for Models {
    fn from_iter<I: IntoIterator<Item = (u16, Dialect)>>(models: I) -> Self {
        Self(models.into_iter().collect())
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// No dialect has that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no dialect of GT06 has that name")]
pub struct UnknownDialect;

impl FromStr for Dialect {
    type Err = UnknownDialect;
    fn from_str(name: &str) -> Result<Self, UnknownDialect> {
        Self::ALL
            .iter()
            .copied()
            .find(|dialect| dialect.name() == name)
            .ok_or(UnknownDialect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for dialect in Dialect::ALL {
            assert_eq!(dialect.name().parse(), Ok(*dialect));
        }
        assert_eq!("vl103".parse::<Dialect>(), Err(UnknownDialect));
    }

    #[test]
    fn a_model_is_known_by_the_beginning_of_its_firmware_s_name() {
        for (text, dialect) in [
            (
                "[VERSION]VL103M_V1.0_200101[BUILD]2020",
                Some(Dialect::Jimi),
            ),
            ("[VERSION]G18_V1", Some(Dialect::Jimi)),
            ("VERSION:ll303_1;", Some(Dialect::Jimi)),
            ("[VERSION]GT06N_VL103", None),
            ("VL103", None),
            ("[VERSION]", None),
        ] {
            assert_eq!(Dialect::of_text(text), dialect, "{text}");
        }
    }
}
