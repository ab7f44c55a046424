//! The sockets of a server: bound before anything is opened, served when everything is.
use crate::compose::{self, Composed};
use crate::config::Config;
use crate::http::{self, Exposed};
use crate::listening::Listening;
use crate::server::StartError;
use rowhouse_access::{Access, Tls};
use rowhouse_protocol_hrana as hrana;
use rowhouse_protocol_sqlite_rx as sqlite_rx;
use rowhouse_sync::Drain;
use std::io;
use std::net::SocketAddr;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The sockets of a server, bound.
#[derive(Debug)]
pub(crate) struct Sockets {
    sqlite_rx: Option<sqlite_rx::Listener>,
    http: Option<hrana::Listener>,
    http_tls: Option<Tls>,
}

impl Sockets {
    /// Binds what the configuration says; a port that may be skipped and is taken is told in `warnings`.
    pub(crate) fn bind(config: &Config, warnings: &mut Vec<String>) -> Result<Self, StartError> {
        let sqlite_rx = match config.tcp_address.map(sqlite_rx::Listener::bind).transpose() {
            Ok(bound) => bound,
            Err(error) if config.skip_taken_ports && error.source.kind() == io::ErrorKind::AddrInUse => {
                warnings.push(format!("sqlite_rx is not served: {} is taken", error.address));
                None
            }
            Err(error) => return Err(error.into()),
        };
        let http_tls = http::tls(config.http.as_ref())?;
        Ok(Self { sqlite_rx, http: http::bind(config.http.as_ref(), warnings)?, http_tls })
    }

    /// What is served where.
    pub(crate) fn listening(&self) -> Vec<Listening> {
        let of = |protocol, scheme, address| Listening { protocol, scheme, address };
        let sqlite_rx = self.sqlite_rx().map(|address| of("sqlite_rx", "tcp", address));
        let http = self.http.as_ref().map(|socket| {
            of(Listening::HTTP, if self.http_tls.is_some() { "https" } else { "http" }, socket.address())
        });
        sqlite_rx.into_iter().chain(http).collect()
    }

    /// How HTTP is encrypted, if it is.
    pub(crate) fn http_tls(&self) -> Option<Tls> {
        self.http_tls.clone()
    }

    /// Where sqlite_rx is served, if it is.
    pub(crate) fn sqlite_rx(&self) -> Option<SocketAddr> {
        self.sqlite_rx.as_ref().map(sqlite_rx::Listener::address)
    }

    /// What an operator should know of who can reach HTTP.
    pub(crate) fn http_exposure(&self, config: &Config, access: &Access) -> Result<Vec<String>, Exposed> {
        match (&self.http, &config.http) {
            (Some(socket), Some(plan)) => http::exposure(socket.address(), access, plan),
            _ => Ok(Vec::new()),
        }
    }

    /// Serves, on tasks of the tracker's, until drained.
    pub(crate) fn serve(
        self,
        (config, composed): (&Config, &Composed),
        security: &sqlite_rx::curve::Security,
        stop: (&Drain, &CancellationToken),
        tasks: &TaskTracker,
    ) {
        if let Some(socket) = self.sqlite_rx {
            tasks.spawn(socket.serve(compose::sqlite_rx(config, composed, security.clone(), stop)));
        }
        if let (Some(socket), Some(plan)) = (self.http, &config.http) {
            let context = compose::http((config, plan), composed, self.http_tls, stop);
            tasks.spawn(socket.serve(context));
        }
    }
}
