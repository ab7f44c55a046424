//! `rowhouse manager PORT COMMAND`: see and change the limits of a running server.
//!
//! Invariant: the lines that scripts read do not change, and are the same on a terminal and in a pipe.
mod compatible;
mod question;
mod told;

use super::api::{Answer, Api, ApiError, Question, Reach, USUAL};
use super::repeat::{interval, repeat};
use super::{Failure, Program};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;
use std::ffi::OsString;
use std::io::Write;
use std::time::Duration;

/// PORT is the server's main port; its management port is 1000 above.
#[derive(Debug, Args)]
pub(crate) struct Manager {
    /// The main port of the server
    port: Option<String>,
    #[command(subcommand)]
    command: Option<Ask>,
    /// Print what the server answers, in JSON
    #[arg(long, global = true)]
    json: bool,
    /// Ask again each so many seconds, until interrupted [default: 2]
    #[arg(long, global = true, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2")]
    #[arg(value_parser = interval)]
    watch: Option<Duration>,
    #[command(flatten)]
    reach: Reach,
    /// As which program it was called.
    #[arg(skip)]
    pub(super) program: Program,
}

#[derive(Debug, Subcommand)]
enum Ask {
    /// Show the limit, and how many are connected
    Status,
    /// Show how many are connected, and for how many more there is room
    Stats,
    /// Set the limit
    Limit {
        /// The most clients connected at once
        #[arg(allow_negative_numbers = true)]
        limit: Option<String>,
        #[command(flatten)]
        how: Lower,
    },
    /// Raise the limit
    Increase {
        /// By how much [default: 100]
        #[arg(allow_negative_numbers = true)]
        amount: Option<String>,
        /// Why, for the history
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Lower the limit
    Decrease {
        /// By how much [default: 100]
        #[arg(allow_negative_numbers = true)]
        amount: Option<String>,
        #[command(flatten)]
        how: Lower,
    },
    /// Set the limit to 1000
    Reset {
        #[command(flatten)]
        how: Lower,
    },
    /// Ask whether the server lives
    Health,
    /// List the changes of the limit, the latest first
    History {
        /// How many at most
        #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 100)]
        #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
        count: u32,
    },
    /// List who is connected, the longest idle first; or close one
    Connections {
        #[command(subcommand)]
        command: Option<Connections>,
        /// In which order
        #[arg(long, value_enum, default_value_t = Order::Idle)]
        sort: Order,
    },
    /// List the databases
    Databases {
        /// Those that are open, only
        #[arg(long)]
        open: bool,
    },
    /// What it does not know.
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

#[derive(Debug, Subcommand)]
enum Connections {
    /// Close a connection
    Close {
        /// Its number, as the list has it
        id: u64,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Order {
    /// The longest idle first
    Idle,
    /// By number, the longest connected first
    Id,
}

/// What goes with a limit that may be lower than the one before.
#[derive(Debug, Args)]
struct Lower {
    /// Go below what is connected: nobody is cut off, newcomers are refused until enough have left
    #[arg(long)]
    drain: bool,
    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// What there is to show.
enum Said {
    One(Answer),
    Page(Value),
}

// === impl Manager ===

impl Manager {
    /// Asks, and writes the answer.
    pub(crate) fn run(&self, out: &mut impl Write) -> anyhow::Result<()> {
        let (main, command) = self.read()?;
        let question = command.question(self.program)?;
        let api = self.reach.api(main, USUAL)?;
        match self.watch {
            None => self.ask(&api, (command, &question), out),
            Some(_) if command.changes() => {
                Err(Failure::usage("Error: --watch only goes with what changes nothing").into())
            }
            Some(every) => repeat(every, out, |block| self.ask(&api, (command, &question), block)),
        }
    }

    /// What the words of the command line mean, apart from the command's own.
    fn read(&self) -> Result<(Option<u16>, &Ask), Failure> {
        let name = self.program.name();
        let usage = || Failure::usage(format!("Usage: {name} manager <port> <command>\n{}", commands()));
        let main = match self.port.as_deref() {
            Some(text) => {
                let wrong = |_| Failure::usage(format!("Error: Invalid port number: {text}"));
                Some(text.parse().map_err(wrong)?)
            }
            None if self.reach.is_told() => None,
            None => return Err(usage()),
        };
        match &self.command {
            None => Err(usage()),
            Some(Ask::Other(words)) => {
                let word = words.first().map(|word| word.to_string_lossy()).unwrap_or_default();
                Err(Failure::usage(format!("Error: Unknown command: {word}\n{}", commands())))
            }
            Some(command) => Ok((main, command)),
        }
    }

    fn ask(
        &self,
        api: &Api,
        (command, question): (&Ask, &Question),
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        let verbose = self.program == Program::Shibudb && !self.json;
        if verbose {
            compatible::before(out)?;
        }
        let said = command.put(api, question).map_err(|error| self.failed(error, out))?;
        match &said {
            Said::Page(page) if self.json => return Ok(writeln!(out, "{page}")?),
            Said::One(answer) if self.json => {
                writeln!(out, "{}", answer.text())?;
                return told::is_good(command, answer);
            }
            Said::Page(_) if verbose => compatible::reached(api, question, None, out)?,
            Said::One(answer) if verbose => compatible::reached(api, question, Some(answer), out)?,
            _ => {}
        }
        match said {
            Said::Page(page) => told::page(command, page, out),
            Said::One(answer) => told::answer(command, &answer, out),
        }
    }

    fn failed(&self, error: ApiError, out: &mut impl Write) -> anyhow::Error {
        let unread = match error.json() {
            Some(text) if self.json => writeln!(out, "{text}").err(),
            _ => None,
        };
        unread.map_or_else(|| Failure::from(error).into(), Into::into)
    }
}

/// What there is to ask, a line each.
fn commands() -> String {
    let all = Manager::augment_args(clap::Command::new("manager"));
    let line = |command: &clap::Command| {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        format!("\n  {:<12} {about}", command.get_name())
    };
    let lines: String = all.get_subcommands().map(line).collect();
    format!("Manager Commands:{lines}")
}
