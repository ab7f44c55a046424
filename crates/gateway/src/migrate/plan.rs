//! The steps that lead to the newest schema, in order.
//!
//! Invariant: versions rise. The mark of a step covers it and all before it: two databases with the same mark at
//! their head have had the same steps.
use rowhouse_engine::Dialect;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::sync::Arc;

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its number.
    pub version: u64,
    /// What it is called.
    pub name: String,
    /// What it runs.
    pub(crate) sql: Arc<str>,
    /// SHA-256 of that, in hexadecimal.
    pub checksum: String,
    /// How it is run.
    pub(crate) manner: Manner,
    /// Covers this step and all before it.
    pub(crate) mark: String,
}

/// How a step is run, as the first line of its file says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manner {
    /// Its statements one by one, each for itself.
    pub(crate) piecemeal: bool,
    /// Without foreign keys being enforced; they are checked at its end.
    pub(crate) loose_keys: bool,
}

/// The steps for databases that speak one dialect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    steps: Vec<Step>,
}

// === impl Plan ===

impl Plan {
    /// Adds a step after all others.
    pub(super) fn push(&mut self, version: u64, name: &str, (sql, manner): (Arc<str>, Manner)) {
        debug_assert!(self.version() < version, "versions rise");
        let checksum = hex(&Sha256::digest(sql.as_bytes()));
        let mark = Self::mark_after(self.steps.last().map(|step| step.mark.as_str()), version, &checksum);
        self.steps.push(Step { version, name: name.to_owned(), sql, checksum, manner, mark });
    }

    /// The mark of a step that comes after one of this mark.
    pub(super) fn mark_after(before: Option<&str>, version: u64, checksum: &str) -> String {
        let text = format!("{}\n{version}\n{checksum}\n", before.unwrap_or_default());
        hex(&Sha256::digest(text.as_bytes()))
    }

    /// All steps.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The newest version; 0 if there is none.
    pub fn version(&self) -> u64 {
        self.steps.last().map_or(0, |step| step.version)
    }

    /// How many steps lead to this mark, if they lead there.
    pub(super) fn position(&self, mark: &str) -> Option<usize> {
        self.steps.iter().rposition(|step| step.mark == mark).map(|at| at + 1)
    }

    /// What tells this plan from another.
    pub(super) fn mark(&self) -> &str {
        self.steps.last().map_or("", |step| &step.mark)
    }
}

/// Steps for each dialect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plans {
    pub(super) sqlite: Plan,
    pub(super) postgres: Plan,
}

// === impl Plans ===

impl Plans {
    /// The steps for databases that speak it.
    pub fn of(&self, dialect: Dialect) -> &Plan {
        match dialect {
            Dialect::Sqlite => &self.sqlite,
            Dialect::Postgres => &self.postgres,
        }
    }

    pub(super) fn of_mut(&mut self, dialect: Dialect) -> &mut Plan {
        match dialect {
            Dialect::Sqlite => &mut self.sqlite,
            Dialect::Postgres => &mut self.postgres,
        }
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("text grows");
        text
    })
}
