//! From a request's head to who answers it: nothing is opened, and no body read, before it is known who asks
//! and that they may.
use crate::call::{Answer, Call};
use crate::compress;
use crate::counters::By;
use crate::endpoint::{Endpoint, is_probe, wants_socket};
use crate::error::{Fault, Form};
use crate::gate;
use crate::line::Line;
use crate::sent::Sent;
use crate::shared::Shared;
use crate::{hrana, live, page, query, socket};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, header};
use rowhouse_access::{AuthError, Credentials, Identity, Scope};
use rowhouse_gateway::routing::{Facts, RouteError, Said};
use rowhouse_types::{ErrorCode, Target};
use std::sync::Arc;

/// Answers one request.
pub(crate) async fn answer(shared: Arc<Shared>, line: Arc<Line>, request: Request<Sent>) -> Answer {
    let (counters, from) = (shared.context.counters.clone(), line.from);
    let (by, answer) = respond(shared, line, request).await;
    let status = answer.status();
    counters.answered(by, status);
    tracing::debug!(%from, ?by, status = status.as_u16(), "request answered");
    answer
}

async fn respond(shared: Arc<Shared>, line: Arc<Line>, request: Request<Sent>) -> (By, Answer) {
    let (head, body) = request.into_parts();
    if let Err(fault) = line.enter(&shared.context.clients).await {
        return (By::None, fault.response(Form::of(&head)));
    }
    let is_required = shared.context.access.is_required();
    if let Some(answer) = page::serve(&head, &shared) {
        // Where nobody has to say who they are, a whole request says all there is to say.
        if !is_required {
            line.identify(&shared.anybody).unwrap_or_default();
        }
        line.asked();
        return (By::Page, answer);
    }
    let page = match shared.gate.check_origin(&head) {
        Ok(page) => page,
        Err(fault) => return (By::None, fault.response(Form::of(&head))),
    };
    let compresses = shared.context.settings.compression && compress::takes_gzip(&head.headers);
    let (by, mut answer) = match checked(&shared, is_required, &line, &head) {
        Some(answer) => (By::None, answer),
        None => {
            let form = Form::of(&head);
            match admitted(shared, line, head).await {
                Ok((call, endpoint)) => (By::Endpoint(endpoint), asked(call, endpoint, body).await),
                Err(fault) => (By::None, fault.response(form)),
            }
        }
    };
    if compresses {
        answer = compress::gzip(answer);
    }
    if let Some(page) = page {
        page.let_read(answer.headers_mut());
    }
    (by, answer)
}

/// What is answered before it is known who asks.
fn checked(shared: &Shared, is_required: bool, line: &Line, head: &Parts) -> Option<Answer> {
    if !is_required && let Err(fault) = shared.gate.check_host(line, head, &shared.context.router) {
        return Some(fault.response(Form::of(head)));
    }
    if gate::is_preflight(head) {
        return Some(gate::preflight(head));
    }
    // Clients ask so which versions there are, and send no token.
    is_probe(head).then(|| Answer::new(crate::body::Body::empty()))
}

/// Finds out who asks, for which database, and that they may.
async fn admitted(shared: Arc<Shared>, line: Arc<Line>, head: Parts) -> Result<(Call, Endpoint), Fault> {
    let credentials = credentials(&head.headers)?;
    let may_say_later = matches!(credentials, Credentials::None) && wants_socket(&head);
    let (identity, is_nobody) = match shared.authenticate(credentials, line.from.ip()).await {
        Ok(identity) => {
            line.identify(&identity)?;
            (identity, false)
        }
        // Over WebSocket it says so in its first message.
        Err(_missing) if may_say_later => (Arc::new(Identity::new(None, Vec::new(), None)), true),
        Err(error) => return Err(Fault::from(&error)),
    };
    let (target, prefix) = match route(&shared, &head, &identity) {
        Ok(route) => route,
        // The token may name it.
        Err(RouteError::Unnamed) if is_nobody => (Target::Default, 0),
        Err(error) => return Err(Fault::from(&error)),
    };
    let endpoint = Endpoint::of(&head.uri.path()[prefix..], &head).ok_or_else(Fault::no_such_path)?;
    if is_nobody && !endpoint.takes_hello() {
        return Err(Fault::from(&AuthError::Missing));
    }
    let client = line.client(&shared.context.gateway, &identity);
    let call = Call { shared, line, target, identity, head, prefix, client };
    if !is_nobody {
        call.authorize(Scope::Read)?;
    }
    Ok((call, endpoint))
}

async fn asked(call: Call, endpoint: Endpoint, body: Sent) -> Answer {
    let busy = call.busy();
    let answer = match endpoint {
        Endpoint::Hrana => hrana::serve(call, body).await,
        Endpoint::Socket => socket::serve(call, body).await,
        Endpoint::Query => query::serve(call, body).await,
        Endpoint::Live => live::serve(call, body).await,
    };
    answer.map(|body| body.until_read(busy))
}

/// Which database a request of this one's is for, and where in its path the database's prefix ends.
pub(crate) fn route(
    shared: &Shared,
    head: &Parts,
    identity: &Identity,
) -> Result<(Target, usize), RouteError> {
    let values = |name: &str| Said::by(head.headers.get_all(name).iter().map(HeaderValue::as_bytes));
    let facts = Facts {
        parameter: None,
        host: Said::by(gate::hosts(head)),
        path: head.uri.path(),
        namespace: values("x-namespace"),
        organization: values("x-org-id"),
        claim: identity.only(),
    };
    let route = shared.context.router.route(&facts)?;
    Ok((route.target, route.prefix.len()))
}

/// What the request presents.
fn credentials(headers: &HeaderMap) -> Result<Credentials<'_>, Fault> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(first), second) = (given.next(), given.next()) else { return Ok(Credentials::None) };
    if second.is_some() {
        return Err(Fault::new(ErrorCode::Unauthenticated, "there is more than one header Authorization"));
    }
    let text = first.to_str().unwrap_or_default();
    Credentials::of(text).map_err(|error| Fault::from(&error))
}
