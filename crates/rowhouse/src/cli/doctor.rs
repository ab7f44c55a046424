//! `rowhouse doctor`: look at an installation, and say what to do.
use super::Failure;
use super::place::runtime;
use super::start::Options;
use super::table::{Column, Table, plain};
use clap::Args;
use rowhouse::config::Config;
use rowhouse::doctor::{Finding, Verdict, examine, unreadable};
use serde_json::json;
use std::io::Write;

/// Takes what `start` takes, and looks at what `start` would need: the configuration, the data directory and its disk,
/// open files, ports, keys, PostgreSQL. Nothing is changed, and a server that runs is not disturbed.
///
/// Exit codes: 0 nothing is wrong; 1 something is; 2 the command line is.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Print what was found in JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    options: Options,
}

// === impl Doctor ===

impl Doctor {
    /// Writes what was found; the error says that something is wrong.
    pub(crate) fn run(&self, out: &mut impl Write) -> anyhow::Result<()> {
        let config = self.options.layers().and_then(|layers| Config::resolve(&layers));
        let findings = match &config {
            Ok(config) => runtime()?.block_on(examine(config)),
            Err(error) => vec![unreadable(error)],
        };
        let count = |verdict| findings.iter().filter(|finding| finding.status == verdict).count();
        let (wrong, warnings) = (count(Verdict::Wrong), count(Verdict::Warning));
        match self.json {
            true => writeln!(out, "{}", json!({ "healthy": wrong == 0, "checks": findings }))?,
            false => write(&findings, out)?,
        }
        if wrong == 0 {
            return Ok(());
        }
        Err(Failure::new(format!("{wrong} wrong, {warnings} warnings")).into())
    }
}

fn write(findings: &[Finding], out: &mut impl Write) -> anyhow::Result<()> {
    let mut table = Table::new(&[Column::Left("CHECK"), Column::Left("STATUS"), Column::Left("FOUND")]);
    for finding in findings {
        table.row([finding.check.clone(), finding.status.to_string(), finding.found.clone()]);
    }
    write!(out, "{table}")?;
    let advice = findings.iter().filter_map(|finding| Some((&finding.check, finding.advice.as_ref()?)));
    for (index, (check, advice)) in advice.enumerate() {
        if index == 0 {
            writeln!(out, "\nWhat to do:")?;
        }
        writeln!(out, "  {}: {}", plain(check), plain(advice))?;
    }
    Ok(())
}
