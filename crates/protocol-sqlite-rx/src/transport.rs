//! One peer's connection: ZMTP over a stream, message by message.
//!
//! Specification: ZMTP 3.1 (ZeroMQ RFC 37), socket type ROUTER towards REQ, DEALER and ROUTER.
use bytes::BytesMut;
use omq_proto::proto::connection::{Connection, ConnectionConfig, Event, Role};
use omq_proto::{Message, SocketType};
use std::collections::VecDeque;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{timeout, timeout_at};

/// How much is read at once; room is made for so much when there is less than a quarter of it.
const READ_SIZE: usize = 16 * 1024;

/// The most pieces a message may come in, and one more for so many bytes of the longest one: each
/// piece costs what its handle takes, however short it is.
const PIECES_MAX: usize = 64 * 1024;
const PIECE_BYTES: usize = 256;

/// A peer that sends ahead is not read from any further beyond so many messages, or so many bytes.
const AHEAD_MESSAGES: usize = 16;
const AHEAD_BYTES: usize = 1024 * 1024;

/// The most frames before a request's payload, which are sent back before the reply's.
const ENVELOPE_FRAMES_MAX: usize = 8;

/// What ZMTP adds to a message's size in the codec's count: a slot per frame.
const FRAMING_ALLOWANCE: usize = 4 * 1024;

/// One peer's connection.
#[derive(Debug)]
pub(crate) struct Transport<S = TcpStream> {
    stream: S,
    codec: Connection,
    buffer: BytesMut,
    /// How many more pieces the message that is coming may have, and how many each may.
    pieces_left: usize,
    pieces_max: usize,
    ahead: VecDeque<Message>,
    write_timeout: Duration,
}

/// A request as it came: its payload, and the frames to put before the reply's.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(crate) payload: bytes::Bytes,
    pub(crate) envelope: Vec<bytes::Bytes>,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransportError {
    /// The peer closed it.
    #[error("peer closed the connection")]
    Closed,
    /// The peer broke the protocol, or sent more than allowed.
    #[error("peer broke the protocol")]
    Protocol(#[from] omq_proto::Error),
    /// The stream failed.
    #[error("stream failed")]
    Io(#[from] io::Error),
    /// The peer was too slow.
    #[error("peer took too long to {0}")]
    TooSlow(&'static str),
}

/// Makes a socket fit to be a peer's connection.
pub(crate) fn tune(socket: &TcpStream) -> Result<(), TransportError> {
    socket.set_nodelay(true)?;
    // A host that vanished says nothing: the kernel asks, and its place comes free.
    rustix::net::sockopt::set_socket_keepalive(socket, true).map_err(io::Error::from)?;
    Ok(())
}

// === impl Transport ===

impl<S: AsyncRead + AsyncWrite + Unpin> Transport<S> {
    /// Does the ZMTP handshake, mechanism NULL.
    pub(crate) async fn accept(
        stream: S,
        max_message_bytes: usize,
        handshake_timeout: Duration,
        write_timeout: Duration,
    ) -> Result<Self, TransportError> {
        let config = ConnectionConfig::new(Role::Server, SocketType::Router)
            .max_message_size(max_message_bytes.saturating_add(FRAMING_ALLOWANCE));
        let codec = Connection::new(config);
        let buffer = BytesMut::new();
        let pieces_max = PIECES_MAX + max_message_bytes / PIECE_BYTES;
        let (pieces_left, ahead) = (pieces_max, VecDeque::new());
        let mut this = Self { stream, codec, buffer, pieces_left, pieces_max, ahead, write_timeout };
        let handshake = async {
            this.flush().await?;
            while !this.codec.is_ready() {
                this.read().await?;
                this.flush().await?;
            }
            Ok::<_, TransportError>(())
        };
        timeout(handshake_timeout, handshake).await.map_err(|_| TransportError::TooSlow("shake hands"))??;
        Ok(this)
    }

    /// The next request.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn receive(&mut self) -> Result<Packed, TransportError> {
        loop {
            self.collect();
            if let Some(message) = self.ahead.pop_front() {
                return unpack(&message);
            }
            self.read().await?;
            self.flush().await?;
        }
    }

    /// Waits until the peer leaves, keeping what it sends ahead.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn left(&mut self) -> TransportError {
        loop {
            self.collect();
            let bytes: usize = self.ahead.iter().map(Message::byte_len).sum();
            if AHEAD_MESSAGES <= self.ahead.len() || AHEAD_BYTES <= bytes {
                // It has sent so much that its leaving cannot be seen before it has its answers.
                return std::future::pending().await;
            }
            if let Err(error) = self.read().await {
                return error;
            }
        }
    }

    /// Sends a reply.
    pub(crate) async fn send(
        &mut self,
        envelope: Vec<bytes::Bytes>,
        payload: Vec<u8>,
    ) -> Result<(), TransportError> {
        let frames = envelope.into_iter().chain([payload.into()]);
        self.codec.send_message(&Message::multipart(frames))?;
        self.flush().await
    }

    /// Says goodbye: what was sent is delivered first.
    pub(crate) async fn close(mut self) {
        // The peer may be gone already, which is as good.
        let _gone = timeout(self.write_timeout, self.stream.shutdown()).await;
    }

    fn collect(&mut self) {
        while let Some(message) = self.codec.poll_message() {
            self.pieces_left = self.pieces_max;
            self.ahead.push_back(message);
        }
        while let Some(event) = self.codec.poll_event() {
            // Commands of other socket types mean nothing here.
            debug_assert!(!matches!(event, Event::Message(_)));
        }
    }

    async fn read(&mut self) -> Result<(), TransportError> {
        if self.codec.has_pending_input() {
            return Ok(self.codec.resume_input()?);
        }
        self.pieces_left = self.pieces_left.checked_sub(1).ok_or_else(|| broken("too many pieces"))?;
        // What comes in pieces shares a block: a block for each would pin all of it for one byte.
        if self.buffer.capacity() - self.buffer.len() < READ_SIZE / 4 {
            self.buffer.reserve(READ_SIZE);
        }
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            return Err(TransportError::Closed);
        }
        Ok(self.codec.handle_input(self.buffer.split().freeze())?)
    }

    async fn flush(&mut self) -> Result<(), TransportError> {
        // One deadline for all of it: a peer that reads byte by byte must not hold what it holds for ever.
        let until = tokio::time::Instant::now() + self.write_timeout;
        while self.codec.has_pending_transmit() {
            let chunks = self.codec.transmit_chunks_capped(64);
            let written = timeout_at(until, self.stream.write_vectored(&chunks))
                .await
                .map_err(|_elapsed| TransportError::TooSlow("read a reply"))??;
            drop(chunks);
            if written == 0 {
                return Err(TransportError::Closed);
            }
            self.codec.advance_transmit(written);
        }
        Ok(())
    }
}

fn unpack(message: &Message) -> Result<Packed, TransportError> {
    let frames = message.len();
    if frames == 0 || ENVELOPE_FRAMES_MAX < frames {
        return Err(broken("too many frames"));
    }
    let part = |index| message.part_bytes(index).unwrap_or_default();
    Ok(Packed { payload: part(frames - 1), envelope: (0..frames - 1).map(part).collect() })
}

fn broken(how: &str) -> TransportError {
    TransportError::Protocol(omq_proto::Error::Protocol(how.into()))
}
