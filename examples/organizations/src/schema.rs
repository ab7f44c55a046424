//! The tables of an organization's database, made when it is used for the first time.
use rowhouse_gateway::{DatabaseSession, StatementError};
use rowhouse_types::{DatabaseName, ErrorCode, Reportable as _};
use std::collections::HashSet;
use tokio::sync::Mutex;

/// What makes them, in order: the files of `migrations/organizations`.
const STEPS: [&str; 2] = [
    include_str!("../migrations/organizations/V1__jobs.sql"),
    include_str!("../migrations/organizations/V2__input_signatures.sql"),
];

/// Of how many organizations it is remembered that they have their tables.
const REMEMBERED_MAX: usize = 10_000;

/// Which organizations have their tables.
#[derive(Debug, Default)]
pub(crate) struct Schema(Mutex<HashSet<DatabaseName>>);

// === impl Schema ===

impl Schema {
    /// Sees to it that the database of a session has its tables: all of them, or none if it fails.
    pub(crate) async fn prepare(&self, session: &mut DatabaseSession) -> Result<(), StatementError> {
        let Some(org_id) = session.org_id().cloned() else { return Ok(()) };
        // One at a time: who comes second finds them.
        let mut known = self.0.lock().await;
        if known.contains(&org_id) {
            return Ok(());
        }
        match session.query("SELECT count(*) FROM input_signatures", []).await {
            Ok(_count) => {}
            Err(error) if error.code() == ErrorCode::SqlError => {
                session.execute("BEGIN", []).await?;
                for step in STEPS {
                    session.script(step).await?;
                }
                session.execute("COMMIT", []).await?;
            }
            Err(error) => return Err(error),
        }
        if known.len() == REMEMBERED_MAX {
            known.clear();
        }
        known.insert(org_id);
        Ok(())
    }
}
