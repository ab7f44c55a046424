//! `rowhouse token`: make, list and take back API tokens.
use super::super::api::Question;
use super::super::table::{Column, Table, plain};
use super::place::Place;
use super::{Allowed, label};
use clap::{Args, Subcommand};
use rowhouse_access::Label;
use rowhouse_gateway::NewToken;
use rowhouse_management::told_token;
use rowhouse_wire::management as wire;
use serde_json::json;
use std::io::Write;
use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

/// From the first token on, nobody comes in over HTTP without credentials, unless `allow_anonymous` is set.
#[derive(Debug, Args)]
pub(crate) struct TokenCommand {
    #[command(subcommand)]
    command: Ask,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Subcommand)]
enum Ask {
    /// Make a token, and print its secret, which is told this once
    Create {
        /// What operators call it
        #[arg(value_parser = label)]
        name: Label,
        #[command(flatten)]
        allowed: Allowed,
        /// For how long, such as 30d [default: for ever]
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
        lasts: Option<Duration>,
        /// How many requests a second it is good for [default: no bound]
        #[arg(long, value_name = "COUNT")]
        rate: Option<NonZeroU32>,
        /// Print the secret only
        #[arg(long, short, conflicts_with = "json")]
        quiet: bool,
    },
    /// List the tokens there are; nobody can tell their secrets
    List,
    /// Take a token back: whoever uses it may do nothing more
    Revoke {
        /// Its name
        #[arg(value_parser = label)]
        name: Label,
    },
}

// === impl TokenCommand ===

impl TokenCommand {
    /// Does it, and writes what was done.
    pub(crate) fn run(&self, out: &mut impl Write) -> anyhow::Result<()> {
        match &self.command {
            Ask::Create { quiet, .. } => {
                let created = self.create(out)?;
                match (self.place.json, quiet) {
                    (true, _) => writeln!(out, "{}", serde_json::to_string(&created)?)?,
                    (false, true) => writeln!(out, "{}", plain(&created.secret))?,
                    (false, false) => {
                        writeln!(out, "Success: {}", plain(&created.message))?;
                        writeln!(out, "Secret: {}", plain(&created.secret))?;
                    }
                }
                Ok(())
            }
            Ask::List => {
                let page = self.list(out)?;
                match self.place.json {
                    true => writeln!(out, "{}", serde_json::to_string(&page)?)?,
                    false => write!(out, "{}", table(&page.tokens))?,
                }
                Ok(())
            }
            Ask::Revoke { name } => self.revoke(name, out),
        }
    }

    fn create(&self, out: &mut impl Write) -> anyhow::Result<wire::TokenCreated> {
        let Ask::Create { name, allowed, lasts, rate, .. } = &self.command else {
            unreachable!("it is to be made")
        };
        let Some(directory) = self.place.directory() else {
            let lasts = lasts.map(|lasts| humantime::format_duration(lasts).to_string());
            let body = wire::CreateToken {
                databases: allowed.databases.names(),
                lasts,
                name: name.as_str().to_owned(),
                rate: rate.map(NonZeroU32::get),
                scopes: allowed.scopes.words(),
            };
            let answer = self.place.ask_one(&Question::post("/tokens", serde_json::to_value(body)?), out)?;
            return Ok(serde_json::from_value(answer)?);
        };
        let Allowed { scopes, databases } = allowed.clone();
        let new = NewToken { name: name.clone(), scopes, databases, lasts: *lasts, rate: *rate };
        let issued = self.place.with(directory, async |roster, cause| roster.issue(new, cause).await)?;
        Ok(wire::TokenCreated {
            message: format!("Token {} created: its secret is told this once", name.as_str()),
            name: name.as_str().to_owned(),
            secret: issued.secret.reveal().to_owned(),
            status: wire::SUCCESS.to_owned(),
        })
    }

    fn list(&self, out: &mut impl Write) -> anyhow::Result<wire::Tokens> {
        let Some(directory) = self.place.directory() else {
            let answer = self.place.ask(|api| api.all("/tokens?limit=1000", "tokens", "after"), out)?;
            return Ok(serde_json::from_value(answer)?);
        };
        let tokens = self.place.with(directory, async |roster, _cause| Ok(roster.access().tokens()))?;
        let now = SystemTime::now();
        Ok(wire::Tokens { next: None, tokens: tokens.iter().map(|token| told_token(token, now)).collect() })
    }

    fn revoke(&self, name: &Label, out: &mut impl Write) -> anyhow::Result<()> {
        let Some(directory) = self.place.directory() else {
            let question = Question::delete(format!("/tokens/{}", name.as_str()), json!({}));
            let answer = self.place.ask_one(&question, out)?;
            return self.place.told(&answer, out);
        };
        self.place.with(directory, async |roster, cause| roster.revoke(name, cause).await.map(drop))?;
        self.place.done(&format!("Token {} revoked", name.as_str()), out)
    }
}

fn table(tokens: &[wire::Token]) -> Table {
    let mut table = Table::new(&[
        Column::Left("NAME"),
        Column::Left("SCOPES"),
        Column::Left("DATABASES"),
        Column::Left("EXPIRES"),
        Column::Right("RATE"),
    ]);
    for token in tokens {
        let expires = match (&token.expires, token.expired) {
            (Some(at), true) => format!("{at} (over)"),
            (at, _) => at.clone().unwrap_or_default(),
        };
        let rate = token.rate.map(|rate| format!("{rate}/s")).unwrap_or_default();
        table.row([token.name.clone(), token.scopes.join(","), token.databases.join(","), expires, rate]);
    }
    table
}
