//! What producer, consumer and admin client share.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;

use super::KafkaFault;
use super::link::{EVERY_MS, Link};

/// Where the brokers are, and how to speak to them.
#[derive(Clone)]
#[non_exhaustive]
pub struct KafkaConfig {
    /// `host:port`, separated by commas.
    pub brokers: String,
    /// The client's name in the brokers' logs and quotas.
    pub client_id: String,
    security: BTreeMap<String, String>,
    pub(super) link: Link,
}

/// Values of security settings are not shown.
impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaConfig")
            .field("brokers", &self.brokers)
            .field("client_id", &self.client_id)
            .field("security", &self.security.keys())
            .finish()
    }
}

/// How records are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Fast.
    #[default]
    Lz4,
    /// Small.
    Zstd,
    /// Not.
    None,
}

impl Compression {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
            Self::None => "none",
        }
    }
}

impl KafkaConfig {
    /// Plain connections to these brokers.
    pub fn new(brokers: impl Into<String>, client_id: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            client_id: client_id.into(),
            security: BTreeMap::new(),
            link: Link::default(),
        }
    }

    /// Why the brokers cannot be reached, if so, as the producers and consumers see it that were made
    /// from this configuration or a clone of it.
    pub fn problem(&self) -> Option<String> {
        self.link.problem()
    }

    /// Passes a security setting on: `security.protocol`, `sasl.…` or `ssl.…`, as librdkafka names
    /// them.
    ///
    /// # Errors
    /// [`KafkaFault::Setting`] for any other: those that delivery depends on are not to be changed.
    pub fn security(
        &mut self,
        key: impl Into<String>,
        value: impl Into<String>,
    ) -> Result<(), KafkaFault> {
        let key = key.into();
        let is_security =
            key == "security.protocol" || key.starts_with("sasl.") || key.starts_with("ssl.");
        if !is_security {
            return Err(KafkaFault::Setting {
                key,
                reason: "only security.protocol, sasl.* and ssl.* are passed on".into(),
            });
        }
        self.security.insert(key, value.into());
        Ok(())
    }

    pub(super) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", &self.client_id)
            // The default of 10 s is how long a restart of a broker would be noticed late.
            .set("reconnect.backoff.max.ms", "500")
            .set("socket.keepalive.enable", "true")
            .set("statistics.interval.ms", EVERY_MS)
            // Closing idle connections of its own makes the client log errors.
            .set("log.connection.close", "false");
        for (key, value) in &self.security {
            config.set(key, value);
        }
        config
    }

    /// A refused setting, without its value: the client repeats values in its messages.
    pub(super) fn refused(&self, error: KafkaError) -> KafkaFault {
        let (key, reason) = match error {
            KafkaError::ClientConfig(_, reason, key, _value) => (key, reason),
            KafkaError::ClientCreation(reason) => ("of the client".to_owned(), reason),
            other => return other.into(),
        };
        let reason = self
            .security
            .values()
            .filter(|value| !value.is_empty())
            .fold(reason, |reason, value| reason.replace(value, "…"));
        KafkaFault::Setting { key, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_in_no_text() {
        let mut config = KafkaConfig::new("broker:9092", "test");
        config.security("sasl.password", "hunter2").unwrap();
        config.security("security.protocol", "hunter2").unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        let created: Result<rdkafka::producer::BaseProducer, _> = config.client().create();
        let Err(error) = created else {
            panic!("a protocol of that name")
        };
        let fault = config.refused(error);
        let shown = format!("{fault} {fault:?}");
        assert!(shown.contains("security.protocol"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn settings_that_delivery_depends_on_are_refused() {
        let mut config = KafkaConfig::new("broker:9092", "test");
        for key in ["acks", "enable.idempotence", "enable.auto.commit"] {
            assert!(config.security(key, "0").is_err(), "{key}");
        }
    }
}
