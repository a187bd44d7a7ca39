//! Families of devices that mean different things by the same bytes.
//!
//! A dialect is a value: recognised from messages that only one family sends
//! ([`Message::dialect`](crate::Message::dialect)), or set for a device by hand, and kept in
//! its [`Profile`](crate::Profile). Decoding takes it as an argument and never guesses behind the
//! caller's back.

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
    /// TRX16i: a card reader behind positions.
    Trx16i = "trx16i",
    /// Benway: inputs behind positions.
    Benway = "benway",
    /// The relatives without serial and checksum (Topin, ZX303, 365GPS).
    Topin = "topin",
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
}
