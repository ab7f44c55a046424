//! Spares: databases that are made before anybody needs them.
//!
//! Each has a name of its own as long as it is not ready, and another one from then on.
use super::{Origin, make, try_lock};
use crate::admin::{Admin, is};
use crate::engine::Inner;
use crate::names::identifier;
use crate::server::Server;
use rowhouse_engine::EngineError;

/// The spares that were made from the template as it is.
async fn ready(inner: &Inner, admin: &mut Admin<'_>) -> Result<Vec<String>, EngineError> {
    let sql = "SELECT s.datname FROM pg_catalog.pg_database s, pg_catalog.pg_database t \
               WHERE t.datname = $1 AND pg_catalog.starts_with(s.datname, $2 || t.oid || '~') ORDER BY s.oid";
    let (template, spare) = (inner.names().own("template"), inner.names().own("spare~"));
    let rows = admin.rows(sql, &[&template, &spare]).await?;
    Ok(rows.into_iter().flatten().flatten().collect())
}

async fn named(admin: &mut Admin<'_>, beginning: &str) -> Result<Vec<String>, EngineError> {
    let sql =
        "SELECT datname FROM pg_catalog.pg_database WHERE pg_catalog.starts_with(datname, $1) ORDER BY oid";
    let rows = admin.rows(sql, &[beginning]).await?;
    Ok(rows.into_iter().flatten().flatten().collect())
}

/// What the server calls the template.
async fn template(inner: &Inner, admin: &mut Admin<'_>) -> Result<Option<String>, EngineError> {
    oid(admin, &inner.names().own("template")).await
}

async fn oid(admin: &mut Admin<'_>, name: &str) -> Result<Option<String>, EngineError> {
    admin.value("SELECT oid FROM pg_catalog.pg_database WHERE datname = $1", &[name]).await
}

/// Makes spares until there are as many as there should be. One does so at a time, over all processes.
pub(crate) async fn refill(inner: &Inner, server: &Server) -> Result<(), EngineError> {
    let Ok(_turn) = server.spares.try_lock() else { return Ok(()) };
    let mut admin = server.admins.connect().await?;
    let making = inner.names().own("new~spare");
    if try_lock(&mut admin, &making).await? {
        while ready(inner, &mut admin).await?.len() < inner.config.spares as usize {
            one(inner, &mut admin, &making).await?;
        }
    }
    admin.end().await;
    Ok(())
}

async fn one(inner: &Inner, admin: &mut Admin<'_>, making: &str) -> Result<(), EngineError> {
    let before = template(inner, admin).await?;
    make(admin, making, (inner, Origin::Template)).await?;
    let made = oid(admin, making).await?.ok_or(EngineError::NoSuchDatabase)?;
    let template = match template(inner, admin).await? {
        Some(template) if before.as_ref() == Some(&template) => template,
        // Nobody knows which one it was made from.
        _ => return super::give_up(admin, making).await,
    };
    let spare = identifier(&inner.names().own(&format!("spare~{template}~{made}")));
    let making = identifier(making);
    let sql =
        format!("REVOKE ALL ON DATABASE {making} FROM PUBLIC; ALTER DATABASE {making} RENAME TO {spare}");
    admin.run(&sql).await
}

/// Removes the spares that were made from what is no longer the template.
pub(crate) async fn give_up_outdated(inner: &Inner, admin: &mut Admin<'_>) -> Result<(), EngineError> {
    let current = ready(inner, admin).await?;
    for spare in named(admin, &inner.names().own("spare~")).await? {
        if !current.contains(&spare) && try_lock(admin, &spare).await? {
            match super::give_up(admin, &spare).await {
                Err(error) if !is(&error, "3D000") => return Err(error),
                _ => super::unlock(admin, &spare).await?,
            }
        }
    }
    Ok(())
}
