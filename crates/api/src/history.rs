//! What a device said, in the order of its times.

use std::io;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use milepost_telemetry::{DeviceKey, Report};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::parameters::{DEFAULT_LIMIT, Parameters};
use crate::problem::Problem;
use crate::store::{Cursor, Page, Paged, Span, StoreError};
use crate::{Shared, devices, lagged};

const NDJSON: &str = "application/x-ndjson";

/// Reports that a stream reads at once: with the part before it still being sent, this bounds
/// what one request holds in memory.
const PART: u32 = 500;

type Part = io::Result<Bytes>;

#[derive(Debug, Serialize)]
struct History {
    reports: Vec<Report>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Cursor>,
}

/// What is asked for.
struct Wish {
    key: DeviceKey,
    span: Span,
    lag: usize,
}

impl Wish {
    async fn page(&self, api: &Shared, page: &Page) -> Result<Paged<Report>, StoreError> {
        let mut found = api.history.history(&self.key, &self.span, page).await?;
        if self.lag > 0 {
            found.items = lagged::smooth(api, &self.key, self.lag, found.items).await?;
        }
        Ok(found)
    }
}

/// `GET /v1/devices/{id}/history`
pub(crate) async fn read(
    State(api): State<Shared>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let device = devices::id(path)?;
    let streamed = wants_ndjson(&headers);
    let (page, limited) = parameters.page_or(if streamed { PART } else { DEFAULT_LIMIT })?;
    let mut span = Span::between(parameters.time("from")?, parameters.time("to")?)?;
    span.raw = parameters.flag("raw")?;
    let lag = parameters.lag()?;
    parameters.finish()?;

    let key = devices::key(&api, device);
    let wish = Wish { key, span, lag };
    let mut first = wish.page(&api, &page).await?;
    // An empty page may mean a mistyped id: a device that is not known is reported.
    if first.items.is_empty() && api.devices.device(&key).await?.is_none() {
        return Err(devices::unknown(device.as_str()));
    }
    if streamed {
        if limited {
            first.next = None;
        }
        return Ok(stream_all(api, wish, first));
    }
    Ok(Json(History {
        reports: first.items,
        next: first.next,
    })
    .into_response())
}

fn wants_ndjson(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|range| {
            range
                .split(';')
                .next()
                .is_some_and(|kind| kind.trim().eq_ignore_ascii_case(NDJSON))
        })
}

/// A line per report, until there are no more pages. A client that stops reading, or an error on the
/// way, ends the connection: a stream that ends well is whole.
fn stream_all(api: Shared, wish: Wish, first: Paged<Report>) -> Response {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        if let Err(error) = send_all(&api, &wish, first, &sender).await {
            tracing::info!(%error, device = %wish.key.device, "a stream of history was broken off");
            // The client sees that the body has no proper end.
            drop(sender.send_timeout(Err(error), api.timeout).await);
        }
    });
    let body = Body::from_stream(stream::unfold(receiver, async |mut receiver| {
        let part: Option<Part> = receiver.recv().await;
        part.map(|part| (part, receiver))
    }));
    ([(header::CONTENT_TYPE, NDJSON)], body).into_response()
}

async fn send_all(
    api: &Shared,
    wish: &Wish,
    mut paged: Paged<Report>,
    sender: &mpsc::Sender<Part>,
) -> io::Result<()> {
    loop {
        send(lines(&paged.items)?, api.timeout, sender).await?;
        let Some(next) = paged.next else {
            return Ok(());
        };
        let page = Page {
            limit: PART,
            after: Some(next),
        };
        paged = wish.page(api, &page).await.map_err(io::Error::other)?;
    }
}

async fn send(part: Bytes, timeout: Duration, sender: &mpsc::Sender<Part>) -> io::Result<()> {
    if part.is_empty() {
        return Ok(());
    }
    sender
        .send_timeout(Ok(part), timeout)
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the client does not read"))
}

fn lines(reports: &[Report]) -> io::Result<Bytes> {
    let mut text = Vec::with_capacity(reports.len() * 512);
    for report in reports {
        serde_json::to_writer(&mut text, report)?;
        text.push(b'\n');
    }
    Ok(text.into())
}
