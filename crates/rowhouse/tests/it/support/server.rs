//! A running server.
use super::bounded::{PATIENCE, finish};
use super::home::{Home, text};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output};
use std::sync::mpsc::sync_channel;
use std::thread;

/// The binary, serving; killed on drop.
pub(crate) struct Server {
    child: Option<Child>,
    listens: Listens,
    log: PathBuf,
    _machine: Machine,
}

/// Where a server listens, as it says itself.
#[derive(Default)]
struct Listens {
    sqlite_rx: Option<String>,
    http: Option<String>,
    management: Option<u16>,
}

/// A share in the machine: what measures time has it alone, across all processes of tests.
pub(crate) struct Machine {
    _lock: File,
}

/// Whether these tests run with each database in a process of its own: `cargo xtask test` runs some so.
pub(crate) fn by_processes() -> bool {
    std::env::var_os("ROWHOUSE_TEST_ISOLATION").is_some_and(|isolation| isolation == "process")
}

// === impl Server ===
impl Server {
    /// Starts a server on the data directory of `home`, with more flags.
    pub(crate) fn start(home: &Home, flags: &[&str]) -> Self {
        Self::start_on(Machine::shared(), home, flags)
    }

    /// Starts a server while nobody else has the machine.
    pub(crate) fn start_on(machine: Machine, home: &Home, flags: &[&str]) -> Self {
        let data = home.data();
        let data = data.to_str().expect("temporary directories have plain names");
        let fixed = ["start", "0", "--tcp-address", "tcp://127.0.0.1:0", "--data-directory", data];
        Self::spawn(machine, home, home.command(&[&fixed[..], flags].concat()))
    }

    /// Starts a server by a command of the caller's, which asks for a free port of this machine.
    pub(crate) fn run(home: &Home, command: Command) -> Self {
        Self::spawn(Machine::shared(), home, command)
    }

    fn spawn(machine: Machine, home: &Home, mut command: Command) -> Self {
        let log = home.path().join("stderr.txt");
        command.stderr(File::create(&log).expect("a file of the test's own"));
        if by_processes() {
            command.env("ROWHOUSE_ISOLATION", "process");
        }
        let mut child = command.spawn().expect("the binary was built");
        let stdout = child.stdout.take().expect("it is piped");
        let listens = banner_addresses(stdout).unwrap_or_else(|banner| {
            child.kill().expect("it can be killed");
            let status = child.wait().expect("it can be waited for");
            let log = fs::read_to_string(&log).expect("the file was made above");
            panic!("the server told no address ({status}); it said:\n{banner}{log}")
        });
        Self { child: Some(child), listens, log, _machine: machine }
    }

    /// Where it listens for sqlite_rx.
    pub(crate) fn address(&self) -> &str {
        self.listens.sqlite_rx.as_deref().expect("it serves sqlite_rx")
    }

    /// Where it serves HTTP, such as `http://127.0.0.1:9090`.
    pub(crate) fn http(&self) -> &str {
        self.listens.http.as_deref().expect("it serves HTTP")
    }

    /// Where a database is for libSQL's clients.
    pub(crate) fn database(&self, name: &str) -> String {
        format!("{}/db/{name}/", self.http())
    }

    /// The port on which it is managed.
    pub(crate) fn management(&self) -> u16 {
        self.managed().expect("it is managed")
    }

    /// The port on which it is managed, if it is.
    pub(crate) fn managed(&self) -> Option<u16> {
        self.listens.management
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("it is taken at the end only").id()
    }

    /// Sends it a signal and waits until it has ended.
    pub(crate) fn end(self, signal: Signal) -> Output {
        let child = self.child.as_ref().expect("it is taken at the end only");
        kill_process(Pid::from_child(child), signal).expect("it runs");
        self.ended()
    }

    /// Waits until it has ended, which somebody else asked it to do.
    pub(crate) fn ended(mut self) -> Output {
        let child = self.child.take().expect("it is taken here and on drop only");
        let mut output = finish(child);
        output.stderr = fs::read(&self.log).expect("the file was made at the start");
        output
    }

    /// Ends it as an operator does.
    pub(crate) fn stop(self) {
        let output = self.end(Signal::TERM);
        assert!(output.status.success(), "{}: {}", output.status, text(&output));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ended = child.kill();
            let _status = child.wait();
        }
    }
}

/// Reads the banner as far as it tells what listens where; all of it when it does not tell.
///
/// What follows is read and dropped, so that the server never waits for its reader.
fn banner_addresses(stdout: ChildStdout) -> Result<Listens, String> {
    let (send, receive) = sync_channel(64);
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // Only the banner is listened to.
            let _dropped = send.send(line);
        }
    });
    let (mut banner, mut listens) = (String::new(), Listens::default());
    while let Ok(line) = receive.recv_timeout(PATIENCE) {
        let mut words = line.split_whitespace();
        // A server that listens everywhere is reached here.
        let url = |word: Option<&str>| word.map(|url| url.replace("//0.0.0.0:", "//127.0.0.1:"));
        match words.next() {
            Some("management") => {
                let url = url(words.next()).unwrap_or_default();
                listens.management = url.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
            }
            Some("sqlite_rx") => listens.sqlite_rx = url(words.next()),
            Some("http") => listens.http = url(words.next()),
            // What comes next tells nothing of listeners.
            Some("data") if listens.sqlite_rx.is_some() || listens.http.is_some() => return Ok(listens),
            _ => {}
        }
        banner += &line;
        banner.push('\n');
    }
    Err(banner)
}

// === impl Machine ===

impl Machine {
    /// Beside others that do the same.
    pub(crate) fn shared() -> Self {
        let lock = Self::file();
        lock.lock_shared().expect("the file can be locked");
        Self { _lock: lock }
    }

    /// With no other server of these tests running.
    pub(crate) fn alone() -> Self {
        let lock = Self::file();
        lock.lock().expect("the file can be locked");
        Self { _lock: lock }
    }

    fn file() -> File {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("machine.lock");
        File::create(path).expect("a file in the target directory")
    }
}
