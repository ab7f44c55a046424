//! How a change of the configuration takes effect in a running server.
use super::LogLevel;
use super::in_force::{Applied, Effect, Unchanged};
use crate::compose::timeouts;
use crate::config::Config;
use rowhouse_gateway::{Cause, Change as Limit, Clients, Gateway};
use rowhouse_protocol_sqlite_rx::Patience;
use serde_json::Value as Json;

/// What of a running server the configuration changes.
#[derive(Debug)]
pub(crate) struct Effects {
    pub(crate) log: LogLevel,
    pub(crate) gateway: Gateway,
    pub(crate) clients: Clients,
    pub(crate) patience: Patience,
}

impl Effect for Effects {
    fn apply(&self, (before, after): (&Config, &Config), cause: &Cause) -> Applied {
        let mut applied = Applied::default();
        if let Err(error) = self.log.set(&after.log_level) {
            applied.unchanged.push(Unchanged { key: "log_level", reason: error.to_string() });
        }
        if before.limits != after.limits
            && let Err(error) = self.gateway.set_defaults(after.limits)
        {
            // They were checked with the rest of the configuration.
            tracing::error!(%error, "limits of databases not changed");
        }
        self.patience.set(timeouts(after));
        self.clients.set_handshake_limit(after.handshake_limit);
        let limit = after.client_limit;
        if before.client_limit != limit {
            let set = Limit::Set { limit, drain: false };
            match self.clients.change(set, cause.clone()) {
                Ok(changed) => applied.recordings.push(changed.recording),
                Err(error) => {
                    let reason = format!("client_limit stays {}: {error}", error.limit());
                    applied.unchanged.push(Unchanged { key: "client_limit", reason });
                }
            }
        }
        applied
    }

    fn changed_elsewhere(&self) -> Vec<(&'static str, Json)> {
        vec![("client_limit", self.clients.status().limit.get().into())]
    }
}
