//! The end of an open database.
use crate::config::Access;
use crate::database::{Boxed, Shared};
use crate::files::Place;
use crate::handle::{Handle, Source};
use rowhouse_engine::{Condition, EngineError};
use std::sync::Arc;
use std::time::Duration;

/// How long a closing database waits for others to stop reading it.
const READERS_LEAVE: Duration = Duration::from_millis(100);

/// Whether it had no connection since it was opened, but for a glance, and leaves its log as it found it.
pub(crate) fn leaves_untouched(shared: &Shared) -> bool {
    let Source::File { place, identity, .. } = &shared.source else { return false };
    shared.gate.end() && shared.kept.leave(place, *identity)
}

/// Leaves all that was committed in the main file, and nothing beside it. Blocks.
pub(crate) fn settle(
    shared: &Shared,
    mut idle: Boxed,
    anchor: Option<Box<Handle>>,
) -> Result<(), EngineError> {
    let Shared { source, config, .. } = shared;
    shared.gate.rest();
    if leaves_untouched(shared) {
        return Ok(());
    }
    let last = idle.pop();
    for handle in idle {
        handle.close()?;
    }
    if config.access == Access::ReadOnly {
        return last.map_or(Ok(()), |handle| handle.close());
    }
    let Source::File { place, identity, .. } = source else {
        last.map_or(Ok(()), |handle| handle.close())?;
        return anchor.map_or(Ok(()), |handle| handle.close());
    };
    if matches!(source.verify(), Err(EngineError::Replaced)) {
        return last.map_or(Ok(()), |handle| part_from_moved(*handle, place));
    }
    let handle = match last {
        Some(handle) => handle,
        // The last connection to close has emptied the log, unless something stopped it. Without any, it is where it
        // was left before.
        None if place.log_bytes()?.is_some_and(|bytes| bytes != 0 || shared.gate.end()) => {
            Box::new(Handle::open(source, config, &Arc::default())?)
        }
        None => return Ok(()),
    };
    // Who reads it besides, such as a backup, does not keep the database from closing: what was
    // committed is safe in the log, and the last to leave empties it.
    if place.log_bytes()? != Some(0) {
        let patience = handle.connection.busy_timeout(READERS_LEAVE);
        patience.map_err(|error| crate::errors::translate(&error))?;
        match handle.checkpoint() {
            Err(EngineError::Statement { condition: Condition::Busy, .. }) => {
                tracing::debug!("somebody else reads the database that closes");
            }
            emptied => emptied?,
        }
    }
    if shared.kept.leave(place, *identity) {
        handle.leave_log();
    }
    handle.close()
}

/// Lets go of a file that is not where it was: what was committed goes where the file went, for a
/// log left here would be taken for that of the next file of this name. Blocks.
fn part_from_moved(handle: Handle, place: &Place) -> Result<(), EngineError> {
    let emptied = handle.checkpoint();
    let closed = handle.close();
    if emptied.is_err() {
        place.set_log_aside()?;
    }
    emptied.and(closed)
}
