//! A client for one question: how is the server? For health checks of containers and operators.
use crate::curve::ServerKeys;
use bytes::BytesMut;
use omq_proto::proto::connection::{Connection, ConnectionConfig, Role};
use omq_proto::{MechanismSetup, Message, SocketType};
use rmpv::Value;
use rowhouse_wire::sqlite_rx::{BadEnvelope, Envelope};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The most bytes of an answer, packed and inflated.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// How a server says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// `healthy`, `constrained` or `degraded`.
    pub status: String,
    /// Why it is not healthy.
    pub reason: Option<String>,
    /// How many databases opened by name are open.
    pub open: u64,
    /// How many may be.
    pub most: u64,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The stream cannot be had, or failed.
    #[error("cannot speak to it")]
    Io(#[from] io::Error),
    /// The server closed the connection.
    #[error("it closed the connection")]
    Closed,
    /// It does not speak ZMTP, or refuses this client.
    #[error("it broke the protocol, or only one side encrypts (--curvezmq)")]
    Protocol(#[from] omq_proto::Error),
    /// The answer cannot be unpacked.
    #[error("its answer cannot be unpacked")]
    Packed(#[from] BadEnvelope),
    /// The answer is not one to HEALTH_CHECK.
    #[error("its answer is not one to HEALTH_CHECK")]
    Answer,
    /// The answer takes too long.
    #[error("it took longer than {} s", .0.as_secs_f64())]
    TooSlow(Duration),
}

/// Asks the server at `address` how it is; an encrypted one with its own keys, which it lets in.
///
/// # Errors
///
/// When there is no answer, none in time, or none to that question.
pub async fn health(
    address: SocketAddr,
    keys: Option<&ServerKeys>,
    within: Duration,
) -> Result<Health, ProbeError> {
    let mechanism = match keys {
        Some(ServerKeys(keys)) => {
            MechanismSetup::CurveClient { our_keypair: keys.clone(), server_public: keys.public }
        }
        None => MechanismSetup::Null,
    };
    let packed =
        timeout(within, ask(address, mechanism)).await.map_err(|_elapsed| ProbeError::TooSlow(within))??;
    let answer = Envelope::default().unpack(&packed, MAX_ANSWER)?;
    read(&answer).ok_or(ProbeError::Answer)
}

async fn ask(address: SocketAddr, mechanism: MechanismSetup) -> Result<bytes::Bytes, ProbeError> {
    let mut stream = TcpStream::connect(address).await?;
    let config = ConnectionConfig::new(Role::Client, SocketType::Req)
        .max_message_size(MAX_ANSWER)
        .mechanism(mechanism);
    let mut codec = Connection::new(config);
    let mut buffer = BytesMut::new();
    let mut asked = false;
    loop {
        if codec.is_ready() && !asked {
            let packed = Envelope::default().pack(&question());
            codec.send_message(&Message::multipart([bytes::Bytes::new(), packed.into()]))?;
            asked = true;
        }
        while codec.has_pending_transmit() {
            let written = stream.write_vectored(&codec.transmit_chunks_capped(64)).await?;
            if written == 0 {
                return Err(ProbeError::Closed);
            }
            codec.advance_transmit(written);
        }
        if let Some(message) = codec.poll_message() {
            return message.part_bytes(message.len().saturating_sub(1)).ok_or(ProbeError::Answer);
        }
        while codec.poll_event().is_some() {}
        if codec.has_pending_input() {
            codec.resume_input()?;
        } else if stream.read_buf(&mut buffer).await? == 0 {
            return Err(ProbeError::Closed);
        } else {
            codec.handle_input(buffer.split().freeze())?;
        }
    }
}

fn question() -> Vec<u8> {
    let fields = vec![
        ("client_id".into(), "rowhouse health".into()),
        ("query".into(), "HEALTH_CHECK".into()),
        ("params".into(), Value::Array(Vec::new())),
        ("execute_many".into(), false.into()),
        ("execute_script".into(), false.into()),
    ];
    let mut out = Vec::new();
    rmpv::encode::write_value(&mut out, &Value::Map(fields)).expect("writing into memory cannot fail");
    out
}

fn read(answer: &[u8]) -> Option<Health> {
    let Value::Map(fields) = rmpv::decode::read_value(&mut &*answer).ok()? else { return None };
    let field =
        |name: &str| fields.iter().find(|(key, _)| key.as_str() == Some(name)).map(|(_, value)| value);
    Some(Health {
        status: field("status")?.as_str()?.to_owned(),
        reason: field("status_reason").and_then(Value::as_str).map(str::to_owned),
        open: field("active_dynamic_connections")?.as_u64()?,
        most: field("max_connections")?.as_u64()?,
    })
}
