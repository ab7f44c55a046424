//! The room that long requests take, all together.
//!
//! Invariant: beyond the first bytes of each, no more bytes of requests are held than there is room for, from
//! when they come until what they say is done with.
use crate::error::Fault;
use rowhouse_types::ErrorCode;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The bytes that every request has without taking room: who asks for little is never refused for want of it.
pub(crate) const FREE: usize = 64 << 10;

/// How many of the longest requests there is room for. One that comes packed takes as much as two until it is
/// unpacked: whoever is refused is so for what others hold, and not all who send at once are.
const LONGEST: usize = 4;

/// The bytes that are counted as one.
const UNIT: usize = 1 << 10;

/// The room there is for the requests of all.
#[derive(Debug)]
pub(crate) struct Rooms {
    left: Arc<Semaphore>,
    /// In bytes.
    all: usize,
}

/// The room that one request takes; none, if it is short. It is given back when this is dropped.
#[derive(Debug, Default)]
#[must_use = "the request has no room any more when this is dropped"]
pub(crate) struct Room(Option<OwnedSemaphorePermit>);

// === impl Rooms ===

impl Rooms {
    /// Room for requests, the longest of which has so many bytes.
    pub(crate) fn new(longest: usize) -> Self {
        let all = longest.saturating_mul(LONGEST).div_ceil(UNIT).min(Semaphore::MAX_PERMITS);
        Self { left: Arc::new(Semaphore::new(all)), all: all * UNIT }
    }

    /// Room for so many bytes.
    ///
    /// # Errors
    ///
    /// When there is not as much left.
    pub(crate) fn take(&self, bytes: usize) -> Result<Room, Fault> {
        let mut room = Room::default();
        self.grow(&mut room, bytes)?;
        Ok(room)
    }

    /// Makes room for so many bytes of a request in all, with what it has already.
    ///
    /// # Errors
    ///
    /// When there is not as much left; it keeps what it has.
    pub(crate) fn grow(&self, room: &mut Room, bytes: usize) -> Result<(), Fault> {
        let more = units(bytes).saturating_sub(room.units());
        if more == 0 {
            return Ok(());
        }
        let more = u32::try_from(more).map_err(|_too_many| self.full())?;
        let more = self.left.clone().try_acquire_many_owned(more).map_err(|_full| self.full())?;
        match &mut room.0 {
            Some(held) => held.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }

    /// Fails if so many bytes of one more request would not fit, as things are.
    pub(crate) fn check(&self, bytes: usize) -> Result<(), Fault> {
        match units(bytes) {
            0 => Ok(()),
            more if more <= self.left.available_permits() => Ok(()),
            _ => Err(self.full()),
        }
    }

    fn full(&self) -> Fault {
        let all = self.all;
        let message = format!("the long requests that are at work take all the room there is, {all} bytes");
        let hint = format!(
            "try again later, send no more than {FREE} bytes at once, or ask the operator to raise \
             max_request_bytes, of which it is {LONGEST} times as much"
        );
        Fault::new(ErrorCode::QueueFull, message).hint(hint)
    }
}

// === impl Room ===

impl Room {
    fn units(&self) -> usize {
        self.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }
}

/// What is counted of so many bytes.
fn units(bytes: usize) -> usize {
    bytes.saturating_sub(FREE).div_ceil(UNIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: usize = 1 << 20;

    #[test]
    fn requests_take_room_beyond_their_first_bytes_and_give_it_back_as_they_go() {
        let rooms = Rooms::new(LONG);
        let mut first = rooms.take(LONG).expect("there is room");
        let three: Vec<Room> = (1..LONGEST).map(|_| rooms.take(LONG).expect("there is room")).collect();
        let refused = rooms.take(LONG).expect_err("it has no room");
        assert_eq!((refused.code, refused.status.as_u16()), (ErrorCode::QueueFull, 503));
        assert!(refused.retry_after.is_some() && refused.message.contains("4194304 bytes"), "{refused:?}");
        // What is left is what each of the four has for nothing.
        assert_eq!(rooms.left.available_permits(), LONGEST * FREE / UNIT);
        rooms.grow(&mut first, LONG + LONGEST * FREE).expect("all that is left");
        rooms.grow(&mut first, LONG).expect("it has that already");
        rooms.grow(&mut first, LONG + LONGEST * FREE + 1).expect_err("one too many");
        rooms.check(FREE + 1).expect_err("there is none left");
        drop(three);
        rooms.check(3 * (LONG - FREE) + FREE).expect("it would fit");
        drop(first);
        let _whole = rooms.take(LONGEST * LONG + FREE).expect("all of it is back");
    }

    #[test]
    fn what_is_short_needs_no_room() {
        let rooms = Rooms::new(0);
        for bytes in [0, 1, FREE] {
            rooms.check(bytes).expect("it needs none");
            assert!(rooms.take(bytes).expect("it needs none").0.is_none());
        }
        rooms.take(FREE + 1).expect_err("there is none");
    }
}
