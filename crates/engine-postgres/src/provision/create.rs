//! A database comes into being: a spare that gets its name, or one that is made for it.
use super::role::{self, STANDING, Standing};
use super::{Step, lock, reach};
use crate::admin::{Admin, is};
use crate::engine::Inner;
use crate::names::{MAX_NAME, identifier, lock_key, lock_key_sql};
use crate::server::{Place, Server};
use rowhouse_engine::EngineError;
use std::sync::Arc;

/// What a database is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The template, with what all tenants' databases begin with.
    Template,
    /// Nothing.
    Nothing,
}

/// Makes a database.
///
/// # Errors
///
/// `AlreadyExists` for all but one of those who make the same one at once.
///
/// # Cancel safety
///
/// It may have been made, or left half-made under another name, which is put right when it is made again.
pub(crate) async fn create(inner: &Arc<Inner>, place: &Place) -> Result<(), EngineError> {
    let Place { server, name, .. } = place;
    if MAX_NAME < name.len() || name.is_empty() {
        return Err(EngineError::NotADatabase);
    }
    if place.is_own {
        return own(server, name).await;
    }
    super::ready(inner, server).await?;
    let mut admin = server.admins.connect().await?;
    let mut found = look(inner, &mut admin, name).await?;
    reach(inner, Step::Locked, name)?;
    if let Some(lets_in) = found.lets_in {
        if !lets_in {
            super::unfence(&mut admin, name).await?;
        }
        admin.end().await;
        return Err(EngineError::AlreadyExists);
    }
    while let Some(spare) = found.spare.take() {
        reach(inner, Step::Chosen, name)?;
        match adopt(inner, &mut admin, (&spare, name), found.role).await {
            // Somebody has taken it between.
            Err(error) if is(&error, "3D000") => {
                super::unlock(&mut admin, &spare).await?;
                found = look(inner, &mut admin, name).await?;
            }
            adopted => {
                adopted?;
                found.is_made = true;
            }
        }
    }
    if !found.is_made {
        let unready = inner.names().unready(name);
        lock(&mut admin, &unready).await?;
        make(&mut admin, &unready, (inner, Origin::Template)).await?;
        reach(inner, Step::Created, name)?;
        adopt(inner, &mut admin, (&unready, name), found.role).await?;
    }
    reach(inner, Step::Named, name)?;
    admin.end().await;
    tracing::info!(database = %name, "created a database");
    if inner.config.spares != 0 && !inner.tracker.is_closed() {
        let (inner, server) = (inner.clone(), server.clone());
        inner.tracker.clone().spawn(async move { refill(&inner, &server).await });
    }
    Ok(())
}

/// Makes a database of ours, empty.
async fn own(server: &Server, name: &str) -> Result<(), EngineError> {
    let mut admin = server.admins.connect().await?;
    let made = admin.run(&format!("CREATE DATABASE {}", identifier(name))).await;
    match made {
        Err(error) if is(&error, "42P04") || is(&error, "23505") => return Err(EngineError::AlreadyExists),
        made => made?,
    }
    admin.end().await;
    Ok(())
}

/// What there is when somebody begins to make a database.
struct Found {
    /// Whether the database of this name lets anybody in, if there is one.
    lets_in: Option<bool>,
    /// The role of this name.
    role: Standing,
    /// A spare that nobody else is at, locked.
    spare: Option<String>,
    /// It became the database.
    is_made: bool,
}

/// Waits for the lock of a name, and looks what there is, in one go.
async fn look(inner: &Inner, admin: &mut Admin<'_>, name: &str) -> Result<Found, EngineError> {
    // A spare is locked only if it is needed, and only the first that nobody else has locked.
    let sql = format!(
        "SELECT (SELECT datallowconn FROM pg_catalog.pg_database WHERE datname = $1), ({STANDING}), \
         CASE WHEN NOT EXISTS (SELECT 1 FROM pg_catalog.pg_database WHERE datname = $1) THEN \
         (SELECT spare FROM (SELECT s.datname AS spare FROM pg_catalog.pg_database s, pg_catalog.pg_database t \
         WHERE t.datname = $3 AND pg_catalog.starts_with(s.datname, $4 || t.oid || '~') ORDER BY s.oid OFFSET 0) s \
         WHERE pg_catalog.pg_try_advisory_lock({}) LIMIT 1) END",
        lock_key_sql("spare")
    );
    let (template, spare) = (inner.names().own("template"), inner.names().own("spare~"));
    let lock = "SELECT pg_catalog.pg_advisory_lock($1::bigint)";
    let looked = admin
        .locks()
        .all(&[(lock, &[&lock_key(name)]), (&sql, &[name, &role::members(inner), &template, &spare])])
        .await;
    let rows = match looked {
        Err(error) if is(&error, "55P03") => return Err(super::busy()),
        looked => looked?.pop().and_then(|mut rows| rows.pop()).unwrap_or_default(),
    };
    let [lets_in, role, spare] = <[_; 3]>::try_from(rows).map_err(|_odd| EngineError::Lost)?;
    let lets_in = lets_in.map(|text| text == "t");
    Ok(Found { lets_in, role: Standing::read(role.as_deref()), spare, is_made: false })
}

async fn refill(inner: &Arc<Inner>, server: &Arc<Server>) {
    if let Err(error) = super::refill(inner, server).await {
        tracing::warn!(%error, "no spare databases can be made");
    }
}

/// Whether anything has this name, ready or not.
pub(crate) async fn exists(admin: &mut Admin<'_>, name: &str) -> Result<bool, EngineError> {
    admin.is("SELECT 1 FROM pg_catalog.pg_database WHERE datname = $1", &[name]).await
}

/// Makes a database that lets nobody in. What a killed process has left of this name is removed; who calls
/// this holds its lock.
pub(crate) async fn make(
    admin: &mut Admin<'_>,
    name: &str,
    (inner, origin): (&Inner, Origin),
) -> Result<(), EngineError> {
    let database = identifier(name);
    let template = match origin {
        Origin::Template => identifier(&inner.names().own("template")),
        Origin::Nothing => "template0".to_owned(),
    };
    let sql =
        format!("CREATE DATABASE {database} TEMPLATE {template} STRATEGY wal_log ALLOW_CONNECTIONS false");
    // By its name, or because one is being made in this moment.
    let is_taken = |error: &EngineError| is(error, "42P04") || is(error, "23505");
    match admin.run(&sql).await {
        Err(error) if is_taken(&error) => {
            super::give_up(admin, name).await?;
            admin.run(&sql).await
        }
        made => made,
    }
}

/// Gives a database its final name, and to its role, in one transaction.
pub(crate) async fn adopt(
    inner: &Inner,
    admin: &mut Admin<'_>,
    (from, to): (&str, &str),
    standing: Standing,
) -> Result<(), EngineError> {
    let sql = role::name(inner, (from, to), standing)?;
    match admin.run(&sql).await {
        // Somebody who holds no lock was faster: a restore by hand, another program.
        Err(error) if is(&error, "42P04") || is(&error, "23505") => Err(EngineError::AlreadyExists),
        named => named,
    }
}
