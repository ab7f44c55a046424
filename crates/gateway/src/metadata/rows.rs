//! The catalog: one row for each database that there is more to say of than that it is a file.
//!
//! A row goes `creating -> (migrating ->) active`, from there to `suspended` or `quarantined` and back, and by
//! `dropping` away. Every step names the states that it may be taken from, so that of two who do different
//! things at once, in whichever processes, one is told that it comes too late.
use super::audit::Audit;
use super::entry::{Entry, Schema, State};
use super::error::MetadataError;
use super::store::Metadata;
use crate::journal::{Action, Cause};
use crate::sql::{at, integer, micros, number, optional, text, words};
use rowhouse_engine::{Batch, Condition, EngineError, Row, Whereabouts};
use rowhouse_types::{DatabaseName, Value};
use std::time::SystemTime;

/// The most rows that are told at once.
pub(super) const ENTRIES_MAX: u32 = 10_000;

const COLUMNS: &str =
    "name, engine, server, physical, state, why, schema_version, schema_sum, created_at, changed_at";

// === impl Metadata ===

impl Metadata {
    /// What the catalog says of this name.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn find(&self, name: &DatabaseName) -> Result<Option<Entry>, MetadataError> {
        if self.is_empty() {
            return Ok(None);
        }
        let sql = |p: &str| format!("SELECT {COLUMNS} FROM {p}databases WHERE name = ?1");
        let rows = self.ask(sql, [text(name.as_str())]).await?;
        rows.iter().flat_map(Batch::rows).next().map(read).transpose()
    }

    /// Makes the row of a database that is to be made, or tells the one there is.
    ///
    /// # Errors
    ///
    /// [`MetadataError::PlaceTaken`] when another name is where this one would be.
    pub async fn claim(&self, name: &DatabaseName, place: &Whereabouts) -> Result<Entry, MetadataError> {
        self.enter(name, place, State::Creating).await
    }

    /// As [`Metadata::claim`], for a database that is there already.
    pub(crate) async fn enlist(
        &self,
        name: &DatabaseName,
        place: &Whereabouts,
    ) -> Result<Entry, MetadataError> {
        self.enter(name, place, State::Active).await
    }

    async fn enter(
        &self,
        name: &DatabaseName,
        place: &Whereabouts,
        state: State,
    ) -> Result<Entry, MetadataError> {
        let now = Value::Integer(micros(SystemTime::now()));
        let mut change = self.begin().await?;
        let p = change.p;
        // First of all: whoever asks is to find it from the moment on in which it may be there.
        self.listed(1);
        let (engine, server, physical) = (text(&place.engine), text(&place.server), text(&place.physical));
        let sql = format!(
            "INSERT INTO {p}databases (name, engine, server, physical, state, created_at, changed_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (name) DO NOTHING"
        );
        let row =
            [text(name.as_str()), engine, server, physical, text(state.as_str()), now.clone(), now.clone()];
        change.run(sql, row).await.map_err(taken)?;
        let sql = format!(
            "INSERT INTO {p}organizations (id, title, created_at, changed_at) VALUES (?1, ?1, ?2, ?2) \
             ON CONFLICT (id) DO NOTHING"
        );
        change.run(sql, [text(name.as_str()), now]).await?;
        let sql = format!("SELECT {COLUMNS} FROM {p}databases WHERE name = ?1");
        let rows = change.rows(sql, [text(name.as_str())]).await?;
        let entry = rows.iter().flat_map(Batch::rows).next().map(read).transpose()?;
        change.end().await?;
        entry.ok_or(MetadataError::NotFound { what: "database" })
    }

    /// A database was made, or brought to head: it is served from now on.
    ///
    /// # Errors
    ///
    /// When it is not being made; [`MetadataError::State`] tells what it is.
    pub async fn settle(
        &self,
        name: &DatabaseName,
        schema: Option<&Schema>,
        cause: &Cause,
    ) -> Result<(), MetadataError> {
        let from = [State::Creating, State::Migrating];
        self.step((name, &from, State::Active), (None, schema), Action::CreateDatabase, cause).await
    }

    /// How far the schema of a database is now.
    ///
    /// # Errors
    ///
    /// When there is no such row, or it cannot be written.
    pub async fn note_schema(&self, name: &DatabaseName, schema: &Schema) -> Result<(), MetadataError> {
        let mut change = self.begin().await?;
        let sql =
            format!("UPDATE {}databases SET schema_version = ?2, schema_sum = ?3 WHERE name = ?1", change.p);
        let changed =
            change.run(sql, [text(name.as_str()), number(schema.version), text(&schema.sum)]).await?;
        change.end().await?;
        if changed == 0 { Err(MetadataError::NotFound { what: "database" }) } else { Ok(()) }
    }

    /// A database could not be brought to head: it is not served until that was done.
    ///
    /// # Errors
    ///
    /// When it is being dropped, or there is no row.
    pub async fn quarantine(
        &self,
        name: &DatabaseName,
        why: &str,
        cause: &Cause,
    ) -> Result<(), MetadataError> {
        let from = [State::Creating, State::Migrating, State::Active, State::Quarantined];
        self.step((name, &from, State::Quarantined), (Some(why), None), Action::Quarantine, cause).await
    }

    /// A database that was quarantined is well.
    ///
    /// # Errors
    ///
    /// When it is not quarantined.
    pub async fn release(
        &self,
        name: &DatabaseName,
        schema: Option<&Schema>,
        cause: &Cause,
    ) -> Result<(), MetadataError> {
        let from = [State::Quarantined];
        self.step((name, &from, State::Active), (None, schema), Action::Resume, cause).await
    }

    /// A database is not to be served until it is resumed.
    ///
    /// # Errors
    ///
    /// When it is not served now.
    pub(crate) async fn suspend(&self, name: &DatabaseName, cause: &Cause) -> Result<(), MetadataError> {
        let from = [State::Active, State::Suspended];
        let why = cause.reason.as_deref();
        self.step((name, &from, State::Suspended), (why, None), Action::Suspend, cause).await
    }

    /// A database that was suspended is to be served again.
    ///
    /// # Errors
    ///
    /// When it is not suspended.
    pub(crate) async fn resume(&self, name: &DatabaseName, cause: &Cause) -> Result<(), MetadataError> {
        let from = [State::Suspended];
        self.step((name, &from, State::Active), (None, None), Action::Resume, cause).await
    }

    /// A database is being dropped; what was begun before and did not end goes on.
    ///
    /// # Errors
    ///
    /// When there is no row.
    pub(crate) async fn drop_begun(&self, name: &DatabaseName, cause: &Cause) -> Result<(), MetadataError> {
        self.step((name, State::ALL, State::Dropping), (None, None), Action::DropDatabase, cause).await
    }

    /// There is no such database: its row goes, and so does its organization with its users and settings.
    pub(crate) async fn forget(&self, name: &DatabaseName) -> Result<(), MetadataError> {
        let mut change = self.begin().await?;
        let p = change.p;
        let gone =
            change.run(format!("DELETE FROM {p}databases WHERE name = ?1"), [text(name.as_str())]).await?;
        change.run(format!("DELETE FROM {p}settings WHERE organization = ?1"), [text(name.as_str())]).await?;
        change.run(format!("DELETE FROM {p}organizations WHERE id = ?1"), [text(name.as_str())]).await?;
        change.end().await?;
        if gone != 0 {
            self.listed(-1);
        }
        Ok(())
    }

    /// There is no such organization any more: as when its database is dropped, where it has none.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn forget_organization(&self, name: &DatabaseName) -> Result<(), MetadataError> {
        let mut change = self.begin().await?;
        let p = change.p;
        // Whoever has made it anew meanwhile keeps it.
        let gone = format!("NOT EXISTS (SELECT 1 FROM {p}databases WHERE name = ?1)");
        for (table, column) in [("settings", "organization"), ("organizations", "id")] {
            let sql = format!("DELETE FROM {p}{table} WHERE {column} = ?1 AND {gone}");
            change.run(sql, [text(name.as_str())]).await?;
        }
        change.end().await
    }

    /// The rows after a name, in the order of names, at most 10,000; of one state, or of all.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub async fn entries(
        &self,
        after: Option<&DatabaseName>,
        state: Option<State>,
        limit: u32,
    ) -> Result<Vec<Entry>, MetadataError> {
        if self.is_empty() {
            return Ok(Vec::new());
        }
        let sql = |p: &str| {
            format!(
                "SELECT {COLUMNS} FROM {p}databases WHERE name > ?1 AND (?2 = '' OR state = ?2) \
                 ORDER BY name LIMIT ?3"
            )
        };
        let after = text(after.map_or("", DatabaseName::as_str));
        let arguments = [after, text(state.map_or("", State::as_str)), number(limit.min(ENTRIES_MAX).into())];
        let rows = self.ask(sql, arguments).await?;
        rows.iter().flat_map(Batch::rows).map(read).collect()
    }

    /// The rows of databases that are not to be served, changed since then by whomever; the latest first.
    pub(crate) async fn changed_since(&self, since: SystemTime) -> Result<Vec<Entry>, MetadataError> {
        if self.is_empty() {
            return Ok(Vec::new());
        }
        let sql = |p: &str| {
            format!(
                "SELECT {COLUMNS} FROM {p}databases WHERE changed_at >= ?1 \
                 AND state IN ('suspended', 'quarantined', 'dropping') ORDER BY changed_at DESC LIMIT {ENTRIES_MAX}"
            )
        };
        let rows = self.ask(sql, [Value::Integer(micros(since))]).await?;
        // What cannot be read keeps nobody from the others.
        Ok(rows.iter().flat_map(Batch::rows).filter_map(|row| read(row).ok()).collect())
    }

    /// Takes a row from one of some states to another one.
    async fn step(
        &self,
        (name, from, to): (&DatabaseName, &[State], State),
        (why, schema): (Option<&str>, Option<&Schema>),
        action: Action,
        cause: &Cause,
    ) -> Result<(), MetadataError> {
        let mut change = self.begin().await?;
        let states: Vec<_> = from.iter().map(|state| format!("'{state}'")).collect();
        let sql = format!(
            "UPDATE {}databases SET state = ?2, why = ?3, changed_at = ?4, \
             schema_version = coalesce(?5, schema_version), schema_sum = coalesce(?6, schema_sum) \
             WHERE name = ?1 AND state IN ({})",
            change.p,
            states.join(", ")
        );
        let arguments = [
            text(name.as_str()),
            text(to.as_str()),
            optional(why),
            Value::Integer(micros(SystemTime::now())),
            schema.map_or(Value::Null, |schema| number(schema.version)),
            optional(schema.map(|schema| schema.sum.as_str())),
        ];
        if change.run(sql, arguments).await? != 0 {
            let audit = Audit::of(action, cause, name);
            return change.commit(why.map_or(audit, |why| audit.told(why))).await;
        }
        drop(change);
        match self.find(name).await? {
            Some(Entry { state, .. }) => Err(MetadataError::State { state }),
            None => Err(MetadataError::NotFound { what: "database" }),
        }
    }
}

/// What a refusal of a row means.
fn taken(error: MetadataError) -> MetadataError {
    match error {
        MetadataError::Engine(EngineError::Statement { condition: Condition::Constraint, .. }) => {
            MetadataError::PlaceTaken
        }
        error => error,
    }
}

fn read(row: Row<'_>) -> Result<Entry, MetadataError> {
    let cells: Vec<_> = row.values().collect();
    let cell = |at: usize| cells.get(at).copied();
    let word = |at: usize| words(cell(at));
    let owned = |at: usize| word(at).unwrap_or_default().to_owned();
    let when = |column: usize| at(integer(cell(column)).unwrap_or(0));
    let damaged = MetadataError::Damaged { what: "a row of the catalog is none" };
    let (Some(name), Some(state)) =
        (word(0).and_then(|name| name.parse().ok()), word(4).and_then(State::from_word))
    else {
        return Err(damaged);
    };
    let version = integer(cell(6)).map(i64::unsigned_abs);
    Ok(Entry {
        name,
        at: Whereabouts { engine: owned(1), server: owned(2), physical: owned(3) },
        state,
        why: word(5).map(str::to_owned),
        schema: version.map(|version| Schema { version, sum: owned(7) }),
        created_at: when(8),
        changed_at: when(9),
    })
}
