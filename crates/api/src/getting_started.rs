//! How to connect a first device, for the page that is shown while there is none.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::Shared;

/// How devices of one protocol are pointed at this server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GettingStarted {
    /// The protocol's name for people.
    pub protocol: String,
    /// The port that its devices connect to.
    pub port: u16,
    /// What to do, in order. `{host}`, `{port}` and `{named}` (1 if the host is a name, 0 if it is
    /// an address) are replaced by the page, which shows a text between backquotes as code.
    pub lines: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Protocols {
    protocols: Vec<GettingStarted>,
}

/// `GET /page/getting-started.json`: part of the page, not of the public API.
pub(crate) async fn list(State(api): State<Shared>) -> Json<Protocols> {
    Json(Protocols {
        protocols: api.getting_started.clone(),
    })
}
