//! Frames that could not be read, with their bytes.

use axum::Json;
use axum::extract::State;
use milepost_telemetry::Timestamp;
use serde::Serialize;

use crate::Shared;
use crate::parameters::Parameters;
use crate::problem::Problem;
use crate::store::{Cursor, QuarantinedFrame};

/// A frame, in the same words as `milepost decode`.
#[derive(Debug, Serialize)]
struct Frame {
    received_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    protocol: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    raw: String,
    error: Error,
}

#[derive(Debug, Serialize)]
struct Error {
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u32>,
    message: String,
}

/// A page of frames, the newest first.
#[derive(Debug, Serialize)]
pub(crate) struct Frames {
    frames: Vec<Frame>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Cursor>,
}

impl From<QuarantinedFrame> for Frame {
    fn from(frame: QuarantinedFrame) -> Self {
        Self {
            received_at: frame.received_at,
            peer: frame.peer,
            protocol: frame.protocol,
            device: frame.device,
            raw: frame.raw,
            error: Error {
                field: frame.field,
                offset: frame.offset,
                message: frame.error,
            },
        }
    }
}

/// `GET /v1/quarantine`
pub(crate) async fn list(
    State(api): State<Shared>,
    mut parameters: Parameters,
) -> Result<Json<Frames>, Problem> {
    let page = parameters.page()?;
    parameters.finish()?;
    let page = api.quarantine.quarantine(&page).await?;
    Ok(Json(Frames {
        frames: page.items.into_iter().map(Frame::from).collect(),
        next: page.next,
    }))
}
