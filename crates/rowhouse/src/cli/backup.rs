//! `rowhouse backup`: back up databases now, and list backups.
use super::place::{Place, Usage, called, runtime, shown, target};
use anyhow::Context as _;
use clap::{ArgGroup, Args, Subcommand};
use rowhouse::Maintenance;
use rowhouse_engine::{Course, Pace};
use rowhouse_gateway::{Backup, BackupError, Backups, Shelves};
use rowhouse_types::Target;
use std::io::Write;
use std::time::{Duration, Instant};

/// Works while the server runs, and while it does not. A database called `list` is named after `--`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(group(ArgGroup::new("which").required(true).args(["name", "default", "all"])))]
pub(crate) struct BackUp {
    #[command(subcommand)]
    command: Option<BackupCommand>,
    /// The database
    name: Option<String>,
    /// The default database
    #[arg(long)]
    default: bool,
    /// Every database
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Subcommand)]
enum BackupCommand {
    /// List backups, the oldest first
    List {
        /// The database; without it, those of all
        name: Option<String>,
        /// The default database
        #[arg(long, conflicts_with = "name")]
        default: bool,
        #[command(flatten)]
        place: Place,
    },
}

// === impl BackUp ===

impl BackUp {
    /// Writes a line for each backup.
    pub(crate) fn run(&self, out: &mut impl Write) -> anyhow::Result<()> {
        if let Some(BackupCommand::List { name, default, place }) = &self.command {
            let which = match (name, default) {
                (None, false) => None,
                (name, _) => Some(target(name.as_deref())?),
            };
            return list(place, which, out);
        }
        let maintenance = Maintenance::of_existing(&self.place.config()?)?;
        let backups = maintenance.backups();
        let runtime = runtime()?;
        if self.all {
            return runtime.block_on(all(backups, out));
        }
        let target = target(self.name.as_deref())?;
        runtime
            .block_on(one(backups, &target, out))
            .with_context(|| format!("{} was not backed up", called(&target)))
    }
}

async fn one(backups: &Backups, target: &Target, out: &mut impl Write) -> anyhow::Result<()> {
    let (course, started) = (Course::new(Pace::Full), Instant::now());
    let what = format!("backing up {}", called(target));
    let backup = shown(&what, &course, backups.back_up(target, &course)).await?;
    let took = Duration::from_millis(u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX).max(1));
    writeln!(
        out,
        "backed up {} to {} ({} in {})",
        called(target),
        backup.path.display(),
        bytesize::ByteSize(backup.bytes),
        humantime::format_duration(took),
    )?;
    Ok(())
}

/// One database's failure is told, and the others are backed up.
async fn all(backups: &Backups, out: &mut impl Write) -> anyhow::Result<()> {
    let targets = backups.targets().await.context("the databases cannot be listed")?;
    let mut err = std::io::stderr();
    let mut failed = 0;
    for target in &targets {
        let Err(error) = one(backups, target, out).await else { continue };
        if super::is_unread(&error) {
            continue;
        }
        let called = called(target);
        if matches!(error.downcast_ref(), Some(BackupError::OutOfReach)) {
            writeln!(err, "{called} was passed over: {error}")?;
        } else {
            failed += 1;
            let causes: Vec<_> = error.chain().map(ToString::to_string).collect();
            writeln!(err, "error: {called} was not backed up: {}", causes.join(": "))?;
        }
    }
    match failed {
        0 => Ok(()),
        failed => anyhow::bail!("{failed} of {} databases were not backed up", targets.len()),
    }
}

fn list(place: &Place, which: Option<Target>, out: &mut impl Write) -> anyhow::Result<()> {
    let plan = place.config()?.backups.ok_or_else(|| {
        Usage(
            "no place for backups: give --backup-dir DIRECTORY, or backup_dir in the configuration"
                .to_owned(),
        )
    })?;
    let shelves = Shelves::new(plan.directory);
    let whose = which.as_ref().map_or_else(String::new, |target| format!(" of {}", called(target)));
    let targets = which.map_or_else(|| shelves.targets(), |target| Ok(vec![target]));
    let mut listed = 0;
    for target in targets.context("the backups cannot be listed")? {
        let name = target.name().map_or("(default)".to_owned(), ToString::to_string);
        for backup in shelves.list(&target).context("the backups cannot be listed")? {
            let Backup { path, made_at, bytes, .. } = backup;
            let (time, size) = (humantime::format_rfc3339_micros(made_at), bytesize::ByteSize(bytes));
            writeln!(out, "{name:<24} {time}  {:>10}  {}", size.to_string(), path.display())?;
            listed += 1;
        }
    }
    if listed == 0 {
        let hint = "make one with `rowhouse backup`, or check the name and --backup-dir";
        writeln!(std::io::stderr(), "there are no backups{whose}: {hint}")?;
    }
    Ok(())
}
