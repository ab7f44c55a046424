//! `rowhouse restore`: make a database what a backup holds.
use super::confirm;
use super::place::{Place, Usage, called, runtime, shown, target};
use anyhow::{Context as _, bail};
use clap::{ArgGroup, Args};
use rowhouse::{Maintenance, MaintenanceError};
use rowhouse_engine::{Course, EngineError, Over, Pace, Presence};
use rowhouse_gateway::Shelves;
use rowhouse_types::Target;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The backup is checked first; the database is restored wholly or not at all. One that exists must be in nobody's
/// use: stop the server, or restore beside it with --as.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true).args(["name", "default"])))]
pub(crate) struct Restore {
    /// The database whose backup it is
    name: Option<String>,
    /// The default database
    #[arg(long)]
    default: bool,
    /// The backup: a file, or a time such as 2026-01-31T12:00:00Z for the last one made until then [default: the latest]
    #[arg(long, value_name = "FILE|TIME")]
    from: Option<String>,
    /// Restore it as a new database of this name
    #[arg(long = "as", value_name = "NEWNAME")]
    new_name: Option<String>,
    /// Replace what is there without asking
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    place: Place,
}

// === impl Restore ===

impl Restore {
    /// Writes what was restored.
    pub(crate) fn run(&self, out: &mut impl Write) -> anyhow::Result<()> {
        let of = target(self.name.as_deref())?;
        let to = match &self.new_name {
            None => of.clone(),
            Some(name) => target(Some(name))?,
        };
        let maintenance = Maintenance::new(&self.place.config()?)?;
        let from = find(maintenance.backups().shelves(), &of, self.from.as_deref())?;
        runtime()?.block_on(self.restore(&maintenance, &from, &to))?;
        writeln!(out, "restored {} from {}", called(&to), from.display())?;
        Ok(())
    }

    async fn restore(&self, maintenance: &Maintenance, from: &Path, to: &Target) -> anyhow::Result<()> {
        let what = called(to);
        let present = maintenance.probe(to).await.with_context(|| format!("{what} was not restored"))?;
        let over = match (present, &self.new_name) {
            (Presence::Present, Some(_)) => {
                bail!(
                    "{what} exists already: --as takes the name of a new one; leave --as out to replace one"
                );
            }
            (Presence::Present, None) => {
                self.confirm(to, from)?;
                Over::Existing
            }
            (Presence::Absent, _) => Over::Nothing,
        };
        let course = Course::new(Pace::Full);
        let restoring = maintenance.restore(from, (to, over), &course);
        match shown(&format!("restoring {what}"), &course, restoring).await {
            Err(MaintenanceError::Engine(EngineError::InUse)) => bail!(
                "{what} is in use, so it was not restored: stop the server, wait until it has closed the database (it does so when another needs the room), or restore it as another one with --as NEWNAME"
            ),
            outcome => outcome.with_context(|| format!("{what} was not restored")),
        }
    }

    /// Asks whether what is there may be replaced.
    fn confirm(&self, to: &Target, from: &Path) -> anyhow::Result<()> {
        if self.yes {
            return Ok(());
        }
        let word = to.name().map_or("default", |name| name.as_str());
        let what = format!("{} is replaced by {}", called(to), from.display());
        confirm(word, &what, "--yes, or --as NEWNAME to restore it as another one")
    }
}

/// The backup that is meant.
fn find(shelves: &Shelves, of: &Target, from: Option<&str>) -> anyhow::Result<PathBuf> {
    let backups = shelves.list(of).context("the backups cannot be listed")?;
    let none = || format!("there is no backup of {} below {}", called(of), shelves.root().display());
    let Some(text) = from else {
        return backups.last().map(|last| last.path.clone()).with_context(none);
    };
    if let Some(named) =
        backups.iter().find(|backup| backup.path.file_name().is_some_and(|name| name == text))
    {
        return Ok(named.path.clone());
    }
    if let Ok(time) = humantime::parse_rfc3339_weak(text) {
        let oldest = backups.first().map(|oldest| humantime::format_rfc3339_micros(oldest.made_at));
        let found = backups.iter().rev().find(|backup| backup.made_at <= time);
        return found.map(|found| found.path.clone()).with_context(|| match oldest {
            None => none(),
            Some(oldest) => {
                format!("there is no backup of {} of {text} or before; the oldest is of {oldest}", called(of))
            }
        });
    }
    let path = PathBuf::from(text);
    if std::fs::symlink_metadata(&path).is_err() {
        bail!("--from {text}: there is no such file, and it is no time such as 2026-01-31T12:00:00Z");
    }
    if let Some(owner) = shelves.owner(&path).filter(|owner| owner != of) {
        let (owner, whose) = (called(&owner), owner.name().map_or("--default", |name| name.as_str()));
        let message = format!(
            "{text} is a backup of {owner}: `rowhouse restore {whose} --from {text} --as NEWNAME` restores that one"
        );
        return Err(Usage(message).into());
    }
    Ok(path)
}
