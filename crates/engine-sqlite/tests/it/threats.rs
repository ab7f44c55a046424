//! One test per threat of the threat model that this crate answers (`S-..`).
use crate::support::{Files, Form};
use rowhouse_engine::conformance::{Opened, failure, integer, opened, query, run, unlimited, within};
use rowhouse_engine::{Condition, Connection, EngineError, Options, SqlPolicy};
use rowhouse_types::{Request, Value};

const POLICIES: [SqlPolicy; 2] = [SqlPolicy::Standard, SqlPolicy::Guarded];

fn under(policy: SqlPolicy) -> Options {
    Options { policy, ..within(5_000) }
}

async fn denied(connection: &mut dyn Connection, sql: &str, policy: SqlPolicy) {
    let error = failure(connection, sql, under(policy)).await;
    let EngineError::Statement { condition, message, .. } = &error else { panic!("{sql}: {error:?}") };
    assert_eq!((*condition, message.as_str()), (Condition::Denied, "not authorized"), "{sql}");
}

#[tokio::test]
async fn s01_s02_other_files_cannot_be_attached_however_it_is_spelt() {
    let files = Files::open();
    let mut victim = files.connect("victim").await;
    query(&mut *victim, "CREATE TABLE secret (canary TEXT)").await;
    query(&mut *victim, "INSERT INTO secret VALUES ('canary')").await;
    let path = files.path("victim.db").into_os_string().into_string().unwrap();
    let hex: String = path.bytes().map(|b| format!("{b:02x}")).collect();
    let mut connection = files.connect("attacker").await;
    query(&mut *connection, "CREATE TABLE t (n)").await;
    for sql in [
        format!("ATTACH '{path}' AS v"),
        format!("AtTaCh DaTaBaSe '{path}' AS v"),
        format!("/* */ ATTACH /* */ '{path}' /* */ AS v"),
        format!("-- x\nATTACH '{path}' AS v;"),
        format!(";;ATTACH '{path}' AS v"),
        format!("\u{feff}ATTACH '{path}' AS v"),
        format!("ATTACH\t'{path}'\nAS\r\nv"),
        format!("ATTACH 'file:{path}' AS v"),
        format!("ATTACH 'file:{path}?mode=ro' AS v"),
        format!("ATTACH 'FILE:{path}?immutable=1&cache=shared' AS v"),
        format!("ATTACH 'file://localhost{path}' AS v"),
        format!("ATTACH 'file:{}' AS v", path.replace("victim", "%76ictim")),
        format!("ATTACH 'file:{path}?vfs=unix-none&nolock=1' AS v"),
        format!("ATTACH \"{path}\" AS v"),
        format!("ATTACH [{path}] AS v"),
        format!("ATTACH `{path}` AS v"),
        format!("ATTACH ('{path}' || '') AS v"),
        format!("ATTACH CAST(x'{hex}' AS TEXT) AS v"),
        format!("ATTACH x'{hex}' AS v"),
        format!("ATTACH (SELECT '{path}') AS v"),
        format!("ATTACH '{path}' AS 'main'"),
        format!("ATTACH '{path}' AS temp"),
        format!("ATTACH '{path}' AS (SELECT 'v')"),
        format!("ATTACH '{path}' AS v KEY 'k'"),
        format!("EXPLAIN ATTACH '{path}' AS v"),
        format!("EXPLAIN QUERY PLAN ATTACH '{path}' AS v"),
        "ATTACH 'victim.db' AS v".to_owned(),
        "ATTACH 'file:/rowhouse-0?vfs=memdb' AS v".to_owned(),
        "ATTACH ':memory:' AS v".to_owned(),
        "ATTACH '' AS v".to_owned(),
        "ATTACH NULL AS v".to_owned(),
        "DETACH main".to_owned(),
        "DETACH DATABASE 'temp'".to_owned(),
        "EXPLAIN DETACH v".to_owned(),
    ] {
        Form::denied_in_each(&mut *connection, &sql).await;
    }
    // Where no such statement may stand, and by names of other databases.
    for sql in [
        format!("CREATE TRIGGER tr AFTER INSERT ON t BEGIN ATTACH '{path}' AS v; END"),
        format!("CREATE VIEW w AS ATTACH '{path}' AS v"),
        format!("WITH c AS (SELECT 1) ATTACH '{path}' AS v"),
        format!("SELECT * FROM '{path}'.secret"),
        format!("SELECT * FROM \"{path}\""),
        "SELECT canary FROM v.secret".to_owned(),
        "SELECT canary FROM victim.secret".to_owned(),
        "CREATE VIEW victim.w AS SELECT 1".to_owned(),
        "INSERT INTO v.secret VALUES (1)".to_owned(),
        "CREATE TABLE v.x (n)".to_owned(),
        "ALTER TABLE t RENAME TO v.t".to_owned(),
    ] {
        for policy in POLICIES {
            failure(&mut *connection, &sql, under(policy)).await;
        }
    }
    // By argument, so that the text never holds the path.
    for policy in POLICIES {
        let request = Request::execute_with("ATTACH ?1 AS v", vec![Value::Text(path.clone())]);
        let error = run(&mut *connection, request, under(policy)).await.unwrap_err();
        assert!(matches!(error, EngineError::Statement { condition: Condition::Denied, .. }), "{error:?}");
    }
    assert_eq!(query(&mut *victim, "SELECT * FROM secret").await, [[Value::Text("canary".into())]]);
    assert_eq!(query(&mut *connection, "SELECT name FROM sqlite_schema").await.len(), 1);
}

#[tokio::test]
async fn s03_vacuum_writes_no_file() {
    let files = Files::open();
    let mut connection = files.connect("tenant").await;
    query(&mut *connection, "CREATE TABLE t (n)").await;
    let target = files.path("copy.db");
    let path = target.display();
    // In a transaction SQLite refuses before it asks.
    for sql in [
        format!("VACUUM INTO '{path}'"),
        format!("vacuum main into 'file:{path}'"),
        format!("VACUUM INTO ('{path}' || '')"),
        format!("VACUUM/**/INTO (SELECT '{path}')"),
        format!(";VACUUM \"main\" INTO \"{path}\""),
        "VACUUM".to_owned(),
        "VACUUM main".to_owned(),
    ] {
        for policy in POLICIES {
            for request in
                [Request::execute(&*sql), Request::script(&*sql), Request::script(format!("SELECT 1; {sql}"))]
            {
                let error = run(&mut *connection, request, under(policy)).await.expect_err(&sql);
                assert!(
                    matches!(error, EngineError::Statement { condition: Condition::Denied, .. }),
                    "{sql}: {error:?}"
                );
            }
        }
    }
    let request = Request::execute_with("VACUUM INTO ?1", vec![Value::Text(path.to_string())]);
    run(&mut *connection, request, unlimited()).await.unwrap_err();
    assert_eq!(files.names(), ["tenant.db", "tenant.db-shm", "tenant.db-wal"]);
    assert_eq!(integer(&mut *connection, "SELECT count(*) FROM t").await, 0);
}

#[tokio::test]
async fn s04_s18_functions_and_tables_that_reach_out_are_denied() {
    let files = Files::open();
    let mut connection = files.connect("tenant").await;
    query(&mut *connection, "CREATE TABLE t (n)").await;
    query(&mut *connection, "CREATE VIEW w AS SELECT load_extension('x') AS n").await;
    for policy in POLICIES {
        for sql in [
            "SELECT load_extension('/tmp/x.so')",
            "SELECT LOAD_EXTENSION('x', 'y')",
            "SELECT fts3_tokenizer('simple')",
            "SELECT fts3_tokenizer('simple', x'00')",
            "SELECT * FROM dbstat",
            "SELECT count(*) FROM DbStat",
            "CREATE VIRTUAL TABLE d USING dbstat",
            "CREATE VIRTUAL TABLE temp.d USING dbstat(main)",
        ] {
            denied(&mut *connection, sql, policy).await;
        }
        failure(&mut *connection, "SELECT * FROM w", under(policy)).await;
        failure(&mut *connection, "SELECT * FROM sqlite_dbpage", under(policy)).await;
        failure(&mut *connection, "SELECT readfile('/etc/passwd')", under(policy)).await;
    }
    // The text search that is meant to be used works, also under the guarded policy.
    for (policy, table) in POLICIES.into_iter().zip(["a", "b"]) {
        let create = format!("CREATE VIRTUAL TABLE {table} USING fts5(body)");
        run(&mut *connection, Request::execute(create), under(policy)).await.unwrap();
        let insert = format!("INSERT INTO {table} VALUES ('rows of houses')");
        run(&mut *connection, Request::execute(insert), under(policy)).await.unwrap();
        let find = format!("SELECT count(*) FROM {table} WHERE {table} MATCH 'houses'");
        let rows = run(&mut *connection, Request::execute(find), under(policy)).await.unwrap().0;
        assert_eq!(rows, [[Value::Integer(1)]]);
    }
}

#[tokio::test]
async fn s05_the_schema_cannot_be_written() {
    let files = Files::open();
    let mut connection = files.connect("tenant").await;
    query(&mut *connection, "CREATE TABLE t (n INTEGER PRIMARY KEY AUTOINCREMENT, s)").await;
    query(&mut *connection, "CREATE VIRTUAL TABLE f USING fts5(body)").await;
    query(&mut *connection, "CREATE VIRTUAL TABLE r USING rtree(id, a, b)").await;
    let before = query(&mut *connection, "SELECT type, name, sql FROM sqlite_schema").await;
    denied(&mut *connection, "PRAGMA writable_schema=ON", SqlPolicy::Standard).await;
    denied(&mut *connection, "PRAGMA main.writable_schema(RESET)", SqlPolicy::Standard).await;
    for table in [
        "sqlite_schema",
        "sqlite_master",
        "main.sqlite_schema",
        "\"SQLITE_MASTER\"",
        "sqlite_temp_schema",
        "temp.sqlite_schema",
    ] {
        for sql in [
            format!("UPDATE {table} SET sql = 'x'"),
            format!("UPDATE OR IGNORE {table} SET rootpage = 1 WHERE 0"),
            format!("DELETE FROM {table}"),
            format!("INSERT INTO {table} VALUES ('table', 'x', 'x', 1, 'CREATE TABLE x (n)')"),
            format!("INSERT OR REPLACE INTO {table} SELECT * FROM {table}"),
            format!("WITH c AS (SELECT 1) UPDATE {table} SET name = 'x'"),
            format!("CREATE TRIGGER tr AFTER INSERT ON {table} BEGIN SELECT 1; END"),
            format!("CREATE INDEX i ON {table} (name)"),
            format!("DROP TABLE {table}"),
            format!("ALTER TABLE {table} RENAME TO x"),
            format!("ALTER TABLE {table} ADD COLUMN x"),
        ] {
            for policy in POLICIES {
                failure(&mut *connection, &sql, under(policy)).await;
            }
        }
    }
    // What lies below virtual tables.
    for sql in [
        "INSERT INTO f_data VALUES (1, x'00')",
        "UPDATE f_config SET v = 0",
        "DELETE FROM f_data",
        "UPDATE r_node SET data = x'00'",
        "INSERT INTO r_rowid VALUES (1, 1)",
        "DROP TABLE f_data",
        "DROP TABLE sqlite_sequence",
        "ALTER TABLE f_data RENAME TO g",
    ] {
        for policy in POLICIES {
            failure(&mut *connection, sql, under(policy)).await;
        }
    }
    assert_eq!(query(&mut *connection, "SELECT type, name, sql FROM sqlite_schema").await, before);
    // What a tenant may write of SQLite's own tables harms the tenant at most.
    query(&mut *connection, "INSERT INTO t (s) VALUES ('a')").await;
    query(&mut *connection, "UPDATE sqlite_sequence SET seq = 9223372036854775807").await;
    let error = failure(&mut *connection, "INSERT INTO t (s) VALUES ('b')", unlimited()).await;
    assert!(matches!(error, EngineError::Statement { condition: Condition::Full, .. }), "{error:?}");
    query(&mut *connection, "UPDATE sqlite_sequence SET seq = 'not a number'").await;
    query(&mut *connection, "ANALYZE").await;
    query(&mut *connection, "UPDATE sqlite_stat1 SET stat = '0 0 0 0 x unordered sz=-1 noskipscan'").await;
    query(&mut *connection, "INSERT INTO sqlite_stat1 VALUES ('t', 'no index', randomblob(1000))").await;
    connection.reset().await.unwrap();
    assert_eq!(integer(&mut *connection, "SELECT count(*) FROM t WHERE s = 'a'").await, 1);
    query(&mut *connection, "ANALYZE").await;
    assert_eq!(query(&mut *connection, "PRAGMA integrity_check").await, [[Value::Text("ok".into())]]);
}

#[tokio::test]
async fn s06_s11_pragmas_that_reach_beyond_this_database_are_denied() {
    let files = Files::open();
    let mut connection = files.connect("tenant").await;
    for sql in [
        "PRAGMA max_page_count=1073741823",
        "PRAGMA hard_heap_limit=1",
        "PRAGMA soft_heap_limit=1",
        "PRAGMA temp_store_directory='/tmp'",
        "PRAGMA data_store_directory='/tmp'",
        "PRAGMA database_list",
        "PRAGMA journal_mode=OFF",
        "PRAGMA journal_mode=DELETE",
        "PRAGMA main.journal_mode('memory')",
        "PRAGMA synchronous=OFF",
        "PRAGMA locking_mode=EXCLUSIVE",
        "PRAGMA wal_autocheckpoint=0",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA cache_size=-4000000",
        "PRAGMA mmap_size=1000000000",
        "PRAGMA threads=8",
        "PRAGMA temp_store=FILE",
        "PRAGMA page_size=512",
        "PRAGMA schema_version=9",
        "PRAGMA trusted_schema=ON",
        "PRAGMA cell_size_check=OFF",
        "PRAGMA journal_size_limit=-1",
        "PRAGMA query_only=ON",
        "SELECT * FROM pragma_database_list",
        "SELECT * FROM pragma_hard_heap_limit(1)",
        "SELECT * FROM pragma_soft_heap_limit(1)",
        "SELECT * FROM pragma_synchronous WHERE arg = 'off'",
    ] {
        let error = failure(&mut *connection, sql, unlimited()).await;
        assert!(
            matches!(error, EngineError::Statement { condition: Condition::Denied | Condition::Sql, .. }),
            "{sql}: {error:?}"
        );
        assert!(!error.to_string().contains('/'), "{error}");
        if sql.starts_with("PRAGMA") {
            denied(&mut *connection, sql, SqlPolicy::Standard).await;
            // Silently nothing, as with the original.
            let rows =
                run(&mut *connection, Request::execute(sql), under(SqlPolicy::Guarded)).await.unwrap().0;
            assert!(rows.is_empty(), "{sql}: {rows:?}");
        }
    }
    let mut sibling = files.connect("sibling").await;
    query(&mut *sibling, "CREATE TABLE t AS SELECT zeroblob(100000) AS b").await;
    assert_eq!(query(&mut *connection, "PRAGMA synchronous").await, [[Value::Integer(2)]]);
    assert_eq!(query(&mut *connection, "PRAGMA journal_mode").await, [[Value::Text("wal".into())]]);
}

#[tokio::test]
async fn s06_a_tenant_at_its_quota_cannot_grow() {
    let files = Files::open();
    let Opened { database, .. } = opened(&files, "tenant").await;
    database.bound(Some(1 << 20));
    let mut connection = database.connect().await.unwrap();
    query(&mut *connection, "CREATE TABLE t (b)").await;
    let error = failure(&mut *connection, "INSERT INTO t VALUES (zeroblob(2000000))", unlimited()).await;
    assert!(matches!(error, EngineError::QuotaReached { limit: 1_048_576 }), "{error:?}");
    assert_eq!(error.to_string(), "database or disk is full");
    query(&mut *connection, "INSERT INTO t VALUES (zeroblob(1000))").await;
}

#[tokio::test]
async fn s09_no_path_in_any_row_or_error() {
    let files = Files::open();
    let mut connection = files.connect("tenant").await;
    for sql in [
        "PRAGMA database_list",
        "SELECT * FROM pragma_database_list",
        "SELECT file FROM pragma_database_list()",
    ] {
        denied(&mut *connection, sql, SqlPolicy::Standard).await;
    }
    let guarded = run(
        &mut *connection,
        Request::execute("SELECT * FROM pragma_database_list"),
        under(SqlPolicy::Guarded),
    )
    .await;
    assert!(guarded.is_ok_and(|(rows, _)| rows.is_empty()));
    std::fs::create_dir(files.path("dir.db")).unwrap();
    std::fs::write(files.path("text.db"), "this is no database, but longer than a header is ".repeat(99))
        .unwrap();
    for name in ["dir", "text", "none"] {
        let error = rowhouse_engine::Engine::open(&*files.engine, &files.at(name)).await.unwrap_err();
        assert!(!format!("{error}").contains('/'), "{error}");
    }
}

#[tokio::test]
async fn s12_an_endless_query_frees_its_thread() {
    let files = Files::open();
    let mut connection = files.connect("tenant").await;
    for sql in [
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x FROM c) SELECT count(*) FROM c",
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x FROM c) SELECT group_concat(x) FROM c WHERE x = 2",
    ] {
        let error = failure(&mut *connection, sql, within(30)).await;
        assert!(matches!(error, EngineError::TimedOut), "{sql}: {error:?}");
    }
    let script = "CREATE TABLE u (n); WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x FROM c) INSERT INTO u SELECT x FROM c;";
    let error = run(&mut *connection, Request::script(script), within(100)).await.unwrap_err();
    assert!(matches!(error, EngineError::TimedOut), "{error:?}");
    assert_eq!(integer(&mut *connection, "SELECT count(*) FROM u").await, 0);
}

#[tokio::test]
async fn s13_what_would_eat_memory_is_refused() {
    let files = Files::open();
    let mut connection = files.connect("tenant").await;
    let deep = format!("SELECT 1{}", "+1".repeat(2_000));
    let wide = format!("SELECT {}", vec!["1"; 3_000].join(","));
    let many = format!("SELECT 1 {}", "UNION ALL SELECT 1 ".repeat(600));
    let like = format!("SELECT 'a' LIKE '{}'", "%a".repeat(2_000));
    let long = format!("SELECT '{}'", "x".repeat(5 << 20));
    for sql in [
        "SELECT randomblob(900000000)",
        "SELECT zeroblob(900000000)",
        "SELECT printf('%.*c', 900000000, 'x')",
        "SELECT ?99999",
        &deep,
        &wide,
        &many,
        &like,
        &long,
    ] {
        failure(&mut *connection, sql, within(5_000)).await;
    }
    let error = failure(&mut *connection, "SELECT zeroblob(900000000)", unlimited()).await;
    assert!(matches!(error, EngineError::Statement { condition: Condition::TooBig, .. }), "{error:?}");
    assert_eq!(error.to_string(), "string or blob too big");
}

#[tokio::test]
async fn s16_nothing_of_a_session_reaches_the_next() {
    let files = Files::open();
    let mut connection = files.connect("tenant").await;
    for sql in [
        "PRAGMA foreign_keys=ON",
        "PRAGMA recursive_triggers=ON",
        "CREATE TEMP TABLE a (n)",
        "CREATE TEMP VIEW v AS SELECT 1",
        "CREATE VIRTUAL TABLE temp.f USING fts5(x)",
        "BEGIN",
        "INSERT INTO a VALUES (1)",
    ] {
        query(&mut *connection, sql).await;
    }
    connection.reset().await.unwrap();
    assert_eq!(integer(&mut *connection, "PRAGMA foreign_keys").await, 0);
    assert_eq!(integer(&mut *connection, "PRAGMA recursive_triggers").await, 0);
    assert_eq!(integer(&mut *connection, "SELECT count(*) FROM sqlite_temp_schema").await, 0);
    // And it is as hard as it was.
    denied(&mut *connection, "ATTACH '' AS v", SqlPolicy::Standard).await;
    query(&mut *connection, "CREATE TABLE t (n)").await;
}

#[tokio::test]
async fn s16_a_session_cannot_stand_before_another_ones_tables() {
    let files = Files::open();
    let mut connection = files.connect("tenant").await;
    query(&mut *connection, "CREATE TABLE t (s)").await;
    query(&mut *connection, "INSERT INTO t VALUES ('true')").await;
    let select = "SELECT s FROM t";
    assert_eq!(query(&mut *connection, select).await, [[Value::Text("true".into())]]);
    for policy in POLICIES {
        for sql in [
            "CREATE TEMP TABLE t AS SELECT 'false' AS s",
            "CREATE TEMP VIEW z AS SELECT s FROM main.t",
            "CREATE TEMP TRIGGER tr AFTER INSERT ON main.t BEGIN UPDATE t SET s = 'false'; END",
            "CREATE TEMP TABLE json_each (key)",
            "SAVEPOINT left_open",
        ] {
            run(&mut *connection, Request::execute(sql), under(policy))
                .await
                .unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
        let shadowed = run(&mut *connection, Request::execute(select), under(policy)).await.unwrap().0;
        assert_eq!(shadowed, [[Value::Text("false".into())]]);
        connection.reset().await.unwrap();
        assert_eq!(connection.state(), rowhouse_engine::SessionState::Clean);
        assert_eq!(query(&mut *connection, select).await, [[Value::Text("true".into())]]);
        assert_eq!(integer(&mut *connection, "SELECT count(*) FROM json_each('[1,2]')").await, 2);
        query(&mut *connection, "INSERT INTO t VALUES ('second')").await;
        query(&mut *connection, "DELETE FROM t WHERE s = 'second'").await;
        failure(&mut *connection, "RELEASE left_open", under(policy)).await;
    }
    // Attempts that fail leave nothing either.
    for sql in [
        "CREATE TEMP TABLE x (n); SELEC",
        "BEGIN; SELECT nothing FROM nowhere",
        "PRAGMA foreign_keys=ON; ATTACH '' AS v",
    ] {
        run(&mut *connection, Request::script(sql), unlimited()).await.unwrap_err();
        connection.reset().await.unwrap();
        assert_eq!(integer(&mut *connection, "SELECT count(*) FROM sqlite_temp_schema").await, 0, "{sql}");
        assert_eq!(integer(&mut *connection, "PRAGMA foreign_keys").await, 0, "{sql}");
    }
}

#[tokio::test]
async fn s17_a_crafted_schema_calls_no_function_behind_the_readers_back() {
    let files = Files::open();
    let mut connection = files.connect("tenant").await;
    connection.close().await;
    let raw = rusqlite::Connection::open(files.path("tenant.db")).unwrap();
    raw.execute_batch("CREATE TABLE t (n); CREATE VIEW v AS SELECT fts3_tokenizer('simple') AS n; CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT load_extension('x'); END;").unwrap();
    drop(raw);
    let database = rowhouse_engine::Engine::open(&*files.engine, &files.at("tenant")).await.unwrap();
    connection = database.connect().await.unwrap();
    let error = failure(&mut *connection, "SELECT * FROM v", unlimited()).await;
    assert_eq!(error.to_string(), "unsafe use of fts3_tokenizer()");
    failure(&mut *connection, "INSERT INTO t VALUES (1)", unlimited()).await;
}

#[tokio::test]
async fn the_guarded_policy_denies_deleting_and_dropping_only() {
    let files = Files::open();
    let mut connection = files.connect("tenant").await;
    let guarded = under(SqlPolicy::Guarded);
    for sql in [
        "CREATE TABLE t (n INTEGER PRIMARY KEY, s)",
        "CREATE INDEX i ON t (s)",
        "CREATE VIEW v AS SELECT 1",
        "INSERT INTO t VALUES (1, 'a')",
        "INSERT OR REPLACE INTO t VALUES (1, 'b')",
        "REPLACE INTO t VALUES (1, 'c')",
        "UPDATE t SET s = 'd'",
        "ALTER TABLE t ADD COLUMN x",
        "ALTER TABLE t RENAME COLUMN x TO y",
        "ALTER TABLE t RENAME TO t2",
        "ANALYZE",
        "REINDEX",
        "BEGIN",
        "SAVEPOINT s",
        "RELEASE s",
        "COMMIT",
    ] {
        run(&mut *connection, Request::execute(sql), guarded)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    for sql in ["DELETE FROM t2", "DROP TABLE t2", "DROP INDEX i", "DROP VIEW v"] {
        denied(&mut *connection, sql, SqlPolicy::Guarded).await;
    }
    let rows = run(&mut *connection, Request::execute("SELECT * FROM pragma_table_info('t2')"), guarded)
        .await
        .unwrap()
        .0;
    assert!(rows.is_empty());
}

#[tokio::test]
async fn a_statement_compiled_under_one_policy_is_not_run_under_the_other() {
    let files = Files::open();
    let mut connection = files.connect("tenant").await;
    query(&mut *connection, "CREATE TABLE t (n)").await;
    query(&mut *connection, "DELETE FROM t").await;
    denied(&mut *connection, "DELETE FROM t", SqlPolicy::Guarded).await;
    query(&mut *connection, "DELETE FROM t").await;
    denied(&mut *connection, "DELETE FROM t", SqlPolicy::Guarded).await;
}

#[tokio::test]
async fn harmless_pragmas_work() {
    let files = Files::open();
    let mut connection = files.connect("tenant").await;
    query(&mut *connection, "CREATE TABLE t (n)").await;
    query(&mut *connection, "PRAGMA user_version=5").await;
    assert_eq!(integer(&mut *connection, "PRAGMA user_version").await, 5);
    assert_eq!(query(&mut *connection, "PRAGMA table_info(t)").await.len(), 1);
    assert_eq!(query(&mut *connection, "SELECT * FROM pragma_table_info('t')").await.len(), 1);
    assert_eq!(query(&mut *connection, "PRAGMA journal_mode=wal").await, [[Value::Text("wal".into())]]);
    assert!(query(&mut *connection, "PRAGMA busy_timeout=1").await.is_empty());
    query(&mut *connection, "PRAGMA optimize").await;
    assert_eq!(connection.state(), rowhouse_engine::SessionState::Clean);
}

#[tokio::test]
async fn who_may_only_read_is_told_so_when_what_reads_would_write() {
    let files = Files::open();
    let mut connection = files.connect("tenant").await;
    for sql in [
        "CREATE TABLE t (n PRIMARY KEY)",
        "INSERT INTO t VALUES (1), (2)",
        "CREATE VIRTUAL TABLE d USING fts4(s)",
        "INSERT INTO d VALUES ('a'), ('b')",
    ] {
        query(&mut *connection, sql).await;
    }
    let reads = || Options { policy: SqlPolicy::ReadOnly, ..within(10_000) };
    for sql in ["PRAGMA optimize(0x10002)", "PRAGMA optimize = -1"] {
        let told = run(&mut *connection, Request::execute(sql), reads()).await;
        let is_fine = matches!(told, Ok(_) | Err(EngineError::MayNotWrite));
        assert!(is_fine, "{sql}: {told:?}");
    }
    for options in [reads(), within(10_000)] {
        let told = run(&mut *connection, Request::execute("SELECT optimize(d) FROM d"), options).await;
        let denied = matches!(told, Err(EngineError::Statement { condition: Condition::Denied, .. }));
        assert!(denied, "{told:?}");
    }
    query(&mut *connection, "INSERT INTO d (d) VALUES ('optimize')").await;
}
