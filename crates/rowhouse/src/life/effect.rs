//! How a change of the configuration takes effect in a running server.
use super::LogLevel;
use super::in_force::{Effect, Unchanged};
use crate::config::Config;
use rowhouse_gateway::{Cause, Change as Limit, Clients};
use serde_json::Value as Json;

/// What of a running server the configuration changes.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) log: LogLevel,
    pub(crate) clients: Clients,
}

impl Effect for Parts {
    fn apply(&self, (before, after): (&Config, &Config), cause: &Cause) -> Vec<Unchanged> {
        let mut unchanged = Vec::new();
        if let Err(error) = self.log.set(&after.log_level) {
            unchanged.push(Unchanged { key: "log_level", reason: error.to_string() });
        }
        let limit = after.client_limit;
        if before.client_limit != limit {
            let set = Limit::Set { limit, drain: false };
            if let Err(error) = self.clients.change(set, cause.clone()) {
                let reason = format!("client_limit stays {}: {error}", error.limit());
                unchanged.push(Unchanged { key: "client_limit", reason });
            }
        }
        unchanged
    }

    fn changed_elsewhere(&self) -> Vec<(&'static str, Json)> {
        vec![("client_limit", self.clients.status().limit.get().into())]
    }
}
