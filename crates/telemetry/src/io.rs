//! Switches: ignition, arming, digital inputs and outputs.

use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Where the state of the ignition was read, best first. Sources may disagree for seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum IgnitionSource {
    /// A field of its own in the message.
    Field,
    /// The message is an alarm that says ignition on or off.
    Alarm,
    /// A status word that carries several switches.
    Status,
    /// Spare bits of the course word, which only some firmware fills.
    CourseBits,
}

/// A row of up to 32 switches, the first one first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Switches {
    len: u8,
    bits: u32,
}

impl Switches {
    /// None at all.
    pub const EMPTY: Self = Self { len: 0, bits: 0 };

    /// The `len` lowest bits of `bits`, the lowest first; at most 32.
    pub const fn from_bits(bits: u32, len: u8) -> Self {
        let len = if len > 32 { 32 } else { len };
        let mask = if len == 32 { u32::MAX } else { (1 << len) - 1 };
        Self {
            len,
            bits: bits & mask,
        }
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The switches in order.
    pub fn iter(&self) -> impl Iterator<Item = bool> + use<> {
        let bits = self.bits;
        (0..self.len).map(move |i| bits.checked_shr(u32::from(i)).unwrap_or(0) & 1 == 1)
    }
}

impl Serialize for Switches {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut seq = s.serialize_seq(Some(usize::from(self.len)))?;
        for bit in self.iter() {
            seq.serialize_element(&bit)?;
        }
        seq.end()
    }
}

impl<'de> Deserialize<'de> for Switches {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let list = Vec::<bool>::deserialize(d)?;
        let len = u8::try_from(list.len())
            .ok()
            .filter(|len| *len <= 32)
            .ok_or_else(|| de::Error::invalid_length(list.len(), &"at most 32 switches"))?;
        let bits = list
            .iter()
            .rev()
            .fold(0, |bits, on| (bits << 1) | u32::from(*on));
        Ok(Self { len, bits })
    }
}

/// What a device says about its switches; every part is optional.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Io {
    /// Whether the ignition is on. `None`: the message does not say, which is not "off".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignition: Option<bool>,
    /// Where the ignition's state was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignition_source: Option<IgnitionSource>,
    /// Whether the device's own alarm system is armed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub armed: Option<bool>,
    /// Digital inputs, the first one first.
    #[serde(default, skip_serializing_if = "Switches::is_empty")]
    pub inputs: Switches,
    /// Digital outputs, the first one first.
    #[serde(default, skip_serializing_if = "Switches::is_empty")]
    pub outputs: Switches,
}

impl Io {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Notes the ignition's state, unless a better source has already said.
    #[inline]
    pub fn note_ignition(&mut self, on: bool, source: IgnitionSource) {
        // Against the best one there is none.
        let is_best = matches!(source, IgnitionSource::Field);
        if is_best || self.ignition_source.is_none_or(|known| source < known) {
            self.ignition = Some(on);
            self.ignition_source = Some(source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_source_decides_in_either_order() {
        for reversed in [false, true] {
            let mut says = [
                (false, IgnitionSource::CourseBits),
                (true, IgnitionSource::Field),
            ];
            if reversed {
                says.reverse();
            }
            let mut io = Io::default();
            for (on, source) in says {
                io.note_ignition(on, source);
            }
            assert_eq!(io.ignition, Some(true));
        }
    }

    #[test]
    fn switches_round_trip_in_order() {
        let s = Switches::from_bits(0b1101, 4);
        let json = serde_json::to_string(&s).unwrap();
        assert_eq!(json, "[true,false,true,true]");
        assert_eq!(serde_json::from_str::<Switches>(&json).unwrap(), s);
        let full = Switches::from_bits(u32::MAX, 40);
        assert_eq!(full.iter().count(), 32);
        let json = serde_json::to_string(&full).unwrap();
        assert_eq!(serde_json::from_str::<Switches>(&json).unwrap(), full);
        let too_many = serde_json::to_string(&[true; 33][..]).unwrap();
        assert!(serde_json::from_str::<Switches>(&too_many).is_err());
    }
}
