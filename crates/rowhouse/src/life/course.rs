//! What the process does while it serves: it obeys signals and tells the service manager.
use super::in_force::{ChangeError, InForce, Outcome};
use super::notify::Notify;
use super::signals::{Arrived, Heard, Next, Order, Sender};
use crate::listening::Listening;
use crate::manage::Secrets;
use crate::server::Running;
use rowhouse_gateway::{Cause, Change, Clients, Interface};
use std::convert::Infallible;
use std::num::NonZeroU32;
use std::sync::Arc;

/// By how many one signal changes the client limit.
const STEP: NonZeroU32 = NonZeroU32::new(100).expect("not zero");

/// A process that serves.
#[derive(Debug)]
pub struct Life {
    in_force: Arc<InForce>,
    clients: Clients,
    secrets: Secrets,
    notify: Notify,
    status: String,
}

impl Life {
    /// The server serves: the service manager is told.
    ///
    /// Needs a Tokio runtime with time enabled.
    pub fn begin(running: &Running) -> Self {
        let listeners: Vec<_> = running.listeners().iter().map(Listening::url).collect();
        let (notify, status) = (Notify::from_environment(), format!("serving on {}", listeners.join(", ")));
        notify.ready(&status);
        let (in_force, clients) = (running.in_force().clone(), running.clients().clone());
        let secrets = running.secrets().clone();
        Self { in_force, clients, secrets, notify, status }
    }

    /// Obeys until a signal asks to stop, whose name is returned.
    pub async fn until_stopped(&mut self, heard: &mut Heard) -> &'static str {
        loop {
            tokio::select! {
                next = heard.next() => match next {
                    Next::Obey(arrived) => self.obey(&arrived),
                    Next::Reload(sender) => self.reload(sender),
                    Next::Stop(name) => {
                        self.notify.stopping();
                        return name;
                    }
                },
                () = self.notify.well() => {}
            }
        }
    }

    /// Tells the service manager that the process is well, as often as it wants to hear it.
    pub async fn well(&mut self) -> Infallible {
        loop {
            self.notify.well().await;
        }
    }

    fn reload(&self, sender: Sender) {
        self.notify.reloading();
        let cause = Cause::new(Interface::Reload, sender.to_string());
        tell(self.in_force.reload(&cause), &cause.who);
        for error in self.secrets.reload() {
            let error = crate::observe::chain(&error);
            tracing::error!(error, by = cause.who, "not read again: what was read before is in force");
        }
        self.notify.ready(&self.status);
    }

    /// Changes the client limit, once for each signal. The limit itself tells and records what comes of it.
    fn obey(&self, arrived: &Arrived) {
        let Arrived { order, times, sender } = arrived;
        let signal = order.signal();
        if !self.in_force.config().signal_limits {
            tracing::warn!(signal, times, by = %sender, "signal ignored: signal_limits is off");
            return;
        }
        for _ in 0..*times {
            let cause = Cause::new(Interface::Signal, sender.to_string()).because(signal);
            let change = match order {
                Order::Raise => Change::Increase(STEP),
                Order::Lower => Change::Decrease { amount: STEP, drain: false },
            };
            if self.clients.change(change, cause).is_err() {
                // What one signal may not, those with it may not either.
                return;
            }
        }
    }
}

/// Logs what a reload did, but for each change, which is told when it is made.
fn tell(outcome: Result<Outcome, ChangeError>, by: &str) {
    match outcome {
        Ok(outcome) => {
            for unchanged in &outcome.unchanged {
                tracing::warn!(option = unchanged.key, by, "not changed: {}", unchanged.reason);
            }
            tracing::info!(by, "configuration reloaded: {outcome}");
        }
        Err(error) => {
            let error = crate::observe::chain(&error);
            tracing::error!(error, by, "configuration not reloaded: all stays as it is");
        }
    }
}
