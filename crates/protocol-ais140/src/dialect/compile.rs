//! From a dialect as a person writes it to one that packets are read by.

use core::fmt;

use super::{Dialect, Ending, Kind, Layout, Meaning, ReplyClass, ReplyRule, Slot};
use crate::Field;
use crate::neighbour::Order;

/// A dialect as a person writes it, in the crate's table or in TOML.
///
/// Layouts name the fields of a packet after its header, in order; `?` after a name marks a field
/// that may be missing. Where several layouts are given, the first one that fits is taken, and the
/// first one is written.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Its name: lower-case letters, digits and `-`.
    pub name: &'a str,
    /// Counts up when the meaning of its packets changes.
    pub version: u16,
    /// Makers, models and source.
    pub about: &'a str,
    /// Headers as whole tokens, each with the kind of packet it announces, or `any`:
    /// `"$NRM tracking"`, `"$,LGN login"`, `"$Header any"`.
    pub headers: &'a [&'a str],
    /// Vendor ids that name the dialect where others share the header.
    pub vendors: &'a [&'a str],
    /// Layouts of logins.
    pub login: &'a [&'a str],
    /// Layouts of tracking packets, up to `neighbours`.
    pub tracking: &'a [&'a str],
    /// Layouts of what follows the neighbours of a tracking packet.
    pub tail: &'a [&'a str],
    /// Layouts of emergency packets.
    pub emergency: &'a [&'a str],
    /// Layouts of health packets.
    pub health: &'a [&'a str],
    /// Layouts of heartbeats.
    pub heartbeat: &'a [&'a str],
    /// Layouts of answers to commands.
    pub ota: &'a [&'a str],
    /// Layouts of answers to activation.
    pub activation: &'a [&'a str],
    /// The order of a neighbour's values, such as `signal,lac,cell`.
    pub neighbours: &'a str,
    /// Which end of the printed inputs is the first one: `first` or `last`.
    pub bits: &'a str,
    /// Checksums by kind: `"tracking crc32 $ comma hex"`.
    pub checksums: &'a [&'a str],
    /// How written packets with a checksum end: `,CHK8*` (eight digits), `*CHK2`, `,*,CHK2`.
    pub ending: &'a str,
    /// How written packets without a checksum end: `*`, `,*` or nothing.
    pub bare_ending: &'a str,
    /// Alert ids beyond the standard's, or other than the standard's: `"17 overspeed"`.
    pub alerts: &'a [&'a str],
    /// Replies: kind, `now` or `durable`, perhaps `unconfirmed`, and the text, in which `{time}`,
    /// `{imei}`, `{registration}`, `{message}` and `{reply}` are replaced.
    pub replies: &'a [&'a str],
    /// Commands: a verb and the text that is sent, in which `{key}`, `{value}`, `{imei}`,
    /// `{password}` and `{sum}` are replaced: `"set SET {key}:{value}"`.
    pub commands: &'a [&'a str],
}

impl Source<'static> {
    /// The layout of the standard, without header, checksum, reply or command.
    pub const STANDARD: Self = Self {
        name: super::GENERIC,
        version: 1,
        about: "the standard's list, for what fits no other dialect",
        headers: &[],
        vendors: &[],
        login: super::table::LOGINS,
        tracking: &[super::table::FRONT],
        tail: &[super::table::TAIL],
        emergency: super::table::EMERGENCIES,
        health: super::table::HEALTHS,
        heartbeat: &["vendor?,firmware?,imei?,parameters?"],
        ota: &[super::table::OTA],
        activation: &[super::table::ACTIVATION],
        neighbours: "signal,lac,cell",
        bits: "first",
        checksums: &[],
        ending: "*",
        bare_ending: "*",
        alerts: &[],
        replies: &[],
        commands: &[],
    };
}

/// Header tokens with the kinds that they announce.
type Headers = Vec<(Box<[u8]>, Kind)>;
/// Verbs with the texts that are sent.
type Commands = Vec<(Box<str>, Box<str>)>;

/// What is wrong with a dialect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("dialect {dialect:?}, {key}: {value:?}: {reason}")]
pub struct DialectError {
    /// The dialect's name.
    pub dialect: String,
    /// The key.
    pub key: &'static str,
    /// Its value.
    pub value: String,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl Source<'_> {
    fn wrong(&self, key: &'static str, value: &str, reason: impl fmt::Display) -> DialectError {
        DialectError {
            dialect: self.name.into(),
            key,
            value: value.into(),
            reason: reason.to_string(),
        }
    }

    /// Checks the dialect and makes it ready for use.
    ///
    /// # Errors
    /// When a value is wrong.
    pub fn compile(&self) -> Result<Dialect, DialectError> {
        let name_fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if self.name.is_empty() || self.name.len() > 32 || !self.name.bytes().all(name_fits) {
            let reason = "a name is 1 to 32 lower-case letters, digits and `-`";
            return Err(self.wrong("name", self.name, reason));
        }
        let order = Order::from_name(self.neighbours).ok_or_else(|| {
            let known = Order::ALL.map(Order::name).join("`, `");
            self.wrong(
                "neighbours",
                self.neighbours,
                format!("expected one of `{known}`"),
            )
        })?;
        let is_last_input_first = match self.bits {
            "first" => false,
            "last" => true,
            other => return Err(self.wrong("bits", other, "expected `first` or `last`")),
        };
        let layouts = [
            self.layouts("login", self.login)?,
            self.layouts("tracking", self.tracking)?,
            self.layouts("emergency", self.emergency)?,
            self.layouts("health", self.health)?,
            self.layouts("heartbeat", self.heartbeat)?,
            self.layouts("ota", self.ota)?,
            self.layouts("activation", self.activation)?,
        ];
        for layout in self.tail {
            if !layout.contains("frame") && !self.tracking.is_empty() {
                return Err(self.wrong("tail", layout, "a tail needs `frame`"));
            }
        }
        Ok(Dialect {
            name: self.name.into(),
            #[cfg(feature = "telemetry")]
            label: milepost_telemetry::Name::intern(self.name)
                .map_err(|e| self.wrong("name", self.name, e))?,
            version: self.version,
            about: self.about.into(),
            headers: self.headers()?,
            vendors: self.vendors.iter().map(|v| v.as_bytes().into()).collect(),
            layouts,
            tails: self.layouts("tail", self.tail)?,
            order,
            is_last_input_first,
            rules: self.rules()?,
            ending: self.ending("ending", self.ending)?,
            bare_ending: self.ending("bare_ending", self.bare_ending)?,
            alerts: self.alerts()?,
            replies: self.replies()?,
            commands: self.commands()?,
        })
    }

    fn layouts(&self, key: &'static str, layouts: &[&str]) -> Result<Vec<Layout>, DialectError> {
        layouts.iter().map(|text| self.layout(key, text)).collect()
    }

    fn layout(&self, key: &'static str, text: &str) -> Result<Layout, DialectError> {
        let mut slots = Vec::new();
        for word in text.split(',').map(str::trim).filter(|w| !w.is_empty()) {
            let (name, is_optional) = match word.strip_suffix('?') {
                Some(name) => (name, true),
                None => (word, false),
            };
            let field: Field = name
                .parse()
                .map_err(|_| self.wrong(key, word, "no field has this name"))?;
            slots.push(Slot { field, is_optional });
        }
        if slots.len() > 64 {
            return Err(self.wrong(key, text, "a layout has at most 64 fields"));
        }
        Ok(Layout(slots))
    }

    fn headers(&self) -> Result<Headers, DialectError> {
        let header = |text: &&str| {
            let form = "expected `$TOKEN KIND`, KIND being login, tracking, …, or any";
            let (token, kind) = text
                .split_once(' ')
                .ok_or_else(|| self.wrong("headers", text, form))?;
            let kind = match kind {
                "any" => Some(Kind::Unknown),
                name => Kind::from_name(name),
            };
            let kind = kind.ok_or_else(|| self.wrong("headers", text, form))?;
            if !token.starts_with('$') && kind != Kind::Activation {
                return Err(self.wrong("headers", text, form));
            }
            Ok((token.as_bytes().into(), kind))
        };
        self.headers.iter().map(header).collect()
    }

    fn rules(&self) -> Result<Vec<(Kind, crate::checksum::Rule)>, DialectError> {
        let rule = |text: &&str| {
            let form =
                "expected `KIND ALGORITHM START END BASE`, such as `tracking crc32 $ comma hex`";
            let (kind, rule) = text
                .split_once(' ')
                .ok_or_else(|| self.wrong("checksums", text, form))?;
            let kind = Kind::from_name(kind).ok_or_else(|| self.wrong("checksums", text, form))?;
            let rule = rule.parse().map_err(|e| self.wrong("checksums", text, e))?;
            Ok((kind, rule))
        };
        self.checksums.iter().map(rule).collect()
    }

    fn ending(&self, key: &'static str, text: &str) -> Result<Ending, DialectError> {
        let known = [
            ("", "", ""),
            ("*", "", "*"),
            (",*", "", ",*"),
            (",", "", ","),
            (",CHK*", ",", "*"),
            (",CHK,*", ",", ",*"),
            (",CHK,", ",", ","),
            ("*CHK", "*", ""),
            (",*,CHK", ",*,", ""),
            ("*,CHK", "*,", ""),
        ];
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let form = text.replace(|c: char| c.is_ascii_digit(), "");
        let found = known.iter().find(|(name, _, _)| *name == form);
        let width = digits.parse().unwrap_or(0);
        match found {
            Some((_, before, after)) if width <= 8 => Ok(Ending {
                before,
                after,
                width,
            }),
            _ => Err(self.wrong(
                key,
                text,
                "expected an ending such as `,CHK8*`, `*CHK2` or `,*`",
            )),
        }
    }

    fn alerts(&self) -> Result<Vec<(u16, Meaning)>, DialectError> {
        let alert = |text: &&str| {
            let found = text.split_once(' ').and_then(|(id, name)| {
                let meaning = Meaning::ALL.iter().find(|m| m.name() == name)?;
                Some((id.parse().ok()?, *meaning))
            });
            let known = || {
                Meaning::ALL
                    .iter()
                    .map(|m| m.name())
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            found.ok_or_else(|| {
                let reason = format!("expected an id and one of {}", known());
                self.wrong("alerts", text, reason)
            })
        };
        self.alerts.iter().map(alert).collect()
    }

    fn replies(&self) -> Result<Vec<ReplyRule>, DialectError> {
        let reply = |text: &&str| {
            let form = "expected `KIND now|durable [unconfirmed] TEXT`";
            let mut words = text.splitn(3, ' ');
            let (on, class, template) = (words.next(), words.next(), words.next());
            let on = on.and_then(Kind::from_name);
            let class = match class {
                Some("now") => Some(ReplyClass::Now),
                Some("durable") => Some(ReplyClass::WhenDelivered),
                _ => None,
            };
            let (Some(on), Some(class), Some(template)) = (on, class, template) else {
                return Err(self.wrong("replies", text, form));
            };
            // An emergency that is acknowledged before it is safe can be lost.
            if class == ReplyClass::Now && on == Kind::Emergency {
                return Err(self.wrong("replies", text, "emergencies are answered when durable"));
            }
            let (is_unconfirmed, template) = match template.strip_prefix("unconfirmed ") {
                Some(rest) => (true, rest),
                None => (false, template),
            };
            Ok(ReplyRule {
                on,
                class,
                is_unconfirmed,
                template: template.into(),
            })
        };
        self.replies.iter().map(reply).collect()
    }

    fn commands(&self) -> Result<Commands, DialectError> {
        let command = |text: &&str| {
            let pair = text.split_once(' ').filter(|(verb, _)| is_verb(verb));
            pair.map(|(verb, template)| (verb.into(), template.into()))
                .ok_or_else(|| {
                    let verbs = crate::command::VERBS.join(", ");
                    self.wrong(
                        "commands",
                        text,
                        format!("expected a verb ({verbs}) and a text"),
                    )
                })
        };
        self.commands.iter().map(command).collect()
    }
}

fn is_verb(verb: &str) -> bool {
    crate::command::VERBS.contains(&verb)
}

impl Dialect {
    /// A dialect without any layout.
    pub(crate) fn empty() -> Self {
        Self {
            name: super::GENERIC.into(),
            #[cfg(feature = "telemetry")]
            label: milepost_telemetry::Name::new(super::GENERIC),
            version: 0,
            about: "".into(),
            headers: Vec::new(),
            vendors: Vec::new(),
            layouts: Default::default(),
            tails: Vec::new(),
            order: Order::SignalLacCell,
            is_last_input_first: false,
            rules: Vec::new(),
            ending: Ending {
                before: "",
                after: "*",
                width: 0,
            },
            bare_ending: Ending {
                before: "",
                after: "*",
                width: 0,
            },
            alerts: Vec::new(),
            replies: Vec::new(),
            commands: Vec::new(),
        }
    }
}
