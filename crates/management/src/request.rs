//! What handlers take: a write with its body and its cause, a query, a database's name.
use crate::crowd::Seat;
use crate::gate::Caller;
use crate::reply::Problem;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use rowhouse_gateway::{Cause, Interface};
use rowhouse_types::{DatabaseName, InvalidName, Target};
use rowhouse_wire::management::{DEFAULT_DATABASE, INTERFACE_CLI, INTERFACE_HEADER};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;

/// The most bytes of a body.
const BODY_MAX: usize = 64 * 1024;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A request that changes something: in JSON, read wholly, by somebody.
#[derive(Debug)]
pub(crate) struct Write {
    /// Its body.
    pub(crate) body: Bytes,
    /// Who asks, and by which interface.
    pub(crate) cause: Cause,
}

/// The query of a read; keys it does not take are refused.
#[derive(Debug)]
pub(crate) struct Asked<T>(pub(crate) T);

/// The database a path names.
#[derive(Debug)]
pub(crate) struct Named(pub(crate) Target);

// === impl Write ===

impl Write {
    /// What the body says.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let body = if self.body.trim_ascii().is_empty() { b"{}" } else { &*self.body };
        serde_json::from_slice(body).map_err(|error| Problem::bad_request(format!("invalid JSON: {error}")))
    }
}

impl<S: Send + Sync> FromRequest<S> for Write {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            return Err(Problem::Failed(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "what changes something needs the header `Content-Type: application/json`".into(),
            ));
        }
        let body = match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, BODY_MAX).collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                let error = format!("a body may have at most {BODY_MAX} bytes");
                return Err(Problem::Failed(StatusCode::PAYLOAD_TOO_LARGE, error));
            }
            Ok(Err(_)) => return Err(Problem::bad_request("the body did not arrive wholly")),
            Err(_) => {
                let error = format!("the body did not arrive within {} s", BODY_TIMEOUT.as_secs());
                return Err(Problem::Failed(StatusCode::REQUEST_TIMEOUT, error));
            }
        };
        if let Some(seat) = parts.extensions.get::<Arc<Seat>>() {
            seat.begin();
        }
        Ok(Self { body, cause: cause(&parts) })
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

/// Who asks: the command line says so itself.
fn cause(parts: &Parts) -> Cause {
    let by = parts.headers.get(INTERFACE_HEADER);
    let interface =
        if by.is_some_and(|by| by == INTERFACE_CLI) { Interface::Command } else { Interface::Http };
    let who = parts.extensions.get::<Caller>().map(|caller| caller.who.clone());
    Cause::new(interface, who.unwrap_or_default())
}

// === impl Asked ===

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let query = Query::try_from_uri(&parts.uri);
        query.map(|Query(query)| Self(query)).map_err(|error| Problem::bad_request(error.body_text()))
    }
}

// === impl Named ===

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(name) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|error| Problem::bad_request(error.body_text()))?;
        target(&name).map(Self)
    }
}

/// The database of this name; the default one has a name that no database can have.
pub(crate) fn target(name: &str) -> Result<Target, Problem> {
    if name == DEFAULT_DATABASE {
        return Ok(Target::Default);
    }
    let name: DatabaseName =
        name.parse().map_err(|error: InvalidName| Problem::bad_request(error.to_string()))?;
    Ok(Target::Named(name))
}

/// What a database is called here.
pub(crate) fn name(target: &Target) -> &str {
    match target {
        Target::Default => DEFAULT_DATABASE,
        Target::Named(name) => name.as_str(),
    }
}
