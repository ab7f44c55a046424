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

/// What there is that is called as the role of a database is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing.
    Absent,
    /// A role of a tenant's.
    Ours,
    /// A role of somebody else's, which nobody gets by choosing a name.
    Strange,
}

/// Tells the standing of the role `$1`, where `$2` is whom tenants' roles are members of; no row if there is none.
pub(super) const STANDING: &str = "SELECT CASE WHEN r.rolsuper OR r.rolcreatedb OR r.rolcreaterole OR r.rolreplication \
     OR r.rolbypassrls OR r.rolname = CURRENT_USER OR NOT EXISTS (SELECT 1 FROM pg_catalog.pg_auth_members m, \
     pg_catalog.pg_roles g WHERE m.member = r.oid AND m.roleid = g.oid AND g.rolname = $2) \
     THEN 'strange' ELSE 'ours' END FROM pg_catalog.pg_roles r WHERE r.rolname = $1";

// === impl Standing ===

impl Standing {
    /// What a server has answered.
    pub(super) fn read(text: Option<&str>) -> Self {
        match text {
            None => Self::Absent,
            Some("ours") => Self::Ours,
            Some(_) => Self::Strange,
        }
    }
}

/// What there is of this name.
pub(crate) async fn standing(
    inner: &Inner,
    admin: &mut Admin<'_>,
    name: &str,
) -> Result<Standing, EngineError> {
    Ok(Standing::read(admin.value(STANDING, &[name, &members(inner)]).await?.as_deref()))
}

/// SQL that makes the role of a database, or makes an existing one of a tenant's what it should be.
fn role(inner: &Inner, role: &str, of: &str, standing: Standing) -> Result<String, EngineError> {
    let verb = match standing {
        Standing::Absent => "CREATE",
        Standing::Ours => "ALTER",
        Standing::Strange => {
            tracing::warn!(
                role,
                "a role of this name is no tenant's, so there can be no database of its name"
            );
            return Err(EngineError::NotADatabase);
        }
    };
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
pub(crate) fn name(
    inner: &Inner,
    (from, to): (&str, &str),
    standing: Standing,
) -> Result<String, EngineError> {
    let role = role(inner, to, to, standing)?;
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
    (database, of): (&str, &str),
) -> Result<String, EngineError> {
    let role = role(inner, database, of, standing(inner, admin, database).await?)?;
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
    let role = role(inner, name, name, standing(inner, admin, name).await?)?;
    admin.run(&format!("{role}; {}", grants(name, name))).await
}
