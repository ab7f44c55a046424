//! Who asks, for which database, within which rights.
use super::fail::Fail;
use crate::call::Call;
use crate::error::Fault;
use rowhouse_access::{Identity, Scope};
use rowhouse_engine::SqlPolicy;
use rowhouse_gateway::{Client, DatabaseLimits, Gateway, Rights};
use rowhouse_types::{ErrorCode, Target};
use std::sync::Arc;

/// Who asks, for which database, within which rights.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    pub(crate) gateway: Gateway,
    /// In whose name the gateway is asked.
    pub(crate) client: Arc<Client>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) target: Target,
    /// What their SQL may do.
    pub(crate) policy: SqlPolicy,
    pub(crate) rights: Rights,
}

impl Asker {
    /// Who makes this call.
    pub(crate) fn of(call: &Call) -> Self {
        Self {
            gateway: call.gateway().clone(),
            client: call.client().clone(),
            identity: call.identity.clone(),
            target: call.target.clone(),
            policy: call.policy(),
            rights: call.rights(),
        }
    }

    /// What their database may use, now.
    pub(crate) fn limits(&self) -> DatabaseLimits {
        self.gateway.limits_of(&self.target)
    }

    /// Fails when they may not ask any more: what permitted it has ended or was taken back.
    pub(crate) fn check(&self) -> Result<(), Fail> {
        if self.identity.may(Scope::Read, &self.target) {
            return Ok(());
        }
        let message = "the token has expired or was revoked";
        Err(Fail::from(Fault::new(ErrorCode::Unauthenticated, message).hint("ask for a new one")))
    }
}
