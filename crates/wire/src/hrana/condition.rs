//! When a step of a batch runs.

/// A condition of a step, on the outcome of the steps before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The step has succeeded.
    Ok(u32),
    /// The step has not succeeded: it failed, or was skipped.
    Error(u32),
    /// The other does not hold.
    Not(Box<Condition>),
    /// All hold; true if there are none.
    And(Vec<Condition>),
    /// One holds; false if there are none.
    Or(Vec<Condition>),
    /// No transaction is open.
    IsAutocommit,
}

impl Condition {
    /// Whether it holds, with `ok` to tell of a step whether it has succeeded.
    pub fn holds(&self, ok: &impl Fn(u32) -> bool, is_autocommit: bool) -> bool {
        match self {
            Self::Ok(step) => ok(*step),
            Self::Error(step) => !ok(*step),
            Self::Not(other) => !other.holds(ok, is_autocommit),
            Self::And(all) => all.iter().all(|each| each.holds(ok, is_autocommit)),
            Self::Or(any) => any.iter().any(|each| each.holds(ok, is_autocommit)),
            Self::IsAutocommit => is_autocommit,
        }
    }

    /// The latest step that it speaks of.
    pub fn latest(&self) -> Option<u32> {
        match self {
            Self::Ok(step) | Self::Error(step) => Some(*step),
            Self::Not(other) => other.latest(),
            Self::And(several) | Self::Or(several) => several.iter().filter_map(Self::latest).max(),
            Self::IsAutocommit => None,
        }
    }
}
