//! `rowhouse identity`: by what members are known elsewhere.
use super::super::api::Question;
use super::super::table::{Column, Table};
use super::{Asked, escaped, word};
use clap::{Args, Subcommand};
use rowhouse_wire::management::Identity;
use serde_json::{Value, to_value};
use std::io::Write;

/// An identity is what an issuer of tokens calls a member; it is one member's.
#[derive(Debug, Args)]
pub(crate) struct IdentityCommand {
    #[command(subcommand)]
    command: Ask,
    #[command(flatten)]
    asked: Asked,
}

#[derive(Debug, Subcommand)]
enum Ask {
    /// Give a member an identity
    Create {
        /// Their address or identifier
        member: String,
        /// Who knows them so: the issuer (`iss`) of their tokens
        #[arg(long)]
        provider: String,
        /// As what: the subject (`sub`)
        #[arg(long)]
        subject: String,
    },
    /// List the identities of a member
    List {
        /// Their address or identifier
        member: String,
    },
    /// Take an identity from whoever has it
    Drop {
        /// The issuer
        #[arg(long)]
        provider: String,
        /// The subject
        #[arg(long)]
        subject: String,
    },
}

// === impl IdentityCommand ===

impl IdentityCommand {
    /// Does it, and writes what was done.
    pub(crate) fn run(&self, out: &mut impl Write) -> anyhow::Result<()> {
        let path = |member: &str| format!("/members/{}/identities", escaped(member));
        match &self.command {
            Ask::Create { member, provider, subject } => {
                let body = Identity { provider: provider.clone(), subject: subject.clone() };
                self.asked.change(&Question::post(path(member), to_value(body)?), out)
            }
            Ask::List { member } => {
                let answer = self.asked.ask(|api| api.get(path(member))?.read(), out)?;
                self.asked.tell(&answer, |answer| table(&answer["identities"]).to_string(), out)
            }
            Ask::Drop { provider, subject } => {
                let body = Identity { provider: provider.clone(), subject: subject.clone() };
                self.asked.change(&Question::delete("/identities", to_value(body)?), out)
            }
        }
    }
}

fn table(all: &Value) -> Table {
    let mut table = Table::new(&[Column::Left("PROVIDER"), Column::Left("SUBJECT")]);
    for one in all.as_array().into_iter().flatten() {
        table.row([word(&one["provider"]), word(&one["subject"])]);
    }
    table
}
