//! Management as configured: where it listens, and who may come.
use super::error::ConfigError;
use super::layers::{Layers, Origin};
use super::meant::absolute;
use rowhouse_management::Listen;
use rowhouse_wire::management::PORT_OFFSET;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Management as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Management {
    /// Where it listens.
    pub listen: Listen,
    /// Whether a taken port is skipped with a warning rather than an error.
    pub skip_taken_port: bool,
    /// What it calls the service.
    pub service_name: String,
    /// The file with the tokens of who may come.
    pub token_file: Option<PathBuf>,
    /// More names under which it may be called.
    pub allowed_hosts: Vec<String>,
    /// The files of its certificate and the certificate's key.
    pub tls: Option<(PathBuf, PathBuf)>,
}

impl Management {
    /// What the layers mean; `None` where the server is not managed over HTTP.
    pub(super) fn resolve(layers: &Layers) -> Result<Option<Self>, ConfigError> {
        // A wrong value is told whether or not it is used.
        let address = layers.ip("management_listen")?;
        let management = Self {
            listen: Listen::Loopback(0),
            skip_taken_port: layers.all("tcp_address").any(|(_, origin)| origin == Origin::Dev)
                && layers.origin("management_port") == Origin::Default,
            service_name: layers.service("service_name")?,
            token_file: layers.management_token_file()?,
            allowed_hosts: layers.hosts("management_allowed_hosts")?,
            tls: None,
        };
        let said = layers.ports()?;
        if !layers.boolean("management")? {
            return Ok(None);
        }
        let tls = tls(layers, ("management_tls_cert", "management_tls_key"))?;
        let port = port(said, layers)?;
        let listen = match address {
            None => Listen::Loopback(port),
            Some(address) => Listen::At(SocketAddr::new(address, port)),
        };
        if let Some(address) = address.filter(|address| !address.is_loopback())
            && (management.token_file.is_none() || tls.is_none())
        {
            return Err(ConfigError::Conflict(format!(
                "management_listen {address} ({}) is reachable from other machines: it needs management_token_file, management_tls_cert and management_tls_key",
                layers.origin("management_listen")
            )));
        }
        Ok(Some(Self { listen, tls, ..management }))
    }
}

/// The management port: the one said, else that above the main port; any free one beside any free one.
fn port((main, said): (u16, Option<u16>), layers: &Layers) -> Result<u16, ConfigError> {
    match (main, said) {
        (_, Some(port)) => Ok(port),
        (0, None) => Ok(0),
        (main, None) => main.checked_add(PORT_OFFSET).ok_or_else(|| {
            ConfigError::Conflict(format!(
                "the management port would be {main} + {PORT_OFFSET}, which is no port: give --management-port (0 means any free one), a main port of at most {} ({} now), or --management false",
                u16::MAX - PORT_OFFSET,
                layers.origin("port")
            ))
        }),
    }
}

/// The files of a certificate and its key, by the options that name them: both or none.
pub(super) fn tls(
    layers: &Layers,
    (certificate, key): (&str, &str),
) -> Result<Option<(PathBuf, PathBuf)>, ConfigError> {
    let file = |key| Ok(layers.text(key)?.map(|path| absolute(Path::new(&path))));
    match (file(certificate)?, file(key)?) {
        (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(ConfigError::Conflict(format!("{certificate} needs {key}"))),
        (None, Some(_)) => Err(ConfigError::Conflict(format!("{key} needs {certificate}"))),
    }
}
