//! Management over TLS.
use super::support::{Answer, Managed, plain, request};
use rowhouse_access::Tls;
use rowhouse_management::{PROTOCOLS, Settings};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio_rustls::TlsConnector;

/// Makes a certificate for localhost, and returns who trusts it.
fn certify(directory: &Path) -> TlsConnector {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    std::fs::write(directory.join("cert.pem"), made.cert.pem()).expect("writable");
    std::fs::write(directory.join("key.pem"), made.signing_key.serialize_pem()).expect("writable");
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(directory.join("key.pem"), private).expect("ours");
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("versions").with_root_certificates(roots).with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

async fn get(managed: &Managed, trust: &TlsConnector) -> Option<Answer> {
    let stream = TcpStream::connect(managed.address()).await.expect("it listens");
    let name = ServerName::try_from("localhost").expect("a name");
    let mut stream = trust.connect(name, stream).await.ok()?;
    stream.write_all(request("GET", "/limit", "", "").as_bytes()).await.expect("it reads");
    Some(Answer::read(stream).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_served_encrypted_and_the_certificate_is_exchanged_while_it_runs() {
    let directory = tempfile::tempdir().expect("a directory");
    let (certificate, key) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
    let first = certify(directory.path());
    let tls = Tls::load(&certificate, &key, PROTOCOLS).expect("they go together");
    let settings = Settings { tls: Some(tls.clone()), ..plain() };
    let managed = Managed::with(settings, Handle::current()).await;
    assert!(managed.running.url().starts_with("https://127.0.0.1:"));
    assert_eq!(get(&managed, &first).await.expect("a handshake").status, 200);
    assert_eq!(managed.get("/limit").await.status, 0, "without TLS nothing is answered");
    let second = certify(directory.path());
    tls.reload().expect("they go together");
    assert!(get(&managed, &first).await.is_none(), "another certificate is served");
    assert_eq!(get(&managed, &second).await.expect("a handshake").status, 200);
    std::fs::write(&certificate, "nothing").expect("writable");
    tls.reload().expect_err("there is no certificate");
    assert_eq!(get(&managed, &second).await.expect("the last that could be read").status, 200);
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let _trust = certify(directory.path());
    let key = directory.path().join("key.pem");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("ours");
    let error =
        Tls::load(directory.path().join("cert.pem"), &key, PROTOCOLS).expect_err("others may read it");
    assert!(error.to_string().contains("chmod 600"), "{error}");
}
