//! Plain requests of a connection over HTTP/1.1, read and answered here: a pipeline whose every byte is there.
//!
//! Almost all requests are such, and a server for all that HTTP allows takes as long for one as the
//! database does. Everything else is for that server, from the first request on that is not plain: it gets the
//! connection, with what was read of it, and keeps it.
//!
//! Invariants: nothing is taken for plain that the other server would refuse or read in another way; a client that leaves
//! ends what it asked for; one request is answered before the next is begun.
mod head;
mod reply;
#[cfg(test)]
mod tests;

use crate::body::Body;
use crate::requests::Requests;
use crate::sent::Sent;
use bytes::{BufMut as _, Bytes, BytesMut};
use head::Else;
use http::{Request, Response, Version};
use reply::Reply;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::time::{Instant, timeout_at};

/// The longest plain request, head and body, in bytes.
const LONGEST: usize = 16 * 1024;

/// How much room there is to read into, at least, in bytes: most requests are one read.
const READ: usize = 4 * 1024;

/// How long the rest of a body is waited for here. What takes longer is bounded where it is read as it comes.
const SOON: Duration = Duration::from_secs(1);

/// A connection on which plain requests may come.
pub(crate) struct Plain<'c, S, A> {
    pub(crate) stream: &'c mut S,
    pub(crate) requests: &'c Requests,
    /// Whether no more requests are to be read after the one at hand.
    pub(crate) closes: &'c AtomicBool,
    /// Answers a request.
    pub(crate) answer: A,
}

// === impl Plain ===

impl<S, A, F> Plain<'_, S, A>
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Fn(Request<Sent>) -> F,
    F: Future<Output = Response<Body>>,
{
    /// Answers plain requests until another comes, which is for the other server, with what was read of it and not answered.
    /// `None`: no more are to come.
    pub(crate) async fn serve(mut self) -> Option<Bytes> {
        let (mut read, mut reply) = (BytesMut::new(), Reply::default());
        // A request is under way from when its head is there.
        let (mut begun, mut under_way) = (None, None);
        loop {
            let request = match head::next(&mut read) {
                Ok(request) => request,
                Err(Else::Other) => return Some(read.freeze()),
                Err(Else::Body) => {
                    under_way.get_or_insert_with(|| self.requests.begin(Version::HTTP_11));
                    let until = *begun.get_or_insert_with(Instant::now) + SOON;
                    match timeout_at(until, more(self.stream, &mut read)).await {
                        Ok(true) => continue,
                        // What the client is told of it, if anything, is told there.
                        Ok(false) | Err(_) => return Some(read.freeze()),
                    }
                }
                Err(Else::Head) if more(self.stream, &mut read).await => continue,
                Err(Else::Head) => return None,
            };
            let of = under_way.take().unwrap_or_else(|| self.requests.begin(Version::HTTP_11));
            begun = None;
            let response = self.answer(request, &mut read).await?;
            let closes = self.closes.load(Ordering::Relaxed);
            if !reply.send(self.stream, response, (&of.0, closes)).await {
                return None;
            }
            drop(of);
            // Perhaps it was said while the answer went.
            if self.closes.load(Ordering::Relaxed) {
                return None;
            }
        }
    }

    /// Has a request answered, unless its client leaves: `None` then.
    async fn answer(&mut self, request: Request<Sent>, read: &mut BytesMut) -> Option<Response<Body>> {
        let mut answer = pin!((self.answer)(request));
        // What is asked next may come meanwhile; it is read only so far.
        while read.len() < LONGEST {
            tokio::select! {
                biased;
                response = answer.as_mut() => return Some(response),
                is_there = more(self.stream, read) => if !is_there { return None },
            }
        }
        Some(answer.await)
    }
}

/// Reads more; false when nothing more will come.
async fn more<S: AsyncRead + Unpin>(stream: &mut S, read: &mut BytesMut) -> bool {
    read.reserve(READ);
    matches!(stream.read_buf(&mut read.limit(LONGEST)).await, Ok(1..))
}
