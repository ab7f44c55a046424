//! A database comes into being: a spare that gets its name, or one that is made for it.
use super::{Step, lock, reach, role};
use crate::admin::{Admin, is};
use crate::engine::Inner;
use crate::names::{MAX_NAME, identifier};
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
    lock(&mut admin, name).await?;
    reach(inner, Step::Locked, name)?;
    if exists(&mut admin, name).await? {
        super::unfence(&mut admin, name).await?;
        return Err(EngineError::AlreadyExists);
    }
    if !take_spare(inner, &mut admin, name).await? {
        let unready = inner.names().unready(name);
        lock(&mut admin, &unready).await?;
        make(&mut admin, &unready, (inner, Origin::Template)).await?;
        reach(inner, Step::Created, name)?;
        adopt(inner, &mut admin, (&unready, name)).await?;
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
    admin.end().await;
    match made {
        Err(error) if is(&error, "42P04") || is(&error, "23505") => Err(EngineError::AlreadyExists),
        made => made,
    }
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
) -> Result<(), EngineError> {
    let sql = role::name(inner, admin, from, to).await?;
    match admin.run(&sql).await {
        // Somebody who holds no lock was faster: a restore by hand, another program.
        Err(error) if is(&error, "42P04") || is(&error, "23505") => Err(EngineError::AlreadyExists),
        named => named,
    }
}

/// Gives a spare the name, if there is one.
async fn take_spare(inner: &Inner, admin: &mut Admin<'_>, name: &str) -> Result<bool, EngineError> {
    while let Some(spare) = super::spares::choose(inner, admin).await? {
        reach(inner, Step::Chosen, name)?;
        match adopt(inner, admin, (&spare, name)).await {
            // Somebody has taken it between.
            Err(error) if is(&error, "3D000") => {}
            taken => return taken.map(|()| true),
        }
        super::unlock(admin, &spare).await?;
    }
    Ok(false)
}
