//! A JSON object as it was sent.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value};

/// An object without a key that is there twice. Parsers disagree on which of the two counts, so a
/// proxy that has checked the body may have checked another one.
#[derive(Debug)]
pub(crate) struct UniqueKeys(pub(crate) Map<String, Value>);

impl<'de> Deserialize<'de> for UniqueKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = UniqueKeys;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<UniqueKeys, A::Error> {
                let mut object = Map::new();
                while let Some((key, value)) = entries.next_entry::<String, Value>()? {
                    if object.insert(key, value).is_some() {
                        // Not which: a slip of the pen may have made a secret of it.
                        return Err(A::Error::custom("a key is there twice"));
                    }
                }
                Ok(UniqueKeys(object))
            }
        }

        deserializer.deserialize_map(Object)
    }
}
