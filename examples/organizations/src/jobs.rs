//! Jobs over HTTP.
use crate::app::App;
use crate::organizations;
use crate::repository::{DockingJobRepository, Input, Job, Outcome};
use axum::Json;
use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;
use rowhouse_axum::{Failure, OrgSession, Organization};
use rowhouse_types::ErrorCode;

/// The jobs of an organization that there is.
pub(crate) struct Jobs(DockingJobRepository<OrgSession>);

/// It is looked whether there is the organization before its database is made.
impl FromRequestParts<App> for Jobs {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let Organization(org_id) = Organization::from_request_parts(parts, app).await?;
        organizations::must_be(&app.manager, &org_id).await?;
        let mut session = OrgSession::from_request_parts(parts, app).await?;
        app.schema.prepare(&mut session).await?;
        Ok(Self(DockingJobRepository::new(session)))
    }
}

/// `POST /organizations/{org_id}/jobs`: 201 with a new job, or 200 with the one that had this input before.
pub(crate) async fn create(
    Jobs(mut jobs): Jobs,
    Json(input): Json<Input>,
) -> Result<(StatusCode, Json<Job>), Failure> {
    let job = jobs.create_job(&input).await?;
    Ok((if job.cached { StatusCode::OK } else { StatusCode::CREATED }, Json(job)))
}

/// `GET /organizations/{org_id}/jobs/{id}`.
pub(crate) async fn show(
    Jobs(mut jobs): Jobs,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<Job>, Failure> {
    jobs.get_by_id(&id).await?.map(Json).ok_or_else(no_such_job)
}

/// `POST /organizations/{org_id}/jobs/{id}/result`: what became of it.
pub(crate) async fn finish(
    Jobs(mut jobs): Jobs,
    Path((_, id)): Path<(String, String)>,
    Json(outcome): Json<Outcome>,
) -> Result<StatusCode, Failure> {
    match jobs.finish(&id, &outcome).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(no_such_job()),
    }
}

fn no_such_job() -> Failure {
    let failure = Failure::new(ErrorCode::SqlMisuse, "there is no such job that waits for this");
    Failure { status: StatusCode::NOT_FOUND, ..failure }
}
