//! Organizations: which there are, how it stands with their databases, and how one is made, suspended and
//! dropped.
use super::access::PageQuery;
use crate::page;
use crate::reply::{Json, Problem};
use crate::request::{Asked, Write};
use crate::shared::Shared;
use axum::extract::{Path, State};
use rowhouse_gateway::metadata::{Entry, Metadata, MetadataError, Organization as Known};
use rowhouse_gateway::{AdminError, Removal};
use rowhouse_types::DatabaseName;
use rowhouse_wire::management::{
    Confirmation, CreateOrganization, Done, Failed, Organization, OrganizationDetail, Organizations,
    Suspension,
};
use std::sync::Arc;

/// The organizations there are, by name, page by page.
#[utoipa::path(get, path = "/organizations", params(PageQuery), responses(
    (status = 200, body = Organizations),
    (status = 400, body = Failed),
    (status = 503, body = Failed, description = "The metadata database does not answer"),
))]
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    Asked(PageQuery { limit, after }): Asked<PageQuery>,
) -> Result<Json<Organizations>, Problem> {
    let most = page::size(limit)?;
    let after = after.as_deref().map(name).transpose()?;
    let metadata = metadata(&shared)?;
    let one_more = u32::try_from(most + 1).unwrap_or(u32::MAX);
    let asking = async move { metadata.organizations(after.as_ref(), one_more).await };
    let mut all = shared.on_data(asking).await??;
    let more = most < all.len();
    all.truncate(most);
    let next = all.last().filter(|_| more).map(|last| last.id.to_string());
    Ok(Json(Organizations { next, organizations: all.iter().map(told).collect() }))
}

/// Enters an organization, and makes its database unless there is one.
#[utoipa::path(post, path = "/organizations", request_body = CreateOrganization, responses(
    (status = 200, body = Done),
    (status = 400, body = Failed, description = "That is no name, or the server opens none by name"),
    (status = 409, body = Failed, description = "There is one"),
    (status = 415, body = Failed, description = "The body is not said to be JSON"),
))]
pub(crate) async fn create(State(shared): State<Arc<Shared>>, write: Write) -> Result<Json<Done>, Problem> {
    let CreateOrganization { id, title } = write.read()?;
    let (new, gateway, cause) = (name(&id)?, shared.context.gateway.clone(), write.cause);
    let creating = async move {
        gateway.create_organization(&new, title.as_deref().unwrap_or(new.as_str()), &cause).await
    };
    shared.on_data(creating).await??;
    shared.settle().await?;
    Ok(Json(Done::new(format!("Organization {id} created"))))
}

/// What is told of one organization. Nothing is opened for it.
#[utoipa::path(get, path = "/organizations/{organization}", params(("organization" = String, Path, description = "Its name")), responses(
    (status = 200, body = OrganizationDetail),
    (status = 400, body = Failed, description = "That is no name"),
    (status = 404, body = Failed, description = "There is no such organization"),
))]
pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Json<OrganizationDetail>, Problem> {
    let (id, metadata) = (name(&id)?, metadata(&shared)?);
    let asking = async move {
        let known = metadata.organization(&id).await?;
        Ok::<_, MetadataError>((known, metadata.find(&id).await?))
    };
    let (known, entry) = shared.on_data(asking).await??;
    Ok(Json(detail(&known, entry)))
}

/// Serves an organization's database to nobody until it is resumed.
#[utoipa::path(post, path = "/organizations/{organization}/suspend", request_body = Suspension, params(("organization" = String, Path, description = "Its name")), responses(
    (status = 200, body = Done),
    (status = 404, body = Failed, description = "There is no such organization"),
    (status = 409, body = Failed, description = "Somebody uses it still: it is suspended all the same; or it is being made or dropped"),
    (status = 415, body = Failed, description = "The body is not said to be JSON"),
))]
pub(crate) async fn suspend(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    write: Write,
) -> Result<Json<Done>, Problem> {
    let Suspension { force, reason } = write.read()?;
    let (gateway, name) = (shared.context.gateway.clone(), name(&id)?);
    let cause = match reason {
        Some(reason) => write.cause.because(&reason),
        None => write.cause,
    };
    let how = Removal { force, ..Removal::default() };
    shared.on_data(async move { gateway.suspend(&name, how, &cause).await }).await??;
    shared.settle().await?;
    Ok(Json(Done::new(format!("Organization {id} suspended"))))
}

/// Serves a suspended organization's database again.
#[utoipa::path(post, path = "/organizations/{organization}/resume", params(("organization" = String, Path, description = "Its name")), responses(
    (status = 200, body = Done),
    (status = 404, body = Failed, description = "There is no such organization"),
    (status = 409, body = Failed, description = "It is not suspended"),
    (status = 415, body = Failed, description = "The body is not said to be JSON"),
))]
pub(crate) async fn resume(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    write: Write,
) -> Result<Json<Done>, Problem> {
    let (gateway, name, cause) = (shared.context.gateway.clone(), name(&id)?, write.cause);
    shared.on_data(async move { gateway.reinstate(&name, &cause).await }).await??;
    shared.settle().await?;
    Ok(Json(Done::new(format!("Organization {id} resumed"))))
}

/// Drops an organization: its database with all it holds, its users and its settings.
#[utoipa::path(delete, path = "/organizations/{organization}", request_body = Confirmation, params(("organization" = String, Path, description = "Its name")), responses(
    (status = 200, body = Done),
    (status = 400, body = Failed, description = "The name is not repeated in `confirm`"),
    (status = 404, body = Failed, description = "There is no such organization"),
    (status = 409, body = Failed, description = "Somebody uses it, or it is configured"),
    (status = 415, body = Failed, description = "The body is not said to be JSON"),
))]
pub(crate) async fn remove(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    write: Write,
) -> Result<Json<Done>, Problem> {
    let force = match write.read() {
        Ok(Confirmation { confirm, force }) if confirm == id => force,
        _ => {
            let error = format!(
                "dropping an organization cannot be undone: repeat its name in the body, {{\"confirm\": \"{id}\"}}"
            );
            return Err(Problem::bad_request(error));
        }
    };
    let (doomed, metadata) = (name(&id)?, metadata(&shared)?);
    let (gateway, cause) = (shared.context.gateway.clone(), write.cause);
    let removing = async move {
        metadata.organization(&doomed).await?;
        let how = Removal { force, ..Removal::default() };
        match gateway.drop_database(&doomed, how, &cause).await {
            // It has never been asked for.
            Err(AdminError::NotFound) => {}
            dropped => dropped?,
        }
        metadata.forget_organization(&doomed).await?;
        Ok::<_, AdminError>(())
    };
    shared.on_data(removing).await??;
    shared.settle().await?;
    Ok(Json(Done::new(format!("Organization {id} dropped"))))
}

/// The metadata database, which a server has.
pub(super) fn metadata(shared: &Shared) -> Result<Metadata, Problem> {
    let none = || Problem::not_found("this server has no metadata database");
    shared.context.gateway.metadata().cloned().ok_or_else(none)
}

pub(super) fn name(text: &str) -> Result<DatabaseName, Problem> {
    text.parse().map_err(|error: rowhouse_types::InvalidName| Problem::bad_request(error.to_string()))
}

impl From<MetadataError> for Problem {
    fn from(error: MetadataError) -> Self {
        AdminError::from(error).into()
    }
}

fn told(known: &Known) -> Organization {
    Organization {
        created: page::moment(known.created_at),
        id: known.id.to_string(),
        state: known.state.map(|state| state.to_string()),
        title: known.title.clone(),
    }
}

fn detail(known: &Known, entry: Option<Entry>) -> OrganizationDetail {
    let Organization { created, id, state, title } = told(known);
    let (at, schema, why) = match entry {
        Some(Entry { at, schema, why, .. }) => (Some(at), schema, why),
        None => (None, None, None),
    };
    OrganizationDetail {
        created,
        database: at.as_ref().map(|at| at.physical.clone()),
        engine: at.as_ref().map(|at| at.engine.clone()),
        id,
        schema_version: schema.map(|schema| schema.version),
        server: at.map(|at| at.server).filter(|server| !server.is_empty()),
        state,
        title,
        why,
    }
}
