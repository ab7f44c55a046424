//! The template: what all databases are made from. It lets nobody in, because a template that is used by
//! anybody cannot be copied.
use super::create::exists;
use super::remove::retirement;
use super::role::members;
use super::{Origin, Step, give_up, lock, make, reach, spares};
use crate::admin::{Admin, is};
use crate::engine::{COMMENT, Inner};
use crate::names::{identifier, literal};
use crate::server::Server;
use crate::sql::statements;
use rowhouse_engine::{EngineError, Groundwork, Script};

/// Functions that write large objects, which until version 16 a transaction that only reads may call.
const LARGE_OBJECTS: [&str; 8] = [
    "lo_creat(integer)",
    "lo_create(oid)",
    "lo_from_bytea(oid, bytea)",
    "lo_put(oid, bigint, bytea)",
    "lo_truncate(integer, integer)",
    "lo_truncate64(integer, bigint)",
    "lo_unlink(oid)",
    "lowrite(integer, bytea)",
];

/// Makes the template of a server, and what else databases need, if it is not there.
pub(crate) async fn ready(inner: &Inner, server: &Server) -> Result<(), EngineError> {
    server.is_ready.get_or_try_init(|| first(inner, server)).await.map(drop)
}

async fn first(inner: &Inner, server: &Server) -> Result<(), EngineError> {
    let mut admin = server.admins.connect().await?;
    ready_group(inner, &mut admin).await?;
    if inner.config.seclude {
        seclude(&mut admin, &["postgres", "template1"]).await?;
    }
    let name = inner.names().own("template");
    lock(&mut admin, &name).await?;
    if !exists(&mut admin, &name).await? {
        build(inner, server, &mut admin, &Groundwork::default()).await?;
    }
    admin.end().await;
    Ok(())
}

/// Makes the role that all tenants' roles are members of.
pub(crate) async fn ready_group(inner: &Inner, admin: &mut Admin<'_>) -> Result<(), EngineError> {
    let group = members(inner);
    if admin.is("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1", &[&group]).await? {
        return Ok(());
    }
    match admin.run(&format!("CREATE ROLE {} NOLOGIN", identifier(&group))).await {
        // Somebody was faster.
        Err(error) if is(&error, "42710") || is(&error, "23505") => Ok(()),
        made => made,
    }
}

/// Takes from everybody what everybody may do by default with databases that are no tenant's.
pub(crate) async fn seclude(admin: &mut Admin<'_>, names: &[&str]) -> Result<(), EngineError> {
    let sql = "SELECT 1 FROM pg_catalog.pg_database WHERE datname = $1 \
               AND (datacl IS NULL OR datacl::text ~ '[{,]=[a-zA-Z*]*[cT]')";
    for database in names {
        if !admin.is(sql, &[database]).await? {
            continue;
        }
        let sql = format!("REVOKE ALL ON DATABASE {} FROM PUBLIC", identifier(database));
        match admin.run(&sql).await {
            // Somebody does the same in this moment, or it is not ours to do.
            Err(error) if is(&error, "XX000") || is(&error, "42501") || is(&error, "40001") => {
                tracing::warn!(%database, "everybody may still connect to a database that is no tenant's");
            }
            done => done?,
        }
    }
    Ok(())
}

/// Makes the template anew; who calls this holds its lock.
async fn build(
    inner: &Inner,
    server: &Server,
    admin: &mut Admin<'_>,
    groundwork: &Groundwork,
) -> Result<(), EngineError> {
    let name = inner.names().own("template");
    let next = inner.names().own("new~template");
    lock(admin, &next).await?;
    make(admin, &next, (inner, Origin::Nothing)).await?;
    let database = identifier(&next);
    admin
        .run(&format!(
            "REVOKE ALL ON DATABASE {database} FROM PUBLIC; ALTER DATABASE {database} ALLOW_CONNECTIONS true"
        ))
        .await?;
    fill(inner, server, &next, groundwork).await?;
    admin.run(&format!("ALTER DATABASE {database} ALLOW_CONNECTIONS false")).await?;
    evict(admin, &next).await?;
    reach(inner, Step::Created, &name)?;
    let former = admin.value("SELECT oid FROM pg_catalog.pg_database WHERE datname = $1", &[&name]).await?;
    let gone = former.map(|oid| inner.names().own(&format!("dropped~{oid}")));
    let away = gone.as_ref().map(|gone| format!("{}; ", retirement(false, &name, gone)));
    // Both in one transaction: there is always a template.
    let away = away.unwrap_or_default();
    let mark = told(groundwork).map_or("NULL".to_owned(), |told| literal(&told));
    let named = format!(
        "{away}COMMENT ON DATABASE {database} IS {mark}; ALTER DATABASE {database} RENAME TO {}",
        identifier(&name)
    );
    admin.run(&named).await?;
    match gone {
        Some(gone) => give_up(admin, &gone).await,
        None => Ok(()),
    }
}

/// Ends what is connected to a database, and waits for it.
pub(crate) async fn evict(admin: &mut Admin<'_>, name: &str) -> Result<(), EngineError> {
    let sql = "SELECT pg_catalog.pg_terminate_backend(pid, 5000) FROM pg_catalog.pg_stat_activity \
               WHERE datname = $1 AND pid <> pg_catalog.pg_backend_pid()";
    match admin.rows(sql, &[name]).await {
        // Who is no superuser ends sessions of roles that it is a member of.
        Err(error) if is(&error, "42501") && is_role(admin, name).await? => {
            admin.run(&format!("GRANT {} TO CURRENT_USER", identifier(name))).await?;
            admin.rows(sql, &[name]).await.map(drop)
        }
        evicted => evicted.map(drop),
    }
}

async fn is_role(admin: &mut Admin<'_>, name: &str) -> Result<bool, EngineError> {
    admin.is("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1", &[name]).await
}

/// What the template is told by that has this groundwork.
fn told(groundwork: &Groundwork) -> Option<String> {
    (!groundwork.mark.is_empty()).then(|| format!("{COMMENT}groundwork {}", groundwork.mark))
}

async fn fill(
    inner: &Inner,
    server: &Server,
    name: &str,
    groundwork: &Groundwork,
) -> Result<(), EngineError> {
    let mut own = server.admins.beside(name).await?;
    furnish(inner, &mut own).await?;
    if !groundwork.scripts.is_empty() {
        become_member(inner, &mut own).await?;
        for script in &groundwork.scripts {
            run(&mut own, script).await?;
        }
        own.run("RESET ROLE; RESET search_path").await?;
    }
    let group = identifier(&members(inner));
    let all = ["TABLES", "SEQUENCES", "ROUTINES"];
    let granted: Vec<_> =
        all.iter().map(|kind| format!("GRANT ALL ON ALL {kind} IN SCHEMA public TO {group}")).collect();
    own.run(&granted.join("; ")).await?;
    own.end().await;
    Ok(())
}

/// Whatever scripts make belongs to the role that all tenants' roles are members of, so that each may change its own
/// copy, and scripts can do no more than there.
async fn become_member(inner: &Inner, own: &mut Admin<'_>) -> Result<(), EngineError> {
    let group = identifier(&members(inner));
    let become_it = format!("SET ROLE {group}; SET search_path = public");
    match own.run(&become_it).await {
        // Who is no superuser has made the role and is no member of it.
        Err(error) if is(&error, "42501") => {
            own.run(&format!("GRANT {group} TO CURRENT_USER")).await?;
            own.run(&become_it).await
        }
        became => became,
    }
}

async fn run(own: &mut Admin<'_>, script: &Script) -> Result<(), EngineError> {
    if script.in_transaction {
        return own.run(&script.sql).await;
    }
    for statement in statements(&script.sql) {
        own.run(statement).await?;
    }
    Ok(())
}

/// Makes an empty database fit for tenants. `own` is a connection to it.
pub(crate) async fn furnish(inner: &Inner, own: &mut Admin<'_>) -> Result<(), EngineError> {
    let version = own.value("SHOW server_version_num", &[]).await?;
    if version.and_then(|version| version.parse().ok()).is_some_and(|version: u32| version < 160_000) {
        let all: Vec<_> = LARGE_OBJECTS.iter().map(|name| format!("pg_catalog.{name}")).collect();
        own.run(&format!("REVOKE EXECUTE ON FUNCTION {} FROM PUBLIC", all.join(", "))).await?;
    }
    let group = identifier(&members(inner));
    own.run(&format!("GRANT USAGE, CREATE ON SCHEMA public TO {group}")).await
}

/// Makes the template anew with this groundwork, unless it has it, and new spares from it.
pub(crate) async fn rebuild(
    inner: &Inner,
    server: &Server,
    groundwork: &Groundwork,
) -> Result<(), EngineError> {
    ready(inner, server).await?;
    let name = inner.names().own("template");
    let mut admin = server.admins.connect().await?;
    lock(&mut admin, &name).await?;
    let sql = "SELECT pg_catalog.shobj_description(oid, 'pg_database') FROM pg_catalog.pg_database WHERE datname = $1";
    // Without a mark nobody knows whether it is the same.
    let is_new = groundwork.mark.is_empty() && !groundwork.scripts.is_empty();
    if !is_new && admin.value(sql, &[&name]).await? == told(groundwork) {
        admin.end().await;
        return Ok(());
    }
    build(inner, server, &mut admin, groundwork).await?;
    spares::give_up_outdated(inner, &mut admin).await?;
    admin.end().await;
    super::refill(inner, server).await
}
