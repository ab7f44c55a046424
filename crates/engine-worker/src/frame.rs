//! Frames on a socket: a length, the channel, the run of that channel, then what is said.
//!
//! Invariants: a frame goes out whole and in the order of `send`, whoever sends; no frame is longer
//! than [`FRAME_MAX`]. What waits to go out is bounded by who sends: a channel has one request on its
//! way, and as many chunks as were asked for.
use crate::codec::Encoder;
use bytes::{Buf, Bytes, BytesMut};
use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::net::UnixStream;
use tokio::sync::Notify;

/// The most bytes of a frame: a row of a gigabyte, and what is beside it.
pub(crate) const FRAME_MAX: u32 = 5 << 28;

/// The length, which does not count itself.
const PREFIX: usize = 4;

/// What follows it before the body: the channel and the run.
const HEAD: usize = 8;

/// The bytes asked of the socket at once, at least.
const READ: usize = 16 << 10;

/// The bytes made room for before they have come, at most.
const AHEAD: usize = 1 << 20;

/// One frame.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) channel: u32,
    pub(crate) serial: u32,
    pub(crate) body: Bytes,
}

/// Nothing of the frame was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsent {
    /// The other end is gone.
    Gone,
    /// It would be longer than a frame may be.
    TooLong,
}

/// One end of the socket.
#[derive(Debug)]
pub(crate) struct Wire {
    socket: UnixStream,
    waiting: Mutex<Waiting>,
    /// Something waits to go out.
    stalled: Notify,
}

/// What the socket had no room for.
#[derive(Debug, Default)]
struct Waiting {
    frames: VecDeque<Bytes>,
    gone: bool,
}

/// What has come in and is no whole frame yet.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    buffer: BytesMut,
}

/// Begins a frame; its body is what is written next.
pub(crate) fn frame(channel: u32, serial: u32) -> Encoder {
    let mut out = Encoder(Vec::with_capacity(128));
    out.u32(0);
    out.u32(channel);
    out.u32(serial);
    out
}

// === impl Wire ===

impl Wire {
    pub(crate) fn new(socket: UnixStream) -> Self {
        Self { socket, waiting: Mutex::default(), stalled: Notify::new() }
    }

    /// Sends a frame that [`frame`] has begun: at once if there is room, else when there is.
    pub(crate) fn send(&self, frame: Encoder) -> Result<(), Unsent> {
        let mut frame = frame.0;
        let len = u32::try_from(frame.len() - PREFIX).ok().filter(|len| *len <= FRAME_MAX);
        let len = len.ok_or(Unsent::TooLong)?;
        frame[..PREFIX].copy_from_slice(&len.to_le_bytes());
        let mut frame = Bytes::from(frame);
        let mut waiting = self.waiting();
        if waiting.gone {
            return Err(Unsent::Gone);
        }
        let mut begun = false;
        while waiting.frames.is_empty() && !frame.is_empty() {
            match self.socket.try_write(&frame) {
                Ok(count) => {
                    begun = true;
                    frame.advance(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_gone) => {
                    waiting.gone = true;
                    // What was begun cannot be known to be undone.
                    return if begun { Ok(()) } else { Err(Unsent::Gone) };
                }
            }
        }
        if !frame.is_empty() {
            waiting.frames.push_back(frame);
            drop(waiting);
            self.stalled.notify_one();
        }
        Ok(())
    }

    /// Sends what waits, whenever there is something, until the other end is gone.
    pub(crate) async fn flush(&self) {
        loop {
            self.stalled.notified().await;
            while !self.waiting().frames.is_empty() {
                if self.socket.writable().await.is_err() || self.write_waiting().is_err() {
                    self.waiting().gone = true;
                    return;
                }
            }
        }
    }

    fn write_waiting(&self) -> io::Result<()> {
        let mut waiting = self.waiting();
        while let Some(frame) = waiting.frames.front_mut() {
            match self.socket.try_write(frame) {
                Ok(count) => frame.advance(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
            if frame.is_empty() {
                waiting.frames.pop_front();
            }
        }
        Ok(())
    }

    /// The next frame; `None` when the other end is gone, or has broken the rules.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: what has come in stays in `incoming`.
    pub(crate) async fn receive(&self, incoming: &mut Incoming) -> Option<Frame> {
        loop {
            match incoming.take() {
                Ok(Some(frame)) => return Some(frame),
                Ok(None) => {}
                Err(_too_long) => return None,
            }
            self.socket.readable().await.ok()?;
            incoming.reserve();
            match self.socket.try_read_buf(&mut incoming.buffer) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return None,
            }
        }
    }

    /// Tells the other end that nothing more comes, and takes nothing more.
    pub(crate) fn hang_up(&self) {
        self.waiting().gone = true;
        // It may be gone already.
        let _gone = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Incoming ===

impl Incoming {
    /// The next whole frame, if it has come.
    fn take(&mut self) -> Result<Option<Frame>, Unsent> {
        let Some(len) = self.announced()? else { return Ok(None) };
        if self.buffer.len() < PREFIX + len {
            return Ok(None);
        }
        let mut frame = self.buffer.split_to(PREFIX + len).freeze();
        if self.buffer.is_empty() {
            // Nobody keeps room while nothing comes.
            self.buffer = BytesMut::new();
        }
        frame.advance(PREFIX);
        let (channel, serial) = (frame.get_u32_le(), frame.get_u32_le());
        Ok(Some(Frame { channel, serial, body: frame }))
    }

    fn announced(&self) -> Result<Option<usize>, Unsent> {
        let Some(prefix) = self.buffer.first_chunk::<PREFIX>() else { return Ok(None) };
        let len = u32::from_le_bytes(*prefix);
        if len < HEAD as u32 || FRAME_MAX < len {
            return Err(Unsent::TooLong);
        }
        Ok(Some(len as usize))
    }

    /// Makes room for what comes next, no more than a little ahead of it: a length is only a claim.
    fn reserve(&mut self) {
        let missing = match self.announced() {
            Ok(Some(len)) => (PREFIX + len).saturating_sub(self.buffer.len()),
            _ => 0,
        };
        self.buffer.reserve(missing.clamp(READ, AHEAD));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(channel: u32, body: &[u8]) -> Encoder {
        let mut out = frame(channel, 7);
        out.0.extend_from_slice(body);
        out
    }

    #[tokio::test]
    async fn frames_arrive_whole_and_in_order_however_little_room_there_is() {
        let (one, two) = UnixStream::pair().unwrap();
        let (one, two) = (Wire::new(one), Wire::new(two));
        let long = vec![9; 3 << 20];
        for channel in 0..3 {
            one.send(text(channel, &long)).unwrap();
        }
        one.send(text(3, b"last")).unwrap();
        let reading = async {
            let mut incoming = Incoming::default();
            for channel in 0..3 {
                let frame = two.receive(&mut incoming).await.unwrap();
                assert_eq!((frame.channel, frame.serial), (channel, 7));
                assert_eq!(frame.body, long);
            }
            assert_eq!(two.receive(&mut incoming).await.unwrap().body.as_ref(), b"last");
        };
        tokio::select! {
            () = one.flush() => panic!("the other end is there"),
            () = reading => {}
        }
        drop(two);
        assert_eq!(one.send(text(0, b"nobody")), Err(Unsent::Gone));
        assert_eq!(one.send(text(0, b"nobody")), Err(Unsent::Gone));
    }

    #[tokio::test]
    async fn a_length_beyond_the_bound_ends_it() {
        let (one, two) = UnixStream::pair().unwrap();
        one.try_write(&u32::MAX.to_le_bytes()).unwrap();
        assert!(Wire::new(two).receive(&mut Incoming::default()).await.is_none());
    }

    proptest! {
        #[test]
        fn whatever_comes_in_makes_no_more_room_than_has_come(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut incoming = Incoming { buffer: BytesMut::from(&bytes[..]) };
            while let Ok(Some(frame)) = incoming.take() {
                prop_assert!(frame.body.len() <= bytes.len());
            }
            incoming.reserve();
            prop_assert!(incoming.buffer.capacity() <= 2 * (bytes.len() + AHEAD));
        }
    }
}
