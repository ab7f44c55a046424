//! HEALTH_CHECK: what the original really sends, what its documentation promises, and what there is.
//!
//! Asking opens nothing and touches no database's place in the order of eviction.
mod backups;
mod map;
mod system;

use crate::shared::Shared;
use backups::Kept;
use map::{Map, set};
use rmpv::Value;
use rowhouse_gateway::{Dynamic, Failing, Status, TenantKind, TenantStatus};
use rowhouse_types::Target;
use std::time::{SystemTime, UNIX_EPOCH};

/// The reply to HEALTH_CHECK, asked of `database`.
pub(crate) async fn report(shared: &Shared, database: &str) -> Vec<u8> {
    let status = shared.context.gateway.status().await;
    let kept = backups::look(shared.context.backups.as_ref(), &status).await;
    let kept = kept.as_ref();
    let load = system::read(&shared.system);
    let mut map = Map::new();
    overall(&mut map, shared, &status, load);
    set(&mut map, "database_name", database);
    set(&mut map, "metrics", Value::Map(metrics(shared, &status)));
    set(&mut map, "connection", Value::Map(connection(shared, &status)));
    set(&mut map, "security", Value::Map(security(shared)));
    if let Some(directory) = &shared.context.settings.data_directory {
        set(&mut map, "data_directory", directory.display().to_string());
        set(&mut map, "storage", Value::Map(system::storage(directory, kept)));
    }
    match load {
        Some(load) => set(&mut map, "system", Value::Map(system::describe(&load))),
        None => set(&mut map, "system_stats_error", "not told by this platform"),
    }
    set(&mut map, "processes", Value::Map(tenants(shared, &status.configured, kept)));
    set(&mut map, "dynamic_databases", Value::Map(tenants(shared, &status.opened.open, kept)));
    set(&mut map, "database_count", status.configured.len() + status.opened.open.len());
    set(&mut map, "monitor", Value::Map(monitor(shared, &status)));
    map.extend(asked(shared, &status, database, kept));
    promised(&mut map, shared, &status);
    map::encode(map)
}

fn pair(key: &str, value: impl Into<Value>) -> (Value, Value) {
    (key.into(), value.into())
}

fn uptime(shared: &Shared) -> f64 {
    shared.started.elapsed().as_secs_f64()
}

fn overall(map: &mut Map, shared: &Shared, status: &Status, load: Option<system::Load>) {
    let (word, reason) = match status.failing.first() {
        Some(failing) => ("degraded", Some(not_running(failing))),
        None if 0 < shared.context.journal.counts().owed => {
            ("degraded", Some("Changes by administration cannot be recorded".to_owned()))
        }
        None if load.is_some_and(|load| load.is_low()) => {
            ("constrained", Some("System resources running low".to_owned()))
        }
        None => ("healthy", None),
    };
    set(map, "status", word);
    if let Some(reason) = reason {
        set(map, "status_reason", reason);
    }
    let now = SystemTime::now();
    let failing = status.failing.iter().map(|failing| Value::from(key(&failing.target))).collect();
    set(map, "failing_databases", Value::Array(failing));
    set(map, "timestamp", now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
    set(map, "datetime", humantime::format_rfc3339_micros(now).to_string());
    set(map, "uptime_seconds", uptime(shared));
    set(map, "version", shared.context.settings.version);
    set(map, "platform", format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH));
    set(map, "python_version", "none: rowhouse is written in Rust");
    set(map, "server_type", "SQLiteMultiServer");
    set(map, "server_name", format!("SQLiteMultiServer-{}", std::process::id()));
    set(map, "server_pid", std::process::id());
}

/// As the original words it.
fn not_running(failing: &Failing) -> String {
    let kind = match failing.kind {
        TenantKind::Static => "Database",
        TenantKind::Dynamic => "Dynamic database",
    };
    format!("{kind} process '{}' is not running", key(&failing.target))
}

fn key(target: &Target) -> String {
    target.name().map_or("default".to_owned(), ToString::to_string)
}

fn metrics(shared: &Shared, status: &Status) -> Map {
    let (counters, waiting) = (&shared.counters, shared.resends.waiting());
    let (queries, errors) = (counters.queries(), counters.errors());
    let rate =
        if queries == 0 { 100.0 } else { 100.0 * queries.saturating_sub(errors) as f64 / queries as f64 };
    let minutes = (uptime(shared) / 60.0).max(1.0 / 60.0);
    vec![
        pair("query_count", queries),
        pair("error_count", errors),
        pair("resends_joined", counters.resends()),
        pair("requests_detached", waiting.detached),
        pair("replies_kept", waiting.kept),
        pair("last_query_time", last_query(shared)),
        pair("query_success_rate", rate),
        pair("queries_per_minute", queries as f64 / minutes),
        pair("total_process_restarts", restarts(status)),
        pair("dynamic_connections_created", status.opened.counts.opened),
        pair("dynamic_connections_evicted", status.opened.counts.evicted),
        pair("dynamic_databases_created", status.opened.counts.created),
        pair("dynamic_connections_refused", status.opened.counts.refused),
        pair("dynamic_connections_reopened", status.opened.counts.reopened),
        pair("suggested_max_connections", status.opened.counts.would_fit.map_or(Value::Nil, Value::from)),
        pair("databases_replaced", status.opened.counts.replaced),
    ]
}

fn last_query(shared: &Shared) -> Value {
    shared.counters.last_query().map_or(Value::Nil, Value::from)
}

fn connection(shared: &Shared, status: &Status) -> Map {
    vec![
        pair("auto_connect_enabled", status.dynamic != Dynamic::Off),
        pair("auto_create_enabled", status.dynamic == Dynamic::Create),
        pair("isolation", if status.processes.is_some() { "process" } else { "thread" }),
        pair("max_connections", status.opened.counts.limit),
        pair("active_dynamic_connections", status.opened.counts.places),
        pair("router_address", format!("tcp://{}", shared.address)),
    ]
}

fn security(shared: &Shared) -> Map {
    let security = shared.entrance.security();
    let mut map = vec![
        pair("encryption_enabled", security.encrypts()),
        pair("zap_auth_enabled", security.allowed().is_some()),
    ];
    if let Some(allowed) = security.allowed() {
        map.push(pair("authorized_clients", allowed.count()));
        map.push(pair("clients_refused", shared.entrance.refused()));
    }
    map
}

fn tenants(shared: &Shared, tenants: &[TenantStatus], kept: Option<&Kept<'_>>) -> Map {
    tenants
        .iter()
        .map(|tenant| (key(&tenant.spec.target).into(), Value::Map(describe(shared, tenant, kept))))
        .collect()
}

fn describe(shared: &Shared, tenant: &TenantStatus, kept: Option<&Kept<'_>>) -> Map {
    let kind = match tenant.kind {
        TenantKind::Static => "static",
        TenantKind::Dynamic => "dynamic",
    };
    let mut map = vec![
        pair("running", tenant.process.is_none_or(|process| process.running)),
        pair("failing", tenant.failing),
        pair("pid", pid(tenant)),
        pair("port", shared.address.port()),
        pair("address", format!("tcp://{}", shared.address)),
        pair("database_name", tenant.spec.target.to_string()),
        pair("type", kind),
        pair("uptime_seconds", tenant.opened_at.elapsed().as_secs_f64()),
        pair("restart_count", tenant.process.map_or(0, |process| process.ended_before)),
        pair("use_count", tenant.uses),
        pair("active_sessions", tenant.active),
        pair("database_path", tenant.spec.location.0.as_str()),
        pair("memory_database", tenant.spec.location.0 == ":memory:"),
        pair("backup", Value::Map(backups::describe(kept, &tenant.spec.target))),
    ];
    if let Some(size) = tenant.size {
        map.push(pair("database_size_bytes", size));
        map.push(pair("database_size_mb", size as f64 / (1024.0 * 1024.0)));
    }
    map
}

/// The process that runs it.
fn pid(tenant: &TenantStatus) -> u32 {
    tenant.process.map_or_else(std::process::id, |process| process.id)
}

/// How many processes of databases have ended by themselves.
fn restarts(status: &Status) -> u64 {
    status.processes.map_or(0, |processes| processes.ended)
}

fn monitor(shared: &Shared, status: &Status) -> Map {
    vec![
        pair("enabled", true),
        pair("uptime_seconds", uptime(shared)),
        pair("total_restarts", restarts(status)),
        pair("processes_watched", status.configured.len() + status.opened.open.len()),
    ]
}

/// What concerns the database that was asked.
fn asked(shared: &Shared, status: &Status, database: &str, kept: Option<&Kept<'_>>) -> Map {
    let mut asked = Map::new();
    let map = &mut asked;
    let all = status.configured.iter().chain(&status.opened.open);
    let found = all.into_iter().find(|tenant| tenant.spec.target.to_string() == database);
    match found {
        Some(tenant) => {
            set(map, "database_status", "running");
            set(map, "database_type", if tenant.kind == TenantKind::Static { "static" } else { "dynamic" });
            set(map, "database_bind_address", format!("tcp://{}", shared.address));
            set(map, "database_pid", pid(tenant));
            backups::describe_asked(map, kept, &tenant.spec.target);
        }
        None => {
            set(map, "database_status", "unknown");
            set(map, "database_error", format!("Database '{database}' not found"));
        }
    }
    asked
}

/// What the documentation promises at the top level.
fn promised(map: &mut Map, shared: &Shared, status: &Status) {
    set(map, "uptime", uptime(shared));
    set(map, "query_count", shared.counters.queries());
    set(map, "error_count", shared.counters.errors());
    set(map, "last_query_time", last_query(shared));
    set(map, "active_dynamic_connections", status.opened.counts.places);
    set(map, "max_connections", status.opened.counts.limit);
    set(map, "dynamic_connections_created", status.opened.counts.opened);
    set(map, "dynamic_connections_evicted", status.opened.counts.evicted);
    let clients = shared.context.clients.status();
    set(map, "client_connections", clients.active);
    set(map, "client_connections_unidentified", clients.unidentified);
    set(map, "client_connection_limit", clients.limit.get());
}
