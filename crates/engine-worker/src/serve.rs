//! The worker: serves one database, or makes one copy, for the server at the other end of its socket.
//!
//! One thread reads orders and speaks for all sessions; SQL runs on the engine's own threads. When the
//! server is gone, so is the worker, at once: what was committed is in the database's log, as after
//! every crash.
mod news;
mod session;
mod task;

use crate::frame::{Frame, Incoming, Wire, frame};
use crate::message::{Order, Report};
use news::Hearing;
use rowhouse_engine::{Database, Engine, EngineError};
use rustix::process::{Resource, Rlimit, setrlimit};

use session::Sessions;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::Arc;
use task::Copies;
use tokio::net::UnixStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::task::TaskTracker;

/// Why there is no worker.
#[derive(Debug)]
pub enum ServeError {
    /// Its standard input is not the socket that a server hands to its worker.
    NoServer,
    /// The system refused something.
    Io(io::Error),
}

/// What a worker is made of.
struct Worker {
    wire: Arc<Wire>,
    engine: Option<Arc<dyn Engine>>,
    database: Option<Arc<dyn Database>>,
    sessions: Sessions,
    copies: Copies,
    hearing: Hearing,
    tasks: TaskTracker,
}

/// Serves the server that has started this process, until it is gone. `make` makes the engine.
///
/// The process should end when this returns: nothing is waited for.
///
/// # Errors
///
/// When no server has started this process, or the system refuses something.
pub fn serve(make: impl FnOnce(&[u8]) -> io::Result<Arc<dyn Engine>>) -> Result<(), ServeError> {
    let socket = socket().map_err(|_| ServeError::NoServer)?;
    let nobody = Rlimit { current: Some(0), maximum: Some(0) };
    // What is in memory is the clients', and no file of anybody's.
    setrlimit(Resource::Core, nobody).map_err(|error| ServeError::Io(error.into()))?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ServeError::Io)?;
    let worked = runtime.block_on(work(socket, make));
    // Threads may be at work for a server that is gone; they end with the process.
    std::mem::forget(runtime);
    worked.map_err(ServeError::Io)
}

/// The socket, which the server has put where a program reads from. Nothing is left there.
fn socket() -> io::Result<StdUnixStream> {
    let socket = StdUnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    socket.peer_addr()?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

async fn work(
    socket: StdUnixStream,
    make: impl FnOnce(&[u8]) -> io::Result<Arc<dyn Engine>>,
) -> io::Result<()> {
    // The server says when to end. Whoever signals a whole group means the server.
    for kind in [
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::hangup(),
        SignalKind::quit(),
        SignalKind::user_defined1(),
        SignalKind::user_defined2(),
    ] {
        // Once asked for, they are caught for as long as the process lives.
        drop(signal(kind)?);
    }
    let wire = Arc::new(Wire::new(UnixStream::from_std(socket)?));
    let tasks = TaskTracker::new();
    let flushing = wire.clone();
    tasks.spawn(async move { flushing.flush().await });
    let mut worker = Worker {
        wire: wire.clone(),
        engine: None,
        database: None,
        sessions: Sessions::new(wire.clone(), tasks.clone()),
        copies: Copies::new(wire.clone(), tasks.clone()),
        hearing: Hearing::new(wire.clone(), tasks.clone()),
        tasks,
    };
    let (mut incoming, mut make) = (Incoming::default(), Some(make));
    while let Some(frame) = wire.receive(&mut incoming).await {
        let order = Order::decode(&frame.body).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        if let Order::Setup { version, memory, engine } = order {
            let made = match make.take() {
                Some(make) => set_up(&version, memory).and_then(|()| make(&engine)),
                None => Err(io::Error::other("it is set up already")),
            };
            let answer = made.map(|made| worker.engine = Some(made)).map_err(failed);
            wire_answer(&wire, &frame, answer.map(|()| None));
            continue;
        }
        worker.obey(&frame, order).await?;
    }
    // It keeps its threads until the process ends.
    std::mem::forget(worker);
    Ok(())
}

fn set_up(version: &str, memory: Option<u64>) -> io::Result<()> {
    if version != env!("CARGO_PKG_VERSION") {
        let text = format!("the worker is version {}, the server {version}", env!("CARGO_PKG_VERSION"));
        return Err(io::Error::other(text));
    }
    if memory.is_some() {
        setrlimit(Resource::Data, Rlimit { current: memory, maximum: memory })?;
    }
    Ok(())
}

fn failed(error: io::Error) -> EngineError {
    EngineError::NoProcess(Arc::new(error))
}

/// Says something on a frame's channel.
fn say(wire: &Wire, (channel, serial): (u32, u32), report: &Report) {
    let mut out = frame(channel, serial);
    report.encode(&mut out);
    if let Err(crate::frame::Unsent::TooLong) = wire.send(out) {
        let mut out = frame(channel, serial);
        let error = EngineError::TooManyBytes { limit: u64::from(crate::frame::FRAME_MAX) };
        let state = rowhouse_engine::SessionState::Stateful;
        Report::End { state, unbegun: false, result: Err(error) }.encode(&mut out);
        // A server that is gone hears nothing.
        let _gone = wire.send(out);
    }
}

fn wire_answer(wire: &Wire, frame: &Frame, answer: Result<Option<u64>, EngineError>) {
    say(wire, (frame.channel, frame.serial), &Report::Answer(answer));
}

// === impl Worker ===

impl Worker {
    async fn obey(&mut self, frame: &Frame, order: Order) -> io::Result<()> {
        let at = (frame.channel, frame.serial);
        match order {
            Order::Open { at } => {
                let opened = self.open(at).await;
                wire_answer(&self.wire, frame, opened);
            }
            Order::Connect => {
                let database = self.database.clone();
                self.sessions.connect(at, database)?;
            }
            Order::Stamp => self.call(at, |database| async move {
                Ok(database.stamp().await?.map(rowhouse_engine::Stamp::as_u64))
            }),
            Order::Bound { max_bytes } => {
                if let Some(database) = &self.database {
                    database.bound(max_bytes);
                }
            }
            Order::IsFrozen => {
                self.call(at, |database| async move { Ok(Some(u64::from(database.is_frozen().await?))) });
            }
            Order::Checkpoint => {
                self.call(at, |database| async move { database.checkpoint().await.map(|()| None) });
            }
            Order::CloseDatabase => {
                self.call(at, |database| async move { database.close().await.map(|()| None) });
            }
            Order::BackUpOwn { to, pace } => self.copies.own(at, self.database.clone(), (to, pace)),
            Order::BackUp { at: place, to, pace } => {
                self.copies.back_up(at, self.engine.clone(), place, (to, pace));
            }
            Order::Restore { at: place, from, over, pace } => {
                self.copies.restore(at, self.engine.clone(), place, (from, over, pace));
            }
            Order::Stop => self.copies.stop(frame.channel),
            Order::Tell => self.copies.tell(frame.channel),
            Order::Listen => self.hearing.listen(at, self.database.clone()),
            Order::Look => self.hearing.look(frame.channel),
            Order::More { chunks } if self.hearing.more(frame.channel, chunks) => {}
            Order::Forget if self.hearing.forget(frame.channel) => {}
            order => self.sessions.pass_on(frame, order)?,
        }
        Ok(())
    }

    async fn open(&mut self, at: String) -> Result<Option<u64>, EngineError> {
        let engine = self.engine.clone().ok_or(EngineError::Closed)?;
        let database = engine.open(&rowhouse_engine::Location(at)).await?;
        let most = database.max_connections();
        self.database = Some(database);
        Ok(most.map(|most| u64::from(most.get())))
    }

    /// Does something with the database, beside all else.
    fn call<F>(&self, at: (u32, u32), job: impl FnOnce(Arc<dyn Database>) -> F + Send + 'static)
    where
        F: Future<Output = Result<Option<u64>, EngineError>> + Send + 'static,
    {
        let (wire, database) = (self.wire.clone(), self.database.clone());
        self.tasks.spawn(async move {
            let answer = match database {
                Some(database) => job(database).await,
                None => Err(EngineError::Closed),
            };
            say(&wire, at, &Report::Answer(answer));
        });
    }
}

// === impl ServeError ===

impl std::fmt::Display for ServeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoServer => f.write_str(
                "this command is the server's own: it starts it for each database with --isolation process",
            ),
            Self::Io(_) => f.write_str("the worker cannot work"),
        }
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoServer => None,
            Self::Io(error) => Some(error),
        }
    }
}
