//! One connection, from its first byte to its last.
use crate::dispatch::answer;
use crate::line::Line;
use crate::patient::Patient;
use crate::plain::Plain;
use crate::prefixed::Prefixed;
use crate::requests::Requests;
use crate::seldom::{Seldom, until_ended};
use crate::sent::Sent;
use crate::shared::{Shared, Timeouts};
use futures::{FutureExt as _, StreamExt as _};
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::{self, UpgradeableConnection};
use rowhouse_gateway::{Guest, Word};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// How long a client may take for the handshake of TLS.
const TLS_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a client that is one too many may take to ask, so that it can be told.
const WORD: Duration = Duration::from_secs(1);

/// The most headers of a request.
pub(crate) const HEADERS_MAX: usize = 64;

/// The most bytes of a request's head.
const HEAD_MAX: usize = 32 * 1024;

/// The most requests of one HTTP/2 connection that are answered beside each other.
const STREAMS_MAX: u32 = 128;

/// What an HTTP/2 connection may send ahead of each request's being read.
const WINDOW: u32 = 256 * 1024;

/// What a connection has to heed.
enum Signal {
    /// Its client has not said in time who it is.
    Late,
    /// No new work is taken on, or nothing was asked for long.
    Close,
    /// It was told to go, and all was answered that it asked.
    Gone,
}

/// What a connection heeds beside its requests.
struct Heeds<'c> {
    line: &'c Line,
    requests: &'c Requests,
    /// How long what is under way is waited for when no more is taken.
    patience: Duration,
    signals: Seldom<'c, Signal>,
    /// Whether more requests are taken.
    serves: bool,
}

/// Serves one connection, which was admitted, or is one too many and is told so.
pub(crate) async fn serve(
    stream: TcpStream,
    (from, admitted): (SocketAddr, Result<Guest, Word>),
    shared: Arc<Shared>,
) {
    let Ok(to) = stream.set_nodelay(true).and_then(|()| stream.local_addr()) else { return };
    let line = Arc::new(Line::new(from, to.ip(), admitted));
    let timeouts = shared.context.patience.get();
    let stream = Patient::new(stream, timeouts.write);
    until_ended(line.clone(), &shared.clone(), secure(stream, line, shared)).await;
}

/// Shakes hands, if it is encrypted, and talks.
async fn secure(stream: Patient<TcpStream>, line: Arc<Line>, shared: Arc<Shared>) {
    let Some(tls) = &shared.context.tls else { return Box::pin(talk(stream, line, shared)).await };
    let handshake = TlsAcceptor::from(tls.current()).accept(stream);
    let accepted = tokio::select! {
        accepted = timeout(TLS_TIMEOUT.min(shared.context.patience.get().handshake), handshake) => accepted,
        () = shared.context.drain.draining() => return,
    };
    match accepted {
        Ok(Ok(stream)) => Box::pin(talk(stream, line, shared)).await,
        Ok(Err(error)) => tracing::debug!(from = %line.from, %error, "no TLS"),
        Err(_elapsed) => tracing::debug!(from = %line.from, "TLS took too long"),
    }
}

/// Talks over HTTP: here as long as requests are plain, and with a server for all that it allows from the first on
/// that is not.
async fn talk<S>(mut stream: S, line: Arc<Line>, shared: Arc<Shared>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let timeouts = shared.context.patience.get();
    let requests = Requests::new(shared.tasks.clone(), timeouts.write);
    let mut heeds = Heeds::new(&line, &requests, &shared);
    let handed = {
        let closes = AtomicBool::new(false);
        let answered = |request| answer(shared.clone(), line.clone(), request);
        let plain = Plain { stream: &mut stream, requests: &requests, closes: &closes, answer: answered };
        let serving = pin!(plain.serve());
        let close = |_: Pin<&mut _>| {
            closes.store(true, Ordering::Relaxed);
            requests.rest()
        };
        heeds.during(serving, close).await
    };
    let Some(Some(read)) = handed else {
        // Who is gone needs not be told; who is there may wait to be.
        let _told = timeout(WORD, stream.shutdown()).await;
        return;
    };
    let (serving, of, coming) = (shared.clone(), line.clone(), requests.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let (shared, line, begun) = (serving.clone(), of.clone(), coming.begin(request.version()));
        let request = request.map(Sent::Coming);
        async move { Ok::<_, Infallible>(answer(shared, line, request).await.map(|body| body.taken(begun))) }
    });
    let http = server(&requests, &timeouts);
    let stream = TokioIo::new(Prefixed::new(read, stream));
    let mut connection = pin!(http.serve_connection_with_upgrades(stream, service));
    if !heeds.serves {
        connection.as_mut().graceful_shutdown();
    }
    let close = |connection: Pin<&mut UpgradeableConnection<'_, _, _, _>>| {
        connection.graceful_shutdown();
        false
    };
    if let Some(Err(error)) = heeds.during(connection, close).await {
        tracing::debug!(from = %line.from, error, "connection ended");
    }
}

/// A server for all that HTTP allows.
fn server(requests: &Requests, timeouts: &Timeouts) -> auto::Builder<Requests> {
    let mut http = auto::Builder::new(requests.clone());
    http.http1()
        // A head that does not come is an idle connection, which costs no timer for each request.
        .header_read_timeout(None)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_MAX)
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(HEAD_MAX).expect("small"))
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(4 * WINDOW)
        .max_concurrent_streams(STREAMS_MAX)
        .keep_alive_interval(timeouts.idle)
        .keep_alive_timeout(timeouts.handshake);
    http
}

// === impl Heeds ===

impl<'c> Heeds<'c> {
    fn new(line: &'c Line, requests: &'c Requests, shared: &'c Shared) -> Self {
        let timeouts = shared.context.patience.get();
        let patience = if line.is_too_many() { WORD } else { timeouts.handshake };
        let signals = Seldom::new();
        signals.push(sleep(patience).map(|()| Signal::Late).boxed());
        signals.push(shared.context.drain.draining().map(|()| Signal::Close).boxed());
        signals.push(requests.quiet(timeouts.idle).map(|()| Signal::Close).boxed());
        Self { line, requests, patience: timeouts.write, signals, serves: true }
    }

    /// Serves until that has ended, or has to: `None` then. `close` is called when no more requests are to be taken, and
    /// tells whether none is under way.
    async fn during<W: Future>(
        &mut self,
        mut serving: Pin<&mut W>,
        mut close: impl FnMut(Pin<&mut W>) -> bool,
    ) -> Option<W::Output> {
        let from = self.line.from;
        loop {
            tokio::select! {
                biased;
                ended = self.requests.watch(serving.as_mut()) => {
                    if ended.is_none() {
                        tracing::debug!(%from, "connection ended: nothing was taken of an answer");
                    }
                    return ended;
                }
                Some(signal) = self.signals.next() => match signal {
                    Signal::Late if self.line.is_identified() => {}
                    Signal::Late => {
                        tracing::debug!(%from, "connection ended: it did not say in time who it is");
                        return None;
                    }
                    Signal::Close if self.serves => {
                        self.serves = false;
                        if close(serving.as_mut()) {
                            return None;
                        }
                        // What it has not taken by then is not waited for.
                        let gone = self.requests.quiet(self.patience).map(|()| Signal::Gone);
                        self.signals.push(gone.boxed());
                    }
                    Signal::Close => {}
                    Signal::Gone => return None,
                }
            }
        }
    }
}
