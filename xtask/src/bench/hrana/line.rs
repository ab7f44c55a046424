//! One connection that asks and waits for the answer, over HTTP or over WebSocket.
//!
//! It does as little as it can: it runs on the processors of the server that it measures.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use bytes::{Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::ask;

/// The longest answer, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// A connection.
pub(super) enum Line {
    /// Kept alive.
    Http { stream: TcpStream, read: BytesMut },
    /// With a stream open on it.
    Socket(Box<WebSocketStream<TcpStream>>),
}

/// What is asked on a connection.
#[derive(Clone)]
pub(super) enum Asked {
    /// A whole request.
    Http(Bytes),
    /// A message.
    Socket(Utf8Bytes),
}

// === impl Line ===

impl Line {
    /// Connects over HTTP.
    pub(super) async fn http(address: SocketAddr) -> Result<Self> {
        Ok(Self::Http { stream: connect(address).await?, read: BytesMut::with_capacity(4096) })
    }

    /// Connects over WebSocket to a database, and opens a stream.
    pub(super) async fn socket(address: SocketAddr, database: &str) -> Result<Self> {
        let mut request = format!("ws://{address}/db/{database}/").into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", "hrana2".parse()?);
        let (stream, _) = tokio_tungstenite::client_async(request, connect(address).await?).await?;
        let mut line = Self::Socket(Box::new(stream));
        for message in ask::greeting() {
            line.ask(&Asked::Socket(message.into())).await?;
        }
        Ok(line)
    }

    /// Asks, and returns the answer's body, which tells of no error.
    pub(super) async fn ask(&mut self, asked: &Asked) -> Result<Bytes> {
        let body = match (self, asked) {
            (Self::Http { stream, read }, Asked::Http(request)) => {
                stream.write_all(request).await?;
                answer(stream, read).await?
            }
            (Self::Socket(socket), Asked::Socket(message)) => {
                socket.send(Message::Text(message.clone())).await?;
                loop {
                    match socket.next().await.context("the server closed the connection")?? {
                        Message::Text(text) => break text.into(),
                        Message::Ping(_) | Message::Pong(_) => {}
                        other => bail!("the server said {other:?}"),
                    }
                }
            }
            _ => bail!("asked over another protocol than the connection's"),
        };
        ask::check(&body)?;
        Ok(body)
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Reads one answer and returns its body.
async fn answer(stream: &mut TcpStream, read: &mut BytesMut) -> Result<Bytes> {
    loop {
        if let Some((head, body)) = parts(read)? {
            drop(read.split_to(head));
            return Ok(read.split_to(body).freeze());
        }
        ensure!(read.len() <= MAX_ANSWER, "an answer of more than {MAX_ANSWER} bytes");
        ensure!(stream.read_buf(read).await? > 0, "the server closed the connection");
    }
}

/// The lengths of an answer's head and body; `None` until all of it is there.
fn parts(read: &[u8]) -> Result<Option<(usize, usize)>> {
    let Some(head) = read.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = head + 4;
    let text = str::from_utf8(&read[..head]).context("a head that is no text")?;
    let mut lines = text.split("\r\n");
    let status = lines.next().unwrap_or_default();
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    ensure!(status.starts_with("HTTP/1.1 200"), "{status}: {}", String::from_utf8_lossy(&read[head..]));
    let length = length.context("an answer that does not tell its length")?;
    Ok((head + length <= read.len()).then_some((head, length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_there_when_its_last_byte_is() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        for end in 0..whole.len() {
            assert_eq!(parts(&whole[..end]).unwrap(), None, "{end}");
        }
        assert_eq!(parts(whole).unwrap(), Some((whole.len() - 3, 3)));
    }

    #[test]
    fn a_refusal_is_an_error_that_tells_it() {
        let refusal = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nfull";
        assert!(parts(refusal).unwrap_err().to_string().contains("503"));
    }
}
