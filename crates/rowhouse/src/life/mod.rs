//! The life of the process: what it hears while it runs, and what it changes then.
mod course;
mod effect;
mod in_force;
mod log_level;
mod notify;
mod operator;
mod signals;
mod watch;

pub use course::Life;
pub(crate) use effect::Effects;
pub(crate) use in_force::InForceParts;
pub use in_force::{ChangeError, Changed, InForce, OptionInForce, Outcome, Source, Unchanged};
pub use log_level::{BadFilter, LogLevel, parse as parse_filter};
pub use notify::Notify;
pub(crate) use operator::Attendant;
pub use signals::{Arrived, Heard, Next, Order, Sender, Signals};
pub use watch::Autoscale;
pub(crate) use watch::Watch;
