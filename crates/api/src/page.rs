//! The live page at `/`: a few fixed files, compiled in, that need nothing from anywhere else.
//!
//! What the page shows comes from devices, so it is a stranger's word. The page shows it as text
//! only; the policy sent with it makes the browser hold it to that: no inline code, no code made
//! of strings, nothing from another host, no frame around it.

use std::hash::{DefaultHasher, Hasher};

use axum::Router;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// A file of the page.
#[derive(Debug, Clone, Copy)]
struct Asset {
    path: &'static str,
    media_type: &'static str,
    body: &'static str,
}

macro_rules! asset {
    ($path:literal, $file:literal, $media_type:expr) => {
        Asset {
            path: $path,
            media_type: $media_type,
            body: include_str!(concat!("page/", $file)),
        }
    };
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Every file of the page. A module that a script imports has to be here too.
const ASSETS: &[Asset] = &[
    asset!("/", "index.html", HTML),
    asset!("/page/style.css", "style.css", "text/css; charset=utf-8"),
    asset!("/page/icon.svg", "icon.svg", "image/svg+xml"),
    asset!("/page/app.js", "app.js", SCRIPT),
    asset!("/page/api.js", "api.js", SCRIPT),
    asset!("/page/camera.js", "camera.js", SCRIPT),
    asset!("/page/detail.js", "detail.js", SCRIPT),
    asset!("/page/fleet.js", "fleet.js", SCRIPT),
    asset!("/page/geo.js", "geo.js", SCRIPT),
    asset!("/page/list.js", "list.js", SCRIPT),
    asset!("/page/map.js", "map.js", SCRIPT),
    asset!("/page/poll.js", "poll.js", SCRIPT),
    asset!("/page/sheet.js", "sheet.js", SCRIPT),
];

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

const HEADERS: [(HeaderName, HeaderValue); 6] = [
    // The files change with the binary, so a browser asks each time; the tag makes that cheap.
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(POLICY),
    ),
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// The routes of the page, for a router with any state. They need no token: the page asks for
/// one when the API does.
pub fn routes<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    ASSETS.iter().fold(Router::new(), |router, &asset| {
        let tag = asset.tag();
        router.route(
            asset.path,
            get(move |headers: HeaderMap| async move { asset.answer(&tag, &headers) }),
        )
    })
}

impl Asset {
    /// The body's entity tag.
    fn tag(self) -> HeaderValue {
        let mut hasher = DefaultHasher::new();
        hasher.write(self.body.as_bytes());
        HeaderValue::try_from(format!("\"{:016x}\"", hasher.finish()))
            .unwrap_or(HeaderValue::from_static("\"\""))
    }

    fn answer(self, tag: &HeaderValue, asked: &HeaderMap) -> Response {
        let tagged = [(header::ETAG, tag.clone())];
        if is_known(tag, asked) {
            return (StatusCode::NOT_MODIFIED, HEADERS, tagged).into_response();
        }
        let media_type = [(
            header::CONTENT_TYPE,
            HeaderValue::from_static(self.media_type),
        )];
        (HEADERS, tagged, media_type, self.body).into_response()
    }
}

/// Whether whoever asks has the body already: one of the tags is ours, maybe marked as weak by a
/// proxy that has packed the body.
fn is_known(tag: &HeaderValue, asked: &HeaderMap) -> bool {
    asked
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .flat_map(|tags| tags.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .any(|known| known.strip_prefix(b"W/").unwrap_or(known) == tag.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_module_that_a_script_imports_is_served() {
        for script in ASSETS.iter().filter(|a| a.media_type == SCRIPT) {
            for line in script.body.lines() {
                let Some((_, from)) = line.split_once("from \"./") else {
                    continue;
                };
                let name = from.split('"').next().unwrap_or_default();
                let path = format!("/page/{name}");
                assert!(
                    ASSETS.iter().any(|a| a.path == path),
                    "{} imports {name}, which is not served",
                    script.path
                );
            }
        }
    }

    #[test]
    fn no_file_names_another_host_or_writes_markup_from_strings() {
        for asset in ASSETS {
            let body = asset.body.replace("http://www.w3.org/2000/svg", "");
            for word in [
                "http://",
                "https://",
                "innerHTML",
                "insertAdjacentHTML",
                "eval(",
            ] {
                assert!(!body.contains(word), "{} has {word}", asset.path);
            }
        }
    }

    #[test]
    fn the_tag_that_was_sent_spares_the_body() {
        let asset = ASSETS[0];
        let tag = asset.tag();
        let mut asked = HeaderMap::new();
        assert_eq!(asset.answer(&tag, &asked).status(), StatusCode::OK);
        asked.insert(header::IF_NONE_MATCH, tag.clone());
        let answer = asset.answer(&tag, &asked);
        assert_eq!(answer.status(), StatusCode::NOT_MODIFIED);
        assert!(
            answer
                .headers()
                .contains_key(header::CONTENT_SECURITY_POLICY)
        );
        let tag = tag.to_str().unwrap();
        for (tags, status) in [
            (format!("W/{tag}"), StatusCode::NOT_MODIFIED),
            (format!("\"other\" , W/{tag}"), StatusCode::NOT_MODIFIED),
            ("\"other\"".to_owned(), StatusCode::OK),
            (format!("x{tag}"), StatusCode::OK),
        ] {
            let value = HeaderValue::try_from(&tags).unwrap();
            asked.insert(header::IF_NONE_MATCH, value);
            let answer = asset.answer(&asset.tag(), &asked);
            assert_eq!(answer.status(), status, "{tags}");
        }
    }
}
