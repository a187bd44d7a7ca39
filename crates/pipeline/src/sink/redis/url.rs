//! Where Redis is.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use ::redis::{Client, ConnectionAddr, IntoConnectionInfo as _, TlsCertificates};

use super::RedisFault;

/// A Redis URL: `redis://user:password@host:6379/0`, or `rediss://` with TLS, where the server's
/// certificate and name are verified. Neither its `Debug` nor its errors show the password.
#[derive(Clone)]
pub struct RedisUrl {
    client: Client,
}

impl FromStr for RedisUrl {
    type Err = RedisFault;

    fn from_str(url: &str) -> Result<Self, RedisFault> {
        // The parser's message could contain a part of the URL, and so of the password.
        let bad = |_| {
            RedisFault::Url("not a Redis URL; it has the form redis://user:password@host:6379/0")
        };
        if url.ends_with("#insecure") {
            return Err(RedisFault::Url(
                "a Redis URL with #insecure would not verify the server's certificate",
            ));
        }
        let info = url.into_connection_info().map_err(bad)?;
        let client = Client::open(info).map_err(bad)?;
        Ok(Self { client })
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisUrl({self})")
    }
}

/// Host and port.
impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.client.get_connection_info().addr())
    }
}

impl RedisUrl {
    /// Trusts the certificates of a file in PEM in place of the system's.
    ///
    /// # Errors
    /// When it cannot be read, or the URL is one without TLS.
    pub fn trust_file(&mut self, file: &Path) -> Result<(), RedisFault> {
        let bad = |why: String| RedisFault::Tls(format!("{}: {why}", file.display()));
        let info = self.client.get_connection_info().clone();
        if !matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
            return Err(bad(
                "certificates need a URL that begins with rediss://".to_owned()
            ));
        }
        let pem = std::fs::read(file).map_err(|error| bad(error.to_string()))?;
        let certificates = TlsCertificates {
            client_tls: None,
            root_cert: Some(pem),
        };
        self.client =
            Client::build_with_tls(info, certificates).map_err(|error| bad(error.to_string()))?;
        Ok(())
    }

    pub(super) fn client(&self) -> Result<Client, RedisFault> {
        Ok(self.client.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_in_no_text() {
        let url: RedisUrl = "redis://me:hunter2@cache.example:6380/1".parse().unwrap();
        let shown = format!("{url:?} {url}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("cache.example:6380"), "{shown}");
        for wrong in [
            "hunter2",
            "redis://:hunter2@host:port",
            "rediss://:hunter2@h/#insecure",
        ] {
            let error = wrong.parse::<RedisUrl>().unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
