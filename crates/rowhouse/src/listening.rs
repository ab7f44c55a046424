//! A protocol, and where it is served.
use std::fmt;
use std::net::SocketAddr;

/// A protocol and where it is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listening {
    /// The protocol's name.
    pub protocol: &'static str,
    /// What its address begins with.
    pub scheme: &'static str,
    /// Where.
    pub address: SocketAddr,
}

// === impl Listening ===

impl Listening {
    /// The name of HTTP.
    pub const HTTP: &'static str = "http";

    /// How it is called, such as `http://127.0.0.1:9090`.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }
}

/// As in the banner: the protocol and its address.
impl fmt::Display for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<11} {}", self.protocol, self.url())
    }
}
