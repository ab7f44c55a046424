//! Starting workers.
use crate::channel::Channel;
use crate::connection::Hold;
use crate::link::{Crew, Link, unsent};
use crate::message::{Order, Report};
use crate::pace::Ledger;
use rowhouse_engine::EngineError;
use std::ffi::OsString;
use std::io;
use std::num::NonZeroU32;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// Workers that may be starting at once: more would only take the processors from each other.
const STARTING_MAX: usize = 4;

/// How long a worker may take to open its database; then it is killed.
const OPENING: Duration = Duration::from_secs(60);

/// How workers are started.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The program; its `serve` is this crate's.
    pub program: PathBuf,
    /// The arguments that make it a worker. The name of what it works on follows them.
    pub arguments: Vec<OsString>,
    /// A worker's whole environment, by names and values.
    pub environment: Vec<(OsString, OsString)>,
    /// What the worker's engine is made of: given to what makes it, as it is.
    pub engine: Vec<u8>,
    /// The most memory a worker may take, in bytes.
    pub memory: Option<u64>,
}

/// Starts workers.
#[derive(Debug)]
pub(crate) struct Launcher {
    launch: Launch,
    ledger: Arc<Ledger>,
    tasks: TaskTracker,
    starting: Semaphore,
}

/// A worker that has done what it was started for: opened its database.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) hold: Arc<Hold>,
    pub(crate) id: u32,
    pub(crate) max_connections: Option<NonZeroU32>,
}

// === impl Launcher ===

impl Launcher {
    pub(crate) fn new(launch: Launch) -> Self {
        let (ledger, tasks) = (Arc::default(), TaskTracker::new());
        Self { launch, ledger, tasks, starting: Semaphore::new(STARTING_MAX) }
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Those of workers and copies.
    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Starts a worker that opens the database at `at`.
    pub(crate) async fn open(&self, at: &str) -> Result<Opened, EngineError> {
        self.ledger.may_start(at)?;
        let starting = self.starting.acquire().await.map_err(|_| EngineError::Closed)?;
        let (hold, id) = self.start(at, at).await?;
        let opened = hold.0.call(Order::Open { at: at.to_owned() }, OPENING).await;
        drop(starting);
        let opened = match opened {
            // Why is for operators to know.
            Err(EngineError::ProcessEnded) => {
                let ended = hold.0.ended().await;
                return Err(ended.map_or(EngineError::ProcessEnded, |ended| no_process(ended.error())));
            }
            opened => opened?,
        };
        let max_connections = opened.and_then(|most| u32::try_from(most).ok()).and_then(NonZeroU32::new);
        Ok(Opened { hold, id, max_connections })
    }

    /// Starts a worker that makes one copy, of or to `at`.
    pub(crate) async fn copier(&self, at: &str, kind: &str) -> Result<Arc<Hold>, EngineError> {
        // What a backup does to its worker is not held against the database.
        let place = format!("{kind} {at}");
        self.ledger.may_start(&place)?;
        let _starting = self.starting.acquire().await.map_err(|_| EngineError::Closed)?;
        Ok(self.start(&place, kind).await?.0)
    }

    /// Starts a worker and sets it up.
    async fn start(&self, place: &str, name: &str) -> Result<(Arc<Hold>, u32), EngineError> {
        let crew = Crew { tasks: self.tasks.clone(), ledger: self.ledger.clone(), place: place.to_owned() };
        let (link, id) = spawn(&self.launch, name, crew).map_err(no_process)?;
        let hold = Arc::new(Hold(link));
        let Launch { engine, memory, .. } = &self.launch;
        let setup = Order::Setup {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            memory: *memory,
            engine: engine.clone(),
        };
        let channel = Channel::open(&hold.0);
        let serial = channel.begin();
        channel.send(serial, &setup).map_err(unsent)?;
        match tokio::time::timeout(OPENING, channel.next()).await {
            Ok(Some(Report::Answer(Ok(_)))) => Ok((hold, id)),
            Ok(Some(Report::Answer(Err(error)))) => Err(error),
            _ => {
                hold.0.break_off("it did not begin");
                let ended = hold.0.ended().await;
                Err(ended.map_or(EngineError::ProcessEnded, |ended| no_process(ended.error())))
            }
        }
    }
}

/// A process, and the server's end of its socket.
///
/// It is the leader of a group of its own: what the terminal sends to the server's group is not for it.
fn spawn(launch: &Launch, name: &str, crew: Crew) -> io::Result<(Arc<Link>, u32)> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let ours = UnixStream::from_std(ours)?;
    let mut command = Command::new(&launch.program);
    command.arg0("rowhouse").args(&launch.arguments).arg(short(name));
    command.env_clear().envs(launch.environment.iter().map(|(name, value)| (name, value)));
    // One arena of glibc's for each thread would take more than all the rest.
    command.env("MALLOC_ARENA_MAX", "1");
    command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).process_group(0);
    let child = command.spawn()?;
    let id = child.id();
    Ok((Link::new(child, ours, crew), id))
}

/// What tells one worker from another in a list of processes: the file's name, without its ending.
fn short(place: &str) -> String {
    let stem = Path::new(place).file_stem().and_then(|stem| stem.to_str()).unwrap_or(place);
    stem.trim_matches(':').chars().filter(|c| !c.is_control()).take(64).collect()
}

pub(crate) fn no_process(error: io::Error) -> EngineError {
    EngineError::NoProcess(Arc::new(error))
}

/// A path, as it goes to a worker.
pub(crate) fn text_of(path: &Path) -> Result<String, EngineError> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "the path of the backup is not UTF-8");
        EngineError::Storage(Arc::new(error))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_named_after_its_database() {
        for (place, name) in [("/data/tenant-1.db", "tenant-1"), (":memory:", "memory"), ("a\nb.db", "ab")] {
            assert_eq!(short(place), name);
        }
        assert_eq!(short(&"é".repeat(200)).chars().count(), 64);
    }
}
