//! HTTP as configured: where it is served, and within which bounds.
use super::error::ConfigError;
use super::layers::{Layers, Origin};
use rowhouse_engine::SqlPolicy;
use rowhouse_protocol_hrana::Origins;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// HTTP as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// Where it is served.
    pub address: SocketAddr,
    /// Whether a taken port is skipped with a warning rather than an error.
    pub skip_taken_port: bool,
    /// Whether anybody may come who reaches it, also from other machines.
    pub allow_anonymous: bool,
    /// More names under which it may be called on loopback where anybody may come.
    pub allowed_hosts: Vec<String>,
    /// The web pages that may ask.
    pub allowed_origins: Origins,
    /// The files of its certificate and the certificate's key.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Whether answers are compressed for clients that take it.
    pub compression: bool,
    /// What SQL may do.
    pub policy: SqlPolicy,
    /// How long a client may take to send the body of a request.
    pub body_timeout: Duration,
    /// How long a connection may be idle.
    pub idle_timeout: Duration,
    /// How long a stream of Hrana's may be idle.
    pub stream_idle_timeout: Duration,
}

impl Http {
    /// What the layers mean; `None` where HTTP is not served.
    pub(super) fn resolve(layers: &Layers) -> Result<Option<Self>, ConfigError> {
        // A wrong value is told whether or not it is used.
        let said = layers.socket("http_address")?;
        let (main, _) = layers.ports()?;
        let by_dev = layers.all("tcp_address").any(|(_, origin)| origin == Origin::Dev);
        let http = Self {
            address: said.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, main).into()),
            skip_taken_port: by_dev && said.is_none() && layers.origin("port") == Origin::Default,
            allow_anonymous: layers.boolean("allow_anonymous")?,
            allowed_hosts: layers.hosts("http_allowed_hosts")?,
            allowed_origins: match layers.origins("http_allowed_origins")? {
                origins if origins.is_empty() => Origins::Own,
                origins if origins == ["*"] => Origins::Any,
                origins => Origins::These(origins),
            },
            tls: None,
            compression: layers.boolean("http_compression")?,
            policy: super::meant::policy(layers, "http_sql_policy")?,
            body_timeout: layers.duration("http_body_timeout")?,
            idle_timeout: layers.duration("http_idle_timeout")?,
            stream_idle_timeout: layers.duration("stream_idle_timeout")?,
        };
        if !layers.boolean("http")? {
            return Ok(None);
        }
        let tls = super::management::tls(layers, ("http_tls_cert", "http_tls_key"))?;
        Ok(Some(Self { tls, ..http }))
    }
}
