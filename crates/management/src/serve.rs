//! One connection, from its first byte to its last.
use crate::crowd::{Place, Seat};
use crate::door::Door;
pub(crate) use crate::gate::Line;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// How long a caller may take for the TLS handshake.
const TLS_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a caller may take for the head of a request, the wait for the next one included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The most headers of a request.
const HEADERS_MAX: usize = 64;

/// The most bytes of a request's head.
const HEAD_MAX: usize = 32 * 1024;

/// Serves one connection: until it ends, is sent away for a newcomer, or management stops.
pub(crate) async fn serve(
    stream: TcpStream,
    (line, place): (Line, Place),
    (door, tls): (Arc<Door>, Option<Arc<ServerConfig>>),
    stop: CancellationToken,
) {
    let seat = place.seat().clone();
    match tls {
        None => talk(stream, (line, seat), door, stop).await,
        Some(config) => {
            let handshake = timeout(TLS_TIMEOUT, TlsAcceptor::from(config).accept(stream));
            let accepted = tokio::select! {
                accepted = handshake => accepted,
                () = seat.asked_to_leave() => return,
                () = stop.cancelled() => return,
            };
            match accepted {
                Ok(Ok(stream)) => talk(stream, (line, seat), door, stop).await,
                Ok(Err(error)) => tracing::debug!(from = %line.from, %error, "no TLS"),
                Err(_) => tracing::debug!(from = %line.from, "TLS took too long"),
            }
        }
    }
    drop(place);
}

async fn talk<S>(stream: S, (line, seat): (Line, Arc<Seat>), door: Arc<Door>, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answering = seat.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (door, seat) = (door.clone(), answering.clone());
        async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(seat.clone());
            let answer = door.answer(line, request).await;
            seat.end();
            Ok::<_, Infallible>(answer)
        }
    });
    let mut http = http1::Builder::new();
    // As existing scripts look for them: `Content-Type`.
    http.title_case_headers(true)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_MAX);
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    let mut stopping = false;
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(from = %line.from, %error, "connection ended");
                }
                return;
            }
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            () = seat.asked_to_leave() => {
                // What it has sent already is looked at once more, by the reactor and by the connection.
                tokio::task::yield_now().await;
                tokio::select! {
                    biased;
                    _ended = connection.as_mut() => return,
                    () = std::future::ready(()) => {}
                }
                if !seat.stays() {
                    return;
                }
            }
        }
    }
}
