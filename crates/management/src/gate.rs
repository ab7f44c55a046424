//! The gate: who may ask at all, decided before it is looked what for.
//!
//! Invariant: a web page in a browser gets nothing done here. By a name of its own it is refused for the
//! name; by ours for its origin; and no answer ever lets another origin read it.
use crate::reply::Problem;
use crate::request::target;
use crate::token::Tokens;
use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, StatusCode, Version};
use rowhouse_access::{Access, AuthError, Credentials, Identity, Scope};
use rowhouse_gateway::routing::Hosts;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Paths that may be asked for without a token: they tell strangers no more than whether the server lives and
/// is ready.
const OPEN_PATHS: &[&str] = &["/health", "/ready"];

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The gate of one server.
#[derive(Debug)]
pub(crate) struct Gate {
    hosts: Hosts,
    tokens: Option<Tokens>,
    /// Who may administer beside those with tokens.
    access: Access,
}

/// One connection: who called whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    /// The caller's address.
    pub(crate) from: SocketAddr,
    /// The address that was called.
    pub(crate) to: IpAddr,
}

/// Who asks, for the journal: the name of a token, or an address.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) who: String,
    /// Whether they have shown a token where one is needed.
    pub(crate) is_known: bool,
}

// === impl Caller ===

impl Caller {
    fn known(who: String) -> Self {
        Self { who, is_known: true }
    }
}

// === impl Gate ===

impl Gate {
    pub(crate) fn new(hosts: Hosts, tokens: Option<Tokens>, access: Access) -> Self {
        Self { hosts, tokens, access }
    }

    /// Lets a request in, or says why not.
    pub(crate) async fn check(&self, line: Line, request: &Parts) -> Result<Caller, Problem> {
        let host = self.host(line, request)?;
        if !matches!(request.method, Method::GET | Method::HEAD) {
            check_origin(&request.headers, host)?;
        }
        let Some(tokens) = &self.tokens else { return Ok(Caller::known(line.from.to_string())) };
        if let Some(name) = bearer(&request.headers).and_then(|token| tokens.name(token)) {
            return Ok(Caller::known(name));
        }
        let path = request.uri.path();
        match self.identity(line, &request.headers).await {
            Ok(Some(identity)) if may(&identity, path) => {
                Ok(Caller::known(identity.who.as_deref().unwrap_or("somebody").to_owned()))
            }
            _ if OPEN_PATHS.contains(&path) => Ok(Caller { who: line.from.to_string(), is_known: false }),
            Ok(Some(_)) => Err(Problem::Failed(
                StatusCode::FORBIDDEN,
                "these credentials do not permit this: it needs the scope `admin`, for that database or for `*`".into(),
            )),
            Err(error) if error.retry_after().is_some() => {
                Err(Problem::Failed(StatusCode::TOO_MANY_REQUESTS, error.to_string()))
            }
            Ok(None) | Err(_) => Err(Problem::Failed(
                StatusCode::UNAUTHORIZED,
                "a token is required: give one of management_token_file, or one with the scope `admin`, as `Authorization: Bearer TOKEN`"
                    .into(),
            )),
        }
    }

    /// Who says who they are by what clients of databases come in by.
    async fn identity(&self, line: Line, headers: &HeaderMap) -> Result<Option<Arc<Identity>>, AuthError> {
        let Some(header) = headers.get(AUTHORIZATION).filter(|_| self.access.is_configured()) else {
            return Ok(None);
        };
        let credentials = Credentials::of(header.to_str().map_err(|_| AuthError::Invalid)?)?;
        self.access.authenticate(credentials, line.from.ip()).await.map(Some)
    }

    /// The name that was called, if it is ours.
    fn host<'a>(&self, line: Line, request: &'a Parts) -> Result<Option<&'a str>, Problem> {
        let foreign = || {
            Problem::Failed(
                StatusCode::FORBIDDEN,
                "this host is not served: call it localhost, 127.0.0.1 or [::1], or add the name to management_allowed_hosts".into(),
            )
        };
        let mut named = request.headers.get_all(HOST).iter();
        let host = match (named.next(), named.next()) {
            (Some(host), None) => host.to_str().map_err(|_| foreign())?,
            // No browser leaves it out, so that no page can.
            (None, _) if request.version < Version::HTTP_11 && request.uri.authority().is_none() => {
                return Ok(None);
            }
            _ => return Err(Problem::bad_request("one Host header is required")),
        };
        let named = request.uri.authority().map(http::uri::Authority::as_str);
        let is_ours = |name| self.hosts.allow(name, line.to);
        if is_ours(host) && named.is_none_or(is_ours) { Ok(Some(host)) } else { Err(foreign()) }
    }
}

/// Whether they may administer what this path is about: one database, or everything.
fn may(identity: &Identity, path: &str) -> bool {
    let name = path.strip_prefix("/databases/").and_then(|rest| rest.split('/').next());
    match name.map(target) {
        Some(Ok(target)) => identity.may(Scope::Admin, &target),
        _ => identity.may_everywhere(Scope::Admin),
    }
}

/// Refuses what a browser sends for a page that is not ours. Who is no browser says nothing of this.
fn check_origin(headers: &HeaderMap, host: Option<&str>) -> Result<(), Problem> {
    let same_site = |value: &http::HeaderValue| matches!(value.as_bytes(), b"same-origin" | b"none");
    let same_origin = |value: &http::HeaderValue| {
        let origin = value.to_str().unwrap_or_default();
        let origin = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        origin.is_some_and(|origin| host.is_some_and(|host| origin.eq_ignore_ascii_case(host)))
    };
    if headers.get_all(SEC_FETCH_SITE).iter().all(same_site)
        && headers.get_all(ORIGIN).iter().all(same_origin)
    {
        return Ok(());
    }
    let error = "web pages of other origins change nothing here: use the command line, or a program that is no browser";
    Err(Problem::Failed(StatusCode::FORBIDDEN, error.into()))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}
