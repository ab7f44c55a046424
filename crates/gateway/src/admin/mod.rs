//! Administration of databases: which there are, what each may use, and what is done to them.
//!
//! | file | holds |
//! | --- | --- |
//! | `gates` | what is paused or being dropped, and who waits for it |
//! | `verbs` | create, drop, evict, pause, resume, checkpoint |
//! | `organizations` | enter, suspend, reinstate, and heeding what other processes have suspended |
//! | `change` | limits, changed while it runs |
//! | `report` | what is told of databases, opened or not |
//! | `past` | what was counted of databases that are closed by now |
mod change;
mod error;
mod gates;
mod organizations;
mod past;
mod report;
mod verbs;

pub use change::LimitsChanged;
pub use error::AdminError;
pub(crate) use gates::{Gates, Shut};
pub(crate) use past::Past;
pub(crate) use report::Known;
pub use report::{DatabaseReport, OpenReport};
pub use verbs::Removal;
