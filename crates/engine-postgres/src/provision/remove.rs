//! Databases go: renamed at once, dropped later; and what killed processes have left goes with them.
use super::role::{Standing, standing};
use super::template::evict;
use super::{Step, lock, reach, try_lock, unlock};
use crate::admin::{Admin, is};
use crate::engine::{COMMENT, Inner, find};
use crate::names::identifier;
use crate::server::{Place, Server};
use rowhouse_engine::EngineError;
use std::sync::Arc;

/// Takes a database out of everybody's sight; it is dropped in the background.
///
/// # Cancel safety
///
/// It may let nobody in afterwards and still have its name: then it can be destroyed again.
pub(crate) async fn destroy(inner: &Arc<Inner>, place: &Place) -> Result<(), EngineError> {
    let Place { server, name, .. } = place;
    if place.is_own {
        return Err(EngineError::Unsupported { what: "dropping a database that is no tenant's" });
    }
    let mut admin = server.admins.connect().await?;
    lock(&mut admin, name).await?;
    reach(inner, Step::Locked, name)?;
    let gone = retire(inner, &mut admin, name).await?.ok_or(EngineError::NoSuchDatabase)?;
    reach(inner, Step::Renamed, name)?;
    admin.end().await;
    tracing::info!(database = %name, "removed a database");
    if inner.tracker.is_closed() {
        return Ok(());
    }
    let server = server.clone();
    inner.tracker.spawn(async move {
        if let Err(error) = drop_now(&server, &gone).await {
            tracing::debug!(%error, "a removed database is dropped later");
        }
    });
    Ok(())
}

/// Renames a database and its role to what nobody looks for; what it is called then. `None` if there is none.
/// Who calls this holds its lock.
pub(crate) async fn retire(
    inner: &Inner,
    admin: &mut Admin<'_>,
    name: &str,
) -> Result<Option<String>, EngineError> {
    let sql = "SELECT oid FROM pg_catalog.pg_database WHERE datname = $1";
    let Some(oid) = admin.value(sql, &[name]).await? else { return Ok(None) };
    let gone = inner.names().own(&format!("dropped~{oid}"));
    let database = identifier(name);
    admin.run(&format!("ALTER DATABASE {database} ALLOW_CONNECTIONS false")).await?;
    reach(inner, Step::Fenced, name)?;
    evict(admin, name).await?;
    let has_role = has_role(inner, admin, name).await?;
    admin.run(&retirement(has_role, name, &gone)).await?;
    Ok(Some(gone))
}

/// Whether there is a tenant's role of this name.
pub(crate) async fn has_role(inner: &Inner, admin: &mut Admin<'_>, name: &str) -> Result<bool, EngineError> {
    Ok(standing(inner, admin, name).await? == Standing::Ours)
}

/// SQL that renames a database, and its role if it has one.
pub(crate) fn retirement(has_role: bool, name: &str, gone: &str) -> String {
    let (name, gone) = (identifier(name), identifier(gone));
    let role = format!("ALTER ROLE {name} NOLOGIN; ALTER ROLE {name} RENAME TO {gone}; ");
    format!("{}ALTER DATABASE {name} RENAME TO {gone}", if has_role { &role } else { "" })
}

/// Drops a database and its role, whoever is connected to it.
pub(crate) async fn give_up(admin: &mut Admin<'_>, name: &str) -> Result<(), EngineError> {
    let name = identifier(name);
    admin.run(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
    match admin.run(&format!("DROP ROLE IF EXISTS {name}")).await {
        // It has something in a database that is none of ours, where somebody must have given it to it.
        Err(error) if is(&error, "2BP01") => {
            tracing::warn!(role = %name, "a role cannot be dropped");
            Ok(())
        }
        dropped => dropped,
    }
}

async fn drop_now(server: &Server, name: &str) -> Result<(), EngineError> {
    let mut admin = server.admins.connect().await?;
    if try_lock(&mut admin, name).await? {
        give_up(&mut admin, name).await?;
    }
    admin.end().await;
    Ok(())
}

/// Lets in again to a database that somebody wanted to remove who was killed. Who calls this holds its lock.
pub(crate) async fn unfence(admin: &mut Admin<'_>, name: &str) -> Result<(), EngineError> {
    if find(admin, name).await?.is_none() {
        admin.run(&format!("ALTER DATABASE {} ALLOW_CONNECTIONS true", identifier(name))).await?;
    }
    Ok(())
}

/// Puts right what killed processes have left: removes what was to become a database, drops what was
/// renamed to be dropped, and makes the template if it is gone.
pub(crate) async fn recover(inner: &Inner, server: &Server) -> Result<(), EngineError> {
    let mut admin = server.admins.connect().await?;
    let own = inner.names().own("");
    for (name, comment) in databases(inner, &mut admin).await? {
        let what = name.strip_prefix(&own);
        let is_leftover = what.is_some_and(|what| what.starts_with("dropped~") || what.starts_with("new~"));
        let is_fenced = what.is_none() && comment.is_some_and(|comment| comment.starts_with(COMMENT));
        // Who is at work holds the lock of what it works at.
        if (is_leftover || is_fenced) && try_lock(&mut admin, &name).await? {
            if is_leftover {
                give_up(&mut admin, &name).await?;
            } else if super::create::exists(&mut admin, &name).await? {
                unfence(&mut admin, &name).await?;
            }
            unlock(&mut admin, &name).await?;
        }
    }
    roles(inner, &mut admin).await?;
    super::spares::give_up_outdated(inner, &mut admin).await?;
    admin.end().await;
    super::ready(inner, server).await
}

/// What begins as our names do and lets nobody in, or is to go; with the comments.
async fn databases(
    inner: &Inner,
    admin: &mut Admin<'_>,
) -> Result<Vec<(String, Option<String>)>, EngineError> {
    let sql = "SELECT datname, pg_catalog.shobj_description(oid, 'pg_database') FROM pg_catalog.pg_database \
               WHERE pg_catalog.starts_with(datname, $1) \
               AND (NOT datallowconn OR pg_catalog.starts_with(datname, $2))";
    let rows = admin.rows(sql, &[inner.names().beginning(), &inner.names().own("new~")]).await?;
    let read = |row: Vec<Option<String>>| {
        let mut row = row.into_iter();
        Some((row.next()??, row.next().flatten()))
    };
    Ok(rows.into_iter().filter_map(read).collect())
}

/// Drops roles of databases that were dropped.
async fn roles(inner: &Inner, admin: &mut Admin<'_>) -> Result<(), EngineError> {
    for what in ["dropped~", "new~"] {
        let sql = "SELECT rolname FROM pg_catalog.pg_roles r WHERE pg_catalog.starts_with(rolname, $1) \
                   AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_database WHERE datname = rolname)";
        let rows = admin.rows(sql, &[&inner.names().own(what)]).await?;
        for role in rows.into_iter().flatten().flatten() {
            if find(admin, &role).await?.is_none() && try_lock(admin, &role).await? {
                give_up(admin, &role).await?;
                unlock(admin, &role).await?;
            }
        }
    }
    Ok(())
}
