//! What `milepost api` reads with: a few connections to the database, and Redis as long as it answers.

use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use milepost_api::store::StoreError;
use milepost_pipeline::Latest;
use milepost_pipeline::sink::redis::{LastKnown, LastKnownOptions, RedisUrl};
use milepost_pipeline::sink::timescale::{DatabaseError, DatabaseUrl, Reader, Schema};
use milepost_telemetry::DeviceKey;
use tokio::sync::Semaphore;

/// How long Redis may take; then the database is asked.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long a Redis that has failed is not asked.
const REST: Duration = Duration::from_secs(1);

pub(super) fn unavailable(error: &impl Display) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Connections to the database: made when they are needed, kept, and at most so many.
pub(super) struct Pool {
    url: DatabaseUrl,
    places: Semaphore,
    idle: Mutex<Vec<Reader>>,
}

impl Pool {
    pub(super) fn new(url: DatabaseUrl, connections: usize) -> Self {
        Self {
            url,
            places: Semaphore::new(connections),
            idle: Mutex::default(),
        }
    }

    pub(super) fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    pub(super) async fn connect(&self) -> Result<Reader, DatabaseError> {
        Reader::connect(&self.url, &Schema::default()).await
    }

    /// Reads with a connection. A request that is cancelled drops its connection, which may be in the
    /// middle of an answer.
    pub(super) async fn read<T>(
        &self,
        read: impl AsyncFnOnce(&mut Reader) -> Result<T, DatabaseError>,
    ) -> Result<T, StoreError> {
        let place = self.places.acquire().await;
        let _place = place.map_err(|closed| unavailable(&closed))?;
        let mut reader = match self.kept() {
            Some(reader) => reader,
            None => self.connect().await.map_err(|error| unavailable(&error))?,
        };
        let done = read(&mut reader).await;
        if !matches!(&done, Err(error) if error.needs_reconnect()) {
            lock(&self.idle).push(reader);
        }
        done.map_err(|error| unavailable(&error))
    }

    /// A connection that was not closed meanwhile.
    fn kept(&self) -> Option<Reader> {
        let mut idle = lock(&self.idle);
        while let Some(reader) = idle.pop() {
            if !reader.is_closed() {
                return Some(reader);
            }
        }
        None
    }
}

/// Last known states in Redis. While it is away nothing is read, and it is asked once a second
/// whether it is back.
pub(super) struct Cache {
    url: RedisUrl,
    connection: tokio::sync::Mutex<Option<LastKnown>>,
    away: Mutex<Option<Away>>,
}

struct Away {
    why: String,
    ask_again: Instant,
}

impl Cache {
    pub(super) fn new(url: RedisUrl) -> Self {
        Self {
            url,
            connection: tokio::sync::Mutex::new(None),
            away: Mutex::new(None),
        }
    }

    /// Why it does not answer, if that is so.
    pub(super) fn problem(&self) -> Option<String> {
        lock(&self.away).as_ref().map(|away| away.why.clone())
    }

    /// The state of a device, if Redis has it and answers.
    pub(super) async fn read(&self, key: &DeviceKey) -> Option<Latest> {
        if let Some(away) = &mut *lock(&self.away) {
            if Instant::now() < away.ask_again {
                count_away();
                return None;
            }
            // This request asks; the others wait for what it finds.
            away.ask_again = Instant::now() + REST;
        }
        let reading = async {
            let mut redis = self.connected().await?;
            redis.read(key).await
        };
        let state = match tokio::time::timeout(PATIENCE, reading).await {
            Ok(Ok(state)) => {
                self.is_back();
                state?
            }
            Ok(Err(error)) => return self.is_away(&error),
            Err(_) => return self.is_away(&"no answer in time"),
        };
        serde_json::from_str(&state.state).ok()
    }

    /// Looks whether Redis answers, also while nobody reads.
    pub(super) async fn look(&self) {
        let checking = async { self.connected().await?.check().await };
        match tokio::time::timeout(PATIENCE, checking).await {
            Ok(Ok(())) => self.is_back(),
            Ok(Err(error)) => drop(self.is_away(&error)),
            Err(_) => drop(self.is_away(&"no answer in time")),
        }
    }

    async fn connected(&self) -> Result<LastKnown, milepost_pipeline::sink::redis::RedisFault> {
        let mut kept = self.connection.lock().await;
        if let Some(connected) = &*kept {
            return Ok(connected.clone());
        }
        let connected = LastKnown::connect(&self.url, LastKnownOptions::default()).await?;
        *kept = Some(connected.clone());
        Ok(connected)
    }

    fn is_away(&self, why: &dyn Display) -> Option<Latest> {
        count_away();
        let mut away = lock(&self.away);
        if away.is_none() {
            tracing::warn!(
                error = %why,
                "Redis is away: last known states come from the database, up to 30 s old"
            );
        }
        *away = Some(Away {
            why: why.to_string(),
            ask_again: Instant::now() + REST,
        });
        None
    }

    fn is_back(&self) {
        if lock(&self.away).take().is_some() {
            tracing::info!("Redis answers again: last known states come from there");
        }
    }
}

fn count_away() {
    metrics::counter!("milepost_api_redis_away_total").increment(1);
}
