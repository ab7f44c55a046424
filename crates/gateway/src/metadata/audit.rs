//! The audit log: what was done, by whom, to which organization.
//!
//! A row is written in the transaction of what it tells of. The journal of each process has the same entry in
//! its chain; here those of all processes are together.
use super::error::MetadataError;
use super::store::Metadata;
use crate::journal::{Action, Cause, Interface};
use crate::sql::{at, integer, micros, number, optional, text, words};
use rowhouse_engine::{Batch, Row};
use rowhouse_types::{DatabaseName, Value};
use std::time::SystemTime;

/// The most rows that are told at once.
pub(super) const ROWS_MAX: u32 = 10_000;

/// A row that is to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Audit<'a> {
    pub(super) action: Action,
    pub(super) cause: &'a Cause,
    pub(super) organization: Option<&'a DatabaseName>,
    pub(super) detail: Option<&'a str>,
}

/// Something that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number; later ones are greater.
    pub id: u64,
    /// When.
    pub at: SystemTime,
    /// What.
    pub action: Action,
    /// By whom.
    pub cause: Cause,
    /// To which organization, if to one.
    pub organization: Option<DatabaseName>,
    /// What exactly.
    pub detail: Option<String>,
}

// === impl Audit ===

impl<'a> Audit<'a> {
    pub(super) fn of(action: Action, cause: &'a Cause, organization: &'a DatabaseName) -> Self {
        Self { action, cause, organization: Some(organization), detail: None }
    }

    /// With what was done exactly.
    pub(super) fn told(self, detail: &'a str) -> Self {
        Self { detail: Some(detail), ..self }
    }

    /// The statement that writes it.
    pub(super) fn insert(self, p: &str) -> (String, Vec<Value>) {
        let Self { action, cause, organization, detail } = self;
        let sql = format!(
            "INSERT INTO {p}audit_logs (at, action, interface, who, reason, organization, detail) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
        );
        let arguments = vec![
            Value::Integer(micros(SystemTime::now())),
            text(action.as_str()),
            text(cause.interface.as_str()),
            text(&cause.who),
            optional(cause.reason.as_deref()),
            optional(organization.map(DatabaseName::as_str)),
            optional(detail),
        ];
        (sql, arguments)
    }
}

// === impl Metadata ===

impl Metadata {
    /// What was done, the latest first: to one organization, or to all; at most 10,000 rows.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn audit(
        &self,
        organization: Option<&DatabaseName>,
        limit: u32,
    ) -> Result<Vec<AuditRow>, MetadataError> {
        let limit = number(limit.min(ROWS_MAX).into());
        let arguments = [text(organization.map_or("", DatabaseName::as_str)), limit];
        let sql = |p: &str| {
            format!(
                "SELECT id, at, action, interface, who, reason, organization, detail FROM {p}audit_logs \
                 WHERE ?1 = '' OR organization = ?1 ORDER BY id DESC LIMIT ?2"
            )
        };
        let rows = self.ask(sql, arguments).await?;
        Ok(rows.iter().flat_map(Batch::rows).map(read).collect())
    }
}

fn read(row: Row<'_>) -> AuditRow {
    let cells: Vec<_> = row.values().collect();
    let cell = |at: usize| cells.get(at).copied();
    let owned = |at: usize| words(cell(at)).map(str::to_owned);
    let interface = words(cell(3)).and_then(Interface::from_word).unwrap_or(Interface::Library);
    AuditRow {
        id: integer(cell(0)).unwrap_or(0).unsigned_abs(),
        at: at(integer(cell(1)).unwrap_or(0)),
        action: words(cell(2)).and_then(Action::from_word).unwrap_or(Action::Unknown),
        cause: Cause { interface, who: owned(4).unwrap_or_default(), reason: owned(5) },
        organization: words(cell(6)).and_then(|name| name.parse().ok()),
        detail: owned(7),
    }
}
