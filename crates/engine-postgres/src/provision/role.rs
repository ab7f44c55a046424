//! The role that a database belongs to: it may do everything there and nothing elsewhere.
use crate::admin::Admin;
use crate::engine::{COMMENT, Inner};
use crate::names::{identifier, literal};
use crate::password::verifier;
use rowhouse_engine::EngineError;

/// The role that all tenants' roles are members of: what a template grants, it grants to this one.
pub(crate) fn members(inner: &Inner) -> String {
    inner.names().own("tenants")
}

/// SQL that makes the role of a database, or makes an existing one what it should be.
async fn role(inner: &Inner, admin: &mut Admin<'_>, role: &str, of: &str) -> Result<String, EngineError> {
    let exists = admin.is("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1", &[role]).await?;
    let verb = if exists { "ALTER" } else { "CREATE" };
    let limit = inner.config.role_connections.map_or(-1, |limit| i64::from(limit.get()));
    let (members, role) = (identifier(&members(inner)), identifier(role));
    let verifier = literal(&verifier(&inner.config.secret, of));
    Ok(format!(
        "{verb} ROLE {role} LOGIN NOCREATEDB NOCREATEROLE INHERIT CONNECTION LIMIT {limit} PASSWORD {verifier}; \
         GRANT {members} TO {role}"
    ))
}

/// SQL that gives a database, and nobody else's, to a role.
fn grants(database: &str, role: &str) -> String {
    let (database, role) = (identifier(database), identifier(role));
    format!(
        "REVOKE ALL ON DATABASE {database} FROM PUBLIC; GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {role}"
    )
}

/// SQL that makes a database of another name the one of this name, with its role, and lets it in.
pub(crate) async fn name(
    inner: &Inner,
    admin: &mut Admin<'_>,
    from: &str,
    to: &str,
) -> Result<String, EngineError> {
    let role = role(inner, admin, to, to).await?;
    let grants = grants(from, to);
    let told = inner.names().logical(to).map(|name| format!("{COMMENT}{name}"));
    let comment = told.map_or("NULL".to_owned(), |told| literal(&told));
    let (from, to) = (identifier(from), identifier(to));
    Ok(format!(
        "{role}; {grants}; COMMENT ON DATABASE {from} IS {comment}; \
         ALTER DATABASE {from} ALLOW_CONNECTIONS true; ALTER DATABASE {from} RENAME TO {to}"
    ))
}

/// SQL that makes a role of its own for a database that is not yet called `of`, with the password that it
/// will have when it is.
pub(crate) async fn stand_in(
    inner: &Inner,
    admin: &mut Admin<'_>,
    database: &str,
    of: &str,
) -> Result<String, EngineError> {
    let role = role(inner, admin, database, of).await?;
    let grants = grants(database, database);
    Ok(format!("{role}; {grants}; ALTER DATABASE {} ALLOW_CONNECTIONS true", identifier(database)))
}

/// Gives the role of a database its password again, and what it needs to use it.
pub(crate) async fn renew(inner: &Inner, admin: &mut Admin<'_>, name: &str) -> Result<(), EngineError> {
    let database = "SELECT 1 FROM pg_catalog.pg_database WHERE datname = $1 AND datallowconn";
    if !admin.is(database, &[name]).await? {
        return Err(EngineError::NoSuchDatabase);
    }
    super::ready_group(inner, admin).await?;
    let role = role(inner, admin, name, name).await?;
    admin.run(&format!("{role}; {}", grants(name, name))).await
}
