//! The sockets: bound before anything is started, on loopback unless another address is said.
use crate::context::{Listen, Settings};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use tokio::net::TcpSocket;

/// How many connections the system holds for us to accept.
const BACKLOG: u32 = 4096;

/// How often a free port is looked for that both addresses have.
const TRIES: u32 = 16;

/// Why management is not served.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// An address cannot be had.
    #[error(
        "cannot serve management on {address}, give another port with --management-port or stop what listens there"
    )]
    Address {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others can reach it, and could do everything.
    #[error(
        "management_listen {0} is reachable from other machines: it needs management_token_file, and management_tls_cert with management_tls_key"
    )]
    Exposed(SocketAddr),
}

/// Sockets that are bound and not served yet.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) listeners: Vec<TcpListener>,
    pub(crate) addresses: Vec<SocketAddr>,
}

// === impl Sockets ===

impl Sockets {
    /// Binds what the settings say. Needs a Tokio runtime with I/O.
    pub(crate) fn bind(settings: &Settings) -> Result<Self, BindError> {
        match settings.listen {
            Listen::Loopback(port) => loopback(port),
            Listen::At(address) => {
                let exposed = !address.ip().is_loopback();
                if exposed && (settings.tokens.is_none() || settings.tls.is_none()) {
                    return Err(BindError::Exposed(address));
                }
                let (listener, address) = bind(address)?;
                Ok(Self { listeners: vec![listener], addresses: vec![address] })
            }
        }
    }
}

/// Both loopback addresses on one port; a machine without IPv6 has only one.
fn loopback(port: u16) -> Result<Sockets, BindError> {
    let mut tries = if port == 0 { TRIES } else { 1 };
    loop {
        tries -= 1;
        let (first, address) = bind((Ipv4Addr::LOCALHOST, port).into())?;
        let mut sockets = Sockets { listeners: vec![first], addresses: vec![address] };
        match bind((Ipv6Addr::LOCALHOST, address.port()).into()) {
            Ok((second, address)) => {
                sockets.listeners.push(second);
                sockets.addresses.push(address);
            }
            Err(BindError::Address { source, .. }) if lacks_ipv6(&source) => {}
            // Free for one of the two only: another is looked for, if any will do.
            Err(_) if tries > 0 => continue,
            Err(error) => return Err(error),
        }
        return Ok(sockets);
    }
}

fn lacks_ipv6(error: &io::Error) -> bool {
    // Linux's number for an address family it does not have; it has no kind of its own.
    const EAFNOSUPPORT: i32 = if cfg!(target_os = "macos") { 47 } else { 97 };
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.kind() == io::ErrorKind::Unsupported
        || error.raw_os_error() == Some(EAFNOSUPPORT)
}

fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), BindError> {
    let bind = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?.into_std()?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bind().map_err(|source| BindError::Address { address, source })
}
