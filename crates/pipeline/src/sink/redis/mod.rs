//! Redis: the last known state of devices, for fast reads and live views (feature `redis`).
//!
//! Everything here can be rebuilt: a shard writes its lanes' states again when it gets a partition,
//! and when Redis is back. An outage delays live views and loses nothing.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `<prefix>last:<tenant>:<device>` | hash | `time` (milliseconds since 1970) and `state` (JSON) |
//! | `<prefix>devices:<tenant>` | set | the tenant's devices |
//! | `<prefix>changes:<tenant>` | stream | `device`, `time` and `state` of each change, trimmed |
//!
//! A state is written only if none with a later time is there: comparison and write are one script on
//! the server, so that a worker that is behind never moves a device back. In a cluster the three keys
//! would lie on different nodes; use one node (with replicas), or a prefix per cluster slot.

#[cfg(feature = "timescale")]
mod follower;
mod url;

use std::fmt;
use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::streams::{StreamReadOptions, StreamReadReply};
use ::redis::{AsyncCommands as _, Pipeline, Script, ServerErrorKind, cmd};
use milepost_telemetry::{DeviceId, DeviceKey, Tenant, Timestamp};

#[cfg(feature = "timescale")]
pub use self::follower::{LaneSource, RedisFollower};
pub use self::url::RedisUrl;
use crate::SinkError;

/// How states are kept.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LastKnownOptions {
    /// Before all keys.
    pub prefix: String,
    /// Changes that a tenant's stream keeps, about.
    pub changes: usize,
    /// How long an answer may take.
    pub timeout: Duration,
}

impl Default for LastKnownOptions {
    fn default() -> Self {
        Self {
            prefix: "milepost:".into(),
            changes: 10_000,
            timeout: Duration::from_secs(2),
        }
    }
}

/// A device's state.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceState {
    /// The device.
    pub key: DeviceKey,
    /// The time of the state: later ones replace it.
    pub time: Timestamp,
    /// The state, in JSON.
    pub state: String,
}

impl DeviceState {
    /// A device's state at a time.
    pub fn new(key: DeviceKey, time: Timestamp, state: impl Into<String>) -> Self {
        Self {
            key,
            time,
            state: state.into(),
        }
    }
}

/// A change of a device's state, from the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// Its place in the stream: ask for what comes after it.
    pub place: String,
    /// The state.
    pub device: DeviceState,
}

/// An error of Redis or the connection. No password appears in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedisFault {
    /// The URL cannot be read.
    #[error("{0}")]
    Url(&'static str),
    /// TLS cannot be set up.
    #[error("TLS to Redis: {0}")]
    Tls(String),
    /// The server or the connection; it may work later.
    #[error("redis: {0}")]
    Server(String),
}

impl From<::redis::RedisError> for RedisFault {
    fn from(error: ::redis::RedisError) -> Self {
        Self::Server(error.to_string())
    }
}

impl From<RedisFault> for SinkError {
    fn from(fault: RedisFault) -> Self {
        Self::transient(fault)
    }
}

/// Writes a state unless a later one is there. Numbers are compared as such: their text has
/// different lengths before 2001.
const WRITE: &str = "
    local known = redis.call('HGET', KEYS[1], 'time')
    if known and tonumber(known) > tonumber(ARGV[1]) then return 0 end
    redis.call('HSET', KEYS[1], 'time', ARGV[1], 'state', ARGV[2])
    redis.call('SADD', KEYS[2], ARGV[3])
    redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[4], '*',
        'device', ARGV[3], 'time', ARGV[1], 'state', ARGV[2])
    return 1";

/// Scripts that travel together.
const PART: usize = 500;

/// The last known states. Cloning shares the connection, which is made again when it breaks.
#[derive(Clone)]
pub struct LastKnown {
    connection: ConnectionManager,
    options: LastKnownOptions,
    write: Script,
}

impl fmt::Debug for LastKnown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LastKnown")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl LastKnown {
    /// Connects.
    ///
    /// # Errors
    /// When the server cannot be reached now.
    pub async fn connect(url: &RedisUrl, options: LastKnownOptions) -> Result<Self, RedisFault> {
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_connection_timeout(Some(options.timeout))
            .set_response_timeout(Some(options.timeout));
        let client = url.client()?;
        Ok(Self {
            connection: ConnectionManager::new_with_config(client, config).await?,
            options,
            write: Script::new(WRITE),
        })
    }

    fn last(&self, key: &DeviceKey) -> String {
        let Self { options, .. } = self;
        format!("{}last:{}:{}", options.prefix, key.tenant, key.device)
    }

    fn of_tenant(&self, kind: &str, tenant: Tenant) -> String {
        format!("{}{kind}:{tenant}", self.options.prefix)
    }

    /// Writes states, each unless a later one is there; returns which were written. One round trip
    /// for each 500.
    ///
    /// # Errors
    /// When some may not be written; writing them again does no harm.
    pub async fn write(&mut self, states: &[DeviceState]) -> Result<Vec<bool>, RedisFault> {
        let mut written = Vec::with_capacity(states.len());
        for part in states.chunks(PART) {
            let pipeline = self.scripts(part);
            let answer: Result<Vec<bool>, _> = pipeline.query_async(&mut self.connection).await;
            let part = match answer {
                // A server that was started again does not know the script.
                Err(error) if error.kind() == ServerErrorKind::NoScript.into() => {
                    self.write.load_async(&mut self.connection).await?;
                    pipeline.query_async(&mut self.connection).await?
                }
                answer => answer?,
            };
            written.extend(part);
        }
        Ok(written)
    }

    fn scripts(&self, states: &[DeviceState]) -> Pipeline {
        let mut pipeline = ::redis::pipe();
        for DeviceState { key, time, state } in states {
            pipeline
                .cmd("EVALSHA")
                .arg(self.write.get_hash())
                .arg(3)
                .arg(self.last(key))
                .arg(self.of_tenant("devices", key.tenant))
                .arg(self.of_tenant("changes", key.tenant))
                .arg(time.as_millis())
                .arg(state)
                .arg(key.device.as_str())
                .arg(self.options.changes);
        }
        pipeline
    }

    /// A device's state.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn read(&mut self, key: &DeviceKey) -> Result<Option<DeviceState>, RedisFault> {
        let (time, state): (Option<i64>, Option<String>) = cmd("HMGET")
            .arg(self.last(key))
            .arg("time")
            .arg("state")
            .query_async(&mut self.connection)
            .await?;
        Ok(time
            .zip(state)
            .map(|(time, state)| DeviceState::new(*key, Timestamp::from_millis(time), state)))
    }

    /// Some devices of a tenant, from a cursor (0 at first); returns the next cursor, 0 at the end.
    /// A device may come twice.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn devices(
        &mut self,
        tenant: Tenant,
        cursor: u64,
    ) -> Result<(u64, Vec<DeviceId>), RedisFault> {
        let (cursor, names): (u64, Vec<String>) = cmd("SSCAN")
            .arg(self.of_tenant("devices", tenant))
            .arg(cursor)
            .arg("COUNT")
            .arg(500)
            .query_async(&mut self.connection)
            .await?;
        // Others could have written to the set.
        let devices = names.iter().filter_map(|name| name.parse().ok()).collect();
        Ok((cursor, devices))
    }

    /// Changes of a tenant after a place in its stream, at most `most`; waits up to `wait` for the
    /// first. `$` is the end of the stream. Needs a connection of its own: a wait holds all of it up.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn changes(
        &mut self,
        tenant: Tenant,
        after: &str,
        most: usize,
        wait: Duration,
    ) -> Result<Vec<Change>, RedisFault> {
        // At least 1 ms (0 is for ever), and less than the answer's timeout.
        let wait = wait.min(self.options.timeout / 2).as_millis().max(1);
        let options = StreamReadOptions::default()
            .count(most)
            .block(usize::try_from(wait).unwrap_or(1));
        let stream = self.of_tenant("changes", tenant);
        let reply: Option<StreamReadReply> = self
            .connection
            .xread_options(&[stream], &[after], &options)
            .await?;
        let entries = reply.into_iter().flat_map(|reply| reply.keys);
        Ok(entries
            .flat_map(|stream| stream.ids)
            .filter_map(|entry| {
                let device: String = entry.get("device")?;
                let key = DeviceKey {
                    tenant,
                    device: device.parse().ok()?,
                };
                let time = Timestamp::from_millis(entry.get("time")?);
                let state: String = entry.get("state")?;
                Some(Change {
                    device: DeviceState::new(key, time, state),
                    place: entry.id,
                })
            })
            .collect())
    }

    /// Whether the server answers.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn check(&mut self) -> Result<(), RedisFault> {
        let _pong: String = cmd("PING").query_async(&mut self.connection).await?;
        Ok(())
    }
}
