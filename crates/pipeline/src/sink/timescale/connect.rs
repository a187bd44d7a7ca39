//! Connections to PostgreSQL, with TLS by rustls.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::DatabaseError;

/// Where a database is, from a URL. Neither its `Debug` nor its errors show the password.
#[derive(Clone)]
pub struct DatabaseUrl {
    config: Config,
    /// Certificates to trust besides the system's.
    roots: Vec<CertificateDer<'static>>,
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

/// Host, port, database and user.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use tokio_postgres::config::Host;
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.as_str(),
            #[cfg(unix)]
            Some(Host::Unix(path)) => path.to_str().unwrap_or("socket"),
            _ => "localhost",
        };
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        let user = self.config.get_user().unwrap_or("postgres");
        let database = self.config.get_dbname().unwrap_or(user);
        write!(f, "postgres://{user}@{host}:{port}/{database}")
    }
}

impl FromStr for DatabaseUrl {
    type Err = DatabaseError;

    /// Reads `postgres://user:password@host:port/database?sslmode=require`, or the form `host=…
    /// user=…`. `sslmode` is `disable`, `prefer` (the default) or `require`, and with TLS the
    /// server's certificate and name are always verified.
    fn from_str(url: &str) -> Result<Self, DatabaseError> {
        // The parser's message can contain a part of the URL, and so of the password.
        let mut config: Config = url.parse().map_err(|_| {
            DatabaseError::Url(
                "not a PostgreSQL URL; it has the form postgres://user:password@host:5432/database",
            )
        })?;
        if config.get_hosts().is_empty() {
            return Err(DatabaseError::Url("the database URL names no host"));
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(10));
        }
        // A host that vanishes is noticed while an answer is awaited.
        config.keepalives_idle(Duration::from_secs(10));
        config.tcp_user_timeout(Duration::from_secs(30));
        if config.get_application_name().is_none() {
            config.application_name("milepost");
        }
        Ok(Self {
            config,
            roots: Vec::new(),
        })
    }
}

impl DatabaseUrl {
    /// Trusts a certificate authority besides the system's.
    pub fn trust(&mut self, certificate: CertificateDer<'static>) {
        self.roots.push(certificate);
    }

    /// Trusts the certificates of a file in PEM besides the system's.
    ///
    /// # Errors
    /// When it cannot be read, or holds none.
    pub fn trust_file(&mut self, file: &Path) -> Result<(), DatabaseError> {
        use rustls::pki_types::pem::PemObject as _;
        let bad = |why: String| DatabaseError::Tls(format!("{}: {why}", file.display()));
        let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
        let certificates: Vec<_> = read.map_err(|error| bad(error.to_string()))?;
        if certificates.is_empty() {
            return Err(bad("holds no certificate".to_owned()));
        }
        self.roots.extend(certificates);
        Ok(())
    }

    /// Whether the server is on this machine, as its name says.
    pub fn is_local(&self) -> bool {
        use tokio_postgres::config::Host;
        self.config.get_hosts().iter().all(|host| match host {
            Host::Tcp(host) => host
                .parse::<std::net::IpAddr>()
                .map_or(host == "localhost", |address| address.is_loopback()),
            #[cfg(unix)]
            Host::Unix(_) => true,
        })
    }

    /// The same server, another database.
    #[must_use]
    pub fn with_database(mut self, name: &str) -> Self {
        self.config.dbname(name);
        self
    }

    /// Whether passwords cross the network unprotected if the server has no TLS.
    pub fn may_be_unencrypted(&self) -> bool {
        self.config.get_ssl_mode() != SslMode::Require
    }

    /// Connects. A task of the current runtime drives the connection; it ends with the client.
    ///
    /// # Errors
    /// When the server cannot be reached, refuses, or has no certificate that is trusted.
    pub async fn connect(&self) -> Result<Client, DatabaseError> {
        if self.config.get_ssl_mode() == SslMode::Disable {
            let (client, connection) = self.config.connect(NoTls).await?;
            drive(connection);
            return Ok(client);
        }
        let mut roots = RootCertStore::empty();
        // Single certificates that cannot be read are usual.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots.add_parsable_certificates(self.roots.iter().cloned());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| DatabaseError::Tls(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (client, connection) = self.config.connect(MakeRustlsConnect::new(tls)).await?;
        drive(connection);
        Ok(client)
    }
}

fn drive<S, T>(connection: tokio_postgres::Connection<S, T>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    T: tokio_postgres::tls::TlsStream + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        // Whoever uses the client sees its end too.
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a database connection ended");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_in_no_text() {
        let url: DatabaseUrl = "postgres://me:hunter2@db.example:5433/fleet?sslmode=require"
            .parse()
            .unwrap();
        let shown = format!("{url:?} {url}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(
            shown.contains("postgres://me@db.example:5433/fleet"),
            "{shown}"
        );
        assert!(!url.may_be_unencrypted());
        for wrong in [
            "postgres://me:hunter2@db.example:port/fleet",
            "hunter2",
            "host=h password=hunter2 unknown=1",
        ] {
            let error = wrong.parse::<DatabaseUrl>().unwrap_err();
            let shown = format!("{error:?} {error}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
