//! A peer's ZMTP state machine, which leaves for a thread of its own while it decrypts something large.
use bytes::Bytes;
use omq_proto::proto::connection::Connection;
use omq_proto::proto::mechanism::FrameTransform;
use omq_proto::{Error, Message};
use tokio::task::{JoinHandle, spawn_blocking};

/// Less is decrypted and encrypted in place: it takes a fraction of a millisecond.
const OFFLOAD: usize = 128 * 1024;

/// A peer's ZMTP state machine.
#[derive(Debug)]
pub(crate) struct Codec {
    state: State,
}

#[derive(Debug)]
enum State {
    Here(Box<Connection>),
    Away(JoinHandle<(Box<Connection>, Result<(), Error>)>),
    /// Its thread was ended with the runtime, or who waited for it has gone.
    Lost,
}

// === impl Codec ===

impl Codec {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { state: State::Here(Box::new(connection)) }
    }

    /// The state machine, once it is here.
    ///
    /// # Errors
    ///
    /// What came of the input that it left with, once.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn here(&mut self) -> Result<&mut Connection, Error> {
        if let State::Away(working) = &mut self.state {
            let worked = working.await;
            let (state, outcome) = match worked {
                Ok((connection, outcome)) => (State::Here(connection), outcome),
                Err(_) => (State::Lost, Ok(())),
            };
            self.state = state;
            outcome?;
        }
        match &mut self.state {
            State::Here(connection) => Ok(connection),
            State::Away(_) | State::Lost => Err(Error::Closed),
        }
    }

    /// The state machine, unless it is away.
    pub(crate) fn if_here(&mut self) -> Option<&mut Connection> {
        match &mut self.state {
            State::Here(connection) => Some(connection),
            State::Away(_) | State::Lost => None,
        }
    }

    /// Takes what was read; it may leave with it.
    pub(crate) fn feed(&mut self, input: Bytes) -> Result<(), Error> {
        let State::Here(connection) = &mut self.state else { return Err(Error::Closed) };
        if !completes_large(connection, input.len())? {
            return connection.handle_input(input);
        }
        let State::Here(mut connection) = std::mem::replace(&mut self.state, State::Lost) else {
            return Err(Error::Closed);
        };
        self.state = State::Away(spawn_blocking(move || {
            let outcome = connection.handle_input(input);
            (connection, outcome)
        }));
        Ok(())
    }

    /// Queues a message, encrypted if the connection is.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may end the connection.
    pub(crate) async fn queue(&mut self, message: Message) -> Result<(), Error> {
        let connection = self.here().await?;
        if message.byte_len() < OFFLOAD || !connection.has_frame_transform() {
            return connection.send_message(&message);
        }
        let State::Here(mut connection) = std::mem::replace(&mut self.state, State::Lost) else {
            return Err(Error::Closed);
        };
        // Without its transform a connection would send plain text: it is lost until it has it again.
        let mut transform = connection.take_transform().ok_or(Error::Closed)?;
        let encrypting = spawn_blocking(move || {
            let frames = FrameTransform::encrypt_message(&mut transform, &message);
            (transform, frames)
        });
        let (transform, frames) = encrypting.await.map_err(|_| Error::Closed)?;
        connection.restore_transform(transform);
        connection.emit_encrypted_frames(&frames?);
        self.state = State::Here(connection);
        Ok(())
    }
}

/// Whether so many bytes more complete an encrypted frame that is large.
fn completes_large(connection: &Connection, more: usize) -> Result<bool, Error> {
    if !connection.has_frame_transform() {
        return Ok(false);
    }
    let next = connection.peek_next_frame_payload_size()?;
    Ok(next.is_some_and(|next| {
        OFFLOAD <= next.payload_len && next.payload_len <= next.buffered_payload_prefix + more
    }))
}
