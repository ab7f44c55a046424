//! The floors: a server that parses the same requests and answers the same bytes, with nothing behind it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use axum::extract::State;
use axum::routing::post;
use axum::serve::ListenerExt;
use axum::{Json, Router};
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// Which floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bare {
    /// An axum handler.
    Http,
    /// A WebSocket that answers each message.
    Socket,
}

/// The body of a request over HTTP.
#[derive(Deserialize)]
#[expect(dead_code, reason = "it is parsed as a server would, and not looked at")]
struct Pipeline {
    baton: Option<String>,
    requests: Vec<Asked>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(dead_code, reason = "it is parsed as a server would, and not looked at")]
enum Asked {
    Execute { stmt: Statement },
    Close,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "it is parsed as a server would, and not looked at")]
struct Statement {
    sql: String,
    #[serde(default)]
    args: Vec<Argument>,
    #[serde(default)]
    want_rows: bool,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(dead_code, reason = "it is parsed as a server would, and not looked at")]
enum Argument {
    Null,
    Integer { value: String },
    Float { value: f64 },
    Text { value: String },
    Blob { base64: String },
}

/// Serves a floor until killed: `words` are which, on what address, and the file that holds the answer.
///
/// # Errors
///
/// When the words are none, the file cannot be read or the address cannot be bound.
pub(in crate::bench) async fn serve(words: &[String]) -> Result<()> {
    let [which, address, answer] = words else { anyhow::bail!("a floor, an address and a file") };
    let answer = fs::read(Path::new(answer)).with_context(|| format!("cannot read {answer}"))?;
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    match which.as_str() {
        "http" => http(listener, answer.into()).await,
        _ => socket(listener, String::from_utf8(answer)?.into()).await,
    }
}

async fn http(listener: TcpListener, answer: Bytes) -> Result<()> {
    let router = Router::new().route("/db/{name}/v2/pipeline", post(pipeline)).with_state(answer);
    let listener = listener.tap_io(|stream| {
        // Slower without, but served all the same.
        let _set = stream.set_nodelay(true);
    });
    Ok(axum::serve(listener, router).await?)
}

async fn pipeline(
    State(answer): State<Bytes>,
    Json(_): Json<Pipeline>,
) -> ([(&'static str, &'static str); 1], Bytes) {
    ([("content-type", "application/json")], answer)
}

async fn socket(listener: TcpListener, answer: Utf8Bytes) -> Result<()> {
    let mut tasks = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tasks.spawn(talk(stream, answer.clone()));
    }
}

/// Answers each message, until the other leaves.
async fn talk(stream: TcpStream, answer: Utf8Bytes) -> Result<()> {
    #[expect(clippy::result_large_err, reason = "as the handshake has it")]
    let agrees = |request: &Request, mut response: Response| {
        if let Some(protocol) = request.headers().get("sec-websocket-protocol") {
            response.headers_mut().insert("sec-websocket-protocol", protocol.clone());
        }
        Ok(response)
    };
    let mut socket = tokio_tungstenite::accept_hdr_async(stream, agrees).await?;
    while let Some(message) = socket.next().await {
        if message?.is_text() {
            socket.send(Message::Text(answer.clone())).await?;
        }
    }
    Ok(())
}

// === impl Bare ===

impl Bare {
    /// The word it is started with.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Socket => "socket",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ask::{Statement, check};
    use super::super::line::{Asked, Line};
    use super::*;

    /// What a floor answers on this kind of connection, asked twice.
    async fn answered(floor: Bare, answer: &'static str) -> Result<[Bytes; 2]> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let serving = async {
            match floor {
                Bare::Http => http(listener, answer.into()).await,
                Bare::Socket => socket(listener, answer.into()).await,
            }
        };
        let asking = async {
            let statement = Statement::look_up();
            let (mut line, asked) = match floor {
                Bare::Http => (Line::http(address).await?, Asked::Http(statement.pipeline("acme"))),
                Bare::Socket => {
                    (Line::socket(address, "acme").await?, Asked::Socket(statement.message().into()))
                }
            };
            anyhow::Ok([line.ask(&asked).await?, line.ask(&asked).await?])
        };
        tokio::select! {
            ended = serving => Err(ended.err().context("it ended")?),
            answered = asking => answered,
        }
    }

    #[tokio::test]
    async fn floors_answer_what_they_were_given() {
        for floor in [Bare::Http, Bare::Socket] {
            for answer in answered(floor, "{\"answer\":1}").await.unwrap() {
                assert_eq!(answer, "{\"answer\":1}");
                assert!(check(&answer).is_ok());
            }
            let error = answered(floor, "{\"type\":\"error\"}").await.unwrap_err();
            assert!(error.to_string().contains("answered"), "{error}");
        }
    }
}
