//! What devices are answered: by their dialect, and silence where it names nothing.

use std::sync::Arc;

use bytes::Bytes;

use crate::dialect::{Dialect, Kind, ReplyClass};
use crate::record::{Alarm, Record};
use crate::time::DateTime;

/// Which replies are sent: those that are confirmed, and of those that only one source describes
/// what is chosen here. Without a choice none of the latter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplyPolicy(Unconfirmed);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Unconfirmed {
    #[default]
    None,
    All,
    Of(Arc<[Box<str>]>),
}

impl ReplyPolicy {
    /// With the replies that only one source describes, or without.
    #[must_use]
    pub const fn new(unconfirmed: bool) -> Self {
        Self(if unconfirmed {
            Unconfirmed::All
        } else {
            Unconfirmed::None
        })
    }

    /// With those of some dialects.
    pub fn of<'n>(dialects: impl IntoIterator<Item = &'n str>) -> Self {
        Self(Unconfirmed::Of(
            dialects.into_iter().map(Into::into).collect(),
        ))
    }

    /// Whether devices of a dialect are sent replies that only one source describes.
    #[must_use]
    pub fn sends_unconfirmed(&self, dialect: &str) -> bool {
        match &self.0 {
            Unconfirmed::None => false,
            Unconfirmed::All => true,
            Unconfirmed::Of(names) => names.iter().any(|name| **name == *dialect),
        }
    }
}

/// A reply and when it leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The bytes.
    pub bytes: Bytes,
    /// When they leave.
    pub class: ReplyClass,
}

/// The reply to a packet.
pub(crate) fn reply(
    dialect: &Dialect,
    kind: Kind,
    record: &Record,
    policy: &ReplyPolicy,
    now: i64,
) -> Option<Reply> {
    let rule = dialect
        .replies
        .iter()
        .filter(|rule| rule.on == kind)
        .find(|rule| !rule.is_unconfirmed || policy.sends_unconfirmed(&dialect.name))?;
    let mut text = rule.template.to_string();
    if text.contains('{') {
        let time = DateTime::from_unix(now).unwrap_or_default();
        let DateTime {
            year,
            month,
            day,
            hour,
            minute,
            second,
        } = time;
        let time = format!("{day:02}{month:02}{year:04}{hour:02}{minute:02}{second:02}");
        let message = match record.alarm() {
            Some(Alarm::Emergency) => "EMR",
            Some(Alarm::End) => "SEM",
            None => "",
        };
        let number = record
            .more
            .as_ref()
            .map(|more| more.reply.to_string())
            .unwrap_or_default();
        let imei = record
            .imei
            .map(|imei| format!("{imei:015}"))
            .unwrap_or_default();
        for (name, value) in [
            ("{time}", &*time),
            ("{imei}", &*imei),
            ("{registration}", &*record.registration.to_string()),
            ("{message}", message),
            ("{reply}", &*number),
        ] {
            text = text.replace(name, value);
        }
    }
    // What a device put into its own packet must not become a second command to it.
    text.retain(|c| !c.is_control());
    Some(Reply {
        bytes: text.into_bytes().into(),
        class: rule.class,
    })
}
