//! One request for a database, whose client is known and whose route is decided.
use crate::body::Body;
use crate::dispatch::route;
use crate::error::Fault;
use crate::intake;
use crate::line::{Busy, Line};
use crate::room::Room;
use crate::sent::Sent;
use crate::shared::Shared;
use http::Response;
use http::request::Parts;
use rowhouse_access::{AuthError, Credentials, Identity, Scope};
use rowhouse_engine::SqlPolicy;
use rowhouse_gateway::{Client, Gateway, Rights};
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
        may(&self.identity, scope, &self.target)
    }

    /// What their SQL may do: it changes nothing unless they may write.
    pub(crate) fn policy(&self) -> SqlPolicy {
        if self.identity.may(Scope::Write, &self.target) {
            self.shared.context.settings.policy
        } else {
            SqlPolicy::ReadOnly
        }
    }

    /// What the gateway may do for them.
    pub(crate) fn rights(&self) -> Rights {
        Rights { create: self.identity.may(Scope::Create, &self.target) }
    }

    /// Over WebSocket, who asks says in a message who they are, or says it anew: what is presented counts from
    /// here on, if it may read this database.
    ///
    /// # Errors
    ///
    /// When nobody presents this, or they may not; all is as before then.
    pub(crate) async fn hello(&mut self, token: Option<&str>) -> Result<(), Fault> {
        let gateway = &self.shared.context.gateway;
        let credentials = token.map_or(Credentials::None, Credentials::Bearer);
        // What came with the request counts as long as nothing else is said.
        if token.is_some() || self.identity.grants.is_empty() {
            let identity = self.shared.authenticate(credentials, self.line.from.ip()).await;
            let identity = identity.map_err(|error| Fault::from(&error))?;
            let (target, prefix) =
                route(&self.shared, &self.head, &identity).map_err(|error| Fault::from(&error))?;
            may(&identity, Scope::Read, &target)?;
            if target != self.target && !self.identity.grants.is_empty() {
                let message = "the token is for another database than this connection";
                return Err(Fault::new(ErrorCode::Forbidden, message).hint("connect anew with this token"));
            }
            self.line.identify(&identity)?;
            self.client = self.line.client(gateway, &identity);
            (self.identity, self.target, self.prefix) = (identity, target, prefix);
        }
        self.authorize(Scope::Read)
    }

    /// Reads the body, whole and within its bounds, and decodes it. What it says takes room: that is to be held
    /// until it is done with.
    pub(crate) async fn read<T: Send + 'static, E: Into<Fault> + Send + 'static>(
        &self,
        body: Sent,
        decode: impl FnOnce(&[u8]) -> Result<T, E> + Send + 'static,
    ) -> Result<(T, Room), Fault> {
        let received = intake::whole(body, &self.shared, &self.head.headers).await?;
        let (decoded, room) = received.decode(&self.shared.tasks, decode).await;
        Ok((decoded.map_err(Into::into)?, room))
    }

    /// A request begins that did not come as one over HTTP, but on what this one was upgraded to.
    pub(crate) fn busy(&self) -> Busy {
        self.line.busy(&self.target)
    }
}

/// What endpoints answer with.
pub(crate) type Answer = Response<Body>;

fn may(identity: &Identity, scope: Scope, target: &Target) -> Result<(), Fault> {
    if identity.may(scope, target) {
        return Ok(());
    }
    Err(match identity.is_current() {
        true => {
            let hint = format!(
                "it needs the scope {scope} for this database: ask the operator for a token that has it"
            );
            Fault::new(ErrorCode::Forbidden, "this is not permitted").hint(hint)
        }
        false => (&AuthError::Expired).into(),
    })
}
