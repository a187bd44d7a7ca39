//! The roles of a fleet: listeners to Kafka (`gateway`), Kafka to the stores (`worker`), HTTP over
//! the stores (`api`), and the database's tables (`migrate`).

pub mod api;
pub(crate) mod audit;
pub mod gateway;
mod http;
pub mod migrate;
mod reads;
pub(crate) mod registry;
pub mod worker;

use milepost_pipeline::fleet::Topics;
use milepost_pipeline::kafka::{KafkaConfig, TopicSpec};
use milepost_pipeline::sink::redis::RedisUrl;
use milepost_pipeline::sink::timescale::DatabaseUrl;

use crate::config::{Config, Loaded, Secret};
use crate::failure::Failure;
use crate::protocol::Protocols;
use crate::{logging, options};

/// Flags of the roles of a fleet.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(id = "FleetOptions")]
pub struct Options {
    /// The flags that every role shares.
    #[command(flatten)]
    pub common: options::Options,
    /// Kafka's brokers: host:port, separated by commas.
    #[arg(long, value_name = "BROKERS")]
    pub kafka: Option<String>,
    /// Where PostgreSQL is: postgres://user@host:5432/database. Other users of this machine can see a
    /// flag; the environment (MILEPOST_DATABASE_URL) and the file are safer for a password.
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,
    /// Where Redis is: redis://host:6379.
    #[arg(long, value_name = "URL")]
    pub redis: Option<String>,
    /// worker: goes on at the log's first record where records are gone that were not stored.
    #[arg(long)]
    pub accept_gap: bool,
}

/// Whose address `--http` is.
#[derive(Debug, Clone, Copy)]
enum Role {
    Gateway,
    Worker,
    /// Those that have the API, or none.
    Other,
}

impl Options {
    /// The configuration of the role; starts logging.
    fn start(&self, role: Role, protocols: Protocols) -> Result<Config, Failure> {
        let mut common = self.common.clone();
        common.protocols = protocols;
        let own = match role {
            Role::Gateway => Some("gateway.http"),
            Role::Worker => Some("worker.http"),
            Role::Other => None,
        };
        if let Some(key) = own
            && let Some(address) = common.http.take()
        {
            common
                .more
                .push((key.to_owned(), "--http".to_owned(), address));
        }
        for (key, flag, value) in [
            ("kafka.brokers", "--kafka", &self.kafka),
            ("database.url", "--database", &self.database),
            ("redis.url", "--redis", &self.redis),
        ] {
            if let Some(value) = value {
                common
                    .more
                    .push((key.to_owned(), flag.to_owned(), value.clone()));
            }
        }
        let Loaded {
            config, warnings, ..
        } = common.load()?;
        logging::start(&config.log);
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        Ok(config)
    }
}

fn missing(what: &str, flag: &str, key: &str) -> Failure {
    Failure::new(format!("{what} is not set"))
        .remedy(format!("set {key} in the file, or pass {flag}"))
}

fn kafka(config: &Config, client: String) -> Result<KafkaConfig, Failure> {
    let brokers = config.fleet.brokers.clone();
    let brokers = brokers.ok_or_else(|| missing("Kafka", "--kafka HOST:PORT", "kafka.brokers"))?;
    let mut kafka = KafkaConfig::new(brokers, client);
    let security = &config.fleet.kafka_security;
    let is_plain = |protocol: &Secret| protocol.reveal().eq_ignore_ascii_case("plaintext");
    let protocol = security.get("security.protocol");
    if !cfg!(feature = "kafka-tls") && protocol.is_some_and(|protocol| !is_plain(protocol)) {
        return Err(Failure::new(
            "kafka.security_protocol: this binary speaks neither TLS nor SASL to Kafka",
        )
        .remedy("build it with --features kafka-tls"));
    }
    for (setting, value) in security {
        kafka
            .security(*setting, value.reveal())
            .map_err(|fault| Failure::new(fault.to_string()))?;
    }
    Ok(kafka)
}

fn database(config: &Config) -> Result<DatabaseUrl, Failure> {
    let url = config.fleet.database.as_ref();
    let url = url.ok_or_else(|| missing("the database", "--database URL", "database.url"))?;
    let mut url: DatabaseUrl = url
        .reveal()
        .parse()
        .map_err(|error| Failure::new(format!("database.url: {error}")))?;
    if let Some(file) = &config.fleet.database_ca {
        url.trust_file(file)
            .map_err(|error| Failure::new(format!("database.ca_file: {error}")))?;
    }
    if url.may_be_unencrypted() && !url.is_local() {
        tracing::warn!(
            database = %url,
            "the connection to the database may be unencrypted: add ?sslmode=require to database.url"
        );
    }
    Ok(url)
}

fn redis(config: &Config) -> Result<Option<RedisUrl>, Failure> {
    let Some(url) = &config.fleet.redis else {
        return Ok(None);
    };
    let mut url: RedisUrl = url
        .reveal()
        .parse()
        .map_err(|error| Failure::new(format!("redis.url: {error}")))?;
    if let Some(file) = &config.fleet.redis_ca {
        url.trust_file(file)
            .map_err(|error| Failure::new(format!("redis.ca_file: {error}")))?;
    }
    Ok(Some(url))
}

fn topics(config: &Config) -> Topics {
    Topics::with_prefix(&config.fleet.topic_prefix)
}

/// The topics as they are made where they are missing.
fn specs(config: &Config) -> Vec<TopicSpec> {
    let topics = topics(config);
    let new = |name: &str| {
        TopicSpec::new(
            name,
            i32::from(config.fleet.partitions),
            i32::from(config.fleet.replication),
        )
    };
    let replication = i32::from(config.fleet.replication);
    vec![
        new(&topics.reports),
        new(&topics.urgent),
        new(&topics.events),
        // A few records a minute.
        TopicSpec::new(&topics.audit, 1, replication),
    ]
}
