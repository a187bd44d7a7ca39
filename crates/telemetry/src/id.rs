//! A report's identity: the same fact sent twice has the same id.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

use crate::{DeviceId, Malformed, Tenant, Timestamp};

/// The identity of a report: a UUID of version 8.
///
/// The first 48 bits are `key_time` in milliseconds since 1970, so that ids of one time lie close
/// together in an index. Of the other 74 free bits 12 are of a hash (XXH3) of who speaks, that is
/// tenant, device and protocol, and 62 of a hash of who speaks and of a key that the message's
/// decoder states: what stays the same when a device sends the same fact again. So reports of two
/// devices are told apart by 74 bits, and those of one device at one millisecond by 62. An id is
/// minted once, where a frame is first decoded, and is kept when the frame is decoded again.
///
/// The hash is fast and not secret: someone who may speak for a device can choose ids for that
/// device's own reports, which is no more than he can do anyway.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReportId([u8; 16]);

/// Tenant, device and protocol, hashed once for all reports of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdentitySeed(u64);

impl IdentitySeed {
    /// Hashes who is speaking. A device that has not said its name has a seed too; its reports
    /// are told apart by where they arrived.
    pub fn new(tenant: Option<&Tenant>, device: Option<&DeviceId>, protocol: &str) -> Self {
        let mut hash = Xxh3::new();
        for part in [
            tenant.map_or("", Tenant::as_str),
            device.map_or("", DeviceId::as_str),
            protocol,
        ] {
            hash.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part.as_bytes());
        }
        Self(hash.digest())
    }
}

impl ReportId {
    /// Mints an id.
    ///
    /// `key_time` is the raw device time read as UTC or, where there is no plausible one, the
    /// arrival; it has 48 bits (1970 to the year 10889), and one before 1970 counts as 1970.
    #[inline]
    pub fn mint(seed: IdentitySeed, key_time: Timestamp, key: &[u8]) -> Self {
        // No timestamp is beyond the year 9999.
        let millis = key_time.as_millis().max(0).cast_unsigned();
        let hash = xxh3_64_with_seed(key, seed.0);
        // 12 bits beside the version, 62 behind the variant.
        let time_and_version = millis << 16 | 0x8 << 12 | seed.0 & 0xfff;
        let variant = 0b10 << 62 | hash >> 2;
        Self((u128::from(time_and_version) << 64 | u128::from(variant)).to_be_bytes())
    }

    /// The time that the id was minted with: the raw device time read as UTC, or the arrival.
    pub fn key_time(self) -> Timestamp {
        let millis = u128::from_be_bytes(self.0) >> 80;
        Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
    }

    /// The 16 bytes, in the order in which they are written.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// An id that a store kept.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for ReportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(uuid::Uuid::from_bytes_ref(&self.0), f)
    }
}

impl fmt::Debug for ReportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ReportId {
    type Err = Malformed;
    fn from_str(s: &str) -> Result<Self, Malformed> {
        let id = uuid::Uuid::try_parse(s).map_err(|_| Malformed::new("report id", "not a UUID"))?;
        Ok(Self(id.into_bytes()))
    }
}

impl Serialize for ReportId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ReportId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// Where a frame arrived: which run of the process, which connection, which frame of it.
///
/// Every outcome is accounted under it, and it is the key of facts that carry no time of their
/// own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// The run of the process, numbered by its store.
    pub epoch: u64,
    /// The connection within the run, from 1.
    pub connection: u64,
    /// The frame within the connection, from 1.
    pub frame: u64,
}

impl Origin {
    /// The key of the `index`-th report of a frame that carries no plausible time of its own.
    pub fn key(self, index: u32) -> [u8; 28] {
        let mut key = [0; 28];
        for (slot, byte) in key.iter_mut().zip(
            self.epoch
                .to_be_bytes()
                .into_iter()
                .chain(self.connection.to_be_bytes())
                .chain(self.frame.to_be_bytes())
                .chain(index.to_be_bytes()),
        ) {
            *slot = byte;
        }
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed() -> IdentitySeed {
        IdentitySeed::new(
            Some(&Tenant::new("acme").unwrap()),
            Some(&DeviceId::new("752533678900242").unwrap()),
            "gt06",
        )
    }

    #[test]
    fn ids_are_stable_forever() {
        // A change of this value makes every device's re-upload a new row.
        let id = ReportId::mint(seed(), Timestamp::from_unix(1_451_357_465), b"key");
        assert_eq!(id.to_string(), EXPECTED);
        assert_eq!(id.key_time(), Timestamp::from_unix(1_451_357_465));
        assert_eq!(id.to_string().parse(), Ok(id));
        let uuid = uuid::Uuid::from_bytes(*id.as_bytes());
        assert_eq!(uuid.get_version_num(), 8);
        assert_eq!(uuid.get_variant(), uuid::Variant::RFC4122);
    }

    const EXPECTED: &str = "0151eba5-69a8-87bf-918a-530be79beffd";

    #[test]
    fn every_part_of_who_and_what_counts() {
        let t = Timestamp::from_unix(1);
        let device = DeviceId::new("1").unwrap();
        let tenant = Tenant::new("a").unwrap();
        let ids = [
            ReportId::mint(IdentitySeed::new(None, None, "gt06"), t, b"k"),
            ReportId::mint(IdentitySeed::new(Some(&tenant), None, "gt06"), t, b"k"),
            ReportId::mint(IdentitySeed::new(None, Some(&device), "gt06"), t, b"k"),
            ReportId::mint(IdentitySeed::new(None, Some(&device), "ais140"), t, b"k"),
            ReportId::mint(IdentitySeed::new(None, Some(&device), "gt06"), t, b"l"),
            ReportId::mint(
                IdentitySeed::new(None, Some(&device), "gt06"),
                t.offset_millis(1),
                b"k",
            ),
            ReportId::mint(
                IdentitySeed::new(Some(&Tenant::new("a1").unwrap()), None, "gt06"),
                t,
                b"k",
            ),
        ];
        for (i, a) in ids.iter().enumerate() {
            for b in ids.iter().skip(i + 1) {
                assert_ne!(a, b);
            }
        }
    }

    #[test]
    fn a_time_before_1970_still_gives_an_id() {
        let id = ReportId::mint(seed(), Timestamp::from_millis(-5), b"key");
        assert_eq!(id.key_time(), Timestamp::UNIX_EPOCH);
    }
}
