//! The passwords of tenants' roles, derived from one secret.
//!
//! A password has 256 bits that nobody can guess, so the server is given a verifier of one iteration: a
//! login costs some hashing and not the milliseconds that protect what people choose.
use crate::secret::Secret;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// The password of a role.
pub(crate) fn password(secret: &Secret, role: &str) -> Secret {
    Secret::new(hex(&keyed(secret.reveal(), &["rowhouse role", role])))
}

/// What the server keeps of a password (`SCRAM-SHA-256`).
pub(crate) fn verifier(secret: &Secret, role: &str) -> String {
    let password = password(secret, role);
    let salt = &keyed(secret.reveal(), &["rowhouse salt", role])[..16];
    // The first and only iteration.
    let mut salted = mac(password.reveal());
    salted.update(salt);
    salted.update(&1_u32.to_be_bytes());
    let salted = salted.finalize().into_bytes();
    let stored = Sha256::digest(keyed(&salted, &["Client Key"]));
    let server = keyed(&salted, &["Server Key"]);
    let text = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
    format!("SCRAM-SHA-256$1:{}${}:{}", text(salt), text(&stored), text(&server))
}

fn mac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key).expect("a key of any length is one")
}

fn keyed(key: &[u8], parts: &[&str]) -> [u8; 32] {
    let mut mac = mac(key);
    for (index, part) in parts.iter().enumerate() {
        if index != 0 {
            mac.update(&[0]);
        }
        mac.update(part.as_bytes());
    }
    mac.finalize().into_bytes().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_has_a_password_and_a_verifier_of_its_own() {
        let secret = Secret::new("secret");
        assert!(password(&secret, "a") != password(&secret, "b"));
        assert!(password(&secret, "a") != password(&Secret::new("other"), "a"));
        assert_eq!(verifier(&secret, "a"), verifier(&secret, "a"));
        assert!(verifier(&secret, "a").starts_with("SCRAM-SHA-256$1:"));
    }
}
