//! What management asks of the program: its configuration, its log, what it has counted.
use super::in_force::{ChangeError, InForce};
use super::log_level::LogLevel;
use crate::observe::{Everybody, chain, write_access, write_http};
use rowhouse_access::Access;
use rowhouse_gateway::{Action, Cause, Entry, Journal, Recording};
use rowhouse_management::{ConfigChange, Operator, OperatorError, Readiness};
use rowhouse_protocol_hrana::Counters;
use rowhouse_sync::Drain;
use rowhouse_wire::management::ConfigEntry;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A server that serves, for those who manage it.
#[derive(Debug)]
pub(crate) struct Attendant {
    pub(crate) in_force: Arc<InForce>,
    pub(crate) log: LogLevel,
    pub(crate) observer: Arc<Everybody>,
    pub(crate) journal: Journal,
    pub(crate) access: Access,
    pub(crate) http: Counters,
    pub(crate) drain: Drain,
}

impl Operator for Attendant {
    fn config(&self) -> Vec<ConfigEntry> {
        let entry = |told: super::OptionInForce| ConfigEntry {
            changes: told.option.live,
            key: told.option.key.to_owned(),
            origin: told.origin.to_string(),
            value: told.value,
        };
        self.in_force.options().into_iter().map(entry).collect()
    }

    fn change_config(
        &self,
        changes: &BTreeMap<String, Value>,
        cause: Cause,
    ) -> Result<ConfigChange, OperatorError> {
        let outcome = self.in_force.change(changes, &cause).map_err(|error| said(&error))?;
        Ok(ConfigChange {
            changed: outcome.changed.iter().map(|changed| changed.key.to_owned()).collect(),
            unchanged: outcome.unchanged.into_iter().map(|unchanged| unchanged.reason).collect(),
            recordings: outcome.recordings,
        })
    }

    fn log_level(&self) -> String {
        self.log.get()
    }

    fn set_log_level(&self, filter: &str, cause: Cause) -> Result<Recording, OperatorError> {
        let changes = BTreeMap::from([("log_level".to_owned(), filter.into())]);
        let outcome = self.in_force.change(&changes, &cause).map_err(|error| said(&error))?;
        let same = || {
            let filter = Some(format!("log_level = {filter:?}"));
            let entry = Entry { from: filter.clone(), to: filter, ..Entry::of(Action::LogLevel, cause) };
            self.journal.record(entry)
        };
        Ok(outcome.recordings.into_iter().next().unwrap_or_else(same))
    }

    fn metrics(&self, out: &mut String) {
        self.observer.metrics().write(out);
        write_access(&self.access.counts(), out);
        write_http(&self.http.list(), out);
    }

    fn ready(&self) -> Readiness {
        // It is asked only once the ports are bound and the configured databases open.
        let latches =
            [("listening", true), ("databases_open", true), ("not_draining", !self.drain.is_draining())];
        Readiness { latches: latches.into(), takes_all: self.in_force.config().ready_takes_all }
    }
}

/// One sentence with its causes: who asks is an operator.
fn said(error: &ChangeError) -> OperatorError {
    OperatorError(chain(error))
}
