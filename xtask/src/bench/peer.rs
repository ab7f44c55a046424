//! The processes that are measured, and what Linux tells of them.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use omq_tokio::CurvePublicKey;

use super::client::{self, Client};
use crate::run;

/// How long a peer may take to answer for the first time.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a peer may take to stop when asked to: thousands of databases are closed one by one.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
/// The name of the echo, which is no server of the protocol.
const ECHO: &str = "ZeroMQ echo";

/// A server process under measurement; killed on drop.
pub(super) struct Peer {
    name: &'static str,
    child: Child,
    address: String,
    /// Where it is managed; of rowhouse only.
    management: Option<SocketAddr>,
    /// Set when it encrypts.
    key: Option<CurvePublicKey>,
}

// === impl Peer ===

impl Peer {
    /// Starts the release build of rowhouse on a folder of databases.
    pub(super) fn rowhouse(folder: &Path, max_connections: u32) -> Result<Self> {
        let (address, management) = (free_address()?, free_socket()?);
        let mut command = start_command(folder, max_connections, &address);
        command.args(["--management-port", &management.port().to_string()]);
        let mut peer = Self::start("rowhouse", command, address)?;
        peer.management = Some(management);
        Ok(peer)
    }

    /// Starts it with HTTP, and returns where it serves that.
    pub(super) fn rowhouse_http(folder: &Path, max_connections: u32) -> Result<(Self, SocketAddr)> {
        let (address, http) = (free_address()?, free_socket()?);
        let mut command = start_command(folder, max_connections, &address);
        command.args(["--management", "false", "--http-address", &http.to_string()]);
        Ok((Self::start("rowhouse", command, address)?, http))
    }

    /// Starts it with HTTP and management, for new databases on PostgreSQL with so many kept ready; returns where
    /// it serves HTTP.
    pub(super) fn rowhouse_on_postgres(
        folder: &Path,
        max_connections: u32,
        (template, spares): (&str, u32),
    ) -> Result<(Self, SocketAddr)> {
        let (address, http, management) = (free_address()?, free_socket()?, free_socket()?);
        let mut command = start_command(folder, max_connections, &address);
        command.args([
            "--management-port",
            &management.port().to_string(),
            "--http-address",
            &http.to_string(),
        ]);
        command.args(["--postgres-spares", &spares.to_string()]).env("DB_RESULTS_DB_TEMPLATE", template);
        let mut peer = Self::start("rowhouse", command, address)?;
        peer.management = Some(management);
        Ok((peer, http))
    }

    /// Starts a floor of HTTP or WebSocket that answers so, and returns where, once it is there.
    pub(super) async fn bare(folder: &Path, floor: &str, answer: &[u8]) -> Result<(Self, SocketAddr)> {
        let (socket, file) = (free_socket()?, folder.join(format!("{floor}.answer")));
        fs::write(&file, answer).with_context(|| format!("cannot write {}", file.display()))?;
        let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
        command.args(["bench", "--bare", floor, &socket.to_string()]).arg(&file);
        let mut peer = Self::start("floor", command, socket.to_string())?;
        let deadline = Instant::now() + START_TIMEOUT;
        while tokio::net::TcpStream::connect(socket).await.is_err() {
            ensure!(Instant::now() < deadline, "the floor {floor} does not listen");
            if let Some(status) = peer.child.try_wait()? {
                bail!("the floor {floor} ended: {status}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok((peer, socket))
    }

    /// Starts it so that each database has a process of its own.
    pub(super) fn rowhouse_by_process(folder: &Path, max_connections: u32) -> Result<Self> {
        let address = free_address()?;
        let mut command = start_command(folder, max_connections, &address);
        command.args(["--isolation", "process"]);
        Self::start("rowhouse, by process", command, address)
    }

    /// Starts it so that it encrypts, with keys made in a folder of their own beneath.
    pub(super) fn rowhouse_encrypted(folder: &Path, max_connections: u32) -> Result<Self> {
        let (address, keys) = (free_address()?, folder.join("keys"));
        let mut keygen = Command::new(program());
        keygen.args(["keygen", "--mode", "server", "--key-id", "server", "--curve-dir"]).arg(&keys);
        ensure!(run::succeeds(&mut keygen), "rowhouse cannot make a pair of keys");
        let file = fs::read_to_string(keys.join("server.key")).context("cannot read the server's key")?;
        let key = public_key(&file).context("the server's key is none")?;
        let mut command = start_command(folder, max_connections, &address);
        command.args(["--curvezmq", "--key-id", "server", "--curve-dir"]).arg(&keys);
        let mut peer = Self::start("rowhouse, encrypted", command, address)?;
        peer.key = Some(key);
        Ok(peer)
    }

    /// Starts the echo: the transport alone, in a process of its own.
    pub(super) fn echo() -> Result<Self> {
        let address = free_address()?;
        let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
        command.args(["bench", "--echo", &address]);
        Self::start(ECHO, command, address)
    }

    /// Starts the sqlite_rx package's own server on one database.
    pub(super) fn sqlite_rx(python: &Path, file: &Path) -> Result<Self> {
        let address = free_address()?;
        let program = "import sys; from sqlite_rx.server import SQLiteServer; \
                       SQLiteServer(bind_address=sys.argv[1], database=sys.argv[2]).run()";
        let mut command = Command::new(python);
        command.args(["-c", program, &address]).arg(file);
        Self::start("sqlite_rx", command, address)
    }

    fn start(name: &'static str, mut command: Command, address: String) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name, child, address, management: None, key: None })
    }

    /// Connects a client to it.
    pub(super) async fn connect(&self) -> Result<Client> {
        Client::connect(&self.address, self.key).await
    }

    /// Returns where it is managed.
    ///
    /// # Panics
    ///
    /// When it is no rowhouse that was started in the clear.
    pub(super) fn management(&self) -> SocketAddr {
        self.management.expect("only rowhouse is managed")
    }

    /// Returns the socket it serves clients on.
    pub(super) fn socket(&self) -> &str {
        self.address.trim_start_matches("tcp://")
    }

    /// Returns whether it answers every request with the request.
    pub(super) fn echoes(&self) -> bool {
        self.name == ECHO
    }

    /// Waits for the first answer; the payload is any that the peer answers.
    pub(super) async fn ready(&mut self) -> Result<()> {
        let client = self.connect().await?;
        let request = client::request("ready", "", "SELECT 1", None)?;
        let deadline = Instant::now() + START_TIMEOUT;
        let mut answer = std::pin::pin!(client.exchange(request));
        loop {
            tokio::select! {
                answer = &mut answer => return answer.map(drop).with_context(|| format!("{} does not answer", self.name)),
                () = tokio::time::sleep(Duration::from_millis(20)) => {}
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended before it answered: {status}", self.name);
            }
            if Instant::now() > deadline {
                bail!("{} gave no answer within {START_TIMEOUT:?}", self.name);
            }
        }
    }

    /// Asks it to stop and waits for its end.
    pub(super) fn stop(mut self) -> Result<()> {
        let pid = self.child.id().to_string();
        run::succeeds(Command::new("kill").args(["-TERM", &pid]));
        let deadline = Instant::now() + STOP_TIMEOUT;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                bail!("{} did not stop within {STOP_TIMEOUT:?}", self.name);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Kills it, whatever it is doing.
    pub(super) fn kill(mut self) -> Result<()> {
        self.child.kill().with_context(|| format!("cannot kill {}", self.name))?;
        self.child.wait()?;
        Ok(())
    }

    /// Returns the processor time it and its children have used, to the kernel's clock tick.
    pub(super) fn cpu(&self) -> Result<Duration> {
        let ticks = self.family("stat", |stat| cpu_ticks(stat).map(u64::from))?;
        Ok(Duration::from_millis(10 * ticks))
    }

    /// Returns the proportional share of memory of it and its children, in KiB.
    pub(super) fn memory(&self) -> Result<u64> {
        self.family("smaps_rollup", pss)
    }

    /// Returns how many file descriptors it and its children hold.
    pub(super) fn descriptors(&self) -> Result<u64> {
        self.processes()?.into_iter().map(|id| entries(&format!("/proc/{id}/fd"))).sum()
    }

    /// Returns how many threads it and its children have.
    pub(super) fn threads(&self) -> Result<u64> {
        self.processes()?.into_iter().map(|id| entries(&format!("/proc/{id}/task"))).sum()
    }

    /// Adds up what Linux tells in a file of each of its processes.
    fn family(&self, file: &str, read: fn(&str) -> Option<u64>) -> Result<u64> {
        let of = |id| {
            let text = fs::read_to_string(format!("/proc/{id}/{file}"))?;
            read(&text).with_context(|| format!("cannot read {file} of a process"))
        };
        self.processes()?.into_iter().map(of).sum()
    }

    /// Its own process, and those it has started.
    fn processes(&self) -> Result<Vec<u32>> {
        let own = self.child.id();
        let mut found = vec![own];
        for task in fs::read_dir(format!("/proc/{own}/task"))? {
            // A thread may end meanwhile.
            let children = fs::read_to_string(task?.path().join("children")).unwrap_or_default();
            found.extend(children.split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
        }
        Ok(found)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Both fail only when it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn entries(folder: &str) -> Result<u64> {
    Ok(fs::read_dir(folder)?.count() as u64)
}

/// Returns the processor time that the calling thread has used, to the nanosecond.
pub(super) fn own_cpu() -> Result<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").context("Linux keeps no schedstat here")?;
    let nanoseconds = text.split_whitespace().next().and_then(|first| first.parse().ok());
    nanoseconds.map(Duration::from_nanos).context("cannot read this thread's time")
}

fn program() -> PathBuf {
    run::root().join("target/release/rowhouse")
}

fn start_command(folder: &Path, max_connections: u32, address: &str) -> Command {
    let mut command = Command::new(program());
    command.args(["start", "0", "--tcp-address", address]).arg("--data-directory").arg(folder);
    command.args(["--auto-connect", "--auto-create", "--max-connections", &max_connections.to_string()]);
    // Thrashing, which a part provokes, is a warning.
    command.args(["--log-level", "error"]);
    command
}

/// Reads the key from the text of a `.key` file.
fn public_key(file: &str) -> Option<CurvePublicKey> {
    let value = file.lines().find_map(|line| line.trim().strip_prefix("public-key"))?;
    CurvePublicKey::from_z85(value.split('"').nth(1)?).ok()
}

/// Finds an address nobody listens on.
fn free_address() -> Result<String> {
    Ok(format!("tcp://{}", free_socket()?))
}

fn free_socket() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no free port")?;
    Ok(listener.local_addr()?)
}

/// Reads user and system time, in ticks of 10 ms, from the text of `/proc/PID/stat`.
fn cpu_ticks(stat: &str) -> Option<u32> {
    // The command's name, in parentheses, may itself hold spaces and parentheses.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// Reads the proportional set size, in KiB, from the text of `/proc/PID/smaps_rollup`.
fn pss(rollup: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_behind_a_hostile_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 12 30 0 0 20 0 3 0 100 1 1";
        assert_eq!(cpu_ticks(stat), Some(42));
        assert_eq!(cpu_ticks("7 (a"), None);
    }

    #[test]
    fn the_key_is_read_from_between_the_quotes() {
        let text = "# Made by \"someone\".\nmetadata\ncurve\n    public-key = \"rt:#0<e4J]&ENTZ0mHq[S?PhQNSsh!StJbY[4Xr.\"\n";
        assert_eq!(public_key(text).unwrap().to_z85(), "rt:#0<e4J]&ENTZ0mHq[S?PhQNSsh!StJbY[4Xr.");
        assert!(public_key("curve\n").is_none());
    }

    #[test]
    fn work_costs_processor_time() {
        let before = own_cpu().unwrap();
        let mut sum = 0_u64;
        while own_cpu().unwrap() == before {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(own_cpu().unwrap() > before);
    }

    #[test]
    fn memory_is_the_proportional_share() {
        assert_eq!(pss("Rss:  900 kB\nPss:     421 kB\nPss_Dirty:  1 kB\n"), Some(421));
        assert_eq!(pss(""), None);
    }
}
