//! What is learned, or set by hand, about one device.

use std::collections::BTreeMap;

use crate::checksum::{Rule, Stated, search};
use crate::dialect::{Dialect, Dialects, Kind};
use crate::message::{Certainty, Known};
use crate::neighbour::Order;

/// What is known about one device. Decoding is a function of a packet and this.
///
/// With feature `telemetry` it is written to, and read from, a `milepost_telemetry::Profile`: JSON
/// with a version in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Profile {
    /// The dialect, set by hand: it goes before what was learned.
    pub configured_dialect: Option<String>,
    /// The dialect that was learned: name and version.
    pub dialect: Option<(String, u16)>,
    /// How sure it was.
    pub certainty: Option<Certainty>,
    /// The zone of its clock in minutes east of Greenwich, set by hand.
    pub configured_zone: Option<i16>,
    /// The same, found by comparing live packets with their arrival: the standard wants UTC.
    pub detected_zone: Option<i16>,
    /// Its checksums, by kind of packet.
    pub checksums: BTreeMap<Kind, Checksums>,
    /// The order of its neighbours' values.
    pub neighbours: Option<Order>,
}

/// What is known of the checksums of one kind of packet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checksums {
    /// The rule that is certain.
    pub locked: Option<Rule>,
    /// Rules by which all packets so far were right, with the number of packets.
    pub candidates: Vec<(Rule, u8)>,
}

/// The verdict on a packet's checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Checksum {
    /// Right.
    Valid,
    /// Wrong by a rule that is certain.
    Mismatch,
    /// The packet has none.
    Absent,
    /// There is one, and how it is made is not known, or may be chance.
    Unverified,
}

impl Checksum {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Mismatch => "mismatch",
            Self::Absent => "absent",
            Self::Unverified => "unverified",
        }
    }
}

/// What a packet's checksum teaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lesson {
    Nothing,
    /// The locked rule was right.
    Confirmed,
    /// The locked rule was wrong; these others are right.
    Missed(Vec<Rule>),
    /// Keep this.
    Learn(Checksums),
}

/// Judges a packet's checksum by what is known before it.
///
/// | known | found | verdict |
/// |---|---|---|
/// | a rule is locked | right, wrong | valid, mismatch |
/// | nothing | a rule of 16 or 32 bits is right | valid, and locked |
/// | nothing | a rule of 8 bits of the dialect's own is right | valid; locked when two agree |
/// | nothing | another rule of 8 bits is right | unverified until three agree (two if any dialect has it), then valid and locked |
/// | nothing | no rule is right | unverified |
pub(crate) fn judge(
    raw: &[u8],
    stated: Option<&Stated>,
    kind: Kind,
    dialect: &Dialect,
    dialects: &Dialects,
    known: Option<&Checksums>,
    may_search: bool,
) -> (Checksum, Lesson) {
    let Some(stated) = stated else {
        return (Checksum::Absent, Lesson::Nothing);
    };
    if let Some(locked) = known.and_then(|known| known.locked) {
        return match locked.check(raw, stated) {
            Some(true) => (Checksum::Valid, Lesson::Confirmed),
            Some(false) => {
                let others = search(raw, stated);
                (Checksum::Mismatch, Lesson::Missed(others))
            }
            None => (Checksum::Unverified, Lesson::Nothing),
        };
    }
    let own = dialect
        .own_rules(kind)
        .find(|rule| rule.check(raw, stated) == Some(true));
    if let Some(rule) = own.filter(Rule::is_strong) {
        let lesson = Checksums {
            locked: Some(rule),
            candidates: Vec::new(),
        };
        return (Checksum::Valid, Lesson::Learn(lesson));
    }
    if own.is_none() && !may_search {
        return (Checksum::Unverified, Lesson::Nothing);
    }
    let found = match own {
        Some(rule) => vec![rule],
        None => search(raw, stated),
    };
    if let Some(rule) = found.iter().copied().find(Rule::is_strong) {
        let lesson = Checksums {
            locked: Some(rule),
            candidates: Vec::new(),
        };
        return (Checksum::Valid, Lesson::Learn(lesson));
    }
    if found.is_empty() {
        return (Checksum::Unverified, Lesson::Nothing);
    }
    let before = |rule: Rule| {
        let candidates = known.map(|known| &known.candidates[..]).unwrap_or_default();
        candidates
            .iter()
            .find(|(r, _)| *r == rule)
            .map_or(0, |(_, n)| *n)
    };
    let candidates: Vec<_> = found
        .iter()
        .map(|r| (*r, before(*r).saturating_add(1)))
        .collect();
    let has_rule = |rule: Rule| dialects.iter().any(|d| d.rules().any(|(_, r)| r == rule));
    let enough = |(rule, count): &&(Rule, u8)| {
        let needed = if own == Some(*rule) || has_rule(*rule) {
            2
        } else {
            3
        };
        *count >= needed
    };
    let locked = candidates.iter().find(enough).map(|(rule, _)| *rule);
    let verdict = if own.is_some() || locked.is_some() {
        Checksum::Valid
    } else {
        Checksum::Unverified
    };
    let lesson = match locked {
        Some(_) => Checksums {
            locked,
            candidates: Vec::new(),
        },
        None => Checksums {
            locked: None,
            candidates,
        },
    };
    (verdict, Lesson::Learn(lesson))
}

impl Profile {
    /// What reading a packet needs of it.
    #[must_use]
    pub fn known(&self, dialects: &Dialects) -> Known {
        let configured = self.configured_dialect.as_deref();
        let configured = configured.and_then(|name| dialects.by_name(name));
        let learned = self.dialect.as_ref().and_then(|(name, version)| {
            // Another version may read other headers: learn anew.
            dialects.by_name(name).filter(|d| d.version() == *version)
        });
        // Fits and guesses are asked again with each packet; headers and vendors are not.
        let learned = learned.filter(|_| self.certainty >= Some(Certainty::Fits));
        Known {
            dialect: configured.or(learned).cloned(),
            is_configured: configured.is_some(),
            order: self.neighbours,
        }
    }

    /// The zone of the device's clock, and whether it was set by hand; UTC if nothing is known.
    #[must_use]
    pub fn zone(&self) -> Option<(i16, bool)> {
        match (self.configured_zone, self.detected_zone) {
            (Some(minutes), _) => Some((minutes, true)),
            (None, Some(minutes)) => Some((minutes, false)),
            (None, None) => None,
        }
    }
}

#[cfg(feature = "telemetry")]
mod form {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize};

    use super::{Certainty, Checksums, Kind, Order, Profile};

    const VERSION: u32 = 1;

    #[derive(Default, Serialize, Deserialize)]
    #[serde(default)]
    struct Form {
        version: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        configured_dialect: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        dialect: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        dialect_version: Option<u16>,
        #[serde(skip_serializing_if = "Option::is_none")]
        certainty: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        configured_zone: Option<i16>,
        #[serde(skip_serializing_if = "Option::is_none")]
        detected_zone: Option<i16>,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        checksums: BTreeMap<String, Sums>,
        #[serde(skip_serializing_if = "Option::is_none")]
        neighbours: Option<String>,
    }

    #[derive(Default, Serialize, Deserialize)]
    #[serde(default)]
    struct Sums {
        #[serde(skip_serializing_if = "Option::is_none")]
        locked: Option<String>,
        /// In the order in which they were found.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        candidates: Vec<(String, u8)>,
    }

    /// A profile that cannot be read.
    #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
    #[non_exhaustive]
    pub enum ProfileError {
        /// It was written by a newer version, which must not be overwritten.
        #[error("profile of version {0}; this version reads 1")]
        Newer(u32),
        /// It is no profile.
        #[error("not an AIS 140 profile: {0}")]
        Malformed(String),
    }

    const CERTAINTIES: [(Certainty, &str); 5] = [
        (Certainty::Guessed, "guessed"),
        (Certainty::Shared, "shared"),
        (Certainty::Fits, "fits"),
        (Certainty::Header, "header"),
        (Certainty::Vendor, "vendor"),
    ];

    impl TryFrom<&milepost_telemetry::Profile> for Profile {
        type Error = ProfileError;

        fn try_from(profile: &milepost_telemetry::Profile) -> Result<Self, ProfileError> {
            #[derive(Deserialize)]
            struct Version {
                version: u32,
            }
            let malformed = |e: serde_json::Error| ProfileError::Malformed(e.to_string());
            let Version { version } = serde_json::from_str(profile.as_str()).map_err(malformed)?;
            if version > VERSION {
                return Err(ProfileError::Newer(version));
            }
            let form: Form = serde_json::from_str(profile.as_str()).map_err(malformed)?;
            // Names that a later version gave, and a rule that none knows, are not known here.
            let certainty = form.certainty.as_deref().and_then(|name| {
                CERTAINTIES
                    .iter()
                    .find(|(_, known)| *known == name)
                    .map(|(c, _)| *c)
            });
            let mut checksums = BTreeMap::new();
            for (kind, sums) in &form.checksums {
                if let Some(kind) = Kind::from_name(kind) {
                    let candidates = sums
                        .candidates
                        .iter()
                        .filter_map(|(rule, n)| Some((rule.parse().ok()?, *n)));
                    let sums = Checksums {
                        locked: sums.locked.as_deref().and_then(|rule| rule.parse().ok()),
                        candidates: candidates.collect(),
                    };
                    checksums.insert(kind, sums);
                }
            }
            Ok(Self {
                configured_dialect: form.configured_dialect,
                dialect: form
                    .dialect
                    .map(|name| (name, form.dialect_version.unwrap_or(1))),
                certainty,
                configured_zone: form.configured_zone,
                detected_zone: form.detected_zone,
                checksums,
                neighbours: form.neighbours.as_deref().and_then(Order::from_name),
            })
        }
    }

    impl From<&Profile> for milepost_telemetry::Profile {
        fn from(profile: &Profile) -> Self {
            let sums = |sums: &Checksums| Sums {
                locked: sums.locked.map(|rule| rule.to_string()),
                candidates: sums
                    .candidates
                    .iter()
                    .map(|(r, n)| (r.to_string(), *n))
                    .collect(),
            };
            let name = |certainty: Certainty| {
                CERTAINTIES
                    .iter()
                    .find(|(c, _)| *c == certainty)
                    .map(|(_, name)| (*name).into())
            };
            let form = Form {
                version: VERSION,
                configured_dialect: profile.configured_dialect.clone(),
                dialect: profile.dialect.as_ref().map(|(name, _)| name.clone()),
                dialect_version: profile.dialect.as_ref().map(|(_, version)| *version),
                certainty: profile.certainty.and_then(name),
                configured_zone: profile.configured_zone,
                detected_zone: profile.detected_zone,
                checksums: profile
                    .checksums
                    .iter()
                    .map(|(kind, known)| (kind.name().into(), sums(known)))
                    .collect(),
                neighbours: profile.neighbours.map(|order| order.name().into()),
            };
            // Numbers and names: nothing that JSON could refuse.
            Self::new(&serde_json::to_string(&form).unwrap_or_default())
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
        let rule = |text: &str| text.parse::<Rule>().unwrap();
        let sums = Checksums {
            locked: Some(rule("crc32 $ comma hex")),
            candidates: Vec::new(),
        };
        let more = Checksums {
            locked: None,
            candidates: vec![(rule("xor8 $ star hex"), 1)],
        };
        let profile = Profile {
            dialect: Some(("roadpoint".into(), 1)),
            certainty: Some(Certainty::Header),
            detected_zone: Some(330),
            checksums: [(Kind::Tracking, sums), (Kind::Login, more)].into(),
            neighbours: Some(Order::CellLacSignal),
            ..Profile::default()
        };
        let written = milepost_telemetry::Profile::from(&profile);
        assert_eq!(
            written.as_str(),
            r#"{"version":1,"dialect":"roadpoint","dialect_version":1,"certainty":"header","detected_zone":330,"checksums":{"login":{"candidates":[["xor8 $ star hex",1]]},"tracking":{"locked":"crc32 $ comma hex"}},"neighbours":"cell,lac,signal"}"#
        );
        assert_eq!(Profile::try_from(&written), Ok(profile));
        let empty = milepost_telemetry::Profile::from(&Profile::default());
        assert_eq!(empty.as_str(), r#"{"version":1}"#);
    }

    #[test]
    fn a_newer_profile_is_refused_and_a_newer_key_is_passed_over() {
        let read = |text: &str| Profile::try_from(&milepost_telemetry::Profile::new(text));
        assert_eq!(read(r#"{"version":2}"#), Err(ProfileError::Newer(2)));
        assert_eq!(
            read(r#"{"version":1,"later":true}"#),
            Ok(Profile::default())
        );
        assert!(matches!(read("junk"), Err(ProfileError::Malformed(_))));
    }
}
