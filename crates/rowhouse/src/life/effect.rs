//! How a change of the configuration takes effect in a running server.
use super::LogLevel;
use super::in_force::{Effect, Unchanged};
use crate::compose::{http_timeouts, timeouts};
use crate::config::Config;
use rowhouse_gateway::{Cause, Change as Limit, Clients, Gateway, Recording};
use rowhouse_protocol_hrana as hrana;
use rowhouse_protocol_sqlite_rx::Patience;
use serde_json::Value as Json;

/// What of a running server the configuration changes.
#[derive(Debug)]
pub(crate) struct Effects {
    pub(crate) log: LogLevel,
    pub(crate) gateway: Gateway,
    pub(crate) clients: Clients,
    pub(crate) patience: Patience,
    pub(crate) http_patience: hrana::Patience,
}

impl Effect for Effects {
    fn limit(
        &self,
        (before, after): (&Config, &Config),
        cause: &Cause,
    ) -> Result<Option<Recording>, Unchanged> {
        let limit = after.client_limit;
        if before.client_limit == limit {
            return Ok(None);
        }
        let changed = self.clients.change(Limit::Set { limit, drain: false }, cause.clone());
        changed.map(|changed| Some(changed.recording)).map_err(|error| {
            let reason = format!("client_limit stays {}: {error}", error.limit());
            Unchanged { key: "client_limit", reason }
        })
    }

    fn apply(&self, (before, after): (&Config, &Config)) {
        if let Err(error) = self.log.set(&after.log_level) {
            // It was checked with the rest of the configuration.
            tracing::error!(%error, "log level not changed");
        }
        if before.limits != after.limits
            && let Err(error) = self.gateway.set_defaults(after.limits)
        {
            // They were checked with the rest of the configuration.
            tracing::error!(%error, "limits of databases not changed");
        }
        self.patience.set(timeouts(after));
        self.http_patience.set(http_timeouts(after));
        self.clients.set_handshake_limit(after.handshake_limit);
    }

    fn changed_elsewhere(&self) -> Vec<(&'static str, Json)> {
        vec![("client_limit", self.clients.status().limit.get().into())]
    }
}
