//! Databases come into being and go.
//!
//! A database that has its final name is ready: everything is done under another name, and one transaction
//! makes the role, grants what it may, and gives the name. Whoever makes or removes something of a name
//! holds a lock for it on the server, as long as its connection lives, so that what a killed process has
//! left is nobody's work and can be cleared. What is dropped is renamed first, and dropped later.
mod create;
mod remove;
mod role;
mod spares;
mod template;

pub(crate) use create::{Origin, create, exists, make};
pub(crate) use remove::{destroy, give_up, has_role, recover, retirement, unfence};
pub(crate) use role::{renew as renew_role, stand_in};
pub(crate) use spares::refill;
pub(crate) use template::{evict, furnish, ready, ready_group, rebuild, seclude};

use crate::admin::{Admin, is};
use crate::names::lock_key;
use rowhouse_engine::{Condition, EngineError};
use std::fmt::Debug;
use std::ops::ControlFlow;

/// A place that provisioning comes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The lock for the name is held; nothing is done yet.
    Locked,
    /// A database was made under another name.
    Created,
    /// A spare was chosen.
    Chosen,
    /// The database has its name and its role, and may be connected to.
    Named,
    /// A database that is to go lets nobody in any more.
    Fenced,
    /// It has another name, and so has its role.
    Renamed,
    /// A backup was restored into a database that is called otherwise.
    Restored,
}

/// Who is told how provisioning goes on.
pub trait Steps: Debug + Send + Sync + 'static {
    /// A step was reached. With `Break` nothing more is done, and nothing is put right: as if the process
    /// had been killed.
    fn reached(&self, step: Step, name: &str) -> ControlFlow<()>;
}

/// Nobody is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSteps;

// === impl NoSteps ===

impl Steps for NoSteps {
    fn reached(&self, _step: Step, _name: &str) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Tells that a step was reached.
pub(crate) fn reach(inner: &crate::engine::Inner, step: Step, name: &str) -> Result<(), EngineError> {
    match inner.config.steps.reached(step, name) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(EngineError::Lost),
    }
}

/// Waits for the lock of a name, and holds it as long as the connection lives.
pub(crate) async fn lock(admin: &mut Admin<'_>, name: &str) -> Result<(), EngineError> {
    let locked =
        admin.locks().rows("SELECT pg_catalog.pg_advisory_lock($1::bigint)", &[&lock_key(name)]).await;
    match locked {
        Err(error) if is(&error, "55P03") => Err(busy()),
        locked => locked.map(drop),
    }
}

/// Takes the lock of a name if nobody holds it.
pub(crate) async fn try_lock(admin: &mut Admin<'_>, name: &str) -> Result<bool, EngineError> {
    let sql = "SELECT pg_catalog.pg_try_advisory_lock($1::bigint)";
    Ok(admin.locks().value(sql, &[&lock_key(name)]).await?.as_deref() == Some("t"))
}

/// Gives the lock of a name back.
pub(crate) async fn unlock(admin: &mut Admin<'_>, name: &str) -> Result<(), EngineError> {
    admin.rows("SELECT pg_catalog.pg_advisory_unlock($1::bigint)", &[&lock_key(name)]).await.map(drop)
}

fn busy() -> EngineError {
    let message = "somebody else is making or removing the database".to_owned();
    EngineError::Statement { condition: Condition::Busy, message, native: rowhouse_engine::native("55P03") }
}
