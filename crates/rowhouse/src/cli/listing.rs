//! The listings that more than one command shows.
use super::table::Column::{Left, Right};
use super::table::{Table, cell, span};
use rowhouse_wire::management::{Client, Database, Pool, Server};

/// Databases, a line each.
pub(super) fn databases<'a>(databases: impl IntoIterator<Item = &'a Database>) -> Table {
    let mut table = Table::new(&[Left("NAME"), Left("STATE"), Right("SESSIONS")]);
    for database in databases {
        table.row([database.name.clone(), database.state.clone(), database.sessions.to_string()]);
    }
    table
}

/// Servers, a line each.
pub(super) fn servers(servers: &[Server]) -> Table {
    let mut table = Table::new(&[
        Left("SERVER"),
        Right("BUDGET"),
        Right("IN USE"),
        Right("IDLE"),
        Right("CLOSING"),
        Right("WAITING"),
        Right("RECLAIMED"),
    ]);
    for server in servers {
        table.row([
            server.server.clone(),
            server.budget.map_or("unknown".to_owned(), |budget| budget.to_string()),
            server.in_use.to_string(),
            server.idle.to_string(),
            server.closing.to_string(),
            server.waiting.to_string(),
            server.reclaimed.to_string(),
        ]);
    }
    table
}

/// Pools, a line each.
pub(super) fn pools<'a>(pools: impl IntoIterator<Item = &'a Pool>) -> Table {
    let mut table = Table::new(&[
        Left("DATABASE"),
        Left("SERVER"),
        Right("LENT"),
        Right("IDLE"),
        Right("SIZE"),
        Right("WAITING"),
        Right("RECLAIMED"),
    ]);
    for pool in pools {
        table.row([
            pool.database.clone(),
            pool.server.clone(),
            pool.lent.to_string(),
            pool.idle.to_string(),
            format!("{}+{}", pool.pool_size, pool.max_overflow),
            pool.waiting.to_string(),
            pool.reclaimed.to_string(),
        ]);
    }
    table
}

/// Who is connected, a line each.
pub(super) fn connections(clients: &[Client]) -> Table {
    let mut table = Table::new(&[
        Right("ID"),
        Left("PROTOCOL"),
        Left("FROM"),
        Left("STATE"),
        Right("IDLE"),
        Right("AGE"),
        Right("REQUESTS"),
        Left("DATABASE"),
        Left("WHO"),
    ]);
    for client in clients {
        let state = match (client.identified, client.busy) {
            (false, _) => "unidentified",
            (true, true) => "busy",
            (true, false) => "idle",
        };
        table.row([
            client.id.to_string(),
            client.protocol.clone(),
            client.from.clone(),
            state.to_owned(),
            span(client.idle_seconds),
            span(client.age_seconds),
            client.requests.to_string(),
            cell(client.database.as_ref()),
            cell(client.who.as_ref()),
        ]);
    }
    table
}
