//! Ports: free, or taken by the server that is looked at.
use super::Finding;
use crate::config::Config;
use rowhouse_management::Listen;
use rowhouse_protocol_sqlite_rx::probe;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// How long who has a port may take to say who it is.
const PATIENCE: Duration = Duration::from_secs(2);

/// The most that is read of what it says.
const ANSWER_MAX: u64 = 4096;

/// Each port that the configuration asks for; `is_served` when a server uses the data directory.
pub(super) async fn ports(config: &Config, is_served: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(address) = config.tcp_address {
        let ours = match taken(address) {
            Some(_) if !is_served && config.curve.is_none() => {
                probe::health(reachable(address), None, PATIENCE).await.is_ok()
            }
            _ => is_served,
        };
        findings.push(port("sqlite_rx", address, ours));
    }
    let http = config.http.as_ref().map(|http| ("HTTP", http.address));
    let management = config.management.as_ref().map(|management| match management.listen {
        Listen::Loopback(port) => ("management", SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        Listen::At(address) => ("management", address),
    });
    for (name, address) in http.into_iter().chain(management) {
        let ours = is_served || tokio::task::spawn_blocking(move || is_ours(address)).await.unwrap_or(false);
        findings.push(port(name, address, ours));
    }
    findings
}

fn port(name: &str, address: SocketAddr, ours: bool) -> Finding {
    let check = format!("{name} port");
    match taken(address) {
        None if address.port() == 0 => Finding::ok(check, "any free one is taken"),
        None => Finding::ok(check, format!("{address} is free")),
        Some(error) if error.kind() == io::ErrorKind::AddrInUse && ours => {
            Finding::ok(check, format!("{address} is served by rowhouse"))
        }
        Some(error) if error.kind() == io::ErrorKind::AddrInUse => Finding::wrong(
            check,
            format!("{address} is taken by another program"),
            "stop that program, or give another port",
        ),
        Some(error) => Finding::wrong(
            check,
            format!("{address} cannot be listened on: {error}"),
            "give an address of this machine, and a port above 1023 or the right to listen below",
        ),
    }
}

/// Why a port cannot be listened on, if it cannot.
fn taken(address: SocketAddr) -> Option<io::Error> {
    TcpListener::bind(address).err()
}

/// Whether a server of ours answers HTTP there.
fn is_ours(address: SocketAddr) -> bool {
    let ask = || -> io::Result<String> {
        let mut socket = TcpStream::connect_timeout(&reachable(address), PATIENCE)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        socket.write_all(b"GET /version HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        // What came before an error says enough.
        let _cut = socket.take(ANSWER_MAX).read_to_end(&mut answer);
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    ask().is_ok_and(|answer| answer.contains("rowhouse"))
}

/// An address to connect to, for one to listen on.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_port_is_free_or_ours_or_another_programs() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        assert_eq!(port("HTTP", address, true).status, Verdict::Ok);
        let finding = port("HTTP", address, false);
        assert_eq!(finding.status, Verdict::Wrong);
        assert!(finding.found.contains("another program"), "{finding:?}");
        drop(listener);
        assert_eq!(port("HTTP", address, false).status, Verdict::Ok);
    }
}
