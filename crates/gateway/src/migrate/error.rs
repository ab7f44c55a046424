//! Why a database was not brought to its newest schema.
use rowhouse_engine::{Condition, EngineError};
use rowhouse_types::{ErrorCode, ErrorKind, Reportable};

/// Why a database was not brought to its newest schema. The steps before the one that is named have been applied;
/// of that one nothing has, unless it says otherwise.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MigrateError {
    /// A step failed.
    #[error("V{version}__{name} failed")]
    Step {
        /// Its version.
        version: u64,
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: EngineError,
    },
    /// A step ended the transaction it ran in.
    #[error("V{version}__{name} ended its transaction, and part of it may have been applied")]
    Ended {
        /// Its version.
        version: u64,
        /// Its name.
        name: String,
    },
    /// A step would leave rows that refer to nothing.
    #[error("V{version}__{name} leaves rows in {table} that refer to nothing")]
    ForeignKeys {
        /// Its version.
        version: u64,
        /// Its name.
        name: String,
        /// Where.
        table: String,
    },
    /// A step that runs without a transaction was begun, and nobody knows how far it came.
    #[error("V{version}__{name} was begun without a transaction, and has not ended")]
    Begun {
        /// Its version.
        version: u64,
        /// Its name.
        name: String,
    },
    /// A step is not what it was when it was applied.
    #[error("V{version}__{name} was changed after it was applied ({applied}, now {now})")]
    Changed {
        /// Its version.
        version: u64,
        /// Its name.
        name: String,
        /// The checksum then.
        applied: String,
        /// The checksum now.
        now: String,
    },
    /// A step was applied, and its file is gone.
    #[error("V{version}__{name} was applied, and is not in the directory of migrations")]
    Missing {
        /// Its version.
        version: u64,
        /// Its name.
        name: String,
    },
    /// A step comes before others that were applied.
    #[error("V{version}__{name} is new, and V{after} was applied already")]
    OutOfOrder {
        /// Its version.
        version: u64,
        /// Its name.
        name: String,
        /// What was applied.
        after: u64,
    },
    /// It has had steps that are not known here.
    #[error("it is at V{version}, and the newest migration here is V{newest}")]
    Ahead {
        /// Where it is.
        version: u64,
        /// The newest here.
        newest: u64,
    },
    /// What it says of itself makes no sense.
    #[error("its table rowhouse_migrations {what}")]
    Damaged {
        /// What is wrong.
        what: &'static str,
    },
    /// It could not be worked with.
    #[error("the database could not be worked with")]
    Engine(#[from] EngineError),
}

// === impl MigrateError ===

impl MigrateError {
    /// Whether it will be so again, by this database's own fault or that of the step: nothing but a change of one
    /// of them helps.
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::Step { source, .. } => is_lasting(source),
            Self::Ended { .. } | Self::ForeignKeys { .. } | Self::Damaged { .. } => true,
            Self::Begun { .. }
            | Self::Changed { .. }
            | Self::Missing { .. }
            | Self::OutOfOrder { .. }
            | Self::Ahead { .. }
            | Self::Engine(_) => false,
        }
    }

    /// All that is known of it, for operators.
    pub fn chain(&self) -> String {
        let source = match self {
            Self::Step { source, .. } | Self::Engine(source) => source,
            _ => return self.to_string(),
        };
        format!("{self}: {source}")
    }

    /// The same, and what to do about it.
    pub fn advice(&self) -> String {
        match self.hint() {
            Some(hint) => format!("{}: {hint}", self.chain()),
            None => self.chain(),
        }
    }
}

fn is_lasting(error: &EngineError) -> bool {
    match error {
        EngineError::Statement { condition, .. } => !matches!(
            condition,
            Condition::Busy
                | Condition::Locked
                | Condition::ReadOnly
                | Condition::Full
                | Condition::Io
                | Condition::CannotOpen
                | Condition::NoMemory
                | Condition::Interrupted
                | Condition::Permission
                | Condition::Protocol
        ),
        EngineError::Misuse(_) => true,
        _ => false,
    }
}

impl Reportable for MigrateError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Engine(source) => source.kind(),
            Self::Step { source, .. } if !is_lasting(source) => source.kind(),
            _ => ErrorKind::Engine,
        }
    }

    fn code(&self) -> ErrorCode {
        match self {
            Self::Engine(source) => source.code(),
            Self::Step { source, .. } if !is_lasting(source) => source.code(),
            _ => ErrorCode::MigrationFailed,
        }
    }

    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Step { source, .. } if !is_lasting(source) => "try again",
            Self::Step { .. } | Self::ForeignKeys { .. } => {
                "mend the migration, or the database, and run `rowhouse migrate up` again"
            }
            Self::Ended { .. } | Self::Begun { .. } => {
                "look what of it is there, undo it or write it so that it can run twice, and run `rowhouse migrate up --retry-begun`"
            }
            Self::Changed { .. } => "put the file back as it was, and write a new migration",
            Self::Missing { .. } => "put the file back",
            Self::OutOfOrder { .. } => "give it a number above all that were applied",
            Self::Ahead { .. } => "use the newer directory of migrations",
            Self::Damaged { .. } => "restore the database from a backup, or mend the table by hand",
            Self::Engine(source) => return source.hint(),
        };
        Some(text.to_owned())
    }

    /// What a stranger reads names no SQL of the operator's.
    fn public_message(&self) -> String {
        match self {
            Self::Engine(source) => source.public_message(),
            Self::Step { version, .. }
            | Self::Ended { version, .. }
            | Self::ForeignKeys { version, .. }
            | Self::Begun { version, .. }
            | Self::Changed { version, .. }
            | Self::Missing { version, .. }
            | Self::OutOfOrder { version, .. } => {
                format!("the database could not be migrated: V{version} is in the way")
            }
            Self::Ahead { .. } | Self::Damaged { .. } => "the database could not be migrated".to_owned(),
        }
    }
}
