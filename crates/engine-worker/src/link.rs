//! The server's end of a worker: its process, its socket, and who waits for what it says.
//!
//! Invariant: when the worker has ended, everybody who waits is told, and its process is reaped; there
//! are neither zombies nor workers that nobody listens to.
use crate::channel::{Channel, Mailbox};
use crate::codec::Encoder;
use crate::frame::{Incoming, Unsent, Wire};
use crate::message::{Order, Report};
use crate::pace::Ledger;
use rowhouse_engine::EngineError;
use std::collections::HashMap;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

/// How long a worker may take to answer what takes a moment; then it is killed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A worker, as far as all that use it share it.
#[derive(Debug)]
pub(crate) struct Link {
    wire: Wire,
    table: Mutex<Table>,
    ended: watch::Sender<Option<Ended>>,
}

/// Who waits for what the worker says.
#[derive(Debug, Default)]
struct Table {
    channels: HashMap<u32, Arc<Mailbox>>,
    last: u32,
    /// Nobody needs the worker any longer.
    dismissed: bool,
    /// Why it was killed before it was dismissed.
    broken: Option<&'static str>,
    /// It has ended.
    over: bool,
}

/// How a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) id: u32,
    status: Option<ExitStatus>,
    broken: Option<&'static str>,
}

/// A worker's process, killed and reaped when it is dropped.
#[derive(Debug)]
struct Killed(Option<Child>);

/// What the task of a worker needs.
#[derive(Debug)]
pub(crate) struct Crew {
    pub(crate) tasks: TaskTracker,
    pub(crate) ledger: Arc<Ledger>,
    /// Whose worker it is.
    pub(crate) place: String,
}

// === impl Link ===

impl Link {
    /// Listens to a worker until it has ended.
    pub(crate) fn new(child: Child, socket: UnixStream, crew: Crew) -> Arc<Self> {
        let (ended, _) = watch::channel(None);
        let link = Arc::new(Self { wire: Wire::new(socket), table: Mutex::default(), ended });
        let Crew { tasks, ledger, place } = crew;
        ledger.started();
        let driving = link.clone().drive(child, ledger, place);
        tasks.spawn(driving);
        link
    }

    async fn drive(self: Arc<Self>, child: Child, ledger: Arc<Ledger>, place: String) {
        let id = child.id();
        let mut child = Killed(Some(child));
        tokio::select! {
            () = self.listen() => {}
            () = self.wire.flush() => {}
        }
        self.wire.hang_up();
        let (dismissed, broken, mailboxes) = {
            let mut table = self.table();
            table.over = true;
            (
                table.dismissed,
                table.broken,
                table.channels.drain().map(|(_, mailbox)| mailbox).collect::<Vec<_>>(),
            )
        };
        // Before anybody can ask for it anew.
        ledger.ended(&place, !dismissed);
        for mailbox in mailboxes {
            mailbox.end();
        }
        // All that it has acknowledged is safe, so there is nothing to wait for.
        let reaping = tokio::task::spawn_blocking(move || child.reap());
        let status = reaping.await.ok().flatten();
        self.ended.send_replace(Some(Ended { id, status, broken }));
    }

    /// Hands over what the worker says.
    async fn listen(&self) {
        let mut incoming = Incoming::default();
        while let Some(frame) = self.wire.receive(&mut incoming).await {
            let mailbox = self.table().channels.get(&frame.channel).cloned();
            // Of a channel that is closed nobody wants to hear.
            let Some(mailbox) = mailbox else { continue };
            if mailbox.deliver(frame).is_err() {
                self.break_off("it said what nobody asked for");
                return;
            }
        }
    }

    /// Whether the worker has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.table().over
    }

    /// How the worker ended; waits until it has.
    pub(crate) async fn ended(&self) -> Option<Ended> {
        let mut ended = self.ended.subscribe();
        ended.wait_for(Option::is_some).await.ok().and_then(|ended| *ended)
    }

    /// Ends the worker: nobody needs it any longer.
    pub(crate) fn dismiss(&self) {
        self.table().dismissed = true;
        self.wire.hang_up();
    }

    /// Ends the worker because something is wrong with it.
    pub(crate) fn break_off(&self, why: &'static str) {
        {
            let mut table = self.table();
            if !table.over && !table.dismissed {
                table.broken.get_or_insert(why);
            }
        }
        self.wire.hang_up();
    }

    /// Asks for something that is over with one answer.
    pub(crate) async fn call(
        self: &Arc<Self>,
        order: Order,
        patience: Duration,
    ) -> Result<Option<u64>, EngineError> {
        let channel = Channel::open(self);
        let serial = channel.begin();
        channel.send(serial, &order).map_err(unsent)?;
        match tokio::time::timeout(patience, channel.next()).await {
            Ok(Some(Report::Answer(answer))) => answer,
            Ok(Some(_)) => {
                self.break_off("it answered something else");
                Err(EngineError::ProcessEnded)
            }
            Ok(None) => Err(EngineError::ProcessEnded),
            Err(_elapsed) => {
                self.break_off("it did not answer");
                Err(EngineError::ProcessEnded)
            }
        }
    }

    pub(crate) fn send(&self, frame: Encoder) -> Result<(), Unsent> {
        self.wire.send(frame)
    }

    /// Gives a channel a number.
    pub(crate) fn register(&self, mailbox: &Arc<Mailbox>) -> u32 {
        let mut table = self.table();
        loop {
            table.last = table.last.wrapping_add(1);
            let id = table.last;
            if !table.channels.contains_key(&id) {
                if table.over {
                    mailbox.end();
                } else {
                    table.channels.insert(id, mailbox.clone());
                }
                return id;
            }
        }
    }

    pub(crate) fn unregister(&self, id: u32) {
        self.table().channels.remove(&id);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What could not be sent, as the port has it.
pub(crate) fn unsent(unsent: Unsent) -> EngineError {
    match unsent {
        Unsent::Gone => EngineError::ProcessEnded,
        Unsent::TooLong => EngineError::TooManyBytes { limit: u64::from(crate::frame::FRAME_MAX) },
    }
}

// === impl Ended ===

impl Ended {
    /// For operators: which process, and how it ended.
    pub(crate) fn error(&self) -> io::Error {
        let Self { id, status, broken } = self;
        if let Some(why) = broken {
            return io::Error::other(format!("process {id} was killed by the server: {why}"));
        }
        match status.map(|status| (status.code(), status.signal())) {
            Some((Some(code), _)) => io::Error::other(format!("process {id} ended with code {code}")),
            Some((None, Some(signal))) => {
                io::Error::other(format!("process {id} was ended by signal {signal}"))
            }
            _ => io::Error::other(format!("process {id} ended")),
        }
    }
}

// === impl Killed ===

impl Killed {
    /// Blocks for as long as the system takes to end a process. What it died of before stays so.
    fn reap(&mut self) -> Option<ExitStatus> {
        let mut child = self.0.take()?;
        // It may have ended by itself.
        let _ended = child.kill();
        child.wait().ok()
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        self.reap();
    }
}
