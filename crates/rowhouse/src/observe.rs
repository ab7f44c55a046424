//! The log: one line for each thing that happened; openings and closings, which are everyday, and
//! refusals that are the client's doing, at `debug`.
//!
//! What clients can bring about again and again is said in moderation, and what was left unsaid is
//! counted in `suppressed`: no client fills the disk by being refused.
mod access;
mod http;
mod journal;
mod limit;
mod metrics;
mod moderation;

pub(crate) use access::write_access;
pub(crate) use http::write_http;
pub use metrics::Metrics;
use moderation::Moderation;
use rowhouse_gateway::{CloseReason, Event, Observer, Refusal};
use rowhouse_types::{ErrorCode, Reportable as _, Target};
use std::error::Error;
use std::time::{Duration, Instant};

/// The observer that writes the log.
#[derive(Debug, Default)]
pub struct Log {
    moderation: Moderation,
}

/// All who hear of what happens.
#[derive(Debug, Default)]
pub(crate) struct Everybody {
    log: Log,
    metrics: Metrics,
}

impl Everybody {
    /// What was counted.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

impl Observer for Log {
    fn observe(&self, event: &Event<'_>) {
        match event {
            Event::DatabaseCreated { database } => {
                if let Some(suppressed) = self.moderation.word(("created", ""), None, Instant::now()) {
                    tracing::info!(%database, suppressed, "database created");
                }
            }
            Event::DatabaseDropped { .. } | Event::DatabaseFrozen { .. } => administered(event),
            Event::DatabaseOpened { database, took } => {
                tracing::debug!(database = name(database), duration_ms = millis(*took), "database opened");
            }
            Event::DatabaseClosed { database, reason, took } => closed(database, *reason, *took),
            Event::OpenFailed { database, code, error } => {
                if let Some(suppressed) = self.word("open failed", *code, database) {
                    let (database, error) = (name(database), chain(*error));
                    tracing::warn!(database, %code, error, suppressed, "database not opened");
                }
            }
            Event::DatabaseFailed { database, code, error } => {
                if let Some(suppressed) = self.word("failed", *code, database) {
                    let (database, error) = (name(database), chain(*error));
                    tracing::warn!(database, %code, error, suppressed, "database failed");
                }
            }
            Event::CloseFailed { database, error } => {
                let (database, error) = (name(database), chain(*error));
                tracing::error!(database, error, "database did not close cleanly");
            }
            Event::BackedUp { database, bytes, took } => {
                tracing::info!(
                    database = name(database),
                    bytes,
                    duration_ms = millis(*took),
                    "database backed up"
                );
            }
            Event::BackupFailed { database, code, error } => {
                let (database, error) = (name(database), chain(*error));
                tracing::error!(database, %code, error, "database not backed up; its former backups are as they were");
            }
            Event::BackupsNotListed { error } => {
                tracing::error!(error = chain(*error), "backups not made: what there is could not be listed");
            }
            Event::EngineNotReady { .. } | Event::EngineReady { .. } => of_engine(event),
            Event::Migrated { .. } | Event::MigrationFailed { .. } | Event::GroundworkFailed { .. } => {
                self.migrated(event);
            }
            Event::Refused { database, reason, code } => self.refused(database, *reason, *code),
            Event::ClientRefused { .. }
            | Event::ClientUnauthorized { .. }
            | Event::ClientRevoked { .. }
            | Event::CredentialsRefused { .. }
            | Event::FilesShort
            | Event::HandshakesCrowded { .. } => self.at_the_door(event),
            Event::Thrashing { reopened, within, limit, would_fit } => tracing::warn!(
                reopened,
                within_ms = millis(*within),
                max_connections = limit.get(),
                suggested_max_connections = would_fit,
                "thrashing: databases are opened again soon after they were evicted; raise max_connections",
            ),
            Event::Journal(event) => journal::say(event),
            Event::ClientLimitChanged { .. }
            | Event::ClientLimitKept { .. }
            | Event::ClientEnded { .. }
            | Event::ClientUsageHigh { .. }
            | Event::ClientUsageNormal { .. } => limit::say(event, &self.moderation),
            event => tracing::info!(?event, "event"),
        }
    }
}

impl Observer for Everybody {
    fn observe(&self, event: &Event<'_>) {
        self.log.observe(event);
        self.metrics.observe(event);
    }
}

impl Log {
    fn refused(&self, database: &Target, reason: Refusal, code: ErrorCode) {
        let word = reason.as_str();
        if matches!(reason, Refusal::Unknown | Refusal::Closing) {
            tracing::debug!(database = name(database), reason = word, %code, "request refused");
        } else if let Some(suppressed) =
            self.moderation.word(("refused", word), Some(database), Instant::now())
        {
            tracing::warn!(database = name(database), reason = word, %code, suppressed, "request refused");
        }
    }

    /// What became of schemas. As many databases may be told of as there are.
    fn migrated(&self, event: &Event<'_>) {
        match event {
            Event::Migrated { database, from, to, took } => {
                if let Some(suppressed) = self.moderation.word(("migrated", ""), None, Instant::now()) {
                    let (database, duration_ms) = (name(database), millis(*took));
                    tracing::info!(database, from, to, duration_ms, suppressed, "database migrated");
                }
            }
            Event::MigrationFailed { database, error } => {
                if let Some(suppressed) = self.word("migration failed", error.code(), database) {
                    let (database, code, error) = (name(database), error.code(), chain(*error));
                    tracing::error!(database, %code, error, suppressed, "database not migrated");
                }
            }
            Event::GroundworkFailed { error } => tracing::warn!(
                error = chain(*error),
                "new databases begin without the newest migrations; they are migrated when they are made"
            ),
            _ => {}
        }
    }

    /// What happened to those who are not let in, or not any longer.
    fn at_the_door(&self, event: &Event<'_>) {
        let word = |kind| self.moderation.word((kind, ""), None, Instant::now());
        match event {
            Event::ClientRefused { limit } => {
                if let Some(suppressed) = word("client refused") {
                    let code = ErrorCode::ClientLimitReached;
                    tracing::warn!(reason = "clients", %code, %limit, suppressed, "client refused: as many as LIMIT are connected");
                }
            }
            Event::ClientUnauthorized { from, key } => {
                if let Some(suppressed) = word("unauthorized") {
                    tracing::warn!(%from, key, suppressed, "client refused: its key is not among the authorized clients");
                }
            }
            Event::ClientRevoked { from } => {
                if let Some(suppressed) = word("revoked") {
                    tracing::info!(%from, suppressed, "client ended: its key is no longer among the authorized clients");
                }
            }
            Event::CredentialsRefused { from, why } => {
                if let Some(suppressed) = word(why) {
                    tracing::warn!(%from, why, suppressed, "credentials refused");
                }
            }
            Event::FilesShort => {
                if let Some(suppressed) = word("files") {
                    tracing::warn!(
                        suppressed,
                        "clients wait: the limit of open files is all but reached; lower the client limit, or raise it (ulimit -Hn)"
                    );
                }
            }
            Event::HandshakesCrowded { from, limit } => {
                if let Some(suppressed) = word("crowded") {
                    tracing::warn!(%from, %limit, suppressed, "of those who have not said who they are, the oldest of the address with the most was dropped for a newcomer");
                }
            }
            _ => {}
        }
    }

    fn word(&self, kind: &'static str, code: ErrorCode, database: &Target) -> Option<Option<u64>> {
        self.moderation.word((kind, code.as_str()), Some(database), Instant::now())
    }
}

/// Whether databases can be made.
fn of_engine(event: &Event<'_>) {
    match event {
        Event::EngineNotReady { engine, error, again_in } => tracing::warn!(
            engine,
            error = chain(*error),
            again_in_ms = millis(*again_in),
            "databases cannot be made ready; others are served meanwhile",
        ),
        Event::EngineReady { engine, took } => {
            tracing::info!(engine, duration_ms = millis(*took), "databases can be made");
        }
        _ => {}
    }
}

/// What was done to a database, or came of what it may use.
fn administered(event: &Event<'_>) {
    match event {
        Event::DatabaseDropped { database, cause } => {
            let (interface, who) = (cause.interface.as_str(), &*cause.who);
            tracing::info!(%database, interface, who, "database dropped");
        }
        Event::DatabaseFrozen { database, limit } => tracing::warn!(
            database = name(database),
            max_database_bytes = limit,
            "database frozen: it takes as much as it may, and no writes until rows are deleted or the limit is raised"
        ),
        _ => {}
    }
}

fn closed(database: &Target, reason: CloseReason, took: Duration) {
    let (database, duration_ms, word) = (name(database), millis(took), reason.as_str());
    match reason {
        CloseReason::Replaced => tracing::info!(
            database,
            reason = word,
            duration_ms,
            "database closed: its file was replaced, renamed or removed"
        ),
        CloseReason::ProcessEnded => {
            tracing::warn!(database, reason = word, "database closed: its process ended by itself");
        }
        CloseReason::Evicted | CloseReason::Dropped | CloseReason::Shutdown => {
            tracing::debug!(database, reason = word, duration_ms, "database closed");
        }
    }
}

/// As HEALTH_CHECK calls it.
fn name(database: &Target) -> &str {
    database.name().map_or("default", |name| name.as_str())
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// An error and its causes on one line, whatever characters they have.
pub(crate) fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    let line = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    let mut plain = String::with_capacity(line.len());
    for c in line.chars() {
        if c.is_control() { plain.extend(c.escape_default()) } else { plain.push(c) }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_without_control_characters() {
        let cause = std::io::Error::other("first\nsecond\x1b[31m\u{9b}é");
        assert_eq!(chain(&cause), "first\\nsecond\\u{1b}[31m\\u{9b}é");
    }
}
