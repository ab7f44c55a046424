//! Domains below which hosts name databases.
use std::str::FromStr;

/// A domain below which each host names a database: with `example.com`, `acme.example.com` is `acme`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain(String);

/// Why a text is no [`Domain`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a domain such as `example.com`")]
pub struct InvalidDomain;

// === impl Domain ===

impl Domain {
    /// The longest domain, in bytes.
    const MAX_LEN: usize = 253;

    /// What is always one: programs on this machine find hosts below it on this machine.
    pub(super) fn localhost() -> Self {
        Self("localhost".to_owned())
    }

    /// What stands before the domain in `host`, if the host is below it. Case of letters does not matter.
    pub(super) fn label<'a>(&self, host: &'a str) -> Option<&'a str> {
        let at = host.len().checked_sub(self.0.len())?;
        let (before, domain) = host.split_at_checked(at)?;
        before.strip_suffix('.').filter(|_| domain.eq_ignore_ascii_case(&self.0))
    }

    /// Whether `host` is below the domain, or is the domain.
    pub(super) fn covers(&self, host: &str) -> bool {
        host.eq_ignore_ascii_case(&self.0) || self.label(host).is_some()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl FromStr for Domain {
    type Err = InvalidDomain;

    fn from_str(text: &str) -> Result<Self, InvalidDomain> {
        let domain = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let is_label = |label: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            (1..=63).contains(&label.len()) && label.bytes().all(plain)
        };
        let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
        // What ends in a number is an address.
        let named = domain.rsplit('.').next().is_some_and(|last| !is_number(last));
        let valid = domain.len() <= Self::MAX_LEN && domain.split('.').all(is_label) && named;
        if valid { Ok(Self(domain)) } else { Err(InvalidDomain) }
    }
}
