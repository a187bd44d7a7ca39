//! The flags that every role shares.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command};

use crate::config::{self, Config, FILE_ENV, Faults, Flag, Loaded, Sources};
use crate::protocol::Protocols;

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
    /// The protocols that there are.
    #[arg(skip)]
    pub protocols: Protocols,
    /// Where the devices of each connect: the flags that [`with_protocols`] has added.
    #[arg(skip)]
    pub listen: Vec<(&'static str, String)>,
    /// What flags of a role say.
    #[arg(skip)]
    pub more: Vec<Flag>,
}

/// The flags of tools that need nothing of the configuration but where the store is and whose
/// devices it holds.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct StorePlace {
    /// The configuration file; it says where the store is and whose devices it holds.
    #[arg(long, value_name = "FILE", env = FILE_ENV)]
    pub config: Option<PathBuf>,
    /// Where the store is [default: ./milepost-data].
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
}

impl StorePlace {
    /// The configuration that these flags name.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn load(&self, protocols: Protocols) -> Result<Config, Faults> {
        let flag = |folder| ("data_dir".to_owned(), "--data-dir".to_owned(), folder);
        let sources = Sources {
            file: self.config.as_deref(),
            environment: std::env::vars_os().collect(),
            flags: self.data_dir.clone().map(flag).into_iter().collect(),
        };
        config::load(&sources, protocols).map(|loaded| loaded.config)
    }
}

/// Adds a flag for each protocol: where its devices connect.
pub fn with_protocols(mut command: Command, protocols: Protocols) -> Command {
    for protocol in protocols.iter() {
        let name = protocol.name();
        let key = format!("{name}.listen");
        let default = Config::of(protocols).protocols.texts(&key).join(",");
        let help = format!(
            "Where {} devices connect; \"off\" for nowhere [default: {default}]",
            protocol.title()
        );
        command = command.arg(Arg::new(name).long(name).value_name("ADDR").help(help));
    }
    command
}

/// What those flags say.
pub fn listen_flags(matches: &ArgMatches, protocols: Protocols) -> Vec<(&'static str, String)> {
    let named = protocols.iter().map(|protocol| protocol.name());
    named
        .filter_map(|name| Some((name, matches.get_one::<String>(name)?.clone())))
        .collect()
}

impl Options {
    /// The configuration that file, environment and these flags give together.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn load(&self) -> Result<Loaded, Faults> {
        let sources = Sources {
            file: self.config.as_deref(),
            environment: std::env::vars_os().collect(),
            flags: self.flags(),
        };
        config::load(&sources, self.protocols)
    }

    fn flags(&self) -> Vec<Flag> {
        let own = [
            ("data_dir", "--data-dir", &self.data_dir),
            ("http.listen", "--http", &self.http),
            ("http.api_token", "--api-token", &self.api_token),
            ("log.level", "--log-level", &self.log_level),
            ("log.format", "--log-format", &self.log_format),
        ];
        let own = own.into_iter().filter_map(|(key, flag, value)| {
            Some((key.to_owned(), flag.to_owned(), value.clone()?))
        });
        let listen = self.listen.iter().map(|(name, address)| {
            (
                format!("{name}.listen"),
                format!("--{name}"),
                address.clone(),
            )
        });
        own.chain(listen).chain(self.more.iter().cloned()).collect()
    }
}
