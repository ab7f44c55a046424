//! Management of a server: bound with its other sockets, started before clients are let in, stopped last.
use crate::config::Management as Config;
use rowhouse_access::{Access, AccessError, Tls, TlsError};
use rowhouse_management::{BindError, Management, PROTOCOLS, Settings, TokenError, Tokens};
use std::io;

/// Why a server cannot be managed over HTTP.
#[derive(Debug, thiserror::Error)]
pub enum ManagementError {
    /// A port cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The tokens cannot be had.
    #[error(transparent)]
    Tokens(#[from] TokenError),
    /// The certificate or its key cannot be had.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// By what one comes in over HTTP cannot be had.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The system gives no thread or no reactor.
    #[error("management cannot be started")]
    Thread(#[source] io::Error),
}

/// The files with secrets that are read again on demand. Cloning yields another handle.
#[derive(Clone, Debug, Default)]
pub(crate) struct Secrets {
    tokens: Option<Tokens>,
    tls: Option<Tls>,
    access: Option<Access>,
    http_tls: Option<Tls>,
}

/// Binds what the configuration says. Needs a Tokio runtime with I/O.
///
/// A port that may be skipped and is taken is told in `warnings`.
pub(crate) fn bind(
    config: Option<&Config>,
    warnings: &mut Vec<String>,
) -> Result<(Option<Management>, Secrets), ManagementError> {
    let Some(config) = config else { return Ok((None, Secrets::default())) };
    let tokens = config.token_file.as_ref().map(Tokens::load).transpose()?;
    let tls =
        config.tls.as_ref().map(|(certificate, key)| Tls::load(certificate, key, PROTOCOLS)).transpose()?;
    let settings = Settings {
        listen: config.listen,
        service_name: config.service_name.clone(),
        allowed_hosts: config.allowed_hosts.clone(),
        tokens: tokens.clone(),
        tls: tls.clone(),
    };
    let bound = match Management::bind(settings) {
        Ok(bound) => Some(bound),
        Err(BindError::Address { address, source })
            if config.skip_taken_port && source.kind() == io::ErrorKind::AddrInUse =>
        {
            warnings.push(format!("the server is not managed over HTTP: {address} is taken"));
            None
        }
        Err(error) => return Err(error.into()),
    };
    Ok((bound, Secrets { tokens, tls, http_tls: None, access: None }))
}

// === impl Secrets ===

impl Secrets {
    /// The same, and those by which one comes in over HTTP.
    pub(crate) fn and(self, access: Access) -> Self {
        Self { access: Some(access), ..self }
    }

    /// The same, and the certificate of HTTP.
    pub(crate) fn with_http(mut self, tls: Option<Tls>) -> Self {
        self.http_tls = tls;
        self
    }

    /// Reads the files again. What cannot be read stays as it is, and is told.
    pub(crate) fn reload(&self) -> Vec<ManagementError> {
        let tokens = self.tokens.as_ref().and_then(|tokens| tokens.reload().err());
        let tls = [&self.tls, &self.http_tls].into_iter().flatten().filter_map(|tls| tls.reload().err());
        let access = self.access.iter().flat_map(Access::reload);
        let managed = tokens.map(Into::into).into_iter().chain(tls.map(Into::into));
        managed.chain(access.map(Into::into)).collect()
    }
}
