//! Where it is done: by the server, or on its data directory while no server uses it.
use super::super::api::{Api, HEADING, Question, Reach, USUAL};
use super::super::place::runtime;
use super::super::table::plain;
use super::super::{Failure, lower};
use clap::Args;
use rowhouse::config::{Config, Layers};
use rowhouse::{Directory, DirectoryError};
use rowhouse_gateway::{Cause, Roster, RosterError};
use rowhouse_wire::management::Done;
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Where it is done, and how that is told.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// The main port of the server [default: the configured one, 9090]
    #[arg(long, short, global = true, value_name = "PORT", help_heading = HEADING)]
    port: Option<u16>,
    /// No server: work on this data directory, which no server may use meanwhile
    #[arg(long, global = true, value_name = "DIRECTORY", help_heading = HEADING)]
    #[arg(conflicts_with_all = ["port", "url", "management_port"])]
    data_directory: Option<PathBuf>,
    /// Print what the server answers, in JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(flatten)]
    reach: Reach,
}

// === impl Place ===

impl Place {
    /// The data directory, where no server is asked.
    pub(super) fn directory(&self) -> Option<&Path> {
        self.data_directory.as_deref()
    }

    /// The server's answer; what it refuses is told in JSON where that was asked for.
    pub(super) fn ask(
        &self,
        question: impl FnOnce(&Api) -> Result<Value, super::super::api::ApiError>,
        out: &mut impl Write,
    ) -> anyhow::Result<Value> {
        let api = self.reach.api(self.port, USUAL)?;
        match question(&api) {
            Ok(answer) => Ok(answer),
            Err(error) => {
                if let (true, Some(text)) = (self.json, error.json()) {
                    writeln!(out, "{text}")?;
                }
                Err(Failure::from(error).into())
            }
        }
    }

    /// The server's answer to one question.
    pub(super) fn ask_one(&self, question: &Question, out: &mut impl Write) -> anyhow::Result<Value> {
        self.ask(|api| api.ask(question)?.read(), out)
    }

    /// Does it on the data directory.
    pub(super) fn with<T>(
        &self,
        directory: &Path,
        work: impl AsyncFnOnce(&Roster, &Cause) -> Result<T, RosterError>,
    ) -> anyhow::Result<T> {
        let mut layers = Layers::new();
        lower(&mut layers, self.reach.config())?;
        layers.flag("data_directory", directory.to_string_lossy(), "--data-directory");
        let config = Config::resolve(&layers)?;
        let who = format!("uid {}", rustix::process::getuid().as_raw());
        runtime()?.block_on(async {
            let directory = Directory::take(&config, who).await?;
            let outcome = async {
                let roster = directory.roster().await?;
                Ok::<_, DirectoryError>(work(&roster, directory.cause()).await)
            };
            let outcome = outcome.await;
            directory.close().await;
            Ok(outcome??)
        })
    }

    /// Says what was done.
    pub(super) fn done(&self, message: &str, out: &mut impl Write) -> anyhow::Result<()> {
        match self.json {
            true => writeln!(out, "{}", serde_json::to_string(&Done::new(message))?)?,
            false => writeln!(out, "Success: {}", plain(message))?,
        }
        Ok(())
    }

    /// Says what the server says was done.
    pub(super) fn told(&self, answer: &Value, out: &mut impl Write) -> anyhow::Result<()> {
        match self.json {
            true => writeln!(out, "{answer}")?,
            false => writeln!(out, "Success: {}", plain(answer["message"].as_str().unwrap_or_default()))?,
        }
        Ok(())
    }
}
