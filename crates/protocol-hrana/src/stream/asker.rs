//! Who asks, for which database, within which rights.
use super::fail::Fail;
use crate::call::Call;
use crate::error::Fault;
use rowhouse_access::{AuthError, Identity, Scope};
use rowhouse_engine::SqlPolicy;
use rowhouse_gateway::{Client, DatabaseLimits, Gateway, Rights};
use rowhouse_types::Target;
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

    /// Fails when what permitted them to ask has ended or was taken back.
    pub(crate) fn check(&self) -> Result<(), Fail> {
        match self.identity.may(Scope::Read, &self.target) {
            true => Ok(()),
            false => Err(Fault::from(&AuthError::Expired).into()),
        }
    }

    /// Lets one more request be made, over what lasts longer than one.
    ///
    /// # Errors
    ///
    /// When what permitted it has ended or was taken back, or they ask too often.
    pub(crate) fn once_more(&self) -> Result<(), Fail> {
        self.check()?;
        self.identity.turn().map_err(|often| Fault::from(&AuthError::from(often)).into())
    }
}
