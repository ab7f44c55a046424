//! The PostgreSQL server of the tests: a cluster of its own beneath `target/`, for as long as a verb runs.
//!
//! It is found, made, started and stopped here; nothing of an installed server is touched. Its data
//! directory is kept, so that the next run starts in a moment, and emptied of what tests left behind. It
//! does not wait for the disk (`fsync=off`): tests kill servers, and what a killed process had written the
//! system still has; no test takes the power away.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::run;

/// How tests find the server: a URL with everything in it.
pub(crate) const VARIABLE: &str = "ROWHOUSE_TEST_POSTGRES";

const INSTALL: &str =
    "install PostgreSQL 15 or newer: the tests run a server of their own (Debian: postgresql)";
const HOME: &str = "target/postgres";
const SUPERUSER: &str = "rowhouse_test";
/// The account that runs it where this process is root, which PostgreSQL refuses to be.
const ACCOUNT: &str = "postgres";
/// The longest path of a directory in which a socket still has a name that the system takes.
const MAX_SOCKET_DIRECTORY: usize = 80;

const SETTINGS: &str = "fsync=off full_page_writes=off jit=off max_connections=200 shared_buffers=64MB \
    max_wal_size=512MB wal_level=minimal max_wal_senders=0 log_min_messages=warning \
    listen_addresses=127.0.0.1 ssl=on ssl_cert_file=server.crt ssl_key_file=server.key";

/// Drops whatever tests left behind.
const SWEEP: &str =
    "UPDATE pg_database SET datistemplate = false WHERE datname NOT IN ('template0', 'template1');
    SELECT format('DROP DATABASE %I WITH (FORCE)', datname) FROM pg_database
      WHERE datname NOT IN ('postgres', 'template0', 'template1') \\gexec
    SELECT format('DROP OWNED BY %I CASCADE', rolname) FROM pg_roles
      WHERE rolname !~ '^pg_' AND rolname <> current_user \\gexec
    SELECT format('DROP ROLE %I', rolname) FROM pg_roles
      WHERE rolname !~ '^pg_' AND rolname <> current_user \\gexec";

/// Arguments of `cargo xtask postgres`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// A running server; dropping it stops it.
pub(crate) struct Cluster {
    owner: Owner,
    bin: PathBuf,
    home: PathBuf,
    sockets: PathBuf,
    url: String,
    /// Held as long as the server runs: two runs in one tree take turns.
    _lock: File,
}

/// As whom PostgreSQL's programs run.
#[derive(Clone, Copy)]
enum Owner {
    Ourselves,
    /// Another account, because we are root.
    Account {
        user: u32,
        group: u32,
    },
}

/// Runs a command beside the server, and stops the server when it has ended.
///
/// # Errors
///
/// When the server does not start, or the command fails.
pub(crate) fn run(args: &Args) -> Result<()> {
    let cluster = Cluster::start()?;
    let [name, arguments @ ..] = args.command.as_slice() else { bail!("there is no command") };
    run::run(run::program(name, &[]).args(arguments).envs([cluster.variable()]))
}

// === impl Cluster ===

impl Cluster {
    /// Starts the server, after making its data directory if there is none for this version.
    ///
    /// # Errors
    ///
    /// When PostgreSQL is not installed, or does not start.
    pub(crate) fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// As [`Cluster::start`], but it waits for the disk: what is measured on it is what it costs.
    ///
    /// # Errors
    ///
    /// As of [`Cluster::start`].
    #[cfg_attr(not(feature = "bench"), expect(dead_code, reason = "only benches measure"))]
    pub(crate) fn durable() -> Result<Self> {
        Self::start_with(&["fsync=on", "full_page_writes=on"])
    }

    /// Where it is, as a superuser.
    #[cfg_attr(not(feature = "bench"), expect(dead_code, reason = "only benches ask for it alone"))]
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    fn start_with(more: &[&str]) -> Result<Self> {
        let bin = programs()?;
        let owner = Owner::find()?;
        let home = home(owner)?;
        let lock = File::create(home.join("lock")).context("cannot make the lock of the test cluster")?;
        lock.lock().context("cannot lock the test cluster")?;
        let version = run::output(owner.command(&bin.join("postgres"), &home).arg("--version"))?;
        if !fs::read_to_string(home.join("made-by.txt")).is_ok_and(|made_by| made_by == version) {
            make(owner, &bin, &home).context("cannot make the data directory of the test cluster")?;
            fs::write(home.join("made-by.txt"), version)
                .context("cannot write the stamp of the test cluster")?;
        }
        let sockets = sockets(owner, &home)?;
        let port = free_port()?;
        let password = fs::read_to_string(home.join("password")).context("cannot read the password")?;
        let certificate = home.join("data/server.crt").display().to_string().replace(' ', "%20");
        let url = format!(
            "postgresql://{SUPERUSER}:{password}@127.0.0.1:{port}/postgres?sslrootcert={certificate}"
        );
        let cluster = Self { owner, bin, home, sockets, url, _lock: lock };
        cluster.launch(port, more)?;
        Ok(cluster)
    }

    /// The name of the variable and its value, for who runs tests.
    pub(crate) fn variable(&self) -> (&'static str, &str) {
        (VARIABLE, &self.url)
    }

    /// Starts it, with settings over those of every cluster.
    fn launch(&self, port: u16, more: &[&str]) -> Result<()> {
        // One that a killed run has left, if any.
        run::succeeds(&mut self.control(&["stop", "-m", "immediate"]));
        let sockets = self.sockets.display();
        let mut options = format!("-p {port} -k '{sockets}'");
        for setting in SETTINGS.split_whitespace().chain(more.iter().copied()) {
            options += &format!(" -c {setting}");
        }
        let log = self.home.join("data/server.log");
        let mut start = self.control(&["start", "-w", "--silent", "--log"]);
        start.arg(&log).args(["-o", &options]);
        run::run(&mut start)
            .with_context(|| format!("the test cluster does not start, see {}", log.display()))?;
        let psql = self.bin.join("psql");
        let mut sweep = self.owner.command(&psql, &self.home);
        sweep.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname", &self.url]);
        let script = self.home.join("sweep.sql");
        fs::write(&script, SWEEP).context("cannot write what empties the test cluster")?;
        sweep.arg("--file").arg(&script);
        ensure!(run::succeeds(&mut sweep), "cannot empty the test cluster: remove {}", self.home.display());
        Ok(())
    }

    fn control(&self, arguments: &[&str]) -> Command {
        let mut command = self.owner.command(&self.bin.join("pg_ctl"), &self.home);
        command.arg("--pgdata").arg(self.home.join("data")).args(arguments);
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        run::succeeds(&mut self.control(&["stop", "-w", "-m", "immediate"]));
        // In the temporary directory, where others may tidy up too.
        let _gone = fs::remove_dir_all(&self.sockets);
    }
}

// === impl Owner ===

impl Owner {
    fn find() -> Result<Self> {
        let number = |of: &str, account: &[&str]| -> Result<u32> {
            let printed = run::output(run::program("id", &[of]).args(account))?;
            printed.trim().parse().context("`id` prints no number")
        };
        if number("-u", &[])? != 0 {
            return Ok(Self::Ourselves);
        }
        let missing = || format!("PostgreSQL does not run as root, and there is no account `{ACCOUNT}`");
        let user = number("-u", &[ACCOUNT]).with_context(missing)?;
        Ok(Self::Account { user, group: number("-g", &[ACCOUNT]).with_context(missing)? })
    }

    /// Prepares a program that is run as this, in a directory that it may enter.
    fn command(self, program: &Path, directory: &Path) -> Command {
        let mut command = match self {
            Self::Ourselves => Command::new(program),
            Self::Account { user, group } => {
                let mut command = Command::new("setpriv");
                command.args([format!("--reuid={user}"), format!("--regid={group}")]);
                command.args(["--clear-groups", "--"]).arg(program);
                command
            }
        };
        command.current_dir(directory);
        command
    }

    /// Makes a directory that is this one's alone.
    fn directory(self, path: &Path) -> Result<()> {
        fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
        if let Self::Account { user, group } = self {
            chown(path, Some(user), Some(group))?;
        }
        Ok(())
    }
}

/// Finds the programs of a server: those of `pg_config`, else the newest of Debian's.
fn programs() -> Result<PathBuf> {
    let has_server = |bin: &PathBuf| bin.join("initdb").exists() && bin.join("postgres").exists();
    let told = Command::new("pg_config")
        .arg("--bindir")
        .output()
        .ok()
        .and_then(|output| Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim())));
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().filter_map(|entry| {
        let path = entry.ok()?.path();
        let version: u32 = path.file_name()?.to_str()?.parse().ok()?;
        Some((version, path.join("bin")))
    });
    let mut installed: Vec<_> = installed.filter(|(_, bin)| has_server(bin)).collect();
    installed.sort();
    told.filter(has_server).or_else(|| installed.pop().map(|(_, bin)| bin)).context(INSTALL)
}

/// The directory of the cluster: beneath `target`, or where the other account can reach it.
fn home(owner: Owner) -> Result<PathBuf> {
    let root = run::root();
    let here = root.join(HOME);
    owner.directory(&here)?;
    if run::succeeds(owner.command(Path::new("test"), Path::new("/")).arg("-w").arg(&here)) {
        return Ok(here);
    }
    let name = root.display().to_string().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let elsewhere = std::env::temp_dir().join(format!("rowhouse-postgres{name}"));
    owner.directory(&elsewhere)?;
    Ok(elsewhere)
}

/// A directory for the server's socket, as short as a socket's path must be.
fn sockets(owner: Owner, home: &Path) -> Result<PathBuf> {
    let mut path = home.join("run");
    if MAX_SOCKET_DIRECTORY < path.as_os_str().len() {
        path = std::env::temp_dir().join(format!("rowhouse-pg-{}", std::process::id()));
    }
    owner.directory(&path)?;
    Ok(path)
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("cannot find a free port")?;
    Ok(listener.local_addr()?.port())
}

/// Makes the data directory, with a superuser of a random password and a certificate for 127.0.0.1.
fn make(owner: Owner, bin: &Path, home: &Path) -> Result<()> {
    let data = home.join("data");
    match fs::remove_dir_all(&data) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let random = fs::read("/proc/sys/kernel/random/uuid").or_else(|_| fs::read("/etc/hostname"))?;
    let password: String =
        random.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(|&byte| char::from(byte)).collect();
    let file = home.join("password");
    fs::write(&file, &password)?;
    if let Owner::Account { user, group } = owner {
        chown(&file, Some(user), Some(group))?;
    }
    let mut initdb = owner.command(&bin.join("initdb"), home);
    initdb.args([
        "--username",
        SUPERUSER,
        "--auth=scram-sha-256",
        "--no-sync",
        "--encoding=UTF8",
        "--locale=C",
    ]);
    initdb.arg("--pwfile").arg(&file).arg("--pgdata").arg(&data);
    run::output(&mut initdb).context(INSTALL)?;
    let mut openssl = owner.command(Path::new("openssl"), &data);
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
    openssl.args(["-days", "3650", "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.crt"]);
    openssl.args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext"]);
    openssl.arg("basicConstraints=critical,CA:FALSE");
    ensure!(run::succeeds(&mut openssl), "install openssl: it makes the certificate of the test cluster");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sweep_spares_what_the_server_comes_with() {
        for spared in ["'postgres'", "'template0'", "'template1'", "current_user", "'^pg_'"] {
            assert!(SWEEP.contains(spared), "{spared}");
        }
    }

    #[test]
    fn no_setting_needs_quotes() {
        // They travel through a shell.
        let plain = |c: char| c.is_ascii_alphanumeric() || "=._ ".contains(c);
        assert!(SETTINGS.chars().all(plain), "{SETTINGS}");
    }
}
