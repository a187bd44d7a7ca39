//! Who sent a report: the device's own id, and the tenant it belongs to.

use core::fmt;
use core::num::NonZeroU8;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Malformed;

/// Text held inline: one to `N` bytes of printable ASCII without blanks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Inline<const N: usize> {
    bytes: [u8; N],
    // Last, so that values order by their text; never zero, so that an `Option` is no larger.
    len: NonZeroU8,
}

impl<const N: usize> Inline<N> {
    fn new(what: &'static str, too_long: &'static str, text: &str) -> Result<Self, Malformed> {
        let bad = |reason| Malformed::new(what, reason);
        let len = u8::try_from(text.len()).map_err(|_| bad(too_long))?;
        let len = NonZeroU8::new(len).ok_or_else(|| bad("empty"))?;
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(bad("not printable ASCII without blanks"));
        }
        let mut bytes = [0; N];
        bytes
            .get_mut(..text.len())
            .ok_or_else(|| bad(too_long))?
            .copy_from_slice(text.as_bytes());
        Ok(Self { bytes, len })
    }

    fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.len.get()));
        core::str::from_utf8(bytes.unwrap_or_default()).unwrap_or_default()
    }
}

/// The id a terminal gives itself, usually its IMEI.
///
/// One to [`DeviceId::MAX_LEN`] bytes of printable ASCII without blanks, held inline: copying it
/// needs no heap.
///
/// ```
/// let id: milepost_telemetry::DeviceId = "752533678900242".parse()?;
/// assert_eq!(id.as_str(), "752533678900242");
/// assert!(id.is_imei());
/// assert!("".parse::<milepost_telemetry::DeviceId>().is_err());
/// # Ok::<(), milepost_telemetry::Malformed>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceId(Inline<{ Self::MAX_LEN }>);

impl DeviceId {
    /// The longest id that can be held, in bytes.
    pub const MAX_LEN: usize = 23;

    /// Checks and keeps an id.
    ///
    /// # Errors
    /// When it is empty, too long, or holds anything but printable ASCII without blanks.
    pub fn new(id: &str) -> Result<Self, Malformed> {
        Inline::new("device id", "longer than 23 bytes", id).map(Self)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it has the form of an IMEI: 15 digits. (Its check digit is not required to be
    /// right: many devices ship with a wrong one.)
    pub fn is_imei(&self) -> bool {
        let id = self.as_str();
        id.len() == 15 && id.bytes().all(|b| b.is_ascii_digit())
    }

    /// Whether it is an IMEI whose last digit is the right Luhn check digit.
    pub fn has_valid_check_digit(&self) -> bool {
        self.is_imei()
            && self
                .as_str()
                .bytes()
                .rev()
                .enumerate()
                .map(|(i, b)| {
                    let digit = u32::from(b.wrapping_sub(b'0'));
                    let doubled = digit.wrapping_mul(2);
                    match (i % 2, doubled) {
                        (0, _) => digit,
                        (_, 0..=9) => doubled,
                        _ => doubled.wrapping_sub(9),
                    }
                })
                .sum::<u32>()
                .is_multiple_of(10)
    }
}

/// Whose device it is.
///
/// One to [`Tenant::MAX_LEN`] bytes of printable ASCII without blanks (a UUID has its place), held
/// inline: every report names its tenant, and a shared one would have all processors count the
/// references of one place in memory.
///
/// ```
/// let tenant: milepost_telemetry::Tenant = "acme".parse()?;
/// assert_eq!(tenant.as_str(), "acme");
/// assert!("two words".parse::<milepost_telemetry::Tenant>().is_err());
/// # Ok::<(), milepost_telemetry::Malformed>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tenant(Inline<{ Self::MAX_LEN }>);

impl Tenant {
    /// The longest name that can be held, in bytes.
    pub const MAX_LEN: usize = 39;

    /// Checks and keeps a name.
    ///
    /// # Errors
    /// When it is empty, too long, or holds anything but printable ASCII without blanks.
    pub fn new(name: &str) -> Result<Self, Malformed> {
        Inline::new("tenant", "longer than 39 bytes", name).map(Self)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl Default for Tenant {
    /// `default`: of an installation that has only one.
    fn default() -> Self {
        const NAME: [u8; 7] = *b"default";
        let mut bytes = [0; Self::MAX_LEN];
        for (byte, letter) in bytes.iter_mut().zip(NAME) {
            *byte = letter;
        }
        let len = NonZeroU8::MIN.saturating_add(NAME.len() as u8 - 1);
        Self(Inline { bytes, len })
    }
}

macro_rules! as_text {
    ($($name:ident)*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }

        impl FromStr for $name {
            type Err = Malformed;
            fn from_str(s: &str) -> Result<Self, Malformed> {
                Self::new(s)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

as_text!(DeviceId Tenant);

/// A device is the pair of its tenant and its own id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceKey {
    /// Whose it is.
    pub tenant: Tenant,
    /// What it calls itself.
    pub device: DeviceId,
}

impl fmt::Display for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_could_break_a_log_or_a_url_are_refused() {
        for bad in ["", "a b", "é", "a\n", "123456789012345678901234", "\u{7f}"] {
            assert!(DeviceId::new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(
            DeviceId::new("12345678901234567890123")
                .unwrap()
                .as_str()
                .len(),
            23
        );
        assert_eq!(size_of::<Option<DeviceId>>(), 24);
        assert!(Tenant::new(&"t".repeat(39)).is_ok());
        assert!(Tenant::new(&"t".repeat(40)).is_err());
        assert_eq!(size_of::<Option<Tenant>>(), 40);
        assert_eq!(Tenant::new("default"), Ok(Tenant::default()));
    }

    #[test]
    fn the_check_digit_is_reported_and_not_required() {
        assert!(
            DeviceId::new("490154203237518")
                .unwrap()
                .has_valid_check_digit()
        );
        assert!(
            !DeviceId::new("490154203237517")
                .unwrap()
                .has_valid_check_digit()
        );
        assert!(!DeviceId::new("12345").unwrap().has_valid_check_digit());
    }

    #[test]
    fn ids_order_by_their_text() {
        let id = |s| DeviceId::new(s).unwrap();
        assert!(id("10") < id("2") && id("1") < id("10") && id("9") < id("91"));
    }
}
