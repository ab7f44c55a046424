//! HTTP of a server: bound with its other sockets, served like them.
use crate::config::Http as Config;
use rowhouse_protocol_hrana::{BindError, Listener};
use std::io;

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
