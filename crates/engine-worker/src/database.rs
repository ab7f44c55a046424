//! A database that a worker runs, as the port has it.
use crate::channel::Channel;
use crate::connection::{Hold, WorkerConnection};
use crate::copy::copy;
use crate::launch::{Launcher, no_process, text_of};
use crate::link::PATIENCE;
use crate::message::Order;
use crate::news::listen;
use futures::future::BoxFuture;
use rowhouse_engine::{
    Claim, Connection, Course, Database, EngineError, Listener, Listening, Process, Stamp,
};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a database may take to close; then the worker is killed, and the log keeps what was
/// committed.
const CLOSING: Duration = Duration::from_secs(60);

/// A database that a worker runs.
#[derive(Debug)]
pub(crate) struct WorkerDatabase {
    hold: Arc<Hold>,
    id: u32,
    ended_before: u32,
    max_connections: Option<NonZeroU32>,
    /// Until it is closed.
    claim: Mutex<Option<Arc<dyn Claim>>>,
    launcher: Arc<Launcher>,
    /// Whether there is a bound at which it may be frozen.
    bounded: AtomicBool,
}

// === impl WorkerDatabase ===

impl WorkerDatabase {
    pub(crate) fn new(
        worker: (Arc<Hold>, u32),
        ended_before: u32,
        max_connections: Option<NonZeroU32>,
        claim: Box<dyn Claim>,
        launcher: Arc<Launcher>,
    ) -> Self {
        let (hold, id) = worker;
        let claim = Mutex::new(Some(claim.into()));
        Self { hold, id, ended_before, max_connections, claim, launcher, bounded: AtomicBool::new(false) }
    }

    fn claim(&self) -> Option<Arc<dyn Claim>> {
        self.slot().clone()
    }

    fn slot(&self) -> MutexGuard<'_, Option<Arc<dyn Claim>>> {
        self.claim.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn settle(&self) -> Result<(), EngineError> {
        let link = &self.hold.0;
        let closed = link.call(Order::CloseDatabase, CLOSING).await;
        link.dismiss();
        let ended = link.ended().await;
        drop(self.slot().take());
        match closed {
            // Why it ended is for operators to know.
            Err(EngineError::ProcessEnded) => {
                Err(ended.map_or(EngineError::ProcessEnded, |ended| no_process(ended.error())))
            }
            closed => closed.map(drop),
        }
    }
}

impl Database for WorkerDatabase {
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Connection>, EngineError>> {
        Box::pin(async move {
            if self.slot().is_none() {
                return Err(EngineError::Closed);
            }
            let connection: Box<dyn Connection> = Box::new(WorkerConnection::open(&self.hold).await?);
            Ok(connection)
        })
    }

    fn max_connections(&self) -> Option<NonZeroU32> {
        self.max_connections
    }

    fn process(&self) -> Option<Process> {
        let Self { id, ended_before, .. } = *self;
        Some(Process { id, running: !self.hold.0.is_over(), ended_before })
    }

    fn verify(&self) -> Result<(), EngineError> {
        if self.hold.0.is_over() {
            return Err(EngineError::ProcessEnded);
        }
        self.claim().map_or(Ok(()), |claim| claim.verify())
    }

    /// Looked up here: who asks how all databases are does not wait for any worker.
    fn size(&self) -> BoxFuture<'_, Option<u64>> {
        Box::pin(async move { self.claim()?.size().await })
    }

    fn stamp(&self) -> BoxFuture<'_, Result<Option<Stamp>, EngineError>> {
        Box::pin(async move {
            let stamp = self.hold.0.call(Order::Stamp, PATIENCE).await?;
            Ok(stamp.map(Stamp::from_u64))
        })
    }

    /// What is asked of the worker afterwards comes after it.
    fn bound(&self, max_bytes: Option<u64>) {
        self.bounded.store(max_bytes.is_some(), Ordering::Relaxed);
        let channel = Channel::open(&self.hold.0);
        let serial = channel.begin();
        // Without a worker there is nothing to bound; the next one is told anew.
        let _gone = channel.send(serial, &Order::Bound { max_bytes });
    }

    fn is_frozen(&self) -> BoxFuture<'_, Result<bool, EngineError>> {
        Box::pin(async move {
            if !self.bounded.load(Ordering::Relaxed) {
                return Ok(false);
            }
            Ok(self.hold.0.call(Order::IsFrozen, PATIENCE).await? == Some(1))
        })
    }

    fn checkpoint(&self) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async move { self.hold.0.call(Order::Checkpoint, CLOSING).await.map(drop) })
    }

    fn backup<'a>(&'a self, to: &'a Path, course: &'a Course) -> BoxFuture<'a, Result<(), EngineError>> {
        Box::pin(async move {
            let order = Order::BackUpOwn { to: text_of(to)?, pace: course.pace() };
            copy(self.launcher.tasks(), self.hold.clone(), order, course).await
        })
    }

    fn listen(&self, listener: Arc<dyn Listener>) -> BoxFuture<'_, Result<Box<dyn Listening>, EngineError>> {
        Box::pin(async move {
            if self.slot().is_none() {
                return Err(EngineError::Closed);
            }
            listen(self.launcher.tasks(), &self.hold.0, listener).await
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(self.settle())
    }
}
