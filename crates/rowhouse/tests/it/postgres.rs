//! Databases in PostgreSQL, as clients and operators meet them.
use crate::support::{Client, Cluster, Home, Operator, Python, Served, Server, Way, ended, serve};
use serde_json::{Value, json};
use std::net::TcpListener;

/// What a plain query answers: the status, and the first value or the code of the error.
async fn ask(served: &Served, path: &str, sql: &str) -> (u16, String) {
    let answer = served.post(path, "", json!({ "sql": sql }).to_string()).await;
    let body: Value =
        serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{path}: {error}: {}", answer.body));
    let told = if answer.status == 200 { &body["rows"][0][0] } else { &body["error"]["code"] };
    (answer.status, told.as_str().map_or_else(|| told.to_string(), str::to_owned))
}

/// The first value, or the code of the error, of a statement over Hrana.
async fn pipeline(served: &Served, name: &str, sql: &str) -> Result<String, String> {
    let body = json!({ "requests": [{ "type": "execute", "stmt": { "sql": sql } }] }).to_string();
    let answer = served.post(&format!("/db/{name}/v2/pipeline"), "", body).await;
    let body: Value = serde_json::from_str(&answer.body).expect("JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match body["results"][0]["type"].as_str() {
        Some("ok") => Ok(text(&body["results"][0]["response"]["result"]["rows"][0][0]["value"])),
        Some(_) => Err(text(&body["results"][0]["error"]["code"])),
        None => Err(format!("{}: {}", answer.status, answer.body)),
    }
}

#[tokio::test]
async fn each_organization_has_a_database_of_its_own_beside_files() {
    let Some(cluster) = Cluster::find() else { return };
    let served =
        serve(&[("results_db_template", &cluster.template()), ("database_map", r#"{"file": "file.db"}"#)])
            .await;
    for name in ["acme", "globex"] {
        let path = format!("/db/{name}/query");
        let own = (200, cluster.physical(name));
        assert_eq!(ask(&served, &path, "SELECT current_database()").await, own);
        assert_eq!(pipeline(&served, name, "SELECT current_database()").await, Ok(own.1));
        assert_eq!(ask(&served, &path, "CREATE TABLE jobs (org text)").await.0, 200);
        let insert = format!("INSERT INTO jobs VALUES ('{name}')");
        assert_eq!(ask(&served, &path, &insert).await.0, 200);
    }
    for name in ["acme", "globex"] {
        let all = "SELECT string_agg(org, ',') FROM jobs";
        assert_eq!(pipeline(&served, name, all).await.as_deref(), Ok(name));
    }
    let file = ask(&served, "/db/file/query", "SELECT typeof(sqlite_version())").await;
    assert_eq!(file, (200, "text".to_owned()));
    assert!(served.data().join("file.db").exists() && !served.data().join("acme.db").exists());
    assert_eq!(cluster.databases(), ["acme", "globex"]);
    served.running.shut_down().await.expect("nothing is in flight");
    cluster.done();
}

#[tokio::test]
async fn fifty_clients_that_name_one_new_organization_get_one_database() {
    let Some(cluster) = Cluster::find() else { return };
    let served = serve(&[("results_db_template", &cluster.template()), ("postgres_spares", "1")]).await;
    let asking = (0..50).map(|_| ask(&served, "/db/acme/query", "SELECT current_database()"));
    for answer in futures::future::join_all(asking).await {
        assert_eq!(answer, (200, cluster.physical("acme")));
    }
    assert_eq!(cluster.databases(), ["acme"]);
    served.running.shut_down().await.expect("nothing is in flight");
    cluster.done();
}

#[tokio::test]
async fn hostile_names_create_nothing_and_connect_nowhere() {
    let Some(cluster) = Cluster::find() else { return };
    let elsewhere = TcpListener::bind("127.0.0.1:0").expect("a free port");
    elsewhere.set_nonblocking(true).expect("it can be");
    let port = elsewhere.local_addr().expect("it is bound").port();
    let served = serve(&[("results_db_template", &cluster.template()), ("postgres_spares", "0")]).await;
    let before = cluster.psql(
        "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE datname !~ '^[et][0-9]'",
    );
    let names = [
        "'",
        "\"",
        "x\"; DROP DATABASE postgres; --",
        "x\" TEMPLATE \"victim",
        "x\" OWNER rowhouse_test",
        "a'; SELECT 1; --",
        "nul\0byte",
        "ünïcode",
        "\u{202e}acme",
        "a b",
        "a\nb",
        "~template",
        "~spare~1",
        "{org_id}",
        "../../etc/passwd",
        "x%00",
        &format!("x?host=127.0.0.1&port={port}"),
        &format!("x host=127.0.0.1 port={port} user=evil"),
        &format!("x@127.0.0.1:{port}"),
        &"x".repeat(65),
        "$(id)",
        "",
    ];
    for name in names {
        let escaped: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
        for path in ["query", "v2/pipeline"] {
            let answer = served
                .post(&format!("/db/{escaped}/{path}"), "", r#"{"sql": "SELECT 1", "requests": []}"#)
                .await;
            assert!((400..500).contains(&answer.status), "{name:?}: {} {}", answer.status, answer.body);
            assert!(!answer.body.contains(cluster.password()), "{}", answer.body);
        }
        let header = format!("x-org-id: {}\r\n", name.replace(['\n', '\0'], "?"));
        let answer = served.post("/query", &header, r#"{"sql": "SELECT 1"}"#).await;
        assert!(name.is_empty() || (400..500).contains(&answer.status), "{name:?}: {}", answer.body);
    }
    assert_eq!(cluster.databases(), [""; 0]);
    let after = cluster.psql(
        "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE datname !~ '^[et][0-9]'",
    );
    assert_eq!(before, after);
    assert!(elsewhere.accept().is_err(), "nobody was sent a password");
    // Names that are cut to one by a server that is asked plainly are two here.
    for end in ["a", "b"] {
        let path = format!("/db/{}{end}/query", "x".repeat(63));
        assert_eq!(ask(&served, &path, &format!("CREATE TABLE only_{end} (n int)")).await.0, 200);
        assert_eq!(
            ask(&served, &path, &format!("SELECT count(*)::text FROM only_{end}")).await,
            (200, "0".to_owned())
        );
    }
    assert_eq!(cluster.databases().len(), 2);
    served.running.shut_down().await.expect("nothing is in flight");
    cluster.done();
}

#[tokio::test]
async fn who_does_not_want_databases_created_has_none() {
    let Some(cluster) = Cluster::find() else { return };
    let template = cluster.template();
    let options = [("results_db_template", &*template), ("postgres_spares", "0")];
    let served = serve(&[&options[..], &[("auto_create_org_dbs", "false")]].concat()).await;
    assert_eq!(ask(&served, "/db/acme/query", "SELECT 1").await, (404, "creation_not_allowed".to_owned()));
    assert_eq!(cluster.databases(), [""; 0]);
    // What an operator has created is served.
    let cause = rowhouse_gateway::Cause {
        interface: rowhouse_gateway::Interface::Command,
        who: "a test".to_owned(),
        reason: None,
    };
    served.running.gateway().create(&"acme".parse().expect("a name"), &cause).await.expect("creates");
    let own = (200, cluster.physical("acme"));
    assert_eq!(ask(&served, "/db/acme/query", "SELECT current_database()").await, own);
    served.running.shut_down().await.expect("nothing is in flight");
    cluster.done();
}

#[tokio::test]
async fn a_server_that_is_down_is_told_and_files_are_served() {
    let Some(cluster) = Cluster::find() else { return };
    let mut way = Way::open(&cluster).await;
    way.cut().await;
    let served = serve(&[
        ("results_db_template", &cluster.template_by(&way)),
        ("database_map", r#"{"file": "file.db"}"#),
        ("postgres_spares", "0"),
    ])
    .await;
    let down = (503, "database_unavailable".to_owned());
    let file = (200, "text".to_owned());
    let works = "SELECT typeof(sqlite_version())";
    assert_eq!(ask(&served, "/db/acme/query", "SELECT 1").await, down);
    assert_eq!(ask(&served, "/db/file/query", works).await, file);
    way.mend().await;
    let own = (200, cluster.physical("later"));
    assert_eq!(ask(&served, "/db/later/query", "SELECT current_database()").await, own);
    assert_eq!(pipeline(&served, "later", "CREATE TABLE t (n int)").await, Ok(String::new()));
    way.cut().await;
    let (status, code) = ask(&served, "/db/later/query", "SELECT 1").await;
    assert!(status == 503, "{status} {code}");
    let told = pipeline(&served, "later", "SELECT 1").await.expect_err("it is down");
    assert!(!told.is_empty() && !told.contains("127.0.0.1"), "{told}");
    assert_eq!(ask(&served, "/db/file/query", works).await, file);
    way.mend().await;
    assert_eq!(ask(&served, "/db/later/query", "SELECT current_database()").await, own);
    assert_eq!(ask(&served, "/db/later/query", "SELECT count(*)::text FROM t").await, (200, "0".to_owned()));
    served.running.shut_down().await.expect("nothing is in flight");
    cluster.done();
}

#[test]
fn applications_that_know_the_seven_variables_are_served() {
    let Some(cluster) = Cluster::find() else { return };
    let home = Home::new();
    let metadata = cluster.metadata().replace("postgresql://", "postgresql+asyncpg://");
    home.write(
        ".env",
        &format!(
            "DB_DATABASE_URL='{metadata}'\nDB_RESULTS_DB_TEMPLATE='postgres://nobody@127.0.0.1:1/x_{{org_id}}'\nDB_AUTO_CREATE_ORG_DBS=true\nDB_POOL_SIZE=20\nDB_MAX_OVERFLOW=30\nDB_ORG_POOL_SIZE=3\nDB_ORG_MAX_OVERFLOW=10\nDB_ORG_POOLSIZE=5\n"
        ),
    );
    let template = cluster.template().replace("postgresql://", "postgresql+asyncpg://");
    let mut explain = home.command(&["config", "explain", "--data-directory", "data"]);
    let said = ended(0, {
        explain.env("DB_RESULTS_DB_TEMPLATE", &template);
        explain
    });
    assert!(said.contains("org_pool_size = 3\n  set    DB_ORG_POOL_SIZE in .env\n"), "{said}");
    assert!(
        said.contains("over   \"postgres://nobody@127.0.0.1:1/x_{org_id}\" (DB_RESULTS_DB_TEMPLATE in .env)"),
        "{said}"
    );
    assert!(!said.contains(cluster.password()), "{said}");
    let mut start = home.command(&[
        "start",
        "0",
        "--tcp-address",
        "tcp://127.0.0.1:0",
        "--data-directory",
        "data",
        "--management-port=0",
    ]);
    start.env("DB_RESULTS_DB_TEMPLATE", &template);
    let server = Server::run(&home, start);
    let body = r#"{"sql": "SELECT current_database()"}"#;
    let mut curl = home.program("curl".as_ref(), &["--silent", "--show-error", "--data", body]);
    curl.arg(format!("{}query", server.database("acme")));
    let answer = ended(0, curl);
    assert!(answer.contains(&format!("[[\"{}\"]]", cluster.physical("acme"))), "{answer}");
    let output = server.end(rustix::process::Signal::TERM);
    let log = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(
        log.contains("DB_ORG_POOLSIZE in .env is no option")
            && log.contains("did you mean DB_ORG_POOL_SIZE?"),
        "{log}"
    );
    assert!(!log.contains(cluster.password()), "{log}");
    // What all organizations share is not theirs to read.
    let role = cluster.physical("acme");
    let metadata = role.replace("mad_results_acme", "mad");
    let may = cluster.psql(&format!("SELECT has_database_privilege('{role}', '{metadata}', 'CONNECT')"));
    assert_eq!(may, "f");
    cluster.done();
}

#[test]
fn operators_list_create_back_up_restore_and_drop_them() {
    let Some(cluster) = Cluster::find() else { return };
    let home = Home::new();
    home.write(
        "rowhouse.toml",
        &format!("results_db_template = '{}'\npostgres_spares = 1\n", cluster.template()),
    );
    let words = ["10", "--config", "rowhouse.toml", "--backup-dir", "backups"];
    let operator = Operator::start_in(home, "rowhouse", &words);
    let db = |words: &str| operator.prints(&format!("rowhouse db {words} --port 9090"));
    assert!(db("create acme").starts_with("Success: "));
    assert_eq!(cluster.databases(), ["acme"]);
    assert!(db("list").lines().any(|line| line.starts_with("acme ")));
    let query = |sql: &str| {
        let url = operator.server.database("acme");
        operator.prints(&format!("curl --silent --show-error {url}query --data '{{\"sql\": \"{sql}\"}}'"))
    };
    query("CREATE TABLE t (n int)");
    query("INSERT INTO t VALUES (1), (2)");
    assert!(db("backup acme").contains("acme"));
    query("DELETE FROM t");
    let restore =
        "rowhouse restore acme --yes --config rowhouse.toml --data-directory data --backup-dir backups";
    operator.prints(&format!("rowhouse db evict acme --port 9090\n{restore}"));
    assert!(query("SELECT sum(n)::text AS sum FROM t").contains("[[\"3\"]]"));
    let shown = operator.prints("curl --silent --show-error http://127.0.0.1:10090/config");
    assert!(shown.contains("results_db_template") && !shown.contains(cluster.password()), "{shown}");
    assert!(db("drop acme --yes").starts_with("Success: "));
    assert_eq!(cluster.databases(), [""; 0]);
    operator.server.stop();
    cluster.done();
}

#[test]
fn what_no_longer_matches_the_secret_is_put_right() {
    let Some(cluster) = Cluster::find() else { return };
    let home = Home::new();
    home.write(
        "rowhouse.toml",
        &format!("results_db_template = '{}'\npostgres_spares = 0\n", cluster.template()),
    );
    for round in 0..3 {
        let server = Server::start(&home, &["--config", "rowhouse.toml"]);
        let mut curl =
            home.program("curl".as_ref(), &["--silent", "--data", r#"{"sql": "SELECT current_user"}"#]);
        curl.arg(format!("{}query", server.database("acme")));
        let answer = ended(0, curl);
        assert!(answer.contains(&cluster.physical("acme")), "{round}: {answer}");
        server.stop();
        if round == 1 {
            std::fs::remove_file(home.data().join(".rowhouse/postgres.secret")).expect("it was made");
        }
    }
    cluster.done();
}

#[test]
fn clients_of_sqlite_rx_reach_them_too_and_are_told_when_they_cannot() {
    let (Some(cluster), Some(python)) = (Cluster::find(), Python::find()) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let mut way = runtime.block_on(Way::open(&cluster));
    let home = Home::new();
    home.write(
        "rowhouse.toml",
        &format!("results_db_template = '{}'\npostgres_spares = 0\n", cluster.template_by(&way)),
    );
    let server = Server::start(&home, &["--config", "rowhouse.toml"]);
    let mut client = Client::connect(&python, &server);
    let own = client.rows("acme", "SELECT current_database()");
    assert_eq!(own, json!([[cluster.physical("acme")]]));
    runtime.block_on(way.cut());
    for _ in 0..2 {
        let told = client.error("acme", "SELECT 1");
        assert!(!told.contains(&way.address.to_string()) && !told.contains(cluster.password()), "{told}");
        assert_eq!(client.rows("", "SELECT 1"), json!([[1]]));
    }
    runtime.block_on(way.mend());
    assert_eq!(client.rows("acme", "SELECT 1"), json!([[1]]));
    server.stop();
    cluster.done();
}
