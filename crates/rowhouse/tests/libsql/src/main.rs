//! What users of the `libsql` crate do against a server: `rowhouse-libsql-suite URL NAMESPACE [expiry]`.
//!
//! The URL names no database: the header `x-namespace` does, which the crate sends. The server creates databases
//! by name; for expiry it ends streams that are idle for a few seconds. Every promise that is not kept is a panic.
use libsql::{Builder, Connection, Database, TransactionBehavior, Value, params};
use std::env;
use tokio::task::JoinSet;

const NUMBERS: &str = "WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c WHERE x < 100000)
    SELECT x, 'row ' || x FROM c";

#[tokio::main]
async fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [url, namespace, part @ ..] = &arguments[..] else { panic!("URL NAMESPACE [expiry]") };
    let remote = Builder::new_remote(url.clone(), String::new()).namespace(namespace);
    let database = remote.build().await.expect("nothing is sent yet");
    let connection = database.connect().expect("nothing is sent yet");
    if part == ["expiry"] {
        return expiry(&database).await;
    }
    creates(&connection).await;
    every_type(&connection).await;
    batches(&connection).await;
    transactions(&database).await;
    concurrent(&database).await;
    many_rows(&connection).await;
    errors(&connection).await;
    println!("ok");
}

async fn creates(connection: &Connection) {
    connection
        .execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE)", ())
        .await
        .expect("created");
    let changed = connection.execute("INSERT INTO t (name) VALUES (?1), (?2)", ["one", "two"]).await;
    assert_eq!(changed.expect("inserted"), 2);
    assert_eq!(connection.last_insert_rowid(), 2);
    let statement =
        connection.prepare("SELECT id, name AS label FROM t WHERE name = :name").await.expect("prepared");
    let mut rows = statement.query(libsql::named_params! { ":name": "two" }).await.expect("found");
    assert_eq!((rows.column_name(0), rows.column_name(1)), (Some("id"), Some("label")));
    let row = rows.next().await.expect("a row").expect("one");
    assert_eq!(
        (row.get::<i64>(0).expect("a number"), row.get::<String>(1).expect("a text")),
        (2, "two".to_owned())
    );
    assert!(rows.next().await.expect("the end").is_none());
}

async fn every_type(connection: &Connection) {
    let values = [
        Value::Null,
        Value::Integer(i64::MAX),
        Value::Integer(i64::MIN),
        Value::Integer((1 << 53) + 1),
        Value::Real(0.1),
        Value::Real(5e-324),
        Value::Real(f64::MAX),
        Value::Text(String::new()),
        Value::Text("before\0after".to_owned()),
        Value::Text("grüße, мир, 世界, 👩‍👩‍👧‍👦, \u{10ffff}".to_owned()),
        Value::Blob(Vec::new()),
        Value::Blob((0..=255).collect()),
    ];
    for value in values {
        assert_eq!(one(connection, "SELECT ?1", vec![value.clone()]).await, value);
    }
    assert_eq!(one(connection, "SELECT 9e999 > 1e308", vec![]).await, Value::Integer(1));
}

async fn batches(connection: &Connection) {
    let script = "CREATE TABLE b (x UNIQUE); INSERT INTO b VALUES ('a;b'); INSERT INTO b VALUES (2)";
    connection.execute_batch(script).await.expect("a script");
    let twice = "INSERT INTO b VALUES (3); INSERT INTO b VALUES (3)";
    connection.execute_transactional_batch(twice).await.expect_err("a duplicate");
    assert_eq!(one(connection, "SELECT count(*) FROM b", vec![]).await, Value::Integer(2), "all or nothing");
}

async fn transactions(database: &Database) {
    let (own, other) = (database.connect().expect("a connection"), database.connect().expect("a connection"));
    let count = async || one(&other, "SELECT count(*) FROM b", vec![]).await;
    let kept = own.transaction().await.expect("begun");
    kept.execute("INSERT INTO b VALUES (?1)", params!["kept"]).await.expect("inserted");
    assert_eq!(one(&kept, "SELECT count(*) FROM b", vec![]).await, Value::Integer(3), "it sees its own");
    assert_eq!(count().await, Value::Integer(2), "nobody else does");
    kept.commit().await.expect("committed");
    assert_eq!(count().await, Value::Integer(3));
    let dropped = own.transaction_with_behavior(TransactionBehavior::Immediate).await.expect("begun");
    dropped.execute("DELETE FROM b", ()).await.expect("deleted");
    dropped.rollback().await.expect("rolled back");
    let reading = own.transaction_with_behavior(TransactionBehavior::ReadOnly).await.expect("begun");
    assert_eq!(one(&reading, "SELECT count(*) FROM b", vec![]).await, Value::Integer(3));
    reading.execute("DELETE FROM b", ()).await.expect_err("it only reads");
    reading.rollback().await.expect("rolled back");
    assert_eq!(count().await, Value::Integer(3));
}

async fn concurrent(database: &Database) {
    let connection = database.connect().expect("a connection");
    connection.execute_batch("CREATE TABLE c (n INTEGER); INSERT INTO c VALUES (0)").await.expect("created");
    let mut counts = JoinSet::new();
    for _ in 0..6 {
        let own = database.connect().expect("a connection");
        counts.spawn(async move {
            for _ in 0..5 {
                let begun =
                    own.transaction_with_behavior(TransactionBehavior::Immediate).await.expect("begun");
                let Value::Integer(n) = one(&begun, "SELECT n FROM c", vec![]).await else {
                    panic!("no number")
                };
                begun.execute("UPDATE c SET n = ?1", [n + 1]).await.expect("counted");
                begun.commit().await.expect("committed");
            }
        });
    }
    counts.join_all().await;
    assert_eq!(one(&connection, "SELECT n FROM c", vec![]).await, Value::Integer(30), "one after the other");
}

async fn many_rows(connection: &Connection) {
    let mut rows = connection.query(NUMBERS, ()).await.expect("numbers");
    let mut count = 0;
    while let Some(row) = rows.next().await.expect("a row") {
        count += 1;
        assert_eq!(row.get::<i64>(0).expect("a number"), count);
    }
    assert_eq!(count, 100_000);
    // Not to the end.
    let mut rows = connection.query(NUMBERS, ()).await.expect("numbers");
    assert!(rows.next().await.expect("a row").is_some());
    drop(rows);
}

async fn errors(connection: &Connection) {
    let fails = async |sql: &str| connection.execute(sql, ()).await.expect_err(sql).to_string();
    assert!(fails("INSERT INTO t VALUES (1, 'again')").await.contains("UNIQUE constraint failed"));
    assert!(fails("SELECT * FROM missing").await.contains("no such table: missing"));
    assert_eq!(one(connection, "SELECT 1", vec![]).await, Value::Integer(1), "and on it goes");
}

async fn expiry(database: &Database) {
    let (own, other) = (database.connect().expect("a connection"), database.connect().expect("a connection"));
    other.execute("CREATE TABLE b (x)", ()).await.expect("created");
    let forgotten = own.transaction_with_behavior(TransactionBehavior::Immediate).await.expect("begun");
    forgotten.execute("INSERT INTO b VALUES ('forgotten')", ()).await.expect("inserted");
    // Who waits for its lock gets it when it is over.
    other.execute("INSERT INTO b VALUES ('waited')", ()).await.expect("it got it");
    let error = forgotten.commit().await.expect_err("it has expired").to_string();
    assert!(error.contains("STREAM_EXPIRED"), "{error}");
    let left = one(&other, "SELECT group_concat(x) FROM b", vec![]).await;
    assert_eq!(left, Value::Text("waited".to_owned()));
}

/// The first value of the first row, of a query that has one.
async fn one(connection: &Connection, sql: &str, parameters: Vec<Value>) -> Value {
    let mut rows = connection.query(sql, parameters).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let row = rows.next().await.unwrap_or_else(|error| panic!("{sql}: {error}")).expect("a row");
    row.get_value(0).expect("a value")
}
