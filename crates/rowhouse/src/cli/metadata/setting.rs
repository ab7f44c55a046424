//! `rowhouse setting`: settings of organizations, and of all.
use super::super::api::Question;
use super::super::table::{Column, Table};
use super::{Asked, organization, word};
use clap::{Args, Subcommand};
use rowhouse_types::DatabaseName;
use rowhouse_wire::management::ChangeSetting;
use serde_json::{Value, to_value};
use std::io::Write;

/// Settings are for applications to know: an organization's own are over those of all.
#[derive(Debug, Args)]
pub(crate) struct SettingCommand {
    #[command(subcommand)]
    command: Ask,
    /// Of this organization [default: those of all]
    #[arg(long, global = true, value_parser = organization)]
    org: Option<DatabaseName>,
    #[command(flatten)]
    asked: Asked,
}

#[derive(Debug, Subcommand)]
enum Ask {
    /// Set a setting
    Set {
        /// Its key
        key: String,
        /// Its value
        value: String,
    },
    /// List what is set
    List,
    /// Remove a setting
    Drop {
        /// Its key
        key: String,
    },
}

// === impl SettingCommand ===

impl SettingCommand {
    /// Does it, and writes what was done.
    pub(crate) fn run(&self, out: &mut impl Write) -> anyhow::Result<()> {
        match &self.command {
            Ask::Set { key, value } => self.change(key, Some(value), out),
            Ask::Drop { key } => self.change(key, None, out),
            Ask::List => {
                let of = self.org.as_ref().map(|org| format!("?organization={org}")).unwrap_or_default();
                let answer = self.asked.ask(|api| api.get(format!("/settings{of}"))?.read(), out)?;
                self.asked.tell(&answer, |answer| table(&answer["settings"]).to_string(), out)
            }
        }
    }

    fn change(&self, key: &str, value: Option<&String>, out: &mut impl Write) -> anyhow::Result<()> {
        let organization = self.org.as_ref().map(ToString::to_string);
        let body = ChangeSetting { key: key.to_owned(), organization, value: value.cloned() };
        self.asked.change(&Question::put("/settings", to_value(body)?), out)
    }
}

fn table(all: &Value) -> Table {
    let mut table = Table::new(&[Column::Left("KEY"), Column::Left("VALUE"), Column::Left("CHANGED")]);
    for one in all.as_array().into_iter().flatten() {
        table.row([word(&one["key"]), word(&one["value"]), word(&one["changed"])]);
    }
    table
}
