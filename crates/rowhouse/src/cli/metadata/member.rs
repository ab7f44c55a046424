//! `rowhouse member`: users of organizations.
use super::super::api::Question;
use super::super::table::{Column, Table};
use super::{Asked, escaped, lines, organization, word};
use clap::{Args, Subcommand};
use rowhouse_types::DatabaseName;
use rowhouse_wire::management::CreateMember;
use serde_json::{Value, json, to_value};
use std::io::Write;

/// Members are the people of organizations, for applications to know; who comes in by a password is a `user`.
#[derive(Debug, Args)]
pub(crate) struct MemberCommand {
    #[command(subcommand)]
    command: Ask,
    #[command(flatten)]
    asked: Asked,
}

#[derive(Debug, Subcommand)]
enum Ask {
    /// Enter somebody
    Create {
        /// Their address of mail, which nobody else has
        email: String,
        /// Their organization
        #[arg(long, value_parser = organization)]
        org: Option<DatabaseName>,
        /// What people call them [default: their address]
        #[arg(long)]
        title: Option<String>,
    },
    /// List who there is
    List {
        /// Of this organization only
        #[arg(long, value_parser = organization)]
        org: Option<DatabaseName>,
    },
    /// Tell of one
    Show {
        /// Their address or identifier
        member: String,
    },
    /// Note that somebody is to be let in nowhere
    Suspend {
        /// Their address or identifier
        member: String,
    },
    /// Let somebody be again who was suspended
    Resume {
        /// Their address or identifier
        member: String,
    },
    /// Remove somebody, and all by which they are known elsewhere
    Drop {
        /// Their address or identifier
        member: String,
    },
}

// === impl MemberCommand ===

impl MemberCommand {
    /// Does it, and writes what was done.
    pub(crate) fn run(&self, out: &mut impl Write) -> anyhow::Result<()> {
        let path = |member: &str| format!("/members/{}", escaped(member));
        match &self.command {
            Ask::Create { email, org, title } => {
                let organization = org.as_ref().map(ToString::to_string);
                let body = CreateMember { email: email.clone(), organization, title: title.clone() };
                self.told(&Question::post("/members", to_value(body)?), out)
            }
            Ask::List { org } => {
                let of = org.as_ref().map(|org| format!("&organization={org}")).unwrap_or_default();
                self.asked.list((&format!("/members?limit=1000{of}"), "members"), table, out)
            }
            Ask::Show { member } => self.told(&Question::get(path(member)), out),
            Ask::Suspend { member } => {
                self.told(&Question::post(format!("{}/suspend", path(member)), json!({})), out)
            }
            Ask::Resume { member } => {
                self.told(&Question::post(format!("{}/resume", path(member)), json!({})), out)
            }
            Ask::Drop { member } => self.asked.change(&Question::delete(path(member), json!({})), out),
        }
    }

    /// Asks for what is answered with the member as they are then.
    fn told(&self, question: &Question, out: &mut impl Write) -> anyhow::Result<()> {
        let answer = self.asked.ask(|api| api.ask(question)?.read(), out)?;
        self.asked.tell(&answer, |answer| lines(answer, FIELDS), out)
    }
}

/// What is told of one.
const FIELDS: &[(&str, &str)] = &[
    ("member", "email"),
    ("title", "title"),
    ("organization", "organization"),
    ("state", "state"),
    ("identifier", "id"),
    ("created", "created"),
];

fn table(all: &[Value]) -> Table {
    let mut table = Table::new(&[
        Column::Left("MEMBER"),
        Column::Left("ORGANIZATION"),
        Column::Left("STATE"),
        Column::Left("TITLE"),
    ]);
    for one in all {
        table.row([
            word(&one["email"]),
            word(&one["organization"]),
            word(&one["state"]),
            word(&one["title"]),
        ]);
    }
    table
}
