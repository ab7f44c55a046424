//! What is sent with a request: there already, or still coming.
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The body of a request.
#[derive(Debug)]
pub(crate) enum Sent {
    /// All of it is there.
    Whole(Bytes),
    /// It is read as it comes.
    Coming(Incoming),
}

impl Body for Sent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(mem::take(bytes))))),
            Self::Coming(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Coming(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Coming(body) => body.size_hint(),
        }
    }
}
