//! Where a server's management API is.
use super::super::Usage;
use hyper::Uri;
use std::fmt;
use std::net::IpAddr;

/// The scheme, host and port, and the path before the API's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    encrypted: bool,
    /// Without the brackets of an IPv6 address.
    host: String,
    port: u16,
    base: String,
}

// === impl Endpoint ===

impl Endpoint {
    /// This machine's, on a port.
    pub(super) fn local(port: u16) -> Self {
        Self { encrypted: false, host: "localhost".to_owned(), port, base: String::new() }
    }

    /// Reads `http://HOST:PORT` or `https://HOST:PORT`, with a path or without.
    pub(super) fn parse(text: &str) -> Result<Self, Usage> {
        let wrong = || Usage(format!("--url takes http://HOST:PORT or https://HOST:PORT, not {text:?}"));
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let encrypted = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong()),
        };
        let authority = uri.authority().ok_or_else(wrong)?;
        if authority.as_str().contains('@') || uri.query().is_some() {
            return Err(wrong());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = match &authority.as_str()[authority.host().len()..] {
            "" if encrypted => 443,
            "" => 80,
            _ => authority.port_u16().ok_or_else(wrong)?,
        };
        Ok(Self { encrypted, host, port, base: uri.path().trim_end_matches('/').to_owned() })
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// Whether it is on this machine, as far as its name tells.
    pub(super) fn is_local(&self) -> bool {
        self.host == "localhost" || self.host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The path before the API's own.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Host and port, as the header `Host` has them.
    pub(super) fn authority(&self) -> String {
        let (host, port) = (&self.host, self.port);
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.encrypted { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_and_shown_again() {
        for (text, shown, local) in [
            ("http://localhost:10090", "http://localhost:10090", true),
            ("http://127.0.0.1:10090/", "http://127.0.0.1:10090", true),
            ("http://[::1]:10090", "http://[::1]:10090", true),
            ("https://db.example.com", "https://db.example.com:443", false),
            ("https://db.example.com:9/rowhouse/", "https://db.example.com:9/rowhouse", false),
        ] {
            let endpoint = Endpoint::parse(text).expect("a URL");
            assert_eq!(endpoint.to_string(), shown);
            assert_eq!(endpoint.is_local(), local, "{text}");
        }
    }

    #[test]
    fn what_is_no_url_of_a_server_is_refused() {
        for text in [
            "",
            "localhost:10090",
            "ftp://a:1",
            "http://",
            "http://a:99999",
            "http://u:p@a:1",
            "http://a:1/?b",
        ] {
            assert!(Endpoint::parse(text).is_err(), "{text}");
        }
    }
}
