//! One request for a database, whose client is known and whose route is decided.
use crate::body::Body;
use crate::error::Fault;
use crate::intake;
use crate::line::{Busy, Line};
use crate::shared::Shared;
use bytes::Bytes;
use http::Response;
use http::request::Parts;
use hyper::body::Incoming;
use rowhouse_access::{Identity, Scope};
use rowhouse_engine::SqlPolicy;
use rowhouse_gateway::{Client, Gateway};
use rowhouse_types::{ErrorCode, Target};
use std::sync::Arc;

/// One request for a database. Nothing has been opened for it yet, and its body has not been read.
pub(crate) struct Call {
    pub(crate) shared: Arc<Shared>,
    /// The connection that it came on.
    pub(crate) line: Arc<Line>,
    /// Which database.
    pub(crate) target: Target,
    /// Who asks.
    pub(crate) identity: Arc<Identity>,
    /// The request without its body.
    pub(crate) head: Parts,
    /// Where in its path the database's prefix ends.
    pub(crate) prefix: usize,
    /// In whose name the gateway is asked.
    pub(crate) client: Arc<Client>,
}

// === impl Call ===

impl Call {
    /// The path after the database's prefix, such as `/v2/pipeline`.
    pub(crate) fn rest(&self) -> &str {
        &self.head.uri.path()[self.prefix..]
    }

    /// The path that leads to the database, such as `/db/acme`; empty where another thing says which it is.
    pub(crate) fn prefix(&self) -> &str {
        &self.head.uri.path()[..self.prefix]
    }

    /// The door to databases.
    pub(crate) fn gateway(&self) -> &Gateway {
        &self.shared.context.gateway
    }

    /// In whose name the gateway is asked.
    pub(crate) fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// Fails unless the one who asks may do this, at this moment.
    pub(crate) fn authorize(&self, scope: Scope) -> Result<(), Fault> {
        if self.identity.may(scope, &self.target) { Ok(()) } else { Err(refused(&self.identity)) }
    }

    /// What their SQL may do: it changes nothing unless they may write.
    pub(crate) fn policy(&self) -> SqlPolicy {
        self.shared.context.settings.policy
    }

    /// Whether a database that is not there may be created for them.
    pub(crate) fn may_create(&self) -> bool {
        self.identity.may(Scope::Create, &self.target)
    }

    /// Reads the body, whole and within its bounds.
    pub(crate) async fn read(&self, body: Incoming) -> Result<Bytes, Fault> {
        intake::whole(body, &self.shared, &self.head.headers).await
    }

    /// A request begins that did not come as one over HTTP, but on what this one was upgraded to.
    pub(crate) fn busy(&self) -> Busy {
        self.line.busy(&self.target)
    }
}

/// What endpoints answer with.
pub(crate) type Answer = Response<Body>;

fn refused(identity: &Identity) -> Fault {
    match identity.is_current() {
        true => Fault::new(ErrorCode::Forbidden, "this is not permitted")
            .hint("ask the operator for a token that permits it"),
        false => Fault::new(ErrorCode::Unauthenticated, "the token has expired or was revoked")
            .hint("ask for a new one"),
    }
}
