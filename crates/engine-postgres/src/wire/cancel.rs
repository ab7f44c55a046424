//! Cancelling a statement on the server, over a connection of its own.
use crate::dsn::Host;
use crate::wire::stream::{Socket, Stream};
use crate::wire::tls::Tls;
use postgres_protocol::message::frontend;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

/// How long a cancellation may take to be delivered.
const PATIENCE: Duration = Duration::from_secs(10);

/// What cancels the statements of one session.
#[derive(Debug)]
pub(crate) struct Canceller {
    host: Host,
    tls: Option<Tls>,
    process: i32,
    key: i32,
    /// Held while one is being delivered, so that none is delivered to a later statement.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Whether what was to be cancelled has ended.
    is_over: AtomicBool,
    over: Notify,
}

/// How long it takes until what goes on all the same is cancelled once more.
const AGAIN: Duration = Duration::from_millis(250);

/// How often a statement is cancelled at most.
const TIMES: u32 = 40;

// === impl Canceller ===

impl Canceller {
    pub(crate) fn new(host: Host, tls: Option<Tls>, (process, key): (i32, i32)) -> Self {
        let (is_over, over) = (AtomicBool::new(false), Notify::new());
        Self { host, tls, process, key, turn: Arc::default(), is_over, over }
    }

    /// Cancels what the session runs, if it runs anything. When this returns the server has heard of it.
    ///
    /// The server decides whether it is in time; what comes of it is told by the session's own answer.
    pub(crate) async fn cancel(&self) {
        let _turn = self.turn.lock().await;
        self.attempt().await;
    }

    /// As [`Canceller::cancel`], begun now and done by somebody else; nothing if one is on its way. It is
    /// repeated until [`Canceller::over`]: a server that has not begun with a statement yet forgets that it was
    /// to be cancelled.
    pub(crate) fn begin(self: &Arc<Self>) -> Option<impl Future<Output = ()> + Send + 'static> {
        let turn = self.turn.clone().try_lock_owned().ok()?;
        let canceller = self.clone();
        canceller.is_over.store(false, Ordering::Release);
        Some(async move {
            for _ in 0..TIMES {
                canceller.attempt().await;
                let _over_or_late = tokio::time::timeout(AGAIN, canceller.over.notified()).await;
                if canceller.is_over.load(Ordering::Acquire) {
                    break;
                }
            }
            drop(turn);
        })
    }

    /// What was to be cancelled has ended, or nobody waits for its end.
    pub(crate) fn over(&self) {
        self.is_over.store(true, Ordering::Release);
        self.over.notify_one();
    }

    async fn attempt(&self) {
        let delivered = tokio::time::timeout(PATIENCE, self.deliver()).await;
        if let Err(error) = delivered.unwrap_or_else(|elapsed| Err(elapsed.into())) {
            tracing::debug!(%error, "a cancellation was not delivered");
        }
    }

    /// Waits until no cancellation is on its way.
    pub(crate) async fn settled(&self) {
        drop(self.turn.lock().await);
    }

    async fn deliver(&self) -> io::Result<()> {
        let socket = Socket::connect(&self.host).await?;
        let mut stream = match &self.tls {
            Some(tls) => tls.begin(socket, &self.host).await?,
            None => Stream::Plain(socket),
        };
        let mut request = bytes::BytesMut::new();
        frontend::cancel_request(self.process, self.key, &mut request);
        stream.write_all(&request).await?;
        stream.flush().await?;
        // The server says nothing, and ends the connection when it has sent the signal. Over TLS it ends
        // it without a word of parting, which is an error and as good.
        let mut nothing = [0];
        let _ended = stream.read(&mut nothing).await;
        Ok(())
    }
}
