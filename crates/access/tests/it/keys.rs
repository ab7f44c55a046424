//! Keys that sign, files that hold their public halves, and tokens made with them.
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256, PublicKeyData as _};
use rowhouse_access::{Access, AccessParts, AuthError, Credentials, Identity};
use serde_json::{Value, json};
use std::fs::Permissions;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

pub(crate) const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A pair of keys.
pub(crate) struct Pair {
    pub(crate) algorithm: Algorithm,
    pub(crate) pair: KeyPair,
}

impl Pair {
    pub(crate) fn ed25519() -> Self {
        let pair = KeyPair::generate_for(&PKCS_ED25519).expect("a key");
        Self { algorithm: Algorithm::EdDSA, pair }
    }

    pub(crate) fn of(algorithm: Algorithm) -> Self {
        let pair = match algorithm {
            Algorithm::ES256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
            Algorithm::RS256 => KeyPair::generate_for(&PKCS_RSA_SHA256),
            _ => return Self::ed25519(),
        };
        Self { algorithm, pair: pair.expect("a key") }
    }

    /// The public half in PEM.
    pub(crate) fn pem(&self) -> String {
        self.pair.public_key_pem()
    }

    /// The public half as one of a set, called so.
    pub(crate) fn jwk(&self, id: &str) -> Value {
        let raw = self.pair.der_bytes();
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self.algorithm {
            Algorithm::ES256 => json!({
                "kty": "EC", "crv": "P-256", "kid": id, "use": "sig", "alg": "ES256",
                "x": text(&raw[1..33]), "y": text(&raw[33..65]),
            }),
            _ => json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "alg": "EdDSA", "x": text(raw)}),
        }
    }

    /// The private half.
    pub(crate) fn key(&self) -> EncodingKey {
        let der = self.pair.serialized_der();
        match self.algorithm {
            Algorithm::ES256 => EncodingKey::from_ec_der(der),
            Algorithm::RS256 => {
                EncodingKey::from_rsa_pem(self.pair.serialize_pem().as_bytes()).expect("a key")
            }
            _ => EncodingKey::from_ed_der(der),
        }
    }

    /// Signs a head and claims, whatever they say.
    pub(crate) fn sign(&self, head: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(head), part(claims));
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.key(), self.algorithm);
        format!("{message}.{}", signature.expect("signed"))
    }

    /// A token with these claims that is good for an hour.
    pub(crate) fn token(&self, claims: Value) -> String {
        self.named_token(None, claims)
    }

    /// The same, of a key that is called so.
    pub(crate) fn named_token(&self, id: Option<&str>, mut claims: Value) -> String {
        if claims.get("exp").is_none() {
            claims["exp"] = json!(now() + 3600);
        }
        let mut head = json!({"alg": format!("{:?}", self.algorithm), "typ": "JWT"});
        if let Some(id) = id {
            head["kid"] = json!(id);
        }
        self.sign(&head, &claims)
    }
}

/// A directory for files of keys and users.
pub(crate) struct Files(TempDir);

impl Files {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file that others may read.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        self.write_as(name, text, 0o644)
    }

    pub(crate) fn write_as(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let file = self.path().join(name);
        std::fs::create_dir_all(file.parent().expect("has one")).expect("writable");
        std::fs::write(&file, text).expect("writable");
        std::fs::set_permissions(&file, Permissions::from_mode(mode)).expect("ours");
        file
    }
}

/// Who may come in by this key.
pub(crate) fn by_key(pair: &Pair) -> (Files, Access) {
    let files = Files::new();
    let key = files.write("key.pem", &pair.pem());
    let parts = AccessParts { jwt_key_file: Some(key), ..AccessParts::default() };
    let access = Access::new(parts).expect("a key");
    (files, access)
}

pub(crate) async fn bearer(access: &Access, token: &str) -> Result<Arc<Identity>, AuthError> {
    access.authenticate(Credentials::Bearer(token), HERE).await
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}
