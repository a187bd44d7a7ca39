//! The last known states of one partition's devices, written to Redis after the judge.

use std::time::Duration;

use milepost_telemetry::{DeviceKey, Name, Timestamp};
use tokio::runtime::Handle;

use super::{DeviceState, LastKnown, LastKnownOptions, RedisFault, RedisUrl};
use crate::sink::timescale::{ChangedLanes, Database, DatabaseUrl, Schema};
use crate::sink::{FollowFrom, Follower, News, Position, Replay, Replayed};
use crate::{Latest, SinkError};

/// Where the states of a partition are, for a follower that has missed some.
#[derive(Debug, Clone)]
pub struct LaneSource {
    url: DatabaseUrl,
    schema: Schema,
    topic: Name,
    partition: i32,
    lanes: ChangedLanes,
}

impl LaneSource {
    /// The states of a partition: those of its judge, and the stored ones.
    pub const fn new(
        url: DatabaseUrl,
        schema: Schema,
        topic: Name,
        partition: i32,
        lanes: ChangedLanes,
    ) -> Self {
        Self {
            url,
            schema,
            topic,
            partition,
            lanes,
        }
    }

    fn end(&self) -> Position {
        Position {
            row: self.lanes.committed().unsigned_abs(),
            ..Position::START
        }
    }
}

/// There are no rows to read again: the follower takes states as they are now.
impl Replay for LaneSource {
    fn after(&mut self, position: Position, most: usize) -> Result<Replayed, SinkError> {
        let end = self.end();
        Ok(Replayed {
            up_to: if most == 0 { position } else { end },
            end,
            ..Replayed::default()
        })
    }
}

/// Writes last known states. It keeps no mark: at its start, and when Redis is back after an error,
/// it writes all states of its partition again.
#[derive(Debug)]
pub struct RedisFollower {
    runtime: Handle,
    url: RedisUrl,
    options: LastKnownOptions,
    source: LaneSource,
    connected: Option<LastKnown>,
    at: Position,
}

/// How long all states of a partition may take to be read.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

impl RedisFollower {
    /// A follower of a partition. Make it on the runtime that its connections are to live on.
    pub fn new(url: RedisUrl, options: LastKnownOptions, source: LaneSource) -> Self {
        Self {
            runtime: Handle::current(),
            url,
            options,
            source,
            connected: None,
            at: Position::START,
        }
    }

    fn write_states(&mut self, states: &[DeviceState]) -> Result<(), SinkError> {
        let (url, options) = (&self.url, &self.options);
        let kept = self.connected.take();
        let (connected, written) = self.runtime.block_on(async {
            let connected = match kept {
                Some(connected) => Ok(connected),
                None => LastKnown::connect(url, options.clone()).await,
            };
            match connected {
                Ok(mut connected) => {
                    let written = connected.write(states).await;
                    (Some(connected), written.map(drop))
                }
                Err(error) => (None, Err(error)),
            }
        });
        self.connected = connected;
        written.map_err(SinkError::from)
    }

    /// All that may have changed since this follower was up to date.
    fn missed(&self) -> Result<Vec<DeviceState>, SinkError> {
        let from = i64::try_from(self.at.row).unwrap_or(i64::MAX);
        let (changed, is_all) = self.source.lanes.since(from);
        let mut states = Vec::with_capacity(changed.len());
        if !is_all {
            let source = &self.source;
            let stored = self.runtime.block_on(async {
                let reading = async {
                    let database = Database::connect(&source.url, &source.schema).await?;
                    database.last_known_of(source.topic, source.partition).await
                };
                tokio::time::timeout(READ_TIMEOUT, reading).await
            });
            let stored = stored.map_err(SinkError::transient)??;
            for (key, text) in stored {
                match serde_json::from_str::<Latest>(&text) {
                    Ok(latest) => states.extend(state(&key, &latest)?),
                    Err(error) => tracing::warn!(%error, "a last known state cannot be read"),
                }
            }
        }
        for (key, latest) in &changed {
            states.extend(state(key, latest)?);
        }
        Ok(states)
    }
}

/// A device's state by the time when it was last heard of, which only rises: within the state, each
/// part is compared by its own time already.
fn state(key: &DeviceKey, latest: &Latest) -> Result<Option<DeviceState>, SinkError> {
    let Some(time) = latest.last_seen else {
        return Ok(None);
    };
    let text = serde_json::to_string(latest).map_err(SinkError::permanent)?;
    let time: Timestamp = time;
    Ok(Some(DeviceState::new(*key, time, text)))
}

impl Follower for RedisFollower {
    fn begin(&mut self) -> Result<FollowFrom, SinkError> {
        self.at = Position::START;
        Ok(FollowFrom::Position(self.at))
    }

    fn write(&mut self, news: &News<'_>, up_to: Position) -> Result<(), SinkError> {
        let states = if news.devices.is_empty() {
            self.missed()?
        } else {
            let devices = news.devices.iter();
            let states = devices.filter_map(|(key, latest)| state(key, latest).transpose());
            states.collect::<Result<Vec<_>, _>>()?
        };
        if !states.is_empty() {
            self.write_states(&states)?;
        }
        self.at = up_to;
        Ok(())
    }
}

impl LastKnown {
    fn profile_key(&self, device: &DeviceKey, protocol: Name) -> String {
        let prefix = &self.options.prefix;
        format!(
            "{prefix}profile:{}:{protocol}:{}",
            device.tenant, device.device
        )
    }

    /// Keeps what was learned about how a device speaks a protocol, for all gateways.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn put_profile(
        &mut self,
        device: &DeviceKey,
        protocol: Name,
        profile: &str,
    ) -> Result<(), RedisFault> {
        let key = self.profile_key(device, protocol);
        ::redis::cmd("SET")
            .arg(key)
            .arg(profile)
            .query_async::<()>(&mut self.connection)
            .await?;
        Ok(())
    }

    /// What was learned about how a device speaks a protocol.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn profile(
        &mut self,
        device: &DeviceKey,
        protocol: Name,
    ) -> Result<Option<String>, RedisFault> {
        let key = self.profile_key(device, protocol);
        Ok(::redis::cmd("GET")
            .arg(key)
            .query_async(&mut self.connection)
            .await?)
    }
}
