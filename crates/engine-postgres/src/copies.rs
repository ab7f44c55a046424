//! Backups and restores, by PostgreSQL's own programs.
//!
//! Both run as the role of the database: what they read and run is a stranger's, and may have been made so
//! that whoever reads it does what it says. `pg_dump` reads one snapshot while everybody goes on. What is
//! restored gets the name only when it is whole.
use crate::admin::{Admin, is};
use crate::dsn::{Encryption, Host};
use crate::engine::{COMMENT, Inner};
use crate::names::{identifier, literal};
use crate::password::password;
use crate::provision::{self, Origin, Step};
use crate::server::Place;
use crate::wire::Login;
use rowhouse_engine::{Course, EngineError, Over, Restoration, Stage};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::process::Command;

/// How often it is looked whether a copy is to stop.
const LOOK: Duration = Duration::from_millis(50);

/// How long sessions that are ending may take to be gone.
const LEAVING: Duration = Duration::from_secs(5);

/// A file that is removed unless it is finished.
struct Unfinished<'a>(Option<&'a Path>);

/// Copies a database into a new file.
pub(crate) async fn back_up(
    inner: &Inner,
    place: &Place,
    to: &Path,
    course: &Course,
) -> Result<(), EngineError> {
    if course.must_stop() {
        return Err(EngineError::Cancelled);
    }
    if inner.oid(place).await?.is_none() {
        return Err(EngineError::NoSuchDatabase);
    }
    let file = File::create_new(to).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => EngineError::AlreadyExists,
        _ => EngineError::Storage(Arc::new(error)),
    })?;
    let mut unfinished = Unfinished(Some(to));
    course.tell(Stage::Copying, 0, 0);
    // So that its password is the one that is told below.
    let mut welcome = inner.log_in(place).await?;
    let _unheard = welcome.link.terminate().await;
    let mut dump = program(inner, "pg_dump", &inner.tenant(place))?;
    dump.args(["--format=custom", "--no-owner", "--no-privileges", "--no-password"]);
    dump.stdout(file.try_clone().map_err(storage)?);
    run(dump, course).await?.map_err(|said| failed(&said))?;
    course.tell(Stage::Verifying, 0, 0);
    verify(inner, to, course).await?;
    let synced = tokio::task::spawn_blocking(move || file.sync_all()).await;
    synced.map_err(|_panicked| EngineError::Lost)?.map_err(storage)?;
    unfinished.0 = None;
    Ok(())
}

/// Makes a database what a backup holds.
pub(crate) async fn restore(
    inner: &Arc<Inner>,
    place: &Place,
    restoration: Restoration<'_>,
    course: &Course,
) -> Result<(), EngineError> {
    if course.must_stop() {
        return Err(EngineError::Cancelled);
    }
    provision::ready(inner, &place.server).await?;
    let mut admin = place.server.admins.connect().await?;
    provision::lock(&mut admin, &place.name).await?;
    let exists = provision::exists(&mut admin, &place.name).await?;
    match (restoration.over, exists) {
        (Over::Nothing, true) => return Err(EngineError::AlreadyExists),
        (Over::Existing, false) => return Err(EngineError::NoSuchDatabase),
        (Over::Existing, true) => alone(inner, &mut admin, place).await?,
        (Over::Nothing, false) => {}
    }
    course.tell(Stage::Verifying, 0, 0);
    verify(inner, restoration.from, course).await?;
    let unready = inner.names().unready(&place.name);
    provision::lock(&mut admin, &unready).await?;
    let filled = fill(inner, (&mut admin, place), (&unready, restoration.from), course).await;
    let named = match filled {
        Ok(()) => {
            provision::reach(inner, Step::Restored, &place.name)?;
            take_place(inner, &mut admin, (&unready, &place.name)).await
        }
        Err(error) => Err(error),
    };
    if named.is_err() {
        provision::give_up(&mut admin, &unready).await?;
    }
    admin.end().await;
    named
}

/// Makes a database of another name and restores into it.
async fn fill(
    inner: &Inner,
    (admin, place): (&mut Admin<'_>, &Place),
    (unready, from): (&str, &Path),
    course: &Course,
) -> Result<(), EngineError> {
    provision::make(admin, unready, (inner, Origin::Nothing)).await?;
    let sql = provision::stand_in(inner, admin, (unready, &place.name)).await?;
    admin.run(&sql).await?;
    let mut own = place.server.admins.beside(unready).await?;
    provision::furnish(inner, &mut own).await?;
    own.end().await;
    course.tell(Stage::Copying, 0, 0);
    let mut login = place.server.tenant(unready, password(&inner.config.secret, &place.name));
    login.database = unready.to_owned();
    let mut restore = program(inner, "pg_restore", &login)?;
    restore.args([
        "--no-owner",
        "--no-privileges",
        "--no-password",
        "--single-transaction",
        "--exit-on-error",
    ]);
    restore.arg(format!("--dbname={unready}"));
    restore.stdin(File::open(from).map_err(storage)?);
    run(restore, course).await?.map_err(|said| {
        tracing::warn!(%said, "a backup cannot be restored");
        EngineError::BadBackup { reason: "it cannot be restored as it is".to_owned() }
    })
}

/// Gives what was restored its name, and takes that from what had it, in one transaction.
async fn take_place(
    inner: &Inner,
    admin: &mut Admin<'_>,
    (from, to): (&str, &str),
) -> Result<(), EngineError> {
    admin.run(&format!("ALTER DATABASE {} ALLOW_CONNECTIONS false", identifier(from))).await?;
    provision::evict(admin, from).await?;
    let sql = "SELECT oid FROM pg_catalog.pg_database WHERE datname = $1";
    let former = admin.value(sql, &[to]).await?;
    let gone = former.map(|oid| inner.names().own(&format!("dropped~{oid}")));
    let has_role = provision::has_role(inner, admin, to).await?;
    let away = gone.as_ref().map(|gone| format!("{}; ", provision::retirement(has_role, to, gone)));
    let told = inner.names().logical(to).map(|name| literal(&format!("{COMMENT}{name}")));
    let (comment, away) = (told.unwrap_or_else(|| "NULL".to_owned()), away.unwrap_or_default());
    let (from, to) = (identifier(from), identifier(to));
    let renamed = admin
        .run(&format!(
            "{away}COMMENT ON DATABASE {from} IS {comment}; ALTER ROLE {from} RENAME TO {to}; \
             ALTER DATABASE {from} ALLOW_CONNECTIONS true; ALTER DATABASE {from} RENAME TO {to}"
        ))
        .await;
    match renamed {
        Err(error) if is(&error, "55006") => Err(EngineError::InUse),
        Err(error) => Err(error),
        Ok(()) => match gone {
            Some(gone) => provision::give_up(admin, &gone).await,
            None => Ok(()),
        },
    }
}

/// Waits until nobody is connected to the database, if nobody has it open here.
async fn alone(inner: &Inner, admin: &mut Admin<'_>, place: &Place) -> Result<(), EngineError> {
    let until = Instant::now() + LEAVING;
    let sql =
        "SELECT 1 FROM pg_catalog.pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend'";
    while !inner.occupancy.is_open(&place.location()) {
        if !admin.is(sql, &[&place.name]).await? {
            return Ok(());
        }
        if until <= Instant::now() {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(EngineError::InUse)
}

/// Checks that a file is an archive that can be read from its beginning to its end.
async fn verify(inner: &Inner, file: &Path, course: &Course) -> Result<(), EngineError> {
    let mut check = Command::new(path(inner, "pg_restore"));
    // To SQL that nobody reads: so all of it is decompressed.
    check.args(["--file=/dev/null"]).stdin(File::open(file).map_err(storage)?).stdout(Stdio::null());
    run(check, course).await?.map_err(|said| {
        tracing::debug!(%said, "a file is no backup");
        EngineError::BadBackup { reason: "it is no archive of pg_dump".to_owned() }
    })
}

/// Runs a program to its end, unless the course is to stop; what it said if it failed.
async fn run(mut command: Command, course: &Course) -> Result<Result<(), String>, EngineError> {
    command.stderr(Stdio::piped()).kill_on_drop(true);
    let child = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => EngineError::Unsupported { what: "a copy without pg_dump and pg_restore" },
        _ => storage(error),
    })?;
    let mut ended = std::pin::pin!(child.wait_with_output());
    loop {
        match tokio::time::timeout(LOOK, &mut ended).await {
            Ok(output) => {
                let output = output.map_err(storage)?;
                let said = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
                return Ok(if output.status.success() { Ok(()) } else { Err(said()) });
            }
            Err(_elapsed) if course.must_stop() => return Err(EngineError::Cancelled),
            Err(_elapsed) => {}
        }
    }
}

/// Prepares a program that logs in as this. What it must know it reads from its environment, field by field.
fn program(inner: &Inner, name: &str, login: &Login) -> Result<Command, EngineError> {
    let dsn = |login: &Login| inner.config.servers.iter().find(|server| *server.admin.hosts == *login.hosts);
    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    for host in login.hosts.iter() {
        let (host, port) = match host {
            Host::Network { name, port } => (name.clone(), port),
            Host::Unix { directory, port } => (directory.display().to_string(), port),
        };
        hosts.push(host);
        ports.push(port.to_string());
    }
    let mut command = Command::new(path(inner, name));
    command.env("PGHOST", hosts.join(",")).env("PGPORT", ports.join(","));
    command.env("PGUSER", &login.user).env("PGDATABASE", &login.database);
    command.env("PGSSLMODE", if login.tls.is_some() { "verify-full" } else { "disable" });
    if let Some(Encryption::Verified { roots: Some(roots) }) =
        dsn(login).map(|server| &server.admin.encryption)
    {
        command.env("PGSSLROOTCERT", roots);
    }
    if let Some(password) = &login.password {
        let text = std::str::from_utf8(password.reveal());
        command.env("PGPASSWORD", text.map_err(|error| storage(io::Error::other(error)))?);
    }
    Ok(command)
}

fn path(inner: &Inner, name: &str) -> PathBuf {
    inner.config.programs.as_ref().map_or_else(|| PathBuf::from(name), |programs| programs.join(name))
}

fn storage(error: io::Error) -> EngineError {
    EngineError::Storage(Arc::new(error))
}

fn failed(said: &str) -> EngineError {
    tracing::warn!(%said, "a backup failed");
    storage(io::Error::other("pg_dump failed"))
}

// === impl Unfinished ===

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(path) = self.0 {
            // What cannot be removed now is removed by who looks after the directory.
            let _left = std::fs::remove_file(path);
        }
    }
}
