//! What SQLite offers in this build, decided name by name: a newer SQLite that brings a pragma, a
//! function or a module fails here until somebody has decided about it.
use crate::support::{Files, Form};
use rowhouse_engine::conformance::{failure, integer, query, run, within};
use rowhouse_engine::{Condition, Connection, EngineError, Options, SqlPolicy};
use rowhouse_types::{Request, Value};
use std::collections::BTreeSet;

/// What a pragma may do under the standard policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pragma {
    /// Nothing.
    Denied,
    /// Tell, with or without an argument.
    Tells,
    /// Tell, without an argument.
    TellsBare,
    /// Change what belongs to the database or to the session.
    Changes,
    /// Tell, and change to what is in force already.
    JournalMode,
    /// Tell; a change does nothing.
    BusyTimeout,
}

use Pragma::{BusyTimeout, Changes, Denied, JournalMode, Tells, TellsBare};

const PRAGMAS: &[(&str, Pragma)] = &[
    ("analysis_limit", Denied),
    ("application_id", Changes),
    ("auto_vacuum", Denied),
    ("automatic_index", Denied),
    ("busy_timeout", BusyTimeout),
    ("cache_size", Denied),
    ("cache_spill", Denied),
    ("case_sensitive_like", Denied),
    ("cell_size_check", Denied),
    ("checkpoint_fullfsync", Denied),
    ("collation_list", Tells),
    ("compile_options", Tells),
    ("count_changes", Denied),
    ("data_version", Tells),
    ("database_list", Denied),
    ("default_cache_size", Denied),
    ("defer_foreign_keys", Changes),
    ("empty_result_callbacks", Denied),
    ("encoding", TellsBare),
    ("foreign_key_check", Tells),
    ("foreign_key_list", Tells),
    ("foreign_keys", Changes),
    ("freelist_count", Tells),
    ("full_column_names", Denied),
    ("fullfsync", Denied),
    ("function_list", Tells),
    ("hard_heap_limit", Denied),
    ("ignore_check_constraints", Changes),
    ("incremental_vacuum", Denied),
    ("index_info", Tells),
    ("index_list", Tells),
    ("index_xinfo", Tells),
    ("integrity_check", Tells),
    ("journal_mode", JournalMode),
    ("journal_size_limit", Denied),
    ("legacy_alter_table", Denied),
    ("locking_mode", Denied),
    ("max_page_count", Denied),
    ("mmap_size", Denied),
    ("module_list", Denied),
    ("optimize", Changes),
    ("page_count", Tells),
    ("page_size", TellsBare),
    ("pragma_list", Denied),
    ("query_only", Denied),
    ("quick_check", Tells),
    ("read_uncommitted", Denied),
    ("recursive_triggers", Changes),
    ("reverse_unordered_selects", Changes),
    ("schema_version", TellsBare),
    ("secure_delete", Denied),
    ("short_column_names", Denied),
    ("shrink_memory", Denied),
    ("soft_heap_limit", Denied),
    ("synchronous", TellsBare),
    ("table_info", Tells),
    ("table_list", Tells),
    ("table_xinfo", Tells),
    ("temp_store", Denied),
    ("temp_store_directory", Denied),
    ("threads", Denied),
    ("trusted_schema", Denied),
    ("user_version", Changes),
    ("wal_autocheckpoint", Denied),
    ("wal_checkpoint", Denied),
    ("writable_schema", Denied),
];

/// Pragmas of other builds, and of none: whatever is not listed is denied.
const UNKNOWN: &[&str] = &[
    "activate_extensions",
    "data_store_directory",
    "hexkey",
    "hexrekey",
    "key",
    "lock_proxy_file",
    "lock_status",
    "parser_trace",
    "rekey",
    "sql_trace",
    "stats",
    "textkey",
    "vdbe_addoptrace",
    "vdbe_debug",
    "vdbe_eqp",
    "vdbe_listing",
    "vdbe_trace",
    "no_such_pragma",
];

/// Functions that reach no further than their arguments, the statement's rows or this connection.
const FUNCTIONS: &str = "-> ->> abs avg bm25 changes char coalesce concat concat_ws count cume_dist \
    current_date current_time current_timestamp date datetime dense_rank first_value format fts5 \
    fts5_get_locale fts5_insttoken fts5_locale fts5_source_id glob group_concat hex highlight if ifnull \
    iif instr json json_array json_array_insert json_array_length json_error_position json_extract \
    json_group_array json_group_object json_insert json_object json_patch json_pretty json_quote \
    json_remove json_replace json_set json_type json_valid jsonb jsonb_array jsonb_array_insert \
    jsonb_extract jsonb_group_array jsonb_group_object jsonb_insert jsonb_object jsonb_patch \
    jsonb_remove jsonb_replace jsonb_set julianday lag last_insert_rowid last_value lead length like \
    likelihood likely lower ltrim match matchinfo max min nth_value ntile nullif octet_length offsets \
    percent_rank printf quote random randomblob rank replace round row_number rtreecheck \
    rtreedepth rtreenode rtrim sign snippet soundex sqlite_compileoption_get sqlite_compileoption_used \
    sqlite_source_id sqlite_version strftime string_agg substr substring subtype sum time timediff \
    total total_changes trim typeof unhex unicode unistr unistr_quote unixepoch unlikely upper zeroblob";

const FUNCTIONS_DENIED: &[&str] = &["fts3_tokenizer", "load_extension", "optimize", "sqlite_log"];

/// Modules a virtual table may be of, or that are there without one and tell only of this connection.
const MODULES: &[&str] = &[
    "fts3",
    "fts3tokenize",
    "fts4",
    "fts4aux",
    "fts5",
    "fts5vocab",
    "json_each",
    "json_tree",
    "rtree",
    "rtree_i32",
];

const MODULES_DENIED: &[&str] = &["dbstat"];

fn plain(sql: &str) -> BTreeSet<String> {
    let connection = rusqlite::Connection::open_in_memory().expect("works");
    let mut statement = connection.prepare(sql).expect("works");
    statement.query_map([], |row| row.get(0)).expect("works").map(|name| name.expect("a name")).collect()
}

fn under(policy: SqlPolicy) -> Options {
    Options { policy, ..within(10_000) }
}

/// How a pragma fares: `None` when it was run, with how many rows it does not matter.
async fn fares(connection: &mut dyn Connection, sql: &str, policy: SqlPolicy) -> Option<Condition> {
    match run(connection, Request::execute(sql), under(policy)).await {
        Ok(_) => None,
        Err(EngineError::Statement { condition, .. }) => Some(condition),
        Err(error) => panic!("{sql}: {error:?}"),
    }
}

#[test]
fn every_pragma_of_this_sqlite_is_decided() {
    let known: BTreeSet<String> = PRAGMAS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(plain("SELECT name FROM pragma_pragma_list"), known);
}

#[test]
fn the_documentation_lists_the_pragmas_that_are_allowed() {
    let page = include_str!("../../../../docs/sql-policy.md");
    let table = page.split("## Pragmas").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    let listed: BTreeSet<&str> = rows.flat_map(|row| row.split('`').skip(1).step_by(2)).collect();
    let allowed: BTreeSet<&str> =
        PRAGMAS.iter().filter(|(_, side)| *side != Denied).map(|(name, _)| *name).collect();
    assert_eq!(listed, allowed);
}

#[test]
fn every_function_of_this_sqlite_is_decided() {
    let allowed = FUNCTIONS.split_whitespace();
    let known: BTreeSet<String> =
        allowed.chain(FUNCTIONS_DENIED.iter().copied()).map(str::to_owned).collect();
    assert_eq!(plain("SELECT DISTINCT name FROM pragma_function_list"), known);
}

#[test]
fn every_module_of_this_sqlite_is_decided() {
    let known: BTreeSet<String> =
        MODULES.iter().chain(MODULES_DENIED).map(|name| (*name).to_owned()).collect();
    let found = plain("SELECT name FROM pragma_module_list WHERE name NOT LIKE 'pragma!_%' ESCAPE '!'");
    let found: BTreeSet<String> =
        found.union(&["json_each".into(), "json_tree".into()].into()).cloned().collect();
    assert_eq!(found, known);
}

#[tokio::test]
async fn each_pragma_does_under_the_standard_policy_what_was_decided() {
    let files = Files::open();
    let mut connection = files.connect("tenant").await;
    query(&mut *connection, "CREATE TABLE t (a INTEGER PRIMARY KEY REFERENCES t)").await;
    let unknown = UNKNOWN.iter().map(|name| (*name, Denied));
    for (name, side) in PRAGMAS.iter().copied().chain(unknown) {
        let bare = [
            format!("PRAGMA {name}"),
            format!("PrAgMa/* */main . {name};"),
            format!("-- x\n;PRAGMA \"{name}\""),
        ];
        let given = [
            format!("PRAGMA {name}=1"),
            format!("PRAGMA {name}(1)"),
            format!("PRAGMA main.{name} = -1"),
            format!("PRAGMA [main].[{name}] ( 'x' )"),
            format!("pragma temp.{name}=ON"),
            format!("EXPLAIN PRAGMA {name}=1"),
        ];
        for sql in &bare {
            let fared = fares(&mut *connection, sql, SqlPolicy::Standard).await;
            assert_eq!(fared == Some(Condition::Denied), side == Denied, "{sql}: {fared:?}");
        }
        for sql in &given {
            let fared = fares(&mut *connection, sql, SqlPolicy::Standard).await;
            let denied = matches!(side, Denied | TellsBare | JournalMode);
            assert_eq!(fared == Some(Condition::Denied), denied, "{sql}: {fared:?}");
        }
        // As tables; what yields nothing is none.
        for sql in [format!("SELECT * FROM pragma_{name}"), format!("SELECT * FROM pragma_{name}('1')")] {
            let fared = fares(&mut *connection, &sql, SqlPolicy::Standard).await;
            assert!(side != Denied || fared.is_some(), "{sql}: {fared:?}");
        }
        connection.reset().await.unwrap();
    }
    for (sql, expected) in [
        ("PRAGMA synchronous", Value::Integer(2)),
        ("PRAGMA journal_mode", Value::Text("wal".into())),
        ("PRAGMA page_size", Value::Integer(4096)),
        ("PRAGMA encoding", Value::Text("UTF-8".into())),
        ("PRAGMA foreign_keys", Value::Integer(0)),
    ] {
        assert_eq!(query(&mut *connection, sql).await, [[expected]], "{sql}");
    }
    assert_eq!(query(&mut *connection, "PRAGMA integrity_check").await, [[Value::Text("ok".into())]]);
}

#[tokio::test]
async fn each_pragma_does_nothing_under_the_guarded_policy() {
    let files = Files::open();
    let mut connection = files.connect("tenant").await;
    let names = PRAGMAS.iter().map(|(name, _)| *name).chain(UNKNOWN.iter().copied());
    for name in names {
        for sql in [
            format!("PRAGMA {name}"),
            format!("PRAGMA {name}=1"),
            format!("PRAGMA main.{name}(1)"),
            format!(";PRAGMA temp.{name}='x'"),
            format!("EXPLAIN PRAGMA {name}=1"),
        ] {
            let guarded = run(&mut *connection, Request::execute(&*sql), under(SqlPolicy::Guarded)).await;
            let rows = guarded.unwrap_or_else(|error| panic!("{sql}: {error}")).0;
            assert!(rows.is_empty() || sql.starts_with("EXPLAIN"), "{sql}: {rows:?}");
        }
    }
    assert_eq!(integer(&mut *connection, "PRAGMA user_version").await, 0);
    assert_eq!(integer(&mut *connection, "PRAGMA synchronous").await, 2);
    assert_eq!(integer(&mut *connection, "PRAGMA foreign_keys").await, 0);
}

#[tokio::test]
async fn functions_and_modules_that_reach_out_are_denied_wherever_they_are_written() {
    let files = Files::open();
    let mut connection = files.connect("tenant").await;
    query(&mut *connection, "CREATE TABLE t (n)").await;
    query(&mut *connection, "INSERT INTO t VALUES (1)").await;
    for function in
        FUNCTIONS_DENIED.iter().map(|name| format!("{name}('x')")).chain(["sqlite_log(1, 'x')".into()])
    {
        if function == "sqlite_log('x')" {
            continue;
        }
        for sql in [
            format!("SELECT {function}"),
            format!("SELECT 1 WHERE {function} IS NULL"),
            format!("SELECT (SELECT {function})"),
            format!("WITH c AS (SELECT {function} AS x) SELECT x FROM c"),
            format!("SELECT n FROM t ORDER BY {function}"),
            format!("SELECT n FROM t GROUP BY n HAVING {function}"),
            format!("SELECT CASE WHEN 0 THEN {function} END"),
            format!("SELECT max(n) FILTER (WHERE {function}) FROM t"),
            format!("SELECT sum(n) OVER (ORDER BY {function}) FROM t"),
            format!("SELECT * FROM json_each({function})"),
            format!("VALUES ({function})"),
            format!("INSERT INTO t VALUES ({function})"),
            format!("INSERT INTO t VALUES (1) RETURNING {function}"),
            format!("UPDATE t SET n = {function}"),
            format!("UPDATE t SET n = 2 WHERE {function} IS NULL"),
            format!("EXPLAIN SELECT {function}"),
            format!("EXPLAIN QUERY PLAN SELECT {function}"),
            format!("/* */ SELECT/**/{function} -- x"),
        ] {
            Form::denied_in_each(&mut *connection, &sql).await;
        }
        // Where it is stored: what is made must be of no use.
        for (make, use_it) in [
            (format!("CREATE TABLE made (a DEFAULT ({function}))"), "INSERT INTO made DEFAULT VALUES"),
            (format!("CREATE TABLE made (a, b AS ({function}))"), "INSERT INTO made (a) VALUES (1)"),
            (format!("CREATE TABLE made (a CHECK ({function}))"), "INSERT INTO made VALUES (1)"),
            (format!("CREATE INDEX made ON t ({function})"), "SELECT * FROM made"),
            (format!("CREATE INDEX made ON t (n) WHERE {function}"), "SELECT * FROM made"),
            (format!("CREATE VIEW made AS SELECT {function} AS x"), "SELECT x FROM made"),
            (format!("CREATE TEMP VIEW made AS SELECT {function} AS x"), "SELECT x FROM made"),
            (
                format!("CREATE TEMP TRIGGER made AFTER INSERT ON t BEGIN SELECT {function}; END"),
                "INSERT INTO t VALUES (3)",
            ),
            (format!("CREATE TABLE made AS SELECT {function} AS x"), "SELECT x FROM made"),
        ] {
            let _made_or_not =
                run(&mut *connection, Request::execute(&*make), under(SqlPolicy::Standard)).await;
            failure(&mut *connection, use_it, under(SqlPolicy::Standard)).await;
            failure(&mut *connection, use_it, under(SqlPolicy::Guarded)).await;
            let kinds = ["TRIGGER", "VIEW", "INDEX", "TABLE"];
            for kind in kinds {
                let drop = format!("DROP {kind} IF EXISTS made");
                let _wrong_kind =
                    run(&mut *connection, Request::execute(drop), under(SqlPolicy::Standard)).await;
            }
        }
    }
    for module in MODULES_DENIED.iter().copied().chain([
        "sqlite_dbpage",
        "sqlite_stmt",
        "bytecode",
        "csv",
        "fsdir",
        "zipfile",
        "carray",
        "generate_series",
    ]) {
        for sql in [
            format!("CREATE VIRTUAL TABLE made USING {module}"),
            format!("CREATE VIRTUAL TABLE IF NOT EXISTS temp.made USING {}(main)", module.to_uppercase()),
            format!("CREATE VIRTUAL TABLE main.\"made\" USING \"{module}\"(filename='/etc/passwd')"),
        ] {
            Form::denied_in_each(&mut *connection, &sql).await;
        }
    }
    for sql in [
        "SELECT * FROM dbstat",
        "SELECT * FROM main.DbStat",
        "SELECT count(*) FROM \"dbstat\"",
        "SELECT * FROM dbstat('main')",
        "SELECT * FROM t JOIN [dbstat]",
        "EXPLAIN SELECT name FROM dbstat",
    ] {
        Form::denied_in_each(&mut *connection, sql).await;
    }
    assert_eq!(integer(&mut *connection, "SELECT count(*) FROM t").await, 1);
    assert_eq!(integer(&mut *connection, "SELECT count(*) FROM sqlite_schema").await, 1);
}
