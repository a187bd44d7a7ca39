//! Photos, recordings and other files that devices upload.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Name;

/// A file from a device, whole or the part of it that arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Media {
    /// The device's own number for the file, as text.
    pub id: Box<str>,
    /// What it is: `image`, `audio`, `video`, `file`.
    #[serde(rename = "type")]
    pub kind: Name,
    /// How it is coded, for example `jpeg`, where the device says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Name>,
    /// The device's code for why it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<u32>,
    /// Which camera or channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<u32>,
    /// The whole file's size in bytes, where the device says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Where in the file `data` starts.
    #[serde(default)]
    pub offset: u64,
    /// Whether `data` is the whole file.
    #[serde(default)]
    pub complete: bool,
    /// The bytes; base64 in JSON.
    #[serde(
        default,
        skip_serializing_if = "Bytes::is_empty",
        serialize_with = "to_base64",
        deserialize_with = "from_base64"
    )]
    pub data: Bytes,
}

impl Media {
    /// A file of which only its number and kind are known yet.
    pub fn new(id: impl Into<Box<str>>, kind: &'static str) -> Self {
        Self {
            id: id.into(),
            kind: Name::new(kind),
            format: None,
            event: None,
            channel: None,
            size: None,
            offset: 0,
            complete: false,
            data: Bytes::new(),
        }
    }
}

fn to_base64<S: Serializer>(data: &Bytes, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(&base64::display::Base64Display::new(data, &STANDARD))
}

fn from_base64<'de, D: Deserializer<'de>>(d: D) -> Result<Bytes, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
    STANDARD
        .decode(text.as_bytes())
        .map(Bytes::from)
        .map_err(de::Error::custom)
}
