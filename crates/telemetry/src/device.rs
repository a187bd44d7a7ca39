//! Who sent a report: the device's own id, and the tenant it belongs to.

use core::fmt;
use core::num::NonZeroU8;
use core::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Malformed;

/// The id a terminal gives itself, usually its IMEI.
///
/// One to [`DeviceId::MAX_LEN`] bytes of printable ASCII without blanks, held inline: copying it
/// needs no heap.
///
/// ```
/// let id: telemetry::DeviceId = "752533678900242".parse()?;
/// assert_eq!(id.as_str(), "752533678900242");
/// assert!(id.is_imei());
/// assert!("".parse::<telemetry::DeviceId>().is_err());
/// # Ok::<(), telemetry::Malformed>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceId {
    bytes: [u8; Self::MAX_LEN],
    // Last, so that ids order by their text; never zero, so that an `Option` is no larger.
    len: NonZeroU8,
}

impl DeviceId {
    /// The longest id that can be held, in bytes.
    pub const MAX_LEN: usize = 23;

    /// Checks and keeps an id.
    ///
    /// # Errors
    /// When it is empty, too long, or holds anything but printable ASCII without blanks.
    pub fn new(id: &str) -> Result<Self, Malformed> {
        let bad = |reason| Malformed::new("device id", reason);
        let len = u8::try_from(id.len()).map_err(|_| bad("longer than 23 bytes"))?;
        let len = NonZeroU8::new(len).ok_or_else(|| bad("empty"))?;
        if !id.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(bad("not printable ASCII"));
        }
        let mut bytes = [0; Self::MAX_LEN];
        bytes
            .get_mut(..id.len())
            .ok_or_else(|| bad("longer than 23 bytes"))?
            .copy_from_slice(id.as_bytes());
        Ok(Self { bytes, len })
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        let bytes = self
            .bytes
            .get(..usize::from(self.len.get()))
            .unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
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

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl FromStr for DeviceId {
    type Err = Malformed;
    fn from_str(s: &str) -> Result<Self, Malformed> {
        Self::new(s)
    }
}

impl Serialize for DeviceId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for DeviceId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// Whose device it is. Shared: a copy costs a reference count.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tenant(Arc<str>);

impl Tenant {
    /// Names a tenant.
    pub fn new(name: &str) -> Self {
        Self(Arc::from(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A device is the pair of its tenant and its own id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
