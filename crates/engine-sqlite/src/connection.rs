//! A session as the port has it. It has a connection of SQLite's only while it works, or while the
//! connection holds something of the session's.
use crate::control::Control;
use crate::database::Shared;
use crate::errors::no_turn;
use crate::handle::Handle;
use crate::job::{Aim, Done, End, Errand, Guest, Job, Right, is_sociable};
use crate::pipe::{Item, Reader, pipe};
use crate::turn::{Asked, Granted, Queued};
use futures::future::BoxFuture;
use rowhouse_engine::{Chunk, Chunks, Connection, Description, EngineError, Options, SessionState};
use rowhouse_sync::Acquire;
use rowhouse_types::Request;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

/// A session with a SQLite database.
#[derive(Debug)]
pub(crate) struct SqliteConnection {
    shared: Arc<Shared>,
    control: Arc<Control>,
    slot: Slot,
    /// What could not be begun because the file was replaced.
    unbegun: Option<Request>,
}

/// What the session has of SQLite's.
#[derive(Debug)]
pub(crate) enum Slot {
    /// Nothing: any connection will do.
    Free,
    /// A connection that holds something of the session's.
    Kept(Box<Handle>),
    /// A request is under way, or waits for its turn; the connection comes back with its end.
    Away(Reader<Done>),
    Lost,
}

/// A request under way; dropping it interrupts it.
struct Run<'a> {
    connection: &'a mut SqliteConnection,
    options: Options,
    aim: Aim,
    phase: Phase,
    described: Option<Description>,
}

enum Phase {
    /// To begin once the request before has ended.
    Start(Request),
    /// Waits for a lane.
    Lane(Request, Acquire),
    /// Waits for the turn to write.
    Turn(Request, Queued<Guest>),
    /// Waits for the turn to write, or for somebody who has it.
    Guest(Queued<Guest>),
    Away,
    Ended,
}

// === impl SqliteConnection ===

impl SqliteConnection {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        shared.enter();
        Self { shared, control: Arc::new(Control::new()), slot: Slot::Free, unbegun: None }
    }

    /// Waits until the request before has ended.
    async fn home(&mut self) -> Result<(), EngineError> {
        while let Slot::Away(reader) = &mut self.slot {
            reader.discard();
            match reader.next().await {
                Some(Item::Chunk(_)) => {}
                Some(Item::End(done)) => self.back(done.handle),
                None => self.slot = Slot::Lost,
            }
        }
        match self.slot {
            Slot::Free | Slot::Kept(_) => Ok(()),
            Slot::Away(_) | Slot::Lost => Err(EngineError::Lost),
        }
    }

    fn back(&mut self, handle: Option<Box<Handle>>) {
        self.slot = handle.map_or(Slot::Free, Slot::Kept);
    }

    pub(crate) fn take_kept(&mut self) -> Option<Box<Handle>> {
        match std::mem::replace(&mut self.slot, Slot::Free) {
            Slot::Kept(handle) => Some(handle),
            other => {
                self.slot = other;
                None
            }
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Begins a request.
    pub(crate) fn arm(&mut self, options: &Options) -> &Arc<Control> {
        self.control.arm(options.deadline);
        self.unbegun = None;
        &self.control
    }

    pub(crate) fn slot(&self) -> &Slot {
        &self.slot
    }

    pub(crate) fn set_slot(&mut self, slot: Slot) {
        self.slot = slot;
    }

    /// Sends a request to work, on the connection it has, if it has one.
    fn launch(&mut self, (request, aim): (Request, Aim), options: Options, right: Right) {
        let handle = self.take_kept();
        let errand = self.errand((request, aim), options);
        self.submit(Job { errand, handle, right, shared: self.shared.clone() });
    }

    /// An errand whose answer comes back here.
    fn errand(&mut self, (request, aim): (Request, Aim), options: Options) -> Errand {
        let (writer, reader) = pipe(&self.shared.executor);
        self.slot = Slot::Away(reader);
        Errand { request, aim, options, control: self.control.clone(), pipe: writer }
    }

    fn submit(&self, job: Job) {
        if let Err(job) = self.shared.executor.submit(job, Job::run) {
            job.refuse();
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
        // Memory cannot be opened anew while it is being written.
        let without_turn = matches!(&self.slot, Slot::Kept(handle) if handle.turn.is_none());
        let _turn = if without_turn && self.shared.is_exclusive() {
            Some(self.shared.clone().turn().await?)
        } else {
            None
        };
        let Some(handle) = self.take_kept() else { return Ok(()) };
        self.slot = Slot::Lost;
        let shared = self.shared.clone();
        self.shared.executor.call(move || shared.restore(handle)).await??;
        self.slot = Slot::Free;
        Ok(())
    }
}

impl Connection for SqliteConnection {
    fn run(&mut self, request: Request, options: Options) -> Chunks<'_> {
        if let Some(done) = self.run_in_place(&request, &options) {
            return Box::pin(futures::stream::once(async {
                // Whoever asks again and again must let others have their turn.
                tokio::task::coop::consume_budget().await;
                done
            }));
        }
        let mut run = Run::new(self, options, Aim::Run);
        let early = run.begin(request).err();
        Box::pin(futures::stream::unfold((run, early), |(mut run, early)| async move {
            let item = match early {
                Some(error) => Err(error),
                None => run.next().await?,
            };
            Some((item, (run, None)))
        }))
    }

    fn describe<'a>(
        &'a mut self,
        sql: &'a str,
        options: Options,
    ) -> BoxFuture<'a, Result<Description, EngineError>> {
        Box::pin(async move {
            let mut run = Run::new(self, options, Aim::Describe);
            run.begin(Request::execute(sql))?;
            while let Some(item) = run.next().await {
                item?;
            }
            run.described.take().ok_or(EngineError::Lost)
        })
    }

    fn take_back(&mut self) -> Option<Request> {
        self.unbegun.take()
    }

    fn state(&self) -> SessionState {
        match self.slot {
            Slot::Free => SessionState::Clean,
            Slot::Kept(_) => self.control.state(),
            // What an abandoned request leaves behind is known only when it has ended.
            Slot::Away(_) | Slot::Lost => SessionState::Stateful,
        }
    }

    fn ping(&mut self) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async move {
            self.home().await?;
            let shared = self.shared.clone();
            self.shared.executor.call(move || shared.verify()).await?
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
            let Some(handle) = self.take_kept() else { return };
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
        if let Some(handle) = self.take_kept() {
            self.shared.part_later(handle);
        }
        self.shared.leave();
    }
}

// === impl Run ===

impl<'a> Run<'a> {
    fn new(connection: &'a mut SqliteConnection, options: Options, aim: Aim) -> Self {
        Self { connection, options, aim, phase: Phase::Ended, described: None }
    }

    /// Sends the request to work, or into the queue for what it needs, unless the one before is
    /// still under way.
    fn begin(&mut self, request: Request) -> Result<(), EngineError> {
        let holds_turn = match &self.connection.slot {
            Slot::Free => None,
            Slot::Kept(handle) => Some(handle.turn.is_some()),
            Slot::Away(_) | Slot::Lost => {
                self.phase = Phase::Start(request);
                return Ok(());
            }
        };
        self.connection.arm(&self.options);
        match holds_turn {
            Some(true) => {
                self.go(request, Right::Held);
                Ok(())
            }
            _ if self.connection.shared.is_exclusive() => self.ask_turn(request),
            None if self.aim == Aim::Run && is_sociable(&request, &self.options) => self.ask_company(request),
            _ => {
                self.ask_lane(request);
                Ok(())
            }
        }
    }

    fn go(&mut self, request: Request, right: Right) {
        self.connection.launch((request, self.aim), self.options, right);
        self.phase = Phase::Away;
    }

    fn ask_lane(&mut self, request: Request) {
        let lanes = &self.connection.shared.lanes;
        match lanes.try_acquire() {
            Some(lane) => self.go(request, Right::Lane(lane)),
            None => self.phase = Phase::Lane(request, lanes.acquire()),
        }
    }

    fn ask_turn(&mut self, request: Request) -> Result<(), EngineError> {
        match self.connection.shared.turns.ask(None).map_err(no_turn)? {
            Asked::Now(granted) => self.go(request, Right::Turn { turn: granted.turn, leads: false }),
            Asked::Later(queued) => self.phase = Phase::Turn(request, queued),
        }
        Ok(())
    }

    /// Asks for the turn, or to be served by who has it.
    fn ask_company(&mut self, request: Request) -> Result<(), EngineError> {
        let errand = self.connection.errand((request, self.aim), self.options);
        match self.connection.shared.turns.ask(Some(Guest::new(errand))) {
            Ok(Asked::Now(granted)) => self.lead(granted),
            Ok(Asked::Later(queued)) => self.phase = Phase::Guest(queued),
            Err(refused) => {
                self.connection.slot = Slot::Free;
                return Err(no_turn(refused));
            }
        }
        Ok(())
    }

    fn lead(&mut self, granted: Granted<Guest>) {
        let Granted { turn, guest } = granted;
        let errand = guest.expect("it comes back with the turn").into_errand();
        let shared = self.connection.shared.clone();
        self.connection.submit(Job {
            errand,
            handle: None,
            right: Right::Turn { turn, leads: true },
            shared,
        });
        self.phase = Phase::Away;
    }

    async fn next(&mut self) -> Option<Result<Chunk, EngineError>> {
        loop {
            // Whatever is taken out below and not put back has ended.
            let step = match std::mem::replace(&mut self.phase, Phase::Ended) {
                Phase::Ended => return None,
                Phase::Away => {
                    let Slot::Away(reader) = &mut self.connection.slot else { return None };
                    self.phase = Phase::Away;
                    let item = reader.next().await;
                    match self.receive(item) {
                        Some(item) => return Some(item),
                        None => Ok(()),
                    }
                }
                Phase::Start(request) => self.connection.home().await.and_then(|()| self.begin(request)),
                Phase::Lane(request, acquire) => match before(self.options.deadline, acquire).await {
                    None => Err(EngineError::TimedOut),
                    Some(Err(refused)) => Err(no_turn(refused)),
                    Some(Ok(lane)) => {
                        self.go(request, Right::Lane(lane));
                        Ok(())
                    }
                },
                Phase::Turn(request, queued) => match before(self.options.deadline, queued).await {
                    None => Err(EngineError::TimedOut),
                    Some(granted) => {
                        let turn = granted.expect("it brought no guest to take").turn;
                        self.go(request, Right::Turn { turn, leads: false });
                        Ok(())
                    }
                },
                Phase::Guest(queued) => self.company(queued).await,
            };
            if let Err(error) = step {
                return Some(Err(error));
            }
        }
    }

    /// Waits for the turn or for somebody who has it. Once it was taken there is no way back: it is
    /// stopped, or takes effect with the others.
    async fn company(&mut self, mut queued: Queued<Guest>) -> Result<(), EngineError> {
        let granted = match before(self.options.deadline, &mut queued).await {
            Some(granted) => granted,
            None if queued.leave() => {
                self.connection.slot = Slot::Free;
                return Err(EngineError::TimedOut);
            }
            None => queued.await,
        };
        match granted {
            Ok(granted) => self.lead(granted),
            Err(_taken) => self.phase = Phase::Away,
        }
        Ok(())
    }

    fn receive(&mut self, item: Option<Item<Done>>) -> Option<Result<Chunk, EngineError>> {
        match item {
            Some(Item::Chunk(chunk)) => Some(Ok(chunk)),
            Some(Item::End(Done { handle, end })) => {
                self.connection.back(handle);
                self.phase = Phase::Ended;
                match end {
                    End::Finished(chunk) => Some(Ok(chunk)),
                    End::Described(description) => {
                        self.described = Some(description);
                        None
                    }
                    End::Failed(error) => Some(Err(error)),
                    End::Unbegun(error, request) => {
                        self.connection.unbegun = Some(request).filter(|_| self.aim == Aim::Run);
                        Some(Err(error))
                    }
                    End::NeedsWriter(request) => self.ask_turn(request).err().map(Err),
                }
            }
            None => {
                self.connection.slot = Slot::Lost;
                self.phase = Phase::Ended;
                Some(Err(EngineError::Lost))
            }
        }
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.connection.interrupt();
    }
}

/// What `future` yields, or `None` if the deadline comes first.
async fn before<T>(deadline: Option<Instant>, future: impl Future<Output = T>) -> Option<T> {
    match deadline {
        None => Some(future.await),
        Some(deadline) if deadline <= Instant::now() => None,
        Some(deadline) => tokio::time::timeout_at(deadline.into(), future).await.ok(),
    }
}
