//! The usage of the client limit, watched: told when it becomes high, and the limit scaled where that is
//! asked for.
//!
//! Invariant: one warning for each time usage becomes high, however long it stays so or trembles there.
use super::InForce;
use rowhouse_gateway::{Cause, Change, Clients, ClientsStatus, Event, Interface, Observer};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often is looked.
const EVERY: Duration = Duration::from_secs(1);

/// From this usage on, in percent, it is high.
const HIGH: u64 = 80;

/// Below this usage, in percent, it is not high any more.
const NORMAL: u64 = 70;

/// How the client limit follows its usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Autoscale {
    /// It never scales below this.
    pub min: NonZeroU32,
    /// It never scales above this.
    pub max: NonZeroU32,
    /// Above this usage, in percent, the limit rises.
    pub up_at: u32,
    /// Below this usage, in percent, it falls.
    pub down_at: u32,
    /// By how many it rises.
    pub step_up: NonZeroU32,
    /// By how many it falls.
    pub step_down: NonZeroU32,
    /// How often usage is looked at.
    pub interval: Duration,
    /// How long after a change the next one comes at the earliest.
    pub cooldown: Duration,
}

/// Who watches.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) clients: Clients,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) in_force: Arc<InForce>,
}

/// What usage was.
#[derive(Debug, Default)]
struct Usage {
    high: bool,
}

/// When the limit was scaled, and looked at for that.
#[derive(Debug)]
struct Scaled {
    looked: Instant,
    changed: Option<Instant>,
}

// === impl Watch ===

impl Watch {
    /// Watches for as long as it is polled.
    pub(crate) async fn run(self) {
        // Nobody can be connected yet: that is no usage to judge by.
        let (mut usage, mut scaled) = (Usage::default(), Scaled { looked: Instant::now(), changed: None });
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let now = ticks.tick().await;
            let status = self.clients.status();
            usage.tell(&status, &*self.observer);
            if let Some(change) = scaled.step(self.in_force.config().autoscale, &status, now) {
                let reason = format!("usage {:.1}%", percent(&status));
                let cause = Cause::new(Interface::Autoscale, "autoscale").because(reason);
                // Refused where clients came meanwhile: the limit's own event says so.
                let _refused = self.clients.change(change, cause);
            }
        }
    }
}

fn percent(status: &ClientsStatus) -> f64 {
    f64::from(status.active) * 100.0 / f64::from(status.limit.get())
}

// === impl Usage ===

impl Usage {
    /// Tells that usage has become high, or normal again.
    fn tell(&mut self, status: &ClientsStatus, observer: &dyn Observer) {
        let ClientsStatus { active, limit, .. } = *status;
        let (used, all) = (u64::from(active) * 100, u64::from(limit.get()));
        if !self.high && all * HIGH < used {
            self.high = true;
            observer.observe(&Event::ClientUsageHigh { active, limit });
        } else if self.high && used < all * NORMAL {
            self.high = false;
            observer.observe(&Event::ClientUsageNormal { active, limit });
        }
    }
}

// === impl Scaled ===

impl Scaled {
    /// The change that is due, if one is.
    ///
    /// A limit that somebody lowered below what is active is left to drain. A step down that would call
    /// for a step up is not made.
    fn step(&mut self, plan: Option<Autoscale>, status: &ClientsStatus, now: Instant) -> Option<Change> {
        let plan = plan?;
        let long_ago = |at, time| time <= now.saturating_duration_since(at);
        if !long_ago(self.looked, plan.interval)
            || self.changed.is_some_and(|changed| !long_ago(changed, plan.cooldown))
        {
            return None;
        }
        self.looked = now;
        let change = plan.decide(status)?;
        self.changed = Some(now);
        Some(change)
    }
}

// === impl Autoscale ===

impl Autoscale {
    fn decide(&self, status: &ClientsStatus) -> Option<Change> {
        let (active, limit) = (status.active, status.limit.get());
        if 0 < status.over {
            return None;
        }
        let used = u64::from(active) * 100;
        let beyond = |limit: u32| u64::from(limit) * u64::from(self.up_at) < used;
        if beyond(limit) {
            let room = self.max.get().saturating_sub(limit);
            return NonZeroU32::new(self.step_up.get().min(room)).map(Change::Increase);
        }
        if u64::from(limit) * u64::from(self.down_at) <= used {
            return None;
        }
        let amount = NonZeroU32::new(self.step_down.get().min(limit.saturating_sub(self.min.get())))?;
        let left = limit - amount.get();
        (active <= left && !beyond(left)).then_some(Change::Decrease { amount, drain: false })
    }
}

#[cfg(test)]
#[path = "watch/tests.rs"]
mod tests;
