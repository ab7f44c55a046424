//! From a request's head to who answers it: nothing is opened, and no body read, before it is known who asks
//! and that they may.
use crate::call::{Answer, Call};
use crate::endpoint::{Endpoint, wants_socket};
use crate::error::{Fault, Form};
use crate::line::Line;
use crate::shared::Shared;
use crate::{hrana, live, page, query, socket};
use http::Request;
use hyper::body::Incoming;
use rowhouse_access::{Identity, Scope};
use rowhouse_types::{DatabaseName, Target};
use std::sync::Arc;

/// Answers one request.
pub(crate) async fn answer(shared: Arc<Shared>, line: Arc<Line>, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let identity = Arc::new(Identity::anybody());
    if let Err(fault) = line.identify(&identity) {
        return fault.response(Form::Plain);
    }
    if !wants_socket(&head.method, &head.headers)
        && let Some(page) = page::serve(&head.method, head.uri.path(), &shared)
    {
        line.asked();
        return page;
    }
    let (target, prefix) = match route(head.uri.path()) {
        Ok(route) => route,
        Err(fault) => return fault.response(Form::Plain),
    };
    let Some(endpoint) = Endpoint::of(&head.uri.path()[prefix..], &head) else {
        line.asked();
        return Fault::no_such_path().response(Form::Plain);
    };
    let client = line.client(&shared.context.gateway, &identity);
    let call = Call { shared, line, target, identity, head, prefix, client };
    if let Err(fault) = call.authorize(Scope::Read) {
        return fault.response(endpoint.form());
    }
    let busy = call.busy();
    let answer = match endpoint {
        Endpoint::Hrana => hrana::serve(call, body).await,
        Endpoint::Socket => socket::serve(call, body).await,
        Endpoint::Query => query::serve(call, body).await,
        Endpoint::Live => live::serve(call, body).await,
    };
    answer.map(|body| body.until_read(busy))
}

/// Which database a path leads to, and where its prefix ends.
fn route(path: &str) -> Result<(Target, usize), Fault> {
    let named = ["/db/", "/dev/"].iter().find_map(|start| Some((start.len(), path.strip_prefix(start)?)));
    let Some((start, rest)) = named else { return Ok((Target::Default, 0)) };
    let name = rest.split('/').next().unwrap_or_default();
    let database: DatabaseName = name.parse().map_err(|invalid| Fault::from(&invalid))?;
    Ok((Target::Named(database), start + name.len()))
}
