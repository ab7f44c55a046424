//! When backups are made: one task for all databases, one database after the other.
use super::keeper::{Backups, blocking};
use crate::event::Event;
use rowhouse_engine::{Course, Pace};
use rowhouse_types::Target;
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The rounds of backups. Dropping it ends them without waiting.
#[derive(Debug)]
pub struct Schedule {
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// Which databases a round passes over.
#[derive(Clone, Copy, Debug)]
enum Round {
    /// Those whose last backup is younger than this: a server that was just started again need not
    /// begin anew.
    First(Duration),
    /// Only those that have not changed.
    Another,
}

impl Schedule {
    /// Backs up every database that has changed: at once what is due, and then once in each interval.
    pub fn start(backups: Backups) -> Self {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(run(backups, stop.clone()));
        tasks.close();
        Self { stop, tasks }
    }

    /// Stops the backup under way, of which nothing is left, and waits until it has ended.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

impl Drop for Schedule {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn run(backups: Backups, stop: CancellationToken) {
    let shelves = backups.shelves().clone();
    if let Err(error) = blocking(move || shelves.sweep()).await {
        backups.observer().observe(&Event::BackupsNotListed { error: &error });
    }
    let interval = backups.plan().interval;
    let mut kind = Round::First(interval);
    loop {
        let begun = Instant::now();
        round(&backups, kind, &stop).await;
        kind = Round::Another;
        if stop.run_until_cancelled(sleep_until(begun + interval)).await.is_none() {
            return;
        }
    }
}

async fn round(backups: &Backups, kind: Round, stop: &CancellationToken) {
    let targets = match backups.targets().await {
        Ok(targets) => targets,
        Err(error) => return backups.observer().observe(&Event::BackupsNotListed { error: &error }),
    };
    for target in targets {
        if stop.is_cancelled() {
            return;
        }
        if is_due(backups, kind, &target).await {
            back_up(backups, &target, stop).await;
        }
    }
}

async fn is_due(backups: &Backups, kind: Round, target: &Target) -> bool {
    let Round::First(interval) = kind else { return true };
    let newest = backups.newest(vec![target.clone()]).await.pop().flatten();
    // A backup of the future tells nothing of its age.
    let age = newest.map(|newest| SystemTime::now().duration_since(newest.made_at));
    !matches!(age, Some(Ok(age)) if age < interval)
}

/// Never dropped midway, so that nobody reads the database any more when it has ended.
async fn back_up(backups: &Backups, target: &Target, stop: &CancellationToken) {
    let course = Course::new(Pace::Gentle);
    let backup = backups.back_up_if_changed(target, &course);
    tokio::pin!(backup);
    // How it went is told as an event.
    tokio::select! {
        _told = &mut backup => {}
        () = stop.cancelled() => {
            course.stop();
            let _told = backup.await;
        }
    }
}
