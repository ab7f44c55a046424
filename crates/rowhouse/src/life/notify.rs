//! What the service manager is told (`sd_notify`), where one asked for it.
use sd_notify::NotifyState;
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Tells the service manager; without one it does nothing.
#[derive(Debug)]
pub struct Notify {
    watchdog: Option<Interval>,
}

impl Notify {
    /// Whoever `NOTIFY_SOCKET` names is told; where `WATCHDOG_USEC` asks for it, that the process is well.
    ///
    /// Needs a Tokio runtime with time enabled.
    pub fn from_environment() -> Self {
        let watchdog = sd_notify::watchdog_enabled().filter(|patience| !patience.is_zero()).map(|patience| {
            let mut ticks = interval((patience / 2).max(Duration::from_millis(1)));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        Self { watchdog }
    }

    /// The server serves.
    pub fn ready(&self, status: &str) {
        tell(&[NotifyState::Ready, NotifyState::Status(&line(status))]);
    }

    /// What the service manager shows beside the state.
    pub fn status(&self, status: &str) {
        tell(&[NotifyState::Status(&line(status))]);
    }

    /// The configuration is read again; [`Notify::ready`] ends that.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(error) => tracing::debug!(%error, "the service manager is not told: there is no clock"),
        }
    }

    /// The server takes no new work.
    pub fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }

    /// Waits until the service manager is to hear that the process is well, and tells it; never ends
    /// where it does not ask.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn well(&mut self) {
        match &mut self.watchdog {
            Some(ticks) => {
                ticks.tick().await;
                tell(&[NotifyState::Watchdog]);
            }
            None => std::future::pending().await,
        }
    }
}

/// Tells what to the service manager.
fn tell(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        tracing::debug!(%error, "the service manager cannot be told");
    }
}

/// A status is one line: what follows a line's end would be another message.
fn line(status: &str) -> String {
    status.replace(char::is_control, " ")
}
