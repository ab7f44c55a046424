//! What the log says of the limit of clients: who changed it from what to what, who could not, and when it
//! is near.
use super::moderation::Moderation;
use rowhouse_gateway::{Cause, Event};
use std::num::NonZeroU32;
use std::time::Instant;

/// Says it.
pub(super) fn say(event: &Event<'_>, moderation: &Moderation) {
    match event {
        Event::ClientLimitChanged { from, to, active, cause } => {
            let Cause { interface, who, reason } = cause;
            let (old, new, source) = (from.get(), to.get(), interface.as_str());
            tracing::info!(old, new, active, source, by = who, reason, "client limit changed");
        }
        Event::ClientLimitKept { error, cause } => {
            if let Some(suppressed) = moderation.word(("limit kept", ""), None, Instant::now()) {
                let Cause { interface, who, reason } = cause;
                let (limit, requested, active) = (error.limit().get(), error.requested(), error.active());
                let source = interface.as_str();
                tracing::warn!(
                    limit,
                    requested,
                    active,
                    source,
                    by = who,
                    reason,
                    suppressed,
                    "client limit not changed: {error}; keeping it at {limit}"
                );
            }
        }
        Event::ClientEnded { id, from, cause } => {
            let Cause { interface, who, reason } = cause;
            tracing::info!(id, %from, source = interface.as_str(), by = who, reason, "connection closed by an operator");
        }
        Event::ClientUsageHigh { active, limit } => {
            let usage = usage(*active, *limit);
            tracing::warn!(
                active,
                %limit,
                usage,
                "high usage of the client limit: raise it (rowhouse manager PORT increase), or look who is connected"
            );
        }
        Event::ClientUsageNormal { active, limit } => {
            let usage = usage(*active, *limit);
            tracing::info!(active, %limit, usage, "usage of the client limit is not high any more");
        }
        _ => {}
    }
}

/// As `manager PORT stats` writes it.
fn usage(active: u32, limit: NonZeroU32) -> String {
    format!("{:.1}%", f64::from(active) * 100.0 / f64::from(limit.get()))
}
