//! PostgreSQL in the life of the server: the engine, what the passwords of roles are derived from, and what
//! is made ready in the background.
//!
//! Invariant: nothing waits for a server of PostgreSQL's but what is asked of its databases; one that is down
//! keeps nobody from being served who does not need it.
use crate::config::{Postgres, SecretFile};
use rowhouse_access::{FileError, read_secret};
use rowhouse_engine_postgres::{Config, EngineConfigError, PostgresEngine, Secret};
use rowhouse_gateway::migrate::Fleet;
use rowhouse_gateway::{Event, Observer};
use rowhouse_sync::Drain;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The fewest characters of what passwords are derived from.
pub(crate) const SECRET_MIN: usize = 32;

/// When what could not be made ready is tried again at first, and at most from one time to the next.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// How long what the engine has begun in the background may take to end with the server.
const PARTING: Duration = Duration::from_secs(10);

/// Databases cannot be had in PostgreSQL.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// What passwords are derived from cannot be read.
    #[error(transparent)]
    Secret(#[from] FileError),
    /// It is too short to be one.
    #[error("{} has fewer than {SECRET_MIN} characters: make one with `openssl rand -hex 32`", .0.display())]
    Short(PathBuf),
    /// It cannot be made.
    #[error("cannot make {}", path.display())]
    Make {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The servers cannot be spoken with.
    #[error("cannot use PostgreSQL")]
    Engine(#[from] EngineConfigError),
}

/// The engine of this configuration. Nothing is connected to yet.
///
/// # Errors
///
/// When what passwords are derived from cannot be had, or TLS cannot be spoken.
pub(crate) fn engine(postgres: &Postgres) -> Result<Arc<PostgresEngine>, PostgresError> {
    let server = postgres.servers.first().ok_or(EngineConfigError::NoServer)?;
    let config = Config::new(server.admin.clone(), postgres.names.clone(), secret(&postgres.secret)?);
    let engine = PostgresEngine::new(Config {
        servers: postgres.servers.clone(),
        administrators: postgres.administrators,
        spares: postgres.spares,
        role_connections: postgres.role_connections,
        programs: postgres.programs.clone(),
        ..config
    })?;
    Ok(Arc::new(engine))
}

/// Makes ready what databases are made from and the spares, and tries again until that is done.
pub(crate) async fn prepare(
    (engine, fleet): (Arc<PostgresEngine>, Fleet),
    observer: Arc<dyn Observer>,
    drain: Drain,
) {
    let name = rowhouse_engine::Engine::name(&*engine);
    let started = Instant::now();
    let (mut again_in, longest) = AGAIN;
    loop {
        let prepared = tokio::select! {
            // Before there are spares, which are made from it.
            prepared = async {
                fleet.lay_groundwork().await;
                engine.prepare().await
            } => prepared,
            () = drain.draining() => return,
        };
        let Err(error) = prepared else {
            return observer.observe(&Event::EngineReady { engine: name, took: started.elapsed() });
        };
        observer.observe(&Event::EngineNotReady { engine: name, error: &error, again_in });
        tokio::select! {
            () = tokio::time::sleep(again_in) => {}
            () = drain.draining() => return,
        }
        again_in = (again_in * 2).min(longest);
    }
}

/// Waits until what was begun in the background has ended; what takes long is done after the next start.
pub(crate) async fn shut_down(engine: &PostgresEngine) {
    let _unfinished = tokio::time::timeout(PARTING, engine.shut_down()).await;
}

/// What the passwords of roles are derived from.
fn secret(file: &SecretFile) -> Result<Secret, PostgresError> {
    let path = match file {
        SecretFile::Given(path) => path,
        SecretFile::Made(path) => {
            if !path.exists() {
                make(path).map_err(|source| PostgresError::Make { path: path.clone(), source })?;
            }
            path
        }
    };
    let text = read_secret(path)?;
    match text.trim() {
        short if short.len() < SECRET_MIN => Err(PostgresError::Short(path.clone())),
        text => Ok(Secret::new(text)),
    }
}

/// Written beside and linked, so that nobody finds half of it, and who makes one at the same time finds this
/// one or makes this one find its own.
fn make(path: &Path) -> io::Result<()> {
    let directory = path.parent().ok_or(io::ErrorKind::NotFound)?;
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let beside = path.with_extension(format!("new.{}", std::process::id()));
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut new = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    let linked =
        writeln!(new, "{text}").and_then(|()| new.sync_all()).and_then(|()| {
            match std::fs::hard_link(&beside, path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                linked => linked,
            }
        });
    std::fs::remove_file(&beside)?;
    linked?;
    std::fs::File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn the_secret_is_made_once_and_stays() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join(".rowhouse/postgres.secret");
        let first = secret(&SecretFile::Made(path.clone())).expect("is made");
        assert!(first == secret(&SecretFile::Made(path.clone())).expect("is there"));
        assert!(first == secret(&SecretFile::Given(path.clone())).expect("is there"));
        assert_eq!(path.metadata().expect("is there").mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(home.path().join(".rowhouse")).expect("is there").count(), 1);
        std::fs::remove_file(&path).expect("removed");
        assert!(first != secret(&SecretFile::Made(path)).expect("is made"), "another one is another one");
    }

    #[test]
    fn a_secret_that_is_given_is_there_and_long_and_nobody_elses() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("secret");
        let given = SecretFile::Given(path.clone());
        assert!(matches!(secret(&given), Err(PostgresError::Secret(FileError::Read { .. }))));
        std::fs::write(&path, "0123456789").expect("writable");
        assert!(matches!(secret(&given), Err(PostgresError::Secret(FileError::Open { .. }))));
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("ours");
        assert!(matches!(secret(&given), Err(PostgresError::Short(_))));
    }
}
