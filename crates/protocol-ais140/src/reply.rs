//! What devices are answered: by their dialect, and silence where it names nothing.

use bytes::Bytes;

use crate::dialect::{Dialect, Kind, ReplyClass};
use crate::record::{Alarm, Record};
use crate::time::DateTime;

/// Which replies are sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplyPolicy {
    /// Whether devices are also sent replies that only one source describes.
    pub unconfirmed: bool,
}

impl ReplyPolicy {
    /// With the replies that only one source describes, or without.
    #[must_use]
    pub const fn new(unconfirmed: bool) -> Self {
        Self { unconfirmed }
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
    policy: ReplyPolicy,
    now: i64,
) -> Option<Reply> {
    let rule = dialect
        .replies
        .iter()
        .find(|rule| rule.on == kind && (policy.unconfirmed || !rule.is_unconfirmed))?;
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
