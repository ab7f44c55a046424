//! What every database should be: what the migrations make of nothing, in a database that is made for it.
use super::error::MigrateError;
use super::fingerprint::{Difference, Schema};
use super::fleet::{Run, Subject};
use super::report::{Found, What};
use super::runner::Runner;
use rowhouse_engine::{Connection, Database, Dialect, EngineError, Location};

/// The most differences of one database that are told.
const MAX_DIFFERENCES: usize = 20;

/// The name of the database that is made for it, where it needs one. It is none of those that are looked at.
pub(super) const REFERENCE: &str = "rowhouse-reference";

// === impl Run ===

impl Run {
    /// Looks whether the schema is what the migrations make of nothing.
    pub(super) async fn compare(
        &self,
        dialect: Dialect,
        connection: &mut dyn Connection,
    ) -> Result<Found, MigrateError> {
        let reference = self.references[usize::from(dialect == Dialect::Postgres)]
            .get_or_init(|| self.reference(dialect))
            .await;
        let expected = reference.as_ref().map_err(Clone::clone)?;
        let found = Schema::read(connection, dialect).await?;
        // The metadata database has tables of the server's own, too.
        let only_missing = self.order.subject == Subject::Metadata;
        let mut differences =
            found.differences(expected).filter(|each| !only_missing || each.expected.is_some());
        let parts: Vec<Difference> = differences.by_ref().take(MAX_DIFFERENCES).collect();
        if parts.is_empty() {
            return Ok(Found::UpToDate);
        }
        let count = (parts.len() + differences.count()) as u64;
        Ok(Found::Not(What::Different { parts, count }))
    }

    /// What the migrations make of nothing.
    async fn reference(&self, dialect: Dialect) -> Result<Schema, MigrateError> {
        let engine = &self.gateway().shared.engine;
        let at = match dialect {
            Dialect::Sqlite => Location(":memory:".to_owned()),
            Dialect::Postgres => {
                let at = engine.locate(&REFERENCE.parse().expect("it is a name"));
                if let Err(EngineError::AlreadyExists) = engine.create(&at).await {
                    // Left by a process that was killed.
                    engine.destroy(&at).await?;
                    engine.create(&at).await?;
                }
                at
            }
        };
        let database = engine.open(&at).await?;
        let made = match database.dialect() == dialect {
            true => self.make(dialect, &*database).await,
            // The metadata database is of a kind that no other is.
            false => Err(EngineError::Unsupported { what: "making a database to compare with" }.into()),
        };
        database.close().await?;
        if dialect == Dialect::Postgres {
            engine.destroy(&at).await?;
        }
        made
    }

    async fn make(&self, dialect: Dialect, database: &dyn Database) -> Result<Schema, MigrateError> {
        let mut connection = database.connect().await?;
        let plan = self.plans.of(dialect);
        let brought = Runner { plan, dialect, retry_begun: false }.bring(&mut *connection).await;
        let schema = match brought {
            Ok(_brought) => Schema::read(&mut *connection, dialect).await.map_err(MigrateError::from),
            Err(error) => Err(error),
        };
        connection.close().await;
        schema
    }
}
