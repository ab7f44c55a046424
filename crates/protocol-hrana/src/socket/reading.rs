//! What a message says, found out beside the threads that serve everybody where that takes long.
use crate::aside::aside;
use crate::error::Fault;
use crate::intake::INLINE;
use crate::room::Room;
use crate::shared::Shared;
use bytes::Bytes;
use futures::future::BoxFuture;
use rowhouse_wire::hrana::{ClientMessage, Encoding, Malformed, SocketRequest, decode_message};

/// What a message says.
pub(super) enum Said {
    /// Who the client is.
    Hello { jwt: Option<String> },
    /// What it asks, unless there was no room for that.
    Request { request_id: i32, asked: Result<Asked, Box<Fault>> },
}

/// What is asked, and what that takes until it is done with.
pub(super) struct Asked {
    pub(super) request: SocketRequest,
    /// The bytes of its message.
    pub(super) bytes: usize,
    pub(super) room: Room,
}

/// What a message says, unless it breaks a rule.
pub(super) type Read = Result<Said, Malformed>;

/// A message that is being read.
pub(super) enum Reading {
    Done(Read),
    Aside(BoxFuture<'static, Read>),
}

// === impl Reading ===

impl Reading {
    /// Begins to read a message.
    pub(super) fn begin(message: Bytes, encoding: Encoding, shared: &Shared) -> Self {
        let bytes = message.len();
        let room = shared.rooms.take(bytes).map_err(Box::new);
        let read = move || {
            Ok(match decode_message(&message, encoding)? {
                ClientMessage::Hello { jwt } => Said::Hello { jwt },
                ClientMessage::Request { request_id, request } => {
                    Said::Request { request_id, asked: room.map(|room| Asked { request, bytes, room }) }
                }
            })
        };
        if bytes <= INLINE { Self::Done(read()) } else { Self::Aside(Box::pin(aside(&shared.tasks, read))) }
    }
}
