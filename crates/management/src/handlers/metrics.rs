//! Metrics: what is so now, from the ledgers themselves; what has happened, from the program's counters.
use super::pools;
use crate::exposition::{Exposition, KIND, Kind};
use crate::reply::{Problem, text};
use crate::request::name;
use crate::shared::Shared;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use rowhouse_gateway::{ClientsStatus, JournalCounts, LiveStatus, Status, TenantStatus};
use std::sync::Arc;

/// Databases that are told by name; what the others amount to is told together.
const TOLD: usize = 20;

/// What the others are called. A database of this name is always among them, so that none is told twice.
const OTHER: &str = "other";

/// Metrics in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", responses(
    (status = 200, body = String, content_type = "text/plain", description = "Prometheus' text format, version 0.0.4"),
))]
pub(crate) async fn metrics(State(shared): State<Arc<Shared>>) -> Result<Response, Problem> {
    let mut out = Exposition::default();
    clients(&mut out, &shared.context.clients.status());
    journal(&mut out, &shared.context.journal.counts());
    databases(&mut out, status(&shared).await?);
    if let Some(known) = shared.context.gateway.known_count() {
        out.gauge("rowhouse_databases_known", "Databases there are, as counted last.", known);
    }
    let paused = shared.context.gateway.paused();
    out.gauge("rowhouse_databases_paused", "Databases whose new requests wait.", paused);
    live(&mut out, shared.context.gateway.live());
    shared.context.operator.metrics(&mut out.text);
    Ok(text(StatusCode::OK, KIND, out.text))
}

async fn status(shared: &Arc<Shared>) -> Result<Status, Problem> {
    let gateway = shared.context.gateway.clone();
    shared.on_data(async move { gateway.status().await }).await
}

fn clients(out: &mut Exposition, status: &ClientsStatus) {
    let (active, limit) = (status.active, status.limit.get());
    out.gauge("rowhouse_connections_active", "Clients connected.", active);
    out.gauge("rowhouse_connections_limit", "The most clients connected at once.", limit);
    out.gauge("rowhouse_connections_available", "Clients there is room for.", limit.saturating_sub(active));
    out.gauge(
        "rowhouse_connections_usage_ratio",
        "Clients connected, as a share of the limit.",
        f64::from(active) / f64::from(limit),
    );
    out.gauge(
        "rowhouse_connections_unidentified",
        "Clients connected that have not said who they are.",
        status.unidentified,
    );
    out.counter(
        "rowhouse_connections_refused_total",
        "Clients refused because the limit was reached.",
        status.refused,
    );
}

fn live(out: &mut Exposition, status: LiveStatus) {
    let LiveStatus { subscribers, changes, gaps } = status;
    out.gauge("rowhouse_live_subscribers", "Those who read a feed of changes.", subscribers);
    out.counter("rowhouse_live_changes_total", "Changes of rows told to the feeds of databases.", changes);
    out.counter("rowhouse_live_gaps_total", "Times something was committed that feeds could not tell.", gaps);
}

fn journal(out: &mut Exposition, counts: &JournalCounts) {
    let help = "Changes of the limit of clients asked for, of all time, by source and result.";
    let mut family = out.family("rowhouse_limit_changes_total", Kind::Counter, help);
    for (source, result, count) in counts.limit_changes() {
        family.sample(&[("source", source.as_str()), ("result", result.as_str())], count);
    }
    let help = "What administration did or was refused, of all time, by action, source and result.";
    let mut family = out.family("rowhouse_journal_entries_total", Kind::Counter, help);
    for ((action, source, result), count) in &counts.entries {
        let labels = [("action", action.as_str()), ("source", source.as_str()), ("result", result.as_str())];
        family.sample(&labels, count);
    }
    out.gauge("rowhouse_journal_owed", "Entries that could not be written yet.", counts.owed);
    out.counter("rowhouse_journal_lost_total", "Entries that will never be written.", counts.lost);
}

fn databases(out: &mut Exposition, status: Status) {
    let Status { configured, opened, failing, limits, budgets, .. } = status;
    pools::servers(out, &budgets);
    let mut open: Vec<_> = configured.into_iter().chain(opened.open).collect();
    out.gauge("rowhouse_databases_open", "Databases open.", open.len());
    out.gauge(
        "rowhouse_databases_open_limit",
        "The most databases opened by name that are open at once.",
        limits.max_connections,
    );
    out.gauge(
        "rowhouse_databases_failing",
        "Databases that failed lately by the engine's fault.",
        failing.len(),
    );
    // The busiest first; among equals by name, so that the same ones are told again and again.
    open.sort_unstable_by(|a, b| b.uses.cmp(&a.uses).then_with(|| a.spec.target.cmp(&b.spec.target)));
    let is_told = |one: &TenantStatus| name(&one.spec.target) != OTHER;
    let (mut open, mut others): (Vec<_>, Vec<_>) = open.into_iter().partition(is_told);
    others.extend(open.split_off(TOLD.min(open.len())));
    per_database(
        out,
        (&open, &others),
        ("rowhouse_database_sessions", Kind::Gauge, "Sessions at work."),
        |one| Some(u64::from(one.active)),
    );
    let uses = ("rowhouse_database_uses", Kind::Gauge, "Sessions lent since the database was opened.");
    per_database(out, (&open, &others), uses, |one| Some(one.uses));
    let bytes = ("rowhouse_database_bytes", Kind::Gauge, "Bytes the database takes on disk.");
    per_database(out, (&open, &others), bytes, |one| one.size);
    let help = "Connections to its server that the database has.";
    let connections = ("rowhouse_database_connections", Kind::Gauge, help);
    per_database(out, (&open, &others), connections, |one| pools::backends(one, |all| all.open));
    let idle = ("rowhouse_database_connections_idle", Kind::Gauge, "Of them, those that are kept unused.");
    per_database(out, (&open, &others), idle, |one| pools::backends(one, |all| all.idle));
    let help = "Requests that wait for a connection to the database's server.";
    let waiting = ("rowhouse_database_connections_waiting", Kind::Gauge, help);
    per_database(out, (&open, &others), waiting, |one| pools::backends(one, |all| all.waiting));
}

/// A family with a sample for each of the busiest databases, and one for all others together.
fn per_database(
    out: &mut Exposition,
    (told, others): (&[TenantStatus], &[TenantStatus]),
    (family, kind, help): (&'static str, Kind, &str),
    value: impl Fn(&TenantStatus) -> Option<u64>,
) {
    let mut family = out.family(family, kind, help);
    for one in told {
        if let Some(value) = value(one) {
            family.sample(&[("database", name(&one.spec.target))], value);
        }
    }
    let others: Vec<_> = others.iter().filter_map(value).collect();
    if !others.is_empty() {
        let sum = others.into_iter().fold(0, u64::saturating_add);
        family.sample(&[("database", OTHER)], sum);
    }
}
