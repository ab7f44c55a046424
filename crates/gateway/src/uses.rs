//! How many uses something has, and a wait until it has none.
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;

/// How many uses something has. Cloning yields another handle.
#[derive(Clone, Debug, Default)]
pub(crate) struct Uses {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    count: AtomicUsize,
    none: Notify,
}

/// One use, until it is dropped.
#[derive(Debug)]
pub(crate) struct Use {
    shared: Arc<Shared>,
}

// === impl Uses ===

impl Uses {
    /// One use more.
    pub(crate) fn begin(&self) -> Use {
        self.shared.count.fetch_add(1, Ordering::SeqCst);
        Use { shared: self.shared.clone() }
    }

    /// Waits until there is none, be it for a moment only.
    pub(crate) async fn none(&self) {
        loop {
            let none = self.shared.none.notified();
            if self.count() == 0 {
                return;
            }
            none.await;
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.shared.count.load(Ordering::SeqCst)
    }
}

// === impl Use ===

impl Drop for Use {
    fn drop(&mut self) {
        if self.shared.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.shared.none.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn who_waits_is_told_when_the_last_use_ends() {
        let uses = Uses::default();
        assert!(uses.none().now_or_never().is_some());
        let (first, second) = (uses.begin(), uses.begin());
        let mut none = Box::pin(uses.none());
        assert!((&mut none).now_or_never().is_none());
        drop(first);
        assert!((&mut none).now_or_never().is_none());
        drop(second);
        assert!(none.now_or_never().is_some());
    }
}
