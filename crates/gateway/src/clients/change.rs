//! Changes of the limit, and why one is refused.
use crate::journal::Recording;
use std::num::NonZeroU32;

/// A change of the client limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// To this limit.
    Set {
        /// The limit.
        limit: NonZeroU32,
        /// Whether it may be below what is active: then nobody is let in until so many have gone.
        drain: bool,
    },
    /// By so many more.
    Increase(NonZeroU32),
    /// By so many less.
    Decrease {
        /// How many.
        amount: NonZeroU32,
        /// Whether the limit may fall below what is active, as with [`Change::Set`].
        drain: bool,
    },
}

/// A change that is in force.
#[derive(Debug)]
pub struct Changed {
    /// The limit before.
    pub from: NonZeroU32,
    /// The limit now.
    pub to: NonZeroU32,
    /// Clients connected at the moment of the change.
    pub active: u32,
    /// Resolves when the change is safe on disk in the journal.
    pub recording: Recording,
}

/// Why the limit was not changed. Nothing was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// More are connected than the limit asked for.
    #[error("cannot set limit to {requested} when {active} connections are active")]
    SetBelowActive {
        /// The limit asked for.
        requested: u32,
        /// Clients connected.
        active: u32,
        /// The limit in force.
        limit: NonZeroU32,
    },
    /// More are connected than the decrease would leave.
    #[error("cannot decrease limit to {requested} when {active} connections are active")]
    DecreaseBelowActive {
        /// What the decrease would make of the limit; below 0 for more than there is.
        requested: i64,
        /// Clients connected.
        active: u32,
        /// The limit in force.
        limit: NonZeroU32,
    },
    /// Nothing would be left.
    #[error("connection limit must be positive")]
    NotPositive {
        /// What the change would make of the limit.
        requested: i64,
        /// Clients connected.
        active: u32,
        /// The limit in force.
        limit: NonZeroU32,
    },
    /// It is more than any limit may be.
    #[error("connection limit must be at most {}", Change::LIMIT_MAX)]
    TooLarge {
        /// What the change would make of the limit.
        requested: i64,
        /// Clients connected.
        active: u32,
        /// The limit in force.
        limit: NonZeroU32,
    },
}

// === impl Change ===

impl Change {
    /// The greatest limit: what scripts and counters of 32 bits hold.
    pub const LIMIT_MAX: u32 = i32::MAX as u32;

    /// What it makes of the limit in force with so many active.
    pub(crate) fn decide(self, limit: NonZeroU32, active: u32) -> Result<NonZeroU32, ChangeError> {
        let now = i64::from(limit.get());
        let (requested, drain) = match self {
            Self::Set { limit, drain } => (i64::from(limit.get()), drain),
            Self::Increase(amount) => (now + i64::from(amount.get()), true),
            Self::Decrease { amount, drain } => (now - i64::from(amount.get()), drain),
        };
        if requested < i64::from(active) && !drain {
            return Err(match (self, u32::try_from(requested)) {
                (Self::Set { .. }, Ok(requested)) => ChangeError::SetBelowActive { requested, active, limit },
                _ => ChangeError::DecreaseBelowActive { requested, active, limit },
            });
        }
        match u32::try_from(requested).ok().and_then(NonZeroU32::new) {
            Some(to) if to.get() <= Self::LIMIT_MAX => Ok(to),
            _ if requested <= 0 => Err(ChangeError::NotPositive { requested, active, limit }),
            _ => Err(ChangeError::TooLarge { requested, active, limit }),
        }
    }
}

// === impl ChangeError ===

impl ChangeError {
    /// What was asked for, as a limit.
    pub fn requested(&self) -> i64 {
        match *self {
            Self::SetBelowActive { requested, .. } => i64::from(requested),
            Self::DecreaseBelowActive { requested, .. }
            | Self::NotPositive { requested, .. }
            | Self::TooLarge { requested, .. } => requested,
        }
    }

    /// Clients connected when it was refused.
    pub fn active(&self) -> u32 {
        match *self {
            Self::SetBelowActive { active, .. }
            | Self::DecreaseBelowActive { active, .. }
            | Self::NotPositive { active, .. }
            | Self::TooLarge { active, .. } => active,
        }
    }

    /// The limit, which stays in force.
    pub fn limit(&self) -> NonZeroU32 {
        match *self {
            Self::SetBelowActive { limit, .. }
            | Self::DecreaseBelowActive { limit, .. }
            | Self::NotPositive { limit, .. }
            | Self::TooLarge { limit, .. } => limit,
        }
    }
}
