//! How a change of the configuration takes effect in a running server.
use super::LogLevel;
use super::in_force::{Change, Effect, Unchanged};
use serde_json::Value as Json;

/// What of a running server the configuration changes.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) log: LogLevel,
}

impl Effect for Parts {
    fn apply(&self, change: &Change<'_>) -> Vec<Unchanged> {
        let mut unchanged = Vec::new();
        if change.before.client_limit != change.after.client_limit {
            let limit = change.before.client_limit;
            let reason = format!("client_limit stays {limit}: to change it, restart the server");
            tracing::debug!(by = change.cause.who, "the client limit is not changed");
            unchanged.push(Unchanged { key: "client_limit", reason });
        }
        if let Err(error) = self.log.set(&change.after.log_level) {
            unchanged.push(Unchanged { key: "log_level", reason: error.to_string() });
        }
        unchanged
    }

    fn changed_elsewhere(&self) -> Vec<(&'static str, Json)> {
        Vec::new()
    }
}
