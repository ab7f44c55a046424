//! A time that most often moves on before it has come.
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Instant;
use tokio::time::{Sleep, sleep_until};

/// Tells when a time has come that is another each time it is asked for.
///
/// The clock that all threads share is set only for a time before the one it is set for. When that comes, it
/// is looked whether the time has moved on since.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
    /// For when it is set; `None` if for no time, or for one that has come.
    set: Option<Instant>,
}

// === impl Alarm ===

impl Alarm {
    /// Resolves when it is as late; never for `None`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(super) async fn until(&mut self, time: Option<Instant>) {
        let Some(time) = time else { return std::future::pending().await };
        std::future::poll_fn(|cx| {
            loop {
                if self.set.is_none_or(|set| time < set) {
                    self.set(time);
                }
                if let Some(sleep) = &mut self.sleep {
                    ready!(sleep.as_mut().poll(cx));
                }
                // It was set for no later.
                if self.set.take() == Some(time) || time <= now() {
                    return Poll::Ready(());
                }
            }
        })
        .await;
    }

    fn set(&mut self, time: Instant) {
        self.set = Some(time);
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().reset(time.into()),
            none => *none = Some(Box::pin(sleep_until(time.into()))),
        }
    }
}

/// The time, by the clock of timers.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn it_goes_off_at_the_time_that_was_asked_for_last() {
        let (mut alarm, begun) = (Alarm::default(), now());
        for later in [30, 40, 35, 20, 90] {
            let time = Some(begun + later * SECOND);
            assert!(timeout(SECOND, alarm.until(time)).await.is_err(), "{later}");
        }
        assert!(timeout(200 * SECOND, alarm.until(None)).await.is_err(), "it is set for an earlier time");
        let (begun, later) = (now(), 7 * SECOND);
        assert!(timeout(SECOND, alarm.until(Some(begun + 10 * later))).await.is_err());
        alarm.until(Some(begun + later)).await;
        assert_eq!(now(), begun + later);
        alarm.until(Some(begun + 3 * later)).await;
        assert_eq!(now(), begun + 3 * later);
        // What has been is.
        alarm.until(Some(begun)).await;
        assert_eq!(now(), begun + 3 * later);
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_that_moves_on_sets_no_clock_until_it_would_have_come() {
        let (mut alarm, begun) = (Alarm::default(), now());
        let set_for = |alarm: &Alarm| alarm.sleep.as_ref().expect("it was set").deadline().into_std();
        for passed in 0..30 {
            let time = begun + (30 + passed) * SECOND;
            assert!(timeout(SECOND, alarm.until(Some(time))).await.is_err());
            if passed < 29 {
                assert_eq!(set_for(&alarm), begun + 30 * SECOND, "{passed}");
            }
        }
        assert_eq!(set_for(&alarm), begun + 59 * SECOND);
        alarm.until(Some(begun + 60 * SECOND)).await;
        assert_eq!(now(), begun + 60 * SECOND);
    }
}
