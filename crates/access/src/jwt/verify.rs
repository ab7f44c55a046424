//! A token's text, taken apart and believed or not.
//!
//! Invariants: nothing of a token is believed before its signature is; what it says of its algorithm, its key
//! or its databases before that only chooses among keys of ours, and the algorithm is the key's.
use super::claims::{Claims, Words};
use super::key::Key;
use super::keyring::Keyring;
use crate::databases::Databases;
use crate::identity::{Grant, Identity};
use crate::scope::Scope;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::verify as verify_signature;
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// By how much clocks may differ.
const SKEW: Duration = Duration::from_secs(60);

/// The most bytes of a subject in the name of who holds a token; what is longer is cut, and its hash put there.
const WHO_MAX: usize = 128;

/// The bytes of a hash in the name of who holds a token.
const MARK: usize = 12;

/// What tokens have to say besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    /// Who has issued them, one of these; anybody with the key if none.
    pub(crate) issuers: Vec<String>,
    /// For whom they are, one of these; if none, they may not say.
    pub(crate) audiences: Vec<String>,
}

/// Why a token is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotBelieved {
    /// It was valid once, for it is signed by a key of ours.
    Expired,
    /// All the rest: who presents it is told no more.
    Invalid,
}

/// What stands at its head. Whatever else stands there must not have to be understood.
#[derive(Deserialize)]
struct Head {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
    zip: Option<Value>,
    b64: Option<bool>,
}

/// Who holds this token, at this time.
pub(crate) fn verify(
    token: &str,
    keyring: &Keyring,
    expected: &Expected,
    now: SystemTime,
) -> Result<Identity, NotBelieved> {
    let (message, signature) = token.rsplit_once('.').ok_or(NotBelieved::Invalid)?;
    let (head, said) = message.split_once('.').ok_or(NotBelieved::Invalid)?;
    let head: Head = part(head)?;
    let claims: Claims = part(said)?;
    if head.crit.is_some() || head.zip.is_some() || head.b64 == Some(false) {
        return Err(NotBelieved::Invalid);
    }
    let candidates = keyring.candidates(head.kid.as_deref(), || claims.names().collect());
    let signed = |key: &Arc<Key>| {
        let is_its = head.alg == key.algorithm_name();
        is_its && verify_signature(signature, message.as_bytes(), &key.public, key.algorithm).unwrap_or(false)
    };
    let key = candidates.into_iter().find(signed).ok_or(NotBelieved::Invalid)?;
    let expires = check(&claims, expected, now)?;
    let grants = claims.grants().map_err(|_| NotBelieved::Invalid)?;
    let grants = within(grants, key.databases.as_ref());
    let who = who(&key, claims.sub.as_deref(), said)?.into();
    Ok(Identity::new(Some(who), grants, Some(expires)).standing_on(key.standing.clone()))
}

/// What a token's holder is called: by the key and the subject, for keys of several may say the same one; by
/// all that is said where none is, but for what is new in a token made anew.
fn who(key: &Key, subject: Option<&str>, said: &str) -> Result<String, NotBelieved> {
    let key = mark(&key.print);
    let Some(subject) = subject else {
        let mut said: Map<String, Value> = part(said)?;
        said.retain(|claim, _| !["exp", "nbf", "iat", "jti"].contains(&claim.as_str()));
        let said = Value::Object(said).to_string();
        return Ok(format!("jwt:{key}/{}", mark(&Sha256::digest(said))));
    };
    let cut = subject.floor_char_boundary(WHO_MAX);
    Ok(match subject.len() == cut {
        true => format!("jwt:{key}:{}", subject.escape_debug()),
        false => format!("jwt:{key}:{}/{}", subject[..cut].escape_debug(), mark(&Sha256::digest(subject))),
    })
}

/// The beginning of a hash, as text: so much that nobody finds another with the same.
fn mark(hash: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(&hash[..MARK])
}

/// Looks at what was said besides, and returns when it ends.
fn check(claims: &Claims, expected: &Expected, now: SystemTime) -> Result<SystemTime, NotBelieved> {
    let Expected { issuers, audiences } = expected;
    let is_among = |all: &[String], one: &str| all.iter().any(|other| other == one);
    let issued = issuers.is_empty() || claims.iss.as_deref().is_some_and(|issuer| is_among(issuers, issuer));
    let said = claims.aud.as_ref().map_or(&[][..], Words::whole);
    let meant = match audiences.is_empty() {
        // A token that is meant for somebody is not meant for who has no name.
        true => said.is_empty(),
        false => said.iter().any(|audience| is_among(audiences, audience)),
    };
    if !issued || !meant {
        return Err(NotBelieved::Invalid);
    }
    let expires = claims.exp.and_then(moment).ok_or(NotBelieved::Invalid)? + SKEW;
    if let Some(begins) = claims.nbf
        && moment(begins).is_none_or(|begins| now + SKEW < begins)
    {
        return Err(NotBelieved::Invalid);
    }
    if expires <= now { Err(NotBelieved::Expired) } else { Ok(expires) }
}

/// What of it concerns databases for which the key may speak.
fn within(grants: Vec<Grant>, databases: Option<&Databases>) -> Vec<Grant> {
    let Some(databases) = databases else { return grants };
    let narrowed = grants.into_iter().map(|grant| {
        // To administer is the server's own to allow.
        Grant { scopes: grant.scopes.without(Scope::Admin), databases: grant.databases.within(databases) }
    });
    narrowed.collect()
}

fn part<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, NotBelieved> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NotBelieved::Invalid)?;
    serde_json::from_slice(&bytes).map_err(|_| NotBelieved::Invalid)
}

/// Seconds since 1970, as far as years go.
fn moment(seconds: f64) -> Option<SystemTime> {
    let is_sane = (0.0..=253_402_300_799.0).contains(&seconds);
    is_sane.then(|| UNIX_EPOCH + Duration::from_secs_f64(seconds))
}
