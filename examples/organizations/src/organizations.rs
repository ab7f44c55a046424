//! Organizations and their users, in the metadata database.
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use rowhouse_access::{Identity, Scope};
use rowhouse_axum::{Caller, Failure, Organization};
use rowhouse_gateway::metadata::{Metadata, MetadataError};
use rowhouse_gateway::{Cause, ConnectionManager, Interface};
use rowhouse_types::{DatabaseName, ErrorCode, Target};
use serde::{Deserialize, Serialize};

/// The most users that are told of an organization.
const USERS_MAX: u32 = 1000;

/// An organization that is to be.
#[derive(Debug, Deserialize)]
pub(crate) struct NewOrganization {
    id: String,
    title: String,
}

/// A user that is to be.
#[derive(Debug, Deserialize)]
pub(crate) struct NewUser {
    email: String,
    name: String,
}

/// An organization.
#[derive(Debug, Serialize)]
pub(crate) struct Told {
    id: String,
    title: String,
    users: Vec<String>,
}

/// `POST /organizations`: for who may create databases of this name.
pub(crate) async fn create(
    State(manager): State<ConnectionManager>,
    Caller(caller): Caller,
    Json(new): Json<NewOrganization>,
) -> Result<(StatusCode, Json<Told>), Failure> {
    let invalid =
        |error: rowhouse_types::InvalidName| Failure::new(ErrorCode::InvalidName, error.to_string());
    let id: DatabaseName = new.id.parse().map_err(invalid)?;
    if !caller.may(Scope::Create, &Target::Named(id.clone())) {
        return Err(Failure::new(ErrorCode::Forbidden, "this is not permitted"));
    }
    metadata(&manager)?.set_organization(&id, &new.title, &cause(&caller)).await?;
    Ok((StatusCode::CREATED, Json(Told { id: new.id, title: new.title, users: Vec::new() })))
}

/// `GET /organizations/{org_id}`.
pub(crate) async fn show(
    State(manager): State<ConnectionManager>,
    Organization(id): Organization,
) -> Result<Json<Told>, Failure> {
    let metadata = metadata(&manager)?;
    let found = metadata.organization(&id).await?;
    let users = metadata.users(Some(&id), None, USERS_MAX).await?;
    let users = users.into_iter().map(|user| user.email).collect();
    Ok(Json(Told { id: found.id.to_string(), title: found.title, users }))
}

/// `POST /organizations/{org_id}/users`.
pub(crate) async fn add_user(
    State(manager): State<ConnectionManager>,
    Caller(caller): Caller,
    Organization(id): Organization,
    Json(new): Json<NewUser>,
) -> Result<(StatusCode, Json<String>), Failure> {
    if !caller.may(Scope::Write, &Target::Named(id.clone())) {
        return Err(Failure::new(ErrorCode::Forbidden, "this is not permitted"));
    }
    let user = (new.email.as_str(), new.name.as_str());
    let user = metadata(&manager)?.add_user(user, Some(&id), &cause(&caller)).await?;
    Ok((StatusCode::CREATED, Json(user.id)))
}

/// Fails where there is no such organization.
pub(crate) async fn must_be(manager: &ConnectionManager, id: &DatabaseName) -> Result<(), Failure> {
    Ok(metadata(manager)?.organization(id).await.map(drop)?)
}

fn metadata(manager: &ConnectionManager) -> Result<&Metadata, Failure> {
    let missing = MetadataError::NotFound { what: "metadata database" };
    manager.gateway().metadata().ok_or_else(|| missing.into())
}

fn cause(caller: &Identity) -> Cause {
    Cause::new(Interface::Library, caller.who.as_deref().unwrap_or("anybody"))
}
