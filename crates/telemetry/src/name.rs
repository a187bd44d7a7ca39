//! Names that the code itself gives: of protocols, dialects, signals, units.

use core::fmt;
use core::ops::Deref;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Malformed;

/// A short name with static lifetime: a protocol, a dialect, a signal, a unit.
///
/// Decoders make one from a literal, for nothing. Reading a report back from JSON interns the
/// text; no more than [`Name::MAX_INTERNED`] different texts are kept in a process, after which
/// reading a report with a new one fails. (Names come from decoders, not from devices.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(&'static str);

static INTERNED: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// Names that a thread looks up without the lock.
const PER_THREAD: usize = 1_024;

thread_local! {
    /// Names that this thread has read: reports hold several each, and their readers would else
    /// wait for each other at the lock.
    static KNOWN_HERE: RefCell<BTreeSet<&'static str>> = const { RefCell::new(BTreeSet::new()) };
}

impl Name {
    /// How many different names that were read back a process keeps at most.
    pub const MAX_INTERNED: usize = 65_536;
    /// How long a name that is read back may be, in bytes.
    pub const MAX_LEN: usize = 128;

    /// A name that the code gives.
    #[inline]
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// A name that was read.
    ///
    /// # Errors
    /// When it is longer than [`Name::MAX_LEN`], or when too many different names were read.
    pub fn intern(name: &str) -> Result<Self, Malformed> {
        if name.len() > Self::MAX_LEN {
            return Err(Malformed::new("name", "longer than 128 bytes"));
        }
        // `None` also while the thread ends and its table is gone.
        let here = KNOWN_HERE.try_with(|here| here.borrow().get(name).copied());
        if let Ok(Some(known)) = here {
            return Ok(Self(known));
        }
        let interned = Self::intern_for_all(name)?;
        // Without its table the thread asks for all again.
        let _ended = KNOWN_HERE.try_with(|here| {
            let mut here = here.borrow_mut();
            if here.len() < PER_THREAD {
                here.insert(interned.0);
            }
        });
        Ok(interned)
    }

    fn intern_for_all(name: &str) -> Result<Self, Malformed> {
        let mut interned = INTERNED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = interned.get(name) {
            return Ok(Self(known));
        }
        if interned.len() >= Self::MAX_INTERNED {
            return Err(Malformed::new("name", "too many different names"));
        }
        let leaked: &'static str = Box::leak(name.into());
        interned.insert(leaked);
        Ok(Self(leaked))
    }

    /// The text.
    #[inline]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl Deref for Name {
    type Target = str;
    fn deref(&self) -> &str {
        self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

impl From<&'static str> for Name {
    fn from(name: &'static str) -> Self {
        Self(name)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        Self::intern(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_is_kept_once() {
        let a = Name::intern("some name").unwrap();
        let b = Name::intern("some name").unwrap();
        assert!(core::ptr::eq(a.as_str(), b.as_str()));
        assert_eq!(a, Name::new("some name"));
        assert!(Name::intern(&"x".repeat(129)).is_err());
        // In another thread too, which has a table of its own.
        let elsewhere = std::thread::spawn(|| Name::intern("some name").unwrap());
        assert!(core::ptr::eq(
            a.as_str(),
            elsewhere.join().unwrap().as_str()
        ));
    }
}
