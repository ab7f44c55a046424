//! Channels: what the server hears of one session, or of one call.
//!
//! Invariants: a mailbox holds only what was said in the present run, and no more than was asked for;
//! what comes for an earlier run is dropped where it arrives.
use crate::frame::{Frame, Unsent, frame};
use crate::link::Link;
use crate::message::{Order, Report};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// The chunks of a result that the worker may send before it is asked for more.
pub(crate) const WINDOW: u32 = 4;

/// The most that waits in a mailbox: the chunks, and how it ended.
const MAILBOX_MAX: usize = WINDOW as usize + 2;

/// The server's end of a channel. Its number is free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Channel {
    link: Arc<Link>,
    id: u32,
    mailbox: Arc<Mailbox>,
}

/// What has arrived for a channel.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    serial: u32,
    arrived: VecDeque<Bytes>,
    waker: Option<Waker>,
    ended: bool,
}

/// The worker has sent what nobody asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unasked;

// === impl Channel ===

impl Channel {
    pub(crate) fn open(link: &Arc<Link>) -> Self {
        let mailbox = Arc::new(Mailbox::default());
        let id = link.register(&mailbox);
        Self { link: link.clone(), id, mailbox }
    }

    /// Begins a run: what comes for those before it is no more heard.
    pub(crate) fn begin(&self) -> u32 {
        self.mailbox.begin()
    }

    /// Sends an order of the run `serial`.
    pub(crate) fn send(&self, serial: u32, order: &Order) -> Result<(), Unsent> {
        let mut out = frame(self.id, serial);
        order.encode(&mut out);
        self.link.send(out)
    }

    /// What the worker says next; `None` when it has ended.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub(crate) async fn next(&self) -> Option<Report> {
        let body = std::future::poll_fn(|context| self.mailbox.poll(context)).await?;
        let report = Report::decode(&body).ok();
        if report.is_none() {
            self.link.break_off("it said what makes no sense");
        }
        report
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.link.unregister(self.id);
    }
}

// === impl Mailbox ===

impl Mailbox {
    fn begin(&self) -> u32 {
        let mut state = self.lock();
        state.serial = state.serial.wrapping_add(1);
        state.arrived.clear();
        state.serial
    }

    /// Takes in a frame.
    pub(crate) fn deliver(&self, frame: Frame) -> Result<(), Unasked> {
        let waker = {
            let mut state = self.lock();
            if frame.serial != state.serial {
                return Ok(());
            }
            if MAILBOX_MAX <= state.arrived.len() {
                return Err(Unasked);
            }
            state.arrived.push_back(frame.body);
            state.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// Nothing more will arrive.
    pub(crate) fn end(&self) {
        let waker = {
            let mut state = self.lock();
            state.ended = true;
            state.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    fn poll(&self, context: &Context<'_>) -> Poll<Option<Bytes>> {
        let mut state = self.lock();
        if let Some(body) = state.arrived.pop_front() {
            return Poll::Ready(Some(body));
        }
        if state.ended {
            return Poll::Ready(None);
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(serial: u32) -> Frame {
        Frame { channel: 1, serial, body: Bytes::from_static(b"x") }
    }

    #[test]
    fn what_was_said_of_an_earlier_run_is_not_heard() {
        let mailbox = Mailbox::default();
        let first = mailbox.begin();
        mailbox.deliver(frame(first)).unwrap();
        let second = mailbox.begin();
        mailbox.deliver(frame(first)).unwrap();
        let context = Context::from_waker(Waker::noop());
        assert!(mailbox.poll(&context).is_pending());
        mailbox.deliver(frame(second)).unwrap();
        assert!(mailbox.poll(&context).is_ready());
    }

    #[test]
    fn a_mailbox_takes_no_more_than_was_asked_for() {
        let mailbox = Mailbox::default();
        let serial = mailbox.begin();
        for _ in 0..MAILBOX_MAX {
            mailbox.deliver(frame(serial)).unwrap();
        }
        assert_eq!(mailbox.deliver(frame(serial)), Err(Unasked));
    }

    #[test]
    fn what_arrived_before_the_end_is_heard() {
        let mailbox = Mailbox::default();
        let serial = mailbox.begin();
        mailbox.deliver(frame(serial)).unwrap();
        mailbox.end();
        let context = Context::from_waker(Waker::noop());
        assert!(matches!(mailbox.poll(&context), Poll::Ready(Some(_))));
        assert!(matches!(mailbox.poll(&context), Poll::Ready(None)));
    }
}
