//! On whose behalf a database is asked for.
use crate::client::{Principal, Rights};
use rowhouse_engine::SqlPolicy;

/// On whose behalf a database is asked for, and what they may do with it. By default the program's own: all.
#[derive(Clone, Debug, Default)]
pub struct Behalf {
    /// Who, to share room and to create fairly; the program itself if nobody in particular.
    pub principal: Option<Principal>,
    /// Whether a database that is missing is created, where any are.
    pub rights: Rights,
    /// What their SQL may do.
    pub policy: SqlPolicy,
}
