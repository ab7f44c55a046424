//! The command line: one file per command, and what each makes of the layers of configuration.
mod accounts;
mod api;
mod audit;
mod backup;
mod completions;
mod config;
mod confirm;
mod db;
mod doctor;
mod encryption;
mod failure;
mod health;
mod keygen;
mod listing;
mod man;
mod manager;
mod metadata;
mod migrate;
mod multi_server;
mod others;
mod place;
mod repeat;
mod restore;
mod shibudb;
mod start;
mod table;
mod top;

pub(crate) use failure::Failure;
pub(crate) use multi_server::MultiServer;
pub(crate) use place::Usage;
pub(crate) use start::Start;

use accounts::{TokenCommand, UserCommand};
use audit::Audit;
use backup::BackUp;
use clap::{Args as _, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use completions::Completions;
use config::ConfigCommand;
use confirm::confirm;
use db::Db;
use doctor::Doctor;
use health::Ask;
use keygen::Keygen;
use man::Man;
use manager::Manager;
use metadata::{IdentityCommand, MemberCommand, OrgCommand, SettingCommand};
use migrate::Migrate;
use restore::Restore;
use rowhouse::config::{ConfigError, Layers};
use shibudb::{Shibudb, ShibudbCommand};
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::Path;
use top::Top;

/// How the commands of other programs name their version.
const COMPATIBLE_VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (rowhouse)");

const WIDTH: usize = 100;

/// What a manual has to say of the commands that serve.
const AFTER_SERVING: &str = "\
Options also come from a file (TOML), .env and the environment (ROWHOUSE_ and the option's name in capitals), \
each over the one before it; flags are over them all. `rowhouse config explain` says which of them set what.

Exit codes: 0 stopped as asked; 1 could not start or stop as it should; 2 the command line or the configuration \
is wrong.";

/// One endpoint for very many databases.
#[derive(Debug, Parser)]
#[command(name = "rowhouse", version, about, max_term_width = WIDTH)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve databases until SIGTERM or SIGINT.
    #[command(after_help = AFTER_SERVING)]
    Start(Box<Start>),
    /// Serve as the command of that name of sqlite_rx does, with its flags and its defaults.
    #[command(name = multi_server::NAMES[0], visible_alias = multi_server::NAMES[1])]
    #[command(version = COMPATIBLE_VERSION, disable_version_flag = true, after_help = AFTER_SERVING)]
    MultiServer(Box<MultiServer>),
    /// What answers and ends.
    #[command(flatten)]
    Tool(Tool),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Tool {
    /// Look at the configuration.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Ask a running server how it is; exit code 1 when it does not answer.
    Health(Box<Ask>),
    /// Look at an installation and say what to do; exit code 1 when something is wrong.
    Doctor(Box<Doctor>),
    /// See and change the limits of a running server.
    Manager(Box<Manager>),
    /// See, create, limit and drop databases.
    Db(Box<Db>),
    /// Make, list and take back API tokens, by which one comes in over HTTP.
    Token(Box<TokenCommand>),
    /// Add, list and remove users, who come in over HTTP by name and password.
    User(Box<UserCommand>),
    /// See, create, suspend, resume and drop organizations.
    Org(Box<OrgCommand>),
    /// See, enter, suspend, resume and remove the users of organizations.
    Member(Box<MemberCommand>),
    /// See, give and take by what members are known elsewhere.
    Identity(Box<IdentityCommand>),
    /// See, set and remove settings of organizations, and of all.
    Setting(Box<SettingCommand>),
    /// Show how busy a running server is.
    Top(Box<Top>),
    /// Back up databases now, and list backups.
    Backup(Box<BackUp>),
    /// Make a database what a backup holds.
    Restore(Box<Restore>),
    /// Bring databases to the newest schema, tell how far they are, and look whether they are equal.
    Migrate(Box<Migrate>),
    /// List what administration did, and by whom; look whether that record is as it was written.
    Audit(Box<Audit>),
    /// Make a pair of keys for encryption, a client's or the server's.
    Keygen(Keygen),
    /// Print a script that completes the command line in a shell.
    Completions(Completions),
    /// Print the manual page, or write that of every command.
    Man(Man),
}

/// As which program this one was called, where a command is there under two names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Program {
    #[default]
    Rowhouse,
    Shibudb,
}

// === impl Program ===

impl Program {
    fn name(self) -> &'static str {
        match self {
            Self::Rowhouse => "rowhouse",
            Self::Shibudb => shibudb::NAME,
        }
    }
}

// === impl Command ===

impl Command {
    /// What the command line asks for; the name of the program may be a command's.
    ///
    /// Ends the process where the command line is wrong, or asks for help or the version only.
    pub(crate) fn read() -> Self {
        let name = std::env::args_os().next();
        let Some(name) = name.as_deref().and_then(compatible) else { return Cli::parse().command };
        let mut command = program(name);
        let matches = command.get_matches_mut();
        let read = match name {
            keygen::NAME => Keygen::from_arg_matches(&matches).map(|keygen| Self::Tool(Tool::Keygen(keygen))),
            shibudb::NAME => Shibudb::from_arg_matches(&matches).map(Self::from),
            _ => MultiServer::from_arg_matches(&matches).map(|server| Self::MultiServer(Box::new(server))),
        };
        read.unwrap_or_else(|error| error.format(&mut command).exit())
    }
}

impl From<Shibudb> for Command {
    fn from(shibudb: Shibudb) -> Self {
        match shibudb.command {
            ShibudbCommand::Start(mut start) => {
                start.program = Program::Shibudb;
                Self::Start(start)
            }
            ShibudbCommand::Manager(mut manager) => {
                manager.program = Program::Shibudb;
                Self::Tool(Tool::Manager(manager))
            }
        }
    }
}

/// The command of another program that a program of this name is.
fn compatible(program: &OsStr) -> Option<&'static str> {
    let file = Path::new(program).file_name()?;
    program_names().into_iter().skip(1).find(|&name| file == name)
}

/// Whether a program called so is to serve: what it does then with signals is to be so from its first line on.
///
/// Only what [`Command::read`] reads as such is; other commands end by signals as programs do.
pub(crate) fn is_serving(mut words: impl Iterator<Item = OsString>) -> bool {
    let serves = |word: &OsStr| multi_server::NAMES.iter().any(|name| word == *name);
    match words.next().and_then(|name| compatible(&name)) {
        Some(keygen::NAME) => false,
        Some(name) if name != shibudb::NAME => true,
        _ => words.next().is_some_and(|word| word == "start" || serves(&word)),
    }
}

/// The names this program may have.
fn program_names() -> [&'static str; 5] {
    let [short, long] = multi_server::NAMES;
    ["rowhouse", short, long, keygen::NAME, shibudb::NAME]
}

/// The command line of this program under one of its names.
fn program(name: &str) -> clap::Command {
    match compatible(OsStr::new(name)) {
        None => Cli::command(),
        Some(keygen::NAME) => Keygen::augment_args(clap::Command::new(keygen::NAME))
            .version(COMPATIBLE_VERSION)
            .max_term_width(WIDTH),
        Some(shibudb::NAME) => Shibudb::command(),
        Some(name) => MultiServer::augment_args(clap::Command::new(name))
            .version(COMPATIBLE_VERSION)
            .disable_version_flag(true)
            .after_help(AFTER_SERVING)
            .max_term_width(WIDTH),
    }
}

// === impl Tool ===

impl Tool {
    /// Does what was asked for, and writes what there is to say.
    pub(crate) fn run(&self, out: &mut impl Write) -> anyhow::Result<()> {
        match self {
            Self::Config { command } => command.run(out),
            Self::Health(ask) => ask.run(out),
            Self::Doctor(doctor) => doctor.run(out),
            Self::Manager(manager) => manager.run(out),
            Self::Db(db) => db.run(out),
            Self::Token(token) => token.run(out),
            Self::User(user) => user.run(out),
            Self::Org(org) => org.run(out),
            Self::Member(member) => member.run(out),
            Self::Identity(identity) => identity.run(out),
            Self::Setting(setting) => setting.run(out),
            Self::Top(top) => top.run(out),
            Self::Backup(backup) => backup.run(out),
            Self::Restore(restore) => restore.run(out),
            Self::Migrate(migrate) => migrate.run(out),
            Self::Audit(audit) => audit.run(out),
            Self::Keygen(keygen) => keygen.run(out),
            Self::Completions(completions) => completions.run(out),
            Self::Man(man) => man.run(out),
        }
    }
}

/// Puts what lies between the defaults and the command line over `layers`: file, `.env`, environment.
fn lower(layers: &mut Layers, file: Option<&Path>) -> Result<(), ConfigError> {
    if let Some(program) = rowhouse::own_program() {
        layers.set_worker_program(program);
    }
    layers.surroundings(file)
}

/// Whether a command failed only in saying what it did, because nobody reads on (`rowhouse ... | head`).
pub(crate) fn is_unread(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_to_serve_is_known_by_its_first_words() {
        let is = |words: &[&str]| is_serving(words.iter().map(OsString::from));
        for serving in [
            &["/usr/bin/rowhouse", "start", "9090"][..],
            &["rowhouse", "sqlite-multi-server"],
            &["shibudb", "start", "9090"],
            &["bin/sqlite-multiprocess-server", "-a", "tcp://127.0.0.1:1"],
        ] {
            assert!(is(serving), "{serving:?}");
        }
        for tool in
            [&["rowhouse", "man", "start"][..], &["shibudb", "manager"], &["curve-keygen"], &["rowhouse"]]
        {
            assert!(!is(tool), "{tool:?}");
        }
    }
}
