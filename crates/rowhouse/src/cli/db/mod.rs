//! `rowhouse db`: see, make, limit and drop the databases of a running server, or of a directory without one.
mod offline;
mod told;

use super::api::{Api, Question, Reach, USUAL};
use super::place::Usage;
use super::{Failure, confirm};
use clap::{Args, Subcommand};
use rowhouse_types::DatabaseName;
use rowhouse_wire::management::DEFAULT_DATABASE;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// `~default` is the name of the default database.
#[derive(Debug, Args)]
pub(crate) struct Db {
    #[command(subcommand)]
    command: Ask,
    /// The main port of the server [default: the configured one, 9090]
    #[arg(long, short, global = true, value_name = "PORT", help_heading = super::api::HEADING)]
    port: Option<u16>,
    /// No server: work on this data directory, which no server may use meanwhile; for list, create and drop
    #[arg(long, global = true, value_name = "DIRECTORY", help_heading = super::api::HEADING)]
    #[arg(conflicts_with_all = ["port", "url", "management_port"])]
    data_directory: Option<PathBuf>,
    /// Print what the server answers, in JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, Subcommand)]
enum Ask {
    /// List the databases
    List {
        /// Those that are open, only
        #[arg(long)]
        open: bool,
    },
    /// List the connections to PostgreSQL servers, and which databases have them
    Pools,
    /// Create a database
    Create { name: Name },
    /// Show what a database is and may use
    Show { name: Name },
    /// Drop a database: its rows are gone for good
    Drop {
        name: Name,
        /// Drop it without asking
        #[arg(long, short)]
        yes: bool,
        /// End the sessions that do not end by themselves
        #[arg(long)]
        force: bool,
    },
    /// Show or change how many sessions a database may have at once
    Limit {
        name: Name,
        /// The limit, or +N or -N to change it by
        #[arg(value_name = "LIMIT", allow_negative_numbers = true)]
        limit: Option<Change>,
        /// Go below what is at work: nobody is cut off
        #[arg(long)]
        drain: bool,
        /// Why, for the history
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Show or change everything a database may use
    Limits {
        name: Name,
        /// What to change, such as requests_per_second=100 or statement_timeout=5s; nothing after = is the default
        #[arg(value_name = "KEY=VALUE", value_parser = pair)]
        changes: Vec<(String, Value)>,
    },
    /// Close a database that nobody uses
    Evict { name: Name },
    /// Let new requests wait
    Pause { name: Name },
    /// Let them go on
    Resume { name: Name },
    /// Shorten the log of a database
    Checkpoint { name: Name },
    /// Back up a database
    Backup { name: Name },
}

/// The name of a database, in a path.
#[derive(Clone, Debug)]
struct Name(String);

/// What becomes of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    To(i64),
    Up(i64),
    Down(i64),
}

// === impl Db ===

impl Db {
    /// Does it, and writes what was done.
    pub(crate) fn run(&self, out: &mut impl Write) -> anyhow::Result<()> {
        if let Ask::Drop { name, yes: false, .. } = &self.command {
            confirm(&name.0, &format!("database {} is dropped, with all its rows", name.0), "--yes")?;
        }
        if let Some(directory) = &self.data_directory {
            return self.run_offline(directory, out);
        }
        let api = self.reach.api(self.port, self.command.usual())?;
        match self.command.ask(&api) {
            Ok(answer) if self.json => Ok(writeln!(out, "{answer}")?),
            Ok(answer) => told::answer(&self.command, answer, out),
            Err(error) => {
                if let (true, Some(text)) = (self.json, error.json()) {
                    writeln!(out, "{text}")?;
                }
                Err(Failure::from(error).into())
            }
        }
    }
}

// === impl Ask ===

impl Ask {
    /// How long it may take: requests under way are waited for, a backup is a copy.
    fn usual(&self) -> Duration {
        match self {
            Self::Backup { .. } => Duration::from_secs(60 * 60),
            Self::Drop { .. } | Self::Evict { .. } | Self::Pause { .. } | Self::Checkpoint { .. } => {
                Duration::from_secs(60)
            }
            _ => USUAL,
        }
    }

    fn ask(&self, api: &Api) -> Result<Value, super::api::ApiError> {
        match self {
            Self::List { open } => api.all(
                if *open { "/databases?state=open&limit=1000" } else { "/databases?limit=1000" },
                "databases",
                "after",
            ),
            Self::Pools => api.all("/pools?limit=1000", "pools", "after"),
            other => api.ask(&other.question())?.read(),
        }
    }

    fn question(&self) -> Question {
        let post = |name: &Name, verb: &str| Question::post(name.path(verb), json!({}));
        match self {
            Self::List { .. } => Question::get("/databases"),
            Self::Pools => Question::get("/pools"),
            Self::Create { name } => Question::post("/databases", json!({ "name": name.0 })),
            Self::Show { name } => Question::get(name.path("")),
            Self::Drop { name, force, .. } => {
                Question::delete(name.path(""), json!({ "confirm": name.0, "force": force }))
            }
            Self::Limit { name, limit, drain, reason } => {
                limit_question(name, *limit, (*drain, reason.as_deref()))
            }
            Self::Limits { name, changes } if changes.is_empty() => Question::get(name.path("/limits")),
            Self::Limits { name, changes } => {
                let changes: Map<_, _> = changes.iter().cloned().collect();
                Question::patch(name.path("/limits"), Value::Object(changes))
            }
            Self::Evict { name } => post(name, "/evict"),
            Self::Pause { name } => post(name, "/pause"),
            Self::Resume { name } => post(name, "/resume"),
            Self::Checkpoint { name } => post(name, "/checkpoint"),
            Self::Backup { name } => post(name, "/backup"),
        }
    }
}

fn limit_question(name: &Name, limit: Option<Change>, (drain, reason): (bool, Option<&str>)) -> Question {
    let body = |key: &str, number: i64| {
        let mut body = json!({ key: number });
        if drain {
            body["drain"] = true.into();
        }
        if let Some(reason) = reason {
            body["reason"] = reason.into();
        }
        body
    };
    match limit {
        None => Question::get(name.path("/limit")),
        Some(Change::To(limit)) => Question::put(name.path("/limit"), body("limit", limit)),
        Some(Change::Up(by)) => Question::post(name.path("/limit/increase"), body("amount", by)),
        Some(Change::Down(by)) => Question::post(name.path("/limit/decrease"), body("amount", by)),
    }
}

// === impl Name ===

impl Name {
    fn path(&self, verb: &str) -> String {
        format!("/databases/{}{verb}", self.0)
    }

    /// The database of that name, where it is none of the server's own.
    fn database(&self) -> Result<DatabaseName, Usage> {
        self.0.parse().map_err(|_| Usage(format!("{DEFAULT_DATABASE} is neither created nor dropped")))
    }
}

impl std::str::FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<DatabaseName>() {
            Ok(name) => Ok(Self(name.to_string())),
            Err(_) if text == DEFAULT_DATABASE => Ok(Self(text.to_owned())),
            Err(error) => Err(format!("{text:?} names no database: {error}")),
        }
    }
}

// === impl Change ===

impl std::str::FromStr for Change {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (change, number): (fn(i64) -> Self, _) = match text.as_bytes() {
            [b'+', ..] => (Self::Up, &text[1..]),
            [b'-', ..] => (Self::Down, &text[1..]),
            _ => (Self::To, text),
        };
        match number.bytes().all(|byte| byte.is_ascii_digit()) {
            true => number.parse().map(change).map_err(|_| "takes a number, or +N or -N"),
            false => Err("takes a number, or +N or -N"),
        }
    }
}

/// Reads `KEY=VALUE`: numbers as numbers, nothing as the default.
fn pair(text: &str) -> Result<(String, Value), &'static str> {
    let (key, value) = text.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or("takes KEY=VALUE")?;
    let value = match (value, value.parse::<u64>()) {
        ("", _) => Value::Null,
        (_, Ok(number)) => number.into(),
        (text, Err(_)) => text.into(),
    };
    Ok((key.replace('-', "_"), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_set_or_changed_by_a_number() {
        for (text, change) in
            [("80", Change::To(80)), ("0", Change::To(0)), ("+20", Change::Up(20)), ("-20", Change::Down(20))]
        {
            assert_eq!(text.parse(), Ok(change));
        }
        for text in ["", "+", "-", "+-1", "1.5", "many", "99999999999999999999"] {
            assert!(text.parse::<Change>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_change_of_limits_is_a_key_and_a_value_of_its_kind() {
        assert_eq!(pair("requests-per-second=100"), Ok(("requests_per_second".to_owned(), 100.into())));
        assert_eq!(pair("statement_timeout=5s"), Ok(("statement_timeout".to_owned(), "5s".into())));
        assert_eq!(pair("max_database_bytes="), Ok(("max_database_bytes".to_owned(), Value::Null)));
        assert!(pair("statement_timeout").is_err() && pair("=5").is_err());
    }

    #[test]
    fn no_name_leads_out_of_its_path() {
        for name in ["../limit", "a/b", "a?b", "a#b", "a b", "~other", "", "a%2fb"] {
            assert!(name.parse::<Name>().is_err(), "{name}");
        }
        assert_eq!(
            "~default".parse::<Name>().expect("it is one").path("/limit"),
            "/databases/~default/limit"
        );
    }
}
