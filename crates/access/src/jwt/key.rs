//! Public keys, and how they are written in files: PEM, JWKS, or a bare Ed25519 key in base64.
//!
//! Invariant: a key knows the one algorithm it is for; what a token says of its algorithm only has to agree.
use crate::databases::Databases;
use crate::identity::Standing;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// How long a point of P-256 is, uncompressed.
const P256_POINT: usize = 65;

/// How long a public key of Ed25519 is.
const ED25519: usize = 32;

/// The fewest bytes of an RSA modulus: 2048 bits.
const RSA_MIN: usize = 256;

/// A key by which tokens are believed.
#[derive(Debug)]
pub(super) struct Key {
    /// The one algorithm it is for.
    pub(super) algorithm: Algorithm,
    pub(super) public: DecodingKey,
    /// What tokens call it.
    pub(super) id: Option<String>,
    /// The databases for which it may speak; all unless said.
    pub(super) databases: Option<Databases>,
    /// Whether it is still one of ours.
    pub(super) standing: Standing,
    /// The same for the same key in the same place.
    pub(super) print: [u8; 32],
}

/// Why a text holds no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// There is nothing like a key.
    #[error(
        "it holds no public key: write PEM (`-----BEGIN PUBLIC KEY-----`), or a JWKS with the ending .jwks or .json"
    )]
    None,
    /// It holds a private key.
    #[error(
        "it holds a private key, which the server must not know: put the public one there, and exchange this one"
    )]
    Private,
    /// It holds a key that is of no use.
    #[error(
        "it holds a key that is none of EdDSA (Ed25519), ES256 (P-256) and RS256 (RSA, 2048 bits or more)"
    )]
    Unfit,
}

/// A set of keys as it stands in a file. What is of another kind or for another use is passed over.
#[derive(Deserialize)]
struct Set {
    keys: Vec<Jwk>,
}

/// One key of a set; what other kinds have more is not looked at.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    d: Option<String>,
    k: Option<String>,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
}

// === impl Key ===

impl Key {
    fn new(algorithm: Algorithm, public: DecodingKey, material: &[u8], id: Option<String>) -> Self {
        let print = Sha256::new()
            .chain_update(format!("{algorithm:?}\0{}\0", id.as_deref().unwrap_or_default()))
            .chain_update(material)
            .finalize();
        Self { algorithm, public, id, databases: None, standing: Standing::good(), print: print.into() }
    }

    /// How tokens call its algorithm.
    pub(super) fn algorithm_name(&self) -> &'static str {
        match self.algorithm {
            Algorithm::EdDSA => "EdDSA",
            Algorithm::ES256 => "ES256",
            _ => "RS256",
        }
    }

    /// The same, which speaks for these databases only.
    pub(super) fn only_for(mut self, databases: Databases) -> Self {
        let print = Sha256::new().chain_update(self.print).chain_update(databases.to_string());
        self.print = print.finalize().into();
        self.databases = Some(databases);
        self
    }
}

/// The keys of a text in PEM, or the bare one.
pub(super) fn in_pem(text: &str) -> Result<Vec<Key>, NoKey> {
    let mut keys = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("-----BEGIN ") {
        let block = &rest[start..];
        let end = block.find("-----END ").ok_or(NoKey::None)?;
        let close = block[end + 9..].find("-----").ok_or(NoKey::None)?;
        let (block, after) = block.split_at(end + 9 + close + 5);
        keys.push(pem_block(block)?);
        rest = after;
    }
    match keys.is_empty() {
        true => Ok(vec![bare(text.trim())?]),
        false => Ok(keys),
    }
}

fn pem_block(block: &str) -> Result<Key, NoKey> {
    let label = block.trim_start_matches("-----BEGIN ").split("-----").next().unwrap_or_default();
    if label.contains("PRIVATE") {
        return Err(NoKey::Private);
    }
    if !matches!(label, "PUBLIC KEY" | "RSA PUBLIC KEY") {
        return Err(NoKey::None);
    }
    let bytes = block.as_bytes();
    let fits = |public: &DecodingKey, is_long: fn(usize) -> bool| {
        public.try_get_as_bytes().is_ok_and(|bytes| is_long(bytes.len()))
    };
    let found = DecodingKey::from_ed_pem(bytes).map(|public| (Algorithm::EdDSA, public));
    let found = found.or_else(|_| DecodingKey::from_ec_pem(bytes).map(|public| (Algorithm::ES256, public)));
    let found = found.or_else(|_| DecodingKey::from_rsa_pem(bytes).map(|public| (Algorithm::RS256, public)));
    let (algorithm, public) = found.map_err(|_| NoKey::Unfit)?;
    let is_fit = match algorithm {
        Algorithm::EdDSA => fits(&public, |length| length == ED25519),
        Algorithm::ES256 => fits(&public, |length| length == P256_POINT),
        _ => fits(&public, |length| RSA_MIN < length),
    };
    let material = public.try_get_as_bytes().map_err(|_| NoKey::Unfit)?.to_vec();
    if is_fit { Ok(Key::new(algorithm, public, &material, None)) } else { Err(NoKey::Unfit) }
}

/// A bare Ed25519 key, as sqld takes it.
fn bare(text: &str) -> Result<Key, NoKey> {
    let bytes = bytes_of(text).filter(|bytes| bytes.len() == ED25519).ok_or(NoKey::None)?;
    Ok(Key::new(Algorithm::EdDSA, DecodingKey::from_ed_der(&bytes), &bytes, None))
}

/// The keys of a set in JSON.
pub(super) fn in_jwks(text: &str) -> Result<Vec<Key>, NoKey> {
    let set: Set = serde_json::from_str(text).map_err(|_| NoKey::None)?;
    let mut keys = Vec::new();
    for jwk in &set.keys {
        if jwk.d.is_some() {
            return Err(NoKey::Private);
        }
        if jwk.is_for_signatures() {
            keys.extend(jwk.key()?);
        }
    }
    if keys.is_empty() { Err(NoKey::Unfit) } else { Ok(keys) }
}

impl Jwk {
    /// Whether it verifies signatures, and is no secret that signs them too.
    fn is_for_signatures(&self) -> bool {
        self.usage.as_deref().is_none_or(|usage| usage == "sig") && self.k.is_none()
    }

    /// The key, or nothing if it is of another kind.
    fn key(&self) -> Result<Option<Key>, NoKey> {
        let is = |algorithm: &str| self.alg.as_deref().is_none_or(|alg| alg == algorithm);
        let part = |part: &Option<String>| part.as_deref().and_then(bytes_of).ok_or(NoKey::Unfit);
        let id = self.kid.clone();
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("OKP", Some("Ed25519")) if is("EdDSA") => {
                let x = part(&self.x)?;
                let key = Key::new(Algorithm::EdDSA, DecodingKey::from_ed_der(&x), &x, id);
                if x.len() == ED25519 { Ok(Some(key)) } else { Err(NoKey::Unfit) }
            }
            ("EC", Some("P-256")) if is("ES256") => {
                let point = [vec![4], part(&self.x)?, part(&self.y)?].concat();
                let key = Key::new(Algorithm::ES256, DecodingKey::from_ec_der(&point), &point, id);
                if point.len() == P256_POINT { Ok(Some(key)) } else { Err(NoKey::Unfit) }
            }
            ("RSA", _) if is("RS256") => {
                let (n, e) = (part(&self.n)?, part(&self.e)?);
                let public = DecodingKey::from_rsa_raw_components(&n, &e);
                let key = Key::new(Algorithm::RS256, public, &[&*n, &*e].concat(), id);
                if RSA_MIN <= n.len() { Ok(Some(key)) } else { Err(NoKey::Unfit) }
            }
            _ => Ok(None),
        }
    }
}

fn bytes_of(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    URL_SAFE_NO_PAD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text)).ok()
}
