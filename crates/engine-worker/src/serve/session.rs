//! The worker's sessions: one task each, which has the connection.
//!
//! Invariants: a session sends no more chunks than it was asked for; what is left of a request that
//! nobody reads is interrupted before the session does anything else.
use super::say;
use crate::channel::WINDOW;
use crate::frame::{Frame, Wire};
use crate::message::{Order, Report};
use futures::StreamExt;
use futures::future::BoxFuture;
use rowhouse_engine::{Chunk, Chunks, Connection, Database, Description, EngineError, SessionState};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_util::task::TaskTracker;

/// Orders that may wait for a session: a server sends fewer.
const ORDERS_MAX: usize = 256;

/// The worker's sessions.
pub(super) struct Sessions {
    wire: Arc<Wire>,
    tasks: TaskTracker,
    orders: HashMap<u32, Sender<(u32, Order)>>,
}

/// One session.
struct Session {
    wire: Arc<Wire>,
    channel: u32,
    connection: Box<dyn Connection>,
    orders: Receiver<(u32, Order)>,
}

/// How the reading of a result ended.
enum Reading<T> {
    /// With the last chunk, or an error.
    Ended(Result<T, EngineError>),
    /// Nobody reads on.
    Cancelled,
    /// Nobody reads on, and this is to be done next.
    Overtaken((u32, Order)),
    /// The session's owner is gone.
    Forgotten,
}

// === impl Sessions ===

impl Sessions {
    pub(super) fn new(wire: Arc<Wire>, tasks: TaskTracker) -> Self {
        Self { wire, tasks, orders: HashMap::new() }
    }

    /// Begins a session.
    pub(super) fn connect(&mut self, at: (u32, u32), database: Option<Arc<dyn Database>>) -> io::Result<()> {
        let (sender, orders) = channel(ORDERS_MAX);
        if self.orders.insert(at.0, sender).is_some() {
            return Err(io::Error::other("there is such a session already"));
        }
        let wire = self.wire.clone();
        self.tasks.spawn(async move {
            let connected = match database {
                Some(database) => database.connect().await,
                None => Err(EngineError::Closed),
            };
            match connected {
                Err(error) => {
                    say(&wire, at, &Report::Done { state: SessionState::Clean, result: Err(error) });
                }
                Ok(connection) => {
                    say(&wire, at, &Report::Done { state: connection.state(), result: Ok(()) });
                    Session { wire, channel: at.0, connection, orders }.live().await;
                }
            }
        });
        Ok(())
    }

    /// Hands an order over to its session.
    pub(super) fn pass_on(&mut self, frame: &Frame, order: Order) -> io::Result<()> {
        let last = matches!(order, Order::Forget);
        let Some(session) = self.orders.get(&frame.channel) else { return Ok(()) };
        let passed = session.try_send((frame.serial, order));
        if last {
            self.orders.remove(&frame.channel);
        }
        match passed {
            // It never came to be, or is closed.
            Ok(()) | Err(tokio::sync::mpsc::error::TrySendError::Closed(_)) => Ok(()),
            Err(_full) => Err(io::Error::other("a session is told more than it can hear")),
        }
    }
}

// === impl Session ===

impl Session {
    async fn live(mut self) {
        let mut next = self.orders.recv().await;
        while let Some((serial, order)) = next.take() {
            match order {
                Order::Run { request, options } => {
                    let chunks = self.connection.run(request, options);
                    let told = Telling { wire: &self.wire, at: (self.channel, serial) };
                    match read(chunks, told, &mut self.orders).await {
                        Reading::Ended(result) => self.end(serial, result),
                        Reading::Cancelled => {}
                        Reading::Overtaken(order) => {
                            next = Some(order);
                            continue;
                        }
                        Reading::Forgotten => return,
                    }
                }
                Order::Describe { sql, options } => {
                    let describing = self.connection.describe(&sql, options);
                    match describe(describing, serial, &mut self.orders).await {
                        Reading::Ended(result) => {
                            let described = Report::Described { state: self.connection.state(), result };
                            say(&self.wire, (self.channel, serial), &described);
                        }
                        Reading::Cancelled => {}
                        Reading::Overtaken(order) => {
                            next = Some(order);
                            continue;
                        }
                        Reading::Forgotten => return,
                    }
                }
                Order::Ping => {
                    let result = self.connection.ping().await;
                    self.done(serial, result);
                }
                Order::Reset => {
                    let result = self.connection.reset().await;
                    self.done(serial, result);
                }
                Order::Close => {
                    let Self { wire, channel, connection, .. } = self;
                    connection.close().await;
                    return say(
                        &wire,
                        (channel, serial),
                        &Report::Done { state: SessionState::Clean, result: Ok(()) },
                    );
                }
                Order::Forget => return,
                // Of a request that has ended meanwhile.
                _ => {}
            }
            next = self.orders.recv().await;
        }
    }

    fn end(&mut self, serial: u32, result: Result<Chunk, EngineError>) {
        let unbegun = result.is_err() && self.connection.take_back().is_some();
        let end = Report::End { state: self.connection.state(), unbegun, result };
        say(&self.wire, (self.channel, serial), &end);
    }

    fn done(&self, serial: u32, result: Result<(), EngineError>) {
        let done = Report::Done { state: self.connection.state(), result };
        say(&self.wire, (self.channel, serial), &done);
    }
}

/// Where chunks go.
#[derive(Clone, Copy)]
struct Telling<'a> {
    wire: &'a Wire,
    at: (u32, u32),
}

/// Sends chunks as far as they are asked for. What is left is interrupted when it returns.
async fn read(
    mut chunks: Chunks<'_>,
    told: Telling<'_>,
    orders: &mut Receiver<(u32, Order)>,
) -> Reading<Chunk> {
    let mut wanted = WINDOW;
    loop {
        let step = tokio::select! {
            biased;
            item = chunks.next(), if wanted != 0 => Ok(item),
            order = orders.recv() => Err(order),
        };
        match step {
            Ok(Some(Ok(chunk))) if chunk.outcome.is_none() => {
                wanted -= 1;
                say(told.wire, told.at, &Report::Chunk(chunk));
            }
            Ok(Some(ended)) => return Reading::Ended(ended),
            Ok(None) => return Reading::Ended(Err(EngineError::Lost)),
            Err(Some((serial, Order::More { chunks }))) if serial == told.at.1 => {
                // No more than the other end has room for.
                wanted = wanted.saturating_add(chunks).min(WINDOW);
            }
            Err(Some((_, Order::More { .. }))) => {}
            Err(Some((serial, Order::Cancel))) => {
                if serial == told.at.1 {
                    return Reading::Cancelled;
                }
            }
            Err(None | Some((_, Order::Forget))) => return Reading::Forgotten,
            Err(Some(order)) => return Reading::Overtaken(order),
        }
    }
}

/// Waits for a description as long as somebody wants it.
async fn describe(
    mut describing: BoxFuture<'_, Result<Description, EngineError>>,
    serial: u32,
    orders: &mut Receiver<(u32, Order)>,
) -> Reading<Description> {
    loop {
        let order = tokio::select! {
            biased;
            described = &mut describing => return Reading::Ended(described),
            order = orders.recv() => order,
        };
        match order {
            Some((cancelled, Order::Cancel)) if cancelled == serial => return Reading::Cancelled,
            // Of a request that has ended meanwhile.
            Some((_, Order::Cancel | Order::More { .. })) => {}
            None | Some((_, Order::Forget)) => return Reading::Forgotten,
            Some(order) => return Reading::Overtaken(order),
        }
    }
}
