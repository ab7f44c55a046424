//! Whose database a request is for, who asks, and whether they may.
//!
//! Invariants: nothing is opened for a request before it is admitted; the layer and each extractor decide by the
//! same facts, and an extractor decides anew where it sees more of the path than the layer did.
use crate::failure::Failure;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{ConnectInfo, FromRequestParts as _, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use rowhouse_access::{Access, AuthError, Credentials, Identity, Scope};
use rowhouse_engine::SqlPolicy;
use rowhouse_gateway::routing::{Facts, RouteError, Router, Said, Source};
use rowhouse_gateway::{Behalf, ConnectionManager, Principal, Rights};
use rowhouse_types::{DatabaseName, ErrorCode, Reportable as _, Target};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// What all requests are admitted by.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) manager: ConnectionManager,
    pub(crate) access: Access,
    pub(crate) router: Router,
    /// The parameter of the path that is the organization's name.
    pub(crate) parameter: String,
    pub(crate) prewarm: bool,
}

/// A request that came through the layer: who asks, as far as they say.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) terms: Arc<Terms>,
    pub(crate) identity: Result<Arc<Identity>, AuthError>,
    from: SocketAddr,
}

/// A request for an organization's database by somebody who may.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) org_id: DatabaseName,
    pub(crate) behalf: Behalf,
}

// === impl Asked ===

impl Asked {
    /// Finds out who asks. Who does not say so well may still ask for what is no organization's.
    pub(crate) async fn of(terms: Arc<Terms>, parts: &Parts) -> Self {
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let from = parts.extensions.get::<ConnectInfo<SocketAddr>>().map_or(nowhere, |info| info.0);
        let identity = match credentials(&parts.headers) {
            Ok(credentials) => terms.access.authenticate(credentials, from.ip()).await,
            Err(error) => Err(error),
        };
        Self { terms, identity, from }
    }

    /// Whose database the request is for, if anybody's, once it is known that they may have it.
    ///
    /// # Errors
    ///
    /// When its parts disagree, it is not said who asks, or they may not.
    pub(crate) async fn admit(&self, parts: &mut Parts) -> Result<Option<Admitted>, Failure> {
        let parameter = self.parameter(parts).await?;
        let routed = self.route(parts, parameter.as_deref());
        let (identity, org_id) = match (&self.identity, routed) {
            (_, Err(RouteError::Unnamed)) => return Ok(None),
            (Err(error), _) => return Err((*error).into()),
            (Ok(identity), Err(error)) => {
                if let RouteError::Forbidden { .. } = error {
                    let asked = parameter.and_then(|name| name.parse().ok());
                    self.refuse(identity, asked.as_ref(), &error.public_message());
                }
                return Err(error.into());
            }
            (Ok(identity), Ok(org_id)) => (identity, org_id),
        };
        let target = Target::Named(org_id.clone());
        if !identity.may(Scope::Read, &target) {
            if !identity.is_current() {
                return Err(AuthError::Expired.into());
            }
            self.refuse(identity, Some(&org_id), "the credentials are not for this organization");
            let hint = "it needs the scope read for this database: ask the operator for a token that has it";
            return Err(Failure::new(ErrorCode::Forbidden, "this is not permitted").hint(hint));
        }
        let who = identity.who.as_deref().map(ToOwned::to_owned);
        let may_write = identity.may(Scope::Write, &target);
        let behalf = Behalf {
            principal: Principal::of(who, self.from),
            rights: Rights { create: identity.may(Scope::Create, &target) },
            policy: if may_write { SqlPolicy::Standard } else { SqlPolicy::ReadOnly },
        };
        Ok(Some(Admitted { org_id, behalf }))
    }

    fn route(&self, parts: &Parts, parameter: Option<&str>) -> Result<DatabaseName, RouteError> {
        let headers = &parts.headers;
        let hosts = headers.get_all(header::HOST).iter().map(HeaderValue::as_bytes);
        let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
        let organization = headers.get_all("x-org-id").iter().map(HeaderValue::as_bytes);
        let facts = Facts {
            host: Said::by(hosts.chain(authority)),
            // What the application's paths are called, is its own business.
            path: "",
            parameter,
            namespace: Said::Nothing,
            organization: Said::by(organization),
            claim: self.identity.as_ref().ok().and_then(|identity| identity.only()),
        };
        match self.terms.router.route(&facts)?.target {
            Target::Named(org_id) => Ok(org_id),
            Target::Default => Err(RouteError::Unnamed),
        }
    }

    /// What the path says, decoded, as far as it is known here.
    async fn parameter(&self, parts: &mut Parts) -> Result<Option<String>, RouteError> {
        let wanted = self.terms.parameter.as_str();
        let params = match RawPathParams::from_request_parts(parts, &()).await {
            Ok(params) => params,
            Err(RawPathParamsRejection::MissingPathParams(_)) => return Ok(None),
            // What is no text is no name.
            Err(_invalid) => return Ok(Some(String::new())),
        };
        let mut found = params.iter().filter(|(name, _)| *name == wanted).map(|(_, value)| value);
        let (first, second) = (found.next(), found.next());
        match (first, second) {
            (Some(_), Some(_)) => Err(RouteError::Differing { part: Source::Path }),
            (first, _) => Ok(first.map(ToOwned::to_owned)),
        }
    }

    fn refuse(&self, identity: &Identity, org_id: Option<&DatabaseName>, why: &str) {
        let who = identity.who.as_deref().unwrap_or("anybody");
        self.terms.manager.refused(org_id, who, why);
    }
}

/// What the request presents.
fn credentials(headers: &HeaderMap) -> Result<Credentials<'_>, AuthError> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    match (given.next(), given.next()) {
        (None, _) => Ok(Credentials::None),
        (Some(_), Some(_)) => Err(AuthError::Invalid),
        (Some(one), None) => Credentials::of(one.to_str().unwrap_or_default()),
    }
}
