//! What seldom happens to a WebSocket.
use crate::seldom::Seldom;
use futures::{FutureExt as _, StreamExt as _};
use rowhouse_sync::Drain;
use tokio::sync::watch;

/// What seldom happens to a WebSocket: the drain, and what is told of databases whose sessions it holds.
pub(super) struct Signals {
    coming: Seldom<'static, Said>,
    /// Of the databases that may still tell something, each once.
    heeded: Vec<watch::Receiver<bool>>,
}

/// What a connection has to heed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// No new work is taken on.
    Drain,
    /// Of sessions that are held, some may have to be given up.
    Notice,
}

/// What was said.
enum Said {
    Drain,
    /// By a database, which was closed if it was nothing.
    Notice(watch::Receiver<bool>, Result<(), watch::error::RecvError>),
}

// === impl Signals ===

impl Signals {
    /// Of this drain.
    pub(super) fn new(drain: &Drain) -> Self {
        let coming = Seldom::new();
        coming.push(drain.draining().map(|()| Said::Drain).boxed());
        Self { coming, heeded: Vec::new() }
    }

    /// Has a database's notices be heeded from now on, until it is closed.
    pub(super) fn heed(&mut self, notices: watch::Receiver<bool>) {
        if !self.heeded.iter().any(|heeded| heeded.same_channel(&notices)) {
            self.heeded.push(notices.clone());
            self.listen(notices);
        }
    }

    /// Resolves at the next.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Signal {
        match self.coming.next().await {
            None => std::future::pending().await,
            Some(Said::Drain) => Signal::Drain,
            Some(Said::Notice(notices, Ok(()))) => {
                self.listen(notices);
                Signal::Notice
            }
            Some(Said::Notice(notices, Err(_closed))) => {
                self.heeded.retain(|heeded| !heeded.same_channel(&notices));
                Signal::Notice
            }
        }
    }

    fn listen(&self, mut notices: watch::Receiver<bool>) {
        let said = async move {
            let said = notices.changed().await;
            Said::Notice(notices, said)
        };
        self.coming.push(said.boxed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_database_is_heeded_once_until_it_is_closed() {
        let drain = Drain::new();
        let mut signals = Signals::new(&drain);
        let (one, two) = (watch::Sender::new(false), watch::Sender::new(false));
        for _ in 0..3 {
            signals.heed(one.subscribe());
            signals.heed(two.subscribe());
        }
        assert_eq!((signals.coming.len(), signals.heeded.len()), (3, 2));
        for _ in 0..3 {
            assert!(signals.next().now_or_never().is_none());
            one.send_replace(true);
            assert_eq!(signals.next().now_or_never(), Some(Signal::Notice));
        }
        drop(one);
        assert_eq!(signals.next().now_or_never(), Some(Signal::Notice));
        assert_eq!((signals.coming.len(), signals.heeded.len()), (2, 1));
        drain.begin();
        assert_eq!(signals.next().now_or_never(), Some(Signal::Drain));
        two.send_replace(false);
        assert_eq!(signals.next().now_or_never(), Some(Signal::Notice));
        drop(two);
        assert_eq!(signals.next().now_or_never(), Some(Signal::Notice));
        assert!(signals.coming.is_empty() && signals.heeded.is_empty());
        assert!(signals.next().now_or_never().is_none());
    }
}
