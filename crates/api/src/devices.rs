//! Which devices are known, and what is last known of them.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use milepost_pipeline::Latest;
use milepost_telemetry::{DeviceId, DeviceKey};
use serde::Serialize;

use crate::parameters::Parameters;
use crate::problem::Problem;
use crate::store::{Cursor, Device as Known};
use crate::{Api, Shared};

/// One device, as it is last known.
#[derive(Debug, Serialize)]
pub(crate) struct Device {
    device: DeviceId,
    connected: bool,
    #[serde(flatten)]
    latest: Latest,
}

/// A page of devices.
#[derive(Debug, Serialize)]
pub(crate) struct Devices {
    devices: Vec<Device>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Cursor>,
}

impl Device {
    fn new(api: &Api, known: Known) -> Self {
        Self {
            device: known.key.device,
            connected: api.connections.is_connected(&known.key),
            latest: known.latest,
        }
    }
}

/// `GET /v1/devices`
pub(crate) async fn list(
    State(api): State<Shared>,
    mut parameters: Parameters,
) -> Result<Json<Devices>, Problem> {
    let page = parameters.page()?;
    parameters.finish()?;
    let page = api.devices.devices(&api.tenant, &page).await?;
    let devices = page.items.into_iter();
    Ok(Json(Devices {
        devices: devices.map(|device| Device::new(&api, device)).collect(),
        next: page.next,
    }))
}

/// `GET /v1/devices/{id}`
pub(crate) async fn one(
    State(api): State<Shared>,
    path: Result<Path<String>, PathRejection>,
    parameters: Parameters,
) -> Result<Json<Device>, Problem> {
    parameters.finish()?;
    let device = id(path)?;
    let key = key(&api, device);
    match api.devices.device(&key).await? {
        Some(known) => Ok(Json(Device::new(&api, known))),
        None => Err(unknown(device.as_str())),
    }
}

pub(crate) fn key(api: &Api, device: DeviceId) -> DeviceKey {
    DeviceKey {
        tenant: api.tenant,
        device,
    }
}

/// The device that a path names. What cannot be a device's id is no device's.
pub(crate) fn id(path: Result<Path<String>, PathRejection>) -> Result<DeviceId, Problem> {
    match path {
        Ok(Path(text)) => DeviceId::new(&text).map_err(|_| unknown(&text)),
        Err(error) => Err(Problem::new(error.status(), error.body_text())),
    }
}

pub(crate) fn unknown(id: &str) -> Problem {
    Problem::not_found(format!("no device {id:?} is known"))
}
