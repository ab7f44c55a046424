//! A peer's bytes as ZMTP: greeting, handshake, frames. Bounded memory, the limits kept, an end to
//! every input; and what a client of the protocol sends comes out as it went in.
#![no_main]
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use omq_proto::proto::connection::{Connection, ConnectionConfig, Role};
use omq_proto::{Message, SocketType};
use rowhouse_protocol_sqlite_rx::fuzzing::echo;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most bytes of a message here.
const LIMIT: usize = 8 << 10;

/// What the server adds to the limit for framing, and the frames of an envelope.
const ALLOWANCE: usize = 4 << 10;
const ENVELOPE_FRAMES: usize = 8;

/// Everything that is buffered on the way in and out, and the runtime.
const OVERHEAD: usize = 2 << 20;

/// What one byte on the wire may take: a message of an empty frame is two bytes.
const PER_BYTE: usize = 256;

fuzz_target!(|data: &[u8]| {
    let Some((&how, bytes)) = data.split_first() else { return };
    let pieces = 1 + usize::from(how >> 2) * 7;
    match how & 3 {
        // A stranger, from the first byte on.
        0 => drop(serve(bytes.to_vec(), pieces, false)),
        // A client that has shaken hands and goes astray afterwards.
        1 => drop(serve([&greeting(), bytes].concat(), pieces, false)),
        // A stranger where everything is encrypted.
        2 => drop(serve(bytes.to_vec(), pieces, true)),
        _ => honest(how, bytes, pieces),
    }
});

/// A real client sends `bytes` in frames and gets them back.
fn honest(how: u8, bytes: &[u8], pieces: usize) {
    let frames = bytes.chunks(1 + usize::from(how) * 5).map(Bytes::copy_from_slice);
    let body: Vec<Bytes> = frames.take(ENVELOPE_FRAMES - 1).collect();
    if body.is_empty() {
        return;
    }
    let mut client = client();
    // The server's part of the handshake is the same towards every client.
    let (_, greeted) = serve(greeting(), 64, false);
    client.handle_input(greeted.into()).expect("the server's handshake is understood");
    assert!(client.is_ready());
    let message = Message::multipart([Bytes::new()].into_iter().chain(body.iter().cloned()));
    client.send_message(&message).expect("is ready");
    let (seen, sent) = serve(flatten(&mut client), pieces, false);
    let sum: usize = body.iter().map(Bytes::len).sum();
    assert!(sum <= LIMIT, "the seeds and the fuzzer stay below the limit");
    assert_eq!(seen, 1);
    let mut reader = self::client();
    let _greeting = flatten(&mut reader);
    reader.handle_input(sent.into()).expect("the server speaks the protocol");
    let reply = reader.poll_message().expect("the echo");
    let parts: Vec<Bytes> = (0..reply.len()).filter_map(|part| reply.part_bytes(part)).collect();
    assert_eq!(parts[1..], body[..]);
}

fn client() -> Connection {
    Connection::new(ConnectionConfig::new(Role::Client, SocketType::Dealer))
}

/// What a client sends to shake hands.
fn greeting() -> Vec<u8> {
    let mut client = client();
    let mut sent = flatten(&mut client);
    let mut server = Connection::new(ConnectionConfig::new(Role::Server, SocketType::Router));
    server.handle_input(sent.clone().into()).expect("our own greeting");
    let mut answer = flatten(&mut server);
    for _ in 0..3 {
        client.handle_input(std::mem::take(&mut answer).into()).expect("our own greeting");
        let more = flatten(&mut client);
        server.handle_input(more.clone().into()).expect("our own greeting");
        answer = flatten(&mut server);
        sent.extend(more);
    }
    sent
}

fn flatten(connection: &mut Connection) -> Vec<u8> {
    let mut sent = Vec::new();
    while connection.has_pending_transmit() {
        let chunks = connection.transmit_chunks();
        let before = sent.len();
        chunks.iter().for_each(|chunk| sent.extend_from_slice(chunk));
        drop(chunks);
        connection.advance_transmit(sent.len() - before);
    }
    sent
}

/// Serves one connection; how many requests came, and what was sent.
fn serve(bytes: Vec<u8>, pieces: usize, encrypted: bool) -> (usize, Vec<u8>) {
    let most = PER_BYTE * bytes.len() + OVERHEAD;
    let (mut seen, mut sent) = (0, Vec::new());
    let stream = Script { bytes, read: 0, pieces, sent: &mut sent };
    rowhouse_fuzz::within(most, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let ended = runtime.block_on(echo(stream, LIMIT, encrypted, |envelope, payload| {
            seen += 1;
            assert!(envelope.len() < ENVELOPE_FRAMES);
            let size: usize = envelope.iter().map(Bytes::len).sum();
            assert!(size + payload.len() <= LIMIT + ALLOWANCE);
        }));
        assert!(ended.is_err(), "nobody serves a peer that has left");
    });
    (seen, sent)
}

/// A stream that yields its bytes piece by piece and then ends.
struct Script<'a> {
    bytes: Vec<u8>,
    read: usize,
    pieces: usize,
    sent: &'a mut Vec<u8>,
}

impl AsyncRead for Script<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let end = self.bytes.len().min(self.read + self.pieces.min(buffer.remaining()));
        buffer.put_slice(&self.bytes[self.read..end]);
        self.read = end;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script<'_> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let taken = bytes.len().min(self.pieces);
        self.sent.extend_from_slice(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
