//! TLS: a certificate and its key, which can be exchanged while the server runs.
use crate::file::{FileError, read_secret};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// A certificate and its key. Cloning yields another handle: what one reloads, all have.
#[derive(Clone)]
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    /// What is spoken within, as clients ask for it (ALPN), the preferred first.
    protocols: &'static [&'static [u8]],
    config: Arc<RwLock<Arc<ServerConfig>>>,
}

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The key's file cannot be had.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file does not hold what it should.
    #[error("{} does not hold {what} in PEM", file.display())]
    Pem {
        /// The file.
        file: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// Why.
        #[source]
        source: pem::Error,
    },
    /// The two do not go together, or are of no use.
    #[error("the certificate {} and the key {} cannot be used together", certificate.display(), key.display())]
    Unfit {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
}

// === impl Tls ===

impl Tls {
    /// Reads a certificate with its chain, and its key, which nobody but its owner may read, to speak one of
    /// these protocols within (ALPN), the preferred first.
    ///
    /// # Errors
    ///
    /// When one of them cannot be had, or they do not go together.
    pub fn load(
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
        protocols: &'static [&'static [u8]],
    ) -> Result<Self, TlsError> {
        let (certificate, key) = (certificate.into(), key.into());
        let config = config(&certificate, &key, protocols)?;
        Ok(Self { certificate, key, protocols, config: Arc::new(RwLock::new(Arc::new(config))) })
    }

    /// Reads the files again, for connections to come. Until that has worked, those of before serve.
    ///
    /// # Errors
    ///
    /// As of [`Tls::load`].
    pub fn reload(&self) -> Result<(), TlsError> {
        let config = config(&self.certificate, &self.key, self.protocols)?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        Ok(())
    }

    /// What a connection that comes now is served with.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

fn config(certificate: &Path, key: &Path, protocols: &[&[u8]]) -> Result<ServerConfig, TlsError> {
    let pem = |file: &Path, what, source| TlsError::Pem { file: file.to_owned(), what, source };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|source| pem(certificate, "a certificate", source))?;
    let private = PrivateKeyDer::from_pem_slice(read_secret(key)?.as_bytes())
        .map_err(|source| pem(key, "a private key", source))?;
    let unfit = |source| TlsError::Unfit { certificate: certificate.to_owned(), key: key.to_owned(), source };
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unfit)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(unfit)?;
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(config)
}
