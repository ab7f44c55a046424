//! Who is connected, how long idle, and how to close one.
use crate::page;
use crate::reply::{Json, Problem};
use crate::request::{Asked, Write, name};
use crate::shared::Shared;
use axum::extract::{Path, State};
use rowhouse_gateway::{ClientInfo, Doing};
use rowhouse_wire::management::{Client, Clients, Done, Failed};
use serde::Deserialize;
use std::sync::Arc;
use std::time::UNIX_EPOCH;
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// In which order.
    #[serde(default)]
    #[param(inline)]
    sort: Sort,
    /// How many at most: 1 to 1000, 100 unless said.
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
}

/// An order of clients.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Sort {
    /// By number, which is the order in which they came.
    #[default]
    Id,
    /// The longest idle first, then those that are busy.
    Idle,
}

/// Where a client stands in an order: by moment, then by number.
type Key = (u64, u64);

/// Who is connected, page by page.
#[utoipa::path(get, path = "/connections", params(ListQuery), responses(
    (status = 200, body = Clients),
    (status = 400, body = Failed),
))]
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    Asked(query): Asked<ListQuery>,
) -> Result<Json<Clients>, Problem> {
    let most = page::size(query.limit)?;
    let after = query.after.as_deref().map(parse_key).transpose()?;
    let mut clients: Vec<_> =
        shared.context.clients.list().into_iter().map(|client| (key(&client, query.sort), client)).collect();
    let active = u32::try_from(clients.len()).unwrap_or(u32::MAX);
    clients.retain(|(key, _)| after.is_none_or(|after| after < *key));
    clients.sort_unstable_by_key(|(key, _)| *key);
    let more = most < clients.len();
    clients.truncate(most);
    let next = clients.last().filter(|_| more).map(|((moment, id), _)| format!("{moment}-{id}"));
    let connections = clients.into_iter().map(|(_, client)| told(client)).collect();
    Ok(Json(Clients { active_connections: active, connections, next }))
}

/// Closes a client's connection; what it was doing is interrupted, and its transaction rolled back.
#[utoipa::path(delete, path = "/connections/{id}", params(("id" = u64, Path, description = "Its number")), responses(
    (status = 200, body = Done),
    (status = 404, body = Failed, description = "There is none of this number"),
    (status = 415, body = Failed, description = "The body is not said to be JSON"),
))]
pub(crate) async fn close(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    write: Write,
) -> Result<Json<Done>, Problem> {
    let id: u64 =
        id.parse().map_err(|_| Problem::bad_request("the number of a connection is a whole number"))?;
    if shared.context.clients.end(id, write.cause) {
        shared.settle().await?;
        Ok(Json(Done::new(format!("Connection {id} closed"))))
    } else {
        Err(Problem::not_found(format!("no connection has the number {id}: GET /connections lists them")))
    }
}

/// Where a client stands: by arrival, or by when it had nothing to do any more.
fn key(client: &ClientInfo, sort: Sort) -> Key {
    let moment = match (sort, client.doing) {
        (Sort::Id, _) => 0,
        (Sort::Idle, Doing::Busy(_)) => u64::MAX,
        (Sort::Idle, Doing::Idle(idle)) => {
            // Of one clock, so that it is the same whenever it is asked.
            let since = client.connected_at + client.connected.saturating_sub(idle);
            let since = since.duration_since(UNIX_EPOCH).unwrap_or_default();
            u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
        }
    };
    (moment, client.id)
}

fn parse_key(after: &str) -> Result<Key, Problem> {
    let parsed =
        after.split_once('-').and_then(|(moment, id)| Some((moment.parse().ok()?, id.parse().ok()?)));
    parsed.ok_or_else(|| Problem::bad_request("after must be the `next` of the page before"))
}

fn told(client: ClientInfo) -> Client {
    Client {
        age_seconds: page::seconds(client.connected),
        busy: matches!(client.doing, Doing::Busy(_)),
        database: client.database.as_ref().map(|database| name(database).to_owned()),
        from: client.from.to_string(),
        id: client.id,
        identified: client.identified,
        idle_seconds: page::seconds(client.doing.idle()),
        protocol: client.protocol.to_owned(),
        requests: client.requests,
        who: client.who,
    }
}
