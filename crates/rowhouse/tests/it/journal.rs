//! The journal on a disk: the gateway's own, in a database of SQLite's.
mod failing;

use failing::{Failing, Fault};
use rowhouse_engine::{Database, Engine, Location};
use rowhouse_engine_sqlite::{Access, Config, Executor, ExecutorConfig, SqliteEngine};
use rowhouse_gateway::{
    Action, Break, Cause, Entry, Event, Hash, Interface, Journal, JournalError, JournalEvent, JournalParts,
    JournalReader, Observer, Query, Recorded, Verdict,
};
use rowhouse_types::Target;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// A directory with a journal's database.
struct Place {
    directory: TempDir,
    engine: Arc<dyn Engine>,
    heard: Arc<Heard>,
}

/// What observers were told, as they would write it.
#[derive(Debug, Default)]
struct Heard(Mutex<Vec<String>>);

impl Observer for Heard {
    fn observe(&self, event: &Event<'_>) {
        let Event::Journal(event) = event else { return };
        let told = match event {
            JournalEvent::Failed { .. } => "failed".to_owned(),
            JournalEvent::Recovered { lost } => format!("recovered, {lost} lost"),
            JournalEvent::Lost { entries } => format!("{entries} lost at the end"),
            JournalEvent::Broken { error } => error.to_string(),
            JournalEvent::Anchored { entry, .. } => format!("anchored {entry}"),
            event => format!("{event:?}"),
        };
        self.0.lock().unwrap().push(told);
    }
}

impl Heard {
    /// All but the anchors.
    fn troubles(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().filter(|told| !told.starts_with("anchored")).cloned().collect()
    }
}

impl Place {
    fn new() -> Self {
        Self { directory: TempDir::new().unwrap(), engine: engine(Access::ReadWrite), heard: Arc::default() }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("state.db")
    }

    fn location(&self) -> Location {
        Location(self.file().to_str().unwrap().to_owned())
    }

    async fn database(&self) -> Arc<dyn Database> {
        if !self.file().exists() {
            self.engine.create(&self.location()).await.unwrap();
        }
        self.engine.open(&self.location()).await.unwrap()
    }

    fn parts(&self, keep: u32) -> JournalParts {
        let keep = NonZeroU32::new(keep).unwrap();
        JournalParts { keep, persist_client_limit: true, observer: self.heard.clone() }
    }

    async fn open(&self) -> Journal {
        Journal::open(self.database().await, self.parts(100_000)).await.unwrap()
    }

    /// Changes the closed file as a stranger would.
    fn tamper(&self, sql: &str) {
        let connection = rusqlite::Connection::open(self.file()).unwrap();
        connection.execute_batch(sql).unwrap();
    }

    /// What going through the chain tells.
    async fn verdict(&self, anchors: &[(u64, Hash)]) -> Result<(u64, u64), (u64, Break)> {
        let reader = JournalReader::open(self.database().await).await.unwrap();
        let verified = reader.verify(anchors).await;
        reader.close().await.unwrap();
        match verified {
            Ok(verified) => Ok((verified.first, verified.last)),
            Err(JournalError::Broken { id, how }) => Err((id, how)),
            Err(error) => panic!("{error}"),
        }
    }
}

fn engine(access: Access) -> Arc<dyn Engine> {
    let executor = Executor::new(ExecutorConfig::default());
    Arc::new(SqliteEngine::new(Config { access, ..Config::default() }, executor).unwrap())
}

fn change(to: u64) -> Entry {
    let cause = Cause::new(Interface::Http, "127.0.0.1:9").because("it is late");
    let from = Some("1000".to_owned());
    Entry { from, to: Some(to.to_string()), active: Some(7), ..Entry::of(Action::ClientLimit, cause) }
}

async fn record(journal: &Journal, count: u64) {
    for to in 1..=count {
        journal.record(change(to)).await.unwrap();
    }
}

async fn newest(journal: &Journal) -> Recorded {
    journal.entries(Query { limit: 1, ..Query::default() }).await.unwrap().remove(0)
}

#[tokio::test]
async fn what_was_recorded_is_there_after_a_restart_with_its_counts() {
    let place = Place::new();
    let journal = place.open().await;
    let hostile = Entry {
        database: Some(Target::Default),
        result: Err("no\u{0}\n\u{1b}[31m".to_owned()),
        ..Entry::of(Action::DropDatabase, Cause::new(Interface::Command, "a\nb\t\u{9b}é").because(""))
    };
    assert_eq!(journal.record(change(5)).await.unwrap(), 1);
    assert_eq!(journal.record(hostile.clone()).await.unwrap(), 2);
    let before = (journal.entries(Query::default()).await.unwrap(), journal.counts().entries);
    journal.close().await;
    assert!(matches!(journal.record(change(6)).await, Err(JournalError::Closed)));
    let journal = place.open().await;
    let after = (journal.entries(Query::default()).await.unwrap(), journal.counts().entries);
    assert_eq!(after, before);
    assert_eq!(after.0[0].entry, hostile);
    assert_eq!(after.1[&(Action::DropDatabase, Interface::Command, Verdict::Refused)], 1);
    let defaults = Query { database: Some(Target::Default), ..Query::default() };
    assert_eq!(journal.entries(defaults).await.unwrap().len(), 1);
    assert_eq!(journal.record(change(7)).await.unwrap(), 3);
    assert_eq!(journal.verify().await.unwrap().entries, 3);
    journal.close().await;
    assert!(place.heard.troubles().is_empty(), "{:?}", place.heard);
    let beside: Vec<_> = std::fs::read_dir(place.directory.path()).unwrap().collect();
    assert_eq!(beside.len(), 1, "closed, it is one file");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_at_once_are_all_there_in_the_order_of_their_calls_for_few_syncs() {
    const THREADS: u64 = 8;
    const EACH: u64 = 1250;
    let place = Place::new();
    let journal = place.open().await;
    let of_one = |thread: u64| {
        let journal = journal.clone();
        let record = move |n| journal.record(change(thread * EACH + n));
        std::thread::spawn(move || (1..=EACH).map(record).collect::<Vec<_>>())
    };
    let threads: Vec<_> = (0..THREADS).map(of_one).collect();
    let mut numbers = Vec::new();
    for thread in threads {
        let mut last = 0;
        for recording in thread.join().unwrap() {
            let id = recording.await.unwrap();
            assert!(last < id, "in the order of the calls");
            last = id;
            numbers.push(id);
        }
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=THREADS * EACH).collect::<Vec<_>>());
    let commits = journal.counts().commits;
    println!("{} entries in {commits} transactions", THREADS * EACH);
    assert!(commits <= THREADS * EACH / 50, "{commits} transactions");
    assert_eq!(journal.verify().await.unwrap().entries, THREADS * EACH);
    journal.close().await;
}

#[tokio::test]
async fn a_changed_byte_of_any_column_is_found_at_its_entry() {
    let columns = [
        "at",
        "action",
        "interface",
        "who",
        "reason",
        "target",
        "was",
        "became",
        "active",
        "refused",
        "hash",
    ];
    for column in columns {
        let place = Place::new();
        let journal = place.open().await;
        record(&journal, 20).await;
        journal.close().await;
        assert_eq!(place.verdict(&[]).await, Ok((1, 20)));
        place.tamper(&format!("UPDATE entries SET {column} = coalesce({column}, '') || 'x' WHERE id = 12"));
        assert_eq!(place.verdict(&[]).await, Err((12, Break::Changed)), "{column}");
    }
}

#[tokio::test]
async fn a_removed_a_moved_and_an_inserted_entry_are_found() {
    let renumber = "UPDATE entries SET id = -8 WHERE id = 8; UPDATE entries SET id = 8 WHERE id = 9;
                    UPDATE entries SET id = 9 WHERE id = -8;";
    let forge =
        "INSERT INTO entries SELECT 21, at, action, interface, who, reason, target, was, became, active,
                 refused, hash FROM entries WHERE id = 20";
    for (how, expected) in [
        ("DELETE FROM entries WHERE id = 7", (7, Break::Missing)),
        (renumber, (8, Break::Changed)),
        ("DELETE FROM entries WHERE id = 1", (1, Break::Missing)),
        ("DELETE FROM entries WHERE id > 18", (19, Break::Missing)),
        ("DELETE FROM entries", (1, Break::Missing)),
        (forge, (21, Break::Changed)),
    ] {
        let place = Place::new();
        let journal = place.open().await;
        record(&journal, 20).await;
        journal.close().await;
        place.tamper(how);
        assert_eq!(place.verdict(&[]).await, Err(expected), "{how}");
        // The server starts all the same, says so, and records on.
        let journal = place.open().await;
        assert_eq!(place.heard.troubles().len(), 1, "{:?}", place.heard);
        journal.close().await;
    }
}

#[tokio::test]
async fn who_wrote_a_hash_down_finds_a_chain_that_was_forged_as_a_whole() {
    let place = Place::new();
    let journal = place.open().await;
    record(&journal, 20).await;
    let anchored = newest(&journal).await;
    let anchor = (anchored.id, anchored.hash);
    record(&journal, 5).await;
    journal.close().await;
    assert_eq!(place.verdict(&[anchor]).await, Ok((1, 25)));
    // A stranger who makes a whole journal anew has no trouble with the chain, but with the anchor.
    std::fs::remove_file(place.file()).unwrap();
    let journal = place.open().await;
    record(&journal, 25).await;
    journal.close().await;
    assert_eq!(place.verdict(&[]).await, Ok((1, 25)));
    assert_eq!(place.verdict(&[anchor]).await, Err((20, Break::NotAsAnchored { was: anchor.1 })));
    assert_eq!(place.verdict(&[(26, anchor.1)]).await, Err((26, Break::Missing)));
}

#[tokio::test]
async fn the_oldest_are_let_go_and_the_chain_and_the_counts_hold() {
    let place = Place::new();
    let journal = Journal::open(place.database().await, place.parts(50)).await.unwrap();
    record(&journal, 200).await;
    let verified = journal.verify().await.unwrap();
    assert_eq!((verified.first, verified.last), (107, 200), "50, a tenth and 100 more, were there at 156");
    journal.close().await;
    let journal = Journal::open(place.database().await, place.parts(50)).await.unwrap();
    record(&journal, 60).await;
    let verified = journal.verify().await.unwrap();
    assert!(50 <= verified.entries && verified.entries <= 155, "{verified:?}");
    assert_eq!(verified.last, 260);
    assert_eq!(
        journal.counts().limit_changes().collect::<Vec<_>>(),
        [(Interface::Http, Verdict::Applied, 260)]
    );
    journal.close().await;
    assert!(place.heard.troubles().is_empty(), "{:?}", place.heard);
}

#[tokio::test]
async fn values_are_kept_over_a_restart_and_the_client_limit_with_its_entry() {
    let place = Place::new();
    let journal = place.open().await;
    journal.keep("a", Some("1")).await.unwrap();
    journal.keep("b", Some("2")).await.unwrap();
    journal.keep("b", None).await.unwrap();
    record(&journal, 310).await;
    journal.record(Entry { result: Err("no".into()), ..change(5) }).await.unwrap();
    let at_start = Entry { cause: Cause::new(Interface::Start, "rowhouse"), ..change(6) };
    journal.record(at_start).await.unwrap();
    journal.close().await;
    let journal = place.open().await;
    let kept: Vec<_> = journal.kept().await.unwrap().into_iter().collect();
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(kept, [pair("a", "1"), pair("client_limit", "310")]);
    journal.close().await;
}

#[tokio::test]
async fn while_it_cannot_be_written_callers_are_told_and_entries_wait_in_order() {
    let place = Place::new();
    let database = Failing::new(place.database().await);
    let journal = Journal::open(database.clone(), place.parts(1000)).await.unwrap();
    record(&journal, 2).await;
    database.fault(Some(Fault::Full));
    for to in 3..=6 {
        let error = journal.record(change(to)).await.expect_err("the disk is full");
        assert!(error.to_string().contains("in force"), "{error}");
        assert_eq!(journal.counts().owed, to - 2);
    }
    assert!(journal.keep("k", Some("v")).await.is_err());
    assert_eq!(journal.entries(Query::default()).await.unwrap().len(), 2, "reading goes on");
    database.fault(None);
    assert_eq!(journal.record(change(7)).await.unwrap(), 7);
    assert_eq!(journal.counts().owed, 0);
    let tos: Vec<_> =
        journal.entries(Query::default()).await.unwrap().into_iter().map(|r| r.entry.to).collect();
    assert_eq!(tos, ["7", "6", "5", "4", "3", "2", "1"].map(|to| Some(to.to_owned())));
    assert_eq!(journal.kept().await.unwrap()["k"], "v");
    journal.verify().await.unwrap();
    journal.close().await;
    assert_eq!(place.heard.troubles(), ["failed", "recovered, 0 lost"]);
}

#[tokio::test]
async fn more_than_can_wait_is_lost_counted_and_owned_up_to() {
    let place = Place::new();
    let database = Failing::new(place.database().await);
    let journal = Journal::open(database.clone(), place.parts(100_000)).await.unwrap();
    database.fault(Some(Fault::Full));
    for to in 1..16_390 {
        drop(journal.record(change(to)));
    }
    assert!(matches!(journal.record(change(16_390)).await, Err(JournalError::QueueFull { limit: 16_384 })));
    assert_eq!(journal.counts().lost, 6);
    database.fault(None);
    // What comes is lost, too, as long as there is no room.
    while journal.record(change(0)).await.is_err() {
        tokio::task::yield_now().await;
    }
    let lost = Query { action: Some(Action::Lost), ..Query::default() };
    let lost = journal.entries(lost).await.unwrap();
    assert_eq!(lost.len(), 1);
    assert!(lost[0].entry.to.as_ref().unwrap().parse::<u64>().unwrap() >= 6);
    journal.verify().await.unwrap();
    journal.close().await;
}

#[tokio::test]
async fn a_commit_that_failed_after_it_took_effect_is_not_repeated() {
    let place = Place::new();
    let database = Failing::new(place.database().await);
    let journal = Journal::open(database.clone(), place.parts(1000)).await.unwrap();
    record(&journal, 2).await;
    database.fault(Some(Fault::AfterCommit));
    journal.record(change(3)).await.expect_err("nobody can tell");
    database.fault(None);
    assert_eq!(journal.record(change(4)).await.unwrap(), 4);
    assert_eq!(journal.verify().await.unwrap().entries, 4);
    assert_eq!(journal.counts().entries[&(Action::ClientLimit, Interface::Http, Verdict::Applied)], 4);
    journal.close().await;
    let journal = place.open().await;
    assert_eq!(journal.counts().entries[&(Action::ClientLimit, Interface::Http, Verdict::Applied)], 4);
    journal.close().await;
}

#[tokio::test]
async fn what_took_effect_is_not_repeated_when_what_came_after_it_fails() {
    let place = Place::new();
    let database = Failing::new(place.database().await);
    let journal = Journal::open(database.clone(), place.parts(1000)).await.unwrap();
    record(&journal, 2).await;
    database.fault(Some(Fault::AfterCommit));
    journal.record(change(3)).await.expect_err("nobody can tell");
    database.fault(Some(Fault::Full));
    journal.record(change(4)).await.expect_err("the disk is full");
    database.fault(None);
    assert_eq!(journal.record(change(5)).await.unwrap(), 5);
    assert_eq!(journal.verify().await.unwrap().entries, 5);
    assert_eq!(journal.counts().entries[&(Action::ClientLimit, Interface::Http, Verdict::Applied)], 5);
    journal.close().await;
    let journal = place.open().await;
    assert_eq!(journal.counts().entries[&(Action::ClientLimit, Interface::Http, Verdict::Applied)], 5);
    journal.close().await;
}

#[tokio::test]
async fn what_waits_when_the_disk_stays_full_is_told_lost_at_the_end() {
    let place = Place::new();
    let database = Failing::new(place.database().await);
    let journal = Journal::open(database.clone(), place.parts(1000)).await.unwrap();
    database.fault(Some(Fault::Full));
    journal.record(change(1)).await.expect_err("the disk is full");
    journal.close().await;
    assert_eq!(place.heard.troubles(), ["failed", "1 lost at the end"]);
}

#[tokio::test]
async fn a_reader_sees_what_a_writer_beside_it_has_recorded_and_writes_nothing() {
    let place = Place::new();
    let journal = place.open().await;
    record(&journal, 3).await;
    let other = engine(Access::ReadOnly);
    let reader = JournalReader::open(other.open(&place.location()).await.unwrap()).await.unwrap();
    assert_eq!(reader.entries(&Query::default()).await.unwrap().len(), 3);
    record(&journal, 2).await;
    assert_eq!(reader.verify(&[]).await.unwrap().last, 5);
    let writer = Journal::open(other.open(&place.location()).await.unwrap(), place.parts(5)).await.unwrap();
    assert!(matches!(writer.record(change(1)).await, Err(JournalError::Unwritable(_))));
    writer.close().await;
    reader.close().await.unwrap();
    record(&journal, 1).await;
    journal.close().await;
}

#[tokio::test]
async fn a_newer_schema_and_what_is_no_journal_are_refused() {
    let place = Place::new();
    place.open().await.close().await;
    place.tamper("UPDATE state SET value = '2'");
    let opened = Journal::open(place.database().await, place.parts(1)).await;
    assert!(matches!(opened, Err(JournalError::Newer { found: 2, known: 1 })), "{opened:?}");
    place.tamper("UPDATE state SET value = 'x'");
    let opened = Journal::open(place.database().await, place.parts(1)).await;
    assert!(matches!(opened, Err(JournalError::Damaged { .. })), "{opened:?}");
}
