//! What a database knows of its migrations: the table `rowhouse_migrations`.
//!
//! Invariant: each step that was applied has a row, and the row of version 0, the head, has the mark of the last of
//! them. Both are written in the transaction of the step. A database whose head has the mark of the newest step is
//! up to date, which is one comparison.
use super::ask::{PATIENCE, ask, sequence};
use super::error::MigrateError;
use super::plan::{Plan, Step};
use rowhouse_engine::{Condition, Connection, Dialect, EngineError};
use std::time::{Duration, SystemTime};

/// The name of the table.
pub(crate) const TABLE: &str = "rowhouse_migrations";

/// The table in SQLite.
const SQLITE: &str = "main.rowhouse_migrations";

/// The table in PostgreSQL.
const POSTGRES: &str = "public.rowhouse_migrations";

/// The lock of a database in PostgreSQL, which holds within that database: any number would do.
const POSTGRES_LOCK: i64 = 0x726f_7768_6f75_7365;

/// How long a step waits for a lock of PostgreSQL's, behind which everybody waits then.
const POSTGRES_LOCK_TIMEOUT: &str = "10s";

/// The first row: where the database stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) mark: String,
    pub(super) state: State,
}

/// How far the database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It is being made, and is not ready until it has had all steps.
    New,
    /// It may be used.
    Ready,
    /// A step that runs without a transaction was begun after the mark.
    Begun,
}

/// A step that was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Applied {
    pub(super) version: u64,
    pub(super) name: String,
    pub(super) checksum: String,
}

/// The ledger of a database that speaks this dialect.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ledger(pub(super) Dialect);

// === impl State ===

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Ready => "ready",
            Self::Begun => "begun",
        }
    }

    fn read(word: &str) -> Option<Self> {
        [Self::New, Self::Ready, Self::Begun].into_iter().find(|state| state.as_str() == word)
    }
}

// === impl Ledger ===

impl Ledger {
    fn table(self) -> &'static str {
        match self.0 {
            Dialect::Sqlite => SQLITE,
            Dialect::Postgres => POSTGRES,
        }
    }

    /// What makes the table.
    pub(super) fn make(self) -> String {
        let (table, integer) = match self.0 {
            Dialect::Sqlite => (SQLITE, "INTEGER"),
            Dialect::Postgres => (POSTGRES, "BIGINT"),
        };
        format!(
            "CREATE TABLE IF NOT EXISTS {table} (version {integer} PRIMARY KEY, name TEXT NOT NULL, \
             checksum TEXT NOT NULL, state TEXT NOT NULL, applied_at TEXT NOT NULL, took_ms {integer} NOT NULL)"
        )
    }

    /// Where the database stands; `None` if it has had no migrations. One comparison.
    ///
    /// Not within a transaction, unless there is a table.
    pub(super) async fn head(self, connection: &mut dyn Connection) -> Result<Option<Head>, MigrateError> {
        let sql = format!("SELECT checksum, state FROM {} WHERE version = 0", self.table());
        let rows = match ask(connection, sql.clone()).await {
            Err(error) if is_about_sql(&error) && !self.exists(connection).await? => return Ok(None),
            // It was made in this moment, or is none of ours.
            Err(error) if is_about_sql(&error) => ask(connection, sql).await.map_err(unreadable)?,
            rows => rows?,
        };
        let Some(row) = rows.into_iter().next() else { return Ok(None) };
        let mut cells = row.into_iter().flatten();
        let (mark, state) = (cells.next(), cells.next());
        match (mark, state.as_deref().and_then(State::read)) {
            (Some(mark), Some(state)) => Ok(Some(Head { mark, state })),
            _ => Err(MigrateError::Damaged { what: "has no sound first row" }),
        }
    }

    async fn exists(self, connection: &mut dyn Connection) -> Result<bool, EngineError> {
        let sql = match self.0 {
            Dialect::Sqlite => format!("SELECT 1 FROM main.sqlite_schema WHERE name = '{TABLE}'"),
            Dialect::Postgres => format!(
                "SELECT 1 FROM pg_catalog.pg_class WHERE relname = '{TABLE}' AND relnamespace = 'public'::pg_catalog.regnamespace"
            ),
        };
        Ok(!ask(connection, sql).await?.is_empty())
    }

    /// Whether there is nothing in the database at all.
    pub(super) async fn is_blank(self, connection: &mut dyn Connection) -> Result<bool, EngineError> {
        let sql = match self.0 {
            Dialect::Sqlite => "SELECT 1 FROM main.sqlite_schema LIMIT 1",
            Dialect::Postgres => {
                "SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                 WHERE n.nspname <> 'information_schema' AND NOT pg_catalog.starts_with(n.nspname, 'pg_') LIMIT 1"
            }
        };
        Ok(ask(connection, sql).await?.is_empty())
    }

    /// All steps that were applied, in order.
    pub(super) async fn applied(self, connection: &mut dyn Connection) -> Result<Vec<Applied>, MigrateError> {
        let sql = format!(
            "SELECT version, name, checksum FROM {} WHERE version > 0 AND state = 'applied' ORDER BY version",
            self.table()
        );
        let rows = ask(connection, sql).await.map_err(unreadable)?;
        let applied = |row: Vec<Option<String>>| {
            let mut cells = row.into_iter().flatten();
            let version = cells.next()?.parse().ok()?;
            Some(Applied { version, name: cells.next()?, checksum: cells.next()? })
        };
        let rows: Option<Vec<_>> = rows.into_iter().map(applied).collect();
        rows.ok_or(MigrateError::Damaged { what: "has rows that say nothing" })
    }

    /// Begins a transaction that nobody else's is beside, here or in another process, with the table there.
    pub(super) async fn lock(
        self,
        connection: &mut dyn Connection,
        foreign_keys: bool,
    ) -> Result<(), EngineError> {
        let sql = match self.0 {
            Dialect::Sqlite => format!("BEGIN IMMEDIATE; {}", self.make()),
            // Made by two at once it would fail for one of them.
            Dialect::Postgres => format!(
                "BEGIN; SET LOCAL lock_timeout = '{}s'; SELECT pg_catalog.pg_advisory_xact_lock({POSTGRES_LOCK}); \
                 SET LOCAL lock_timeout = '{POSTGRES_LOCK_TIMEOUT}'; SET LOCAL statement_timeout = 0; \
                 SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL search_path = public; \
                 SET LOCAL client_min_messages = warning; {}",
                PATIENCE.as_secs(),
                self.make()
            ),
        };
        sequence(connection, sql, (foreign_keys, Some(PATIENCE + Duration::from_secs(5)))).await
    }

    /// Commits that a step was applied, and where the database stands.
    pub(super) async fn commit(
        self,
        connection: &mut dyn Connection,
        (step, took): (&Step, Duration),
        head: &Head,
    ) -> Result<(), EngineError> {
        let sql = format!("{}; COMMIT", self.entries((step, "applied", took), head));
        sequence(connection, sql, (true, Some(PATIENCE))).await
    }

    /// Commits that a step was begun after `before`.
    pub(super) async fn begin(
        self,
        connection: &mut dyn Connection,
        step: &Step,
        before: String,
    ) -> Result<(), EngineError> {
        let head = Head { mark: before, state: State::Begun };
        let sql = format!("{}; COMMIT", self.entries((step, "begun", Duration::ZERO), &head));
        sequence(connection, sql, (true, Some(PATIENCE))).await
    }

    /// What writes the row of a step and the head. Nothing of it can be anything but what it is here: numbers,
    /// hexadecimal, and names of letters, digits, `_` and `-`.
    pub(super) fn entries(self, (step, state, took): (&Step, &str, Duration), head: &Head) -> String {
        let at = humantime::format_rfc3339_seconds(SystemTime::now());
        let (table, took) = (self.table(), took.as_millis());
        let Step { version, name, checksum, .. } = step;
        let (mark, head) = (&head.mark, head.state.as_str());
        let again = "ON CONFLICT (version) DO UPDATE SET name = excluded.name, checksum = excluded.checksum, \
                     state = excluded.state, applied_at = excluded.applied_at, took_ms = excluded.took_ms";
        format!(
            "INSERT INTO {table} (version, name, checksum, state, applied_at, took_ms) VALUES \
             ({version}, '{name}', '{checksum}', '{state}', '{at}', {took}), (0, 'head', '{mark}', '{head}', '{at}', 0) {again}"
        )
    }

    /// The first row that has left a reference to nothing, if any has: its table.
    pub(super) async fn dangling(
        self,
        connection: &mut dyn Connection,
    ) -> Result<Option<String>, EngineError> {
        if self.0 != Dialect::Sqlite {
            return Ok(None);
        }
        let rows = ask(connection, "PRAGMA foreign_key_check").await?;
        Ok(rows.into_iter().flatten().next().flatten())
    }
}

fn is_about_sql(error: &EngineError) -> bool {
    matches!(error, EngineError::Statement { condition: Condition::Sql, .. })
}

fn unreadable(error: EngineError) -> MigrateError {
    match is_about_sql(&error) {
        true => MigrateError::Damaged { what: "cannot be read" },
        false => MigrateError::Engine(error),
    }
}

/// What is wrong with a database whose head is none of the plan's.
pub(super) fn diagnose(plan: &Plan, applied: &[Applied]) -> MigrateError {
    let newest = plan.version();
    for Applied { version, name, checksum } in applied {
        let (version, name) = (*version, name.clone());
        match plan.steps().iter().find(|step| step.version == version) {
            Some(step) if step.checksum != *checksum => {
                let short = |checksum: &str| checksum.chars().take(12).collect();
                let (applied, now) = (short(checksum), short(&step.checksum));
                return MigrateError::Changed { version, name: step.name.clone(), applied, now };
            }
            None if version < newest => return MigrateError::Missing { version, name },
            _ => {}
        }
    }
    let last = applied.last().map_or(0, |applied| applied.version);
    let is_applied = |version| applied.iter().any(|applied| applied.version == version);
    let skipped = plan.steps().iter().find(|step| step.version < last && !is_applied(step.version));
    match skipped {
        Some(Step { version, name, .. }) => {
            MigrateError::OutOfOrder { version: *version, name: name.clone(), after: last }
        }
        None if newest < last => MigrateError::Ahead { version: last, newest },
        None => MigrateError::Damaged { what: "has a first row that does not fit the others" },
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::Manner;
    use super::*;

    fn plan(steps: &[(u64, &str)]) -> Plan {
        let mut plan = Plan::default();
        for (version, sql) in steps {
            plan.push(*version, "step", ((*sql).into(), Manner::default()));
        }
        plan
    }

    fn applied(plan: &Plan) -> Vec<Applied> {
        let of = |step: &Step| Applied {
            version: step.version,
            name: step.name.clone(),
            checksum: step.checksum.clone(),
        };
        plan.steps().iter().map(of).collect()
    }

    #[test]
    fn what_is_wrong_is_found() {
        let now = plan(&[(1, "a"), (3, "c"), (4, "d")]);
        let diagnosed = |then: &[(u64, &str)]| diagnose(&now, &applied(&plan(then)));
        assert!(matches!(diagnosed(&[(1, "b"), (3, "c")]), MigrateError::Changed { version: 1, .. }));
        assert!(matches!(diagnosed(&[(1, "a"), (2, "b")]), MigrateError::Missing { version: 2, .. }));
        assert!(matches!(
            diagnosed(&[(1, "a"), (4, "d")]),
            MigrateError::OutOfOrder { version: 3, after: 4, .. }
        ));
        let ahead = diagnosed(&[(1, "a"), (3, "c"), (4, "d"), (5, "e")]);
        assert!(matches!(ahead, MigrateError::Ahead { version: 5, newest: 4 }));
        assert!(matches!(diagnosed(&[(1, "a"), (3, "c")]), MigrateError::Damaged { .. }));
    }

    #[test]
    fn a_mark_tells_how_far_a_database_is() {
        let (old, new) = (plan(&[(1, "a"), (3, "c")]), plan(&[(1, "a"), (3, "c"), (4, "d")]));
        assert_eq!(new.position(old.mark()), Some(2));
        assert_eq!(old.position(new.mark()), None);
        assert_eq!(plan(&[(1, "a"), (2, "c")]).position(old.mark()), None);
    }
}
