//! `rowhouse health`: ask a running server how it is, as a client would.
use super::encryption::Encryption;
use super::lower;
use anyhow::Context as _;
use clap::Args;
use rowhouse::config::{ConfigError, Curve, Layers};
use rowhouse_protocol_sqlite_rx::probe::{self, Health};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Reads the same layers as `start`, so that both mean the same address.
#[derive(Debug, Args)]
pub(crate) struct Ask {
    /// Where the server serves sqlite_rx clients [default: tcp://127.0.0.1:5000]
    #[arg(long, short = 'a', value_name = "ADDRESS")]
    tcp_address: Option<String>,
    /// The configuration file the server was started with; also ROWHOUSE_CONFIG
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    encryption: Encryption,
    /// How long the answer may take
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

impl Ask {
    /// Writes what the server says; the error says that it does not answer.
    pub(crate) fn run(&self, out: &mut impl Write) -> anyhow::Result<()> {
        // Nothing else is looked at: what the server does not need from here need not be right here.
        let layers = self.layers()?;
        let address = layers.address("tcp_address")?.expect("a command with a default");
        let keys = match Curve::resolve(&layers)? {
            Some(curve) => Some(curve.keys.load()?),
            None => None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let address = reachable(address);
        let health = runtime
            .block_on(probe::health(address, keys.as_ref(), self.timeout))
            .with_context(|| format!("no answer from tcp://{address}"))?;
        let Health { status, reason, open, most } = health;
        let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        writeln!(out, "{status}{reason}: {open} of {most} databases opened by name are open")?;
        Ok(())
    }

    fn layers(&self) -> Result<Layers, ConfigError> {
        let mut layers = Layers::new();
        layers.command("rowhouse health", &[("tcp_address", "tcp://127.0.0.1:5000")]);
        lower(&mut layers, self.config.as_deref())?;
        if let Some(address) = &self.tcp_address {
            layers.flag("tcp_address", address, "--tcp-address");
        }
        self.encryption.flags(&mut layers);
        Ok(layers)
    }
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
