//! What the server answers about databases, in words.
use super::super::api::ApiError;
use super::super::table::{plain, span};
use super::super::{Failure, listing};
use super::Ask;
use rowhouse_wire::management as wire;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::io::{self, Write};

/// Writes what the answer to this command says.
pub(super) fn answer(command: &Ask, answer: Value, out: &mut impl Write) -> anyhow::Result<()> {
    match command {
        Ask::List { .. } => list(&read(answer)?, out)?,
        Ask::Pools => {
            let pools: wire::Pools = read(answer)?;
            writeln!(out, "{}", listing::servers(&pools.servers))?;
            write!(out, "{}", listing::pools(pools.metadata.iter().chain(&pools.pools)))?;
        }
        Ask::Show { .. } => show(&read(answer)?, out)?,
        Ask::Limit { limit: None, .. } => {
            let status: wire::LimitStatus = read(answer)?;
            writeln!(out, "Current Limit: {}", status.current_limit)?;
            writeln!(out, "Active Connections: {}", status.active_connections)?;
        }
        Ask::Limits { .. } => limits(&read(answer)?, "", out)?,
        Ask::Backup { .. } => {
            let backup: wire::Backup = read(answer)?;
            writeln!(out, "Success: {}", plain(&backup.message))?;
            writeln!(out, "Backup: {} ({})", plain(&backup.backup), bytesize::ByteSize(backup.bytes))?;
        }
        _ => writeln!(out, "Success: {}", plain(&message(&answer)?))?,
    }
    Ok(())
}

/// Writes a list of databases.
pub(super) fn list(page: &wire::Databases, out: &mut impl Write) -> io::Result<()> {
    if let Some(known) = page.known {
        writeln!(out, "Known Databases: {known}")?;
    }
    writeln!(out, "Open Databases: {}", page.open)?;
    write!(out, "{}", listing::databases(&page.databases))
}

fn show(database: &wire::DatabaseDetail, out: &mut impl Write) -> io::Result<()> {
    let truth = |truth: bool| if truth { "yes" } else { "no" };
    writeln!(out, "Name: {}", plain(&database.name))?;
    writeln!(out, "Kind: {}", plain(&database.kind))?;
    writeln!(out, "State: {}", plain(&database.state))?;
    if let Some(seconds) = database.open_seconds {
        writeln!(out, "Open For: {}", span(seconds))?;
    }
    if let Some(bytes) = database.bytes {
        writeln!(out, "Size: {} ({bytes} bytes)", bytesize::ByteSize(bytes))?;
    }
    writeln!(out, "Sessions: {}", database.sessions)?;
    writeln!(out, "Waiting: {}", database.waiting)?;
    writeln!(out, "Uses: {}", database.uses)?;
    if let Some(pool) = &database.pool {
        let wire::Pool { lent, idle, waiting, reclaimed, .. } = pool;
        writeln!(out, "Server: {}", plain(&pool.server))?;
        writeln!(out, "Connections: {lent} lent, {idle} idle, {waiting} waited for, {reclaimed} reclaimed")?;
    }
    writeln!(out, "Paused: {}", truth(database.paused))?;
    writeln!(out, "Frozen: {}", truth(database.frozen))?;
    writeln!(out, "Failing: {}", truth(database.failing))?;
    writeln!(out, "Limits:")?;
    limits(&database.limits, "  ", out)
}

fn limits(limits: &wire::Limits, indent: &str, out: &mut impl Write) -> io::Result<()> {
    for (key, value) in &limits.0 {
        let value = match value {
            Value::Null => "none".to_owned(),
            Value::String(text) => plain(text),
            other => other.to_string(),
        };
        writeln!(out, "{indent}{} = {value}", plain(key))?;
    }
    Ok(())
}

fn message(answer: &Value) -> Result<String, Failure> {
    #[derive(serde::Deserialize)]
    struct Told {
        message: String,
    }
    Ok(read::<Told>(answer.clone())?.message)
}

fn read<T: DeserializeOwned>(answer: Value) -> Result<T, Failure> {
    serde_json::from_value(answer).map_err(|error| ApiError::Unknown(error).into())
}
