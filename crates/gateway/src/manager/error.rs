//! Why there is no session with a database.
use crate::connect::ConnectError;
use crate::metadata::MetadataError;
use crate::registry::OpenError;
use rowhouse_engine::EngineError;
use rowhouse_types::{DatabaseName, ErrorCode, ErrorKind, Reportable};

/// Why there is no session with a database.
///
/// The code, the kind and what to do next are those of the cause, so that a failure has one code whichever way
/// it is met. No text of it holds a DSN, a password or a path.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DatabaseError {
    /// An organization's database was not there and could not be made.
    #[error(transparent)]
    Provisioning(#[from] DatabaseProvisioningError),
    /// A database is there, or may be, and no connection to it could be had.
    #[error(transparent)]
    Connection(#[from] DatabaseConnectionError),
    /// There is no such organization, and it is not to be made.
    #[error(transparent)]
    OrganizationNotFound(#[from] OrganizationNotFoundError),
}

/// An organization's database was not there and could not be made.
#[derive(Clone, Debug, thiserror::Error)]
#[error("Cannot create database for org {org_id}")]
pub struct DatabaseProvisioningError {
    /// Whose.
    pub org_id: DatabaseName,
    /// Why.
    #[source]
    pub source: ConnectError,
}

/// No connection to a database could be had.
#[derive(Clone, Debug, thiserror::Error)]
#[error("Cannot connect to {}", of(org_id.as_ref()))]
pub struct DatabaseConnectionError {
    /// Whose; the metadata database if nobody's.
    pub org_id: Option<DatabaseName>,
    /// Why.
    #[source]
    pub source: Unreachable,
}

/// There is no such organization, or none whose database may be made by naming it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("There is no database for org {org_id}")]
pub struct OrganizationNotFoundError {
    /// Which.
    pub org_id: DatabaseName,
    /// Why not.
    #[source]
    pub source: ConnectError,
}

/// Why no connection to a database could be had.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Unreachable {
    /// An organization's.
    #[error(transparent)]
    Organization(#[from] ConnectError),
    /// The metadata database.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// This gateway has no metadata database.
    #[error("there is no metadata database")]
    NoMetadata,
}

// === impl DatabaseError ===

impl DatabaseError {
    /// What it means that the database of this organization could not be had.
    pub(crate) fn of(org_id: &DatabaseName, source: ConnectError) -> Self {
        let org_id = org_id.clone();
        match &source {
            ConnectError::Open(OpenError::Engine(error) | OpenError::Create(error)) if is_missing(error) => {
                OrganizationNotFoundError { org_id, source }.into()
            }
            ConnectError::Open(
                OpenError::NotFound | OpenError::CreationNotAllowed | OpenError::MayNotCreate,
            ) => OrganizationNotFoundError { org_id, source }.into(),
            ConnectError::Open(
                OpenError::Create(_) | OpenError::Migration(_) | OpenError::TooFast { .. },
            ) => DatabaseProvisioningError { org_id, source }.into(),
            _ => DatabaseConnectionError { org_id: Some(org_id), source: source.into() }.into(),
        }
    }

    /// What it comes from.
    fn cause(&self) -> Option<&dyn Reportable> {
        match self {
            Self::Provisioning(DatabaseProvisioningError { source, .. })
            | Self::OrganizationNotFound(OrganizationNotFoundError { source, .. }) => Some(source),
            Self::Connection(DatabaseConnectionError { source, .. }) => match source {
                Unreachable::Organization(source) => Some(source),
                Unreachable::Metadata(source) => Some(source),
                Unreachable::NoMetadata => None,
            },
        }
    }
}

/// The metadata database cannot be used.
impl From<MetadataError> for DatabaseError {
    fn from(source: MetadataError) -> Self {
        DatabaseConnectionError { org_id: None, source: source.into() }.into()
    }
}

impl Reportable for DatabaseError {
    fn kind(&self) -> ErrorKind {
        self.cause().map_or(ErrorKind::Internal, Reportable::kind)
    }

    fn code(&self) -> ErrorCode {
        self.cause().map_or(ErrorCode::Internal, Reportable::code)
    }

    fn hint(&self) -> Option<String> {
        self.cause().and_then(Reportable::hint)
    }

    /// Who names an organization that is not there, or may not be made, is told one text whatever the reason.
    fn public_message(&self) -> String {
        match self {
            Self::OrganizationNotFound(_) => "there is no such database".to_owned(),
            Self::Provisioning(_) | Self::Connection(_) => {
                self.cause().map_or_else(|| "internal error".to_owned(), Reportable::public_message)
            }
        }
    }
}

/// Whether an engine says that there is none of this name.
fn is_missing(error: &EngineError) -> bool {
    matches!(error, EngineError::NoSuchDatabase | EngineError::NameTaken)
}

fn of(org_id: Option<&DatabaseName>) -> String {
    org_id
        .map_or_else(|| "the metadata database".to_owned(), |org_id| format!("the database of org {org_id}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::places::PlaceError;
    use crate::pool::AcquireError;
    use std::error::Error as _;
    use std::num::NonZeroU32;

    fn of(source: impl Into<ConnectError>) -> DatabaseError {
        DatabaseError::of(&"acme".parse().expect("a name"), source.into())
    }

    #[test]
    fn each_failure_is_one_of_three_kinds_and_has_the_code_it_has_everywhere() {
        let rate = NonZeroU32::MIN;
        for (source, text, code) in [
            (OpenError::NotFound, "There is no database for org acme", "database_not_found"),
            (OpenError::CreationNotAllowed, "There is no database for org acme", "creation_not_allowed"),
            (OpenError::MayNotCreate, "There is no database for org acme", "creation_not_allowed"),
            (OpenError::Engine(EngineError::NameTaken), "There is no database for org acme", "name_taken"),
            (OpenError::Create(EngineError::NameTaken), "There is no database for org acme", "name_taken"),
            (OpenError::Create(EngineError::Lost), "Cannot create database for org acme", "internal"),
            (OpenError::TooFast { rate }, "Cannot create database for org acme", "creation_rate_limited"),
            (OpenError::Engine(EngineError::Lost), "Cannot connect to the database of org acme", "internal"),
            (
                OpenError::Place(PlaceError::Suspended),
                "Cannot connect to the database of org acme",
                "database_suspended",
            ),
            (OpenError::ShuttingDown, "Cannot connect to the database of org acme", "shutting_down"),
        ] {
            let error = of(source);
            assert_eq!((error.to_string().as_str(), error.code().as_str()), (text, code));
            assert!(error.source().is_some(), "{error}");
        }
        let busy = of(AcquireError::QueueFull { limit: 3 });
        assert_eq!((busy.code(), busy.kind()), (ErrorCode::QueueFull, ErrorKind::Overloaded));
        let metadata = DatabaseError::from(MetadataError::Damaged { what: "a row" });
        assert_eq!(metadata.to_string(), "Cannot connect to the metadata database");
    }

    #[test]
    fn strangers_are_told_of_a_missing_one_in_one_text() {
        let texts = [OpenError::NotFound, OpenError::MayNotCreate, OpenError::Create(EngineError::NameTaken)];
        for error in texts.map(of) {
            assert_eq!(error.public_message(), "there is no such database");
        }
    }
}
