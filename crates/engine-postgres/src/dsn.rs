//! Where a server is and how it is spoken with, read from what operators write.
//!
//! A DSN is taken apart once, into fields; no DSN is ever put together. What a field holds is never read
//! again as anything else, so that no name and no password can become an option.
use crate::secret::Secret;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The port that PostgreSQL has by default.
const PORT: u16 = 5432;

/// A server, and how to log in to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dsn {
    /// Where it is: the first that answers, in this order.
    pub hosts: Vec<Host>,
    /// Who logs in.
    pub user: String,
    /// With what.
    pub password: Option<Secret>,
    /// The database, as it was written: it may hold a place for a name.
    pub database: String,
    /// Whether what is said is encrypted.
    pub encryption: Encryption,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// What it calls itself to the server.
    pub application_name: String,
    /// Which of several hosts will do.
    pub target: Target,
}

/// Which of several hosts will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The first that answers.
    Any,
    /// The first that can be written to: not a standby.
    Primary,
}

/// One place at which a server may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A name or an address, and a port.
    Network {
        /// The name or the address.
        name: String,
        /// The port.
        port: u16,
    },
    /// The directory of a Unix socket, and the port that is part of the socket's name.
    Unix {
        /// The directory.
        directory: PathBuf,
        /// The port.
        port: u16,
    },
}

/// Whether what is said is encrypted.
///
/// There is nothing between: encryption to whoever answers is none against who can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// It is not. Only on loopback and Unix sockets.
    None,
    /// By TLS, with the server's certificate and name verified (`verify-full`).
    Verified {
        /// Certificates to trust, in PEM; those of the system if there is none.
        roots: Option<PathBuf>,
    },
}

/// Why a text is no DSN. It never holds what was written in the text beyond the name of a parameter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DsnError {
    /// The scheme is none of PostgreSQL's.
    #[error("a DSN begins with postgresql://, postgres:// or postgresql+asyncpg://")]
    Scheme,
    /// An escape is none, or not of UTF-8.
    #[error("the {part} has a percent sign that begins no escape of UTF-8 text")]
    Escape {
        /// Where.
        part: &'static str,
    },
    /// A port is none.
    #[error("a port is a number from 1 to 65535")]
    Port,
    /// A host is none.
    #[error("a host is a name, an IPv4 address, an IPv6 address in brackets, or a directory of sockets")]
    Host,
    /// There is no user.
    #[error("there is no user in it")]
    NoUser,
    /// There is no database.
    #[error("there is no database in it")]
    NoDatabase,
    /// A parameter is not known here.
    #[error("the parameter `{name}` is not known; known are {KNOWN}")]
    Parameter {
        /// Its name.
        name: String,
    },
    /// A parameter has a value that it cannot have.
    #[error("the parameter `{name}` is {expected}")]
    Value {
        /// Its name.
        name: &'static str,
        /// What it can be.
        expected: &'static str,
    },
    /// It would be spoken in plain text, or with whoever answers, over a network.
    #[error("off loopback a server is spoken with by sslmode=verify-full only")]
    Unverified,
}

const KNOWN: &str = "host, port, user, password, dbname, sslmode, ssl, sslrootcert, connect_timeout, application_name, target_session_attrs";

/// Parts as they were found, before they are checked against each other.
#[derive(Default)]
struct Parts {
    hosts: Vec<(String, Option<u16>)>,
    port: Option<u16>,
    user: Option<String>,
    password: Option<Secret>,
    database: Option<String>,
    mode: Option<Mode>,
    roots: Option<PathBuf>,
    connect_timeout: Option<Duration>,
    application_name: Option<String>,
    target: Option<Target>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Never,
    IfItMust,
    Always,
}

// === impl Dsn ===

impl Dsn {
    /// Reads a DSN: `postgresql://user:password@host:port/database?parameter=value`, with several hosts
    /// if need be.
    ///
    /// `sslmode=require` and `verify-ca` are taken as `verify-full`, which is what they are taken for.
    /// Without any of them TLS is used off loopback and not used on it.
    ///
    /// # Errors
    ///
    /// When it is none, or says what is not known here.
    pub fn parse(text: &str) -> Result<Self, DsnError> {
        let schemes = ["postgresql+asyncpg://", "postgresql://", "postgres://"];
        let rest = schemes.iter().find_map(|scheme| text.strip_prefix(scheme)).ok_or(DsnError::Scheme)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let mut parts = Parts::default();
        let hosts = match authority.rsplit_once('@') {
            Some((who, hosts)) => {
                let (user, password) = who.split_once(':').map_or((who, None), |(u, p)| (u, Some(p)));
                parts.user = Some(unescape(user, "user")?);
                if let Some(password) = password {
                    parts.password = Some(Secret::new(unescape(password, "password")?));
                }
                hosts
            }
            None => authority,
        };
        for host in hosts.split(',').filter(|host| !host.is_empty()) {
            parts.hosts.push(host_and_port(host)?);
        }
        parts.database = Some(unescape(path, "database")?).filter(|name| !name.is_empty());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            parts.set(&unescape(name, "parameters")?, &unescape(value, "parameters")?)?;
        }
        parts.check()
    }
}

// === impl Host ===

impl Host {
    /// Whether what is said to it leaves the machine.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Unix { .. } => true,
            Self::Network { name, .. } => {
                name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
            }
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network { name, port } if name.contains(':') => write!(f, "[{name}]:{port}"),
            Self::Network { name, port } => write!(f, "{name}:{port}"),
            Self::Unix { directory, port } => write!(f, "{}:{port}", directory.display()),
        }
    }
}

// === impl Parts ===

impl Parts {
    fn set(&mut self, name: &str, value: &str) -> Result<(), DsnError> {
        match name {
            "host" => {
                self.hosts = value.split(',').map(|host| (host.to_owned(), None)).collect();
            }
            "port" => self.port = Some(port(value)?),
            "user" => self.user = Some(value.to_owned()),
            "password" => self.password = Some(Secret::new(value)),
            "dbname" => self.database = Some(value.to_owned()),
            "sslmode" | "ssl" => self.mode = Some(mode(value)?),
            "sslrootcert" => self.roots = Some(value.into()).filter(|_| value != "system"),
            "connect_timeout" => self.connect_timeout = Some(seconds(value)?),
            "target_session_attrs" => self.target = Some(target(value)?),
            "application_name" => self.application_name = Some(value.to_owned()),
            _ => return Err(DsnError::Parameter { name: name.to_owned() }),
        }
        Ok(())
    }

    fn check(self) -> Result<Dsn, DsnError> {
        let mut hosts = Vec::new();
        for (name, own) in self.hosts {
            let port = own.or(self.port).unwrap_or(PORT);
            if name.is_empty() || name.contains(['\0', ' ']) {
                return Err(DsnError::Host);
            }
            hosts.push(match name.starts_with('/') {
                true => Host::Unix { directory: name.into(), port },
                false => Host::Network { name, port },
            });
        }
        if hosts.is_empty() {
            hosts.push(Host::Network { name: "localhost".to_owned(), port: self.port.unwrap_or(PORT) });
        }
        let is_local = hosts.iter().all(Host::is_local);
        let encryption = match (self.mode, is_local) {
            (Some(Mode::Always), _) | (None, false) => Encryption::Verified { roots: self.roots },
            (None | Some(Mode::Never | Mode::IfItMust), true) => Encryption::None,
            (Some(Mode::Never | Mode::IfItMust), false) => return Err(DsnError::Unverified),
        };
        let user = self.user.filter(|user| !user.is_empty()).ok_or(DsnError::NoUser)?;
        let database = self.database.filter(|name| !name.is_empty()).ok_or(DsnError::NoDatabase)?;
        // Where there are several, writing to whichever answers would be writing to a standby.
        let several = if hosts.len() == 1 { Target::Any } else { Target::Primary };
        Ok(Dsn {
            target: self.target.unwrap_or(several),
            hosts,
            user,
            password: self.password,
            database,
            encryption,
            connect_timeout: self.connect_timeout.unwrap_or(Duration::from_secs(10)),
            application_name: self.application_name.unwrap_or_else(|| "rowhouse".to_owned()),
        })
    }
}

/// `name`, `name:port`, `[v6]`, `[v6]:port`, or an escaped directory.
fn host_and_port(text: &str) -> Result<(String, Option<u16>), DsnError> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, after) = rest.split_once(']').ok_or(DsnError::Host)?;
        address.parse::<IpAddr>().map_err(|_| DsnError::Host)?;
        let own = match after.strip_prefix(':') {
            Some(number) => Some(port(number)?),
            None if after.is_empty() => None,
            None => return Err(DsnError::Host),
        };
        return Ok((address.to_owned(), own));
    }
    match text.split_once(':') {
        Some((name, number)) => Ok((unescape(name, "host")?, Some(port(number)?))),
        None => Ok((unescape(text, "host")?, None)),
    }
}

fn port(text: &str) -> Result<u16, DsnError> {
    text.parse().ok().filter(|&port| port != 0).ok_or(DsnError::Port)
}

fn seconds(text: &str) -> Result<Duration, DsnError> {
    let expected = "a number of seconds from 1 to 3600";
    let seconds: u64 = text.parse().map_err(|_| DsnError::Value { name: "connect_timeout", expected })?;
    match seconds {
        1..=3600 => Ok(Duration::from_secs(seconds)),
        _ => Err(DsnError::Value { name: "connect_timeout", expected }),
    }
}

fn mode(text: &str) -> Result<Mode, DsnError> {
    match text {
        "disable" | "false" => Ok(Mode::Never),
        "allow" | "prefer" => Ok(Mode::IfItMust),
        "require" | "verify-ca" | "verify-full" | "true" => Ok(Mode::Always),
        _ => Err(DsnError::Value { name: "sslmode", expected: "disable, prefer, require or verify-full" }),
    }
}

fn target(text: &str) -> Result<Target, DsnError> {
    match text {
        "any" => Ok(Target::Any),
        "primary" | "read-write" => Ok(Target::Primary),
        _ => Err(DsnError::Value { name: "target_session_attrs", expected: "any, primary or read-write" }),
    }
}

fn unescape(text: &str, part: &'static str) -> Result<String, DsnError> {
    let wrong = || DsnError::Escape { part };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => {
                let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
                let (high, low) = (digit().ok_or_else(wrong)?, digit().ok_or_else(wrong)?);
                (high * 16 + low) as u8
            }
            byte => byte,
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0')).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Dsn {
        Dsn::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn network(name: &str, port: u16) -> Host {
        Host::Network { name: name.to_owned(), port }
    }

    #[test]
    fn every_spelling_of_the_scheme_is_one() {
        for scheme in ["postgresql+asyncpg", "postgresql", "postgres"] {
            let dsn = parsed(&format!("{scheme}://mad:s%40f%2Fe@localhost/mad"));
            assert_eq!((&*dsn.user, &*dsn.database), ("mad", "mad"));
            assert_eq!(dsn.password, Some(Secret::new("s@f/e")));
            assert_eq!(dsn.hosts, [network("localhost", 5432)]);
        }
        assert_eq!(Dsn::parse("mysql://mad@localhost/mad"), Err(DsnError::Scheme));
    }

    #[test]
    fn hosts_are_names_addresses_and_sockets() {
        let target = |text| parsed(text).target;
        assert_eq!(target("postgres://u@a.example/d"), Target::Any);
        assert_eq!(target("postgres://u@a.example,b.example/d"), Target::Primary);
        assert_eq!(target("postgres://u@a.example,b.example/d?target_session_attrs=any"), Target::Any);
        assert_eq!(parsed("postgres://u@[::1]:6000/d").hosts, [network("::1", 6000)]);
        let two = parsed("postgres://u@a.example,b.example:6001/d");
        assert_eq!(two.hosts, [network("a.example", 5432), network("b.example", 6001)]);
        let unix = [Host::Unix { directory: "/run/postgresql".into(), port: 5433 }];
        assert_eq!(parsed("postgres://u@/d?host=/run/postgresql&port=5433").hosts, unix);
        assert_eq!(parsed("postgres://u@%2Frun%2Fpostgresql:5433/d").hosts, unix);
        assert!(
            unix[0].is_local() && !network("10.0.0.1", 1).is_local() && network("127.0.0.2", 1).is_local()
        );
    }

    #[test]
    fn off_loopback_the_server_is_verified_or_not_spoken_with() {
        let verified = Encryption::Verified { roots: None };
        assert_eq!(parsed("postgres://u@db.example/d").encryption, verified);
        for weak in ["disable", "allow", "prefer"] {
            let refused = Dsn::parse(&format!("postgres://u@db.example/d?sslmode={weak}"));
            assert_eq!(refused, Err(DsnError::Unverified), "{weak}");
            let local = parsed(&format!("postgres://u@127.0.0.1/d?sslmode={weak}"));
            assert_eq!(local.encryption, Encryption::None);
        }
        for strong in ["require", "verify-ca", "verify-full"] {
            assert_eq!(parsed(&format!("postgres://u@localhost/d?sslmode={strong}")).encryption, verified);
        }
        // One host off loopback is enough.
        let mixed = Dsn::parse("postgres://u@localhost,db.example/d?sslmode=disable");
        assert_eq!(mixed, Err(DsnError::Unverified));
    }

    #[test]
    fn what_is_not_known_is_refused_without_repeating_secrets() {
        let refused = Dsn::parse("postgres://u:s3cret@localhost/d?options=-c%20x");
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("`options`") && !error.contains("s3cret"), "{error}");
        assert_eq!(Dsn::parse("postgres://u@localhost"), Err(DsnError::NoDatabase));
        assert_eq!(Dsn::parse("postgres://localhost/d"), Err(DsnError::NoUser));
        assert_eq!(Dsn::parse("postgres://u@localhost:0/d"), Err(DsnError::Port));
        assert_eq!(Dsn::parse("postgres://u@[::1/d"), Err(DsnError::Host));
        assert_eq!(Dsn::parse("postgres://u%@localhost/d"), Err(DsnError::Escape { part: "user" }));
        assert!(!format!("{:?}", parsed("postgres://u:s3cret@localhost/d")).contains("s3cret"));
    }

    #[test]
    fn a_place_for_a_name_stays_as_it_was_written() {
        let dsn = parsed("postgresql+asyncpg://mad@localhost/mad_results_{org_id}");
        assert_eq!(dsn.database, "mad_results_{org_id}");
    }
}
