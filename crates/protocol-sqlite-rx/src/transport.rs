//! One peer's connection: ZMTP over a stream, message by message.
//!
//! Specification: ZMTP 3.1 (ZeroMQ RFC 37), socket type ROUTER towards REQ, DEALER and ROUTER.
use crate::codec::Codec;
use crate::entrance::{Admission, Entrance, Ticket, Visitor};
use crate::reset;
use bytes::BytesMut;
use omq_proto::proto::connection::{Connection, ConnectionConfig, Event, Role};
use omq_proto::{AuthenticationResult, Message, SocketType};
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

/// The most bytes that are read from a peer that has not been let in. A handshake has a few hundred.
const HANDSHAKE_BYTES_MAX: usize = 64 * 1024;

/// One peer's connection.
#[derive(Debug)]
pub(crate) struct Transport<S = TcpStream> {
    stream: S,
    codec: Codec,
    buffer: BytesMut,
    /// How many more pieces the message that is coming may have, and how many each may.
    pieces_left: usize,
    pieces_max: usize,
    ahead: VecDeque<Message>,
    write_timeout: Duration,
}

/// What a connection may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The most bytes of a message.
    pub(crate) max_message_bytes: usize,
    /// How long the handshake may take.
    pub(crate) handshake_timeout: Duration,
    /// How long the peer may take to read a reply.
    pub(crate) write_timeout: Duration,
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
    /// The peer sent on and on instead of shaking hands.
    #[error("peer sent {HANDSHAKE_BYTES_MAX} bytes and has not shaken hands")]
    TooLong,
    /// The codec was ready without having asked who may come in.
    #[error("peer was not let in")]
    Uninvited,
    /// Others came, and the peer had not been let in yet.
    #[error("peer had to leave for others before it was let in")]
    Crowded,
    /// An operator closed the connection.
    #[error("an operator closed the connection")]
    Ended,
    /// The peer's key was taken off the list.
    #[error("peer's key was revoked")]
    Revoked,
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

// === impl TransportError ===

impl TransportError {
    /// Whether the connection was reset or lost, rather than ended in order.
    pub(crate) fn is_reset(&self) -> bool {
        matches!(self, Self::Io(_))
    }
}

// === impl Transport ===

impl<S: AsyncRead + AsyncWrite + Unpin> Transport<S> {
    /// Does the ZMTP handshake, and lets the peer in or not.
    pub(crate) async fn accept<T: Ticket>(
        stream: S,
        visitor: Visitor<T>,
        entrance: &Entrance,
        bounds: Bounds,
    ) -> Result<(Self, Admission<T::Place>), TransportError> {
        let Bounds { max_message_bytes, handshake_timeout, write_timeout } = bounds;
        let config = ConnectionConfig::new(Role::Server, SocketType::Router)
            .max_message_size(max_message_bytes.saturating_add(FRAMING_ALLOWANCE))
            .mechanism(entrance.mechanism())
            .defer_authentication(true);
        let codec = Codec::new(Connection::new(config));
        let buffer = BytesMut::new();
        let pieces_max = PIECES_MAX + max_message_bytes / PIECE_BYTES;
        let (pieces_left, ahead) = (pieces_max, VecDeque::new());
        let mut this = Self { stream, codec, buffer, pieces_left, pieces_max, ahead, write_timeout };
        let admission = timeout(handshake_timeout, this.shake_hands(visitor, entrance))
            .await
            .map_err(|_| TransportError::TooSlow("shake hands"))??;
        Ok((this, admission))
    }

    async fn shake_hands<T: Ticket>(
        &mut self,
        visitor: Visitor<T>,
        entrance: &Entrance,
    ) -> Result<Admission<T::Place>, TransportError> {
        let mut visitor = Some(visitor);
        let mut welcome = None;
        let mut read = 0;
        loop {
            self.flush().await?;
            let codec = self.codec.here().await?;
            if let Some(request) = codec.take_authentication_request() {
                let Some(visitor) = visitor.take() else { return Err(TransportError::Uninvited) };
                let decision = entrance.decide(request.peer(), visitor).await;
                let answer = match decision {
                    Ok(decided) => {
                        welcome = Some(decided);
                        AuthenticationResult::allow()
                    }
                    Err(answer) => answer,
                };
                let completed = codec.complete_authentication(answer);
                // Who is refused is told so, as far as it listens.
                self.flush().await?;
                completed?;
            } else if codec.is_ready() {
                let welcome = welcome.ok_or(TransportError::Uninvited)?;
                return welcome.ready().ok_or(TransportError::Crowded);
            } else if HANDSHAKE_BYTES_MAX <= read {
                return Err(TransportError::TooLong);
            } else {
                read += self.read().await?;
            }
        }
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
        payload: bytes::Bytes,
    ) -> Result<(), TransportError> {
        let frames = envelope.into_iter().chain([payload]);
        self.codec.queue(Message::multipart(frames)).await?;
        self.flush().await
    }

    /// Says goodbye: what was sent is delivered first.
    pub(crate) async fn close(mut self) {
        // The peer may be gone already, which is as good.
        let _gone = timeout(self.write_timeout, self.stream.shutdown()).await;
    }

    fn collect(&mut self) {
        let Some(codec) = self.codec.if_here() else { return };
        while let Some(message) = codec.poll_message() {
            self.pieces_left = self.pieces_max;
            self.ahead.push_back(message);
        }
        while let Some(event) = codec.poll_event() {
            // Commands of other socket types mean nothing here.
            debug_assert!(!matches!(event, Event::Message(_)));
        }
    }

    /// Reads once and returns how many bytes it were.
    async fn read(&mut self) -> Result<usize, TransportError> {
        let codec = self.codec.here().await?;
        if codec.has_pending_input() {
            codec.resume_input()?;
            return Ok(0);
        }
        self.pieces_left = self.pieces_left.checked_sub(1).ok_or_else(|| broken("too many pieces"))?;
        // What comes in pieces shares a block: a block for each would pin all of it for one byte.
        if self.buffer.capacity() - self.buffer.len() < READ_SIZE / 4 {
            self.buffer.reserve(READ_SIZE);
        }
        let read = self.stream.read_buf(&mut self.buffer).await?;
        if read == 0 {
            return Err(TransportError::Closed);
        }
        self.codec.feed(self.buffer.split().freeze())?;
        // Waited for by whoever comes next, if not here.
        self.codec.here().await?;
        Ok(read)
    }

    async fn flush(&mut self) -> Result<(), TransportError> {
        // One deadline for all of it: a peer that reads byte by byte must not hold what it holds for ever.
        let until = tokio::time::Instant::now() + self.write_timeout;
        let codec = self.codec.here().await?;
        while codec.has_pending_transmit() {
            let chunks = codec.transmit_chunks_capped(64);
            let written = timeout_at(until, self.stream.write_vectored(&chunks))
                .await
                .map_err(|_elapsed| TransportError::TooSlow("read a reply"))??;
            drop(chunks);
            if written == 0 {
                return Err(TransportError::Closed);
            }
            codec.advance_transmit(written);
        }
        Ok(())
    }
}

impl Transport {
    /// Whether the connection, which has ended in order, is reset within `wait`: the peer had closed
    /// it before it was sent what was written last.
    pub(crate) async fn is_reset_within(&self, wait: Duration) -> bool {
        reset::within(&self.stream, wait).await
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
