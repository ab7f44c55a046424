//! `rowhouse audit`: what administration did, by whom, and whether the record is as it was written.
use super::lower;
use super::place::{Usage, runtime};
use anyhow::Context as _;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use rowhouse::Audit as Journal;
use rowhouse::config::{Config, Layers};
use rowhouse_gateway::{Action, Entry, Hash, JournalReader, Query, Recorded};
use rowhouse_types::Target;
use rowhouse_wire::management::{AuditEntry, DEFAULT_DATABASE};
use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Reads the record itself: while the server runs, and while it does not. The latest entries come first.
#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// Of this database only; ~default is the one of requests that name none
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// Of this action only
    #[arg(long, value_name = "ACTION", value_parser = actions())]
    action: Option<Action>,
    /// Not older than this: a time such as 2026-11-21T19:30:00Z, or a span such as 2h
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// How many at most
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Print an object in JSON for each entry, one a line
    #[arg(long)]
    json: bool,
    /// Look whether all entries are as they were recorded; exit code 1 when one is not
    #[arg(long, conflicts_with_all = ["database", "action", "since"])]
    verify: bool,
    /// An entry's number and hash as they were told before, in the log or by --verify; may be repeated
    #[arg(long, value_name = "NUMBER:HASH", requires = "verify")]
    anchor: Vec<String>,
    /// The configuration file the server is started with; also ROWHOUSE_CONFIG
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data directory of the server
    #[arg(long, value_name = "DIRECTORY")]
    data_directory: Option<String>,
}

fn actions() -> impl clap::builder::TypedValueParser<Value = Action> {
    let words = Action::ALL.iter().map(|action| action.as_str());
    PossibleValuesParser::new(words).map(|word| Action::from_word(&word).expect("one of the words"))
}

// === impl Audit ===

impl Audit {
    /// Writes what was asked for.
    pub(crate) fn run(&self, out: &mut impl Write) -> anyhow::Result<()> {
        let directory = self.data_directory()?;
        let (query, anchors) = (self.query()?, self.anchors()?);
        runtime()?.block_on(async {
            let journal = Journal::open(&directory).await?;
            let outcome = match self.verify {
                true => self.verified(journal.reader(), &anchors, out).await,
                false => self.list(journal.reader(), query, out).await,
            };
            journal.close().await;
            outcome
        })
    }

    fn data_directory(&self) -> anyhow::Result<PathBuf> {
        let mut layers = Layers::new();
        lower(&mut layers, self.config.as_deref())?;
        if let Some(directory) = &self.data_directory {
            layers.flag("data_directory", directory, "--data-directory");
        }
        let directory = Config::resolve(&layers)?.data_directory;
        let none = "no data directory: give the server's --data-directory or --config";
        Ok(directory.ok_or_else(|| Usage(none.to_owned()))?)
    }

    fn query(&self) -> Result<Query, Usage> {
        let database = match self.database.as_deref() {
            None => None,
            Some(DEFAULT_DATABASE) => Some(Target::Default),
            Some(name) => Some(super::place::target(Some(name))?),
        };
        let since = self.since.as_deref().map(moment).transpose()?;
        Ok(Query { action: self.action, database, since, before: None, limit: Query::MOST })
    }

    fn anchors(&self) -> Result<Vec<(u64, Hash)>, Usage> {
        let anchor = |text: &String| {
            let (id, hash) = text.split_once(':')?;
            Some((id.parse().ok()?, hash.parse().ok()?))
        };
        let wrong = "--anchor takes an entry's number and its 64 hexadecimal digits, such as 120:3f...";
        let read = self.anchor.iter().map(|text| anchor(text).ok_or_else(|| Usage(wrong.to_owned())));
        read.collect()
    }

    async fn list(
        &self,
        reader: &JournalReader,
        mut query: Query,
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        let mut left = self.limit;
        while 0 < left {
            query.limit = u32::try_from(left).unwrap_or(u32::MAX).min(Query::MOST);
            let page = reader.entries(&query).await?;
            for recorded in &page {
                match self.json {
                    true => writeln!(out, "{}", serde_json::to_string(&shape(recorded))?)?,
                    false => writeln!(out, "{}", line(recorded))?,
                }
            }
            left -= page.len() as u64;
            query.before = match page.last() {
                Some(last) if page.len() == query.limit as usize => Some(last.id),
                _ => return Ok(()),
            };
        }
        Ok(())
    }

    async fn verified(
        &self,
        reader: &JournalReader,
        anchors: &[(u64, Hash)],
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        let verified =
            reader.verify(anchors).await.context("the history of changes is not as it was recorded")?;
        let (entries, first, last, head) = (verified.entries, verified.first, verified.last, verified.head);
        if self.json {
            let head = head.to_string();
            let said = serde_json::json!({ "entries": entries, "first": first, "last": last, "head": head });
            writeln!(out, "{said}")?;
            return Ok(());
        }
        writeln!(out, "verified {entries} entries, {first} to {last}: each is as it was recorded")?;
        writeln!(out, "anchor {last}:{head}")?;
        Ok(())
    }
}

fn moment(text: &str) -> Result<SystemTime, Usage> {
    let ago = |span: Duration| SystemTime::now().checked_sub(span);
    let read = humantime::parse_rfc3339_weak(text).ok();
    read.or_else(|| humantime::parse_duration(text).ok().and_then(ago)).ok_or_else(|| {
        Usage("--since takes a time in UTC such as 2026-11-21T19:30:00Z, or a span such as 2h".to_owned())
    })
}

/// As the management API tells it.
fn shape(recorded: &Recorded) -> AuditEntry {
    let Recorded { id, at, entry, .. } = recorded.clone();
    let Entry { action, cause, database, from, to, active, result } = entry;
    AuditEntry {
        action: action.as_str().to_owned(),
        active,
        at: humantime::format_rfc3339_micros(at).to_string(),
        database: database
            .map(|target| target.name().map_or(DEFAULT_DATABASE.to_owned(), ToString::to_string)),
        from,
        id,
        reason: cause.reason,
        result: if result.is_ok() { "success" } else { "failed" }.to_owned(),
        error: result.err(),
        source: cause.interface.as_str().to_owned(),
        to,
        who: cause.who,
    }
}

/// One line, every key in its place, `-` where there is nothing; what people wrote comes last.
fn line(recorded: &Recorded) -> String {
    let shown = shape(recorded);
    let mut line = format!("id={} at={}", shown.id, shown.at);
    let active = shown.active.map(|active| active.to_string());
    for (key, value) in [
        ("action", Some(&shown.action)),
        ("result", Some(&shown.result)),
        ("source", Some(&shown.source)),
        ("database", shown.database.as_ref()),
        ("active", active.as_ref()),
        ("from", shown.from.as_ref()),
        ("to", shown.to.as_ref()),
        ("who", Some(&shown.who)),
        ("reason", shown.reason.as_ref()),
        ("error", shown.error.as_ref()),
    ] {
        let value = value.map_or("-".to_owned(), |value| quoted(value));
        write!(line, " {key}={value}").expect("into memory");
    }
    line
}

/// A value that could be taken for something else in quotes, and nothing in it that a terminal obeys.
fn quoted(value: &str) -> String {
    let escaped: String = value.chars().flat_map(char::escape_debug).collect();
    let plain = !value.is_empty() && value != "-" && escaped == value;
    if plain && !value.contains([' ', '=']) { escaped } else { format!("\"{escaped}\"") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rowhouse_gateway::{Cause, Interface};

    #[test]
    fn an_entry_is_one_line_whatever_is_in_it() {
        let cause =
            Cause::new(Interface::Http, "a\nid=7 action=drop_database").because("\u{1b}[2J\u{202e}\"é\"");
        let entry = Entry { to: Some(String::new()), ..Entry::of(Action::Evict, cause) };
        let at = SystemTime::UNIX_EPOCH + Duration::from_micros(1_500_000);
        let hash = "0".repeat(64).parse().expect("a hash");
        let said =
            line(&Recorded { id: 3, at, entry: Entry { database: Some(Target::Default), ..entry }, hash });
        assert_eq!(
            said,
            "id=3 at=1970-01-01T00:00:01.500000Z action=evict result=success source=http database=~default \
             active=- from=- to=\"\" who=\"a\\nid=7 action=drop_database\" \
             reason=\"\\u{1b}[2J\\u{202e}\\\"é\\\"\" error=-"
        );
    }
}
