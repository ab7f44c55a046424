//! Users of organizations, by what these are known elsewhere, and settings.
use super::organizations::{metadata, name};
use crate::page;
use crate::reply::{Json, Problem};
use crate::request::{Asked, Write};
use crate::shared::Shared;
use axum::extract::{Path, State};
use rowhouse_gateway::metadata::{User, UserState};
use rowhouse_wire::management::{
    ChangeSetting, CreateMember, Done, Failed, Identities, Identity, Member, Members, Setting, Settings,
};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct MembersQuery {
    /// How many at most: 1 to 1000, 100 unless said.
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
    /// Of this organization only.
    organization: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SettingsQuery {
    /// Those of this organization itself; those of all unless said.
    organization: Option<String>,
}

/// Users of organizations, by address, page by page.
#[utoipa::path(get, path = "/members", params(MembersQuery), responses(
    (status = 200, body = Members),
    (status = 400, body = Failed),
))]
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    Asked(MembersQuery { limit, after, organization }): Asked<MembersQuery>,
) -> Result<Json<Members>, Problem> {
    let most = page::size(limit)?;
    let (metadata, of) = (metadata(&shared)?, organization.as_deref().map(name).transpose()?);
    let one_more = u32::try_from(most + 1).unwrap_or(u32::MAX);
    let asking = async move { metadata.users(of.as_ref(), after.as_deref(), one_more).await };
    let mut all = shared.on_data(asking).await??;
    let more = most < all.len();
    all.truncate(most);
    let next = all.last().filter(|_| more).map(|last| last.email.clone());
    Ok(Json(Members { members: all.iter().map(told).collect(), next }))
}

/// Enters a user of an organization.
#[utoipa::path(post, path = "/members", request_body = CreateMember, responses(
    (status = 200, body = Member),
    (status = 400, body = Failed, description = "They cannot be that"),
    (status = 404, body = Failed, description = "There is no such organization"),
    (status = 409, body = Failed, description = "There is one of this address"),
    (status = 415, body = Failed, description = "The body is not said to be JSON"),
))]
pub(crate) async fn create(State(shared): State<Arc<Shared>>, write: Write) -> Result<Json<Member>, Problem> {
    let CreateMember { email, organization, title } = write.read()?;
    let (metadata, cause) = (metadata(&shared)?, write.cause);
    let of = organization.as_deref().map(name).transpose()?;
    let adding = async move {
        let title = title.as_deref().unwrap_or(&email);
        metadata.add_user((&email, title), of.as_ref(), &cause).await
    };
    Ok(Json(told(&shared.on_data(adding).await??)))
}

/// One user, by identifier or address.
#[utoipa::path(get, path = "/members/{member}", params(("member" = String, Path, description = "Their identifier or address")), responses(
    (status = 200, body = Member),
    (status = 404, body = Failed, description = "There is no such user"),
))]
pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    Path(member): Path<String>,
) -> Result<Json<Member>, Problem> {
    let metadata = metadata(&shared)?;
    Ok(Json(told(&shared.on_data(async move { metadata.user(&member).await }).await??)))
}

/// Suspends a user: they are to be let in nowhere.
#[utoipa::path(post, path = "/members/{member}/suspend", params(("member" = String, Path, description = "Their identifier or address")), responses(
    (status = 200, body = Member),
    (status = 404, body = Failed, description = "There is no such user"),
    (status = 415, body = Failed, description = "The body is not said to be JSON"),
))]
pub(crate) async fn suspend(
    State(shared): State<Arc<Shared>>,
    Path(member): Path<String>,
    write: Write,
) -> Result<Json<Member>, Problem> {
    set_state(&shared, (member, UserState::Suspended), write).await
}

/// Lets a suspended user be again.
#[utoipa::path(post, path = "/members/{member}/resume", params(("member" = String, Path, description = "Their identifier or address")), responses(
    (status = 200, body = Member),
    (status = 404, body = Failed, description = "There is no such user"),
    (status = 415, body = Failed, description = "The body is not said to be JSON"),
))]
pub(crate) async fn resume(
    State(shared): State<Arc<Shared>>,
    Path(member): Path<String>,
    write: Write,
) -> Result<Json<Member>, Problem> {
    set_state(&shared, (member, UserState::Active), write).await
}

async fn set_state(
    shared: &Shared,
    (member, state): (String, UserState),
    write: Write,
) -> Result<Json<Member>, Problem> {
    let (metadata, cause) = (metadata(shared)?, write.cause);
    let changing = async move { metadata.set_user_state(&member, state, &cause).await };
    Ok(Json(told(&shared.on_data(changing).await??)))
}

/// Removes a user and all by which they are known elsewhere.
#[utoipa::path(delete, path = "/members/{member}", params(("member" = String, Path, description = "Their identifier or address")), responses(
    (status = 200, body = Done),
    (status = 404, body = Failed, description = "There is no such user"),
    (status = 415, body = Failed, description = "The body is not said to be JSON"),
))]
pub(crate) async fn remove(
    State(shared): State<Arc<Shared>>,
    Path(member): Path<String>,
    write: Write,
) -> Result<Json<Done>, Problem> {
    let (metadata, cause, who) = (metadata(&shared)?, write.cause, member.clone());
    shared.on_data(async move { metadata.remove_user(&who, &cause).await }).await??;
    Ok(Json(Done::new(format!("Member {member} removed"))))
}

/// By what a user is known elsewhere.
#[utoipa::path(get, path = "/members/{member}/identities", params(("member" = String, Path, description = "Their identifier or address")), responses(
    (status = 200, body = Identities),
    (status = 404, body = Failed, description = "There is no such user"),
))]
pub(crate) async fn identities(
    State(shared): State<Arc<Shared>>,
    Path(member): Path<String>,
) -> Result<Json<Identities>, Problem> {
    let metadata = metadata(&shared)?;
    let all = shared.on_data(async move { metadata.identities(&member).await }).await??;
    let told =
        |one: rowhouse_gateway::metadata::Identity| Identity { provider: one.provider, subject: one.subject };
    Ok(Json(Identities { identities: all.into_iter().map(told).collect() }))
}

/// Gives a user an identity.
#[utoipa::path(post, path = "/members/{member}/identities", request_body = Identity, params(("member" = String, Path, description = "Their identifier or address")), responses(
    (status = 200, body = Done),
    (status = 404, body = Failed, description = "There is no such user"),
    (status = 409, body = Failed, description = "Somebody has it"),
    (status = 415, body = Failed, description = "The body is not said to be JSON"),
))]
pub(crate) async fn link(
    State(shared): State<Arc<Shared>>,
    Path(member): Path<String>,
    write: Write,
) -> Result<Json<Done>, Problem> {
    let Identity { provider, subject } = write.read()?;
    let done = Done::new(format!("Member {member} is {subject} of {provider}"));
    let (metadata, cause) = (metadata(&shared)?, write.cause);
    let linking = async move { metadata.link_identity((&provider, &subject), &member, &cause).await };
    shared.on_data(linking).await??;
    Ok(Json(done))
}

/// Takes an identity from whoever has it.
#[utoipa::path(delete, path = "/identities", request_body = Identity, responses(
    (status = 200, body = Done),
    (status = 404, body = Failed, description = "Nobody has it"),
    (status = 415, body = Failed, description = "The body is not said to be JSON"),
))]
pub(crate) async fn unlink(State(shared): State<Arc<Shared>>, write: Write) -> Result<Json<Done>, Problem> {
    let Identity { provider, subject } = write.read()?;
    let done = Done::new(format!("Nobody is {subject} of {provider} any more"));
    let (metadata, cause) = (metadata(&shared)?, write.cause);
    shared.on_data(async move { metadata.unlink_identity(&provider, &subject, &cause).await }).await??;
    Ok(Json(done))
}

/// The settings of one organization, or of all.
#[utoipa::path(get, path = "/settings", params(SettingsQuery), responses(
    (status = 200, body = Settings),
    (status = 400, body = Failed),
))]
pub(crate) async fn settings(
    State(shared): State<Arc<Shared>>,
    Asked(SettingsQuery { organization }): Asked<SettingsQuery>,
) -> Result<Json<Settings>, Problem> {
    let (metadata, of) = (metadata(&shared)?, organization.as_deref().map(name).transpose()?);
    let all = shared.on_data(async move { metadata.settings(of.as_ref()).await }).await??;
    let told = |one: rowhouse_gateway::metadata::Setting| Setting {
        changed: page::moment(one.changed_at),
        key: one.key,
        value: one.value,
    };
    Ok(Json(Settings { settings: all.into_iter().map(told).collect() }))
}

/// Sets a setting, or removes it.
#[utoipa::path(put, path = "/settings", request_body = ChangeSetting, responses(
    (status = 200, body = Done),
    (status = 400, body = Failed, description = "It cannot be that"),
    (status = 404, body = Failed, description = "There is no such organization, or no such setting to remove"),
    (status = 415, body = Failed, description = "The body is not said to be JSON"),
))]
pub(crate) async fn set(State(shared): State<Arc<Shared>>, write: Write) -> Result<Json<Done>, Problem> {
    let ChangeSetting { key, organization, value } = write.read()?;
    let what = if value.is_some() { "set" } else { "removed" };
    let done = Done::new(format!("Setting {key} {what}"));
    let (metadata, cause) = (metadata(&shared)?, write.cause);
    let of = organization.as_deref().map(name).transpose()?;
    shared
        .on_data(async move { metadata.set(of.as_ref(), (&key, value.as_deref()), &cause).await })
        .await??;
    Ok(Json(done))
}

fn told(user: &User) -> Member {
    Member {
        created: page::moment(user.created_at),
        email: user.email.clone(),
        id: user.id.clone(),
        organization: user.organization.as_ref().map(ToString::to_string),
        state: user.state.to_string(),
        title: user.title.clone(),
    }
}
