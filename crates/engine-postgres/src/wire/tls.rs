//! TLS to a server: its certificate and its name are verified, always.
use crate::dsn::{Dsn, Encryption, Host};
use crate::wire::stream::{Socket, Stream};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use sha2::{Digest, Sha256, Sha384, Sha512};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

/// Where systems keep the certificates that they trust.
const SYSTEM_ROOTS: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// How TLS is spoken, made once per server.
#[derive(Clone)]
pub(crate) struct Tls(Arc<ClientConfig>);

/// TLS cannot be spoken here.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificates to trust cannot be read.
    #[error("cannot read the certificates to trust from {}", path.display())]
    Roots {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// There are none.
    #[error("there are no certificates to trust: give them with sslrootcert")]
    NoRoots,
    /// Something else is wrong.
    #[error("cannot prepare TLS")]
    Prepare(#[from] rustls::Error),
}

// === impl Tls ===

impl Tls {
    /// How TLS is spoken with the server; `None` when it is not.
    pub(crate) fn of(dsn: &Dsn) -> Result<Option<Self>, TlsError> {
        let Encryption::Verified { roots } = &dsn.encryption else { return Ok(None) };
        let path = match roots {
            Some(path) => path.clone(),
            None => {
                let found = SYSTEM_ROOTS.iter().map(Path::new).find(|path| path.exists());
                found.ok_or(TlsError::NoRoots)?.to_owned()
            }
        };
        let mut store = RootCertStore::empty();
        let unreadable = |source| TlsError::Roots { path: path.clone(), source };
        for certificate in CertificateDer::pem_file_iter(&path).map_err(unreadable)? {
            // A system's list may have some that are of no use.
            let _unusable = store.add(certificate.map_err(unreadable)?);
        }
        if store.is_empty() {
            return Err(TlsError::NoRoots);
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config = config.with_root_certificates(store).with_no_client_auth();
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        Ok(Some(Self(Arc::new(config))))
    }

    /// Asks the server for TLS and begins it.
    pub(crate) async fn begin(&self, mut socket: Socket, host: &Host) -> io::Result<Stream> {
        let name = match host {
            Host::Network { name, .. } => name.clone(),
            // Who is on the same machine is called so.
            Host::Unix { .. } => "localhost".to_owned(),
        };
        let name = ServerName::try_from(name).map_err(io::Error::other)?;
        let mut ask = bytes::BytesMut::new();
        postgres_protocol::message::frontend::ssl_request(&mut ask);
        socket.write_all(&ask).await?;
        // One byte and no more: what follows in plain text is nobody's we know.
        match socket.read_u8().await? {
            b'S' => {}
            _ => return Err(io::Error::other("the server does not speak TLS")),
        }
        let stream = TlsConnector::from(self.0.clone()).connect(name, socket).await?;
        Ok(Stream::Tls(Box::new(stream)))
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls(verified)")
    }
}

/// What binds a login to the server's certificate (`tls-server-end-point`, RFC 5929); `None` when the
/// certificate is signed in a way for which that is not defined.
pub(crate) fn end_point(stream: &Stream) -> Option<Vec<u8>> {
    let Stream::Tls(tls) = stream else { return None };
    let certificate = tls.get_ref().1.peer_certificates()?.first()?;
    digest(certificate)
}

fn digest(certificate: &[u8]) -> Option<Vec<u8>> {
    Some(match signature_algorithm(certificate)? {
        // RSA with MD5 or SHA-1 is taken as with SHA-256, which is what the rule says.
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 4 | 5 | 11]
        | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 2] => Sha256::digest(certificate).to_vec(),
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 12]
        | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 3] => Sha384::digest(certificate).to_vec(),
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 13]
        | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 4] => Sha512::digest(certificate).to_vec(),
        _ => return None,
    })
}

/// The identifier of the algorithm by which a certificate is signed: the first of the second of three.
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const OBJECT_IDENTIFIER: u8 = 0x06;
    let (content, _) = element(certificate, SEQUENCE)?;
    let (_signed, rest) = element(content, SEQUENCE)?;
    let (algorithm, _) = element(rest, SEQUENCE)?;
    Some(element(algorithm, OBJECT_IDENTIFIER)?.0)
}

/// The content of the element of DER that is first, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (len, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |len, &byte| len << 8 | usize::from(byte)), rest)
        }
        _ => return None,
    };
    (found == tag).then_some(())?;
    rest.split_at_checked(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_bound_to_certificates_of_every_usual_kind() {
        let algorithms = [
            (&rcgen::PKCS_ECDSA_P256_SHA256, Some(32)),
            (&rcgen::PKCS_ECDSA_P384_SHA384, Some(48)),
            (&rcgen::PKCS_RSA_SHA256, Some(32)),
            (&rcgen::PKCS_ED25519, None),
        ];
        for (algorithm, len) in algorithms {
            let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
            let parameters = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
            let certificate = parameters.self_signed(&key).unwrap();
            assert_eq!(digest(certificate.der()).map(|digest| digest.len()), len, "{algorithm:?}");
        }
        assert_eq!(digest(&[0x30, 0x84, 255, 255, 255, 255]), None);
        assert_eq!(digest(&[]), None);
    }
}
