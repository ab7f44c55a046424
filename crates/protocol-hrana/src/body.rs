//! What is answered: whole, or bit by bit as the client reads it.
use crate::line::Busy;
use bytes::Bytes;
use futures::Stream;
use futures::stream::BoxStream;
use hyper::body::{Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};

/// The body of an answer.
pub(crate) struct Body {
    rest: Rest,
    /// The request ends with its body.
    busy: Option<Busy>,
}

enum Rest {
    Full(Option<Bytes>),
    Stream(Bits),
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
        Self { rest: Rest::Full(None), busy: None }
    }

    /// All of it.
    pub(crate) fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { rest: Rest::Full((!bytes.is_empty()).then_some(bytes)), busy: None }
    }

    /// Pulled as the client reads, and dropped when it leaves.
    pub(crate) fn stream(bits: impl Stream<Item = Result<Bytes, Broken>> + Send + 'static) -> Self {
        Self { rest: Rest::Stream(Box::pin(bits)), busy: None }
    }

    /// All of it, where it is there already; else what is pulled. With it comes what holds the request.
    pub(crate) fn into_whole(self) -> Result<(Bytes, Option<Busy>), (Bits, Option<Busy>)> {
        match self.rest {
            Rest::Full(bytes) => Ok((bytes.unwrap_or_default(), self.busy)),
            Rest::Stream(bits) => Err((bits, self.busy)),
        }
    }

    /// The same, holding the request.
    pub(crate) fn held(mut self, busy: Option<Busy>) -> Self {
        self.busy = busy;
        self
    }

    /// The same; if it is a stream, the request is being answered until it ends.
    pub(crate) fn until_read(mut self, busy: Busy) -> Self {
        if matches!(self.rest, Rest::Stream(_)) {
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
        match &mut self.rest {
            Rest::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Rest::Stream(bits) => bits.as_mut().poll_next(cx).map(|bit| bit.map(|bit| bit.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.rest, Rest::Full(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.rest {
            Rest::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Rest::Stream(_) => SizeHint::default(),
        }
    }
}
