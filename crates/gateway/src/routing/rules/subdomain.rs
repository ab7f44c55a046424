//! The host, where it is below a domain: with `example.com`, `acme.example.com` is the database `acme`.
//!
//! Hosts know no case of letters, so the name is read in small letters. Hosts below no domain, addresses
//! among them, say nothing.
use crate::routing::domain::Domain;
use crate::routing::error::RouteError;
use crate::routing::facts::Said;
use crate::routing::router::Source;
use rowhouse_types::DatabaseName;

/// The name that the host says; the domains are in order, the longer before the shorter.
pub(in crate::routing) fn read(
    host: Said<'_>,
    domains: &[Domain],
) -> Result<Option<DatabaseName>, RouteError> {
    let host = match host {
        Said::Nothing => return Ok(None),
        Said::Differing => return Err(RouteError::Differing { part: Source::Subdomain }),
        Said::This(host) => hostname(host).ok_or(RouteError::Host)?,
    };
    // Of domains that lie below one another, the nearest.
    let Some(domain) = domains.iter().find(|domain| domain.covers(host)) else { return Ok(None) };
    let Some(label) = domain.label(host) else { return Ok(None) };
    let name = label.to_ascii_lowercase().parse();
    name.map(Some).map_err(|error| RouteError::Name { part: Source::Subdomain, error })
}

/// The name of a host without its port and the dot that may end it; nothing of an address in brackets.
fn hostname(host: &[u8]) -> Option<&str> {
    let host = str::from_utf8(host).ok()?;
    let (name, port) = match host.strip_prefix('[') {
        Some(address) => {
            let (address, port) = address.split_once(']')?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            ("", if port.is_empty() { "" } else { port.strip_prefix(':')? })
        }
        None => host.split_once(':').unwrap_or((host, "")),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let valid = name.bytes().all(plain) && port.bytes().all(|byte| byte.is_ascii_digit());
    valid.then(|| name.strip_suffix('.').unwrap_or(name))
}
