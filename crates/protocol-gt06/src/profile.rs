//! What is learned, or set by hand, about one device.

use crate::command::Language;
use crate::{AckPolicy, Dialect, Framing};

/// What is known about one device. Decoding is a function of a frame and this.
///
/// With feature `telemetry` it is written to, and read from, a
/// [`milepost_telemetry::Profile`](::milepost_telemetry::Profile): JSON with a version in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "telemetry", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "telemetry", serde(default))]
#[non_exhaustive]
pub struct Profile {
    /// The family of devices, as it was learned.
    #[cfg_attr(feature = "telemetry", serde(skip_serializing_if = "Option::is_none"))]
    pub dialect: Option<Dialect>,
    /// How many frames spoke for the learned family; from [`Profile::CERTAIN`] on it stays.
    #[cfg_attr(feature = "telemetry", serde(skip_serializing_if = "is_zero"))]
    pub dialect_evidence: u8,
    /// The family of devices, set by hand: it goes before what was learned.
    #[cfg_attr(feature = "telemetry", serde(skip_serializing_if = "Option::is_none"))]
    pub configured_dialect: Option<Dialect>,
    /// The type word of the last login.
    #[cfg_attr(feature = "telemetry", serde(skip_serializing_if = "Option::is_none"))]
    pub model: Option<u16>,
    /// The zones of its times.
    #[cfg_attr(feature = "telemetry", serde(skip_serializing_if = "Zones::is_empty"))]
    pub zones: Zones,
    /// Whether its frames have neither serial nor checksum.
    #[cfg_attr(feature = "telemetry", serde(skip_serializing_if = "is_false"))]
    pub bare_frames: bool,
    /// Whether its locations are acknowledged, against the session's policy.
    #[cfg_attr(feature = "telemetry", serde(skip_serializing_if = "Option::is_none"))]
    pub acknowledge_locations: Option<bool>,
    /// Whether it counts its battery in percent: then 6 is 6 %, not the highest level.
    #[cfg_attr(feature = "telemetry", serde(skip_serializing_if = "is_false"))]
    pub battery_in_percent: bool,
    /// The language word of commands to it; none unless it is set here, since old GT06 refuse
    /// commands that have one.
    #[cfg_attr(feature = "telemetry", serde(skip_serializing_if = "Option::is_none"))]
    pub command_language: Option<Language>,
}

/// The zones of a device's times, in minutes east of Greenwich. They matter to the messages whose
/// zone no manual states; the best known one is used, in the order of the fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "telemetry", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "telemetry", serde(default))]
#[non_exhaustive]
pub struct Zones {
    /// Set by hand.
    #[cfg_attr(feature = "telemetry", serde(skip_serializing_if = "Option::is_none"))]
    pub configured: Option<i16>,
    /// Found by comparing live reports with their arrival.
    #[cfg_attr(feature = "telemetry", serde(skip_serializing_if = "Option::is_none"))]
    pub detected: Option<i16>,
    /// What the device reported when it logged in.
    #[cfg_attr(feature = "telemetry", serde(skip_serializing_if = "Option::is_none"))]
    pub login: Option<i16>,
}

impl Zones {
    #[cfg(feature = "telemetry")]
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(feature = "telemetry")]
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(feature = "telemetry")]
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_zero(value: &u8) -> bool {
    *value == 0
}

impl Profile {
    /// So many frames that show a family make it certain.
    pub const CERTAIN: u8 = 3;

    /// Weighs what a frame shows about the family of its device.
    ///
    /// One frame is enough to read by its family what follows. A family that fewer than
    /// [`Self::CERTAIN`] frames spoke for is given up when as many contradict it.
    pub(crate) fn weigh_dialect(&mut self, reported: Option<Dialect>, contradicts: bool) {
        match (self.dialect, reported) {
            (None, reported) => {
                self.dialect = reported;
                self.dialect_evidence = u8::from(reported.is_some());
            }
            (Some(known), Some(reported)) if known == reported => {
                self.dialect_evidence = self.dialect_evidence.saturating_add(1).min(Self::CERTAIN);
            }
            (Some(_), reported)
                if (reported.is_some() || contradicts) && self.dialect_evidence < Self::CERTAIN =>
            {
                self.dialect_evidence = self.dialect_evidence.saturating_sub(1);
                if self.dialect_evidence == 0 {
                    self.dialect = reported;
                    self.dialect_evidence = u8::from(reported.is_some());
                }
            }
            _ => {}
        }
    }

    /// The dialect; unless one is known, the manuals' reading.
    #[inline]
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.known_dialect().unwrap_or_default()
    }

    /// The dialect, if one is known: set by hand, or else learned.
    #[inline]
    #[must_use]
    pub const fn known_dialect(&self) -> Option<Dialect> {
        match self.configured_dialect {
            None => self.dialect,
            configured => configured,
        }
    }

    /// How the device's frames are delimited.
    #[must_use]
    pub const fn framing(&self) -> Framing {
        if self.bare_frames {
            Framing::Bare
        } else {
            Framing::Checked
        }
    }

    /// The policy for this device.
    #[must_use]
    pub fn ack_policy(&self, session: AckPolicy) -> AckPolicy {
        AckPolicy {
            locations: self.acknowledge_locations.unwrap_or(session.locations),
        }
    }
}

#[cfg(feature = "telemetry")]
mod form {
    use alloc::borrow::Cow;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    use super::Profile;
    use crate::Dialect;

    const VERSION: u32 = 1;

    #[derive(Serialize)]
    struct Written<'a> {
        version: u32,
        #[serde(flatten)]
        profile: &'a Profile,
    }

    /// A profile that cannot be read.
    #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
    #[non_exhaustive]
    pub enum ProfileError {
        /// It was written by a newer version, which must not be overwritten.
        #[error("profile of version {0}; this version reads 1")]
        Newer(u32),
        /// It is no profile.
        #[error("not a GT06 profile: {0}")]
        Malformed(alloc::string::String),
    }

    impl TryFrom<&milepost_telemetry::Profile> for Profile {
        type Error = ProfileError;

        fn try_from(profile: &milepost_telemetry::Profile) -> Result<Self, ProfileError> {
            #[derive(Deserialize)]
            struct Version {
                version: u32,
            }
            let malformed =
                |error: serde_json::Error| ProfileError::Malformed(alloc::format!("{error}"));
            let Version { version } = serde_json::from_str(profile.as_str()).map_err(malformed)?;
            if version > VERSION {
                return Err(ProfileError::Newer(version));
            }
            // A key that is not known, such as the version, is passed over.
            serde_json::from_str(profile.as_str()).map_err(malformed)
        }
    }

    impl From<&Profile> for milepost_telemetry::Profile {
        fn from(profile: &Profile) -> Self {
            let written = Written {
                version: VERSION,
                profile,
            };
            // Numbers, booleans and names: nothing that JSON could refuse.
            Self::new(&serde_json::to_string(&written).unwrap_or_default())
        }
    }

    impl Serialize for Dialect {
        fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
            s.serialize_str(self.name())
        }
    }

    impl<'de> Deserialize<'de> for Dialect {
        fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
            let name = Cow::<'de, str>::deserialize(d)?;
            name.parse().map_err(de::Error::custom)
        }
    }
}

#[cfg(feature = "telemetry")]
pub use form::ProfileError;

#[cfg(all(test, feature = "telemetry"))]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_read_back_and_its_form_is_stable() {
        let profile = Profile {
            dialect: Some(Dialect::Jimi),
            model: Some(0x7000),
            zones: Zones {
                login: Some(480),
                ..Zones::default()
            },
            ..Profile::default()
        };
        let written = milepost_telemetry::Profile::from(&profile);
        assert_eq!(
            written.as_str(),
            r#"{"version":1,"dialect":"jimi","model":28672,"zones":{"login":480}}"#
        );
        assert_eq!(Profile::try_from(&written), Ok(profile));
        let empty = milepost_telemetry::Profile::from(&Profile::default());
        assert_eq!(empty.as_str(), r#"{"version":1}"#);
    }

    #[test]
    fn a_newer_profile_is_refused_and_a_newer_key_is_passed_over() {
        let newer = milepost_telemetry::Profile::new(r#"{"version":2,"zones":"all new"}"#);
        assert_eq!(Profile::try_from(&newer), Err(ProfileError::Newer(2)));
        let extra = milepost_telemetry::Profile::new(r#"{"version":1,"later":true}"#);
        assert_eq!(Profile::try_from(&extra), Ok(Profile::default()));
        let junk = milepost_telemetry::Profile::new("junk");
        assert!(Profile::try_from(&junk).is_err());
    }
}
