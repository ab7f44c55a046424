//! A connection as the port has it: here while idle, away on a thread while it works.
use crate::control::Control;
use crate::database::Shared;
use crate::handle::Handle;
use crate::job::{Done, End, Job};
use crate::pipe::{Item, Reader, pipe};
use futures::future::BoxFuture;
use rowhouse_engine::{Chunk, Chunks, Connection, EngineError, Options, SessionState};
use rowhouse_sync::Permit;
use rowhouse_types::Request;
use std::sync::Arc;
use std::time::Instant;

/// A connection to a SQLite database.
#[derive(Debug)]
pub(crate) struct SqliteConnection {
    shared: Arc<Shared>,
    control: Arc<Control>,
    slot: Slot,
    /// What could not be begun because the file was replaced.
    unbegun: Option<Request>,
}

/// Where the handle is.
#[derive(Debug)]
enum Slot {
    Home(Box<Handle>),
    Away(Reader<Done>),
    Lost,
}

/// A request under way; dropping it interrupts it.
struct Run<'a> {
    connection: &'a mut SqliteConnection,
    options: Options,
    phase: Phase,
}

enum Phase {
    /// To be submitted once the connection is home.
    Start(Request),
    /// To wait for the turn to write.
    Queue(Request),
    Away,
    Ended,
}

// === impl SqliteConnection ===

impl SqliteConnection {
    pub(crate) fn new(shared: Arc<Shared>, handle: Box<Handle>) -> Self {
        Self { shared, control: handle.control.clone(), slot: Slot::Home(handle), unbegun: None }
    }

    /// Waits until the request before has ended.
    async fn home(&mut self) -> Result<(), EngineError> {
        while let Slot::Away(reader) = &mut self.slot {
            reader.discard();
            match reader.next().await {
                Some(Item::Chunk(_)) => {}
                Some(Item::End(done)) => self.slot = Slot::Home(done.handle),
                None => self.slot = Slot::Lost,
            }
        }
        match self.slot {
            Slot::Home(_) => Ok(()),
            Slot::Away(_) | Slot::Lost => Err(EngineError::Lost),
        }
    }

    /// Takes the handle away, to be put back with [`Slot::Home`].
    fn take(&mut self) -> Result<Box<Handle>, EngineError> {
        match std::mem::replace(&mut self.slot, Slot::Lost) {
            Slot::Home(handle) => Ok(handle),
            away => {
                self.slot = away;
                Err(EngineError::Lost)
            }
        }
    }

    /// Puts the handle to work.
    fn launch(&mut self, request: Request, options: Options) -> Result<(), EngineError> {
        let handle = self.take()?;
        let (writer, reader) = pipe();
        let job = Job { handle, request, options };
        match self.shared.executor.submit((job, writer), |(job, writer)| job.run(writer)) {
            Ok(()) => {
                self.slot = Slot::Away(reader);
                Ok(())
            }
            Err((mut job, _)) => {
                job.handle.settle();
                self.slot = Slot::Home(job.handle);
                Err(crate::errors::too_many_waiting())
            }
        }
    }

    fn interrupt(&self) {
        if let Slot::Away(reader) = &self.slot {
            self.control.cancel();
            reader.discard();
        }
    }

    async fn forget(&mut self) -> Result<(), EngineError> {
        self.interrupt();
        self.home().await?;
        if self.control.state() == SessionState::Clean {
            return Ok(());
        }
        let has_turn = matches!(&self.slot, Slot::Home(handle) if handle.writer.is_some());
        let _turn = if has_turn { None } else { self.shared.turn_to_open().await? };
        let mut handle = self.take()?;
        self.control.arm(None);
        let resetting = self.shared.executor.call(move || {
            let result = handle.reset();
            (handle, result)
        });
        let (handle, result) = resetting.await?;
        self.slot = Slot::Home(handle);
        result
    }
}

impl Connection for SqliteConnection {
    fn run(&mut self, request: Request, options: Options) -> Chunks<'_> {
        let mut run = Run { connection: self, options, phase: Phase::Ended };
        let early = run.begin(request).err();
        Box::pin(futures::stream::unfold((run, early), |(mut run, early)| async move {
            let item = match early {
                Some(error) => Err(error),
                None => run.next().await?,
            };
            Some((item, (run, None)))
        }))
    }

    fn take_back(&mut self) -> Option<Request> {
        self.unbegun.take()
    }

    fn state(&self) -> SessionState {
        match self.slot {
            Slot::Home(_) => self.control.state(),
            // What an abandoned request leaves behind is known only when it has ended.
            Slot::Away(_) | Slot::Lost => SessionState::Stateful,
        }
    }

    fn ping(&mut self) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async move {
            self.home().await?;
            let handle = self.take()?;
            let (handle, result) = self
                .shared
                .executor
                .call(move || {
                    let result = handle.verify();
                    (handle, result)
                })
                .await?;
            self.slot = Slot::Home(handle);
            result
        })
    }

    fn reset(&mut self) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(self.forget())
    }

    fn close(mut self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            self.interrupt();
            if self.home().await.is_err() {
                return;
            }
            let Ok(handle) = self.take() else { return };
            let shared = self.shared.clone();
            let closed = self.shared.executor.call(move || shared.part_with(handle)).await;
            if let Err(error) | Ok(Err(error)) = closed {
                tracing::debug!(%error, "a connection did not close cleanly");
            }
        })
    }
}

/// SQLite may write while it closes, so that is left to the executor.
impl Drop for SqliteConnection {
    fn drop(&mut self) {
        self.interrupt();
        if let Slot::Home(handle) = std::mem::replace(&mut self.slot, Slot::Lost) {
            drop(self.shared.executor.submit(handle, drop));
        }
    }
}

// === impl Run ===

impl Run<'_> {
    /// Submits the request at once if the connection is idle.
    fn begin(&mut self, request: Request) -> Result<(), EngineError> {
        if matches!(self.connection.slot, Slot::Home(_)) {
            self.connection.control.arm(self.options.deadline);
            self.connection.launch(request, self.options)?;
            self.phase = Phase::Away;
        } else {
            self.phase = Phase::Start(request);
        }
        Ok(())
    }

    async fn next(&mut self) -> Option<Result<Chunk, EngineError>> {
        loop {
            // Whatever is taken out below and not put back has ended.
            match std::mem::replace(&mut self.phase, Phase::Ended) {
                Phase::Ended => return None,
                Phase::Start(request) => {
                    let ready = self.connection.home().await.and_then(|()| self.begin(request));
                    if let Err(error) = ready {
                        return Some(Err(error));
                    }
                }
                Phase::Queue(request) => {
                    let turn = self.wait_for_turn().await.and_then(|permit| self.resume(request, permit));
                    if let Err(error) = turn {
                        return Some(Err(error));
                    }
                }
                Phase::Away => {
                    let Slot::Away(reader) = &mut self.connection.slot else { return None };
                    self.phase = Phase::Away;
                    let item = reader.next().await;
                    if let Some(item) = self.receive(item) {
                        return Some(item);
                    }
                }
            }
        }
    }

    fn receive(&mut self, item: Option<Item<Done>>) -> Option<Result<Chunk, EngineError>> {
        match item {
            Some(Item::Chunk(chunk)) => Some(Ok(chunk)),
            Some(Item::End(Done { handle, end })) => {
                self.connection.slot = Slot::Home(handle);
                self.phase = Phase::Ended;
                match end {
                    End::Finished(chunk) => Some(Ok(chunk)),
                    End::Failed(error) => Some(Err(error)),
                    End::Unfit(error, request) => {
                        self.connection.unbegun = Some(request);
                        Some(Err(error))
                    }
                    End::NeedsWriter(request) => {
                        self.phase = Phase::Queue(request);
                        None
                    }
                }
            }
            None => {
                self.connection.slot = Slot::Lost;
                self.phase = Phase::Ended;
                Some(Err(EngineError::Lost))
            }
        }
    }

    async fn wait_for_turn(&mut self) -> Result<Permit, EngineError> {
        let turn = self.connection.shared.writer.acquire();
        let granted = match self.options.deadline {
            None => turn.await,
            Some(deadline) if deadline <= Instant::now() => return Err(EngineError::TimedOut),
            Some(deadline) => {
                tokio::time::timeout_at(deadline.into(), turn).await.map_err(|_| EngineError::TimedOut)?
            }
        };
        granted.map_err(crate::errors::no_turn)
    }

    /// Submits the request again, now with the turn to write. There is no await between getting
    /// the turn and this, so it cannot be left with an idle connection.
    fn resume(&mut self, request: Request, permit: Permit) -> Result<(), EngineError> {
        if let Slot::Home(handle) = &mut self.connection.slot {
            handle.writer = Some(permit);
        }
        self.connection.launch(request, self.options)?;
        self.phase = Phase::Away;
        Ok(())
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.connection.interrupt();
    }
}
