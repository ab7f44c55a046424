//! The worker's copies: backups and restores, each with a course of its own.
use super::say;
use crate::frame::Wire;
use crate::message::Report;
use futures::future::BoxFuture;
use rowhouse_engine::{Course, Database, Engine, EngineError, Location, Over, Pace, Restoration};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_util::task::TaskTracker;

/// How often it is told how far a copy is.
const TELL: Duration = Duration::from_millis(50);

/// The copies under way.
pub(super) struct Copies {
    wire: Arc<Wire>,
    tasks: TaskTracker,
    courses: HashMap<u32, Steered>,
}

/// A copy under way, as its server steers it.
#[derive(Clone)]
struct Steered {
    course: Course,
    /// Whether the server waits to hear how far it is.
    asked: Arc<AtomicBool>,
}

impl Copies {
    pub(super) fn new(wire: Arc<Wire>, tasks: TaskTracker) -> Self {
        Self { wire, tasks, courses: HashMap::new() }
    }

    /// Backs up the worker's own database.
    pub(super) fn own(
        &mut self,
        at: (u32, u32),
        database: Option<Arc<dyn Database>>,
        (to, pace): (String, Pace),
    ) {
        self.begin(at, pace, move |course| {
            Box::pin(async move {
                let database = database.ok_or(EngineError::Closed)?;
                database.backup(&PathBuf::from(to), &course).await
            })
        });
    }

    /// Backs up another.
    pub(super) fn back_up(
        &mut self,
        at: (u32, u32),
        engine: Option<Arc<dyn Engine>>,
        place: String,
        (to, pace): (String, Pace),
    ) {
        self.begin(at, pace, move |course| {
            Box::pin(async move {
                let engine = engine.ok_or(EngineError::Closed)?;
                engine.backup(&Location(place), &PathBuf::from(to), &course).await
            })
        });
    }

    pub(super) fn restore(
        &mut self,
        at: (u32, u32),
        engine: Option<Arc<dyn Engine>>,
        place: String,
        (from, over, pace): (String, Over, Pace),
    ) {
        self.begin(at, pace, move |course| {
            Box::pin(async move {
                let engine = engine.ok_or(EngineError::Closed)?;
                let restoration = Restoration { from: &PathBuf::from(from), over };
                engine.restore(&Location(place), restoration, &course).await
            })
        });
    }

    /// Stops the copy of a channel.
    pub(super) fn stop(&self, channel: u32) {
        if let Some(steered) = self.courses.get(&channel) {
            steered.course.stop();
        }
    }

    /// Tells how far the copy of a channel is.
    pub(super) fn tell(&self, channel: u32) {
        if let Some(steered) = self.courses.get(&channel) {
            steered.asked.store(true, Ordering::Relaxed);
        }
    }

    fn begin(
        &mut self,
        at: (u32, u32),
        pace: Pace,
        copy: impl FnOnce(Course) -> BoxFuture<'static, Result<(), EngineError>>,
    ) {
        // One at a time is copied, so that those that have ended are few.
        self.courses.retain(|_, steered| !steered.course.must_stop());
        let steered = Steered { course: Course::new(pace), asked: Arc::new(AtomicBool::new(true)) };
        self.courses.insert(at.0, steered.clone());
        let (wire, copying) = (self.wire.clone(), copy(steered.course.clone()));
        self.tasks.spawn(async move {
            let ended = tell(&wire, at, &steered, copying).await;
            // Ended courses count as stopped.
            steered.course.stop();
            say(&wire, at, &Report::Answer(ended.map(|()| None)));
        });
    }
}

/// Tells how far it is until it has ended.
async fn tell(
    wire: &Wire,
    at: (u32, u32),
    Steered { course, asked }: &Steered,
    mut copying: BoxFuture<'static, Result<(), EngineError>>,
) -> Result<(), EngineError> {
    let (mut tick, mut told) = (tokio::time::interval(TELL), course.progress());
    loop {
        tokio::select! {
            ended = &mut copying => return ended,
            _ = tick.tick() => {
                let progress = course.progress();
                if progress != told && asked.swap(false, Ordering::Relaxed) {
                    told = progress;
                    say(wire, at, &Report::Progress(progress));
                }
            }
        }
    }
}
