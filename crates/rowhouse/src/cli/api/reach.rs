//! The flags that say which server is asked, and how.
use super::super::{Usage, lower};
use super::Api;
use super::endpoint::Endpoint;
use super::tls::Trust;
use crate::cli::place::runtime;
use clap::Args;
use rowhouse::config::Layers;
use rowhouse_wire::management::PORT_OFFSET;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Every command that asks a running server has them, before its words or after.
#[derive(Debug, Args)]
pub(crate) struct Reach {
    /// Where the management API is, such as https://db.example.com:10090
    #[arg(long, global = true, value_name = "URL", conflicts_with = "management_port", help_heading = HEADING)]
    url: Option<String>,
    /// The management port of this machine's server, where it is not the main port + 1000
    #[arg(long, global = true, value_name = "PORT", help_heading = HEADING)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    management_port: Option<u16>,
    /// The file with the server's token; also ROWHOUSE_MANAGEMENT_TOKEN_FILE
    #[arg(long, global = true, value_name = "FILE", help_heading = HEADING)]
    token_file: Option<PathBuf>,
    /// The certificate (PEM) to trust over https [default: those the system trusts]
    #[arg(long, global = true, value_name = "FILE", help_heading = HEADING)]
    cacert: Option<PathBuf>,
    /// How long an answer may take [default: 5s, and longer for what takes longer]
    #[arg(long, global = true, value_name = "TIME", help_heading = HEADING)]
    #[arg(value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,
    /// The configuration file the server was started with; also ROWHOUSE_CONFIG
    #[arg(long, global = true, value_name = "FILE", help_heading = HEADING)]
    config: Option<PathBuf>,
}

/// Under which the flags stand in a help text.
pub(in crate::cli) const HEADING: &str = "Which server";

/// How long an answer may take that takes no time.
pub(in crate::cli) const USUAL: Duration = Duration::from_secs(5);

// === impl Reach ===

impl Reach {
    /// Whether the flags alone say where the server is.
    pub(crate) fn is_told(&self) -> bool {
        self.url.is_some() || self.management_port.is_some()
    }

    /// The configuration file that is named.
    pub(crate) fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// The server to ask: that of the flags, else the one on this main port, else the configured one.
    ///
    /// It has `usual` to answer where the flags say nothing else.
    pub(crate) fn api(&self, main: Option<u16>, usual: Duration) -> anyhow::Result<Api> {
        let mut layers = Layers::new();
        lower(&mut layers, self.config.as_deref())?;
        let at = match (&self.url, self.management_port, main) {
            (Some(url), ..) => Endpoint::parse(url)?,
            (None, Some(port), _) => Endpoint::local(port),
            (None, None, Some(main)) => Endpoint::local(above(main)?),
            (None, None, None) => configured(&layers)?,
        };
        let trust = at.is_encrypted().then(|| Trust::of(self.cacert.as_deref())).transpose()?;
        let file = match &self.token_file {
            Some(file) => Some(file.clone()),
            None => layers.management_token_file()?,
        };
        let token = file.as_deref().map(token).transpose()?;
        if token.is_some() && !at.is_encrypted() && !at.is_local() {
            let message =
                format!("{at} would be sent the token unencrypted: use https, or a tunnel to localhost");
            return Err(Usage(message).into());
        }
        let timeout = self.timeout.unwrap_or(usual);
        Ok(Api { at, trust, token, timeout, runtime: runtime()? })
    }
}

/// The management port of a main port.
fn above(main: u16) -> Result<u16, Usage> {
    main.checked_add(PORT_OFFSET).ok_or_else(|| {
        Usage(format!(
            "{main} + {PORT_OFFSET} is no port: give --management-port PORT, as the server was given"
        ))
    })
}

fn configured(layers: &Layers) -> anyhow::Result<Endpoint> {
    match layers.ports()? {
        (_, Some(port)) => Ok(Endpoint::local(port)),
        (main, None) => Ok(Endpoint::local(above(main)?)),
    }
}

/// The first token in a file, as the server reads it: one a line, alone or after a name and a space.
fn token(file: &Path) -> Result<String, Usage> {
    let wrong = |why: &str| Usage(format!("the token file {} {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| wrong(&format!("cannot be read: {error}")))?;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let line = lines.next().ok_or_else(|| wrong("is empty"))?;
    let token = line.split_once(' ').map_or(line, |(_name, token)| token.trim());
    match token.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(token.to_owned()),
        false => Err(wrong("holds no token")),
    }
}
