//! What statements do.
use super::*;

/// The values at the edges of each type.
pub async fn every_value_comes_back_as_it_went_in(harness: &impl Harness) {
    let mut connection = connected(harness, "tenant").await;
    let values = [
        Value::Null,
        Value::Integer(i64::MIN),
        Value::Integer(i64::MAX),
        Value::Real(0.1),
        Value::Real(f64::INFINITY),
        Value::Text(String::new()),
        Value::Text("a\0b 🐘 é".to_owned()),
        Value::Text("'b' 🐘 é".to_owned()),
        Value::Blob(vec![0, 255, 0].into()),
        Value::Blob(Vec::new().into()),
    ];
    for value in values.into_iter().filter(|value| harness.can_hold(value)) {
        let sql = format!("SELECT {}", harness.place("?1", &value));
        let request = Request::execute_with(sql, vec![value.clone()]);
        let (rows, _) = run(&mut *connection, request, unlimited()).await.expect("selects");
        assert_eq!(rows, [[value]]);
    }
    let sql = format!("SELECT {}", harness.place("?1", &Value::Real(-0.0)));
    let request = Request::execute_with(sql, vec![Value::Real(-0.0)]);
    let (rows, _) = run(&mut *connection, request, unlimited()).await.expect("selects");
    assert!(matches!(rows[0][0], Value::Real(zero) if zero == 0.0), "{rows:?}");
}

/// Each sigil names a place; names that are not used are ignored.
pub async fn named_arguments_reach_their_places(harness: &impl Harness) {
    let mut connection = connected(harness, "tenant").await;
    let named = |pairs: &[(&str, i64)]| {
        Arguments::Named(pairs.iter().map(|&(name, n)| (name.to_owned(), Value::Integer(n))).collect())
    };
    let [a, b] = [":a", ":b"].map(|place| harness.place(place, &Value::Integer(0)));
    let ask = |arguments| Request::Execute { sql: format!("SELECT {b} - {a}").into(), arguments };
    let full = ask(named(&[("a", 1), ("b", 10), ("unused", 0)]));
    let (rows, _) = run(&mut *connection, full, unlimited()).await.expect("selects");
    assert_eq!(rows, [[Value::Integer(9)]]);
    let missing = run(&mut *connection, ask(named(&[("a", 1)])), unlimited()).await;
    let expected = Misuse::ArgumentMissing { name: "b".to_owned() };
    assert!(matches!(missing, Err(EngineError::Misuse(misuse)) if misuse == expected));
}

/// Too many and too few are refused with both numbers.
pub async fn arguments_must_fit(harness: &impl Harness) {
    let mut connection = connected(harness, "tenant").await;
    for supplied in [0, 1, 3] {
        let request = Request::execute_with("SELECT ?1, ?2", vec![Value::Null; supplied]);
        let error = run(&mut *connection, request, unlimited()).await.expect_err("does not fit");
        let expected = Misuse::ArgumentCount { expected: 2, supplied };
        assert!(matches!(error, EngineError::Misuse(misuse) if misuse == expected));
    }
}

/// A second statement is refused and the first not run.
pub async fn one_statement_is_run_at_a_time(harness: &impl Harness) {
    let mut connection = connected(harness, "tenant").await;
    query(&mut *connection, "CREATE TABLE t (n INTEGER)").await;
    for sql in ["INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)", "INSERT INTO t VALUES (1); nonsense"] {
        let error = failure(&mut *connection, sql, unlimited()).await;
        assert!(matches!(error, EngineError::Misuse(Misuse::MultipleStatements)), "{error:?}");
    }
    assert_eq!(integer(&mut *connection, "SELECT count(*) FROM t; -- no more").await, 0);
}

/// Blanks and comments succeed without rows.
pub async fn blank_text_does_nothing(harness: &impl Harness) {
    let mut connection = connected(harness, "tenant").await;
    for sql in ["", "  \n", "-- comment", ";"] {
        let (rows, outcome) =
            run(&mut *connection, Request::execute(sql), unlimited()).await.expect("does nothing");
        assert!(rows.is_empty() && outcome.affected.is_none(), "{sql:?}");
    }
}

/// The outcome counts the rows of all sets.
pub async fn repeat_sums_what_changed(harness: &impl Harness) {
    let mut connection = connected(harness, "tenant").await;
    query(&mut *connection, "CREATE TABLE t (n INTEGER)").await;
    let outcome = run(&mut *connection, insert_each(&[1, 2, 3]), unlimited()).await.expect("inserts").1;
    assert_eq!(outcome.affected, Some(3));
    let sql = "UPDATE t SET n = n + ?1";
    let sets = vec![Arguments::Positional(vec![Value::Integer(1)]); 2];
    let request = Request::Repeat { sql: sql.into(), sets };
    assert_eq!(run(&mut *connection, request, unlimited()).await.expect("updates").1.affected, Some(6));
    assert_eq!(integer(&mut *connection, "SELECT sum(n) FROM t").await, 12);
}

/// In autocommit an error in one set undoes the sets before it.
pub async fn repeat_is_all_or_none(harness: &impl Harness) {
    let mut connection = connected(harness, "tenant").await;
    query(&mut *connection, "CREATE TABLE t (n INTEGER PRIMARY KEY)").await;
    run(&mut *connection, insert_each(&[1, 2, 1]), unlimited()).await.expect_err("a duplicate");
    assert_eq!(integer(&mut *connection, "SELECT count(*) FROM t").await, 0);
    assert_eq!(connection.state(), SessionState::Clean);
}

/// A query cannot be repeated.
pub async fn repeat_wants_a_change(harness: &impl Harness) {
    let mut connection = connected(harness, "tenant").await;
    let request = Request::Repeat { sql: "SELECT 1".into(), sets: vec![Arguments::None] };
    let error = run(&mut *connection, request, unlimited()).await.expect_err("no change");
    assert!(matches!(error, EngineError::Misuse(Misuse::NotDataChanging)), "{error:?}");
}

/// What went before the error stays, what follows is not run.
pub async fn a_script_stops_at_its_first_error(harness: &impl Harness) {
    let mut connection = connected(harness, "tenant").await;
    let script = "CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1); SELECT n FROM t; \
                  INSERT INTO missing VALUES (1); INSERT INTO t VALUES (2);";
    let error = run(&mut *connection, Request::script(script), unlimited()).await.expect_err("stops");
    assert!(matches!(error, EngineError::Statement { .. }), "{error:?}");
    assert_eq!(integer(&mut *connection, "SELECT count(*) FROM t").await, 1);
    let ok = run(&mut *connection, Request::script("SELECT 1; SELECT 2"), unlimited()).await.expect("runs");
    assert!(ok.0.is_empty() && ok.1.affected.is_none());
}

/// More rows than a chunk holds.
pub async fn many_rows_come_in_order(harness: &impl Harness) {
    let mut connection = connected(harness, "tenant").await;
    let mut chunks = connection.run(Request::execute(harness.count_to(10_000)), unlimited());
    let (mut expected, mut count) = (1, 0);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.expect("more rows");
        assert_eq!(chunk.columns.is_some(), count == 0, "columns come once, first");
        count += 1;
        for row in values(&chunk.rows) {
            assert_eq!(row, [Value::Integer(expected)]);
            expected += 1;
        }
    }
    drop(chunks);
    assert_eq!(expected, 10_001);
    assert!(1 < count, "so many rows are more than one chunk");
}

/// An endless result read slowly takes no more memory and no more rows than are read.
pub async fn a_slow_reader_halts_the_statement(harness: &impl Harness) {
    let mut connection = connected(harness, "tenant").await;
    let options = within(300);
    let mut chunks = connection.run(Request::execute(harness.endless()), options);
    chunks.next().await.expect("a chunk").expect("of rows");
    // The statement is interrupted while it waits for us, not only while it computes.
    tokio::time::sleep_until((options.deadline.expect("set") + Duration::from_millis(50)).into()).await;
    let mut seen = 0;
    let error = loop {
        match chunks.next().await.expect("ends with an error") {
            Ok(_) => seen += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, EngineError::TimedOut), "{error:?}");
    assert!(seen < 16, "{seen} chunks were waiting");
}

/// The row limit, at and above it.
pub async fn too_many_rows_are_refused(harness: &impl Harness) {
    let mut connection = connected(harness, "tenant").await;
    let options = Options { max_rows: Some(3), ..unlimited() };
    let exact = run(&mut *connection, Request::execute(harness.count_to(3)), options).await;
    assert_eq!(exact.expect("as many as allowed").0.len(), 3);
    let error = failure(&mut *connection, &harness.count_to(4), options).await;
    assert!(matches!(error, EngineError::TooManyRows { limit: 3 }), "{error:?}");
}

/// The byte limit.
pub async fn too_many_bytes_are_refused(harness: &impl Harness) {
    let mut connection = connected(harness, "tenant").await;
    let options = Options { max_bytes: Some(1_000), ..unlimited() };
    let text = |len| Request::execute_with("SELECT ?1", vec![Value::Text("x".repeat(len))]);
    run(&mut *connection, text(900), options).await.expect("below the limit");
    let error = run(&mut *connection, text(1_100), options).await.expect_err("above it");
    assert!(matches!(error, EngineError::TooManyBytes { limit: 1_000 }), "{error:?}");
}

/// A statement whose result is refused did nothing.
pub async fn a_refused_result_undoes_what_it_wrote(harness: &impl Harness) {
    let mut connection = connected(harness, "tenant").await;
    query(&mut *connection, "CREATE TABLE t (n INTEGER)").await;
    let sql = "INSERT INTO t VALUES (1), (2), (3) RETURNING n";
    let error = failure(&mut *connection, sql, Options { max_rows: Some(2), ..unlimited() }).await;
    assert!(matches!(error, EngineError::TooManyRows { .. }), "{error:?}");
    assert_eq!(integer(&mut *connection, "SELECT count(*) FROM t").await, 0);
    let (rows, outcome) = run(&mut *connection, Request::execute(sql), unlimited()).await.expect("inserts");
    assert_eq!((rows.len(), outcome.affected), (3, Some(3)));
    assert_eq!(integer(&mut *connection, "SELECT count(*) FROM t").await, 3);
}

pub(super) fn insert_each(numbers: &[i64]) -> Request {
    let sets = numbers.iter().map(|&n| Arguments::Positional(vec![Value::Integer(n)])).collect();
    Request::Repeat { sql: "INSERT INTO t VALUES (?1)".into(), sets }
}
