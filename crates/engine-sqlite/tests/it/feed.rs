//! What was committed is told whatever SQL did it, and what cannot be told is a gap.
use crate::support::Files;
use rowhouse_engine::conformance::{Ears, Harness, opened, query, run, told, unlimited};
use rowhouse_engine::{Change, ChangeKind, Connection, Database, Listening, Location, News, Untold};
use rowhouse_types::Value::{self, Integer, Null, Text};
use rowhouse_types::{Arguments, Request};
use std::sync::Arc;

/// A database with a schema that is listened to.
struct Heard {
    files: Files,
    database: Arc<dyn Database>,
    session: Box<dyn Connection>,
    ears: Arc<Ears>,
    _listening: Box<dyn Listening>,
}

impl Heard {
    async fn new(schema: &str) -> Self {
        let files = Files::open();
        let database = opened(&files, "tenant").await.database;
        Self::over(files, database, schema).await
    }

    async fn over(files: Files, database: Arc<dyn Database>, schema: &str) -> Self {
        let mut session = database.connect().await.expect("connects");
        run(&mut *session, Request::script(schema), unlimited()).await.expect("a schema");
        let ears = Arc::new(Ears::default());
        let _listening = database.listen(ears.clone()).await.expect("listens");
        Self { files, database, session, ears, _listening }
    }

    /// What is told of a request.
    async fn of(&mut self, sql: &str) -> Vec<News> {
        self.of_request(Request::execute(sql)).await
    }

    async fn of_request(&mut self, request: Request) -> Vec<News> {
        run(&mut *self.session, request, unlimited()).await.expect("runs");
        self.ears.heard()
    }
}

fn only(news: &[News]) -> Vec<(ChangeKind, &str, &[Value])> {
    match news {
        [News::Committed(changes)] => changes.iter().map(told).collect(),
        other => panic!("{other:?}"),
    }
}

fn text(text: &str) -> Value {
    Text(text.to_owned())
}

use ChangeKind::{Delete, Insert, Update};

#[tokio::test]
async fn rows_that_replace_removes_are_told() {
    let mut heard = Heard::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT UNIQUE); INSERT INTO t VALUES (1, 'a'), (2, 'b')",
    )
    .await;
    let news = heard.of("INSERT OR REPLACE INTO t VALUES (3, 'b')").await;
    assert_eq!(
        only(&news),
        [(Delete, "t", &[Integer(2), text("b")][..]), (Insert, "t", &[Integer(3), text("b")][..])]
    );
    let news = heard.of("REPLACE INTO t VALUES (1, 'c')").await;
    assert_eq!(only(&news), [(Update, "t", &[Integer(1), text("c")][..])]);
    assert!(heard.of("INSERT OR IGNORE INTO t VALUES (1, 'z')").await.is_empty());
    let news = heard.of("INSERT INTO t VALUES (1, 'z') ON CONFLICT DO UPDATE SET word = 'up'").await;
    assert_eq!(only(&news), [(Update, "t", &[Integer(1), text("up")][..])]);
}

#[tokio::test]
async fn a_table_emptied_at_once_is_told_row_by_row() {
    let mut heard = Heard::new("CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)").await;
    // It was compiled before anybody listened, too.
    let news = heard.of("DELETE FROM t").await;
    assert_eq!(only(&news), [(Delete, "t", &[Integer(1)][..]), (Delete, "t", &[Integer(2)][..])]);
}

#[tokio::test]
async fn a_statement_compiled_before_anybody_listened_is_told() {
    let files = Files::open();
    let database = opened(&files, "tenant").await.database;
    let mut session = database.connect().await.expect("connects");
    query(&mut *session, "CREATE TABLE t (a)").await;
    query(&mut *session, "DELETE FROM t").await;
    query(&mut *session, "INSERT INTO t VALUES (1)").await;
    let ears = Arc::new(Ears::default());
    let _listening = database.listen(ears.clone()).await.expect("listens");
    query(&mut *session, "DELETE FROM t").await;
    assert_eq!(only(&ears.heard()), [(Delete, "t", &[Integer(1)][..])]);
}

#[tokio::test]
async fn tables_without_rowid_are_told_by_their_keys() {
    let mut heard = Heard::new(
        "CREATE TABLE t (b TEXT COLLATE NOCASE, n, a INTEGER, PRIMARY KEY (a, b)) WITHOUT ROWID; \
         INSERT INTO t VALUES ('x', 1, 1), ('y', 2, 1)",
    )
    .await;
    let news = heard.of("UPDATE t SET n = 9 WHERE b = 'X'").await;
    assert_eq!(only(&news), [(Update, "t", &[text("x"), Integer(9), Integer(1)][..])]);
    let news = heard.of("UPDATE t SET b = 'X' WHERE b = 'x'").await;
    assert_eq!(
        only(&news),
        [
            (Delete, "t", &[text("x"), Integer(9), Integer(1)][..]),
            (Insert, "t", &[text("X"), Integer(9), Integer(1)][..])
        ]
    );
    let news = heard.of("REPLACE INTO t VALUES ('y', 3, 1)").await;
    assert_eq!(only(&news), [(Update, "t", &[text("y"), Integer(3), Integer(1)][..])]);
    let news = heard.of("INSERT INTO t VALUES ('z', NULL, 2)").await;
    assert_eq!(only(&news), [(Insert, "t", &[text("z"), Null, Integer(2)][..])]);
    let news = heard.of("DELETE FROM t WHERE a = 1").await;
    assert_eq!(only(&news).len(), 2);
}

#[tokio::test]
async fn what_triggers_and_cascades_do_is_told() {
    let mut heard = Heard::new(
        "CREATE TABLE parent (id INTEGER PRIMARY KEY); \
         CREATE TABLE child (id INTEGER PRIMARY KEY, of INTEGER REFERENCES parent ON DELETE CASCADE); \
         CREATE TABLE log (what TEXT); \
         CREATE TRIGGER noted AFTER DELETE ON child BEGIN INSERT INTO log VALUES ('gone ' || old.id); END; \
         INSERT INTO parent VALUES (1); INSERT INTO child VALUES (5, 1)",
    )
    .await;
    query(&mut *heard.session, "PRAGMA foreign_keys = ON").await;
    let news = heard.of("DELETE FROM parent").await;
    let expected = [
        (Delete, "parent", &[Integer(1)][..]),
        (Delete, "child", &[Integer(5), Integer(1)][..]),
        (Insert, "log", &[text("gone 5")][..]),
    ];
    assert_eq!(only(&news), expected);
}

#[tokio::test]
async fn computed_columns_are_told_while_there_is_a_row_to_compute_them_from() {
    let mut heard = Heard::new("CREATE TABLE t (a, twice AS (a * 2), thrice AS (a * 3) STORED, z)").await;
    let news = heard.of("INSERT INTO t (a, z) VALUES (1, 'z')").await;
    let [News::Committed(changes)] = &news[..] else { panic!("{news:?}") };
    assert_eq!(*changes[0].columns, ["a", "twice", "thrice", "z"]);
    assert_eq!(*changes[0].row, [Integer(1), Integer(2), Integer(3), text("z")]);
    assert!(heard.of("UPDATE t SET a = 1").await.is_empty());
    let news = heard.of("DELETE FROM t").await;
    let [News::Committed(changes)] = &news[..] else { panic!("{news:?}") };
    assert_eq!(*changes[0].columns, ["a", "thrice", "z"]);
    assert_eq!(*changes[0].row, [Integer(1), Integer(3), text("z")]);
}

#[tokio::test]
async fn a_row_whose_key_changes_leaves_and_comes() {
    let mut heard =
        Heard::new("CREATE TABLE t (id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 'a'), (2, 'b')")
            .await;
    let news = heard.of("UPDATE t SET id = id + 10 WHERE a = 'a'").await;
    let expected =
        [(Delete, "t", &[Integer(1), text("a")][..]), (Insert, "t", &[Integer(11), text("a")][..])];
    assert_eq!(only(&news), expected);
}

#[tokio::test]
async fn each_statement_of_a_script_is_told_as_it_was_committed() {
    let mut heard = Heard::new("CREATE TABLE t (a)").await;
    let script = "INSERT INTO t VALUES (1); BEGIN; INSERT INTO t VALUES (2); UPDATE t SET a = a + 1; COMMIT; \
                  INSERT INTO t VALUES (9)";
    let news = heard.of_request(Request::script(script)).await;
    let [News::Committed(one), News::Committed(two), News::Committed(three)] = &news[..] else {
        panic!("{news:?}")
    };
    let rows = |changes: &[Change]| changes.iter().map(|change| change.row[0].clone()).collect::<Vec<_>>();
    assert_eq!(rows(one), [Integer(1)]);
    assert_eq!(rows(two), [Integer(3), Integer(2)]);
    assert_eq!(rows(three), [Integer(9)]);
    let sets = (1..4).map(|n| Arguments::Positional(vec![Integer(n)])).collect();
    let repeat = Request::Repeat { sql: "INSERT INTO t VALUES (?)".into(), sets };
    assert_eq!(only(&heard.of_request(repeat).await).len(), 3);
}

#[tokio::test]
async fn changes_committed_together_are_told_whole() {
    let mut heard = Heard::new("CREATE TABLE t (a UNIQUE)").await;
    query(&mut *heard.session, "BEGIN IMMEDIATE").await;
    let mut sessions = Vec::new();
    for _ in 0..8 {
        sessions.push(heard.database.connect().await.expect("connects"));
    }
    let mut waiting: Vec<_> = sessions
        .iter_mut()
        .enumerate()
        .map(|(n, session)| {
            // One of them fails.
            let sql = format!("INSERT INTO t VALUES ({})", n.min(6));
            Box::pin(async move { run(&mut **session, Request::execute(sql), unlimited()).await.is_ok() })
        })
        .collect();
    for each in &mut waiting {
        assert!(futures::FutureExt::now_or_never(each).is_none(), "it waits");
    }
    query(&mut *heard.session, "COMMIT").await;
    let went_well = futures::future::join_all(waiting).await;
    assert_eq!(went_well.iter().filter(|&&well| well).count(), 7);
    let news = heard.ears.heard();
    let told: usize = news
        .iter()
        .map(|news| match news {
            News::Committed(changes) => changes.len(),
            News::Gap(untold) => panic!("{untold:?}"),
        })
        .sum();
    assert_eq!(told, 7);
}

#[tokio::test]
async fn shadow_and_temporary_tables_are_nobodys_business() {
    let mut heard =
        Heard::new("CREATE VIRTUAL TABLE docs USING fts5(body); CREATE TABLE t (a INTEGER PRIMARY KEY)")
            .await;
    assert!(heard.of("INSERT INTO docs VALUES ('hello')").await.is_empty());
    query(&mut *heard.session, "CREATE TEMP TABLE mine (a)").await;
    assert!(heard.of("INSERT INTO mine VALUES (1)").await.is_empty());
    let news = heard.of("INSERT INTO t SELECT a FROM mine").await;
    assert_eq!(only(&news), [(Insert, "t", &[Integer(1)][..])]);
}

#[tokio::test]
async fn what_another_process_writes_is_a_gap() {
    let mut heard = Heard::new("CREATE TABLE t (a)").await;
    heard.of("INSERT INTO t VALUES (1)").await;
    let path = heard.files.path("tenant.db");
    let other = rusqlite::Connection::open(path).expect("opens");
    other.execute_batch("INSERT INTO t VALUES (2)").expect("writes");
    heard._listening.look().await;
    assert_eq!(heard.ears.heard(), [News::Gap(Untold::Elsewhere)]);
    heard._listening.look().await;
    assert_eq!(heard.ears.heard(), []);
    other.execute_batch("INSERT INTO t VALUES (3)").expect("writes");
    let news = heard.of("INSERT INTO t VALUES (4)").await;
    assert_eq!(news[0], News::Gap(Untold::Elsewhere));
    assert_eq!(only(&news[1..]), [(Insert, "t", &[Integer(4)][..])]);
}

#[tokio::test]
async fn a_row_too_large_and_text_that_is_none_are_gaps() {
    let mut heard = Heard::new("CREATE TABLE t (a)").await;
    assert_eq!(heard.of("INSERT INTO t VALUES (zeroblob(9000000))").await, [News::Gap(Untold::TooMuch)]);
    let bad = "INSERT INTO t VALUES (CAST(x'ff' AS TEXT))";
    assert_eq!(heard.of(bad).await, [News::Gap(Untold::Unreadable)]);
    let news = heard.of("INSERT INTO t VALUES (1)").await;
    assert_eq!(only(&news), [(Insert, "t", &[Integer(1)][..])]);
}

#[tokio::test]
async fn an_index_or_a_table_made_meanwhile_is_a_gap_and_then_it_is_told() {
    let mut heard = Heard::new("CREATE TABLE t (a)").await;
    assert_eq!(heard.of("CREATE TABLE u (b)").await, [News::Gap(Untold::Schema)]);
    let news = heard.of("INSERT INTO u VALUES (1)").await;
    assert_eq!(only(&news), [(Insert, "u", &[Integer(1)][..])]);
}

#[tokio::test]
async fn a_database_in_memory_is_told_as_well() {
    let files = Files::open();
    let database = files.engine().open(&Location(":memory:".to_owned())).await.expect("opens");
    let mut heard = Heard::over(files, database, "CREATE TABLE t (a)").await;
    let news = heard.of("INSERT INTO t VALUES (1)").await;
    assert_eq!(only(&news), [(Insert, "t", &[Integer(1)][..])]);
    query(&mut *heard.session, "BEGIN").await;
    query(&mut *heard.session, "UPDATE t SET a = 2").await;
    let news = heard.of("COMMIT").await;
    assert_eq!(only(&news), [(Update, "t", &[Integer(2)][..])]);
    heard._listening.look().await;
    assert!(heard.ears.heard().is_empty());
}

#[tokio::test]
async fn a_database_that_closes_leaves_nothing_behind_though_somebody_listened() {
    let mut heard = Heard::new("CREATE TABLE t (a)").await;
    heard.of("INSERT INTO t VALUES (1)").await;
    drop(heard.session);
    heard.database.close().await.expect("closes");
    assert!(!heard.files.path("tenant.db-wal").exists());
}
