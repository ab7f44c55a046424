//! Under which names a server may be called: what keeps a web page from calling it by a name of its own.
use std::net::IpAddr;

/// The names under which a server may be called, whatever the port.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    configured: Vec<String>,
}

// === impl Hosts ===

impl Hosts {
    /// These, beside `localhost` and addresses.
    pub fn new(configured: &[String]) -> Self {
        Self { configured: configured.iter().map(|host| host.to_ascii_lowercase()).collect() }
    }

    /// Whether `host`, with or without a port, is one of ours; `called` is the address that was called.
    ///
    /// An address can always stand for itself: a page can make a name lead here, but no address.
    pub fn allow(&self, host: &str, called: IpAddr) -> bool {
        let Some(name) = without_port(host) else { return false };
        if let Ok(address) = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            return address == called || address.is_loopback() && is_written_plainly(name);
        }
        name.eq_ignore_ascii_case("localhost")
            || self.configured.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// `127.0.0.1` and `[::1]`, and no other way to write what is loopback.
fn is_written_plainly(name: &str) -> bool {
    matches!(name, "127.0.0.1" | "[::1]")
}

/// The name in front of the port, if there is one; an IPv6 address keeps its brackets.
pub(super) fn without_port(host: &str) -> Option<&str> {
    let end = match host.strip_prefix('[') {
        Some(rest) => rest.find(']')? + 2,
        None => host.find(':').unwrap_or(host.len()),
    };
    let (name, port) = host.split_at(end);
    let is_port =
        |port: &str| !port.is_empty() && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit());
    (port.is_empty() || port.strip_prefix(':').is_some_and(is_port)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_are_ours() {
        let hosts = Hosts::new(&["db.example.org".to_owned()]);
        let called: IpAddr = "192.168.1.5".parse().unwrap();
        for host in [
            "localhost",
            "localhost:10090",
            "LocalHost:1",
            "127.0.0.1",
            "127.0.0.1:65535",
            "[::1]",
            "[::1]:10090",
            "db.example.org",
            "DB.example.org:443",
            "192.168.1.5:10090",
        ] {
            assert!(hosts.allow(host, called), "{host}");
        }
        for host in [
            "",
            ":10090",
            "evil.com",
            "evil.com:10090",
            "localhost.evil.com",
            "localhost.",
            "localhost:",
            "localhost:x",
            "localhost:123456",
            "localhost@evil.com",
            "127.0.0.1.nip.io",
            "127.0.0.2",
            "2130706433",
            "::1",
            "[::1",
            "[::1]evil.com",
            "[::ffff:127.0.0.1]",
            "192.168.1.6",
            "example.org",
        ] {
            assert!(!hosts.allow(host, called), "{host}");
        }
    }
}
