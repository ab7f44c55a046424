//! From a request over HTTP/1.1 to a WebSocket (RFC 6455).
use crate::body::Body;
use crate::call::Answer;
use crate::error::Fault;
use http::request::Parts;
use http::{HeaderValue, StatusCode, Version, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use rowhouse_types::ErrorCode;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// Bytes that are read at once.
const READ: usize = 8 << 10;

/// Bytes that are gathered before they are written without being asked to.
const WRITE: usize = 32 << 10;

/// A WebSocket.
pub(crate) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// A request that becomes a WebSocket.
pub(crate) struct Upgrade {
    on: OnUpgrade,
    accept: HeaderValue,
}

impl Upgrade {
    /// Begins it.
    ///
    /// # Errors
    ///
    /// When the request is none for a WebSocket.
    pub(crate) fn begin(head: &mut Parts) -> Result<Self, Fault> {
        let refuse = |why: &str| Fault::new(ErrorCode::MalformedRequest, format!("no WebSocket: {why}"));
        if head.version != Version::HTTP_11 {
            return Err(refuse("it begins with HTTP/1.1"));
        }
        if head.headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
            return Err(refuse("its version is 13").status(StatusCode::UPGRADE_REQUIRED));
        }
        let Some(key) = head.headers.get(header::SEC_WEBSOCKET_KEY) else {
            return Err(refuse("there is no Sec-WebSocket-Key"));
        };
        let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes()));
        let accept = accept.map_err(|_none| refuse("the Sec-WebSocket-Key is none"))?;
        let Some(on) = head.extensions.remove::<OnUpgrade>() else {
            return Err(refuse("this connection cannot become one"));
        };
        Ok(Self { on, accept })
    }

    /// The answer that begins it.
    pub(crate) fn answer(&self, subprotocol: Option<&'static str>) -> Answer {
        let mut answer = Answer::new(Body::empty());
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = answer.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, self.accept.clone());
        if let Some(name) = subprotocol {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(name));
        }
        answer
    }

    /// The WebSocket, whose messages have at most so many bytes; `None` if the client has left before.
    pub(crate) async fn socket(self, most: usize) -> Option<Socket> {
        let upgraded = self.on.await.ok()?;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ)
            .write_buffer_size(WRITE)
            .max_message_size(Some(most))
            .max_frame_size(Some(most));
        Some(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await)
    }
}
