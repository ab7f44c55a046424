//! Management as it runs: on a thread and a runtime of its own, so that it answers while databases are busy.
use crate::context::{Context, Settings};
use crate::crowd::Crowd;
use crate::door::Door;
use crate::listener::{BindError, Sockets};
use crate::serve::{Line, serve};
use rowhouse_access::Tls;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long answers under way may take when management stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// How long accepting pauses when the process is out of file descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// The management listener, bound and not started: nobody is answered yet.
#[derive(Debug)]
pub struct Management {
    settings: Settings,
    sockets: Sockets,
}

/// The management listener as it runs. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Running {
    addresses: Vec<SocketAddr>,
    encrypted: bool,
    stop: CancellationToken,
    stopped: Option<oneshot::Receiver<()>>,
}

/// What the thread works with.
struct Work {
    listeners: Vec<std::net::TcpListener>,
    door: Arc<Door>,
    tls: Option<Tls>,
    stop: CancellationToken,
}

// === impl Management ===

impl Management {
    /// Binds the sockets. Needs a Tokio runtime with I/O.
    ///
    /// # Errors
    ///
    /// When an address is taken, or could be reached by others without token and TLS.
    pub fn bind(settings: Settings) -> Result<Self, BindError> {
        let sockets = Sockets::bind(&settings)?;
        Ok(Self { settings, sockets })
    }

    /// Where it listens.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.sockets.addresses
    }

    /// Starts the thread, which answers from here on.
    ///
    /// # Errors
    ///
    /// When the system gives no thread or no reactor.
    pub fn start(self, context: Context) -> io::Result<Running> {
        let Self { settings, sockets: Sockets { listeners, addresses } } = self;
        let tls = settings.tls.clone();
        let encrypted = tls.is_some();
        let stop = CancellationToken::new();
        // The driver is asked after each step: readiness is known before somebody is sent away for silence.
        let runtime = Builder::new_current_thread().enable_all().event_interval(1).build()?;
        let door = Arc::new(Door::new(&settings, context));
        let work = Work { listeners, door, tls, stop: stop.clone() };
        let (done, stopped) = oneshot::channel();
        std::thread::Builder::new().name("rowhouse-manage".to_owned()).spawn(move || {
            runtime.block_on(work.run());
            drop(runtime);
            // Nobody may wait for it.
            let _unheard = done.send(());
        })?;
        Ok(Running { addresses, encrypted, stop, stopped: Some(stopped) })
    }
}

// === impl Running ===

impl Running {
    /// Where it listens.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// How it is called, such as `http://127.0.0.1:10090`.
    pub fn url(&self) -> String {
        let scheme = if self.encrypted { "https" } else { "http" };
        format!("{scheme}://{}", self.addresses[0])
    }

    /// Stops listening and lets answers under way be given, for at most five seconds.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(stopped) = self.stopped.take() {
            // A thread that has died has stopped as well.
            let _ended = stopped.await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

// === impl Work ===

impl Work {
    async fn run(self) {
        let Self { listeners, door, tls, stop } = self;
        let (crowd, lines, accepting) = (Crowd::new(Crowd::MOST), TaskTracker::new(), TaskTracker::new());
        for listener in listeners {
            let listener = match TcpListener::from_std(listener) {
                Ok(listener) => listener,
                Err(error) => {
                    tracing::error!(%error, "management cannot listen");
                    continue;
                }
            };
            let (door, tls, crowd) = (door.clone(), tls.clone(), crowd.clone());
            let (lines, stop) = (lines.clone(), stop.clone());
            accepting.spawn(async move {
                let accept = accept(&listener, (&door, tls.as_ref()), &crowd, (&lines, &stop));
                stop.run_until_cancelled(accept).await;
            });
        }
        accepting.close();
        accepting.wait().await;
        lines.close();
        if timeout(STOP_TIMEOUT, lines.wait()).await.is_err() {
            tracing::warn!("answers of management did not end in time");
        }
        door.close().await;
    }
}

async fn accept(
    listener: &TcpListener,
    (door, tls): (&Arc<Door>, Option<&Tls>),
    crowd: &Arc<Crowd>,
    (lines, stop): (&TaskTracker, &CancellationToken),
) {
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "accepting failed");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let place = crowd.enter().await;
        let Some(line) = line(&stream, from) else { continue };
        let (door, tls, stop) = (door.clone(), tls.map(Tls::current), stop.clone());
        lines.spawn(async move {
            serve(stream, (line, place), (door, tls), stop).await;
        });
    }
}

/// Who called whom, if the caller is still there.
fn line(stream: &TcpStream, from: SocketAddr) -> Option<Line> {
    stream.set_nodelay(true).ok()?;
    Some(Line { from, to: stream.local_addr().ok()?.ip() })
}
