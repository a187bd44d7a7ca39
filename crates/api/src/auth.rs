//! Who may ask.
//!
//! With a token, every `/v1` request shows it. Without one, the API is on a loopback address
//! only, where any program of the machine may read but nothing may be commanded. A browser on
//! the machine is such a program too, and runs strangers' pages: so without a token a request
//! must also name this machine as its host, which a page under another name cannot make it do.

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::problem::Problem;
use crate::{Secret, Shared};

/// Lets a request pass, or says why not.
pub(crate) async fn require(State(api): State<Shared>, request: Request, next: Next) -> Response {
    let allowed = match &api.token {
        Some(token) => bearer(request.headers(), token),
        None => own_host(&request),
    };
    match allowed {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Without a token, lets only requests pass that name this machine.
pub(crate) async fn require_own_host(
    State(api): State<Shared>,
    request: Request,
    next: Next,
) -> Response {
    let allowed = match &api.token {
        Some(_) => Ok(()),
        None => own_host(&request),
    };
    match allowed {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Refuses what can stop an engine as long as nobody has to show a token.
pub(crate) fn may_command(token: Option<&Secret>) -> Result<(), Problem> {
    match token {
        Some(_) => Ok(()),
        None => Err(Problem::new(
            StatusCode::FORBIDDEN,
            "commands need a token: start the server with http.api_token (--api-token, \
             MILEPOST_API_TOKEN) and send it as `Authorization: Bearer TOKEN`",
        )),
    }
}

fn bearer(headers: &HeaderMap, token: &Secret) -> Result<(), Problem> {
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.as_bytes().split_at_checked(7))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"Bearer "))
        .map(|(_, given)| given.trim_ascii());
    match given {
        Some(given) if same(given, token.reveal().as_bytes()) => Ok(()),
        Some(_) => Err(unauthorized(
            "this is not the token",
            "Bearer error=\"invalid_token\"",
        )),
        None => Err(unauthorized(
            "a token is needed: send `Authorization: Bearer TOKEN`",
            "Bearer",
        )),
    }
}

fn unauthorized(detail: &str, challenge: &'static str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, detail).header(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static(challenge),
    )
}

/// Compares in a time that depends on the lengths only.
fn same(a: &[u8], b: &[u8]) -> bool {
    let differing = a
        .iter()
        .zip(b)
        .fold(0, |seen, (x, y)| std::hint::black_box(seen | (x ^ y)));
    a.len() == b.len() && differing == 0
}

/// Whether a request names this machine.
pub(crate) fn own_host(request: &Request) -> Result<(), Problem> {
    let named = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .and_then(|host| host.parse::<Authority>().ok());
    match named {
        // A program that speaks HTTP/1.0 or leaves the host out is no browser.
        None if !request.headers().contains_key(header::HOST) => Ok(()),
        Some(authority) if is_this_machine(authority.host()) => Ok(()),
        _ => Err(Problem::new(
            StatusCode::FORBIDDEN,
            "without a token this API answers only as localhost, 127.0.0.1 or [::1]; to reach it \
             under another name set http.api_token (--api-token, MILEPOST_API_TOKEN)",
        )),
    }
}

fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked_with(value: &'static str) -> Result<(), StatusCode> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
        bearer(&headers, &Secret::new("s3cret")).map_err(|p| p.into_response().status())
    }

    #[test]
    fn only_the_whole_token_opens() {
        assert_eq!(asked_with("Bearer s3cret"), Ok(()));
        assert_eq!(asked_with("bearer s3cret"), Ok(()));
        for wrong in [
            "Bearer s3cre",
            "Bearer s3crets",
            "Bearer s3creT",
            "Bearer ",
            "Bearer",
            "Basic s3cret",
            "s3cret",
            "",
        ] {
            assert_eq!(asked_with(wrong), Err(StatusCode::UNAUTHORIZED), "{wrong}");
        }
        bearer(&HeaderMap::new(), &Secret::new("s3cret")).unwrap_err();
    }

    #[test]
    fn names_of_this_machine() {
        for name in ["localhost", "LOCALHOST", "127.0.0.1", "127.0.0.2", "[::1]"] {
            assert!(is_this_machine(name), "{name}");
        }
        for name in [
            "example.com",
            "localhost.example.com",
            "192.168.0.1",
            "[::]",
            "",
            "127.0.0.1.nip.io",
        ] {
            assert!(!is_this_machine(name), "{name}");
        }
    }
}
