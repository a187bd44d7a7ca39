//! What a device's positions were: trips and stops.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde::Serialize;

use crate::parameters::Parameters;
use crate::problem::Problem;
use crate::store::{Cursor, Span, Trip};
use crate::{Shared, devices};

/// A page of trips and stops, the earliest first.
#[derive(Debug, Serialize)]
pub(crate) struct Trips {
    trips: Vec<Trip>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Cursor>,
}

/// `GET /v1/devices/{id}/trips`
pub(crate) async fn read(
    State(api): State<Shared>,
    path: Result<Path<String>, PathRejection>,
    mut parameters: Parameters,
) -> Result<Json<Trips>, Problem> {
    let device = devices::id(path)?;
    let page = parameters.page()?;
    let span = Span::between(parameters.time("from")?, parameters.time("to")?)?;
    parameters.finish()?;
    let key = devices::key(&api, device);
    let found = api.trips.trips(&key, &span, &page).await?;
    // An empty page may mean a mistyped id: a device that is not known is reported.
    if found.items.is_empty() && api.devices.device(&key).await?.is_none() {
        return Err(devices::unknown(device.as_str()));
    }
    Ok(Json(Trips {
        trips: found.items,
        next: found.next,
    }))
}
