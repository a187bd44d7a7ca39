//! Errors as RFC 9457 wants them.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::parameters;
use crate::store::{Part, StoreError};

/// A refusal, as `application/problem+json`: the status says which kind, `detail` what exactly
/// and what would help.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    parameter: Option<&'static str>,
    parts: Vec<Part>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

#[derive(Serialize)]
struct Body<'a> {
    // "about:blank": the problem is what the status says, and needs no page of its own.
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<&'static str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    parts: &'a [Part],
}

impl Problem {
    /// A problem with its status.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            parameter: None,
            parts: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// 400: a parameter of the request is wrong.
    pub fn parameter(name: &'static str, detail: impl Into<String>) -> Self {
        Self {
            parameter: Some(name),
            ..Self::new(StatusCode::BAD_REQUEST, detail)
        }
    }

    /// 404.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 503: these parts are not ready.
    pub fn not_ready(parts: Vec<Part>) -> Self {
        let detail: Vec<_> = parts
            .iter()
            .map(|Part { part, reason }| format!("{part}: {reason}"))
            .collect();
        Self {
            parts,
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail.join("; "))
        }
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Cursor => parameters::bad_cursor(),
            StoreError::Unavailable(reason) => {
                tracing::error!(error = %reason, "the store could not be read");
                Self::not_ready(vec![Part {
                    part: "store",
                    reason: "it cannot be read; the server's log says why".to_owned(),
                }])
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Body {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            parameter: self.parameter,
            parts: &self.parts,
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        for (name, value) in [
            (header::CONTENT_TYPE, "application/problem+json"),
            // What is refused now may be granted next time; and the reason names devices.
            (header::CACHE_CONTROL, "no-store"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.extend(self.headers);
        response
    }
}
