//! The log: one line for each thing that happened; openings and closings, which are everyday, at `debug`.
use rowhouse_gateway::{Event, Observer};
use std::error::Error;

/// The observer that writes the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Log;

impl Observer for Log {
    fn observe(&self, event: &Event<'_>) {
        match event {
            Event::DatabaseCreated { database } => tracing::info!(%database, "database created"),
            Event::DatabaseOpened { database, took } => {
                tracing::debug!(%database, took_ms = took.as_secs_f64() * 1000.0, "database opened");
            }
            Event::DatabaseClosed { database, reason } => {
                tracing::debug!(%database, ?reason, "database closed");
            }
            Event::OpenFailed { database, code, error } => {
                tracing::warn!(%database, %code, error = %chain(*error), "database not opened");
            }
            Event::CloseFailed { database, error } => {
                tracing::error!(%database, error = %chain(*error), "database did not close cleanly");
            }
            Event::RoomExhausted { database, limit } => {
                tracing::warn!(%database, %limit, "no room: every open database is in use; consider a higher max_connections");
            }
            event => tracing::info!(?event, "event"),
        }
    }
}

/// An error and its causes on one line.
fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
