//! What is said at the start: what listens where, within which limits, and a line to try.
use crate::config::{Config, Postgres};
use crate::listening::Listening;
use crate::server::Running;
use rowhouse_gateway::Dynamic;
use rowhouse_protocol_sqlite_rx::curve::Security;
use std::fmt;

/// What is said at the start.
#[derive(Clone, Copy, Debug)]
pub struct Banner<'a>(pub &'a Running);

impl fmt::Display for Banner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(running) = self;
        let config = running.config();
        writeln!(f, "rowhouse {}", env!("CARGO_PKG_VERSION"))?;
        // First, so that who waits for the others has it.
        match running.management() {
            Some(management) => {
                writeln!(f, "  {:<11} {}{}", "management", management.url(), Callers(config))?;
            }
            None => writeln!(f, "  {:<11} none", "management")?,
        }
        for listening in running.listeners() {
            writeln!(f, "  {listening}")?;
        }
        match &config.data_directory {
            Some(directory) => writeln!(f, "  {:<11} {}", "data", directory.display())?,
            None if config.postgres.is_some() => {
                writeln!(f, "  {:<11} none: what the server keeps of itself ends with it", "data")?;
            }
            None => writeln!(f, "  {:<11} none: configured databases only", "data")?,
        }
        if let Some(postgres) = &config.postgres {
            writeln!(f, "  {:<11} {}", "postgres", Servers(postgres))?;
        }
        if let Some(plan) = &config.backups {
            let (directory, interval) = (plan.directory.display(), humantime::format_duration(plan.interval));
            writeln!(f, "  {:<11} every {interval} to {directory}, {} kept of each", "backups", plan.keep)?;
        }
        let named = match config.catalog.dynamic() {
            Dynamic::Off => "not opened by name".to_owned(),
            Dynamic::Open => format!("opened by name, {} at once", config.limits.max_connections),
            Dynamic::Create => {
                format!("opened and created by name, {} at once", config.limits.max_connections)
            }
        };
        writeln!(f, "  {:<11} {named}", "databases")?;
        writeln!(f, "  {:<11} {}", "clients", running.client_limit())?;
        writeln!(f, "  {:<11} {}", "encryption", Encryption(running.security()))?;
        for warning in running.warnings() {
            writeln!(f, "  warning     {warning}")?;
        }
        match &config.curve {
            None => try_plain(f, running),
            Some(curve) => {
                let public = curve.keys.public();
                writeln!(f, "clients need keys (rowhouse keygen) and a copy of {}", public.display())
            }
        }
    }
}

/// A line that asks the server something.
fn try_plain(f: &mut fmt::Formatter<'_>, running: &Running) -> fmt::Result {
    for listening in running.listeners() {
        let url = listening.url();
        if listening.protocol == Listening::HTTP {
            writeln!(f, "try:")?;
            writeln!(f, "  curl {url}/query -d '{{\"sql\": \"SELECT 1\"}}'")?;
            continue;
        }
        writeln!(f, "try (pip install ./clients/python):")?;
        writeln!(
            f,
            "  python3 -c 'from rowhouse_sqlite_rx import SQLiteClient; print(SQLiteClient(connect_address=\"{url}\").execute(\"SELECT 1\"))'"
        )?;
    }
    Ok(())
}

/// Where databases of new names are, and what they are called.
struct Servers<'a>(&'a Postgres);

impl fmt::Display for Servers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on ", self.0.names)?;
        for (index, server) in self.0.servers.iter().enumerate() {
            let hosts: Vec<_> = server.admin.hosts.iter().map(ToString::to_string).collect();
            write!(f, "{}{} ({})", if index == 0 { "" } else { ", " }, hosts.join(","), server.label)?;
        }
        Ok(())
    }
}

/// Who may manage the server, in words.
struct Callers<'a>(&'a Config);

impl fmt::Display for Callers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = self.0.management.as_ref().is_some_and(|management| management.token_file.is_some());
        f.write_str(if token { " (with a token)" } else { " (whoever is on this machine)" })
    }
}

/// How clients are let in, in words.
struct Encryption<'a>(&'a Security);

impl fmt::Display for Encryption<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.encrypts(), self.0.allowed()) {
            (false, _) => f.write_str("none"),
            (true, None) => f.write_str("CURVE, whatever the client's key"),
            (true, Some(allowed)) => {
                write!(f, "CURVE, for {} authorized clients only", allowed.count())
            }
        }
    }
}
