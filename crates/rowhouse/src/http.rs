//! HTTP of a server: bound with its other sockets, served like them.
use crate::config::Http as Config;
use rowhouse_access::{Access, Tls, TlsError};
use rowhouse_protocol_hrana::{BindError, Listener, PROTOCOLS};
use std::io;
use std::net::SocketAddr;

/// Others than this machine's reach HTTP, and nobody would have to say who they are.
#[derive(Debug, thiserror::Error)]
#[error(
    "HTTP on {0} is reachable from other machines, and nobody would have to say who they are: make a token (rowhouse token create), serve it on 127.0.0.1, or let anybody come with --allow-anonymous"
)]
pub struct Exposed(SocketAddr);

/// What an operator should know of who can reach HTTP.
///
/// # Errors
///
/// When others reach it, and nobody would have to say who they are, and that was not asked for.
pub(crate) fn exposure(
    address: SocketAddr,
    access: &Access,
    config: &Config,
) -> Result<Vec<String>, Exposed> {
    if address.ip().to_canonical().is_loopback() {
        return Ok(Vec::new());
    }
    let mut warnings = Vec::new();
    match (access.is_required(), config.allow_anonymous) {
        (true, _) if config.tls.is_none() => warnings.push(format!(
            "HTTP on {address} is reachable from other machines, without encryption: consider http_tls_cert and http_tls_key"
        )),
        (true, _) => {}
        (false, true) => warnings.push(format!(
            "HTTP on {address} is reachable from other machines, and serves whoever comes (allow_anonymous)"
        )),
        (false, false) => return Err(Exposed(address)),
    }
    Ok(warnings)
}

/// The certificate that the configuration names, if it names one.
pub(crate) fn tls(config: Option<&Config>) -> Result<Option<Tls>, TlsError> {
    let files = config.and_then(|config| config.tls.as_ref());
    files.map(|(certificate, key)| Tls::load(certificate, key, PROTOCOLS)).transpose()
}

/// Binds what the configuration says. Needs a Tokio runtime with I/O.
///
/// A port that may be skipped and is taken is told in `warnings`.
pub(crate) fn bind(
    config: Option<&Config>,
    warnings: &mut Vec<String>,
) -> Result<Option<Listener>, BindError> {
    let Some(config) = config else { return Ok(None) };
    match Listener::bind(config.address) {
        Ok(bound) => Ok(Some(bound)),
        Err(error) if config.skip_taken_port && error.source.kind() == io::ErrorKind::AddrInUse => {
            warnings.push(format!("HTTP is not served: {} is taken", error.address));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
