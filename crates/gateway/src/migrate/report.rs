//! What is told of a run over many databases, while it goes on and when it has ended.
use super::fingerprint::Difference;
use rowhouse_types::Target;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

/// The most databases that are told of one by one; the others are counted.
pub const MAX_FINDINGS: usize = 1000;

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// To tell how far each database is.
    Status,
    /// To bring each to the newest schema.
    Up,
    /// To look whether each has the schema it should have.
    Verify,
}

/// How many databases are found to be what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Databases there are.
    pub total: u64,
    /// Looked at.
    pub done: u64,
    /// At the newest schema; for [`Errand::Verify`], and equal to what they should be.
    pub up_to_date: u64,
    /// Brought there by this run.
    pub migrated: u64,
    /// Not there yet.
    pub behind: u64,
    /// With steps that are not known here.
    pub ahead: u64,
    /// That could not be brought there, or looked at.
    pub failed: u64,
    /// With another schema than they should have.
    pub different: u64,
}

/// What is told of one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub target: Target,
    /// What it is found to be.
    pub what: What,
}

/// What a database is found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Not at the newest schema.
    Behind {
        /// Where it is.
        at: u64,
        /// The newest.
        newest: u64,
    },
    /// With steps that are not known here.
    Ahead {
        /// Why, and what to do.
        why: String,
    },
    /// It could not be brought there, or looked at.
    Failed {
        /// Why, and what to do.
        why: String,
        /// Whether it is not to be used until that is mended.
        quarantined: bool,
    },
    /// With another schema than it should have.
    Different {
        /// Where, at most so many.
        parts: Vec<Difference>,
        /// In how many parts.
        count: u64,
    },
}

/// A run, as it is now.
#[derive(Clone, Debug)]
pub struct Report {
    /// What it is for.
    pub errand: Errand,
    /// When it began.
    pub began: SystemTime,
    /// How long it has taken.
    pub took: Duration,
    /// Whether it has ended, and how.
    pub end: Option<End>,
    /// How many databases are found to be what.
    pub tally: Tally,
    /// Those that are not as they should be, by name; at most [`MAX_FINDINGS`].
    pub findings: Vec<Finding>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Every database was looked at.
    Complete,
    /// It was stopped before; what was done is done.
    Stopped,
    /// It could not be done at all.
    Failed(String),
}

/// Where a run notes what it finds.
#[derive(Debug)]
pub(super) struct Notes {
    errand: Errand,
    began: SystemTime,
    started: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    tally: Tally,
    findings: Vec<Finding>,
    ended: Option<(End, Duration)>,
}

/// What a run found of one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    UpToDate,
    Migrated,
    Not(What),
}

// === impl Tally ===

impl Tally {
    /// Whether every database is as it should be.
    pub fn is_well(&self) -> bool {
        self.behind + self.ahead + self.failed + self.different == 0
    }
}

// === impl Errand ===

impl Errand {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Up => "up",
            Self::Verify => "verify",
        }
    }
}

// === impl Notes ===

impl Notes {
    pub(super) fn new(errand: Errand) -> Self {
        let (began, started) = (SystemTime::now(), Instant::now());
        Self { errand, began, started, state: Mutex::default() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("never panics while locked")
    }

    pub(super) fn expect(&self, total: usize) {
        self.state().tally.total = total as u64;
    }

    pub(super) fn add(&self, target: Target, found: Found) {
        let mut state = self.state();
        let tally = &mut state.tally;
        tally.done += 1;
        let what = match found {
            Found::UpToDate => {
                tally.up_to_date += 1;
                return;
            }
            Found::Migrated => {
                tally.migrated += 1;
                return;
            }
            Found::Not(what) => what,
        };
        *match &what {
            What::Behind { .. } => &mut tally.behind,
            What::Ahead { .. } => &mut tally.ahead,
            What::Failed { .. } => &mut tally.failed,
            What::Different { .. } => &mut tally.different,
        } += 1;
        if state.findings.len() < MAX_FINDINGS {
            state.findings.push(Finding { target, what });
        }
    }

    pub(super) fn end(&self, end: End) {
        let took = self.started.elapsed();
        let mut state = self.state();
        state.findings.sort_by(|a, b| a.target.cmp(&b.target));
        state.ended = Some((end, took));
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state().ended.is_some()
    }

    pub(super) fn report(&self) -> Report {
        let state = self.state();
        let (end, took) = match &state.ended {
            Some((end, took)) => (Some(end.clone()), *took),
            None => (None, self.started.elapsed()),
        };
        let State { tally, findings, .. } = &*state;
        Report {
            errand: self.errand,
            began: self.began,
            took,
            end,
            tally: *tally,
            findings: findings.clone(),
        }
    }
}
