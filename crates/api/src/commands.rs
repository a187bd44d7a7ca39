//! Telling a device something.

use std::fmt;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use milepost_telemetry::{DeviceKey, Timestamp};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::accept::Peer;
use crate::object::UniqueKeys;
use crate::parameters::Parameters;
use crate::problem::Problem;
use crate::store::{Command, CommandChange, CommandState, Cursor, NotQueued, Part};
use crate::{Api, Shared, auth, devices};

/// How long a request that does not wait for the answer waits for the command to be sent to a
/// device that is connected.
const GRACE: Duration = Duration::from_secs(1);
/// What an answer is ahead of the request's time-out.
const AHEAD: Duration = Duration::from_secs(1);
/// The longest that a command may wait for its device and its answer, in seconds: 30 days.
pub const MAX_EXPIRES_S: u64 = 30 * 86_400;
/// The longest wait that a request may name, in seconds.
const MAX_WAIT_S: f64 = 3_600.0;

/// The body of a request.
#[derive(Debug)]
struct Wish {
    text: String,
    wait_s: f64,
    expires_s: Option<u64>,
}

/// A page of commands, the newest first.
#[derive(Debug, Serialize)]
pub(crate) struct Commands {
    commands: Vec<Command>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Cursor>,
}

/// `POST /v1/devices/{id}/commands`
pub(crate) async fn send(
    State(api): State<Shared>,
    peer: Option<Extension<Peer>>,
    path: Result<Path<String>, PathRejection>,
    parameters: Parameters,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    auth::may_command(api.token.as_ref())?;
    parameters.finish()?;
    let key = devices::key(&api, devices::id(path)?);
    let body = body.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    let wish = wish(&api, &body)?;
    known(&api, &key).await?;

    // Before the command is there, so that no change of it is missed.
    let changes = api.commands.changes();
    let expires = wish
        .expires_s
        .map_or(api.command_expires, Duration::from_secs);
    let expires = i64::try_from(expires.as_millis()).unwrap_or(i64::MAX);
    let expires_at = now().offset_millis(expires);
    let command = api
        .commands
        .queue(&key, &wish.text, expires_at)
        .await
        .map_err(|error| not_queued(&error))?;
    // Not its text: that may hold a password, and is in the store for those who may read it.
    let length = wish.text.len();
    let peer = address(peer).map(tracing::field::display);
    tracing::info!(command = command.id, device = %key.device, length, peer,
        "a command was accepted");

    let most = api.timeout.saturating_sub(AHEAD);
    let wait = Duration::try_from_secs_f64(wish.wait_s).map_or(most, |wait| wait.min(most));
    let command = follow(&api, changes, command, &key, wait).await?;
    let place = format!("/v1/devices/{}/commands/{}", key.device, command.id);
    let status = if command.status.is_open() {
        StatusCode::ACCEPTED
    } else {
        StatusCode::OK
    };
    let mut response = (status, Json(command)).into_response();
    if let Ok(place) = HeaderValue::from_str(&place) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// `GET /v1/devices/{id}/commands`
pub(crate) async fn list(
    State(api): State<Shared>,
    path: Result<Path<String>, PathRejection>,
    mut parameters: Parameters,
) -> Result<Json<Commands>, Problem> {
    let page = parameters.page()?;
    parameters.finish()?;
    let key = devices::key(&api, devices::id(path)?);
    known(&api, &key).await?;
    let page = api.commands.commands(&key, &page).await?;
    Ok(Json(Commands {
        commands: page.items,
        next: page.next,
    }))
}

/// `GET /v1/devices/{id}/commands/{command}`
pub(crate) async fn one(
    State(api): State<Shared>,
    path: Result<Path<(String, String)>, PathRejection>,
    parameters: Parameters,
) -> Result<Json<Command>, Problem> {
    parameters.finish()?;
    find_by(&api, path).await.map(Json)
}

/// `DELETE /v1/devices/{id}/commands/{command}`
pub(crate) async fn withdraw(
    State(api): State<Shared>,
    peer: Option<Extension<Peer>>,
    path: Result<Path<(String, String)>, PathRejection>,
    parameters: Parameters,
) -> Result<Json<Command>, Problem> {
    auth::may_command(api.token.as_ref())?;
    parameters.finish()?;
    let command = find_by(&api, path).await?;
    let withdrawn = api
        .commands
        .withdraw(command.id)
        .await
        .map_err(|error| not_stored(&error, "it was not taken back"))?;
    let command = api.commands.command(command.id).await?.unwrap_or(command);
    if withdrawn {
        let peer = address(peer).map(tracing::field::display);
        tracing::info!(command = command.id, device = %command.device, peer,
            "a command was withdrawn");
    } else if command.status != CommandState::Withdrawn {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            format!(
                "the command is {} and cannot be taken back: only one that waits can",
                command.status
            ),
        ));
    }
    // Who asks again, since an answer was lost, hears the same.
    Ok(Json(command))
}

fn address(peer: Option<Extension<Peer>>) -> Option<std::net::SocketAddr> {
    peer.map(|Extension(Peer(address))| address)
}

/// The command that a path names.
async fn find_by(
    api: &Api,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Command, Problem> {
    let Path((device, number)) =
        path.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    let key = devices::key(api, devices::id(Ok(Path(device)))?);
    known(api, &key).await?;
    let unknown = || Problem::not_found(format!("{} has no command {number:?}", key.device));
    let id = number.parse().map_err(|_| unknown())?;
    let found = api.commands.command(id).await?;
    found
        .filter(|command| command.device == key.device && command.tenant == key.tenant)
        .ok_or_else(unknown)
}

/// Waits until the command is settled, or the time is up; without a wish to wait, until it is
/// sent, if its device can be told now.
async fn follow(
    api: &Api,
    mut changes: BoxStream<'static, CommandChange>,
    command: Command,
    key: &DeviceKey,
    wait: Duration,
) -> Result<Command, Problem> {
    let until_sent = wait.is_zero();
    let wait = if until_sent { GRACE } else { wait };
    if until_sent && !api.commands.is_reachable(key) {
        return Ok(command);
    }
    let id = command.id;
    let is_done =
        |state: CommandState| !state.is_open() || until_sent && state == CommandState::Sent;
    let deadline = Instant::now() + wait;
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(deadline) => break,
            () = api.shutdown.cancelled() => break,
            change = changes.next() => match change {
                Some(CommandChange::Changed(changed, state)) => {
                    if changed == id && is_done(state) {
                        break;
                    }
                }
                Some(CommandChange::Missed) => {
                    let command = api.commands.command(id).await?;
                    if command.is_some_and(|command| is_done(command.status)) {
                        break;
                    }
                }
                None => break,
            },
        }
    }
    Ok(api.commands.command(id).await?.unwrap_or(command))
}

fn now() -> Timestamp {
    Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
}

/// A device that has reported, or is connected now: its first report may still be on its way.
async fn known(api: &Api, key: &DeviceKey) -> Result<(), Problem> {
    if api.connections.is_connected(key) {
        return Ok(());
    }
    match api.devices.device(key).await? {
        Some(_) => Ok(()),
        None => Err(devices::unknown(key.device.as_str())),
    }
}

fn wish(api: &Api, body: &[u8]) -> Result<Wish, Problem> {
    const FORM: &str =
        "the body must be a JSON object such as {\"text\": \"WHERE#\", \"wait_s\": 10}";
    let read = serde_json::from_slice(body);
    let UniqueKeys(mut object) =
        read.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, format!("{FORM}: {error}")))?;
    let text = match object.remove("text") {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    let checked = api.commands.check(&text);
    checked.map_err(|wrong| Problem::parameter("text", format!("`text` {wrong}")))?;
    let wait_s = object.remove("wait_s").unwrap_or_else(|| 0.into());
    let wait_s = wait_s.as_f64().filter(|s| (0.0..=MAX_WAIT_S).contains(s));
    let wait_s = wait_s.ok_or_else(|| {
        let detail = format!("`wait_s` must be from 0 to {MAX_WAIT_S} seconds");
        Problem::parameter("wait_s", detail)
    })?;
    let expires_s = match object.remove("expires_s") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let seconds = value.as_u64().filter(|s| (1..=MAX_EXPIRES_S).contains(s));
            Some(seconds.ok_or_else(|| {
                let detail = format!("`expires_s` must be from 1 to {MAX_EXPIRES_S} whole seconds");
                Problem::parameter("expires_s", detail)
            })?)
        }
    };
    if object.is_empty() {
        Ok(Wish {
            text,
            wait_s,
            expires_s,
        })
    } else {
        // Not which: a slip of the pen may have made a secret of it.
        let detail = "a key of the body is unknown: they are `text`, `wait_s` and `expires_s`";
        Err(Problem::new(StatusCode::BAD_REQUEST, detail))
    }
}

fn not_queued(error: &NotQueued) -> Problem {
    match error {
        NotQueued::TooMany(_) => Problem::new(
            StatusCode::CONFLICT,
            format!(
                "{error}: wait until they are answered or have expired (commands.max_waiting), or \
                 take some back"
            ),
        ),
        error => not_stored(error, "it was not accepted"),
    }
}

fn not_stored(error: &dyn fmt::Display, so: &str) -> Problem {
    tracing::error!(%error, "a command could not be stored");
    Problem::not_ready(vec![Part {
        part: "store",
        reason: format!("the command could not be stored: {so}; the server's log says why"),
    }])
}
