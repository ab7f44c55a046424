//! The answers in words: the lines that scripts read.
use super::super::api::{Answer, ApiError};
use super::super::table::Column::{Left, Right};
use super::super::table::{Table, cell, plain};
use super::super::{Failure, listing};
use super::Ask;
use super::question::DEFAULT_LIMIT;
use rowhouse_wire::management as wire;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::io::{self, Write};

/// Writes what the answer to this command says; the error says that it is no good answer.
pub(super) fn answer(command: &Ask, answer: &Answer, out: &mut impl Write) -> anyhow::Result<()> {
    match command {
        Ask::Status => {
            let status: wire::LimitStatus = read(answer)?;
            writeln!(out, "Connection Status:")?;
            writeln!(out, "Current Limit: {}", status.current_limit)?;
            writeln!(out, "Active Connections: {}", status.active_connections)?;
        }
        Ask::Stats => stats(&read(answer)?, out)?,
        Ask::Reset { .. } => {
            writeln!(out, "Success: Reset connection limit to default ({DEFAULT_LIMIT})")?;
        }
        Ask::Increase { .. } => {
            let done: wire::Increased = read(answer)?;
            changed(&done.message, (done.old_limit, done.new_limit), out)?;
        }
        Ask::Decrease { .. } => {
            let done: wire::Decreased = read(answer)?;
            changed(&done.message, (done.old_limit, done.new_limit), out)?;
        }
        Ask::Health => {
            let health: wire::Health = read(answer)?;
            writeln!(out, "Health Check: {}", plain(&health.status))?;
            writeln!(out, "Service: {}", plain(&health.service))?;
        }
        _ => writeln!(out, "Success: {}", plain(&read::<wire::Done>(answer)?.message))?,
    }
    is_good(command, answer)
}

/// Says that a server which answers is not well.
pub(super) fn is_good(command: &Ask, answer: &Answer) -> anyhow::Result<()> {
    if !matches!(command, Ask::Health) {
        return Ok(());
    }
    match read::<wire::Health>(answer)?.status.as_str() {
        "healthy" => Ok(()),
        status => Err(Failure::new(format!("Error: the server is {}", plain(status))).into()),
    }
}

/// Writes a listing.
pub(super) fn page(command: &Ask, page: Value, out: &mut impl Write) -> anyhow::Result<()> {
    match command {
        Ask::History { .. } => history(&of(page)?, out)?,
        Ask::Connections { .. } => connections(&of(page)?, out)?,
        _ => databases(&of(page)?, out)?,
    }
    Ok(())
}

fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, Failure> {
    answer.read().map_err(Failure::from)
}

fn of<T: DeserializeOwned>(page: Value) -> Result<T, Failure> {
    serde_json::from_value(page).map_err(|error| ApiError::Unknown(error).into())
}

fn stats(stats: &wire::Stats, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "Connection Statistics:")?;
    writeln!(out, "Active Connections: {}", stats.active_connections)?;
    writeln!(out, "Max Connections: {}", stats.max_connections)?;
    writeln!(out, "Usage Percentage: {:.1}%", stats.usage_percentage.value())?;
    writeln!(out, "Available Slots: {}", stats.available_slots)
}

fn changed(message: &str, (from, to): (u32, u32), out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "Success: {}", plain(message))?;
    writeln!(out, "Old Limit: {from}, New Limit: {to}")
}

fn history(history: &wire::History, out: &mut impl Write) -> io::Result<()> {
    let mut table = Table::new(&[
        Right("ID"),
        Left("TIME"),
        Left("SOURCE"),
        Left("WHO"),
        Right("FROM"),
        Right("TO"),
        Right("ACTIVE"),
        Left("RESULT"),
        Left("REASON"),
    ]);
    for change in &history.changes {
        table.row([
            change.id.to_string(),
            change.at.clone(),
            change.source.clone(),
            change.who.clone(),
            cell(change.from),
            cell(change.to),
            cell(change.active),
            change.result.clone(),
            cell(change.error.as_ref().or(change.reason.as_ref())),
        ]);
    }
    write!(out, "{table}")
}

fn connections(clients: &wire::Clients, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "Active Connections: {}", clients.active_connections)?;
    write!(out, "{}", listing::connections(&clients.connections))
}

fn databases(page: &wire::Databases, out: &mut impl Write) -> io::Result<()> {
    if let Some(known) = page.known {
        writeln!(out, "Known Databases: {known}")?;
    }
    writeln!(out, "Open Databases: {}", page.open)?;
    write!(out, "{}", listing::databases(&page.databases))
}
