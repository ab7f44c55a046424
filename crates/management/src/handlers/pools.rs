//! Pools: what servers can take, and which databases have how much of that.
use crate::exposition::{Exposition, Kind};
use crate::page;
use crate::reply::{Json, Problem};
use crate::request::{Asked, name, target};
use crate::shared::Shared;
use axum::extract::State;
use rowhouse_gateway::{Backends, BudgetStatus, TenantStatus};
use rowhouse_types::Target;
use rowhouse_wire::management::{Failed, Pool, Pools, Server};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use utoipa::IntoParams;

/// What the metadata database is called here. No database can have this name.
const METADATA: &str = "~metadata";

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PoolsQuery {
    /// How many pools at most: 1 to 1000, 100 unless said.
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
}

/// The connections to servers, and the pools of open databases, by name, page by page.
#[utoipa::path(get, path = "/pools", params(PoolsQuery), responses(
    (status = 200, body = Pools),
    (status = 400, body = Failed),
))]
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    Asked(PoolsQuery { limit, after }): Asked<PoolsQuery>,
) -> Result<Json<Pools>, Problem> {
    let most = page::size(limit)?;
    let after = after.as_deref().map(target).transpose()?;
    let gateway = shared.context.gateway.clone();
    let status = shared.on_data(async move { gateway.status().await }).await?;
    let open = status.configured.into_iter().chain(status.opened.open);
    let served = open.filter_map(|one| Some((one.spec.target, one.backends?)));
    let mut pools: BTreeMap<Target, Backends> = served.collect();
    if let Some(after) = &after {
        pools.retain(|target, _| after < target);
    }
    let more = most < pools.len();
    let pools: Vec<_> = pools.iter().take(most).map(|(target, backends)| told(target, backends)).collect();
    let next = pools.last().filter(|_| more).map(|last| last.database.clone());
    let metadata = status.metadata.as_ref().map(|backends| of(METADATA, backends));
    Ok(Json(Pools { metadata, next, pools, servers: status.budgets.iter().map(server).collect() }))
}

/// One pool.
pub(crate) fn told(target: &Target, backends: &Backends) -> Pool {
    of(name(target), backends)
}

fn of(name: &str, backends: &Backends) -> Pool {
    Pool {
        database: name.to_owned(),
        idle: backends.idle,
        lent: backends.lent(),
        max_overflow: backends.overflow,
        pool_size: backends.size,
        reclaimed: backends.reclaimed,
        server: backends.server.clone(),
        waiting: backends.waiting,
    }
}

fn server(status: &BudgetStatus) -> Server {
    Server {
        budget: status.budget.map(NonZeroU32::get),
        closing: status.closing,
        idle: status.idle,
        in_use: status.in_use(),
        reclaimed: status.reclaimed,
        reserved: status.capacity.map(|capacity| capacity.reserved),
        server: status.server.clone(),
        takes: status.capacity.map(|capacity| capacity.connections),
        waiting: status.waiting,
    }
}

/// The servers' metrics: labels are the servers' names, which are configured.
pub(crate) fn servers(out: &mut Exposition, budgets: &[BudgetStatus]) {
    if budgets.is_empty() {
        return;
    }
    let help = "Connections to a server that all databases on it have together, by what they are at.";
    let mut family = out.family("rowhouse_server_connections", Kind::Gauge, help);
    for one in budgets {
        for (state, count) in [("in_use", one.in_use()), ("idle", one.idle), ("closing", one.closing)] {
            family.sample(&[("server", &one.server), ("state", state)], count);
        }
    }
    let help = "The most connections to a server that all databases on it may have together.";
    let mut family = out.family("rowhouse_server_connections_budget", Kind::Gauge, help);
    for one in budgets {
        if let Some(budget) = one.budget {
            family.sample(&[("server", &one.server)], budget);
        }
    }
    let help = "Requests that wait for a connection to a server.";
    let mut family = out.family("rowhouse_server_connections_waiting", Kind::Gauge, help);
    for one in budgets {
        family.sample(&[("server", &one.server)], one.waiting);
    }
    let help = "Connections to a server closed because another database had more need of the room.";
    let mut family = out.family("rowhouse_server_connections_reclaimed_total", Kind::Counter, help);
    for one in budgets {
        family.sample(&[("server", &one.server)], one.reclaimed);
    }
}

/// How many connections a database has, and what they are at.
pub(crate) fn backends(one: &TenantStatus, of: impl Fn(&Backends) -> u32) -> Option<u64> {
    one.backends.as_ref().map(of).map(u64::from)
}
