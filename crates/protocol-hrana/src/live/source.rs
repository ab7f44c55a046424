//! What is told next on one feed, until it ends.
//!
//! Invariant: nothing is told to who may not read the database any more: it is looked before each telling.
use crate::call::Call;
use crate::error::Fault;
use rowhouse_access::Scope;
use rowhouse_gateway::{Ended, Position, Subscription, Told};
use rowhouse_types::ErrorCode;
use rowhouse_wire::live::{ChangedRow, put_change, put_end, put_gap, put_ready};
use std::pin::Pin;
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often it is looked at a feed on which nothing is told.
const TICK: Duration = Duration::from_secs(5);

/// How many looks without anything told there are between two signs of life.
const TICKS: u32 = 3;

/// One feed, as it goes on.
pub(super) struct Source {
    /// Dropped first: it keeps the database open in the name of the call's client.
    subscription: Subscription,
    call: Call,
    tick: Interval,
    /// Looks since something was told.
    silent: u32,
    draining: Pin<Box<dyn Future<Output = ()> + Send>>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Begun,
    Telling,
    Ended,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Next {
    /// The first: where the feed is.
    Ready(Position),
    Told(Vec<Told>),
    /// Nothing was told for a while: where it is.
    Alive(Position),
    /// The last, and why.
    End(Fault),
}

/// What stirred.
enum Stirred {
    Told(Result<Vec<Told>, Ended>),
    Tick,
    Draining,
}

// === impl Source ===

impl Source {
    pub(super) fn new(call: Call, subscription: Subscription) -> Self {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let draining = Box::pin(call.shared.context.drain.draining());
        Self { subscription, call, tick, silent: 0, draining, phase: Phase::Begun }
    }

    pub(super) fn call(&self) -> &Call {
        &self.call
    }

    /// What comes next; nothing after the end.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub(super) async fn next(&mut self) -> Option<Next> {
        match self.phase {
            Phase::Ended => return None,
            Phase::Telling => {}
            Phase::Begun => {
                self.phase = Phase::Telling;
                self.tick.reset();
                return Some(Next::Ready(self.subscription.position()));
            }
        }
        loop {
            let stirred = tokio::select! {
                biased;
                () = &mut self.draining => Stirred::Draining,
                told = self.subscription.next() => Stirred::Told(told),
                _ = self.tick.tick() => Stirred::Tick,
            };
            // They may have lost the right meanwhile.
            if let Err(fault) = self.call.authorize(Scope::Read) {
                return Some(self.end(fault));
            }
            match stirred {
                Stirred::Draining => return Some(self.end(draining())),
                Stirred::Told(Err(Ended)) => return Some(self.end(sent_away())),
                Stirred::Told(Ok(told)) => {
                    self.silent = 0;
                    return Some(Next::Told(told));
                }
                Stirred::Tick => {
                    self.silent += 1;
                    if self.silent == TICKS {
                        self.silent = 0;
                        return Some(Next::Alive(self.subscription.position()));
                    }
                }
            }
        }
    }

    fn end(&mut self, why: Fault) -> Next {
        self.phase = Phase::Ended;
        Next::End(why)
    }
}

fn draining() -> Fault {
    Fault::new(ErrorCode::ShuttingDown, "the server is going down").hint("connect again, from where this was")
}

fn sent_away() -> Fault {
    Fault::new(ErrorCode::SessionEnded, "the database is paused, closed or was replaced")
        .hint("connect again, from where this was")
}

/// Writes what was told; returns where it was, and its kind.
pub(super) fn put_told(out: &mut Vec<u8>, told: &Told) -> (Position, &'static str) {
    match told {
        Told::Change { position, change } => {
            let (kind, table, columns) = (change.kind.as_str(), &*change.table, &*change.columns);
            let changed = ChangedRow { kind, table, columns };
            let values = change.row.iter().map(rowhouse_types::Value::as_ref);
            put_change(out, &position.to_string(), changed, values);
            (*position, kind)
        }
        Told::Gap { position, why } => {
            put_gap(out, &position.to_string(), why.as_str());
            (*position, "gap")
        }
    }
}

/// Writes that all is told from here on.
pub(super) fn put_begin(out: &mut Vec<u8>, position: Position) {
    put_ready(out, &position.to_string());
}

/// Writes why nothing follows.
pub(super) fn put_last(out: &mut Vec<u8>, why: &Fault) {
    let message = match &why.hint {
        Some(hint) => format!("{}: {hint}", why.message),
        None => why.message.clone(),
    };
    put_end(out, why.code.as_str(), &message);
}
