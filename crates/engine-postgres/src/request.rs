//! What a request becomes on its way to the server.
use crate::session::{Intent, Session, Status};
use crate::sql::{Calls, Nature, Placed, statements};
use crate::values::argument;
use bytes::Bytes;
use rowhouse_engine::{Condition, EngineError, Misuse, Options, SqlPolicy, native};
use rowhouse_types::Arguments;

/// One statement, ready to be sent.
#[derive(Debug)]
pub(crate) struct Statement<'a> {
    pub(crate) placed: Placed<'a>,
    pub(crate) nature: Nature,
    pub(crate) guard: Guard,
    /// Whether it is committed only when its whole result has been looked at.
    pub(crate) held: bool,
}

/// What keeps a statement from writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guard {
    /// Nothing.
    None,
    /// It runs in a transaction of its own that only reads.
    Around,
    /// The transaction that is open only reads from now on.
    Within,
}

/// Why nothing may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ban {
    Policy,
    /// The database is at its bound.
    Quota(u64),
}

// === impl Statement ===

impl<'a> Statement<'a> {
    /// Reads one statement of a request; `None` for blank text.
    ///
    /// # Errors
    ///
    /// When there are several, or the policy forbids it.
    pub(crate) fn one(text: &'a str, options: &Options) -> Result<Option<Self>, EngineError> {
        if text.contains('\0') {
            return Err(Misuse::NullCharacter.into());
        }
        let all = statements(text);
        match all.as_slice() {
            [] => Ok(None),
            [one] => Self::new(one, options).map(Some),
            _ => Err(Misuse::MultipleStatements.into()),
        }
    }

    pub(crate) fn new(text: &'a str, options: &Options) -> Result<Self, EngineError> {
        let nature = Nature::of(text);
        if options.policy == SqlPolicy::Guarded && nature.removes {
            return Err(denied());
        }
        let is_bounded = options.max_rows.is_some() || options.max_bytes.is_some();
        let held = nature.yields && (is_bounded || nature.first == "COPY");
        Ok(Self { placed: Placed::new(text), nature, guard: Guard::None, held })
    }

    /// Keeps it from writing if there is a ban, in whatever way the session's state asks for.
    pub(crate) fn guarded(mut self, ban: Option<Ban>, session: &Session) -> Self {
        let frees = matches!(self.nature.first.as_str(), "DELETE" | "DROP" | "TRUNCATE" | "VACUUM");
        self.guard = match (ban, session.status()) {
            (None, _) | (_, Status::Failed) => Guard::None,
            (Some(Ban::Quota(_)), _) if frees => Guard::None,
            // Whoever begins a transaction writes nothing by it; each statement in it is looked at.
            (Some(_), Status::Idle) if self.nature.begins_transaction() => Guard::None,
            (Some(_), Status::Idle) => Guard::Around,
            (Some(_), Status::Open) => Guard::Within,
        };
        self
    }

    pub(crate) fn intent(&self) -> Intent {
        let tainted = self.nature.calls != Calls::Harmless;
        Intent { stateful: self.nature.is_stateful(), tainted }
    }

    /// The arguments as they are sent.
    pub(crate) fn bind(&self, arguments: &Arguments) -> Result<Vec<Option<Bytes>>, Misuse> {
        Ok(self.placed.arguments(arguments)?.into_iter().map(argument).collect())
    }

    /// Rows that are reported as affected by it, of those the server has counted.
    pub(crate) fn affected(&self, changed: u64) -> Option<u64> {
        self.nature.counts().then_some(changed)
    }
}

// === impl Ban ===

impl Ban {
    /// What an error is for who met with the ban.
    pub(crate) fn tell(self, error: EngineError) -> EngineError {
        const READ_ONLY: &str = "25006";
        const NOT_IN_A_TRANSACTION: &str = "25001";
        match error {
            EngineError::Statement { native: code, .. }
                if code == native(READ_ONLY) || code == native(NOT_IN_A_TRANSACTION) =>
            {
                match self {
                    Self::Policy => EngineError::MayNotWrite,
                    Self::Quota(limit) => EngineError::QuotaReached { limit },
                }
            }
            other => other,
        }
    }
}

fn denied() -> EngineError {
    let message = "not authorized".to_owned();
    EngineError::Statement { condition: Condition::Denied, message, native: native("42501") }
}
