//! One key file's text, as `zmq.auth` writes and reads it: ZPL (ZeroMQ RFC 4) with Z85 keys (RFC 32).
use omq_proto::proto::z85;
use omq_proto::{CurveKeypair, CurvePublicKey, CurveSecretKey};
use std::time::SystemTime;
use zeroize::Zeroizing;

/// What a key file holds.
pub(super) struct Certificate {
    pub(super) public: Option<CurvePublicKey>,
    pub(super) secret: Option<CurveSecretKey>,
}

/// What is wrong with a key file's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// There is no public key.
    #[error("it has no line `public-key = \"...\"`")]
    NoPublic,
    /// There is no secret key.
    #[error("it has no line `secret-key = \"...\"`")]
    NoSecret,
    /// A key is not one.
    #[error("a key is not 40 characters of Z85")]
    NotAKey,
    /// The two halves are of two pairs.
    #[error("its public key does not belong to its secret key")]
    Mismatch,
    /// The public file is of another pair.
    #[error("it does not belong to the secret key beside it")]
    OtherPair,
    /// The file is too long for a key file.
    #[error("it is longer than any key file")]
    TooLong,
}

// === impl Certificate ===

impl Certificate {
    /// Reads a file's text by the rules of `zmq.auth.load_certificate`.
    pub(super) fn parse(text: &[u8]) -> Result<Self, BadKey> {
        let mut found = Self { public: None, secret: None };
        for line in text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii) {
            if line.starts_with(b"public-key") {
                found.public = Some(CurvePublicKey::from_bytes(*key(line)?));
            } else if line.starts_with(b"secret-key") {
                found.secret = Some(CurveSecretKey::from_bytes(*key(line)?));
            }
        }
        Ok(found)
    }

    /// The pair that a secret file holds.
    pub(super) fn into_pair(self) -> Result<CurveKeypair, BadKey> {
        let secret = self.secret.ok_or(BadKey::NoSecret)?;
        let public = secret.derive_public();
        match self.public {
            Some(told) if told != public => Err(BadKey::Mismatch),
            _ => Ok(CurveKeypair { public, secret }),
        }
    }
}

/// The key in a line such as `public-key = "..."`.
fn key(line: &[u8]) -> Result<Zeroizing<[u8; 32]>, BadKey> {
    let at = line.iter().position(|&byte| byte == b'=').ok_or(BadKey::NotAKey)?;
    let text = str::from_utf8(&line[at + 1..]).map_err(|_| BadKey::NotAKey)?;
    let text = text.trim_matches([' ', '\t', '\'', '"']);
    let bytes = Zeroizing::new(z85::decode(text).map_err(|_| BadKey::NotAKey)?);
    bytes.as_slice().try_into().map(Zeroizing::new).map_err(|_| BadKey::NotAKey)
}

/// The text of a public file.
pub(super) fn public_text(pair: &CurveKeypair) -> String {
    format!(
        "# CURVE public key, made by rowhouse on {}.\n# Give it to those you talk to, over a channel you trust.\n\nmetadata\ncurve\n    public-key = \"{}\"\n",
        humantime::format_rfc3339_seconds(SystemTime::now()),
        pair.public.to_z85(),
    )
}

/// The text of a secret file.
pub(super) fn secret_text(pair: &CurveKeypair) -> Zeroizing<String> {
    let secret = Zeroizing::new(pair.secret.to_z85());
    Zeroizing::new(format!(
        "# CURVE **secret** key, made by rowhouse on {}.\n# Give it to nobody, and leave its permissions as they are.\n\nmetadata\ncurve\n    public-key = \"{}\"\n    secret-key = \"{}\"\n",
        humantime::format_rfc3339_seconds(SystemTime::now()),
        pair.public.to_z85(),
        *secret,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<CurveKeypair, BadKey> {
        Certificate::parse(text.as_bytes())?.into_pair()
    }

    #[test]
    fn what_is_written_is_read() {
        let pair = CurveKeypair::generate();
        let read = parse(&secret_text(&pair)).expect("a pair");
        assert_eq!(read.public, pair.public);
        assert!(read.secret == pair.secret);
        let public = Certificate::parse(public_text(&pair).as_bytes()).expect("a certificate");
        assert_eq!(public.public, Some(pair.public));
        assert!(public.secret.is_none());
    }

    #[test]
    fn pyzmq_and_czmq_spellings_are_read() {
        let pair = CurveKeypair::generate();
        let (public, secret) = (pair.public.to_z85(), pair.secret.to_z85());
        for text in [
            format!(
                "#   ****  Generated on x by pyzmq  ****\n\nmetadata\ncurve\n    public-key = \"{public}\"\n    secret-key = \"{secret}\"\n"
            ),
            format!("public-key={public}\r\nsecret-key='{secret}'"),
            format!("\tpublic-key\t=\t\"{public}\"\t\n\u{e9}\n\tsecret-key = \"{secret}\" "),
            format!("secret-key = \"{secret}\""),
        ] {
            assert_eq!(parse(&text).expect("a pair").public, pair.public, "{text}");
        }
    }

    #[test]
    fn what_is_no_pair_is_told() {
        let (one, other) = (CurveKeypair::generate(), CurveKeypair::generate());
        let mixed =
            format!("public-key = \"{}\"\nsecret-key = \"{}\"", one.public.to_z85(), other.secret.to_z85());
        assert_eq!(parse(&mixed).err(), Some(BadKey::Mismatch));
        assert_eq!(parse(&public_text(&one)).err(), Some(BadKey::NoSecret));
        for bad in ["", "\"\"", "abc", "0000000000000000000000000000000000000000\\", &"#".repeat(40)] {
            assert_eq!(parse(&format!("secret-key = {bad}")).err(), Some(BadKey::NotAKey), "{bad}");
        }
        assert_eq!(parse("secret-key").err(), Some(BadKey::NotAKey));
    }

    #[test]
    fn nothing_shows_the_secret() {
        let pair = CurveKeypair::generate();
        let shown = format!("{:?}", crate::curve::ServerKeys(pair.clone()));
        assert!(shown.contains(&pair.public.to_z85()));
        assert!(!shown.contains(&pair.secret.to_z85()), "{shown}");
    }
}
