//! `rowhouse org`, `member`, `identity` and `setting`: what the metadata database keeps, asked of the server.
//!
//! | file | holds |
//! | --- | --- |
//! | `org` | organizations, and how it stands with their databases |
//! | `member`, `identity` | their users, and by what these are known elsewhere |
//! | `setting` | settings, of one organization or of all |
mod identity;
mod member;
mod org;
mod setting;

pub(crate) use identity::IdentityCommand;
pub(crate) use member::MemberCommand;
pub(crate) use org::OrgCommand;
pub(crate) use setting::SettingCommand;

use super::Failure;
use super::api::{Api, ApiError, HEADING, Question, Reach, USUAL};
use super::table::{Table, plain};
use clap::Args;
use rowhouse_types::DatabaseName;
use serde_json::Value;
use std::io::Write;

/// Which server is asked, and how its answer is told.
#[derive(Debug, Args)]
struct Asked {
    /// The main port of the server [default: the configured one, 9090]
    #[arg(long, short, global = true, value_name = "PORT", help_heading = HEADING)]
    port: Option<u16>,
    /// Print what the server answers, in JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

// === impl Asked ===

impl Asked {
    /// The server's answer; what it refuses is told in JSON where that was asked for.
    fn ask(
        &self,
        question: impl FnOnce(&Api) -> Result<Value, ApiError>,
        out: &mut impl Write,
    ) -> anyhow::Result<Value> {
        let api = self.reach.api(self.port, USUAL)?;
        question(&api).map_err(|error| {
            if let (true, Some(text)) = (self.json, error.json()) {
                // What went wrong is told by the error as well.
                let _unread = writeln!(out, "{text}");
            }
            Failure::from(error).into()
        })
    }

    /// Asks for a change, and says what the server says was done.
    fn change(&self, question: &Question, out: &mut impl Write) -> anyhow::Result<()> {
        let answer = self.ask(|api| api.ask(question)?.read(), out)?;
        self.tell(&answer, |answer| format!("Success: {}\n", word(&answer["message"])), out)
    }

    /// Lists what there is, every page of it.
    fn list(
        &self,
        (path, items): (&str, &str),
        table: impl FnOnce(&[Value]) -> Table,
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        let answer = self.ask(|api| api.all(path, items, "after"), out)?;
        let rows = answer[items].as_array().cloned().unwrap_or_default();
        self.tell(&answer, |_| table(&rows).to_string(), out)
    }

    /// Writes an answer, in JSON or in words.
    fn tell(
        &self,
        answer: &Value,
        words: impl FnOnce(&Value) -> String,
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        match self.json {
            true => writeln!(out, "{answer}")?,
            false => write!(out, "{}", words(answer))?,
        }
        Ok(())
    }
}

/// A text of an answer, fit for a terminal; `-` for none.
fn word(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => plain(text).to_string(),
        other => other.to_string(),
    }
}

/// What is told of one thing, a line for each.
fn lines(answer: &Value, fields: &[(&str, &str)]) -> String {
    let widest = fields.iter().map(|(title, _)| title.len()).max().unwrap_or(0);
    let line = |(title, key): &(&str, &str)| format!("{title:widest$}  {}\n", word(&answer[*key]));
    fields.iter().map(line).collect()
}

/// A part of a path or a query, with what has a meaning there written as it must be.
fn escaped(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

/// An organization, from the command line.
fn organization(text: &str) -> Result<DatabaseName, String> {
    text.parse().map_err(|error: rowhouse_types::InvalidName| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_meaning_in_a_path_is_escaped() {
        assert_eq!(escaped("a@example.com/../x?y#z"), "a%40example.com%2F..%2Fx%3Fy%23z");
    }
}
