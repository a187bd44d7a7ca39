//! Topics: made where they are missing, looked at where they are not.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;

use super::KafkaFault;
use super::config::KafkaConfig;

/// A topic as it should be.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// How many partitions a new one gets.
    pub partitions: i32,
    /// How many replicas a new one gets.
    pub replication: i32,
    /// Further settings of a new one, such as `min.insync.replicas`.
    pub settings: Vec<(String, String)>,
}

impl TopicSpec {
    /// A topic with these numbers.
    pub fn new(name: impl Into<String>, partitions: i32, replication: i32) -> Self {
        Self {
            name: name.into(),
            partitions,
            replication,
            settings: Vec::new(),
        }
    }
}

/// A topic as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicState {
    /// Its name.
    pub name: String,
    /// Whether it was made now.
    pub created: bool,
    /// How many partitions it has.
    pub partitions: usize,
    /// How many replicas its partitions have at least.
    pub replication: usize,
    /// How many must have a record before it counts as delivered; `None` if that may not be asked.
    pub min_insync: Option<u32>,
}

impl TopicState {
    /// What people should know before they trust the topic with data.
    pub fn warning(&self) -> Option<String> {
        let Self {
            name, replication, ..
        } = self;
        let min = self.min_insync.unwrap_or(0);
        (*replication < 3 || min < 2).then(|| {
            format!(
                "topic {name} has replication {replication} and min.insync.replicas {}: the loss \
                 of one broker can lose acknowledged data; use 3 and 2",
                self.min_insync
                    .map_or_else(|| "unknown".to_owned(), |min| min.to_string())
            )
        })
    }
}

const TIMEOUT: Duration = Duration::from_secs(10);

/// Makes topics that do not exist, if that is allowed, and says how all of them are.
///
/// # Errors
/// When the brokers cannot be reached, or a topic does not exist and may not be made.
pub async fn ensure_topics(
    config: &KafkaConfig,
    topics: &[TopicSpec],
) -> Result<Vec<TopicState>, KafkaFault> {
    let admin: Arc<AdminClient<DefaultClientContext>> = Arc::new(
        config
            .client()
            .create()
            .map_err(|error| config.refused(error))?,
    );
    let options = AdminOptions::new()
        .request_timeout(Some(TIMEOUT))
        .operation_timeout(Some(TIMEOUT));
    let new: Vec<NewTopic<'_>> = topics
        .iter()
        .map(|topic| {
            let replication = TopicReplication::Fixed(topic.replication);
            topic.settings.iter().fold(
                NewTopic::new(&topic.name, topic.partitions, replication),
                |new, (key, value)| new.set(key, value),
            )
        })
        .collect();
    let mut created = Vec::new();
    for made in admin.create_topics(&new, &options).await? {
        match made {
            Ok(name) => created.push(name),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            // It may exist all the same; if not, that is the error below.
            Err((name, code)) => tracing::info!(%name, %code, "topic is not created"),
        }
    }
    let mut states = Vec::new();
    for topic in topics {
        states.push(state(&admin, &options, topic, created.contains(&topic.name)).await?);
    }
    Ok(states)
}

async fn state(
    admin: &Arc<AdminClient<DefaultClientContext>>,
    options: &AdminOptions,
    topic: &TopicSpec,
    created: bool,
) -> Result<TopicState, KafkaFault> {
    // A new topic takes a moment until every broker knows it.
    for _ in 0..50 {
        let (client, name) = (Arc::clone(admin), topic.name.clone());
        let metadata = tokio::task::spawn_blocking(move || {
            client.inner().fetch_metadata(Some(&name), TIMEOUT)
        })
        .await
        .map_err(|error| KafkaFault::Client(error.to_string()))??;
        if let Some(found) = metadata.topics().iter().find(|t| t.name() == topic.name)
            && found.error().is_none()
            && !found.partitions().is_empty()
        {
            let partitions = found.partitions();
            let min_insync = min_insync(admin, options, &topic.name).await;
            return Ok(TopicState {
                name: topic.name.clone(),
                created,
                partitions: partitions.len(),
                replication: partitions
                    .iter()
                    .map(|partition| partition.replicas().len())
                    .min()
                    .unwrap_or(0),
                min_insync,
            });
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(KafkaFault::Client(format!(
        "topic {} does not exist, and this client may not create it",
        topic.name
    )))
}

async fn min_insync(
    admin: &AdminClient<DefaultClientContext>,
    options: &AdminOptions,
    topic: &str,
) -> Option<u32> {
    let resource = ResourceSpecifier::Topic(topic);
    let answers = admin.describe_configs([&resource], options).await.ok()?;
    answers.into_iter().find_map(|answer| {
        let setting = answer.ok()?.get("min.insync.replicas")?.value.clone()?;
        setting.parse().ok()
    })
}
