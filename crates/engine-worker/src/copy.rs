//! Backups and restores that a worker makes: their course is told and steered across.
use crate::channel::Channel;
use crate::connection::Hold;
use crate::link::unsent;
use crate::message::{Order, Report};
use rowhouse_engine::{Course, EngineError};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::task::TaskTracker;

/// How often it is looked whether a copy was asked to stop.
const LOOK: Duration = Duration::from_millis(20);

/// Stops a course when it is dropped before its end.
struct StopOnDrop<'a>(Option<&'a Course>);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(course) = self.0 {
            course.stop();
        }
    }
}

/// Has the worker make a copy, in a task of its own: who leaves stops the course, and the worker
/// clears away what it has made.
pub(crate) async fn copy(
    tasks: &TaskTracker,
    hold: Arc<Hold>,
    order: Order,
    course: &Course,
) -> Result<(), EngineError> {
    let mut stop = StopOnDrop(Some(course));
    let steered = course.clone();
    let copied = tasks.spawn(async move { steer(&hold, &order, &steered).await }).await;
    stop.0 = None;
    copied.unwrap_or(Err(EngineError::Lost))
}

async fn steer(hold: &Arc<Hold>, order: &Order, course: &Course) -> Result<(), EngineError> {
    if course.must_stop() {
        // The worker could have made it before it heard so.
        return Err(EngineError::Cancelled);
    }
    let channel = Channel::open(&hold.0);
    let serial = channel.begin();
    channel.send(serial, order).map_err(unsent)?;
    let mut look = tokio::time::interval(LOOK);
    let mut stopped = false;
    loop {
        tokio::select! {
            report = channel.next() => match report {
                Some(Report::Answer(answer)) => return answer.map(drop),
                Some(Report::Progress(progress)) => {
                    course.tell(progress.stage, progress.done, progress.total);
                    channel.send(serial, &Order::Tell).map_err(unsent)?;
                }
                Some(_) => {
                    hold.0.break_off("it answered something else");
                    return Err(EngineError::ProcessEnded);
                }
                None => return Err(EngineError::ProcessEnded),
            },
            _ = look.tick(), if !stopped => if course.must_stop() {
                stopped = true;
                channel.send(serial, &Order::Stop).map_err(unsent)?;
            },
        }
    }
}
