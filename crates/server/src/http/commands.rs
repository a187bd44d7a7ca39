//! Telling a device something.

use std::fmt;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use milepost_listener::{Clock as _, SystemClock};
use milepost_pipeline::sink::sqlite::{Command, CommandState, Cursor, NotQueued};
use milepost_protocol_gt06::command as gt06;
use milepost_telemetry::DeviceKey;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::parameters::Parameters;
use super::problem::{Part, Problem};
use super::{Api, Shared, auth, devices, read};
use crate::config::MAX_EXPIRES_S;

/// How long a request that does not wait for the answer waits for the command to be sent to a
/// device that is connected.
const GRACE: Duration = Duration::from_secs(1);
/// What an answer is ahead of the request's time-out.
const AHEAD: Duration = Duration::from_secs(1);
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
pub(super) struct Commands {
    commands: Vec<Command>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Cursor>,
}

/// `POST /v1/devices/{id}/commands`
pub(super) async fn send(
    State(api): State<Shared>,
    path: Result<Path<String>, PathRejection>,
    parameters: Parameters,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    auth::may_command(api.token.as_ref())?;
    parameters.finish()?;
    let key = devices::key(&api, devices::id(path)?);
    let body = body.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    let wish = wish(&body)?;
    known(&api, &key).await?;

    // Before the command is there, so that no change of it is missed.
    let changes = api.store.command_changes();
    let expires = wish
        .expires_s
        .map_or(api.commands.expires, Duration::from_secs);
    let expires = i64::try_from(expires.as_millis()).unwrap_or(i64::MAX);
    let expires_at = SystemClock.now().offset_millis(expires);
    let command = api
        .store
        .queue_command(
            &key,
            crate::gt06::PROTOCOL,
            &wish.text,
            expires_at,
            api.commands.max_waiting,
        )
        .await
        .map_err(|error| not_queued(&error))?;
    // Not its text: that may hold a password, and is in the store for those who may read it.
    let length = wish.text.len();
    tracing::info!(command = command.id, device = %key.device, length, "a command");
    api.bell.ring(&command);

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
pub(super) async fn list(
    State(api): State<Shared>,
    path: Result<Path<String>, PathRejection>,
    mut parameters: Parameters,
) -> Result<Json<Commands>, Problem> {
    let page = parameters.page()?;
    parameters.finish()?;
    let key = devices::key(&api, devices::id(path)?);
    known(&api, &key).await?;
    let page = read(&api, move |reader| reader.commands(&key, &page)).await?;
    Ok(Json(Commands {
        commands: page.items,
        next: page.next,
    }))
}

/// `GET /v1/devices/{id}/commands/{command}`
pub(super) async fn one(
    State(api): State<Shared>,
    path: Result<Path<(String, String)>, PathRejection>,
    parameters: Parameters,
) -> Result<Json<Command>, Problem> {
    parameters.finish()?;
    find_by(&api, path).await.map(Json)
}

/// `DELETE /v1/devices/{id}/commands/{command}`
pub(super) async fn withdraw(
    State(api): State<Shared>,
    path: Result<Path<(String, String)>, PathRejection>,
    parameters: Parameters,
) -> Result<Json<Command>, Problem> {
    auth::may_command(api.token.as_ref())?;
    parameters.finish()?;
    let command = find_by(&api, path).await?;
    let withdrawn = api
        .store
        .withdraw_command(command.id)
        .await
        .map_err(|error| not_stored(&error, "it was not taken back"))?;
    let command = find(&api, command.id).await?.unwrap_or(command);
    if withdrawn {
        tracing::info!(command = command.id, device = %command.device, "a command was taken back");
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
    let found = find(api, id).await?;
    found
        .filter(|command| command.device == key.device && command.tenant == key.tenant)
        .ok_or_else(unknown)
}

/// Waits until the command is settled, or the time is up; without a wish to wait, until it is
/// sent, if its device can be told now.
async fn follow(
    api: &Api,
    mut changes: Receiver<(u32, CommandState)>,
    command: Command,
    key: &DeviceKey,
    wait: Duration,
) -> Result<Command, Problem> {
    let until_sent = wait.is_zero();
    let wait = if until_sent { GRACE } else { wait };
    if until_sent && api.connections.takes_commands(key).is_err() {
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
            changed = changes.recv() => match changed {
                Ok((changed, state)) if changed == id && is_done(state) => break,
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => {
                    if find(api, id).await?.is_some_and(|command| is_done(command.status)) {
                        break;
                    }
                }
                Err(RecvError::Closed) => break,
            },
        }
    }
    Ok(find(api, id).await?.unwrap_or(command))
}

async fn find(api: &Api, id: u32) -> Result<Option<Command>, Problem> {
    read(api, move |reader| reader.command(id)).await
}

/// A device that has reported, or is connected now: its first report may still be on its way.
async fn known(api: &Api, key: &DeviceKey) -> Result<(), Problem> {
    if api.connections.is_connected(key) {
        return Ok(());
    }
    let asked = *key;
    match read(api, move |store| store.device(&asked)).await? {
        Some(_) => Ok(()),
        None => Err(devices::unknown(key.device.as_str())),
    }
}

fn wish(body: &[u8]) -> Result<Wish, Problem> {
    const FORM: &str =
        "the body must be a JSON object such as {\"text\": \"WHERE#\", \"wait_s\": 10}";
    let read = serde_json::from_slice(body).map_err(|error| format!("{FORM}: {error}"));
    let mut object = match read {
        Ok(Value::Object(object)) => object,
        Ok(_) => return Err(Problem::new(StatusCode::BAD_REQUEST, FORM)),
        Err(detail) => return Err(Problem::new(StatusCode::BAD_REQUEST, detail)),
    };
    let text = match object.remove("text") {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    gt06::Command::Raw(text.clone()).text().map_err(|error| {
        let most = gt06::LONGEST;
        let detail = format!("`text` must be 1 to {most} characters of printable ASCII: {error}");
        Problem::parameter("text", detail)
    })?;
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
