//! Which command an answer is for, and whether it may settle it: rules without a store.

use std::net::IpAddr;

use milepost_telemetry::{CommandAnswer, Timestamp};

/// How long before a command another one was sent whose late answer may be taken for this one's,
/// in milliseconds.
const MIXED_UP_MS: i64 = 10 * 60_000;

/// A command that was sent and whose answer is still taken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// Its number.
    pub id: u32,
    /// What the device repeats in its answer, if its protocol can.
    pub flag: u32,
    /// Its text.
    pub text: Box<str>,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// Whether it waits for its answer. Otherwise it has expired, or was answered with "later".
    pub is_open: bool,
    /// To whom it was sent; commands of older versions do not say.
    pub to: Option<SentTo>,
}

/// Where a command was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentTo {
    /// The run of the process.
    pub epoch: u64,
    /// The connection in that run.
    pub connection: u64,
    /// The network that the connection came from, such as `10.1.2.0/24`.
    pub network: Option<Box<str>>,
}

/// Where an answer came from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AnswerFrom {
    /// The run of the process.
    pub epoch: u64,
    /// The connection in that run.
    pub connection: u64,
    /// The network that the connection came from.
    pub network: Option<Box<str>>,
    /// Whether the configuration binds the device to that network.
    pub is_bound: bool,
}

impl Sent {
    /// A command that was sent.
    pub fn new(id: u32, flag: u32, text: &str, sent_at: Timestamp) -> Self {
        Self {
            id,
            flag,
            text: text.into(),
            sent_at,
            is_open: true,
            to: None,
        }
    }

    /// Whether an answer from there settles it: from the connection that was sent it, from that
    /// one's network, or from a network that the device is bound to. Anyone can claim a device's
    /// id, and must not be able to settle its commands.
    pub fn may_be_settled_from(&self, from: &AnswerFrom) -> bool {
        let Some(to) = &self.to else { return true };
        from.is_bound
            || (to.epoch, to.connection) == (from.epoch, from.connection)
            || to.network.is_some() && to.network == from.network
    }
}

/// Words that say what is done to the parameter after them.
const OPERATIONS: [&str; 4] = ["SET", "GET", "CLR", "RAW"];

/// The command that an answer is for; `None` if that cannot be known.
///
/// `sent` are the commands of that device and protocol that were sent and may still be answered,
/// the newest first.
///
/// | the answer has | it is for |
/// |---|---|
/// | a flag | the command with that flag, or none |
/// | a verb | the newest command whose text begins with it, perhaps after `SET`, `GET`, `CLR` or `RAW`, or none: "HFYD" must never be settled by what "DYD" became |
/// | neither | the newest open command, unless another one that was sent within ten minutes before it is open too: it may be the late answer to that one |
pub fn match_answer(sent: &[Sent], answer: &CommandAnswer) -> Option<u32> {
    if let Some(flag) = answer.flag {
        return sent.iter().find(|one| one.flag == flag).map(|one| one.id);
    }
    if let Some(verb) = &answer.verb {
        let named = |one: &&Sent| {
            let words = one.text.split(|c: char| !c.is_ascii_alphanumeric());
            let mut words = words.filter(|word| !word.is_empty());
            let is_named = |word: &str| word.eq_ignore_ascii_case(verb);
            // What is done to a parameter is not repeated in answers, which name the parameter.
            words.next().is_some_and(|first| {
                let is_operation = OPERATIONS.iter().any(|op| first.eq_ignore_ascii_case(op));
                is_named(first) || is_operation && words.next().is_some_and(is_named)
            })
        };
        return sent.iter().find(named).map(|one| one.id);
    }
    let mut open = sent.iter().filter(|one| one.is_open);
    let newest = open.next()?;
    let is_alone = open.next().is_none_or(|before| {
        newest.sent_at.as_millis() - before.sent_at.as_millis() >= MIXED_UP_MS
    });
    is_alone.then_some(newest.id)
}

/// Up to where addresses are one network: an operator's own rule may differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkPrefixes {
    /// Bits of an IPv4 address.
    pub v4: u8,
    /// Bits of an IPv6 address.
    pub v6: u8,
}

impl Default for NetworkPrefixes {
    fn default() -> Self {
        Self { v4: 24, v6: 48 }
    }
}

impl NetworkPrefixes {
    /// The network of an address, such as `10.1.2.0/24`. An IPv4 address in IPv6 form counts as
    /// what it is.
    pub fn network_of(&self, address: IpAddr) -> Box<str> {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let bits = self.v4.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
                let network = std::net::Ipv4Addr::from_bits(v4.to_bits() & mask);
                format!("{network}/{bits}").into()
            }
            IpAddr::V6(v6) => {
                let bits = self.v6.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
                let network = std::net::Ipv6Addr::from_bits(v6.to_bits() & mask);
                format!("{network}/{bits}").into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(id: u32, text: &str, minute: i64) -> Sent {
        Sent::new(id, 1_000 + id, text, Timestamp::from_unix(minute * 60))
    }

    fn answer(flag: Option<u32>, verb: Option<&str>) -> CommandAnswer {
        let mut answer = CommandAnswer::new("text");
        answer.flag = flag;
        answer.verb = verb.map(Into::into);
        answer
    }

    #[test]
    fn a_flag_names_its_command_and_no_other() {
        let all = [sent(2, "B#", 2), sent(1, "A#", 1)];
        assert_eq!(match_answer(&all, &answer(Some(1_001), None)), Some(1));
        assert_eq!(match_answer(&all, &answer(Some(1_001), Some("B"))), Some(1));
        assert_eq!(match_answer(&all, &answer(Some(1), None)), None);
    }

    #[test]
    fn a_verb_names_the_newest_command_that_begins_with_it() {
        let all = [
            sent(3, "HFYD,000000#", 3),
            sent(2, "DYD,000000#", 2),
            sent(1, "DYD,000000#", 1),
        ];
        assert_eq!(match_answer(&all, &answer(None, Some("dyd"))), Some(2));
        assert_eq!(match_answer(&all, &answer(None, Some("HFYD"))), Some(3));
        assert_eq!(match_answer(&all, &answer(None, Some("RELAY"))), None);
        let all = [sent(2, "SET 009 80", 2), sent(1, "GET 001", 1)];
        assert_eq!(match_answer(&all, &answer(None, Some("001"))), Some(1));
        assert_eq!(match_answer(&all, &answer(None, Some("80"))), None);
    }

    #[test]
    fn an_answer_that_names_nothing_is_for_the_only_one_that_is_open() {
        let bare = answer(None, None);
        assert_eq!(match_answer(&[], &bare), None);
        let mut two = [sent(2, "B#", 9), sent(1, "A#", 0)];
        assert_eq!(match_answer(&two, &bare), None);
        two[1].is_open = false;
        assert_eq!(match_answer(&two, &bare), Some(2));
        let apart = [sent(2, "B#", 10), sent(1, "A#", 0)];
        assert_eq!(match_answer(&apart, &bare), Some(2));
        two[0].is_open = false;
        assert_eq!(match_answer(&two, &bare), None);
    }

    #[test]
    fn only_where_it_was_sent_can_a_command_be_settled() {
        let from = |connection, network: &str, is_bound| AnswerFrom {
            epoch: 7,
            connection,
            network: Some(network.into()),
            is_bound,
        };
        let mut command = sent(1, "A#", 1);
        assert!(command.may_be_settled_from(&from(9, "10.0.0.0/24", false)));
        command.to = Some(SentTo {
            epoch: 7,
            connection: 3,
            network: Some("10.1.2.0/24".into()),
        });
        assert!(command.may_be_settled_from(&from(3, "10.9.9.0/24", false)));
        assert!(command.may_be_settled_from(&from(4, "10.1.2.0/24", false)));
        assert!(command.may_be_settled_from(&from(4, "10.9.9.0/24", true)));
        assert!(!command.may_be_settled_from(&from(4, "10.9.9.0/24", false)));
        let mut later = from(3, "10.9.9.0/24", false);
        later.epoch = 8;
        assert!(!command.may_be_settled_from(&later));
    }

    #[test]
    fn addresses_of_one_network_are_one() {
        let prefixes = NetworkPrefixes::default();
        let network = |text: &str| prefixes.network_of(text.parse().unwrap());
        assert_eq!(&*network("10.1.2.77"), "10.1.2.0/24");
        assert_eq!(&*network("::ffff:10.1.2.77"), "10.1.2.0/24");
        assert_eq!(&*network("2001:db8:1:2::3"), "2001:db8:1::/48");
        let all = NetworkPrefixes { v4: 0, v6: 0 };
        assert_eq!(&*all.network_of("10.1.2.77".parse().unwrap()), "0.0.0.0/0");
    }
}
