//! Events from the database to their topic: at least once, in order per partition.
//!
//! Events are rows that the judge's transaction writes and numbers. What lies above the partition's
//! mark is sent, and the mark moves when Kafka has replicated it. Whoever ends between the two leaves
//! it to the next one, which sends the same again, with the same ids.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::sync::{Mutex, Notify};

use super::AGAIN;
use crate::kafka::{KafkaConfig, KafkaFault, Producer, ProducerOptions};
use crate::sink::timescale::{Claim, Database, DatabaseError, DatabaseUrl, Schema};

/// Events that are sent before the mark moves.
const PART: usize = 1_000;
/// How long an idle publisher waits for a notice.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long the database may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Publishes the events of any number of partitions, with one connection and one producer.
#[derive(Debug)]
pub struct EventPublisher {
    config: KafkaConfig,
    options: ProducerOptions,
    topic: String,
    url: DatabaseUrl,
    schema: Schema,
    /// Made when it is needed, and again after a failure for good.
    producer: Mutex<Option<Producer>>,
    database: Mutex<Option<Database>>,
}

/// Why a part was not published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// Kafka.
    #[error(transparent)]
    Kafka(#[from] KafkaFault),
}

impl EventPublisher {
    /// A publisher to a topic.
    pub fn new(
        config: &KafkaConfig,
        options: ProducerOptions,
        topic: impl Into<String>,
        url: DatabaseUrl,
        schema: Schema,
    ) -> Self {
        Self {
            config: config.clone(),
            options,
            topic: topic.into(),
            url,
            schema,
            producer: Mutex::default(),
            database: Mutex::default(),
        }
    }

    /// Publishes the events of a partition as they come, until another one holds it.
    pub async fn run(&self, claim: Claim, written: Arc<Notify>) {
        loop {
            match self.publish(claim).await {
                Ok(true) => {
                    // Without a notice: another process may have stored some before.
                    let notice = tokio::time::timeout(LOOK_EVERY, written.notified());
                    let _in_time = notice.await.is_ok();
                }
                Ok(false) => {}
                Err(PublishError::Database(error)) if error.is_superseded() => return,
                Err(error) => {
                    metrics::counter!("milepost_events_publish_errors_total").increment(1);
                    tracing::warn!(%error, partition = claim.partition, "events wait");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }

    /// Publishes the next part; whether nothing was left.
    ///
    /// # Errors
    /// When the database or Kafka does not do its part: the mark has not moved, and the part will be
    /// sent again.
    pub async fn publish(&self, claim: Claim) -> Result<bool, PublishError> {
        let part = self
            .with_database(async |database| database.unpublished(claim, PART).await)
            .await?;
        if part.is_done {
            return Ok(true);
        }
        let producer = self.producer().await?;
        let mut deliveries = Vec::with_capacity(part.events.len());
        for event in &part.events {
            let sent = producer.enqueue(&self.topic, &event.key, event.json.as_bytes());
            deliveries.push(sent.await?);
        }
        let delivered = try_join_all(deliveries).await?.len();
        self.with_database(async |database| database.note_published(claim, part.up_to).await)
            .await?;
        metrics::counter!("milepost_events_published_total")
            .increment(u64::try_from(delivered).unwrap_or(u64::MAX));
        Ok(false)
    }

    async fn producer(&self) -> Result<Producer, KafkaFault> {
        let mut kept = self.producer.lock().await;
        if let Some(producer) = &*kept
            && producer.fatal_error().is_none()
        {
            return Ok(producer.clone());
        }
        let made = Producer::new(&self.config, &self.options)?;
        *kept = Some(made.clone());
        Ok(made)
    }

    /// A call that is dropped, fails or does not answer takes the connection with it.
    async fn with_database<T>(
        &self,
        call: impl AsyncFnOnce(&Database) -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        let mut kept = self.database.lock().await;
        let called = tokio::time::timeout(TIMEOUT, async {
            let database = match kept.take() {
                Some(database) => database,
                None => Database::connect(&self.url, &self.schema).await?,
            };
            let result = call(&database).await;
            Ok::<_, DatabaseError>((database, result))
        });
        let (database, result) = called
            .await
            .unwrap_or(Err(DatabaseError::Timeout(TIMEOUT)))?;
        if !matches!(&result, Err(error) if error.needs_reconnect()) {
            *kept = Some(database);
        }
        result
    }
}
