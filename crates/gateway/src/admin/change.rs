//! Limits, changed while it runs. What is changed holds when the call returns: for the next request of
//! every session, open ones included.
use super::error::AdminError;
use crate::book::OWN_MAX;
use crate::catalog::Resolution;
use crate::clients::{Change, Changed};
use crate::gateway::{Gateway, Shared};
use crate::journal::{Action, Cause, Entry, Recording};
use crate::limits::{DatabaseLimits, Limits, LimitsPatch, OwnLimits, Patch, Takes};
use rowhouse_types::{Reportable, Target};
use std::error::Error;
use std::num::NonZeroU32;

/// Limits of a database that were changed.
#[derive(Debug)]
pub struct LimitsChanged {
    /// The limits before.
    pub from: DatabaseLimits,
    /// The limits now.
    pub to: DatabaseLimits,
    /// Resolves when the change is safe on disk in the journal.
    pub recording: Recording,
}

impl Gateway {
    /// What a request to a database may use now. It is asked for with every request, so it does not look
    /// where the database is: the size of the pool is told by [`Gateway::pool_limits_of`].
    pub fn limits_of(&self, target: &Target) -> DatabaseLimits {
        self.shared.book.of(target, Takes::Own)
    }

    /// What a database may use now, with the size of its pool, which depends on where it is.
    pub fn pool_limits_of(&self, target: &Target) -> DatabaseLimits {
        self.shared.book.of(target, self.takes(target))
    }

    /// Whose connections a database takes.
    pub(super) fn takes(&self, target: &Target) -> Takes {
        if let Some(tenant) = self.tenant(target) {
            return tenant.pool.takes();
        }
        // One that is closed is taken to be where a new one of its name would be.
        let Shared { catalog, engine, .. } = &*self.shared;
        let is_served = match catalog.resolve(target) {
            Ok(Resolution::Configured(spec)) => engine.is_served(&spec.location),
            Ok(Resolution::Dynamic(name, _)) => engine.is_served(&engine.locate(name)),
            Err(_nowhere) => false,
        };
        if is_served { Takes::Server } else { Takes::Own }
    }

    /// What a database may use of its own, different from all others.
    pub fn own_limits(&self, target: &Target) -> OwnLimits {
        self.shared.book.own(target)
    }

    /// What the gateway may use now, and each database that has no limits of its own.
    pub fn limits(&self) -> Limits {
        self.shared.book.all()
    }

    /// Changes limits that a database has of its own. They are the name's: they hold however often it is
    /// closed and opened, and over restarts, until it is dropped.
    ///
    /// A limit of sessions below what is at work is refused unless `drain`: then nobody is cut off, and
    /// nobody let in until so many have gone.
    ///
    /// # Errors
    ///
    /// Nothing has changed then, except with [`AdminError::NotKept`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may leave the change in force and not kept.
    pub async fn set_limits(
        &self,
        target: &Target,
        patch: &LimitsPatch,
        drain: bool,
        cause: &Cause,
    ) -> Result<LimitsChanged, AdminError> {
        // One at a time, so that what is kept last is what is in force; and who drops it forgets its limits
        // after whoever has found it here.
        let _one = self.shared.changing.lock().await;
        let exists = self.must_exist(target).await;
        let from = self.pool_limits_of(target);
        let own = self.own_limits(target).patched(patch);
        let to = own.over(&self.limits().defaults(self.takes(target)));
        let changed = exists.and_then(|()| self.apply(target, own, (&from, &to), drain));
        let active = self.tenant(target).map(|tenant| tenant.pool.status().held);
        let entry = Entry {
            database: Some(target.clone()),
            from: Some(from.against(&to)),
            to: Some(to.against(&from)),
            active,
            result: changed.as_ref().copied().map_err(told),
            ..Entry::of(Action::DatabaseLimit, cause.clone())
        };
        let recording = self.shared.journal.record(entry);
        changed?;
        self.keep_own(target, own).await?;
        Ok(LimitsChanged { from, to, recording })
    }

    /// Changes the limit of a database's sessions by what it is at this moment, as that of clients is
    /// changed.
    ///
    /// # Errors
    ///
    /// As [`Gateway::set_limits`].
    pub async fn change_sessions(
        &self,
        target: &Target,
        change: Change,
        cause: &Cause,
    ) -> Result<Changed, AdminError> {
        let _one = self.shared.changing.lock().await;
        let exists = self.must_exist(target).await;
        let DatabaseLimits { sessions: from, overflow, .. } = self.pool_limits_of(target);
        let active = self.tenant(target).map_or(0, |tenant| tenant.pool.status().held);
        let (own, all) = (self.own_limits(target), self.limits().defaults(self.takes(target)));
        let changed = exists.and_then(|()| {
            let to = change.decide(from, active.saturating_sub(overflow))?;
            let changed = OwnLimits { sessions: Some(to), ..own };
            let limits = (&own.over(&all), &changed.over(&all));
            let drains =
                !matches!(change, Change::Set { drain: false, .. } | Change::Decrease { drain: false, .. });
            self.apply(target, changed, limits, drains)?;
            Ok((to, changed))
        });
        let requested = match (&changed, change) {
            (Ok((to, _)), _) => to.to_string(),
            (Err(AdminError::Refused(error)), _) => error.requested().to_string(),
            (Err(_), Change::Set { limit, .. }) => limit.to_string(),
            (Err(_), Change::Increase(amount)) => format!("+{amount}"),
            (Err(_), Change::Decrease { amount, .. }) => format!("-{amount}"),
        };
        let entry = Entry {
            database: Some(target.clone()),
            from: Some(format!("pool_size={from}")),
            to: Some(format!("pool_size={requested}")),
            active: Some(active),
            result: changed.as_ref().map(|_| ()).map_err(told),
            ..Entry::of(Action::DatabaseLimit, cause.clone())
        };
        let recording = self.shared.journal.record(entry);
        let (to, own) = changed?;
        self.keep_own(target, own).await?;
        Ok(Changed { from, to, active, recording })
    }

    /// Changes what the gateway may use, and each database that has no limits of its own. Nobody is cut
    /// off: what is above a lower limit goes when nobody uses it any more.
    ///
    /// # Errors
    ///
    /// When a limit cannot be that; nothing has changed then.
    pub fn set_defaults(&self, limits: Limits) -> Result<(), AdminError> {
        limits.database.check()?;
        limits.defaults(Takes::Server).check()?;
        self.shared.book.set_all(limits);
        self.shared.budgets.set_all(limits.server_connections);
        if let Some(metadata) = self.metadata() {
            metadata.heed(&limits);
        }
        self.shared.registry.resize();
        self.tenants().iter().for_each(|tenant| tenant.heed(&self.shared.book));
        Ok(())
    }

    /// Changes how many databases opened by name may be open at once. Those above a lower limit are
    /// closed when nobody uses them, the one unused for longest first.
    pub fn set_max_connections(&self, most: NonZeroU32) {
        let limits = Limits { max_connections: most, ..self.limits() };
        self.shared.book.set_all(limits);
        self.shared.registry.resize();
    }

    /// The limits of its own are gone with it.
    pub(super) async fn forget_own(&self, target: &Target) -> Result<(), AdminError> {
        let _one = self.shared.changing.lock().await;
        if self.own_limits(target).is_empty() {
            return Ok(());
        }
        self.shared.book.set_own(target, OwnLimits::default());
        self.keep_own(target, OwnLimits::default()).await
    }

    fn apply(
        &self,
        target: &Target,
        own: OwnLimits,
        (from, to): (&DatabaseLimits, &DatabaseLimits),
        drain: bool,
    ) -> Result<(), AdminError> {
        to.check()?;
        let tenant = self.tenant(target);
        if let Some(tenant) = &tenant
            && from.at_once() != to.at_once()
        {
            tenant.pool.change(Change::Set { limit: to.at_once(), drain })?;
        }
        if !self.shared.book.set_own(target, own) {
            if let Some(tenant) = tenant {
                tenant.heed(&self.shared.book);
            }
            return Err(AdminError::TooMany { limit: OWN_MAX, what: "have limits of their own" });
        }
        // Looked up again: it may have been opened meanwhile.
        if let Some(tenant) = self.tenant(target) {
            tenant.heed(&self.shared.book);
        }
        Ok(())
    }

    async fn keep_own(&self, target: &Target, own: OwnLimits) -> Result<(), AdminError> {
        let key = crate::book::key_of(target);
        let text = own.write();
        let kept = self.shared.journal.keep(&key, Some(&*text).filter(|text| !text.is_empty()));
        kept.await.map_err(AdminError::NotKept)
    }
}

impl LimitsPatch {
    /// A change of the limit of sessions only.
    pub fn sessions(limit: NonZeroU32) -> Self {
        Self { sessions: Patch::Set(limit), ..Self::default() }
    }
}

/// An error with its causes, for operators.
pub(super) fn told(error: &AdminError) -> String {
    let mut text = format!("{}: {error}", error.code());
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
