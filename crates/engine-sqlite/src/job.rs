//! A request on its way: who asks, what it is run with, and how it ended. Jobs run on threads of
//! the executor.
use crate::control::Control;
use crate::database::Shared;
use crate::glance;
use crate::group::Group;
use crate::handle::Handle;
use crate::perform::{Halt, describe, perform};
use crate::pipe::Writer;
use crate::text::{counts_changes, mentions};
use crate::turn::Turn;
use rowhouse_engine::{Chunk, Description, EngineError, Options, SessionState, SqlPolicy};
use rowhouse_sync::Permit;
use rowhouse_types::Request;
use std::sync::Arc;

/// The most sets of arguments a request may repeat for and still be run together with others.
const SOCIABLE_SETS: usize = 128;

/// A request, for whom it is, and where its answer goes.
#[derive(Debug)]
pub(crate) struct Errand {
    pub(crate) request: Request,
    pub(crate) aim: Aim,
    pub(crate) options: Options,
    pub(crate) control: Arc<Control>,
    pub(crate) pipe: Writer<Done>,
}

/// What is wanted of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// That it is run.
    Run,
    /// To know what its statement is.
    Describe,
}

/// An errand in the queue for the turn, which another may run. Its session is told if nobody does.
#[derive(Debug)]
pub(crate) struct Guest(Option<Errand>);

/// An errand, and what it is run with.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) errand: Errand,
    /// The session's own; without it any will do.
    pub(crate) handle: Option<Box<Handle>>,
    pub(crate) right: Right,
    pub(crate) shared: Arc<Shared>,
}

/// What allows a job to take up a thread.
#[derive(Debug)]
pub(crate) enum Right {
    /// One of the few lanes of its database.
    Lane(Permit),
    /// The turn to write; `leads` if those that wait behind may be served with it.
    Turn { turn: Turn<Guest>, leads: bool },
    /// The turn to write that its connection has had since an earlier request.
    Held,
}

/// How an errand ended.
#[derive(Debug)]
pub(crate) struct Done {
    /// The connection, if it holds something of the session's.
    pub(crate) handle: Option<Box<Handle>>,
    pub(crate) end: End,
}

/// How a request ended.
#[derive(Debug)]
pub(crate) enum End {
    /// Well; the last chunk.
    Finished(Chunk),
    /// Well; what its statement is.
    Described(Description),
    Failed(EngineError),
    /// Nothing was done: it needs the turn to write first.
    NeedsWriter(Request),
    /// Nothing was done: the file is not the one it was, or cannot be looked at.
    Unbegun(EngineError, Request),
}

// === impl Errand ===

impl Errand {
    /// Hands over how it ended.
    pub(crate) fn end(self, handle: Option<Box<Handle>>, end: End) {
        self.pipe.end(Done { handle, end });
    }

    /// Hands itself back: nothing of it was done.
    pub(crate) fn unbegun(self, handle: Option<Box<Handle>>, error: EngineError) {
        self.pipe.end(Done { handle, end: End::Unbegun(error, self.request) });
    }
}

// === impl Guest ===

impl Guest {
    pub(crate) fn new(errand: Errand) -> Self {
        Self(Some(errand))
    }

    pub(crate) fn options(&self) -> &Options {
        &self.0.as_ref().expect("taken out only with the guest").options
    }

    pub(crate) fn into_errand(mut self) -> Errand {
        self.0.take().expect("taken out only here, with the guest")
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if let Some(errand) = self.0.take() {
            errand.end(None, End::Failed(EngineError::Cancelled));
        }
    }
}

/// Whether a request may be run on a connection of somebody else's, together with others.
///
/// Plain changes of rows only: they leave nothing on the connection, and each takes effect as it
/// would by itself.
pub(crate) fn is_sociable(request: &Request, options: &Options) -> bool {
    let short = match request {
        Request::Execute { .. } => true,
        Request::Repeat { sets, .. } => sets.len() <= SOCIABLE_SETS,
        Request::Script { .. } | Request::Sequence { .. } => false,
    };
    let sql = request.sql();
    // These two tell of the connection's last statement.
    short
        && options.policy != SqlPolicy::ReadOnly
        && counts_changes(sql)
        && !mentions(sql, "changes")
        && !mentions(sql, "last_insert_rowid")
}

// === impl Job ===

impl Job {
    /// Tells its session that there is no thread for it.
    pub(crate) fn refuse(self) {
        self.errand.end(self.handle, End::Failed(crate::errors::too_many_waiting()));
    }

    /// Runs it, and those that wait behind it if it leads them.
    pub(crate) fn run(self) {
        let Self { errand, handle, right, shared } = self;
        if let Err(error) = shared.verify() {
            drop(right);
            return errand.unbegun(handle, error);
        }
        let glances = matches!(right, Right::Lane(_)) && handle.is_none();
        let errand = if glances { glance::answer(errand, &shared) } else { Some(errand) };
        let Some(errand) = errand else { return };
        let mut handle = match handle.map_or_else(|| shared.lend(), Ok) {
            Ok(handle) => handle,
            Err(error) => {
                drop(right);
                return errand.unbegun(None, error);
            }
        };
        match right {
            Right::Held => alone(handle, errand, &shared),
            Right::Lane(lane) => {
                let inside = shared.log.enter();
                alone(handle, errand, &shared);
                drop(inside);
                drop(lane);
            }
            Right::Turn { turn, leads } => {
                handle.turn = Some(turn);
                shared.feed.attend(&mut handle);
                if leads && shared.turns.has_guests() {
                    lead(handle, errand, &shared);
                } else {
                    alone(handle, errand, &shared);
                }
            }
        }
    }
}

fn alone(mut handle: Box<Handle>, errand: Errand, shared: &Shared) {
    let Some(end) = work(&mut handle, &errand) else {
        let end = End::NeedsWriter(errand.request);
        return errand.pipe.end(Done { handle: settle(handle, shared), end });
    };
    if is_to_tend(&handle, shared) {
        handle.part_from_session();
        errand.end(None, end);
        return tend(handle, shared);
    }
    errand.end(settle(handle, shared), end);
}

/// How it ended; `None` if it needs the turn to write first.
fn work(handle: &mut Handle, errand: &Errand) -> Option<End> {
    handle.attend(&errand.control, None);
    let performed = match errand.aim {
        Aim::Run => perform(handle, &errand.request, &errand.options, Some(&errand.pipe)).map(End::Finished),
        Aim::Describe => describe(handle, errand.request.sql(), &errand.options).map(End::Described),
    };
    match performed {
        Ok(end) => Some(end),
        Err(Halt::Failed(error)) => Some(End::Failed(error)),
        Err(Halt::NeedsWriter) => None,
        Err(Halt::TooLong) => unreachable!("there is a pipe"),
    }
}

fn lead(mut handle: Box<Handle>, errand: Errand, shared: &Shared) {
    let mut group = Group::run(&mut handle, errand, shared);
    let unfit = group.take_unfit();
    let is_due = is_to_tend(&handle, shared);
    if unfit.is_empty() && !is_due {
        // Whoever is next begins while these are answered.
        let kept = settle(handle, shared);
        debug_assert!(kept.is_none(), "a group leaves nothing on its connection");
        return group.answer();
    }
    handle.part_from_session();
    group.answer();
    for errand in unfit {
        follow(&mut handle, errand, shared);
    }
    if is_due {
        tend(handle, shared);
    } else {
        settle_answered(handle, shared);
    }
}

/// Runs by itself what did not fit into a group, with the group's turn.
fn follow(handle: &mut Handle, errand: Errand, shared: &Shared) {
    if let Err(error) = shared.verify() {
        return errand.unbegun(None, error);
    }
    let end = work(handle, &errand).expect("whoever leads has the turn");
    handle.part_from_session();
    errand.end(None, end);
}

/// Whether the connection has written, is free, and the log has grown too long.
fn is_to_tend(handle: &Handle, shared: &Shared) -> bool {
    handle.turn.is_some() && handle.is_clean() && !shared.is_exclusive() && shared.log.is_overgrown(handle)
}

/// Shortens the log, before anybody else writes.
fn tend(handle: Box<Handle>, shared: &Shared) {
    shared.log.make_gap(&handle);
    settle_answered(handle, shared);
}

/// Gives a clean connection back whose session has been answered and may be gone. The turn comes
/// free last: who closes the database waits for it.
fn settle_answered(mut handle: Box<Handle>, shared: &Shared) {
    let turn = handle.turn.take();
    let kept = settle(handle, shared);
    debug_assert!(kept.is_none(), "it was clean");
    drop(turn);
}

/// Gives the connection back to the database unless it holds something of the session's.
fn settle(mut handle: Box<Handle>, shared: &Shared) -> Option<Box<Handle>> {
    if handle.settle() != SessionState::Clean {
        return Some(handle);
    }
    shared.give_back(handle);
    None
}
