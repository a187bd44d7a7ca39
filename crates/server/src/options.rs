//! The flags that every role shares.

use std::path::PathBuf;

use crate::config::{self, FILE_ENV, Faults, Flag, Loaded, Sources};

/// Flags that override the environment, which overrides the file.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Options {
    /// The configuration file; see milepost.example.toml for every key.
    #[arg(long, value_name = "FILE", env = FILE_ENV)]
    pub config: Option<PathBuf>,
    /// Where the embedded store lives [default: ./milepost-data].
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// Where the HTTP API and the page listen [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDR")]
    pub http: Option<String>,
    /// Where GT06 trackers connect; "off" for nowhere [default: 0.0.0.0:5023].
    #[arg(long, value_name = "ADDR")]
    pub gt06: Option<String>,
    /// What /v1 requests must show. Other users of this machine can see a flag; the environment
    /// (MILEPOST_API_TOKEN) and the file are safer.
    #[arg(long, value_name = "TOKEN")]
    pub api_token: Option<String>,
    /// error, warn, info, debug, trace or off, or directives [default: info].
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// text or json [default: text].
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
}

impl Options {
    /// The configuration that file, environment and these flags give together.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn load(&self) -> Result<Loaded, Faults> {
        config::load(&Sources {
            file: self.config.as_deref(),
            environment: std::env::vars_os().collect(),
            flags: self.flags(),
        })
    }

    fn flags(&self) -> Vec<Flag> {
        [
            ("data_dir", "--data-dir", &self.data_dir),
            ("http.listen", "--http", &self.http),
            ("gt06.listen", "--gt06", &self.gt06),
            ("http.api_token", "--api-token", &self.api_token),
            ("log.level", "--log-level", &self.log_level),
            ("log.format", "--log-format", &self.log_format),
        ]
        .into_iter()
        .filter_map(|(key, flag, value)| Some((key, flag, value.clone()?)))
        .collect()
    }
}
