//! Requests that waited for the turn behind each other share one transaction, and so one sync.
//!
//! Invariants: none is answered before all are committed. Each takes effect, or fails, as it would
//! by itself: a statement undoes itself (SQLite's own savepoint), what is more than one statement
//! has a savepoint of ours, and when one takes the whole transaction down with it the others are
//! run again without it. What came in while the file was being replaced is not begun, as it would
//! not be by itself. Nobody waits long for another: a request that runs over the patience of
//! those before it is stopped, and run alone after they have been answered.
use crate::database::Shared;
use crate::errors::{interpret, translate};
use crate::handle::Handle;
use crate::job::{End, Errand};
use crate::perform::{Halt, perform};
use rowhouse_engine::{Chunk, Condition, EngineError, Options};
use rusqlite::ffi;
use std::time::{Duration, Instant};

/// The most requests in one transaction.
const MEMBERS_MAX: usize = 256;

/// How long a transaction takes further requests in: about what one sync takes.
const OPEN_FOR: Duration = Duration::from_millis(5);

/// When a request taken in is stopped, counted from the transaction's begin.
const PATIENCE: Duration = Duration::from_millis(15);

/// Requests run in one transaction.
#[derive(Debug)]
pub(crate) struct Group {
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    errand: Errand,
    state: State,
}

#[derive(Debug)]
enum State {
    /// To be run.
    Waiting,
    /// Has run, well or not; what it did takes effect with the transaction. (A statement may fail
    /// and keep what it did: `OR FAIL`.)
    Ran(Result<Chunk, EngineError>),
    /// Has failed, and changed nothing.
    Failed(EngineError),
    /// Does not fit in here: it takes too long, yields too much, or may break a foreign key. Nothing was done.
    Unfit,
    /// The file was replaced. Nothing was done.
    Unbegun(EngineError),
}

/// The transaction is gone, with all that ran in it.
#[derive(Debug)]
struct Lost;

// === impl Group ===

impl Group {
    /// Runs `first` and those that wait right behind it, and commits.
    pub(crate) fn run(handle: &mut Handle, first: Errand, shared: &Shared) -> Self {
        let mut group = Self { members: vec![Member { errand: first, state: State::Waiting }] };
        handle.grouped = true;
        if let Err(Lost) = group.attempt(handle, shared) {
            while let Err(Lost) = group.repeat(handle, shared) {}
        }
        handle.grouped = false;
        group
    }

    /// Takes out what has to be run alone: one request, or more if what had fitted did not when it
    /// was run once more.
    pub(crate) fn take_unfit(&mut self) -> Vec<Errand> {
        let unfit = self.members.extract_if(.., |member| matches!(member.state, State::Unfit));
        unfit.map(|member| member.errand).collect()
    }

    /// Answers all.
    pub(crate) fn answer(self) {
        for Member { errand, state } in self.members {
            let end = match state {
                State::Ran(Ok(chunk)) => End::Finished(chunk),
                State::Ran(Err(error)) | State::Failed(error) => End::Failed(error),
                State::Unbegun(error) => {
                    errand.unbegun(None, error);
                    continue;
                }
                State::Waiting | State::Unfit => unreachable!("run to the end, and the unfit is taken out"),
            };
            errand.end(None, end);
        }
    }

    /// Runs the first, and takes in who waits behind until it is time to commit.
    fn attempt(&mut self, handle: &mut Handle, shared: &Shared) -> Result<(), Lost> {
        let begun = Instant::now();
        let options = self.members[0].errand.options;
        handle.attend(&self.members[0].errand.control, None);
        handle.unmask();
        let begun_to_write = handle.admit(&options).and_then(|()| {
            handle.as_house("BEGIN IMMEDIATE").map_err(|error| interpret(&error, &handle.control))
        });
        if let Err(error) = begun_to_write {
            self.members[0].state = State::Failed(error);
            return Ok(());
        }
        self.run_member(0, handle, None)?;
        while self.members.len() < MEMBERS_MAX && begun.elapsed() < OPEN_FOR && !self.has_unfit() {
            let turn = handle.turn.as_ref().expect("whoever leads has the turn");
            let Some(guest) = turn.next_guest(|guest| is_alike(guest.options(), &options)) else { break };
            self.members.push(Member { errand: guest.into_errand(), state: State::Waiting });
            self.run_member(self.members.len() - 1, handle, Some(begun + PATIENCE))?;
        }
        self.commit(handle, shared);
        Ok(())
    }

    /// Runs those once more that ran in a transaction that was lost.
    fn repeat(&mut self, handle: &mut Handle, shared: &Shared) -> Result<(), Lost> {
        let Some(first) = self.members.iter().position(|member| matches!(member.state, State::Waiting))
        else {
            return Ok(());
        };
        if let Err(error) = handle.housekeep("BEGIN IMMEDIATE") {
            self.fail_all(&translate(&error));
            return Ok(());
        }
        for at in first..self.members.len() {
            if matches!(self.members[at].state, State::Waiting) {
                self.run_member(at, handle, None)?;
            }
        }
        self.commit(handle, shared);
        Ok(())
    }

    fn run_member(&mut self, at: usize, handle: &mut Handle, patience: Option<Instant>) -> Result<(), Lost> {
        let Member { errand, state } = &mut self.members[at];
        handle.attend(&errand.control, patience);
        let result = perform(handle, &errand.request, &errand.options, None);
        let lost = handle.connection.is_autocommit();
        *state = match result {
            Ok(chunk) => State::Ran(Ok(chunk)),
            Err(Halt::TooLong) => State::Unfit,
            Err(Halt::Failed(EngineError::Statement { condition: Condition::Interrupted, .. }))
                if handle.out_of_patience() =>
            {
                State::Unfit
            }
            Err(Halt::Failed(error)) if lost => State::Failed(error),
            Err(Halt::Failed(error)) => State::Ran(Err(error)),
            Err(Halt::NeedsWriter) => unreachable!("whoever leads has the turn"),
        };
        if !lost {
            return Ok(());
        }
        for member in &mut self.members {
            if matches!(member.state, State::Ran(_)) {
                member.state = State::Waiting;
            }
        }
        Err(Lost)
    }

    fn commit(&mut self, handle: &mut Handle, shared: &Shared) {
        // It was looked at before the first, and others have come since.
        if let Err(error) = shared.verify() {
            undo(handle);
            for member in &mut self.members {
                if !matches!(member.state, State::Unfit) {
                    member.state = State::Unbegun(error.clone());
                }
            }
            return;
        }
        let Err(error) = handle.housekeep("COMMIT") else { return handle.report() };
        undo(handle);
        if is_foreign_key(&error) {
            // Whose it is, is not told: checks may be put off to the end. Alone, each fails by its own.
            for member in &mut self.members {
                if matches!(member.state, State::Ran(_)) {
                    member.state = State::Unfit;
                }
            }
            return;
        }
        self.fail_all(&translate(&error));
    }

    /// None of those that were to take effect does.
    fn fail_all(&mut self, error: &EngineError) {
        for member in &mut self.members {
            if matches!(member.state, State::Ran(Ok(_)) | State::Waiting) {
                member.state = State::Failed(error.clone());
            }
        }
    }

    fn has_unfit(&self) -> bool {
        self.members.last().is_some_and(|member| matches!(member.state, State::Unfit))
    }
}

/// Whether requests of these options may share a transaction.
fn is_alike(one: &Options, other: &Options) -> bool {
    one.policy == other.policy && one.foreign_keys == other.foreign_keys
}

fn is_foreign_key(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    code == Some(ffi::SQLITE_CONSTRAINT_FOREIGNKEY)
}

fn undo(handle: &Handle) {
    if let Err(error) = handle.roll_back() {
        tracing::debug!(%error, "could not undo a group");
    }
}
