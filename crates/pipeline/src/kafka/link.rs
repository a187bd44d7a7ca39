//! What a client's statistics say: whether a broker answers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::statistics::{Broker, Statistics};

/// How often a client reports.
pub(super) const EVERY_MS: &str = "2000";
/// A broker that owes an answer and has sent nothing for so long does not answer, in microseconds.
const SILENT_US: i64 = 10_000_000;

/// Whether the brokers can be reached, as the clients of one configuration see it.
#[derive(Debug, Clone, Default)]
pub(super) struct Link(Arc<Mutex<Option<Heard>>>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Heard {
    answering: usize,
    /// Those that do not answer, with their state.
    away: Vec<String>,
}

impl Link {
    pub(super) fn problem(&self) -> Option<String> {
        match &*self.lock() {
            None => Some("no broker has answered yet".to_owned()),
            Some(heard) if heard.answering > 0 => None,
            Some(heard) => Some(format!("no broker answers ({})", heard.away.join(", "))),
        }
    }

    pub(super) fn hear(&self, statistics: &Statistics) {
        let mut heard = Heard::default();
        for broker in statistics.brokers.values() {
            match state(broker) {
                State::Answers => heard.answering += 1,
                State::Away(name) => heard.away.push(name),
                State::NoBroker => {}
            }
        }
        heard.away.sort();
        heard.away.dedup();
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        metrics::gauge!("milepost_kafka_brokers_connected", "client" => client(statistics))
            .set(heard.answering as f64);
        let mut known = self.lock();
        let was_up = known.as_ref().is_some_and(|known| known.answering > 0);
        if was_up && heard.answering == 0 {
            tracing::warn!(brokers = ?heard.away, "Kafka is away: no broker answers");
        } else if !was_up && heard.answering > 0 {
            tracing::info!(brokers = heard.answering, "Kafka answers");
        }
        *known = Some(heard);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Heard>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn client(statistics: &Statistics) -> &'static str {
    match statistics.client_type.as_str() {
        "producer" => "producer",
        _ => "consumer",
    }
}

enum State {
    Answers,
    Away(String),
    /// The client's own queues have an entry too, and so has the group's coordinator, which is one
    /// of the others.
    NoBroker,
}

fn state(broker: &Broker) -> State {
    if matches!(broker.source.as_str(), "internal" | "logical") {
        return State::NoBroker;
    }
    if broker.state != "UP" {
        // Those that were never needed have no connection.
        return State::Away(format!("{}: {}", broker.nodename, broker.state));
    }
    if broker.waitresp_cnt > 0 && broker.rxidle > SILENT_US {
        return State::Away(format!("{}: does not answer", broker.nodename));
    }
    State::Answers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(source: &str, state: &str, waiting: i64, silent: i64) -> Broker {
        Broker {
            nodename: "kafka-1:9092".into(),
            source: source.into(),
            state: state.into(),
            waitresp_cnt: waiting,
            rxidle: silent,
            ..Broker::default()
        }
    }

    fn heard(brokers: impl IntoIterator<Item = Broker>) -> Option<String> {
        let mut statistics = Statistics::default();
        for (n, broker) in brokers.into_iter().enumerate() {
            statistics.brokers.insert(n.to_string(), broker);
        }
        let link = Link::default();
        link.hear(&statistics);
        link.problem()
    }

    #[test]
    fn one_broker_that_answers_is_enough() {
        assert!(Link::default().problem().is_some());
        let down = || broker("configured", "DOWN", 0, -1);
        assert_eq!(heard([down(), broker("learned", "UP", 1, 200)]), None);
        assert_eq!(
            heard([down(), broker("internal", "UP", 0, -1)]).unwrap(),
            "no broker answers (kafka-1:9092: DOWN)"
        );
    }

    #[test]
    fn a_broker_that_hangs_does_not_answer() {
        let hangs = broker("learned", "UP", 1, SILENT_US + 1);
        let why = heard([hangs]).unwrap();
        assert!(why.contains("does not answer"), "{why}");
        // Nothing was asked.
        assert_eq!(heard([broker("learned", "UP", 0, SILENT_US + 1)]), None);
    }
}
