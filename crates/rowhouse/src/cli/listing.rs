//! The listings that more than one command shows.
use super::table::Column::{Left, Right};
use super::table::{Table, cell, span};
use rowhouse_wire::management::{Client, Database};

/// Databases, a line each.
pub(super) fn databases<'a>(databases: impl IntoIterator<Item = &'a Database>) -> Table {
    let mut table = Table::new(&[Left("NAME"), Left("STATE"), Right("SESSIONS")]);
    for database in databases {
        table.row([database.name.clone(), database.state.clone(), database.sessions.to_string()]);
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
