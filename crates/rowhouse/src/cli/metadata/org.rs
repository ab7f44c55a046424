//! `rowhouse org`: create, list, show, suspend, resume and drop organizations.
use super::super::api::Question;
use super::super::confirm;
use super::super::table::{Column, Table};
use super::{Asked, lines, organization, word};
use clap::{Args, Subcommand};
use rowhouse_types::DatabaseName;
use rowhouse_wire::management::{Confirmation, CreateOrganization, Suspension};
use serde_json::{Value, json, to_value};
use std::io::Write;

/// An organization is a database of that name, and its users and settings in the metadata database.
#[derive(Debug, Args)]
pub(crate) struct OrgCommand {
    #[command(subcommand)]
    command: Ask,
    #[command(flatten)]
    asked: Asked,
}

#[derive(Debug, Subcommand)]
enum Ask {
    /// Enter an organization, and make its database
    Create {
        /// Its name
        #[arg(value_parser = organization)]
        org: DatabaseName,
        /// What people call it [default: its name]
        #[arg(long)]
        title: Option<String>,
    },
    /// List the organizations there are
    List,
    /// Tell how it stands with one, and where its database is
    Show {
        /// Its name
        #[arg(value_parser = organization)]
        org: DatabaseName,
    },
    /// Serve an organization's database to nobody until it is resumed
    Suspend {
        /// Its name
        #[arg(value_parser = organization)]
        org: DatabaseName,
        /// End the sessions that do not end by themselves
        #[arg(long)]
        force: bool,
        /// Why, for the history and for other operators
        #[arg(long)]
        reason: Option<String>,
    },
    /// Serve a suspended organization's database again
    Resume {
        /// Its name
        #[arg(value_parser = organization)]
        org: DatabaseName,
    },
    /// Drop an organization: its database with all its rows, its users and its settings
    Drop {
        /// Its name
        #[arg(value_parser = organization)]
        org: DatabaseName,
        /// End the sessions that do not end by themselves
        #[arg(long)]
        force: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

// === impl OrgCommand ===

impl OrgCommand {
    /// Does it, and writes what was done.
    pub(crate) fn run(&self, out: &mut impl Write) -> anyhow::Result<()> {
        let path = |org: &DatabaseName| format!("/organizations/{org}");
        match &self.command {
            Ask::Create { org, title } => {
                let body = CreateOrganization { id: org.to_string(), title: title.clone() };
                self.asked.change(&Question::post("/organizations", to_value(body)?), out)
            }
            Ask::List => self.asked.list(("/organizations?limit=1000", "organizations"), table, out),
            Ask::Show { org } => {
                let answer = self.asked.ask(|api| api.get(path(org))?.read(), out)?;
                self.asked.tell(&answer, |answer| lines(answer, FIELDS), out)
            }
            Ask::Suspend { org, force, reason } => {
                let body = Suspension { force: *force, reason: reason.clone() };
                self.asked.change(&Question::post(format!("{}/suspend", path(org)), to_value(body)?), out)
            }
            Ask::Resume { org } => {
                self.asked.change(&Question::post(format!("{}/resume", path(org)), json!({})), out)
            }
            Ask::Drop { org, force, yes } => {
                if !yes {
                    let what = "is dropped, with its database, all rows in it, its users and its settings";
                    confirm(org.as_str(), &format!("organization {org} {what}"), "--yes")?;
                }
                let body = Confirmation { confirm: org.to_string(), force: *force };
                self.asked.change(&Question::delete(path(org), to_value(body)?), out)
            }
        }
    }
}

/// What is told of one.
const FIELDS: &[(&str, &str)] = &[
    ("organization", "id"),
    ("title", "title"),
    ("state", "state"),
    ("why", "why"),
    ("engine", "engine"),
    ("server", "server"),
    ("database", "database"),
    ("schema version", "schema_version"),
    ("created", "created"),
];

fn table(all: &[Value]) -> Table {
    let mut table = Table::new(&[
        Column::Left("ORGANIZATION"),
        Column::Left("STATE"),
        Column::Left("TITLE"),
        Column::Left("CREATED"),
    ]);
    for one in all {
        table.row([word(&one["id"]), word(&one["state"]), word(&one["title"]), word(&one["created"])]);
    }
    table
}
