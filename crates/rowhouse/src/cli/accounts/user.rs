//! `rowhouse user`: add, list and remove users with passwords.
use super::super::api::Question;
use super::super::table::{Column, Table};
use super::place::Place;
use super::{Allowed, label, password};
use clap::{Args, Subcommand};
use rowhouse_access::{Label, PasswordHash, User};
use rowhouse_gateway::NewUser;
use rowhouse_management::told_user;
use rowhouse_wire::management as wire;
use serde_json::json;
use std::io::Write;

/// From the first user on, nobody comes in over HTTP without credentials, unless `allow_anonymous` is set.
#[derive(Debug, Args)]
pub(crate) struct UserCommand {
    #[command(subcommand)]
    command: Ask,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Subcommand)]
enum Ask {
    /// Add a user; the password is asked for, or is the first line of the input
    Add {
        /// What they call themselves
        #[arg(value_parser = label)]
        name: Label,
        #[command(flatten)]
        allowed: Allowed,
        /// Add nobody: print the line for users_file
        #[arg(long, conflicts_with_all = ["json", "port", "data_directory", "url", "management_port"])]
        print: bool,
    },
    /// List the users there are
    List,
    /// Remove a user: whoever came in as them may do nothing more
    Remove {
        /// Their name
        #[arg(value_parser = label)]
        name: Label,
    },
}

// === impl UserCommand ===

impl UserCommand {
    /// Does it, and writes what was done.
    pub(crate) fn run(&self, out: &mut impl Write) -> anyhow::Result<()> {
        match &self.command {
            Ask::Add { name, allowed, print } => self.add(name, allowed, *print, out),
            Ask::List => {
                let page = self.list(out)?;
                match self.place.json {
                    true => writeln!(out, "{}", serde_json::to_string(&page)?)?,
                    false => write!(out, "{}", table(&page.users))?,
                }
                Ok(())
            }
            Ask::Remove { name } => self.remove(name, out),
        }
    }

    fn add(&self, name: &Label, allowed: &Allowed, print: bool, out: &mut impl Write) -> anyhow::Result<()> {
        let password = password::ask(name)?;
        let Allowed { scopes, databases } = allowed.clone();
        if print {
            let password = PasswordHash::of(&password)?;
            let user = User { name: name.clone(), password, scopes, databases, created: None };
            return Ok(writeln!(out, "{}", user.line())?);
        }
        let Some(directory) = self.place.directory() else {
            let body = wire::CreateUser {
                databases: allowed.databases.names(),
                name: name.as_str().to_owned(),
                password: password.to_string(),
                scopes: allowed.scopes.words(),
            };
            let answer = self.place.ask_one(&Question::post("/users", serde_json::to_value(body)?), out)?;
            return self.place.told(&answer, out);
        };
        let password = PasswordHash::of(&password)?;
        let new = NewUser { name: name.clone(), password, scopes, databases };
        self.place.with(directory, async |roster, cause| roster.add_user(new, cause).await.map(drop))?;
        self.place.done(&format!("User {} added", name.as_str()), out)
    }

    fn list(&self, out: &mut impl Write) -> anyhow::Result<wire::Users> {
        let Some(directory) = self.place.directory() else {
            let answer = self.place.ask(|api| api.all("/users?limit=1000", "users", "after"), out)?;
            return Ok(serde_json::from_value(answer)?);
        };
        let users = self.place.with(directory, async |roster, _cause| Ok(roster.access().users()))?;
        Ok(wire::Users {
            next: None,
            users: users.iter().map(|(user, is_written)| told_user(user, *is_written)).collect(),
        })
    }

    fn remove(&self, name: &Label, out: &mut impl Write) -> anyhow::Result<()> {
        let Some(directory) = self.place.directory() else {
            let question = Question::delete(format!("/users/{}", name.as_str()), json!({}));
            let answer = self.place.ask_one(&question, out)?;
            return self.place.told(&answer, out);
        };
        self.place.with(directory, async |roster, cause| roster.remove_user(name, cause).await.map(drop))?;
        self.place.done(&format!("User {} removed", name.as_str()), out)
    }
}

fn table(users: &[wire::User]) -> Table {
    let mut table = Table::new(&[
        Column::Left("NAME"),
        Column::Left("SCOPES"),
        Column::Left("DATABASES"),
        Column::Left("SOURCE"),
    ]);
    for user in users {
        let (scopes, databases) = (user.scopes.join(","), user.databases.join(","));
        table.row([user.name.clone(), scopes, databases, user.source.clone()]);
    }
    table
}
