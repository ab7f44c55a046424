//! The tables. Where several programs may have tables in one database, which is PostgreSQL's way, ours are in
//! a schema of their own.
use super::error::MetadataError;
use crate::sql::{execute, integer, run};
use rowhouse_engine::{Batch, Connection, Dialect};
use rowhouse_types::Request;

/// The version of the tables that this program writes and reads.
const VERSION: u64 = 1;

/// What is written before the name of each table.
pub(super) fn prefix(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "",
        Dialect::Postgres => "rowhouse.",
    }
}

/// Makes the tables if there are none. Who does so at the same time waits.
pub(super) async fn prepare(connection: &mut dyn Connection, dialect: Dialect) -> Result<(), MetadataError> {
    if let Some(found) = version(connection, dialect).await? {
        return known(found);
    }
    let begin = match dialect {
        Dialect::Sqlite => "BEGIN IMMEDIATE",
        Dialect::Postgres => "BEGIN",
    };
    run(connection, Request::execute(begin)).await?;
    let made = make(connection, dialect).await;
    let end = if made.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = run(connection, Request::execute(end)).await;
    made?;
    ended?;
    Ok(())
}

async fn make(connection: &mut dyn Connection, dialect: Dialect) -> Result<(), MetadataError> {
    if dialect == Dialect::Postgres {
        // A number of this program's own; until the transaction ends.
        execute(connection, "SELECT pg_catalog.pg_advisory_xact_lock(7310315476522328161)", []).await?;
    }
    // Somebody may have been faster.
    if let Some(found) = version(connection, dialect).await? {
        return known(found);
    }
    for statement in statements(dialect) {
        run(connection, Request::execute(statement)).await?;
    }
    Ok(())
}

fn known(found: u64) -> Result<(), MetadataError> {
    if VERSION < found { Err(MetadataError::Newer { found, known: VERSION }) } else { Ok(()) }
}

/// The version of the tables there are, if there are any.
async fn version(connection: &mut dyn Connection, dialect: Dialect) -> Result<Option<u64>, MetadataError> {
    let (there, read) = match dialect {
        Dialect::Sqlite => (
            "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'catalog_version'",
            "SELECT version FROM catalog_version",
        ),
        Dialect::Postgres => (
            "SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = 'rowhouse' AND tablename = 'catalog_version'",
            "SELECT version FROM rowhouse.catalog_version",
        ),
    };
    let found = execute(connection, there, []).await?;
    if found.iter().flat_map(Batch::rows).next().is_none() {
        return Ok(None);
    }
    let rows = execute(connection, read, []).await?;
    let version = rows.iter().flat_map(Batch::rows).next().and_then(|row| integer(row.values().next()));
    let damaged = MetadataError::Damaged { what: "the version of its tables is none" };
    version.map(|version| Some(version.unsigned_abs())).ok_or(damaged)
}

/// The statements that make all tables of nothing.
fn statements(dialect: Dialect) -> Vec<String> {
    let p = prefix(dialect);
    let counted = match dialect {
        Dialect::Sqlite => "INTEGER PRIMARY KEY AUTOINCREMENT",
        Dialect::Postgres => "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    };
    let mut statements = Vec::new();
    if dialect == Dialect::Postgres {
        statements.push("CREATE SCHEMA IF NOT EXISTS rowhouse".to_owned());
    }
    statements.extend([
        format!(
            "CREATE TABLE {p}databases (name TEXT PRIMARY KEY, engine TEXT NOT NULL, server TEXT NOT NULL, \
             physical TEXT NOT NULL, state TEXT NOT NULL, why TEXT, schema_version BIGINT, schema_sum TEXT, \
             created_at BIGINT NOT NULL, changed_at BIGINT NOT NULL, UNIQUE (engine, server, physical))"
        ),
        format!("CREATE INDEX databases_by_change ON {p}databases (changed_at)"),
        format!(
            "CREATE TABLE {p}organizations (id TEXT PRIMARY KEY, title TEXT NOT NULL, created_at BIGINT NOT NULL, \
             changed_at BIGINT NOT NULL)"
        ),
        format!(
            "CREATE TABLE {p}users (id TEXT PRIMARY KEY, \
             organization TEXT REFERENCES {p}organizations (id) ON DELETE CASCADE, email TEXT NOT NULL UNIQUE, \
             title TEXT NOT NULL, state TEXT NOT NULL, created_at BIGINT NOT NULL, changed_at BIGINT NOT NULL)"
        ),
        format!("CREATE INDEX users_by_organization ON {p}users (organization)"),
        format!(
            "CREATE TABLE {p}identities (provider TEXT NOT NULL, subject TEXT NOT NULL, \
             user_id TEXT NOT NULL REFERENCES {p}users (id) ON DELETE CASCADE, created_at BIGINT NOT NULL, \
             PRIMARY KEY (provider, subject))"
        ),
        format!("CREATE INDEX identities_by_user ON {p}identities (user_id)"),
        format!(
            "CREATE TABLE {p}settings (organization TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, \
             changed_at BIGINT NOT NULL, PRIMARY KEY (organization, key))"
        ),
        format!(
            "CREATE TABLE {p}audit_logs (id {counted}, at BIGINT NOT NULL, action TEXT NOT NULL, \
             interface TEXT NOT NULL, who TEXT NOT NULL, reason TEXT, organization TEXT, detail TEXT)"
        ),
        format!("CREATE INDEX audit_logs_by_organization ON {p}audit_logs (organization, id)"),
        format!("CREATE TABLE {p}catalog_version (version BIGINT NOT NULL)"),
        format!("INSERT INTO {p}catalog_version (version) VALUES ({VERSION})"),
    ]);
    statements
}
