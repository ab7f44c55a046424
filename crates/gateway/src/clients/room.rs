//! Open files that clients leave to others: whatever their limit, operators and databases get theirs.
use crate::event::{Event, Observer};
use std::os::fd::RawFd;
use std::sync::Arc;

/// How many open files clients leave to others: management's connections, and some databases.
const RESERVED: u64 = 384;

/// How many files may be open before clients leave the rest to management and databases. Each listener has
/// one, which its socket asks about each connection that it accepts.
#[derive(Debug)]
pub struct Room {
    most: Option<u64>,
    is_short: bool,
    observer: Arc<dyn Observer>,
}

// === impl Room ===

impl Room {
    /// What clients may take where so many files may be open.
    pub(super) fn of(limit: Option<u64>, observer: Arc<dyn Observer>) -> Self {
        let most = limit.map(|limit| limit - RESERVED.min(limit / 2));
        Self { most, is_short: false, observer }
    }

    /// Whether the newest file is among those that clients may take: the system gives the lowest free number.
    ///
    /// That there are no more is told to operators once, until there are again.
    pub(super) fn has(&mut self, newest: RawFd) -> bool {
        let had = !self.is_short;
        self.is_short =
            self.most.is_some_and(|most| u64::try_from(newest).is_ok_and(|newest| most <= newest));
        if self.is_short && had {
            self.observer.observe(&Event::FilesShort);
        }
        !self.is_short
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Silent;

    #[test]
    fn clients_leave_files_to_others_and_have_them_again_when_some_are_closed() {
        let room = |limit| Room::of(limit, Arc::new(Silent));
        let mut of_many = room(Some(1000));
        assert_eq!([615, 616, 999, 615].map(|newest| of_many.has(newest)), [true, false, false, true]);
        assert!(room(Some(256)).has(127));
        assert!(room(None).has(RawFd::MAX));
    }
}
