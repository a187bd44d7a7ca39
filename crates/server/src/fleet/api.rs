//! `milepost api`: HTTP over TimescaleDB and Redis. It only reads.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use futures_util::stream::{self, BoxStream};
use milepost_api::Api;
use milepost_api::store::{
    Answer, Command, CommandChange, Commands, Connections, Cursor, Device, History,
    LastKnown as ReadLastKnown, NotQueued, Page, Paged, Part, Quarantine, QuarantinedFrame,
    Readiness, Span, StoreError, Trip, Trips,
};
use milepost_pipeline::Latest;
use milepost_pipeline::sink::timescale::{DatabaseError, Reader};
use milepost_pipeline::track::Leg;
use milepost_telemetry::{DeviceKey, Report, Tenant, Timestamp};
use tokio_util::sync::CancellationToken;

use super::reads::{Cache, Pool, unavailable};
use super::{Options, Role};
use crate::failure::Failure;
use crate::metrics::Metrics;
use crate::protocol::{Protocols, listen};
use crate::shutdown;

/// How long HTTP requests may still run at the end.
const GRACE: Duration = Duration::from_secs(2);
/// How long the database may take to say that it is there.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How often readiness is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Runs until a signal.
///
/// # Errors
/// When it cannot start.
pub async fn run(options: &Options, protocols: Protocols) -> Result<(), Failure> {
    let config = options.start(Role::Other, protocols)?;
    let shutdown = shutdown::on_signal()?;
    let metrics = Metrics::global();
    let http = listen::bind(config.http.listen, "http.listen", "--http")?;
    let pool = Pool::new(super::database(&config)?, config.fleet.database_connections);
    let stores = Arc::new(Stores {
        tenant: config.devices.tenant,
        pool,
        cache: super::redis(&config)?.map(Cache::new),
        problem: std::sync::Mutex::new(Some("it was not asked yet".to_owned())),
    });
    let address = http.local_addr()?;
    let router = milepost_api::router(Api {
        history: stores.clone(),
        trips: stores.clone(),
        rules: config.smoothing.settings().rules,
        devices: stores.clone(),
        quarantine: stores.clone(),
        commands: Arc::new(NoCommands),
        connections: Arc::new(NoCommands),
        readiness: stores.clone(),
        metrics: Arc::new(move || metrics.render(None)),
        tenant: config.devices.tenant,
        token: config.http.api_token.clone(),
        timeout: config.http.timeout,
        command_expires: config.commands.expires,
        getting_started: Vec::new(),
        shutdown: shutdown.clone(),
    });
    let end = CancellationToken::new();
    let serving = tokio::spawn(milepost_api::serve(
        http,
        router,
        config.http.max_connections,
        config.http.timeout,
        GRACE,
        end.clone(),
    ));
    let looking = tokio::spawn({
        let stores = stores.clone();
        async move {
            let mut kept = None;
            loop {
                stores.look(&mut kept).await;
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
    });
    crate::say(format_args!(
        "milepost api is ready: http://{address}, {}",
        stores.pool.url()
    ));
    shutdown.cancelled().await;
    end.cancel();
    looking.abort();
    serving
        .await
        .map_err(|error| Failure::new(format!("HTTP broke: {error}")))
}

struct Stores {
    tenant: Tenant,
    pool: Pool,
    cache: Option<Cache>,
    problem: std::sync::Mutex<Option<String>>,
}

impl Stores {
    /// Looks whether the database answers, on a connection of its own: those of the pool may all be
    /// at work.
    async fn look(&self, kept: &mut Option<Reader>) {
        let looking = async {
            let reader = match kept.take() {
                Some(reader) => reader,
                None => self.pool.connect().await?,
            };
            reader.check().await?;
            *kept = Some(reader);
            Ok::<_, DatabaseError>(())
        };
        let looked = tokio::time::timeout(ANSWER_WITHIN, looking).await;
        let problem = match looked {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(DatabaseError::Timeout(ANSWER_WITHIN).to_string()),
        };
        *self.problem() = problem;
        if let Some(cache) = &self.cache {
            cache.look().await;
        }
    }

    fn problem(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.problem
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The last known state as Redis has it; `None` if it has none, or is away.
    async fn last_known(&self, key: &DeviceKey) -> Option<Latest> {
        self.cache.as_ref()?.read(key).await
    }

    async fn newest(&self, key: DeviceKey, stored: &str) -> Result<Device, StoreError> {
        let latest = match self.last_known(&key).await {
            Some(latest) => latest,
            None => serde_json::from_str(stored).map_err(|error| unavailable(&error))?,
        };
        Ok(Device { key, latest })
    }
}

/// A page of `limit` items out of one more, and where the next begins.
fn paged<T, U>(
    mut items: Vec<T>,
    limit: u32,
    cursor: impl Fn(&T) -> String,
    into: impl Fn(T) -> U,
) -> Paged<U> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| has_more).map(&cursor);
    Paged {
        items: items.into_iter().map(into).collect(),
        next: next.map(Cursor::new),
    }
}

fn numbers<const N: usize>(cursor: &Cursor) -> Result<[i64; N], StoreError> {
    let parts: Result<Vec<i64>, _> = cursor.as_str().split('.').map(str::parse).collect();
    let parts = parts.map_err(|_| StoreError::Cursor)?;
    parts.try_into().map_err(|_| StoreError::Cursor)
}

impl History for Stores {
    fn history(&self, device: &DeviceKey, span: &Span, page: &Page) -> Answer<'_, Paged<Report>> {
        let (device, span, page) = (*device, *span, page.clone());
        Box::pin(async move {
            let after = page
                .after
                .as_ref()
                .map(|cursor| {
                    let (time, id) = cursor.as_str().split_once('.').ok_or(StoreError::Cursor)?;
                    let time = time.parse().map_err(|_| StoreError::Cursor)?;
                    let id = u128::from_str_radix(id, 16).map_err(|_| StoreError::Cursor)?;
                    Ok::<_, StoreError>((time, id))
                })
                .transpose()?;
            let limit = i64::from(page.limit) + 1;
            let found = self
                .pool
                .read(async |reader| {
                    reader
                        .history(&device, span.from, span.to, after, limit)
                        .await
                })
                .await?;
            let cursor = |report: &Report| {
                let id = u128::from_be_bytes(*report.id.as_bytes());
                format!("{}.{id:032x}", report.time.as_millis())
            };
            Ok(paged(found, page.limit, cursor, |report| report))
        })
    }
}

impl ReadLastKnown for Stores {
    fn devices(&self, tenant: &Tenant, page: &Page) -> Answer<'_, Paged<Device>> {
        let (tenant, page) = (*tenant, page.clone());
        Box::pin(async move {
            let after = page.after.as_ref().map(Cursor::as_str);
            let limit = i64::from(page.limit) + 1;
            let found = self
                .pool
                .read(async |reader| reader.devices(&tenant, after, limit).await)
                .await?;
            let cursor = |device: &(DeviceKey, String)| device.0.device.to_string();
            let found = paged(found, page.limit, cursor, |device| device);
            let states = found.items.iter();
            // At once: they travel together.
            let states = states.map(|(key, stored)| self.newest(*key, stored));
            Ok(Paged {
                items: try_join_all(states).await?,
                next: found.next,
            })
        })
    }

    fn device(&self, key: &DeviceKey) -> Answer<'_, Option<Device>> {
        let key = *key;
        Box::pin(async move {
            if let Some(latest) = self.last_known(&key).await {
                return Ok(Some(Device { key, latest }));
            }
            let stored = self
                .pool
                .read(async |reader| reader.device(&key).await)
                .await?;
            stored
                .map(|stored| {
                    let latest =
                        serde_json::from_str(&stored).map_err(|error| unavailable(&error))?;
                    Ok(Device { key, latest })
                })
                .transpose()
        })
    }
}

impl Trips for Stores {
    fn trips(&self, device: &DeviceKey, span: &Span, page: &Page) -> Answer<'_, Paged<Trip>> {
        let (device, span, page) = (*device, *span, page.clone());
        Box::pin(async move {
            let after = page.after.as_ref().map(numbers::<1>).transpose()?;
            let after = after.map(|[from_ms]| from_ms);
            let limit = i64::from(page.limit) + 1;
            let found = self
                .pool
                .read(async |reader| {
                    reader
                        .trips(&device, span.from, span.to, after, limit)
                        .await
                })
                .await?;
            let cursor = |(leg, _): &(Leg, u32)| leg.from_ms.to_string();
            let into = |(leg, revision): (Leg, u32)| crate::api::trip(&device, &leg, revision);
            Ok(paged(found, page.limit, cursor, into))
        })
    }
}

impl Quarantine for Stores {
    fn quarantine(&self, page: &Page) -> Answer<'_, Paged<QuarantinedFrame>> {
        let page = page.clone();
        Box::pin(async move {
            let after = page.after.as_ref().map(numbers::<4>).transpose()?;
            let after = after.map(|[at, epoch, connection, frame]| (at, epoch, connection, frame));
            let limit = i64::from(page.limit) + 1;
            let tenant = self.tenant;
            let found = self
                .pool
                .read(async |reader| reader.quarantine(&tenant, after, limit).await)
                .await?;
            let cursor = |frame: &milepost_pipeline::sink::timescale::StoredFrame| {
                let (at, epoch, connection, ordinal) = frame.place;
                format!("{at}.{epoch}.{connection}.{ordinal}")
            };
            Ok(paged(found, page.limit, cursor, |frame| QuarantinedFrame {
                received_at: Timestamp::from_millis(frame.place.0),
                peer: frame.peer,
                protocol: frame.protocol,
                device: frame.device,
                raw: hex::encode(frame.raw),
                field: frame.field,
                offset: frame.offset,
                error: frame.error,
            }))
        })
    }
}

impl Readiness for Stores {
    fn not_ready(&self) -> Vec<Part> {
        let problem = self.problem().clone();
        let part = problem.map(|reason| Part {
            part: "database",
            reason,
        });
        part.into_iter().collect()
    }

    fn notes(&self) -> Vec<Part> {
        let problem = self.cache.as_ref().and_then(Cache::problem);
        let part = problem.map(|reason| Part {
            part: "redis",
            reason: format!("{reason}; last known states come from the database, up to 30 s old"),
        });
        part.into_iter().collect()
    }
}

/// A fleet has no registry of devices yet, and so no way from a command to a connection.
struct NoCommands;

const REMEDY: &str = "cannot be sent: commands need `milepost serve`; a fleet takes none yet";

impl Commands for NoCommands {
    fn check(&self, _: &str) -> Result<(), String> {
        Err(REMEDY.to_owned())
    }

    fn is_reachable(&self, _: &DeviceKey) -> bool {
        false
    }

    fn queue(&self, _: &DeviceKey, _: &str, _: Timestamp) -> Answer<'_, Command, NotQueued> {
        Box::pin(async { Err(NotQueued::Store(StoreError::Unavailable(REMEDY.to_owned()))) })
    }

    fn withdraw(&self, _: u32) -> Answer<'_, bool> {
        Box::pin(async { Ok(false) })
    }

    fn command(&self, _: u32) -> Answer<'_, Option<Command>> {
        Box::pin(async { Ok(None) })
    }

    fn commands(&self, _: &DeviceKey, _: &Page) -> Answer<'_, Paged<Command>> {
        Box::pin(async {
            Ok(Paged {
                items: Vec::new(),
                next: None,
            })
        })
    }

    fn changes(&self) -> BoxStream<'static, CommandChange> {
        Box::pin(stream::pending())
    }
}

/// Connections are the gateways'; this process does not see them.
impl Connections for NoCommands {
    fn is_connected(&self, _: &DeviceKey) -> bool {
        false
    }
}
