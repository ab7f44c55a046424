//! From an answer to bytes: one write, unless it is long.
use crate::body::{Body, PIECE};
use crate::taking::Taking;
use bytes::Bytes;
use futures::StreamExt as _;
use http::{Response, header};
use std::io::{self, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

/// An answer that has no more bytes is copied behind its head, so that both are one write.
const COPIED: usize = 16 * 1024;

/// So many bytes are kept for the next answer.
const KEPT: usize = 4 * 1024;

/// Sends answers on one connection.
#[derive(Default)]
pub(super) struct Reply {
    /// The head, and what is short of the body.
    out: Vec<u8>,
    /// The time as it was last told, and in which second.
    date: (u64, Bytes),
}

// === impl Reply ===

impl Reply {
    /// Sends an answer, the last on its connection or not. Whether another can follow.
    pub(super) async fn send<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        response: Response<Body>,
        (taking, closes): (&Taking, bool),
    ) -> bool {
        let closes =
            closes || response.headers().get(header::CONNECTION).is_some_and(|value| value == "close");
        let is_sent = self.write(stream, response, (taking, closes)).await;
        if self.out.capacity() > KEPT {
            self.out = Vec::new();
        }
        is_sent.is_ok() && !closes
    }

    async fn write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        response: Response<Body>,
        (taking, closes): (&Taking, bool),
    ) -> io::Result<()> {
        let (parts, body) = response.into_parts();
        self.head(&parts, closes)?;
        match body.into_whole() {
            Ok((bytes, busy)) => {
                drop(busy);
                write!(self.out, "content-length: {}\r\n\r\n", bytes.len())?;
                if bytes.len() <= COPIED {
                    self.out.extend_from_slice(&bytes);
                    stream.write_all(&self.out).await?;
                    return stream.flush().await;
                }
                stream.write_all(&self.out).await?;
                give(stream, &bytes, taking).await
            }
            Err((mut bits, _busy)) => {
                self.out.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
                while let Some(bit) = bits.next().await {
                    // What breaks off is seen to: its end does not come.
                    let bit = bit.map_err(io::Error::other)?;
                    if bit.is_empty() {
                        continue;
                    }
                    write!(self.out, "{:x}\r\n", bit.len())?;
                    stream.write_all(&self.out).await?;
                    give(stream, &bit, taking).await?;
                    self.out.clear();
                    self.out.extend_from_slice(b"\r\n");
                }
                self.out.extend_from_slice(b"0\r\n\r\n");
                stream.write_all(&self.out).await?;
                stream.flush().await
            }
        }
    }

    /// All of the head but the length.
    fn head(&mut self, parts: &http::response::Parts, closes: bool) -> io::Result<()> {
        let date = self.date();
        let out = &mut self.out;
        out.clear();
        let reason = parts.status.canonical_reason().unwrap_or_default();
        write!(out, "HTTP/1.1 {} {reason}\r\n", parts.status.as_str())?;
        let mut line = |name: &str, value: &[u8]| {
            for part in [name.as_bytes(), b": ", value, b"\r\n"] {
                out.extend_from_slice(part);
            }
        };
        for (name, value) in &parts.headers {
            // These are told of the bytes that are sent.
            if *name != header::CONTENT_LENGTH && *name != header::CONNECTION {
                line(name.as_str(), value.as_bytes());
            }
        }
        if closes {
            line("connection", b"close");
        }
        if !parts.headers.contains_key(header::DATE) {
            line("date", &date);
        }
        Ok(())
    }

    /// The time, as HTTP tells it.
    fn date(&mut self) -> Bytes {
        let now = SystemTime::now();
        let second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if self.date.0 != second || self.date.1.is_empty() {
            self.date = (second, httpdate::fmt_http_date(now).into());
        }
        self.date.1.clone()
    }
}

/// Writes what is long piece by piece, each of which has its time to be taken.
async fn give<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8], taking: &Taking) -> io::Result<()> {
    for piece in bytes.chunks(PIECE) {
        taking.given();
        let written = async {
            stream.write_all(piece).await?;
            // An encrypted stream may have kept some of it.
            stream.flush().await
        };
        let is_written = written.await;
        taking.asked();
        is_written?;
    }
    Ok(())
}
