//! Databases: which there are, what is told of one, and how one is made, dropped and looked after.
use crate::page;
use crate::reply::{Json, Problem};
use crate::request::{Asked, Named, Write, name, target};
use crate::shared::Shared;
use axum::extract::State;
use rowhouse_engine::{Course, Pace};
use rowhouse_gateway::metadata::MetadataError;
use rowhouse_gateway::{
    Action, AdminError, BackupError, Cause, DatabaseReport, Entry, PlaceError, Removal, TenantKind,
    TenantStatus,
};
use rowhouse_types::Target;
use rowhouse_wire::management::{
    Backup, Confirmation, CreateDatabase, Database, DatabaseDetail, Databases, Done, Failed, SUCCESS,
};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// How long the requests of a database may take to end when it is paused.
const PAUSE_PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Which of them.
    #[serde(default)]
    #[param(inline)]
    state: Which,
    /// How many at most: 1 to 1000, 100 unless said.
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
}

/// Which databases are listed.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Which {
    /// All there are.
    #[default]
    Known,
    /// Those that are open.
    Open,
}

/// The databases there are, by name, page by page.
#[utoipa::path(get, path = "/databases", params(ListQuery), responses(
    (status = 200, body = Databases),
    (status = 400, body = Failed),
))]
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    Asked(ListQuery { state, limit, after }): Asked<ListQuery>,
) -> Result<Json<Databases>, Problem> {
    let most = page::size(limit)?;
    let after = after.as_deref().map(target).transpose()?;
    let gateway = shared.context.gateway.clone();
    let status = shared.on_data(async move { gateway.status().await }).await?;
    let open = status.configured.into_iter().chain(status.opened.open);
    let open: BTreeMap<Target, TenantStatus> = open.map(|one| (one.spec.target.clone(), one)).collect();
    let (mut targets, known) = match state {
        Which::Open => (open.keys().cloned().collect(), None),
        Which::Known => {
            let named = shared.names.read(&shared, after.is_some()).await?;
            let default = open.contains_key(&Target::Default).then_some(Target::Default);
            let known = u64::try_from(named.len() + usize::from(default.is_some())).unwrap_or(u64::MAX);
            let begin = match &after {
                Some(Target::Named(after)) => named.partition_point(|name| name <= after),
                _ => 0,
            };
            let named = named[begin..].iter().take(most + 1).cloned().map(Target::Named);
            (default.into_iter().chain(named).collect::<Vec<_>>(), Some(known))
        }
    };
    targets.retain(|target| after.as_ref().is_none_or(|after| after < target));
    let more = most < targets.len();
    targets.truncate(most);
    let next = targets.last().filter(|_| more).map(|last| name(last).to_owned());
    let brief = |target: &Target| {
        let open = open.get(target);
        let state = if open.is_some() { "open" } else { "closed" };
        let sessions = open.map_or(0, |open| open.active);
        Database { name: name(target).to_owned(), sessions, state: state.to_owned() }
    };
    let databases = targets.iter().map(brief).collect();
    Ok(Json(Databases { databases, known, next, open: u64::try_from(open.len()).unwrap_or(u64::MAX) }))
}

/// What is told of one database. Nothing is opened for it.
#[utoipa::path(get, path = "/databases/{name}", params(("name" = String, Path, description = "Its name; `~default` is the default database")), responses(
    (status = 200, body = DatabaseDetail),
    (status = 400, body = Failed, description = "That is no name"),
    (status = 404, body = Failed, description = "There is no such database"),
))]
pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    Named(target): Named,
) -> Result<Json<DatabaseDetail>, Problem> {
    let gateway = shared.context.gateway.clone();
    let report = shared.on_data(async move { gateway.inspect(&target).await }).await??;
    Ok(Json(told(&report)))
}

/// Creates an empty database among those opened by name.
#[utoipa::path(post, path = "/databases", request_body = CreateDatabase, responses(
    (status = 200, body = Done),
    (status = 400, body = Failed, description = "That is no name, or the server opens none by name"),
    (status = 409, body = Failed, description = "There is one"),
    (status = 415, body = Failed, description = "The body is not said to be JSON"),
))]
pub(crate) async fn create(State(shared): State<Arc<Shared>>, write: Write) -> Result<Json<Done>, Problem> {
    let CreateDatabase { name } = write.read()?;
    let Target::Named(wanted) = target(&name)? else {
        return Err(Problem::bad_request("the default database is configured: it cannot be created"));
    };
    let (gateway, cause) = (shared.context.gateway.clone(), write.cause);
    shared.on_data(async move { gateway.create(&wanted, &cause).await }).await??;
    shared.settle().await?;
    Ok(Json(Done::new(format!("Database {name} created"))))
}

/// Drops a database and all it holds.
#[utoipa::path(delete, path = "/databases/{name}", request_body = Confirmation, params(("name" = String, Path, description = "Its name")), responses(
    (status = 200, body = Done),
    (status = 400, body = Failed, description = "The name is not repeated in `confirm`"),
    (status = 404, body = Failed, description = "There is no such database"),
    (status = 409, body = Failed, description = "Somebody uses it, or it is configured"),
    (status = 415, body = Failed, description = "The body is not said to be JSON"),
))]
pub(crate) async fn remove(
    State(shared): State<Arc<Shared>>,
    Named(target): Named,
    write: Write,
) -> Result<Json<Done>, Problem> {
    let called = name(&target).to_owned();
    let confirmed: Result<Confirmation, _> = write.read();
    let force = match confirmed {
        Ok(Confirmation { confirm, force }) if confirm == called => force,
        _ => {
            let error = format!(
                "dropping a database cannot be undone: repeat its name in the body, {{\"confirm\": \"{called}\"}}"
            );
            return Err(Problem::bad_request(error));
        }
    };
    let Target::Named(doomed) = target else {
        return Err(Problem::conflict("the default database is configured: it cannot be dropped"));
    };
    let (gateway, cause) = (shared.context.gateway.clone(), write.cause);
    let how = Removal { force, ..Removal::default() };
    shared.on_data(async move { gateway.drop_database(&doomed, how, &cause).await }).await??;
    shared.settle().await?;
    Ok(Json(Done::new(format!("Database {called} dropped"))))
}

/// Closes a database that nobody uses; the next request opens it again.
#[utoipa::path(post, path = "/databases/{name}/evict", params(("name" = String, Path, description = "Its name")), responses(
    (status = 200, body = Done),
    (status = 404, body = Failed, description = "There is no such database"),
    (status = 409, body = Failed, description = "Somebody uses it, or it is configured"),
    (status = 415, body = Failed, description = "The body is not said to be JSON"),
))]
pub(crate) async fn evict(
    State(shared): State<Arc<Shared>>,
    Named(target): Named,
    write: Write,
) -> Result<Json<Done>, Problem> {
    let done = Done::new(format!("Database {} closed", name(&target)));
    let (gateway, cause) = (shared.context.gateway.clone(), write.cause);
    shared.on_data(async move { gateway.evict(&target, &cause).await }).await??;
    shared.settle().await?;
    Ok(Json(done))
}

/// Lets new requests of a database wait until it is resumed; answers when those that run have ended.
#[utoipa::path(post, path = "/databases/{name}/pause", params(("name" = String, Path, description = "Its name")), responses(
    (status = 200, body = Done),
    (status = 404, body = Failed, description = "There is no such database"),
    (status = 409, body = Failed, description = "Its requests did not end in time, or it was resumed meanwhile: it is not paused"),
    (status = 415, body = Failed, description = "The body is not said to be JSON"),
))]
pub(crate) async fn pause(
    State(shared): State<Arc<Shared>>,
    Named(target): Named,
    write: Write,
) -> Result<Json<Done>, Problem> {
    let done = Done::new(format!("Database {} paused", name(&target)));
    let (gateway, cause) = (shared.context.gateway.clone(), write.cause);
    shared.on_data(async move { gateway.pause(&target, PAUSE_PATIENCE, &cause).await }).await??;
    shared.settle().await?;
    Ok(Json(done))
}

/// Lets the requests of a paused database go on.
#[utoipa::path(post, path = "/databases/{name}/resume", params(("name" = String, Path, description = "Its name")), responses(
    (status = 200, body = Done),
    (status = 409, body = Failed, description = "It is not paused"),
    (status = 415, body = Failed, description = "The body is not said to be JSON"),
))]
pub(crate) async fn resume(
    State(shared): State<Arc<Shared>>,
    Named(target): Named,
    write: Write,
) -> Result<Json<Done>, Problem> {
    if !shared.context.gateway.resume(&target, &write.cause) {
        return Err(Problem::conflict(format!("database {} is not paused", name(&target))));
    }
    shared.settle().await?;
    Ok(Json(Done::new(format!("Database {} resumed", name(&target)))))
}

/// Moves what was committed from a database's log to where it belongs.
#[utoipa::path(post, path = "/databases/{name}/checkpoint", params(("name" = String, Path, description = "Its name")), responses(
    (status = 200, body = Done),
    (status = 404, body = Failed, description = "There is no such database"),
    (status = 415, body = Failed, description = "The body is not said to be JSON"),
    (status = 503, body = Failed, description = "Somebody reads for long, or the disk fails"),
))]
pub(crate) async fn checkpoint(
    State(shared): State<Arc<Shared>>,
    Named(target): Named,
    write: Write,
) -> Result<Json<Done>, Problem> {
    let done = Done::new(format!("Database {} checkpointed", name(&target)));
    let (gateway, cause) = (shared.context.gateway.clone(), write.cause);
    shared.on_data(async move { gateway.checkpoint(&target, &cause).await }).await??;
    shared.settle().await?;
    Ok(Json(done))
}

/// Backs a database up now, open or not.
#[utoipa::path(post, path = "/databases/{name}/backup", params(("name" = String, Path, description = "Its name")), responses(
    (status = 200, body = Backup),
    (status = 404, body = Failed, description = "There is no such database"),
    (status = 409, body = Failed, description = "The server keeps no backups"),
    (status = 415, body = Failed, description = "The body is not said to be JSON"),
    (status = 503, body = Failed, description = "It cannot be copied, or the copy cannot be kept"),
))]
pub(crate) async fn backup(
    State(shared): State<Arc<Shared>>,
    Named(target): Named,
    write: Write,
) -> Result<Json<Backup>, Problem> {
    let Some(backups) = shared.context.backups.clone() else {
        return Err(Problem::conflict("the server keeps no backups: start it with --backup-dir"));
    };
    let called = name(&target).to_owned();
    let work = {
        let (journal, cause) = (shared.context.journal.clone(), write.cause);
        async move {
            let made = backups.back_up(&target, &Course::new(Pace::Gentle)).await;
            drop(journal.record(entry(&target, cause, &made)));
            made
        }
    };
    let made = shared.on_data(work).await??;
    shared.settle().await?;
    let backup = made.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let message = format!("Database {called} backed up");
    Ok(Json(Backup { backup, bytes: made.bytes, message, status: SUCCESS.to_owned() }))
}

fn entry(database: &Target, cause: Cause, made: &Result<rowhouse_gateway::Backup, BackupError>) -> Entry {
    Entry {
        database: Some(database.clone()),
        to: made.as_ref().ok().map(|made| format!("{} bytes", made.bytes)),
        result: made.as_ref().map(drop).map_err(|error| format!("{}: {error}", error.code())),
        ..Entry::of(Action::Backup, cause)
    }
}

fn told(report: &DatabaseReport) -> DatabaseDetail {
    let open = report.open.as_ref();
    let status = open.map(|open| &open.status);
    DatabaseDetail {
        bytes: report.bytes,
        failing: status.is_some_and(|status| status.failing),
        frozen: open.is_some_and(|open| open.frozen),
        kind: match report.kind {
            TenantKind::Static => "configured".to_owned(),
            TenantKind::Dynamic => "by-name".to_owned(),
        },
        limits: crate::limits::told(&report.limits),
        name: name(&report.target).to_owned(),
        open_seconds: status.map(|status| page::seconds(status.opened_at.elapsed())),
        paused: report.paused,
        pool: status.and_then(|status| Some(super::pools::told(&report.target, status.backends.as_ref()?))),
        sessions: status.map_or(0, |status| status.active),
        state: if open.is_some() { "open".to_owned() } else { "closed".to_owned() },
        uses: status.map_or(0, |status| status.uses),
        waiting: report.waiting,
    }
}

impl From<BackupError> for Problem {
    fn from(error: BackupError) -> Self {
        use rowhouse_types::ErrorCode;
        tracing::warn!(error = %error, "a backup that was asked for was not made");
        match error.code() {
            ErrorCode::DatabaseNotFound => Self::not_found("no such database"),
            code => Self::unavailable(format!("{error} ({code}): see the server's log")),
        }
    }
}

impl From<AdminError> for Problem {
    fn from(error: AdminError) -> Self {
        use http::StatusCode;
        use rowhouse_types::Reportable as _;
        let status = match &error {
            AdminError::Refused(refused) => return Self::from(*refused),
            AdminError::NotFound => StatusCode::NOT_FOUND,
            AdminError::NotByName | AdminError::Invalid(_) => StatusCode::BAD_REQUEST,
            AdminError::Exists
            | AdminError::Configured { .. }
            | AdminError::InUse { .. }
            | AdminError::StillInUse { .. }
            | AdminError::Resumed
            | AdminError::BeingDropped
            | AdminError::TooMany { .. } => StatusCode::CONFLICT,
            AdminError::Place(place) => place_status(place),
            AdminError::Engine(_)
            | AdminError::Migration(_)
            | AdminError::NotKept(_)
            | AdminError::ShuttingDown => {
                tracing::warn!(error = %error, "what was asked for a database failed");
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        let message = match error.hint() {
            Some(hint) => format!("{}: {hint}", error.public_message()),
            None => error.public_message(),
        };
        Self::Failed(status, message)
    }
}

/// What it is that a database is not where it could be served, in HTTP's terms.
fn place_status(error: &PlaceError) -> http::StatusCode {
    use http::StatusCode;
    match error {
        PlaceError::Catalog(MetadataError::NotFound { .. }) => StatusCode::NOT_FOUND,
        PlaceError::Catalog(MetadataError::Invalid { .. }) => StatusCode::BAD_REQUEST,
        PlaceError::Catalog(MetadataError::Exists { .. } | MetadataError::State { .. })
        | PlaceError::Suspended
        | PlaceError::Quarantined
        | PlaceError::BeingDropped => StatusCode::CONFLICT,
        error => {
            tracing::warn!(%error, "it cannot be told where a database is");
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}
