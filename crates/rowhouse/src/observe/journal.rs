//! What the log says of the journal of administration.
use super::chain;
use rowhouse_gateway::JournalEvent;

/// Says it.
pub(super) fn say(event: &JournalEvent<'_>) {
    match event {
        JournalEvent::Failed { error, owed } => tracing::error!(
            error = chain(*error),
            owed,
            "changes are in force but cannot be recorded: they wait in memory until the state in the data directory can be written"
        ),
        JournalEvent::Recovered { lost } => {
            tracing::info!(lost, "changes can be recorded again; those that waited have been");
        }
        JournalEvent::Lost { entries } => {
            tracing::error!(
                entries,
                "changes were never recorded: the state in the data directory could not be written"
            );
        }
        JournalEvent::Broken { error } => tracing::error!(
            error = chain(*error),
            "the history of changes is not as it was recorded: look with rowhouse audit --verify"
        ),
        // A line that is kept elsewhere proves later that nothing before was changed.
        JournalEvent::Anchored { entry, hash } => tracing::info!(entry, %hash, "history of changes anchored"),
        JournalEvent::NotClosed { error } => {
            tracing::error!(error = chain(*error), "the state in the data directory did not close cleanly");
        }
        event => tracing::info!(?event, "event"),
    }
}
