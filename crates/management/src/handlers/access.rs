//! Who may come in: API tokens and users.
use crate::page;
use crate::reply::{Json, Problem};
use crate::request::{Asked, Write};
use crate::shared::{Shared, recorded};
use axum::extract::{Path, State};
use http::StatusCode;
use rowhouse_access::{Databases, Label, NoPassword, NoUser, PasswordHash, Scope, Scopes, TokenError};
use rowhouse_gateway::{NewToken, NewUser, RosterError};
use rowhouse_wire::management::{
    CreateToken, CreateUser, Done, Failed, SUCCESS, Token, TokenCreated, Tokens, User, Users,
};
use serde::Deserialize;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use utoipa::IntoParams;
use zeroize::Zeroizing;

/// What is said with the first of them.
const FROM_NOW_ON: &str = "From now on nobody comes in over HTTP without credentials";

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// How many at most: 1 to 1000, 100 unless said.
    pub(super) limit: Option<u32>,
    /// The `next` of the page before.
    pub(super) after: Option<String>,
}

/// The API tokens there are, by name, page by page; nobody can tell their secrets.
#[utoipa::path(get, path = "/tokens", params(PageQuery), responses(
    (status = 200, body = Tokens),
    (status = 400, body = Failed),
))]
pub(crate) async fn tokens(
    State(shared): State<Arc<Shared>>,
    Asked(asked): Asked<PageQuery>,
) -> Result<Json<Tokens>, Problem> {
    let all = shared.context.roster.access().tokens();
    let (tokens, next) = page_of(all, &asked, |token| token.name.as_str())?;
    let now = SystemTime::now();
    Ok(Json(Tokens { next, tokens: tokens.iter().map(|token| told_token(token, now)).collect() }))
}

/// Makes an API token. Its secret is told this once.
#[utoipa::path(post, path = "/tokens", request_body = CreateToken, responses(
    (status = 200, body = TokenCreated),
    (status = 400, body = Failed, description = "It cannot be that"),
    (status = 409, body = Failed, description = "There is one of this name"),
    (status = 415, body = Failed, description = "The body is not said to be JSON"),
))]
pub(crate) async fn create_token(
    State(shared): State<Arc<Shared>>,
    write: Write,
) -> Result<Json<TokenCreated>, Problem> {
    let CreateToken { databases, lasts, name, rate, scopes } = write.read()?;
    let lasts = lasts.as_deref().map(lifetime).transpose()?;
    let positive = |rate| NonZeroU32::new(rate).ok_or_else(|| Problem::bad_request("rate must be 1 or more"));
    let new = NewToken {
        name: label(&name)?,
        scopes: self::scopes(&scopes)?,
        databases: self::databases(&databases)?,
        lasts,
        rate: rate.map(positive).transpose()?,
    };
    let (roster, cause) = (shared.context.roster.clone(), write.cause);
    let was_required = roster.access().is_required();
    let issued = shared.on_data(async move { roster.issue(new, &cause).await }).await??;
    recorded(issued.recording).await?;
    Ok(Json(TokenCreated {
        message: match shared.context.roster.access().is_required() && !was_required {
            true => format!("Token {name} created: its secret is told this once. {FROM_NOW_ON}"),
            false => format!("Token {name} created: its secret is told this once"),
        },
        name,
        secret: issued.secret.reveal().to_owned(),
        status: SUCCESS.to_owned(),
    }))
}

/// Takes an API token back: whoever uses it may do nothing more.
#[utoipa::path(delete, path = "/tokens/{name}", params(("name" = String, Path, description = "Its name")), responses(
    (status = 200, body = Done),
    (status = 404, body = Failed, description = "There is no such token"),
    (status = 415, body = Failed, description = "The body is not said to be JSON"),
))]
pub(crate) async fn revoke_token(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    write: Write,
) -> Result<Json<Done>, Problem> {
    let (roster, cause, label) = (shared.context.roster.clone(), write.cause, label(&name)?);
    let revoked = shared.on_data(async move { roster.revoke(&label, &cause).await }).await??;
    recorded(revoked).await?;
    Ok(Json(Done::new(format!("Token {name} revoked"))))
}

/// The users there are, by name, page by page.
#[utoipa::path(get, path = "/users", params(PageQuery), responses(
    (status = 200, body = Users),
    (status = 400, body = Failed),
))]
pub(crate) async fn users(
    State(shared): State<Arc<Shared>>,
    Asked(asked): Asked<PageQuery>,
) -> Result<Json<Users>, Problem> {
    let all = shared.context.roster.access().users();
    let (users, next) = page_of(all, &asked, |(user, _)| user.name.as_str())?;
    Ok(Json(Users {
        next,
        users: users.iter().map(|(user, is_written)| told_user(user, *is_written)).collect(),
    }))
}

/// Adds a user.
#[utoipa::path(post, path = "/users", request_body = CreateUser, responses(
    (status = 200, body = Done),
    (status = 400, body = Failed, description = "They cannot be that"),
    (status = 409, body = Failed, description = "There is one of this name"),
    (status = 415, body = Failed, description = "The body is not said to be JSON"),
))]
pub(crate) async fn add_user(State(shared): State<Arc<Shared>>, write: Write) -> Result<Json<Done>, Problem> {
    let CreateUser { databases, name, password, scopes } = write.read()?;
    let password = Zeroizing::new(password);
    let (label, scopes, databases) = (label(&name)?, self::scopes(&scopes)?, self::databases(&databases)?);
    let (roster, cause) = (shared.context.roster.clone(), write.cause);
    let adding = async move {
        // It takes a while, which nobody who asks for a database should wait for.
        let hashing = tokio::task::spawn_blocking(move || PasswordHash::of(&password));
        let password = hashing.await.unwrap_or(Err(NoPassword::Hash))?;
        let new = NewUser { name: label, password, scopes, databases };
        roster.add_user(new, &cause).await
    };
    let was_required = shared.context.roster.access().is_required();
    let added: Result<_, RosterError> = shared.on_data(adding).await?;
    recorded(added?).await?;
    Ok(Json(Done::new(match shared.context.roster.access().is_required() && !was_required {
        true => format!("User {name} added. {FROM_NOW_ON}"),
        false => format!("User {name} added"),
    })))
}

/// Removes a user: whoever came in as them may do nothing more.
#[utoipa::path(delete, path = "/users/{name}", params(("name" = String, Path, description = "Their name")), responses(
    (status = 200, body = Done),
    (status = 404, body = Failed, description = "There is no such user"),
    (status = 409, body = Failed, description = "They are of the file of users"),
    (status = 415, body = Failed, description = "The body is not said to be JSON"),
))]
pub(crate) async fn remove_user(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    write: Write,
) -> Result<Json<Done>, Problem> {
    let (roster, cause, label) = (shared.context.roster.clone(), write.cause, label(&name)?);
    let removed = shared.on_data(async move { roster.remove_user(&label, &cause).await }).await??;
    recorded(removed).await?;
    Ok(Json(Done::new(format!("User {name} removed"))))
}

impl From<RosterError> for Problem {
    fn from(error: RosterError) -> Self {
        let text = error.to_string();
        match error {
            RosterError::Token(TokenError::Taken(_)) | RosterError::User(NoUser::Taken) => {
                Self::conflict(text)
            }
            RosterError::Written(_) => Self::conflict(text),
            RosterError::NotFound { .. } => Self::not_found(text),
            RosterError::NotKept(error) => {
                tracing::error!(%error, "tokens and users cannot be kept");
                Self::unavailable(text)
            }
            RosterError::Random(_) => Self::unavailable(text),
            _ => Self::Failed(StatusCode::BAD_REQUEST, text),
        }
    }
}

/// One page of those that are sorted by name, and where the next begins.
fn page_of<T>(
    mut all: Vec<T>,
    PageQuery { limit, after }: &PageQuery,
    name: impl Fn(&T) -> &str,
) -> Result<(Vec<T>, Option<String>), Problem> {
    let most = page::size(*limit)?;
    if let Some(after) = after {
        all.retain(|one| after.as_str() < name(one));
    }
    let more = most < all.len();
    all.truncate(most);
    let next = all.last().filter(|_| more).map(|last| name(last).to_owned());
    Ok((all, next))
}

fn label(name: &str) -> Result<Label, Problem> {
    name.parse().map_err(|error: rowhouse_access::NoLabel| Problem::bad_request(error.to_string()))
}

fn scopes(words: &[String]) -> Result<Scopes, Problem> {
    let scopes = words.iter().map(|word| word.parse()).collect::<Result<Vec<Scope>, _>>();
    scopes.map(Scopes::of).map_err(|error| Problem::bad_request(error.to_string()))
}

fn databases(names: &[String]) -> Result<Databases, Problem> {
    let databases = Databases::named(names.iter().map(String::as_str));
    databases.map_err(|error| Problem::bad_request(error.to_string()))
}

fn lifetime(text: &str) -> Result<Duration, Problem> {
    let lasts = humantime::parse_duration(text).ok().filter(|lasts| 1 <= lasts.as_secs());
    lasts.ok_or_else(|| Problem::bad_request("lasts must be a time such as 12h or 30d, a second or more"))
}

/// What is told of a token.
pub fn told_token(token: &rowhouse_access::Token, now: SystemTime) -> Token {
    Token {
        created: moment(token.created),
        databases: token.databases.names(),
        expired: token.is_over(now),
        expires: token.expires.map(moment),
        name: token.name.as_str().to_owned(),
        rate: token.rate.map(NonZeroU32::get),
        scopes: token.scopes.words(),
    }
}

/// What is told of a user; `is_written` if they are of the file of users.
pub fn told_user(user: &rowhouse_access::User, is_written: bool) -> User {
    User {
        created: user.created.map(moment),
        databases: user.databases.names(),
        name: user.name.as_str().to_owned(),
        scopes: user.scopes.words(),
        source: if is_written { "file" } else { "state" }.to_owned(),
    }
}

fn moment(seconds: u64) -> String {
    page::moment(UNIX_EPOCH + Duration::from_secs(seconds))
}
