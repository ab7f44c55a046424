//! `rowhouse migrate`: bring databases to the newest schema, by a running server or in a directory without one.
mod offline;
mod progress;
mod told;

use super::api::{Question, Reach, USUAL};
use super::place::Usage;
use super::{Failure, lower};
use clap::{Args, Subcommand, ValueEnum};
use progress::Progress;
use rowhouse::config::{Config, Layers};
use rowhouse_management::{DEFAULT_JOBS, MAX_JOBS};
use rowhouse_wire::management::{MigrationRun, Migrations, StartMigration};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// How often a server is asked how far it is.
const TICK: Duration = Duration::from_millis(250);

/// Exit code 1 where a database is not as it should be; `status` tells and ends with 0.
#[derive(Debug, Args)]
pub(crate) struct Migrate {
    #[command(subcommand)]
    command: Command,
    /// The main port of the server [default: the configured one, 9090]
    #[arg(long, short, global = true, value_name = "PORT", help_heading = super::api::HEADING)]
    port: Option<u16>,
    /// No server: work on this data directory, which no server may use meanwhile
    #[arg(long, global = true, value_name = "DIRECTORY", help_heading = super::api::HEADING)]
    #[arg(conflicts_with_all = ["port", "url", "management_port"])]
    data_directory: Option<PathBuf>,
    /// The migrations of databases opened by name, without a server [default: org_migrations]
    #[arg(long, global = true, value_name = "DIRECTORY", requires = "data_directory")]
    org_migrations: Option<PathBuf>,
    /// The migrations of the metadata database, without a server [default: metadata_migrations]
    #[arg(long, global = true, value_name = "DIRECTORY", requires = "data_directory")]
    metadata_migrations: Option<PathBuf>,
    /// How many databases are worked on at once
    #[arg(long, short, global = true, value_name = "N", default_value_t = DEFAULT_JOBS)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_JOBS)))]
    jobs: u32,
    /// Print what came of it in JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tell which databases are behind, which ahead, and which cannot be looked at
    Status(Which),
    /// Bring databases to the newest schema; what was done before is not done again
    Up {
        #[command(flatten)]
        which: Which,
        /// Only tell which databases would be migrated
        #[arg(long)]
        dry_run: bool,
        /// Run steps again that were begun without a transaction and have not ended
        #[arg(long, conflicts_with = "dry_run")]
        retry_begun: bool,
    },
    /// Look whether each database really has the schema that the migrations make
    Verify(Which),
}

#[derive(Debug, Args)]
struct Which {
    /// Whose schema
    subject: Subject,
    /// These databases only
    #[arg(long, value_name = "NAME", num_args = 1..)]
    only: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Subject {
    /// The databases opened by name
    Organizations,
    /// The database of what is known of them
    Metadata,
}

// === impl Migrate ===

impl Migrate {
    /// Does it, and writes what came of it.
    pub(crate) fn run(&self, out: &mut impl Write) -> anyhow::Result<()> {
        let asked = self.asked();
        let run = match &self.data_directory {
            Some(_) => self.offline(&asked)?,
            None => self.served(&asked)?,
        };
        if self.json {
            writeln!(out, "{}", serde_json::to_string(&run)?)?;
        } else {
            told::run(&run, matches!(self.command, Command::Up { dry_run: true, .. }), out)?;
        }
        let is_told = run.errand == "status" && run.end.as_deref() == Some("complete");
        match run.is_well() || is_told {
            true => Ok(()),
            false => Err(Failure::new(told::verdict(&run)).into()),
        }
    }

    fn asked(&self) -> StartMigration {
        let (errand, which, retry_begun) = match &self.command {
            Command::Status(which) | Command::Up { which, dry_run: true, .. } => ("status", which, false),
            Command::Up { which, retry_begun, .. } => ("up", which, *retry_begun),
            Command::Verify(which) => ("verify", which, false),
        };
        let subject = match which.subject {
            Subject::Organizations => "organizations",
            Subject::Metadata => "metadata",
        };
        StartMigration {
            errand: errand.to_owned(),
            jobs: Some(self.jobs),
            only: which.only.clone(),
            retry_begun,
            subject: subject.to_owned(),
        }
    }

    /// Has the server do it, and waits for its end.
    fn served(&self, asked: &StartMigration) -> anyhow::Result<MigrationRun> {
        let api = self.reach.api(self.port, USUAL)?;
        let begun = api.ask(&Question::post("/migrations", serde_json::to_value(asked)?));
        let mut run = read(&begun.map_err(Failure::from)?)?;
        let mut progress = Progress::new(asked);
        while run.end.is_none() {
            progress.show(&run);
            std::thread::sleep(TICK);
            run = read(&api.get("/migrations").map_err(Failure::from)?)?;
        }
        progress.end();
        Ok(run)
    }

    /// As the server was configured, with what the flags say.
    fn config(&self) -> anyhow::Result<Config> {
        let mut layers = Layers::new();
        lower(&mut layers, self.reach.config())?;
        for (key, path, flag) in [
            ("data_directory", &self.data_directory, "--data-directory"),
            ("org_migrations", &self.org_migrations, "--org-migrations"),
            ("metadata_migrations", &self.metadata_migrations, "--metadata-migrations"),
        ] {
            if let Some(path) = path {
                layers.flag(key, path.to_string_lossy(), flag);
            }
        }
        Ok(Config::resolve(&layers)?)
    }
}

fn read(answer: &super::api::Answer) -> anyhow::Result<MigrationRun> {
    let Migrations { run } = answer.read().map_err(Failure::from)?;
    run.ok_or_else(|| {
        Usage("the server was started again meanwhile: run the command again".to_owned()).into()
    })
}
