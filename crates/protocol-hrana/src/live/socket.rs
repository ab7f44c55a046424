//! A feed over WebSocket: each message one text, the same JSON as of events.
use super::source::{Next, Source, put_begin, put_last, put_told};
use super::subscribe;
use crate::body::Body;
use crate::call::{Answer, Call};
use crate::error::Fault;
use futures::{SinkExt, StreamExt};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use rowhouse_types::ErrorCode;
use std::time::Duration;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Message};

/// The most bytes of what a client sends, which has nothing to say.
const MESSAGE_MAX: usize = 4 << 10;

/// The bytes kept before they are written.
const BUFFER: usize = 16 << 10;

/// The most bytes that wait to be written: a message longer than that waits alone.
const BUFFER_MAX: usize = 64 << 20;

/// The signs of life that a client may leave without an answer.
const UNANSWERED_MAX: u32 = 2;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// The client does not read, or is gone.
struct Gone;

/// Subscribes, and answers that it goes on as a WebSocket.
pub(super) async fn answer(mut call: Call) -> Result<Answer, Fault> {
    let (upgrade, accept) = handshake(&mut call.head)?;
    let (shared, busy) = (call.shared.clone(), call.busy());
    let source = subscribe(call).await?;
    let _task = shared.spawn(async move {
        let _busy = busy;
        let Ok(upgraded) = upgrade.await else { return };
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_MAX))
            .max_frame_size(Some(MESSAGE_MAX))
            .write_buffer_size(BUFFER)
            .max_write_buffer_size(BUFFER_MAX);
        let socket =
            WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
        tell(socket, source).await;
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    Ok(response)
}

/// What the connection becomes, and what proves to the client that it was understood.
fn handshake(head: &mut Parts) -> Result<(OnUpgrade, HeaderValue), Fault> {
    let malformed = |message: &str| Fault::new(ErrorCode::MalformedRequest, message);
    let version = head.headers.get(header::SEC_WEBSOCKET_VERSION);
    if version.is_none_or(|version| version != "13") {
        return Err(malformed("the version of WebSocket is not 13").status(StatusCode::UPGRADE_REQUIRED));
    }
    let key = head.headers.get(header::SEC_WEBSOCKET_KEY);
    let key = key.ok_or_else(|| malformed("there is no header Sec-WebSocket-Key"))?;
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes()));
    let accept = accept.map_err(|_| malformed("the header Sec-WebSocket-Key is not valid"))?;
    let upgrade = head.extensions.remove::<OnUpgrade>();
    let upgrade = upgrade.ok_or_else(|| malformed("this connection cannot become a WebSocket"))?;
    Ok((upgrade, accept))
}

async fn tell(mut socket: Socket, mut source: Source) {
    let mut unanswered = 0;
    loop {
        tokio::select! {
            biased;
            message = socket.next() => match message {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => unanswered = 0,
            },
            next = source.next() => {
                let Some(next) = next else { return };
                if matches!(next, Next::Alive(_)) {
                    unanswered += 1;
                    if UNANSWERED_MAX < unanswered {
                        return;
                    }
                }
                let patience = source.call().shared.context.patience.get().write;
                if let Err(Gone) = send(&mut socket, patience, next).await {
                    return;
                }
            }
        }
    }
}

/// Sends what comes next, as far as the client reads.
async fn send(socket: &mut Socket, patience: Duration, next: Next) -> Result<(), Gone> {
    let sending = async {
        match next {
            Next::Ready(position) => socket.feed(text(|out| put_begin(out, position))).await?,
            Next::Alive(_) => socket.feed(Message::Ping(Bytes::new())).await?,
            Next::Told(told) => {
                for told in &told {
                    let message = text(|out| {
                        put_told(out, told);
                    });
                    socket.feed(message).await?;
                }
            }
            Next::End(why) => {
                socket.feed(text(|out| put_last(out, &why))).await?;
                let code = match why.code {
                    ErrorCode::ShuttingDown => CloseCode::Away,
                    ErrorCode::Unauthenticated | ErrorCode::Forbidden => CloseCode::Policy,
                    _ => CloseCode::Again,
                };
                socket.close(Some(CloseFrame { code, reason: why.code.as_str().into() })).await?;
            }
        }
        socket.flush().await
    };
    match timeout(patience, sending).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Gone),
    }
}

fn text(write: impl FnOnce(&mut Vec<u8>)) -> Message {
    let mut out = Vec::new();
    write(&mut out);
    Message::text(String::from_utf8(out).expect("JSON is text"))
}
