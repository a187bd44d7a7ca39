//! Telling a device something.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::problem::Problem;
use super::{Shared, auth, devices, read};

/// `POST /v1/devices/{id}/commands`
pub(super) async fn send(
    State(api): State<Shared>,
    path: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    auth::may_command(api.token.as_ref())?;
    let device = devices::id(path)?;
    let key = devices::key(&api, device);
    if read(&api, move |store| store.device(&key)).await?.is_none() {
        return Err(devices::unknown(device.as_str()));
    }
    Err(Problem::new(
        StatusCode::NOT_IMPLEMENTED,
        "this version sends no commands yet",
    ))
}
