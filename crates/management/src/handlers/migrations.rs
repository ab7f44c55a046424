//! Migrations: a run over databases is begun, and looked at.
use crate::reply::{Json, Problem};
use crate::request::{Write, name, target};
use crate::shared::Shared;
use axum::extract::State;
use rowhouse_gateway::migrate::{Difference, End, Errand, Finding, Order, OrderError, Report, What};
use rowhouse_types::Target;
use rowhouse_wire::management::{
    Failed, MigrationDifference, MigrationFinding, MigrationRun, Migrations, StartMigration,
};
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// How many databases are worked on at once, unless it is said.
pub const DEFAULT_JOBS: u32 = 8;

/// The most databases that are worked on at once.
pub const MAX_JOBS: u32 = 64;

/// The run that was begun last, under way or ended.
#[utoipa::path(get, path = "/migrations", responses((status = 200, body = Migrations)))]
pub(crate) async fn show(State(shared): State<Arc<Shared>>) -> Json<Migrations> {
    Json(Migrations { run: shared.context.fleet.report().as_ref().map(migration_run) })
}

/// Begins a run over databases; it goes on when the caller leaves.
#[utoipa::path(post, path = "/migrations", request_body = StartMigration, responses(
    (status = 200, body = Migrations, description = "It was begun"),
    (status = 400, body = Failed, description = "There are no such migrations, or they break a rule"),
    (status = 404, body = Failed, description = "There is no such database"),
    (status = 409, body = Failed, description = "Another run is under way"),
    (status = 415, body = Failed, description = "The body is not said to be JSON"),
))]
pub(crate) async fn start(
    State(shared): State<Arc<Shared>>,
    write: Write,
) -> Result<Json<Migrations>, Problem> {
    let order = order(&write.read()?)?;
    let (fleet, cause) = (shared.context.fleet.clone(), write.cause);
    shared.on_data(async move { fleet.begin(order, cause).await }).await??;
    Ok(Json(Migrations { run: shared.context.fleet.report().as_ref().map(migration_run) }))
}

/// What is asked for.
fn order(asked: &StartMigration) -> Result<Order, Problem> {
    let errand = match asked.errand.as_str() {
        "status" => Errand::Status,
        "up" => Errand::Up,
        "verify" => Errand::Verify,
        other => return Err(Problem::bad_request(format!("{other:?} is neither status, up nor verify"))),
    };
    let jobs = asked.jobs.unwrap_or(DEFAULT_JOBS);
    let jobs = usize::try_from(jobs).ok().filter(|_| jobs <= MAX_JOBS).and_then(NonZeroUsize::new);
    let jobs = jobs.ok_or_else(|| Problem::bad_request(format!("jobs is from 1 to {MAX_JOBS}")))?;
    let only = asked.only.as_ref().map(|names| {
        let named = names.iter().map(|name| match target(name)? {
            Target::Named(name) => Ok(name),
            Target::Default => Err(Problem::bad_request("the default database is not migrated")),
        });
        named.collect::<Result<BTreeSet<_>, _>>()
    });
    Ok(Order {
        errand,
        subject: asked.subject.parse().map_err(|error: String| Problem::bad_request(error))?,
        only: only.transpose()?,
        jobs,
        retry_begun: asked.retry_begun,
    })
}

/// What is told of a run.
pub fn migration_run(report: &Report) -> MigrationRun {
    let Report { errand, began, took, end, tally, findings } = report;
    MigrationRun {
        ahead: tally.ahead,
        began: humantime::format_rfc3339_seconds(*began).to_string(),
        behind: tally.behind,
        databases: findings.iter().map(finding).collect(),
        different: tally.different,
        done: tally.done,
        end: end.as_ref().map(|end| word(end).to_owned()),
        error: match end {
            Some(End::Failed(why)) => Some(why.clone()),
            _ => None,
        },
        errand: errand.as_str().to_owned(),
        failed: tally.failed,
        migrated: tally.migrated,
        seconds: took.as_secs_f64(),
        total: tally.total,
        up_to_date: tally.up_to_date,
    }
}

fn word(end: &End) -> &'static str {
    match end {
        End::Complete => "complete",
        End::Stopped => "stopped",
        End::Failed(_) => "failed",
    }
}

fn finding(Finding { target, what }: &Finding) -> MigrationFinding {
    let name = name(target).to_owned();
    let state = |state: &str, why: String| MigrationFinding {
        name: name.clone(),
        state: state.to_owned(),
        why,
        ..MigrationFinding::default()
    };
    match what {
        What::Behind { at, newest } => state("behind", format!("at V{at}, the newest is V{newest}")),
        What::Ahead { why } => state("ahead", why.clone()),
        What::Failed { why, quarantined } => {
            MigrationFinding { quarantined: *quarantined, ..state("failed", why.clone()) }
        }
        What::Different { parts, count } => {
            let differences = parts.iter().map(difference).collect();
            let s = if *count == 1 { "" } else { "s" };
            MigrationFinding { differences, ..state("different", format!("differs in {count} part{s}")) }
        }
    }
}

fn difference(difference: &Difference) -> MigrationDifference {
    let Difference { part, expected, found } = difference.clone();
    MigrationDifference { expected, found, part }
}

impl From<OrderError> for Problem {
    fn from(error: OrderError) -> Self {
        match &error {
            OrderError::Unknown(_) | OrderError::Unreadable(_) => Self::bad_request(error.to_string()),
            OrderError::NoSuchDatabase(_) => Self::not_found(error.to_string()),
            OrderError::Busy(_) => Self::conflict(error.to_string()),
            OrderError::ShuttingDown => Self::unavailable(error.to_string()),
        }
    }
}
