//! An emergency is an incident: it begins, is repeated, and ends.

use crate::dialect::{Dialect, Meaning};
use crate::record::{Alarm, Record};

/// Where in an incident a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mark {
    /// It starts.
    Begin,
    /// It goes on.
    Repeat,
    /// It is over.
    End,
}

/// The emergency of one connection. Joining incidents over connections is somebody else's.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Incident {
    /// When the open incident began, by the device.
    begun: Option<i64>,
    /// Whether the emergency flag was seen on since: only then does its fall say something.
    flag_seen: bool,
    /// When the last one ended.
    ended: Option<i64>,
}

/// What a record means: by the alert id and, without one, by the packet type.
pub(crate) fn meaning(record: &Record, dialect: &Dialect) -> Meaning {
    match record.alert {
        Some(alert) if alert > 0 => dialect.meaning(alert),
        _ if record.packet_type.is_empty() => Meaning::Position,
        _ => Meaning::of_type(record.packet_type.as_bytes()),
    }
}

impl Incident {
    /// Takes notice of a record; where it stands, if it is about an emergency.
    ///
    /// | record | open | mark |
    /// |---|---|---|
    /// | EMR, alert 10, emergency flag | no | begin |
    /// | the same, from the buffer and no younger than the last end | no | repeat |
    /// | the same | yes | repeat |
    /// | SEM, alert 11 | | end |
    /// | live, emergency flag off after it was on | yes | end |
    pub(crate) fn mark(&mut self, record: &Record, dialect: &Dialect) -> Option<Mark> {
        let at = record.time.and_then(|time| time.to_unix());
        let meaning = meaning(record, dialect);
        let is_end = record.alarm() == Some(Alarm::End) || meaning == Meaning::EmergencyOff;
        if is_end {
            let was_before = self.begun.zip(at).is_some_and(|(begun, at)| at < begun);
            // An end from the buffer that is older than what goes on ends something else.
            if !was_before {
                self.begun = None;
                self.flag_seen = false;
            }
            self.ended = self.ended.max(at);
            return Some(Mark::End);
        }
        let is_on = record.alarm() == Some(Alarm::Emergency)
            || meaning == Meaning::EmergencyOn
            || record.emergency == Some(true);
        let is_stored = record.live == Some(false);
        if is_on {
            if self.begun.is_some() {
                self.flag_seen |= record.emergency == Some(true) && !is_stored;
                return Some(Mark::Repeat);
            }
            let is_over = is_stored && self.ended.zip(at).is_some_and(|(ended, at)| at <= ended);
            if is_over {
                return Some(Mark::Repeat);
            }
            self.begun = Some(at.unwrap_or(i64::MIN));
            self.flag_seen = record.emergency == Some(true) && !is_stored;
            return Some(Mark::Begin);
        }
        let is_off = record.emergency == Some(false) && !is_stored && self.flag_seen;
        if is_off && self.begun.is_some() {
            self.begun = None;
            self.flag_seen = false;
            self.ended = self.ended.max(at);
            return Some(Mark::End);
        }
        None
    }
}
