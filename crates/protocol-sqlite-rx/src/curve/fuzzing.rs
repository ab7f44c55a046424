//! What fuzzers reach that nobody else may: key files' text, and keys that are the same each time.
use super::ServerKeys;
use super::certificate::{Certificate, secret_text};
use omq_proto::{CurveKeypair, CurveSecretKey};

/// A server's keys, the same each time.
pub(crate) fn keys() -> ServerKeys {
    let secret = CurveSecretKey::from_bytes([7; 32]);
    ServerKeys(CurveKeypair { public: secret.derive_public(), secret })
}

/// Reads a key file's text; whether it holds a pair, in words why not.
///
/// # Errors
///
/// What is wrong with it.
///
/// # Panics
///
/// When what is written of a pair is not read as the same pair.
pub fn read_key_file(text: &[u8]) -> Result<(), String> {
    let pair = Certificate::parse(text).and_then(Certificate::into_pair);
    let pair = pair.map_err(|error| error.to_string())?;
    let written = secret_text(&pair);
    let again = Certificate::parse(written.as_bytes()).and_then(Certificate::into_pair);
    let again = again.map_err(|error| error.to_string()).expect("what is written is read");
    assert_eq!(again.public.as_bytes(), pair.public.as_bytes(), "the same pair");
    Ok(())
}
