//! Every command and example in the documentation runs, page by page, as a reader would.
//!
//! A page's blocks of `sh` and `python` run in order in one directory that has the repository's entries and the
//! program's names in it. A block that starts a server leaves it to those that follow, on a free port in
//! place of 5000; 9090 and 10090 are its main port and its management port, and HTTP is asked at localhost:9090. A block of `text` right after one of `sh` is what that prints. What cannot run says why:
//! `<!-- not run: REASON -->` on the line before.
use crate::support::{Home, Python, Server, finish, has, repository, text, with_ports};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The names under which a reader has the program.
const NAMES: [&str; 5] =
    ["rowhouse", "sqlite-multi-server", "sqlite-multiprocess-server", "curve-keygen", "shibudb"];

/// Those of sqlite_rx that serve.
const SERVERS: [&str; 2] = ["sqlite-multi-server", "sqlite-multiprocess-server"];

/// What only a command can begin with.
const COMMANDS: [&str; 8] = ["$", "cargo", "curl", "docker", "pip", "python3", "rowhouse", "sudo"];

macro_rules! pages {
    ($($name:ident: $page:literal,)*) => {
        const PAGES: &[&str] = &[$($page),*];

        $(#[test]
        fn $name() {
            runs($page);
        })*
    };
}

pages! {
    the_commands_of_the_readme_run: "README.md",
    the_commands_of_the_client_run: "clients/python/README.md",
    the_commands_of_contributing_run: "CONTRIBUTING.md",
    the_commands_of_access_run: "docs/access.md",
    the_commands_of_history_and_audit_run: "docs/audit.md",
    the_commands_of_backups_run: "docs/backups.md",
    the_commands_of_the_benchmarks_run: "docs/benchmarks.md",
    the_commands_of_encryption_run: "docs/encryption.md",
    the_commands_of_http_run: "docs/http.md",
    the_commands_of_installing_run: "docs/install.md",
    the_commands_of_limits_run: "docs/limits.md",
    the_commands_of_feeds_run: "docs/live.md",
    the_commands_of_management_run: "docs/management.md",
    the_commands_of_migrations_run: "docs/migrations.md",
    the_commands_of_operating_run: "docs/operating.md",
    the_commands_of_organizations_run: "docs/organizations.md",
    the_commands_of_pools_run: "docs/pools.md",
    the_commands_of_postgresql_run: "docs/postgres.md",
    the_commands_of_plain_sql_over_http_run: "docs/query.md",
    the_commands_of_the_scenarios_run: "docs/scenarios.md",
    the_commands_of_upgrading_run: "docs/upgrading.md",
    the_commands_of_the_example_run: "examples/organizations/README.md",
}

/// A fenced block of a page.
#[derive(Debug, PartialEq)]
struct Block {
    line: usize,
    language: String,
    code: String,
    /// Why it is not run.
    excuse: Option<String>,
    /// Whether nothing but an empty line is between it and the block before.
    follows: bool,
}

/// Returns the fenced blocks of a page.
fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    let (mut excuse, mut follows) = (None, false);
    for (index, line) in page.lines().enumerate() {
        match (line.trim_start().strip_prefix("```"), open) {
            (Some(_), true) => (open, follows) = (false, true),
            (Some(language), false) => {
                let (language, code) = (language.trim().to_owned(), String::new());
                blocks.push(Block { line: index + 1, language, code, excuse: excuse.take(), follows });
                open = true;
            }
            (None, true) => blocks.last_mut().expect("it is open").code += &format!("{line}\n"),
            (None, false) if line.is_empty() => {}
            (None, false) => {
                let reason = line.strip_prefix("<!-- not run: ").and_then(|line| line.strip_suffix(" -->"));
                excuse = reason.map(str::to_owned);
                follows = false;
            }
        }
    }
    blocks
}

/// A page being read by somebody who does what it says.
struct Reader<'a> {
    python: &'a Python,
    home: Home,
    server: Option<Server>,
}

/// Runs every block of a page.
fn runs(page: &str) {
    let Some(python) = Python::find() else { return };
    let text = fs::read_to_string(repository().join(page)).expect("the page is in the repository");
    let mut reader = Reader::new(&python);
    let blocks = blocks(&text);
    if blocks.iter().any(|block| block.excuse.is_none() && block.code.contains("curl ")) && !has(&["curl"]) {
        return;
    }
    for (index, block) in blocks.iter().enumerate().filter(|(_, block)| block.excuse.is_none()) {
        println!("{page}:{}", block.line);
        let printed = blocks.get(index + 1).filter(|next| next.follows && next.language == "text");
        match block.language.as_str() {
            "sh" => reader.shell(&block.code, printed.map(|block| block.code.as_str())),
            "python" => reader.python(&block.code),
            _ => {}
        }
    }
    if let Some(server) = reader.server {
        server.stop();
    }
}

// === impl Reader ===

impl<'a> Reader<'a> {
    fn new(python: &'a Python) -> Self {
        let home = Home::new();
        let link = |from: PathBuf, to: &Path| symlink(from, to).expect("a link of the test's own");
        for entry in ["packaging", "clients", "docs"] {
            let from = repository().canonicalize().expect("it exists").join(entry);
            link(from, &home.path().join(entry));
        }
        fs::create_dir_all(home.path().join("target/release")).expect("a directory");
        fs::create_dir_all(home.path().join(".bin")).expect("a directory");
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_rowhouse"));
        link(binary.clone(), &home.path().join("target/release/rowhouse"));
        for name in NAMES {
            link(binary.clone(), &home.path().join(".bin").join(name));
        }
        Self { python, home, server: None }
    }

    /// Runs commands, or starts the server they start.
    fn shell(&mut self, code: &str, printed: Option<&str>) {
        // Cargo would build what is built and run it.
        let code = code.replace("cargo run --release -- ", "rowhouse ");
        if starts_server(&code) {
            if let Some(before) = self.server.take() {
                before.stop();
            }
            let code = code.replace(":5000", ":0").replace(" 9090", " 0");
            let mut command = self.bash(&format!("exec env {code}"));
            command.env("ROWHOUSE_TCP_ADDRESS", "tcp://127.0.0.1:0").env("ROWHOUSE_PORT", "0");
            self.server = Some(Server::run(&self.home, command));
            return;
        }
        let mut command = self.bash(&self.with_port(&code));
        if let Some(server) = &self.server {
            command.env("ROWHOUSE_TCP_ADDRESS", server.address());
        }
        let output = finish(command.spawn().expect("bash is there"));
        assert!(output.status.success(), "{code}ended with {}:\n{}", output.status, text(&output));
        if let Some(printed) = printed {
            assert_eq!(String::from_utf8_lossy(&output.stdout), printed, "{code}");
        }
    }

    /// Runs an example; where the page shows no server, there is one that creates by name.
    fn python(&mut self, code: &str) {
        if self.server.is_none() {
            self.server = Some(Server::start(&self.home, &["--auto-connect", "--auto-create"]));
        }
        let code = self.with_port(code);
        let mut command = self.python.command(&[OsStr::new("-c"), code.as_ref()]);
        command.env("HOME", self.home.path());
        let output = finish(command.spawn().expect("the interpreter exists"));
        assert!(output.status.success(), "{code}ended with {}:\n{}", output.status, text(&output));
    }

    fn with_port(&self, code: &str) -> String {
        let Some(server) = &self.server else { return code.to_owned() };
        let (_, port) = server.address().rsplit_once(':').expect("an address has a port");
        // What is asked over HTTP is asked where it listens; the command line is told a port to add to.
        let code = match code.contains("http://localhost:9090") {
            true => &code.replace("http://localhost:9090", server.http()),
            false => code,
        };
        let code = server.managed().map_or_else(|| code.to_owned(), |port| with_ports(code, port));
        code.replace("localhost:5000", &format!("127.0.0.1:{port}")).replace(":5000", &format!(":{port}"))
    }

    fn bash(&self, code: &str) -> Command {
        let mut command = self.home.program(Path::new("bash"), &["-euo", "pipefail", "-c", code]);
        let path = std::env::var_os("PATH").expect("there is one");
        let own = self.home.path().join(".bin");
        let path = std::env::join_paths([own].into_iter().chain(std::env::split_paths(&path)));
        command.env("PATH", path.expect("plain names")).env("HOME", self.home.path());
        command
    }
}

/// Whether the one command of a block serves until it is stopped.
fn starts_server(code: &str) -> bool {
    let mut words = code.split_whitespace().skip_while(|word| word.contains('='));
    match words.next() {
        Some("rowhouse") => words.next().is_some_and(|word| word == "start" || SERVERS.contains(&word)),
        Some(name) => SERVERS.contains(&name) && words.all(|word| !["--version", "--help"].contains(&word)),
        None => false,
    }
}

#[test]
fn no_page_with_commands_is_left_out_and_no_command_hides_in_another_language() {
    let mut found = BTreeSet::new();
    let mut folders = vec![repository()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder of the repository") {
            let entry = entry.expect("an entry");
            let (path, name) = (entry.path(), entry.file_name().into_string().expect("UTF-8"));
            if path.is_dir() && !name.starts_with('.') && name != "target" && name != "venv" {
                folders.push(path);
            } else if name.ends_with(".md") {
                let page = fs::read_to_string(&path).expect("a page");
                let path = path.strip_prefix(repository()).expect("it is in it").to_owned();
                if has_commands(&path, &page) {
                    found.insert(path.to_str().expect("UTF-8").to_owned());
                }
            }
        }
    }
    assert_eq!(found, PAGES.iter().map(ToString::to_string).collect());
}

/// Whether a page has a block to run; panics on one that should be, but says it is none.
fn has_commands(path: &Path, page: &str) -> bool {
    for block in blocks(page).iter().filter(|block| !["sh", "python"].contains(&block.language.as_str())) {
        let first = block.code.split_whitespace().next().unwrap_or_default();
        assert!(!COMMANDS.contains(&first), "{}:{}: a command is `sh`", path.display(), block.line);
    }
    blocks(page).iter().any(|block| ["sh", "python"].contains(&block.language.as_str()))
}

#[test]
fn blocks_are_found_with_their_excuses() {
    let page = "a\n<!-- not run: slow -->\n```sh\nx\n```\n\n```text\ny\n```\nb\n```\nz\n```\n";
    let found: Vec<_> = blocks(page)
        .into_iter()
        .map(|block| (block.line, block.language, block.code, block.excuse, block.follows))
        .collect();
    let block = |line, language: &str, code: &str, excuse: Option<&str>, follows| {
        (line, language.to_owned(), code.to_owned(), excuse.map(str::to_owned), follows)
    };
    assert_eq!(
        found,
        [
            block(3, "sh", "x\n", Some("slow"), false),
            block(7, "text", "y\n", None, true),
            block(11, "", "z\n", None, false),
        ]
    );
}

#[test]
fn servers_are_told_from_what_ends() {
    for server in ["rowhouse start --dev", "A=b sqlite-multi-server -d x", "rowhouse sqlite-multi-server"] {
        assert!(starts_server(server), "{server}");
    }
    for other in
        ["rowhouse health", "rowhouse config check a", "sqlite-multi-server --version", "ls rowhouse start"]
    {
        assert!(!starts_server(other), "{other}");
    }
}
