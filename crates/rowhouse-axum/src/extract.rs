//! What handlers ask for.
use crate::admission::{Admitted, Asked};
use crate::failure::Failure;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use rowhouse_access::Identity;
use rowhouse_gateway::DatabaseSession;
use rowhouse_gateway::routing::RouteError;
use rowhouse_types::{DatabaseName, ErrorCode};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A session with the database of the organization that the request is for, which is made and opened if need be
/// and allowed. Dropping it gives it back.
///
/// Who may not write has a session that changes nothing.
#[derive(Debug)]
pub struct OrgSession(pub DatabaseSession);

/// A session with the metadata database. Dropping it gives it back.
///
/// Whoever asks for an organization may have its database; what else they may be told is for the handler to say.
#[derive(Debug)]
pub struct MetadataSession(pub DatabaseSession);

/// The organization that the request is for, by somebody who may have its database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organization(pub DatabaseName);

/// Who asks, verified; refuses who does not say so where they have to.
#[derive(Clone, Debug)]
pub struct Caller(pub Arc<Identity>);

impl<S: Send + Sync> FromRequestParts<S> for OrgSession {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Failure> {
        let asked = asked(parts)?;
        let Admitted { org_id, behalf } = asked.admit(parts).await?.ok_or(RouteError::Unnamed)?;
        Ok(Self(asked.terms.manager.org_session_for(&org_id, &behalf).await?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for MetadataSession {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Failure> {
        let asked = asked(parts)?;
        asked.admit(parts).await?;
        Ok(Self(asked.terms.manager.metadata_session().await?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Organization {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Failure> {
        let admitted = asked(parts)?.admit(parts).await?.ok_or(RouteError::Unnamed)?;
        Ok(Self(admitted.org_id))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Failure> {
        Ok(Self(asked(parts)?.identity?))
    }
}

impl Deref for OrgSession {
    type Target = DatabaseSession;

    fn deref(&self) -> &DatabaseSession {
        &self.0
    }
}

impl DerefMut for OrgSession {
    fn deref_mut(&mut self) -> &mut DatabaseSession {
        &mut self.0
    }
}

impl Deref for MetadataSession {
    type Target = DatabaseSession;

    fn deref(&self) -> &DatabaseSession {
        &self.0
    }
}

impl DerefMut for MetadataSession {
    fn deref_mut(&mut self) -> &mut DatabaseSession {
        &mut self.0
    }
}

fn asked(parts: &Parts) -> Result<Asked, Failure> {
    let asked = parts.extensions.get::<Asked>().cloned();
    asked.ok_or_else(|| Failure::new(ErrorCode::Internal, "this route is not behind an OrganizationLayer"))
}
