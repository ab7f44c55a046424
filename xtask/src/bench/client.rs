//! A sqlite_rx client for measuring: REQ over ZeroMQ, `zlib(msgpack)` each way.

use std::io::{Read, Write};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use omq_tokio::{CurveKeypair, CurvePublicKey, Message, Options, Socket, SocketType};
use rmpv::Value;

/// How long an answer may take before the bench gives up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// What an answer may inflate to.
const MAX_ANSWER: u64 = 16 << 20;
/// What single requests call their client.
const ID: &str = "bench";

/// One connection, used for one request at a time.
pub(super) struct Client {
    socket: Socket,
}

// === impl Client ===

impl Client {
    /// Connects, sooner or later: what listens may still be starting. Encrypts for a server of this key.
    pub(super) async fn connect(address: &str, server: Option<CurvePublicKey>) -> Result<Self> {
        let options = match server {
            None => Options::default(),
            Some(server) => Options::default().curve_client(CurveKeypair::generate(), server),
        };
        let socket = Socket::new(SocketType::Req, options);
        socket.connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        Ok(Self { socket })
    }

    /// Sends a payload and waits for the answer to it.
    pub(super) async fn exchange(&self, payload: Bytes) -> Result<Bytes> {
        self.socket.send(Message::single(payload)).await?;
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, self.socket.recv()).await;
        let message = answer.with_context(|| format!("no answer within {ANSWER_TIMEOUT:?}"))??;
        message.part_bytes(message.len().saturating_sub(1)).context("an answer without a frame")
    }

    /// Runs a query and returns the rows of its answer.
    ///
    /// # Errors
    ///
    /// When the answer is an error or none of the protocol's.
    pub(super) async fn query(&self, database: &str, query: &str) -> Result<Vec<Value>> {
        let answer = self.exchange(request(ID, database, query, None)?).await?;
        rows(&answer).with_context(|| format!("`{query}` on {database:?}"))
    }

    /// Runs a query whose answer is one number.
    ///
    /// # Errors
    ///
    /// As [`Client::query`], and when the answer is anything else.
    pub(super) async fn number(&self, database: &str, query: &str) -> Result<u64> {
        let rows = self.query(database, query).await?;
        let number = rows.first().and_then(|row| row.as_array()?.first()?.as_u64());
        number.with_context(|| format!("`{query}` on {database:?} answered {rows:?}"))
    }
}

/// Encodes a request for a database; an empty name is the default database, `id` the client's own.
pub(super) fn request(id: &str, database: &str, query: &str, argument: Option<&str>) -> Result<Bytes> {
    let mut fields = vec![
        (Value::from("client_id"), Value::from(id)),
        (Value::from("query"), Value::from(query)),
        (Value::from("params"), Value::Array(argument.into_iter().map(Value::from).collect())),
        (Value::from("execute_many"), Value::from(false)),
        (Value::from("execute_script"), Value::from(false)),
    ];
    if !database.is_empty() {
        fields.push((Value::from("database_name"), Value::from(database)));
    }
    encode(&Value::Map(fields))
}

/// Packs a value as the protocol does.
fn encode(value: &Value) -> Result<Bytes> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    let mut packed = Vec::new();
    rmpv::encode::write_value(&mut packed, value)?;
    encoder.write_all(&packed)?;
    Ok(encoder.finish()?.into())
}

/// Reads the rows out of an answer.
///
/// # Errors
///
/// When the answer is an error or none of the protocol's.
pub(super) fn rows(answer: &[u8]) -> Result<Vec<Value>> {
    let mut packed = Vec::new();
    ZlibDecoder::new(answer).take(MAX_ANSWER).read_to_end(&mut packed)?;
    let answer = rmpv::decode::read_value(&mut packed.as_slice())?;
    let Value::Map(fields) = answer else { bail!("an answer that is no map: {answer}") };
    let mut rows = None;
    for (key, value) in fields {
        match (key.as_str(), value) {
            (Some("error"), error) if !error.is_nil() => bail!("the server answered {error}"),
            (Some("items"), Value::Array(items)) => rows = Some(items),
            _ => {}
        }
    }
    rows.context("an answer without rows")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(error: Value) -> Bytes {
        let row = Value::Array(vec![Value::from(1)]);
        let items = Value::Array(vec![row]);
        encode(&Value::Map(vec![("items".into(), items), ("error".into(), error)])).unwrap()
    }

    #[tokio::test]
    async fn the_floor_sends_back_what_a_client_sends() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("tcp://127.0.0.1:{port}");
        let mut echo = tokio::task::JoinSet::new();
        let bound = address.clone();
        echo.spawn(async move { crate::bench::floor::serve_echo(&bound).await });
        let client = Client::connect(&address, None).await.unwrap();
        let request = request("test", "tenant", "SELECT 1", None).unwrap();

        for _ in 0..3 {
            assert_eq!(client.exchange(request.clone()).await.unwrap(), request);
        }
    }

    #[test]
    fn rows_are_read_from_an_answer() {
        assert_eq!(rows(&answer(Value::Nil)).unwrap(), [Value::Array(vec![Value::from(1)])]);
    }

    #[test]
    fn an_error_is_never_taken_for_an_answer() {
        assert!(rows(&answer("no such table".into())).is_err());
        assert!(rows(b"not zlib").is_err());
    }
}
