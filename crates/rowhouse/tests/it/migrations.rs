//! `rowhouse migrate`, and databases that are made and opened where there are migrations.
use crate::support::{Cluster, Home, Operator, Server, serve, text};
use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// How many databases two processes migrate at once, in CI and in a soak.
const DATABASES: (usize, usize) = (50, 500);

/// How a process knows that it is to migrate a directory, and by which migrations.
const CHILD: &str = "ROWHOUSE_TEST_MIGRATES";

const DOCS: (&str, &str) = ("V1__docs.sql", "CREATE TABLE docs (id INTEGER PRIMARY KEY, body TEXT);");
const AUTHOR: (&str, &str) = ("V2__author.sql", "ALTER TABLE docs ADD COLUMN author TEXT;");

impl Home {
    fn migrations(&self, files: &[(&str, &str)]) {
        let directory = self.path().join("migrations");
        fs::create_dir_all(&directory).expect("writable");
        for (name, text) in files {
            fs::write(directory.join(name), text).expect("writable");
        }
    }

    fn create(&self, names: &[&str]) {
        for name in names {
            self.ends(0, &["db", "create", name, "--data-directory", "data"]);
        }
    }

    /// Runs `rowhouse migrate` without a server.
    #[track_caller]
    fn migrate(&self, code: i32, words: &[&str]) -> String {
        let fixed = ["--data-directory", "data", "--org-migrations", "migrations"];
        self.ends(code, &[&["migrate"], words, &fixed].concat())
    }

    fn sqlite(&self, name: &str) -> Connection {
        Connection::open(self.database(name)).expect("a database")
    }

    /// What its ledger says: version and state of each row.
    fn ledger(&self, name: &str) -> Vec<(i64, String)> {
        let connection = self.sqlite(name);
        let Ok(mut rows) =
            connection.prepare("SELECT version, state FROM rowhouse_migrations ORDER BY version")
        else {
            return Vec::new();
        };
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
        rows.map(|row| row.expect("a row")).collect()
    }
}

fn ledger(rows: &[(i64, &str)]) -> Vec<(i64, String)> {
    rows.iter().map(|(version, state)| (*version, (*state).to_owned())).collect()
}

#[test]
fn databases_are_brought_to_the_newest_schema_step_by_step() {
    let home = Home::new();
    home.create(&["a", "b"]);
    home.migrations(&[DOCS]);
    let said = home.migrate(0, &["status", "organizations"]);
    assert!(
        said.starts_with("a: behind: at V0, the newest is V1\nb: behind") && said.contains("2 behind"),
        "{said}"
    );
    assert!(home.migrate(0, &["up", "organizations", "--only", "a"]).starts_with("1 database: 1 migrated"));
    assert!(home.ledger("b").is_empty());
}

#[test]
fn what_was_done_is_not_done_again_and_what_is_new_is() {
    let home = Home::new();
    home.create(&["a", "b"]);
    home.migrations(&[DOCS]);
    home.migrate(0, &["up", "organizations"]);
    assert!(home.migrate(0, &["up", "organizations"]).starts_with("2 databases: 2 up to date"));
    home.migrations(&[AUTHOR]);
    let said = home.migrate(0, &["up", "organizations", "--dry-run"]);
    assert!(said.contains("a: would be migrated: at V1, the newest is V2"), "{said}");
    assert!(home.migrate(0, &["up", "organizations"]).starts_with("2 databases: 2 migrated"));
    assert_eq!(home.ledger("a"), ledger(&[(0, "ready"), (1, "applied"), (2, "applied")]));
    home.sqlite("a")
        .execute("INSERT INTO docs (body, author) VALUES ('x', 'y')", [])
        .expect("it has the column");
    let run: Value =
        serde_json::from_str(&home.migrate(0, &["up", "organizations", "--json"])).expect("JSON");
    assert_eq!((&run["up_to_date"], &run["end"]), (&json!(2), &json!("complete")));
    let audit = home.ends(0, &["audit", "--data-directory", "data", "--json"]);
    assert!(audit.contains("organizations to V2: 2 migrated, 0 up to date"), "{audit}");
}

#[test]
fn a_failed_step_leaves_version_and_schema_and_holds_up_no_other_database() {
    let home = Home::new();
    home.create(&["a", "b", "c"]);
    home.migrations(&[DOCS]);
    home.migrate(0, &["up", "organizations"]);
    home.sqlite("b").execute_batch("CREATE TABLE more (mine)").expect("writable");
    home.migrations(&[("V2__more.sql", "ALTER TABLE docs ADD COLUMN author TEXT; CREATE TABLE more (x);")]);
    let said = home.migrate(1, &["up", "organizations"]);
    assert!(
        said.contains("b: failed (quarantined): V2__more failed: ") && said.contains("more already exists"),
        "{said}"
    );
    assert!(said.contains("3 databases: 2 migrated, 1 failed"), "{said}");
    assert_eq!(home.ledger("b"), ledger(&[(0, "ready"), (1, "applied")]));
    assert!(home.sqlite("b").prepare("SELECT author FROM docs").is_err(), "nothing of the step is there");
    assert_eq!(home.ledger("c").len(), 3);
    let audit = home.ends(0, &["audit", "--data-directory", "data", "--json"]);
    let failed = audit.lines().find(|line| line.contains("V2__more failed")).expect("it is recorded");
    assert!(failed.contains("\"migrate\"") && failed.contains("\"b\""), "{failed}");
    home.sqlite("b").execute_batch("DROP TABLE more").expect("writable");
    assert!(home.migrate(0, &["up", "organizations"]).contains("1 migrated, 2 up to date"));
}

#[test]
fn migrations_that_are_not_what_was_applied_are_not_applied() {
    let home = Home::new();
    home.create(&["a"]);
    home.migrations(&[DOCS, ("V3__author.sql", AUTHOR.1)]);
    home.migrate(0, &["up", "organizations"]);
    let before = home.ledger("a");
    home.migrations(&[
        ("V1__docs.sql", "CREATE TABLE docs (id INTEGER PRIMARY KEY);"),
        ("V4__x.sql", "CREATE TABLE x (y);"),
    ]);
    let said = home.migrate(1, &["up", "organizations"]);
    assert!(said.contains("a: failed: V1__docs was changed after it was applied"), "{said}");
    assert!(said.contains("put the file back as it was"), "{said}");
    home.migrations(&[DOCS, ("V2__late.sql", "CREATE TABLE late (y);")]);
    let said = home.migrate(1, &["up", "organizations"]);
    assert!(said.contains("V2__late is new, and V3 was applied already"), "{said}");
    let file = |name: &str| home.path().join("migrations").join(name);
    fs::remove_file(file("V2__late.sql")).expect("it is there");
    fs::remove_file(file("V1__docs.sql")).expect("it is there");
    let said = home.migrate(1, &["up", "organizations"]);
    assert!(said.contains("V1__docs was applied, and is not in the directory"), "{said}");
    home.migrations(&[DOCS]);
    fs::remove_file(file("V3__author.sql")).expect("it is there");
    fs::remove_file(file("V4__x.sql")).expect("it is there");
    let said = home.migrate(1, &["up", "organizations"]);
    assert!(said.contains("a: ahead: it is at V3, and the newest migration here is V1"), "{said}");
    assert_eq!(home.ledger("a"), before);
    home.migrations(&[("V9__bad.sql", "SELECT 1; COMMIT;")]);
    let said = home.migrate(1, &["up", "organizations"]);
    assert!(said.contains("V9__bad.sql: line 1: COMMIT is not for migrations"), "{said}");
}

#[test]
fn verify_names_what_differs() {
    let home = Home::new();
    home.create(&["a", "b", "c", "d"]);
    home.migrations(&[DOCS, AUTHOR]);
    home.migrate(0, &["up", "organizations"]);
    assert!(home.migrate(0, &["verify", "organizations"]).starts_with("4 databases: 4 equal"));
    home.sqlite("b").execute_batch("CREATE INDEX own ON docs (body)").expect("writable");
    home.sqlite("c").execute_batch("ALTER TABLE docs DROP COLUMN author").expect("writable");
    home.sqlite("d").execute_batch("DELETE FROM rowhouse_migrations WHERE version = 2").expect("writable");
    let said = home.migrate(1, &["verify", "organizations"]);
    assert!(
        said.contains(
            "b: different: differs in 1 part\n  index own: expected nothing, found CREATE INDEX own"
        ),
        "{said}"
    );
    assert!(
        said.contains("c: different") && said.contains("  table docs: expected CREATE TABLE docs"),
        "{said}"
    );
    assert!(
        said.contains("2 equal, 2 different"),
        "what tenants write into the table is not believed: {said}"
    );
}

#[test]
fn a_step_without_a_transaction_is_begun_first_and_run_again_only_when_asked() {
    let home = Home::new();
    home.create(&["a"]);
    let step = "-- rowhouse: no-transaction\nCREATE TABLE IF NOT EXISTS one (x);\nCREATE TABLE two (x);";
    home.migrations(&[DOCS, ("V2__pieces.sql", step)]);
    home.sqlite("a").execute_batch("CREATE TABLE two (mine)").expect("writable");
    let said = home.migrate(1, &["up", "organizations"]);
    assert!(said.contains("V2__pieces failed"), "{said}");
    assert_eq!(home.ledger("a"), ledger(&[(0, "begun"), (1, "applied"), (2, "begun")]));
    home.sqlite("a").execute_batch("DROP TABLE two").expect("writable");
    let said = home.migrate(1, &["up", "organizations"]);
    assert!(said.contains("a: failed: V2__pieces was begun") && said.contains("--retry-begun"), "{said}");
    assert!(home.migrate(0, &["up", "organizations", "--retry-begun"]).contains("1 migrated"));
    assert_eq!(home.ledger("a"), ledger(&[(0, "ready"), (1, "applied"), (2, "applied")]));
}

#[test]
fn a_table_is_made_anew_without_foreign_keys_and_they_hold_in_the_end() {
    let home = Home::new();
    home.create(&["a", "b"]);
    let family = "CREATE TABLE parent (id INTEGER PRIMARY KEY, n); CREATE TABLE child (p REFERENCES parent (id) ON DELETE CASCADE);
        INSERT INTO parent VALUES (1, 1); INSERT INTO child VALUES (1);";
    home.migrations(&[("V1__family.sql", family)]);
    home.migrate(0, &["up", "organizations"]);
    home.sqlite("b")
        .execute_batch("PRAGMA foreign_keys = OFF; INSERT INTO child VALUES (7)")
        .expect("writable");
    let anew = "-- rowhouse: no-foreign-keys
        CREATE TABLE other (id INTEGER PRIMARY KEY, n TEXT NOT NULL); INSERT INTO other SELECT * FROM parent;
        DROP TABLE parent; ALTER TABLE other RENAME TO parent;";
    home.migrations(&[("V2__anew.sql", anew)]);
    let said = home.migrate(1, &["up", "organizations"]);
    assert!(
        said.contains("b: failed (quarantined): V2__anew leaves rows in child that refer to nothing"),
        "{said}"
    );
    let count =
        |name| home.sqlite(name).query_row("SELECT count(*) FROM child", [], |row| row.get::<_, i64>(0));
    assert_eq!((count("a").expect("a count"), count("b").expect("a count")), (1, 2), "nothing was deleted");
    assert_eq!(home.ledger("b").len(), 2);
}

#[test]
fn killed_amid_a_step_a_database_is_as_before_and_goes_on() {
    let home = Home::new();
    home.create(&["a"]);
    home.migrations(&[DOCS]);
    home.migrate(0, &["up", "organizations"]);
    let endless = "ALTER TABLE docs ADD COLUMN author TEXT;
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) INSERT INTO docs (body) SELECT hex(randomblob(500)) FROM n;";
    home.migrations(&[("V2__endless.sql", endless)]);
    let words =
        ["migrate", "up", "organizations", "--data-directory", "data", "--org-migrations", "migrations"];
    let mut child = home.command(&words).spawn().expect("the binary was built");
    let (log, since) = (home.data().join("a.db-wal"), Instant::now());
    while fs::metadata(&log).map_or(0, |log| log.len()) < 1 << 20 {
        assert!(since.elapsed() < Duration::from_secs(60), "it writes");
        std::thread::yield_now();
    }
    kill_process(Pid::from_child(&child), Signal::KILL).expect("it runs");
    child.wait().expect("it has ended");
    assert_eq!(home.ledger("a"), ledger(&[(0, "ready"), (1, "applied")]));
    assert!(home.sqlite("a").prepare("SELECT author FROM docs").is_err());
    home.migrations(&[("V2__endless.sql", AUTHOR.1)]);
    assert!(home.migrate(0, &["up", "organizations"]).contains("1 migrated"));
    assert!(home.sqlite("a").prepare("SELECT author FROM docs").is_ok());
}

/// Migrates a directory, if it is told to by the environment; else it is no test.
#[test]
fn a_process_of_its_own_migrates() {
    let Some(home) = std::env::var_os(CHILD) else { return };
    let home = Path::new(&home);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let migrated = runtime.block_on(migrate_beside(home));
    println!("migrated {migrated}");
}

/// Migrates the databases of a directory as a process does that has no lock on it.
async fn migrate_beside(home: &Path) -> u64 {
    use rowhouse_engine_sqlite::{Config, Executor, ExecutorConfig, SqliteEngine};
    use rowhouse_gateway::migrate::{Errand, Fleet, OnOpen, Order, Subject};
    use rowhouse_gateway::{
        Catalog, Cause, Dynamic, Gateway, Interface, Journal, Limits, Migrator, Parts, Silent, Spec,
    };
    let executor = Executor::new(ExecutorConfig::default());
    let config = Config { data_directory: Some(home.join("data")), ..Config::default() };
    let engine = SqliteEngine::new(config, executor.clone()).expect("an engine");
    let nothing = Spec {
        target: rowhouse_types::Target::Default,
        location: rowhouse_engine::Location(":memory:".to_owned()),
    };
    let parts = Parts {
        catalog: Catalog::new([nothing], Dynamic::Open).expect("valid"),
        engine: std::sync::Arc::new(engine),
        observer: std::sync::Arc::new(Silent),
        limits: Limits::default(),
        journal: Journal::in_memory(),
        metadata: None,
        migrator: Some(Migrator::read(&home.join("migrations"), OnOpen::All).expect("migrations")),
    };
    let gateway = Gateway::start(parts).await.expect("it starts");
    let fleet = Fleet::new(gateway.clone(), None);
    let order = Order {
        errand: Errand::Up,
        subject: Subject::Organizations,
        only: None,
        jobs: std::num::NonZeroUsize::new(8).expect("positive"),
        retry_begun: false,
    };
    fleet.begin(order, Cause::new(Interface::Library, "a test")).await.expect("it begins");
    fleet.ended().await;
    let report = fleet.report().expect("it was begun");
    assert!(report.tally.is_well(), "{report:?}");
    gateway.shut_down().await;
    executor.shut_down();
    report.tally.migrated
}

#[test]
fn two_processes_that_migrate_at_once_migrate_each_database_once_soak() {
    let home = Home::new();
    let count = if std::env::var_os("ROWHOUSE_SOAK").is_some() { DATABASES.1 } else { DATABASES.0 };
    for at in 0..count {
        Connection::open(home.database(&format!("org-{at:04}")))
            .and_then(|made| made.execute_batch("VACUUM"))
            .expect("made");
    }
    let once = "CREATE TABLE applied (step); INSERT INTO applied VALUES (1);";
    home.migrations(&[("V1__once.sql", once), ("V2__twice.sql", "INSERT INTO applied VALUES (2);")]);
    let child = || {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--exact", "migrations::a_process_of_its_own_migrates", "--nocapture"]);
        command.env(CHILD, home.path()).stdout(std::process::Stdio::piped());
        command.spawn().expect("it starts")
    };
    let children = [child(), child()];
    let mut migrated = 0;
    for child in children {
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}");
        let count = said.lines().find_map(|line| line.split_once("migrated ")?.1.parse::<u64>().ok());
        migrated += count.unwrap_or_else(|| panic!("it says how many: {said}"));
    }
    for at in 0..count {
        let steps = home.sqlite(&format!("org-{at:04}")).query_row(
            "SELECT group_concat(step) FROM applied",
            [],
            |row| row.get::<_, String>(0),
        );
        assert_eq!(steps.expect("it was migrated"), "1,2", "each step once, in order");
    }
    assert!(u64::try_from(count).expect("few") <= migrated, "each was migrated by one of them: {migrated}");
}

#[tokio::test]
async fn a_database_is_migrated_before_its_first_answer_and_one_that_cannot_be_is_not_served() {
    let home = Home::new();
    home.migrations(&[DOCS]);
    let directory = home.path().join("migrations");
    let served = serve(&[("org_migrations", directory.to_str().expect("plain names"))]).await;
    let insert = json!({ "sql": "INSERT INTO docs (body) VALUES ('first')" }).to_string();
    let answer = served.post("/db/new/query", "", &insert).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    served.running.shut_down().await.expect("nothing is in flight");
    fs::write(directory.join("V2__bad.sql"), "CREATE TABLE docs (again);").expect("writable");
    let served = serve(&[("org_migrations", directory.to_str().expect("plain names"))]).await;
    let answer = served.post("/db/new/query", "", &insert).await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.body.contains("\"migration_failed\"") && answer.body.contains("V2"), "{}", answer.body);
    assert!(!answer.body.contains("docs"), "no SQL of the operator's: {}", answer.body);
    assert!(!served.data().join("new.db").exists(), "nothing is left of it");
    served.running.shut_down().await.expect("nothing is in flight");
}

#[test]
fn a_server_migrates_databases_in_use_and_those_that_are_opened() {
    let home = Home::new();
    home.create(&["closed"]);
    home.migrations(&[DOCS]);
    let flags = [
        "--auto-connect",
        "--auto-create",
        "--set",
        "org_migrations=migrations",
        "--set",
        "migrate_on_open=false",
    ];
    let _link = home.command_as("rowhouse", &[]);
    let server = Server::start(&home, &flags);
    let operator = Operator { home, server };
    let query = |name: &str, sql: &str| {
        let url = format!("{}/db/{name}/query", operator.server.http());
        operator.prints(&format!("curl -sS '{url}' --json '{}'", json!({ "sql": sql })))
    };
    let read = "SELECT * FROM docs";
    assert!(query("used", read).contains("\"columns\":[\"id\",\"body\"]"));
    assert!(query("used", read).contains("\"columns\":[\"id\",\"body\"]"));
    operator.home.migrations(&[AUTHOR]);
    let said = operator.prints("rowhouse migrate status organizations --port 9090");
    assert!(said.contains("closed: behind: at V0") && said.contains("used: behind: at V1"), "{said}");
    let said = operator.prints("rowhouse migrate up organizations --port 9090");
    assert!(said.starts_with("2 databases: 2 migrated"), "{said}");
    assert!(
        query("used", read).contains("\"columns\":[\"id\",\"body\",\"author\"]"),
        "a statement that is kept sees it"
    );
    assert!(query("new", read).contains("\"author\""));
    operator.prints("rowhouse migrate verify organizations --port 9090");
    let answer = operator.prints("curl -sS http://localhost:10090/migrations");
    let run: Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!((&run["run"]["errand"], &run["run"]["up_to_date"]), (&json!("verify"), &json!(3)));
    let metrics = operator.prints("curl -sS http://localhost:10090/metrics");
    assert!(metrics.lines().any(|line| line.starts_with("rowhouse_migration_seconds_count ")), "{metrics}");
    // One that cannot follow is served no more, though it is open.
    query("used", "CREATE VIEW authors AS SELECT author FROM docs");
    operator.home.migrations(&[("V3__drop.sql", "ALTER TABLE docs DROP COLUMN author;")]);
    let failed = operator.runs("rowhouse migrate up organizations --port 9090");
    assert_eq!(failed.status.code(), Some(1), "{}", text(&failed));
    assert!(query("used", read).contains("database_quarantined"));
    assert!(query("new", read).contains("\"columns\":[\"id\",\"body\"]"));
    operator.server.stop();
}

#[test]
fn a_database_that_is_behind_is_brought_up_when_it_is_opened_unless_it_is_not_to_be() {
    let home = Home::new();
    home.create(&["a", "b"]);
    home.migrations(&[DOCS]);
    home.migrate(0, &["up", "organizations"]);
    home.migrations(&[AUTHOR]);
    let columns = |server: &Server, name: &str| {
        let url = format!("{}/db/{name}/query", server.http());
        let body = json!({ "sql": "SELECT * FROM docs" }).to_string();
        let said = Command::new("curl").args(["-sS", &url, "--json", &body]).output().expect("curl");
        String::from_utf8_lossy(&said.stdout).into_owned()
    };
    let with = ["--auto-connect", "--set", "org_migrations=migrations"];
    let server = Server::start(&home, &[&with[..], &["--set", "migrate_on_open=false"]].concat());
    assert!(!columns(&server, "a").contains("author"));
    server.stop();
    let server = Server::start(&home, &with);
    assert!(columns(&server, "a").contains("author"));
    server.stop();
    assert_eq!((home.ledger("a").len(), home.ledger("b").len()), (3, 2));
}

/// What PostgreSQL has beside tables is compared, too, and new databases begin with the newest schema.
#[test]
fn postgres_databases_are_migrated_compared_and_quarantined() {
    let Some(cluster) = Cluster::find() else { return };
    let home = Home::new();
    home.migrations(&[(
        "V1__jobs.sql",
        "CREATE TABLE jobs (id BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, name TEXT NOT NULL, \
         at TIMESTAMPTZ DEFAULT now()); CREATE INDEX jobs_by_name ON jobs (name); \
         CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN NEW.at := now(); RETURN NEW; END $$; \
         CREATE TRIGGER jobs_touch BEFORE UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION touch();",
    )]);
    let template = cluster.template();
    let words = ["100", "--results-db-template", &*template, "--set", "postgres_spares=0"];
    let operator =
        Operator::start_in(home, "rowhouse", &[&words[..], &["--set", "org_migrations=migrations"]].concat());
    let query = |name: &str, sql: &str| {
        let url = format!("{}/db/{name}/query", operator.server.http());
        operator.prints(&format!("curl -sS '{url}' --json '{}'", json!({ "sql": sql })))
    };
    let migrate = |errand: &str| {
        let output = operator.runs(&format!("rowhouse migrate {errand} organizations --port 9090"));
        (output.status.code(), text(&output))
    };
    for name in ["a", "b", "c"] {
        assert!(query(name, "INSERT INTO jobs (name) VALUES (1)").contains("\"rows_affected\":1"));
    }
    let (code, said) = migrate("verify");
    assert!(code == Some(0) && said.contains("3 equal"), "{said}");
    operator.home.migrations(&[("V2__note.sql", "ALTER TABLE jobs ADD COLUMN note TEXT;")]);
    let (code, said) = migrate("up");
    assert!(code == Some(0) && said.contains("3 migrated"), "{said}");
    let (code, said) = migrate("up");
    assert!(code == Some(0) && said.contains("3 up to date"), "{said}");
    query("b", "ALTER TABLE jobs DROP COLUMN note");
    query("c", "CREATE INDEX more ON jobs (at)");
    let (code, said) = migrate("verify");
    assert!(code == Some(1) && said.contains("b: different") && said.contains("public.jobs.note"), "{said}");
    assert!(said.contains("c: different") && said.contains("more") && said.contains("1 equal"), "{said}");
    operator.home.migrations(&[("V3__drop.sql", "ALTER TABLE jobs DROP COLUMN note;")]);
    let (code, said) = migrate("up");
    assert!(code == Some(1) && said.contains("b: failed (quarantined)"), "{said}");
    assert!(query("b", "SELECT 1").contains("database_quarantined"));
    cluster.psql_in(&cluster.dsn(&cluster.physical("b")), "ALTER TABLE jobs ADD COLUMN note TEXT");
    let (code, said) = migrate("up");
    assert!(code == Some(0) && said.contains("1 migrated"), "{said}");
    assert!(query("b", "SELECT 1").contains("\"rows\":[[1]]"));
    // Made from the template, which was made anew.
    assert!(query("d", "SELECT count(*)::int FROM jobs").contains("\"rows\":[[0]]"));
    operator.server.stop();
    cluster.done();
}
