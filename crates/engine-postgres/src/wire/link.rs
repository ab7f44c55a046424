//! Messages over a stream, both ways, with what is half sent and half read kept.
use crate::wire::stream::Stream;
use bytes::{Buf, BytesMut};
use postgres_protocol::message::backend::{DATA_ROW_TAG, Header, Message};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Bytes asked of the socket at once.
const READ: usize = 16 << 10;

/// The longest message that is taken, whatever it is: rows of more are skipped, anything else ends the
/// connection.
pub(crate) const MAX_MESSAGE: usize = 64 << 20;

/// The room that is kept for the next message.
const KEPT: usize = 64 << 10;

/// One message of the server's.
pub(crate) enum Incoming {
    Message(Message),
    /// A row that is longer than may be; it is not kept.
    LongRow,
}

/// A connection as messages.
///
/// # Cancel safety
///
/// Its futures may be dropped: what they have sent or read is remembered, and goes on with the next.
#[derive(Debug)]
pub(crate) struct Link {
    stream: Stream,
    incoming: BytesMut,
    outgoing: BytesMut,
    /// Bytes to come of a row that is not kept.
    skip: usize,
    /// The longest row that is kept.
    max_row: usize,
}

// === impl Link ===

impl Link {
    pub(crate) fn new(stream: Stream) -> Self {
        let (incoming, outgoing) = (BytesMut::new(), BytesMut::new());
        Self { stream, incoming, outgoing, skip: 0, max_row: MAX_MESSAGE }
    }

    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Rows of more bytes are not kept from now on.
    pub(crate) fn limit_rows(&mut self, bytes: Option<u64>) {
        let limit = bytes.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(MAX_MESSAGE);
        // As a message a row has some bytes that it has not as a row.
        self.max_row = limit.saturating_mul(2).saturating_add(READ).min(MAX_MESSAGE);
    }

    /// What is to be sent; messages are appended to it.
    pub(crate) fn out(&mut self) -> &mut BytesMut {
        &mut self.outgoing
    }

    /// Sends all that is to be sent.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        while !self.outgoing.is_empty() {
            if self.stream.write_buf(&mut self.outgoing).await? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        if KEPT < self.outgoing.capacity() {
            self.outgoing = BytesMut::new();
        }
        self.stream.flush().await
    }

    /// The next message that has been read already.
    pub(crate) fn take(&mut self) -> io::Result<Option<Incoming>> {
        if self.skip != 0 {
            let skipped = self.skip.min(self.incoming.len());
            self.incoming.advance(skipped);
            self.skip -= skipped;
            if self.skip != 0 {
                return Ok(None);
            }
            return Ok(Some(Incoming::LongRow));
        }
        if let Some(header) = Header::parse(&self.incoming)? {
            let len = usize::try_from(header.len()).map_err(io::Error::other)? + 1;
            if header.tag() == DATA_ROW_TAG && self.max_row < len {
                self.skip = len;
                return self.take();
            }
            if MAX_MESSAGE < len {
                return Err(io::Error::other("a message is longer than any should be"));
            }
        }
        Ok(Message::parse(&mut self.incoming)?.map(Incoming::Message))
    }

    /// Waits for more to take.
    pub(crate) async fn fill(&mut self) -> io::Result<()> {
        if self.incoming.is_empty() && KEPT < self.incoming.capacity() {
            self.incoming = BytesMut::new();
        }
        self.incoming.reserve(READ);
        match self.stream.read_buf(&mut self.incoming).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// The next message.
    pub(crate) async fn next(&mut self) -> io::Result<Incoming> {
        loop {
            if let Some(incoming) = self.take()? {
                return Ok(incoming);
            }
            self.fill().await?;
        }
    }

    /// Tells the server that it is over.
    pub(crate) async fn terminate(&mut self) -> io::Result<()> {
        postgres_protocol::message::frontend::terminate(&mut self.outgoing);
        self.flush().await?;
        self.stream.shutdown().await
    }

    /// Waits until the server has closed its side, which it does when nothing of the session is left there.
    pub(crate) async fn gone(&mut self) {
        loop {
            self.incoming.clear();
            if self.fill().await.is_err() {
                return;
            }
        }
    }
}
