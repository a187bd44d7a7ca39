//! The embedded store, the connections and the pipeline as the HTTP API sees them.

use futures_util::stream::{self, BoxStream};
use milepost_api::store::{
    Answer, Command, CommandChange, CommandState, Commands, Connections, Cursor, Device, History,
    LastKnown, NotQueued, Page, Paged, Part, Place, Quarantine, QuarantinedFrame, Readiness, Span,
    StoreError, Trip, TripKind, Trips, UnconfirmedAnswer,
};
use milepost_listener::NotSent;
use milepost_pipeline::sink::sqlite::{self, Reader, Store};
use milepost_pipeline::track::{Kind, Leg};
use milepost_pipeline::{FollowerHealth, Handle, Health};
use milepost_telemetry::{DeviceKey, Name, Report, Tenant, Timestamp};
use tokio::sync::broadcast::error::RecvError;

use crate::commands::Bell;
use crate::listening::Listening;
use crate::protocol::Protocols;

/// The embedded store.
#[derive(Debug, Clone)]
pub(crate) struct StoreReads(pub(crate) Store);

/// The embedded store's commands, and how they reach devices.
#[derive(Debug, Clone)]
pub(crate) struct StoreCommands {
    pub(crate) store: Store,
    pub(crate) connections: milepost_listener::Connections,
    pub(crate) bell: Bell,
    pub(crate) protocols: Protocols,
    pub(crate) max_waiting: u32,
}

/// The table of connections.
#[derive(Debug, Clone)]
pub(crate) struct Connected(pub(crate) milepost_listener::Connections);

/// What has to work in this process.
pub(crate) struct Parts {
    pub(crate) pipeline: Handle,
    pub(crate) listening: Listening,
}

async fn read<T: Send + 'static>(
    store: &Store,
    read: impl FnOnce(&Reader) -> Result<T, sqlite::StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    store.read(read).await.map_err(not_done)
}

fn not_done(error: sqlite::StoreError) -> StoreError {
    match error {
        sqlite::StoreError::Cursor => StoreError::Cursor,
        error => StoreError::Unavailable(error.to_string()),
    }
}

/// The store's own form of a page. A text that no cursor of it has is refused.
fn page(page: &Page) -> Result<sqlite::Page, StoreError> {
    let after = page.after.as_ref().map(|cursor| cursor.as_str().parse());
    let after = after.transpose().map_err(not_done)?;
    Ok(sqlite::Page::after(page.limit, after))
}

fn paged<T, U>(page: sqlite::Paged<T>, into: impl Fn(T) -> U) -> Paged<U> {
    Paged {
        items: page.items.into_iter().map(into).collect(),
        next: page.next.map(|cursor| Cursor::new(cursor.to_string())),
    }
}

impl History for StoreReads {
    fn history(&self, device: &DeviceKey, span: &Span, after: &Page) -> Answer<'_, Paged<Report>> {
        let (device, after) = (*device, page(after));
        let span = sqlite::Span {
            from: span.from,
            to: span.to,
            raw: span.raw,
        };
        Box::pin(async move {
            let after = after?;
            let found = read(&self.0, move |reader| {
                reader.history(&device, &span, &after)
            });
            Ok(paged(found.await?, |report| report))
        })
    }
}

impl Trips for StoreReads {
    fn trips(&self, device: &DeviceKey, span: &Span, after: &Page) -> Answer<'_, Paged<Trip>> {
        let (device, after) = (*device, page(after));
        let span = sqlite::Span {
            from: span.from,
            to: span.to,
            raw: false,
        };
        Box::pin(async move {
            let after = after?;
            let found = read(&self.0, move |reader| reader.trips(&device, &span, &after));
            Ok(paged(found.await?, |row| {
                trip(&device, &row.leg, row.revision)
            }))
        })
    }
}

pub(crate) fn trip(device: &DeviceKey, leg: &Leg, revision: u32) -> Trip {
    let place = |(latitude, longitude)| Place {
        latitude,
        longitude,
    };
    let round = |value: f64| (value * 10.0).round() / 10.0;
    Trip {
        id: format!("{}-{}", device.device, leg.from_ms),
        kind: match leg.kind {
            Kind::Trip => TripKind::Trip,
            Kind::Stop => TripKind::Stop,
        },
        from: Timestamp::from_millis(leg.from_ms),
        to: leg.to_ms.map(Timestamp::from_millis),
        start: place(leg.start),
        end: place(leg.end),
        distance_m: round(leg.distance_m),
        odometer_m: leg.odometer_m.map(round),
        max_speed_kmh: round(f64::from(leg.max_speed) * 3.6),
        idle_s: round(
            std::time::Duration::from_millis(leg.idle_ms.max(0).unsigned_abs()).as_secs_f64(),
        ),
        revision,
    }
}

impl LastKnown for StoreReads {
    fn devices(&self, tenant: &Tenant, after: &Page) -> Answer<'_, Paged<Device>> {
        let (tenant, after) = (*tenant, page(after));
        Box::pin(async move {
            let after = after?;
            let found = read(&self.0, move |reader| reader.devices(&tenant, &after));
            Ok(paged(found.await?, device))
        })
    }

    fn device(&self, key: &DeviceKey) -> Answer<'_, Option<Device>> {
        let key = *key;
        Box::pin(async move {
            let found = read(&self.0, move |reader| reader.device(&key)).await?;
            Ok(found.map(device))
        })
    }
}

fn device(known: sqlite::Device) -> Device {
    Device {
        key: known.key,
        latest: known.latest,
    }
}

impl Quarantine for StoreReads {
    fn quarantine(&self, after: &Page) -> Answer<'_, Paged<QuarantinedFrame>> {
        let after = page(after);
        Box::pin(async move {
            let after = after?;
            let found = read(&self.0, move |reader| reader.quarantine(&after));
            Ok(paged(found.await?, |frame| QuarantinedFrame {
                received_at: frame.received_at,
                peer: frame.peer,
                protocol: frame.protocol,
                device: frame.device,
                raw: frame.raw,
                field: frame.field,
                offset: frame.offset,
                error: frame.error,
            }))
        })
    }
}

impl Commands for StoreCommands {
    fn check(&self, text: &str) -> Result<(), String> {
        self.protocols.check_command(text)
    }

    fn is_reachable(&self, device: &DeviceKey) -> bool {
        self.connections.takes_commands(device).is_ok()
    }

    fn queue(
        &self,
        device: &DeviceKey,
        text: &str,
        expires_at: Timestamp,
    ) -> Answer<'_, Command, NotQueued> {
        let (device, text) = (*device, text.to_owned());
        Box::pin(async move {
            // The protocol that the device is connected by, else the first that takes the text.
            let connected = self.connections.of(&device);
            let protocol = connected
                .iter()
                .find(|one| one.takes_commands)
                .map(|one| one.protocol)
                .or_else(|| self.protocols.for_command(&text).map(Name::new))
                .unwrap_or(Name::new(""));
            let queued =
                self.store
                    .queue_command(&device, protocol, &text, expires_at, self.max_waiting);
            let queued = queued.await.map_err(|error| match error {
                sqlite::NotQueued::TooMany(waiting) => NotQueued::TooMany(waiting),
                sqlite::NotQueued::Store(error) => NotQueued::Store(not_done(error)),
                other => NotQueued::Store(StoreError::Unavailable(other.to_string())),
            })?;
            self.bell.ring(&queued);
            Ok(self.shown(queued))
        })
    }

    fn withdraw(&self, id: u32) -> Answer<'_, bool> {
        Box::pin(async move { self.store.withdraw_command(id).await.map_err(not_done) })
    }

    fn command(&self, id: u32) -> Answer<'_, Option<Command>> {
        Box::pin(async move {
            let found = read(&self.store, move |reader| reader.command(id)).await?;
            Ok(found.map(|found| self.shown(found)))
        })
    }

    fn commands(&self, key: &DeviceKey, after: &Page) -> Answer<'_, Paged<Command>> {
        let (key, after) = (*key, page(after));
        Box::pin(async move {
            let after = after?;
            let found = read(&self.store, move |reader| reader.commands(&key, &after));
            Ok(paged(found.await?, |found| self.shown(found)))
        })
    }

    fn changes(&self) -> BoxStream<'static, CommandChange> {
        let changes = self.store.command_changes();
        Box::pin(stream::unfold(changes, async |mut changes| {
            let change = match changes.recv().await {
                Ok((id, state)) => CommandChange::Changed(id, command_state(state)),
                Err(RecvError::Lagged(_)) => CommandChange::Missed,
                Err(RecvError::Closed) => return None,
            };
            Some((change, changes))
        }))
    }
}

impl StoreCommands {
    /// A command as it is shown: with the peers that contend for it while it waits.
    fn shown(&self, found: sqlite::Command) -> Command {
        let mut shown = command(found);
        if shown.status == CommandState::Queued {
            let device = DeviceKey {
                tenant: shown.tenant,
                device: shown.device,
            };
            let takes = self.connections.takes_commands(&device);
            if let Err(NotSent::Contested | NotSent::NotBound) = takes {
                let claims = self.connections.of(&device);
                shown.contested = claims.iter().filter_map(|claim| claim.peer).collect();
            }
        }
        shown
    }
}

fn command(command: sqlite::Command) -> Command {
    Command {
        contested: Vec::new(),
        id: command.id,
        tenant: command.tenant,
        device: command.device,
        text: command.text,
        status: command_state(command.status),
        queued_at: command.queued_at,
        expires_at: command.expires_at,
        sent_at: command.sent_at,
        settled_at: command.settled_at,
        answer: command.answer,
        outcome: command.outcome,
        reason: command.reason,
        unconfirmed: command.unconfirmed.map(|answer| UnconfirmedAnswer {
            text: answer.text,
            peer: answer.peer,
            received_at: answer.received_at,
        }),
    }
}

const fn command_state(state: sqlite::CommandState) -> CommandState {
    match state {
        sqlite::CommandState::Queued => CommandState::Queued,
        sqlite::CommandState::Sent => CommandState::Sent,
        sqlite::CommandState::Answered => CommandState::Answered,
        sqlite::CommandState::Refused => CommandState::Refused,
        sqlite::CommandState::Expired => CommandState::Expired,
        sqlite::CommandState::Withdrawn => CommandState::Withdrawn,
    }
}

impl Connections for Connected {
    fn is_connected(&self, device: &DeviceKey) -> bool {
        self.0.is_connected(device)
    }
}

impl Readiness for Parts {
    fn not_ready(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        if let Health::Stalled(reason) = self.pipeline.health() {
            parts.push(Part {
                part: "store",
                reason: reason.into(),
            });
        }
        let missing = self.listening.missing();
        if missing > 0 {
            parts.push(Part {
                part: "listener",
                reason: format!("{missing} of the device listeners take no connections"),
            });
        }
        parts
    }

    /// A follower that fails delays neither the store nor acknowledgements: it is no reason to
    /// send devices elsewhere.
    fn notes(&self) -> Vec<Part> {
        failing(self.pipeline.followers())
    }
}

/// The followers whose last attempt failed, as notes.
fn failing(followers: Vec<FollowerHealth>) -> Vec<Part> {
    let notes = followers.into_iter().filter_map(|follower| {
        let problem = follower.problem?;
        let (name, lag, errors) = (follower.name, follower.lag_rows, follower.errors);
        Some(Part {
            part: "follower",
            reason: format!("{name} fails ({errors} times, {lag} rows behind): {problem}"),
        })
    });
    notes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_follower_that_fails_is_a_note_and_one_that_works_is_none() {
        let mut works = FollowerHealth::default();
        works.name = "redis".to_owned();
        works.errors = 2;
        let mut fails = FollowerHealth::default();
        fails.name = "archive".to_owned();
        (fails.errors, fails.lag_rows) = (3, 40);
        fails.problem = Some("connection refused".to_owned());
        let notes = failing(vec![works, fails]);
        assert_eq!(
            notes,
            [Part {
                part: "follower",
                reason: "archive fails (3 times, 40 rows behind): connection refused".to_owned(),
            }]
        );
    }
}
