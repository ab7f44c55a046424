//! What is answered: whole, or bit by bit as the client reads it.
use crate::line::Busy;
use crate::requests::Answering;
use crate::taking::Taking;
use bytes::Bytes;
use futures::Stream;
use futures::stream::BoxStream;
use hyper::body::{Frame, SizeHint};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// The most bytes that are given away in one go: who takes so many within `write_timeout` is served on.
pub(crate) const PIECE: usize = 64 * 1024;

/// The body of an answer.
pub(crate) struct Body {
    rest: Rest,
    /// The request ends with its body.
    busy: Option<Busy>,
    /// Told what is given and asked for.
    taking: Option<Arc<Taking>>,
    /// Over HTTP/1 no other request comes before its end.
    _answering: Option<Answering>,
}

enum Rest {
    Full(Bytes),
    /// What is pulled, and what is left of what was pulled last.
    Stream(Bits, Bytes),
}

/// What is pulled as the client reads.
pub(crate) type Bits = BoxStream<'static, Result<Bytes, Broken>>;

/// The answer cannot be given to its end: the client sees that it was cut off.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off")]
pub(crate) struct Broken;

// === impl Body ===

impl Body {
    /// Nothing.
    pub(crate) fn empty() -> Self {
        Self::full(Bytes::new())
    }

    /// All of it.
    pub(crate) fn full(bytes: impl Into<Bytes>) -> Self {
        Self { rest: Rest::Full(bytes.into()), busy: None, taking: None, _answering: None }
    }

    /// Pulled as the client reads, and dropped when it leaves.
    pub(crate) fn stream(bits: impl Stream<Item = Result<Bytes, Broken>> + Send + 'static) -> Self {
        Self { rest: Rest::Stream(Box::pin(bits), Bytes::new()), busy: None, taking: None, _answering: None }
    }

    /// All of it, where it is there already; else what is pulled. With it comes what holds the request.
    ///
    /// Nothing of it may have been given away.
    pub(crate) fn into_whole(mut self) -> Result<(Bytes, Option<Busy>), (Bits, Option<Busy>)> {
        let busy = self.busy.take();
        match mem::replace(&mut self.rest, Rest::Full(Bytes::new())) {
            Rest::Full(bytes) => Ok((bytes, busy)),
            Rest::Stream(bits, _) => Err((bits, busy)),
        }
    }

    /// The same; what is given of it and asked for is told here.
    pub(crate) fn taken(mut self, (taking, answering): (Arc<Taking>, Option<Answering>)) -> Self {
        (self.taking, self._answering) = (Some(taking), answering);
        self
    }

    /// The same, holding the request.
    pub(crate) fn held(mut self, busy: Option<Busy>) -> Self {
        self.busy = busy;
        self
    }

    /// The same; if it is a stream, the request is being answered until it ends.
    pub(crate) fn until_read(mut self, busy: Busy) -> Self {
        if matches!(self.rest, Rest::Stream(..)) {
            self.busy = Some(busy);
        }
        self
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(taking) = &self.taking {
            taking.asked();
        }
        let bytes = match &mut self.rest {
            Rest::Full(bytes) => bytes,
            Rest::Stream(bits, bytes) => {
                while bytes.is_empty() {
                    match ready!(bits.as_mut().poll_next(cx)) {
                        Some(Ok(bit)) => *bytes = bit,
                        Some(Err(broken)) => return Poll::Ready(Some(Err(broken))),
                        None => return Poll::Ready(None),
                    }
                }
                bytes
            }
        };
        if bytes.is_empty() {
            return Poll::Ready(None);
        }
        let piece = bytes.split_to(bytes.len().min(PIECE));
        if let Some(taking) = &self.taking {
            taking.given();
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.rest, Rest::Full(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.rest {
            Rest::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Rest::Stream(..) => SizeHint::default(),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Some(taking) = &self.taking {
            taking.asked();
        }
    }
}
