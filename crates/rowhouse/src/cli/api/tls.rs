//! TLS to a management server: whom to trust, and the handshake.
use super::super::Usage;
use super::endpoint::Endpoint;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Where systems keep the certificates that they trust.
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The certificates to trust.
pub(super) struct Trust(Arc<ClientConfig>);

// === impl Trust ===

impl Trust {
    /// Trusts what this file (PEM) holds; without one, what the system trusts.
    pub(super) fn of(file: Option<&Path>) -> Result<Self, Usage> {
        let system = || SYSTEM.into_iter().map(Path::new).find(|path| path.exists());
        let Some(path) = file.or_else(system) else {
            return Err(Usage("this system has no certificates to trust: give --cacert FILE".to_owned()));
        };
        let wrong = |why: String| Usage(format!("--cacert {}: {why}", path.display()));
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))? {
            let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
            let added = roots.add(certificate);
            // A system's list may hold one that this program cannot read.
            if file.is_some() {
                added.map_err(|error| wrong(error.to_string()))?;
            }
        }
        if roots.is_empty() {
            return Err(wrong("it holds no certificate (PEM)".to_owned()));
        }
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider knows them")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    /// Makes a connection an encrypted one, to the server of that name.
    pub(super) async fn handshake(
        &self,
        at: &Endpoint,
        stream: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(at.host().to_owned()).map_err(io::Error::other)?;
        TlsConnector::from(self.0.clone()).connect(name, stream).await
    }
}
