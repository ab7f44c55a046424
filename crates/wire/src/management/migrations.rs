//! Requests and replies about migrations.
use serde::{Deserialize, Serialize};

/// `POST /migrations`: begin a run over databases.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct StartMigration {
    /// `status`, `up` or `verify`.
    pub errand: String,
    /// How many databases are worked on at once; 8 unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jobs: Option<u32>,
    /// These databases only; all without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Vec<String>>,
    /// Whether steps that were begun without a transaction and have not ended are run again.
    #[serde(default)]
    pub retry_begun: bool,
    /// `organizations` or `metadata`.
    pub subject: String,
}

/// `GET /migrations`: the run that was begun last.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Migrations {
    /// The run; null if none was begun since the server was started.
    pub run: Option<MigrationRun>,
}

/// A run over databases, under way or ended.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MigrationRun {
    /// Databases with steps that are not known here.
    pub ahead: u64,
    /// When it began, in RFC 3339.
    pub began: String,
    /// Databases that are not at the newest schema.
    pub behind: u64,
    /// Those that are not as they should be, by name; the first 1000.
    pub databases: Vec<MigrationFinding>,
    /// Databases with another schema than they should have.
    pub different: u64,
    /// Databases that were looked at.
    pub done: u64,
    /// `complete`, `stopped` or `failed`; null while it is under way.
    pub end: Option<String>,
    /// Why it failed as a whole; null if it did not.
    pub error: Option<String>,
    /// `status`, `up` or `verify`.
    pub errand: String,
    /// Databases that could not be migrated, or looked at.
    pub failed: u64,
    /// Databases that were migrated by this run.
    pub migrated: u64,
    /// How long it has taken.
    pub seconds: f64,
    /// Databases there are.
    pub total: u64,
    /// Databases that were at the newest schema already; for `verify`, and are equal to what they should be.
    pub up_to_date: u64,
}

/// A database that is not as it should be.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MigrationFinding {
    /// In which parts it differs, for `different`; the first 20.
    pub differences: Vec<MigrationDifference>,
    /// Its name; `~default` is the metadata database's here.
    pub name: String,
    /// Whether it is not used until it is mended.
    pub quarantined: bool,
    /// `behind`, `ahead`, `failed` or `different`.
    pub state: String,
    /// In words.
    pub why: String,
}

/// A part in which a database differs from what it should be.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MigrationDifference {
    /// What it should be; null where it should not be there.
    pub expected: Option<String>,
    /// What it is; null where it is not there.
    pub found: Option<String>,
    /// Its kind and name.
    pub part: String,
}

// === impl MigrationRun ===

impl MigrationRun {
    /// Whether every database is as it should be.
    pub fn is_well(&self) -> bool {
        self.end.as_deref() == Some("complete")
            && self.behind + self.ahead + self.failed + self.different == 0
    }
}
