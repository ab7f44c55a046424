//! What one tenant may take of memory, disk and time.
use crate::support::Files;
use rowhouse_engine::conformance::{Opened, failure, opened, query, run, unlimited, within};
use rowhouse_engine::{Condition, EngineError, Options};
use rowhouse_engine_sqlite::{Config, Limits};
use rowhouse_types::{Request, Value};
use std::time::{Duration, Instant};

/// Numbers from 1 to `n`, as `c(x)`.
fn count(n: u64) -> String {
    format!("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT {n})")
}

/// MiB of memory this process has, and at most had.
fn resident() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).expect("is there");
        line.split_whitespace().nth(1).expect("a number").parse::<u64>().expect("a number") / 1024
    };
    (field("VmRSS:"), field("VmHWM:"))
}

fn condition(error: &EngineError) -> Option<Condition> {
    match error {
        EngineError::Statement { condition, .. } => Some(*condition),
        _ => None,
    }
}

#[tokio::test]
async fn guarded_functions_answer_as_sqlites_own() {
    let files = Files::open();
    let mut connection = files.connect("tenant").await;
    let plain = rusqlite::Connection::open_in_memory().unwrap();
    for sql in [
        "instr('house', 'us')",
        "instr('häuser', 'user')",
        "instr(x'0102', x'02')",
        "instr(NULL, 'a')",
        "instr(12345, 34)",
        "replace('abc', 'b', 'xx')",
        "replace('abc', '', 'xx')",
        "replace(123, 2, 9)",
        "typeof(replace(x'41', 'A', 'B'))",
        "hex(replace(CAST(x'ff41' AS TEXT), 'A', 'B'))",
        "trim('xxaxx', 'x')",
        "ltrim('xyaxy', 'yx')",
        "rtrim('xxéé', 'é')",
        "trim(NULL, 'x')",
        "hex(unhex('41-42', '-'))",
        "unhex('zz', '-')",
        "json_patch('{\"a\":1}', '{\"b\":2}')",
        "json_array(json_patch('{\"a\":1}', '{\"a\":null}'))",
        "json(jsonb_patch('{\"a\":1}', '{\"b\":[1]}'))",
        "typeof(jsonb_patch('{}', '{}'))",
        "json_patch(NULL, '{}')",
    ] {
        let sql = format!("SELECT {sql}");
        let expected: rusqlite::types::Value = plain.query_row(&sql, [], |row| row.get(0)).unwrap();
        let expected = match expected {
            rusqlite::types::Value::Null => Value::Null,
            rusqlite::types::Value::Integer(n) => Value::Integer(n),
            rusqlite::types::Value::Real(x) => Value::Real(x),
            rusqlite::types::Value::Text(text) => Value::Text(text),
            rusqlite::types::Value::Blob(bytes) => Value::Blob(bytes.into()),
        };
        assert_eq!(query(&mut *connection, &sql).await, [[expected]], "{sql}");
    }
    // And wherever they may stand: trusted neither to read nor to write anything.
    query(&mut *connection, "CREATE TABLE t (s, CHECK (instr(s, 'bad') = 0))").await;
    query(&mut *connection, "CREATE INDEX i ON t (replace(s, 'a', 'b'))").await;
    query(&mut *connection, "CREATE VIEW v AS SELECT trim(s, 'x') AS s FROM t").await;
    query(&mut *connection, "INSERT INTO t VALUES ('xax')").await;
    failure(&mut *connection, "INSERT INTO t VALUES ('bad')", unlimited()).await;
    let found = query(&mut *connection, "SELECT s FROM v WHERE s = 'a'").await;
    assert_eq!(found, [[Value::Text("a".into())]]);
    let error = failure(&mut *connection, "SELECT json_patch('{', '{}')", unlimited()).await;
    assert_eq!(error.to_string(), "malformed JSON");
    let error = failure(&mut *connection, "SELECT replace('a', 'b')", unlimited()).await;
    assert_eq!(error.to_string(), "wrong number of arguments to function replace()");
}

#[tokio::test]
async fn s12_no_function_works_for_minutes_where_no_deadline_is_looked_at() {
    let files = Files::open();
    let mut connection = files.connect("tenant").await;
    let texts = "WITH t(h, n) AS (SELECT replace(hex(zeroblob(8000000)), '0', 'a'), replace(hex(zeroblob(4000000)), '0', 'a') || 'b')";
    for call in
        ["instr(h, n)", "replace(h, n, '')", "trim(h, n)", "ltrim(h, n)", "rtrim(h, n)", "unhex(h, n)"]
    {
        let started = Instant::now();
        let error = failure(&mut *connection, &format!("{texts} SELECT {call} FROM t"), within(500)).await;
        assert!(
            matches!(condition(&error), Some(Condition::TooBig)) || matches!(error, EngineError::TimedOut)
        );
        assert!(started.elapsed() < Duration::from_secs(20), "{call}: {:?}", started.elapsed());
    }
    let keys = format!(
        "{}, t(h, n) AS (SELECT json_group_object('a' || x, x), json_group_object('b' || x, x) FROM c)",
        count(100_000)
    );
    for call in ["json_patch(h, n)", "jsonb_patch(h, n)"] {
        let error = failure(&mut *connection, &format!("{keys} SELECT {call} FROM t"), unlimited()).await;
        assert_eq!(condition(&error), Some(Condition::TooBig), "{call}");
    }
}

#[tokio::test]
async fn what_does_not_fit_in_memory_goes_to_disk() {
    let files = Files::open();
    let mut connection = files.connect("tenant").await;
    query(&mut *connection, "SELECT 1").await;
    let (before, _) = resident();
    for sql in [
        format!("CREATE TEMP TABLE big AS {} SELECT randomblob(1000000) AS b FROM c", count(200)),
        format!("{} SELECT count(*) FROM (SELECT DISTINCT printf('%0200d', x) FROM c)", count(600_000)),
        format!("{} SELECT x FROM c ORDER BY printf('%0200d', -x) LIMIT 1 OFFSET 599999", count(600_000)),
        format!(
            "{} SELECT max(s) FROM (SELECT sum(x) OVER (ORDER BY x ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS s, printf('%0200d', x) FROM c)",
            count(600_000)
        ),
        "WITH RECURSIVE c(x, b) AS (SELECT 1, zeroblob(1000) UNION ALL SELECT x + 1, b FROM c, (SELECT 1 UNION ALL SELECT 2) WHERE x < 17) SELECT count(*) FROM c".to_owned(),
    ] {
        query(&mut *connection, &sql).await;
    }
    let (_, most) = resident();
    assert!(most < before + 64, "{before} MiB before, {most} MiB at most");
}

#[tokio::test]
async fn a_statement_writes_no_more_than_it_may() {
    let limits = Limits { written_bytes: 32 << 20, ..Limits::default() };
    let files = Files::with(&Config { limits, ..Config::default() });
    let mut connection = files.connect("tenant").await;
    query(&mut *connection, "CREATE TABLE t (b)").await;
    let distinct =
        format!("{} SELECT count(*) FROM (SELECT DISTINCT randomblob(500) FROM c)", count(4_000_000));
    let insert = format!("INSERT INTO t {} SELECT randomblob(1000) FROM c", count(4_000_000));
    let mut messages = Vec::new();
    for sql in [distinct, insert] {
        let error = failure(&mut *connection, &sql, unlimited()).await;
        assert_eq!(condition(&error), Some(Condition::Full), "{sql}: {error}");
        messages.push(error.to_string());
    }
    let message = "statement writes more than 33554432 bytes to disk, temporary files included";
    assert_eq!(messages, [message, message]);
    // Temporary tables stay, so it is their sum that counts.
    query(&mut *connection, "CREATE TEMP TABLE big (b)").await;
    let mut full = None;
    for _ in 0..10 {
        let fill = format!("INSERT INTO big {} SELECT randomblob(1000000) FROM c", count(5));
        full = run(&mut *connection, Request::execute(fill), unlimited()).await.err();
        if full.is_some() {
            break;
        }
    }
    assert_eq!(full.as_ref().and_then(condition), Some(Condition::Full), "{full:?}");
    // The next statement starts afresh, and nothing of the others is left.
    assert_eq!(query(&mut *connection, "SELECT count(*) FROM t").await, [[Value::Integer(0)]]);
    query(&mut *connection, "INSERT INTO t VALUES (1)").await;
}

#[tokio::test]
async fn s23_temporary_files_are_in_a_folder_of_our_own_and_have_no_name() {
    let directory = tempfile::tempdir().unwrap();
    let temporary = directory.path().join("it's here");
    let files = Files::with(&Config { temporary_directory: Some(temporary.clone()), ..Config::default() });
    let Opened { database, .. } = opened(&files, "tenant").await;
    let mut connection = database.connect().await.expect("connects");
    let fill = format!("CREATE TEMP TABLE big AS {} SELECT randomblob(1000000) AS b FROM c", count(20));
    query(&mut *connection, &fill).await;
    let temporary = temporary.canonicalize().unwrap();
    let process = database.process().map_or("self".to_owned(), |process| process.id.to_string());
    let ours: Vec<_> = std::fs::read_dir(format!("/proc/{process}/fd"))
        .unwrap()
        .filter_map(|entry| {
            let link = entry.ok()?.path();
            let target = std::fs::read_link(&link).ok()?;
            target.starts_with(&temporary).then_some(link)
        })
        .collect();
    assert!(!ours.is_empty());
    for link in ours {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let file = std::fs::metadata(link).unwrap();
        assert_eq!((file.permissions().mode() & 0o777, file.nlink()), (0o600, 0));
    }
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&temporary).unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn s14_a_result_ends_at_its_bound() {
    let files = Files::open();
    let mut connection = files.connect("tenant").await;
    let (before, _) = resident();
    let options = Options { max_rows: Some(1_000_000), max_bytes: Some(64 << 20), ..unlimited() };
    let endless = format!("{} SELECT x FROM c", count(1_000_000_000));
    let error = failure(&mut *connection, &endless, options).await;
    assert!(matches!(error, EngineError::TooManyRows { limit: 1_000_000 }), "{error:?}");
    // Rows of nothing take room too.
    let nothing =
        format!("{} SELECT '', '', '', '', '', '', '', '', '', '', '', '' FROM c", count(1_000_000_000));
    let error = failure(&mut *connection, &nothing, options).await;
    assert!(matches!(error, EngineError::TooManyBytes { .. }), "{error:?}");
    let (after, _) = resident();
    assert!(after < before + 400, "{before} MiB before, {after} MiB after");
}
