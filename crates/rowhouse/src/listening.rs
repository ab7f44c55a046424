//! What is served where.
use rowhouse_protocol_hrana as hrana;
use rowhouse_protocol_sqlite_rx as sqlite_rx;
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

/// What is served where.
pub(crate) fn listening(
    sqlite_rx: Option<&sqlite_rx::Listener>,
    http: Option<&hrana::Listener>,
) -> Vec<Listening> {
    let sqlite_rx =
        sqlite_rx.map(|socket| Listening { protocol: "sqlite_rx", scheme: "tcp", address: socket.address() });
    let http =
        http.map(|socket| Listening { protocol: Listening::HTTP, scheme: "http", address: socket.address() });
    sqlite_rx.into_iter().chain(http).collect()
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
