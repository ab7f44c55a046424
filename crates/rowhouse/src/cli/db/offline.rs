//! The same on a data directory without a server.
use super::super::lower;
use super::super::place::{Usage, runtime};
use super::super::table::{Column, Table};
use super::{Ask, Db};
use rowhouse::Directory;
use rowhouse::config::{Config, Layers};
use rowhouse_wire::management::{Database, Databases, Done};
use std::io::Write;
use std::path::Path;

// === impl Db ===

impl Db {
    /// Does it, and writes what was done.
    pub(super) fn run_offline(&self, directory: &Path, out: &mut impl Write) -> anyhow::Result<()> {
        if !matches!(self.command, Ask::List { open: false } | Ask::Create { .. } | Ask::Drop { .. }) {
            let message = "only list, create and drop work on a data directory: leave out --data-directory to ask the server";
            return Err(Usage(message.to_owned()).into());
        }
        let mut layers = Layers::new();
        lower(&mut layers, self.reach.config())?;
        layers.flag("data_directory", directory.to_string_lossy(), "--data-directory");
        let config = Config::resolve(&layers)?;
        let who = format!("uid {}", rustix::process::getuid().as_raw());
        runtime()?.block_on(async {
            let directory = Directory::take(&config, who).await?;
            let outcome = self.with(&directory, out).await;
            directory.close().await;
            outcome
        })
    }

    async fn with(&self, directory: &Directory, out: &mut impl Write) -> anyhow::Result<()> {
        let done = match &self.command {
            Ask::Create { name } => {
                directory.create(&name.database()?).await?;
                format!("Database {} created", name.0)
            }
            Ask::Drop { name, .. } => {
                directory.drop_database(&name.database()?).await?;
                format!("Database {} dropped", name.0)
            }
            _ => {
                let names = directory.names().await?;
                return self.list(names.iter().map(ToString::to_string), out);
            }
        };
        match self.json {
            true => writeln!(out, "{}", serde_json::to_string(&Done::new(done))?)?,
            false => writeln!(out, "Success: {done}")?,
        }
        Ok(())
    }

    fn list(&self, names: impl Iterator<Item = String>, out: &mut impl Write) -> anyhow::Result<()> {
        let closed = |name| Database { name, sessions: 0, state: "closed".to_owned() };
        let databases: Vec<_> = names.map(closed).collect();
        if self.json {
            let known = u64::try_from(databases.len()).ok();
            let page = Databases { databases, known, next: None, open: 0 };
            return Ok(writeln!(out, "{}", serde_json::to_string(&page)?)?);
        }
        writeln!(out, "Known Databases: {}", databases.len())?;
        let mut table = Table::new(&[Column::Left("NAME")]);
        databases.into_iter().for_each(|database| table.row([database.name]));
        write!(out, "{table}")?;
        Ok(())
    }
}
