//! Values whose meaning only a protocol knows: checked by its keys, kept as they were given.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::key::Key;
use super::{Config, Value};

/// Checked values by the name of their key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings(BTreeMap<&'static str, Value>);

/// One key of a `[[device]]` table: its name, and what its values must be.
pub struct DeviceKey {
    /// Its name.
    pub name: &'static str,
    check: Check,
}

impl DeviceKey {
    pub(crate) fn check(&self, value: &Value) -> Result<Value, String> {
        (self.check)(value)
    }
}

impl std::fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DeviceKey").field(&self.name).finish()
    }
}

type Check = Box<dyn Fn(&Value) -> Result<Value, String> + Send + Sync>;

impl Settings {
    /// A value; absent if it is neither set nor has a default.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// Sets a value that its key has checked.
    pub fn set(&mut self, key: &'static str, value: Value) {
        self.0.insert(key, value);
    }

    /// All values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.0.iter().map(|(name, value)| (*name, value))
    }

    /// A word or text; empty if there is none.
    pub fn text(&self, key: &str) -> &str {
        match self.get(key) {
            Some(Value::Untyped(text) | Value::String(text)) => text,
            _ => "",
        }
    }

    /// A list of texts.
    pub fn texts(&self, key: &str) -> Vec<&str> {
        let Some(Value::List(values)) = self.get(key) else {
            return Vec::new();
        };
        let texts = values.iter().filter_map(|value| match value {
            Value::Untyped(text) | Value::String(text) => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    /// Addresses to listen on.
    pub fn addresses(&self, key: &str) -> Vec<SocketAddr> {
        let texts = self.texts(key).into_iter();
        texts.filter_map(|text| text.parse().ok()).collect()
    }
}

/// A key of a protocol, with its default; `check` says what is wrong with a value, or gives it in
/// its usual form.
pub fn setting(
    name: &'static str,
    default: Value,
    check: impl Fn(&Value) -> Result<Value, String> + Send + Sync + 'static,
) -> Key {
    Key::new(
        name,
        Box::new(move |config: &mut Config, value| {
            config.protocols.set(name, check(value)?);
            Ok(())
        }),
        Box::new(move |config| config.protocols.get(name).map(ToString::to_string)),
    )
    .with_default(default)
}

/// Where devices of a protocol connect: one address, a list, or `off`.
pub fn listen(name: &'static str, default: SocketAddr) -> Key {
    let example = default.to_string();
    Key {
        listens: true,
        ..setting(name, list([default.to_string()]), move |value| {
            let addresses = value.addresses(&example)?;
            Ok(list(addresses.iter().map(ToString::to_string)))
        })
    }
}

/// One of a few words, the first by default.
pub fn choice(name: &'static str, words: &'static [&'static str]) -> Key {
    let default = words.first().copied().unwrap_or_default();
    setting(name, Value::String(default.to_owned()), |value| {
        word(value, words.iter().copied())
    })
}

/// A key of a `[[device]]` table.
pub fn device_setting(
    name: &'static str,
    check: impl Fn(&Value) -> Result<Value, String> + Send + Sync + 'static,
) -> DeviceKey {
    DeviceKey {
        name,
        check: Box::new(check),
    }
}

/// A key of a `[[device]]` table that is one of a few words.
pub fn device_choice(name: &'static str, words: &'static [&'static str]) -> DeviceKey {
    device_setting(name, |value| word(value, words.iter().copied()))
}

/// The zone of a device's times, as hours and minutes east of Greenwich.
pub fn device_zone(name: &'static str) -> DeviceKey {
    device_setting(name, |value| {
        let text = value.text("an offset").unwrap_or_default();
        match minutes_east(text) {
            Some(_) => Ok(Value::String(text.to_owned())),
            None => Err(NO_ZONE.to_owned()),
        }
    })
}

/// One of a few words.
///
/// # Errors
/// Which words there are.
pub fn word<'w>(value: &Value, words: impl Iterator<Item = &'w str>) -> Result<Value, String> {
    let words: Vec<_> = words.map(|word| (word, word)).collect();
    let word = value.one_of(&words)?;
    Ok(Value::String(word.to_owned()))
}

/// A list of texts.
pub fn list(texts: impl IntoIterator<Item = String>) -> Value {
    Value::List(texts.into_iter().map(Value::String).collect())
}

/// What is wrong if [`minutes_east`] gives nothing.
pub(crate) const NO_ZONE: &str = "must be hours and minutes east of Greenwich, such as \"+08:00\"";

/// `+08:00` as minutes; at most 14 hours either way, which is what the world has.
pub fn minutes_east(text: &str) -> Option<i16> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let number = |text: &str| (text.len() == 2).then(|| text.parse::<u8>().ok()).flatten();
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let total = i16::from(hours) * 60 + i16::from(minutes);
    (minutes < 60 && total <= 14 * 60).then_some(sign * total)
}
