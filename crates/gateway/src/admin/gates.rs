//! Databases that are closed to new requests: paused, or being dropped.
//!
//! Who asks for one waits at its gate, without a lease and without a place. A gate is shut before it is
//! looked whether anybody is inside; who has passed looks once more when it has its lease. So one of the
//! two always sees the other.
//!
//! Invariants: a gate is in the map exactly while it is shut; no more wait at one than may.
use rowhouse_types::Target;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::watch;
use tokio::time::timeout_at;

/// The most gates that may be shut at once.
pub(crate) const GATES_MAX: usize = 10_000;

/// The gates that are shut. Cloning yields another handle.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gates {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// How many are shut: with none, nobody looks for any.
    shut: AtomicUsize,
    gates: Mutex<HashMap<Target, Gate>>,
}

#[derive(Debug)]
struct Gate {
    paused: bool,
    fenced: bool,
    /// Dropped when it opens. Has as many receivers as wait.
    open: watch::Sender<()>,
}

/// What shut a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shut {
    /// It is paused.
    Paused,
    /// It is being dropped.
    Fenced,
    /// Either, and as many as this wait already.
    Crowded(u32),
}

/// A gate that is shut until this is dropped.
#[derive(Debug)]
pub(crate) struct Fence {
    gates: Gates,
    target: Target,
}

// === impl Gates ===

impl Gates {
    /// Waits until the gate is open, behind at most `most` others.
    ///
    /// # Errors
    ///
    /// When it is not until then.
    pub(crate) async fn pass(&self, target: &Target, until: Instant, most: u32) -> Result<(), Shut> {
        while self.is_any_shut() {
            let (why, mut opened) = {
                let gates = self.gates();
                let Some(gate) = gates.get(target) else { return Ok(()) };
                if most as usize <= gate.open.receiver_count() {
                    return Err(Shut::Crowded(most));
                }
                (if gate.fenced { Shut::Fenced } else { Shut::Paused }, gate.open.subscribe())
            };
            // It never says anything; an error means that it has opened.
            if timeout_at(until.into(), opened.changed()).await.is_err() {
                return Err(why);
            }
        }
        Ok(())
    }

    /// Whether it is shut.
    pub(crate) fn is_shut(&self, target: &Target) -> bool {
        self.is_any_shut() && self.gates().contains_key(target)
    }

    /// Whether it is shut because it is being dropped.
    pub(crate) fn is_fenced(&self, target: &Target) -> bool {
        self.is_any_shut() && self.gates().get(target).is_some_and(|gate| gate.fenced)
    }

    /// Whether it is paused.
    pub(crate) fn is_paused(&self, target: &Target) -> bool {
        self.gates().get(target).is_some_and(|gate| gate.paused)
    }

    /// How many wait at its gate.
    pub(crate) fn waiting(&self, target: &Target) -> u32 {
        let waiting = self.gates().get(target).map_or(0, |gate| gate.open.receiver_count());
        u32::try_from(waiting).unwrap_or(u32::MAX)
    }

    /// How many are paused.
    pub(crate) fn paused(&self) -> usize {
        self.gates().values().filter(|gate| gate.paused).count()
    }

    /// Pauses it. `Some(true)` if it was not; `None` when as many gates are shut as may be.
    pub(crate) fn pause(&self, target: &Target) -> Option<bool> {
        let mut gates = self.gates();
        let gate = self.shut(&mut gates, target)?;
        Some(!std::mem::replace(&mut gate.paused, true))
    }

    /// Resumes it, and does what else belongs to that before anybody can pause it again. False if it was
    /// not paused.
    pub(crate) fn resume(&self, target: &Target, then: impl FnOnce()) -> bool {
        self.open(target, |gate| {
            let was_paused = std::mem::replace(&mut gate.paused, false);
            if was_paused {
                then();
            }
            was_paused
        })
    }

    /// Does something if it is paused, before anybody can resume it. False if it is not.
    pub(crate) fn while_paused(&self, target: &Target, then: impl FnOnce()) -> bool {
        let gates = self.gates();
        let is_paused = gates.get(target).is_some_and(|gate| gate.paused);
        if is_paused {
            then();
        }
        is_paused
    }

    /// Keeps everybody out until the fence is dropped. `None` if there is one already, or as many gates
    /// are shut as may be.
    pub(crate) fn fence(&self, target: &Target) -> Option<Fence> {
        let mut gates = self.gates();
        let gate = self.shut(&mut gates, target)?;
        let new = !std::mem::replace(&mut gate.fenced, true);
        new.then(|| Fence { gates: self.clone(), target: target.clone() })
    }

    fn shut<'a>(&self, gates: &'a mut HashMap<Target, Gate>, target: &Target) -> Option<&'a mut Gate> {
        if GATES_MAX <= gates.len() && !gates.contains_key(target) {
            return None;
        }
        let new = || Gate { paused: false, fenced: false, open: watch::Sender::new(()) };
        gates.entry(target.clone()).or_insert_with(new);
        self.shared.shut.store(gates.len(), Ordering::SeqCst);
        gates.get_mut(target)
    }

    fn open(&self, target: &Target, change: impl FnOnce(&mut Gate) -> bool) -> bool {
        let mut gates = self.gates();
        let Some(gate) = gates.get_mut(target) else { return false };
        let changed = change(gate);
        let opened = if gate.paused || gate.fenced { None } else { gates.remove(target) };
        self.shared.shut.store(gates.len(), Ordering::SeqCst);
        drop(gates);
        // Wakes all who wait.
        drop(opened);
        changed
    }

    fn is_any_shut(&self) -> bool {
        self.shared.shut.load(Ordering::SeqCst) != 0
    }

    fn gates(&self) -> MutexGuard<'_, HashMap<Target, Gate>> {
        self.shared.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Fence ===

impl Drop for Fence {
    fn drop(&mut self) {
        self.gates.open(&self.target, |gate| std::mem::replace(&mut gate.fenced, false));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use std::time::Duration;

    fn soon() -> Instant {
        (tokio::time::Instant::now() + Duration::from_secs(1)).into_std()
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_to_a_shut_gate_waits_for_all_that_shut_it() {
        let (gates, target) = (Gates::default(), Target::Default);
        assert_eq!(gates.pass(&target, soon(), 9).await, Ok(()));
        assert_eq!(gates.pause(&target), Some(true));
        assert_eq!(gates.pause(&target), Some(false));
        let fence = gates.fence(&target).expect("the first");
        assert!(gates.fence(&target).is_none());
        let mut passing = Box::pin(gates.pass(&target, soon(), 1));
        assert!((&mut passing).now_or_never().is_none());
        assert_eq!(gates.pass(&target, soon(), 1).await, Err(Shut::Crowded(1)));
        assert!(gates.resume(&target, || ()));
        assert!((&mut passing).now_or_never().is_none(), "still fenced");
        drop(fence);
        assert_eq!(passing.now_or_never(), Some(Ok(())));
        assert!(!gates.resume(&target, || panic!("it is not paused")));
        assert!(!gates.is_any_shut());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_is_told_why_and_waits_no_more() {
        let (gates, target) = (Gates::default(), Target::Default);
        gates.pause(&target);
        assert_eq!(gates.pass(&target, soon(), 1).await, Err(Shut::Paused));
        assert_eq!(gates.waiting(&target), 0);
        let other = Target::Named("other".parse().unwrap());
        assert_eq!(gates.pass(&other, soon(), 1).await, Ok(()));
        let _fence = gates.fence(&target);
        assert_eq!(gates.pass(&target, soon(), 1).await, Err(Shut::Fenced));
    }
}
