//! What only the program knows that the server is part of: its configuration, its log, its own counters.
use rowhouse_gateway::{Cause, Recording};
use rowhouse_wire::management::ConfigEntry;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Debug;

/// What management asks of the program it is part of. Nothing here blocks for long.
pub trait Operator: Debug + Send + Sync {
    /// Every option, in the order of the documentation, without secrets.
    fn config(&self) -> Vec<ConfigEntry>;

    /// Changes options while the server runs, all or none; null undoes such a change.
    ///
    /// Records what it did, and what it refused, in the journal.
    ///
    /// # Errors
    ///
    /// When one of them cannot be changed so; nothing has changed then.
    fn change_config(
        &self,
        changes: &BTreeMap<String, Value>,
        cause: Cause,
    ) -> Result<ConfigChange, OperatorError>;

    /// What is logged, as a filter.
    fn log_level(&self) -> String;

    /// Changes what is logged, and records that in the journal.
    ///
    /// # Errors
    ///
    /// When the filter makes no sense.
    fn set_log_level(&self, filter: &str, cause: Cause) -> Result<Recording, OperatorError>;

    /// Appends metrics in Prometheus' text format, whole families with bounded labels.
    fn metrics(&self, out: &mut String);

    /// Whether the server takes clients.
    fn ready(&self) -> Readiness;
}

/// What a change of the configuration did.
#[derive(Debug, Default)]
pub struct ConfigChange {
    /// The keys whose value is another one now.
    pub changed: Vec<String>,
    /// What was asked for and keeps its value, with the reason: one sentence each.
    pub unchanged: Vec<String>,
    /// What was recorded of it.
    pub recordings: Vec<Recording>,
}

/// Why something was not changed: one sentence, fit to be read by who asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OperatorError(pub String);

/// What it takes for the server to be ready, and whether it is so. Reading it costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// By name, such as `listening`, `databases_open` and `not_draining`.
    pub latches: BTreeMap<&'static str, bool>,
    /// Whether it takes that every open organization answers, and not only the metadata database.
    pub takes_all: bool,
}
