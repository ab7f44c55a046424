//! The application over real databases: files, and PostgreSQL where there is a server.
#[expect(
    dead_code,
    clippy::print_stdout,
    reason = "the tests of the server use more of it; who skips says so"
)]
#[path = "../../../crates/rowhouse/tests/it/support/cluster.rs"]
mod cluster;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use cluster::Cluster;
use futures::FutureExt as _;
use futures::future::join_all;
use http_body_util::BodyExt as _;
use organizations::app;
use rowhouse::ConnectionManager;
use rowhouse_access::{Digest, Secret, Token};
use rowhouse_axum::{Failure, MetadataSession, OrganizationLayer};
use rowhouse_gateway::{Action, Query};
use rowhouse_types::{DatabaseName, ErrorCode, Reportable as _, Value};
use serde_json::{Value as Json, json};
use std::io::{BufRead as _, BufReader};
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tower::ServiceExt as _;

/// The application, and who may use it.
#[derive(Clone)]
struct Home {
    manager: ConnectionManager,
    app: Router,
}

impl Home {
    async fn open(directory: PathBuf, cluster: Option<&Cluster>) -> Self {
        let builder = ConnectionManager::builder().data_directory(directory).option("create_rate", "1000");
        let builder = match cluster {
            None => builder,
            Some(cluster) => builder
                .metadata_dsn(&cluster.metadata())
                .results_dsn_template(&cluster.template())
                .option("postgres_spares", "0"),
        };
        let manager = builder.open().await.expect("opens");
        Self { app: app(&manager), manager }
    }

    /// A token for these organizations.
    fn token(&self, name: &str, scopes: &str, databases: &str) -> String {
        let secret = Secret::generate().expect("random numbers");
        let token = Token {
            name: name.parse().expect("a label"),
            digest: Digest::of(secret.reveal()),
            scopes: scopes.parse().expect("scopes"),
            databases: databases.parse().expect("names"),
            created: 0,
            expires: None,
            rate: None,
        };
        self.manager.access().add_token(token).expect("new");
        secret.reveal().to_owned()
    }

    async fn ask(&self, method: &str, path: &str, token: &str, body: Option<Json>) -> (StatusCode, Json) {
        let mut request = Request::builder().method(method).uri(path);
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let response =
            self.app.clone().oneshot(request.body(body).expect("a request")).await.expect("answers");
        let status = response.status();
        let bytes = response.into_body().collect().await.expect("it is whole").to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or(Json::Null))
    }

    async fn post(&self, path: &str, token: &str, body: Json) -> (StatusCode, Json) {
        self.ask("POST", path, token, Some(body)).await
    }

    async fn get(&self, path: &str, token: &str) -> (StatusCode, Json) {
        self.ask("GET", path, token, None).await
    }

    async fn enter(&self, id: &str, token: &str) {
        let (status, told) = self.post("/organizations", token, json!({"id": id, "title": "A title"})).await;
        assert_eq!(status, StatusCode::CREATED, "{told}");
    }

    /// How many rows a table has; none where nobody has made it.
    async fn count(&self, org_id: &str, table: &str) -> i64 {
        let mut session = self.manager.org_session(&name(org_id)).await.expect("is lent");
        let rows = match session.query(format!("SELECT count(*) FROM {table}"), []).await {
            Err(error) if error.code() == ErrorCode::SqlError => return 0,
            rows => rows.expect("runs").rows,
        };
        match rows[0][0] {
            Value::Integer(count) => count,
            ref other => panic!("a count is a number, not {other:?}"),
        }
    }
}

fn name(text: &str) -> DatabaseName {
    text.parse().expect("a name")
}

fn input(ligand: &str) -> Json {
    json!({"receptor": "1abc", "ligand": ligand})
}

/// Runs a test with files and, where there is a server, with PostgreSQL.
async fn with_each<F: Future<Output = ()>>(test: impl Fn(Home) -> F) {
    let directory = tempfile::tempdir().expect("a directory");
    let home = Home::open(directory.path().join("files"), None).await;
    test(home.clone()).await;
    home.manager.shut_down().await;
    if let Some(cluster) = Cluster::find() {
        let home = Home::open(directory.path().join("postgres"), Some(&cluster)).await;
        test(home.clone()).await;
        home.manager.shut_down().await;
        cluster.done();
    }
}

#[tokio::test]
async fn an_organization_is_told_by_its_row_of_the_metadata_database() {
    with_each(|home| async move {
        let token = home.token("all", "read,write,create", "*");
        home.enter("acme", &token).await;
        let user = json!({"email": "ada@example.com", "name": "Ada"});
        let (status, _) = home.post("/organizations/acme/users", &token, user).await;
        assert_eq!(status, StatusCode::CREATED);
        let (status, told) = home.get("/organizations/acme", &token).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(told, json!({"id": "acme", "title": "A title", "users": ["ada@example.com"]}));
        assert!(home.manager.engines().is_empty(), "its own database is not needed for that");
        let (status, told) = home.get("/organizations/globex", &token).await;
        assert_eq!((status, &told["error"]["code"]), (StatusCode::NOT_FOUND, &json!("database_not_found")));
    })
    .await;
}

#[tokio::test]
async fn a_job_is_a_row_of_its_organization_s_database_only() {
    with_each(|home| async move {
        let token = home.token("all", "read,write,create", "*");
        for id in ["acme", "globex"] {
            home.enter(id, &token).await;
        }
        let (status, job) = home.post("/organizations/acme/jobs", &token, input("aspirin")).await;
        assert_eq!((status, &job["status"]), (StatusCode::CREATED, &json!("queued")), "{job}");
        let path = format!("/jobs/{}", job["id"].as_str().expect("an id"));
        let (status, _) = home.get(&format!("/organizations/globex{path}"), &token).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert_eq!(
            (home.count("acme", "docking_jobs").await, home.count("globex", "docking_jobs").await),
            (1, 0)
        );

        let outcome = json!({"score": -7.5, "artifacts": {"pose.pdb": "ATOM"}});
        let (status, _) =
            home.post(&format!("/organizations/acme{path}/result"), &token, outcome.clone()).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        let (status, _) = home.post(&format!("/organizations/acme{path}/result"), &token, outcome).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "it is done already");
        let (_, job) = home.get(&format!("/organizations/acme{path}"), &token).await;
        assert_eq!((&job["status"], &job["score"]), (&json!("done"), &json!(-7.5)));
        assert_eq!(job["artifacts"], json!(["pose.pdb"]));
        for table in ["task_results", "artifacts", "input_signatures"] {
            assert_eq!(
                (home.count("acme", table).await, home.count("globex", table).await),
                (1, 0),
                "{table}"
            );
        }
        // What was there before is not run again, and is nobody else's.
        let (status, again) = home.post("/organizations/acme/jobs", &token, input("aspirin")).await;
        assert_eq!((status, &again["id"], &again["cached"]), (StatusCode::OK, &job["id"], &json!(true)));
        let (status, _) = home.post("/organizations/globex/jobs", &token, input("aspirin")).await;
        assert_eq!(status, StatusCode::CREATED);
    })
    .await;
}

#[tokio::test]
async fn an_organization_that_is_not_there_is_not_made_by_asking() {
    with_each(|home| async move {
        let token = home.token("all", "read,write,create", "*");
        for path in ["/organizations/nobody/jobs/1", "/organizations/nobody"] {
            let (status, _) = home.get(path, &token).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        }
        let (status, _) = home.post("/organizations/nobody/jobs", &token, input("x")).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert!(home.manager.engines().is_empty());
        assert_eq!(home.manager.gateway().counts().created, 0);
    })
    .await;
}

#[tokio::test]
async fn a_path_that_names_another_organization_than_the_token_is_refused_and_nothing_is_opened() {
    with_each(|home| async move {
        let all = home.token("all", "read,write,create", "*");
        let acme = home.token("acme", "read,write,create", "acme");
        home.enter("globex", &all).await;
        for (status, told) in [
            home.post("/organizations/globex/jobs", &acme, input("x")).await,
            home.get("/organizations/globex", &acme).await,
            home.post("/organizations", &acme, json!({"id": "initech", "title": ""})).await,
        ] {
            assert_eq!((status, &told["error"]["code"]), (StatusCode::FORBIDDEN, &json!("forbidden")));
        }
        let (status, _) = home.get("/organizations/globex", "").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert!(home.manager.engines().is_empty());
        let query = Query { action: Some(Action::Access), ..Query::default() };
        // What is recorded is written in order, behind those who are refused.
        home.manager.journal().keep("none", None).await.expect("it is written");
        let told = home.manager.journal().entries(query).await.expect("they are kept");
        assert_eq!(told.len(), 2);
        assert!(told.iter().all(|told| told.entry.cause.who == "token:acme"));
    })
    .await;
}

#[tokio::test]
async fn fifty_first_requests_at_once_make_one_database_and_one_job() {
    with_each(|home| async move {
        let token = home.token("all", "read,write,create", "*");
        home.enter("acme", &token).await;
        let asked = (0..50).map(|_| home.post("/organizations/acme/jobs", &token, input("aspirin")));
        let answers = join_all(asked).await;
        let ids: std::collections::BTreeSet<_> = answers
            .iter()
            .map(|(status, job)| {
                assert!(status.is_success(), "{status} {job}");
                job["id"].as_str().expect("an id")
            })
            .collect();
        assert_eq!(ids.len(), 1);
        assert_eq!(home.manager.gateway().counts().created, 1);
        assert_eq!(home.count("acme", "docking_jobs").await, 1);
    })
    .await;
}

#[tokio::test]
async fn ready_tells_of_each_database_whether_it_answers() {
    with_each(|home| async move {
        let told = |organizations: Json, all: Json| json!({"status": "ready", "checks": {"databases": all, "metadata_db": true, "org_databases": organizations}});
        let (status, ready) = home.get("/ready", "").await;
        assert_eq!((status, ready), (StatusCode::OK, told(json!({}), json!({"metadata": true}))));
        home.manager.org_engine(&name("acme")).await.expect("is made");
        let all = json!({"metadata": true, "results_acme": true});
        let want = told(json!({"results_acme": true}), all);
        // What was found is told for a second.
        let mut ready = Json::Null;
        while ready != want {
            ready = home.get("/ready", "").await.1;
        }
    })
    .await;
}

#[tokio::test]
async fn one_database_that_does_not_answer_makes_it_not_ready() {
    let directory = tempfile::tempdir().expect("a directory");
    let home = Home::open(directory.path().to_owned(), None).await;
    home.manager.org_engine(&name("acme")).await.expect("is made");
    home.manager.org_engine(&name("globex")).await.expect("is made");
    std::fs::remove_file(directory.path().join("acme.db")).expect("it is there");
    let (mut status, mut ready) = home.get("/ready", "").await;
    while status == StatusCode::OK {
        (status, ready) = home.get("/ready", "").await;
    }
    let organizations = json!({"results_acme": false, "results_globex": true});
    assert_eq!((status, &ready["status"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("not_ready")));
    assert_eq!(
        (&ready["checks"]["org_databases"], &ready["checks"]["metadata_db"]),
        (&organizations, &json!(true))
    );
    let (status, compatible) = home.get("/ready?compat=1", "").await;
    assert_eq!((status, &compatible["status"]), (StatusCode::OK, &json!("not_ready")));
    home.manager.shut_down().await;
}

#[tokio::test]
async fn a_session_with_the_metadata_database_is_given_back_when_its_handler_panics() {
    async fn use_it(Path(how): Path<String>, mut session: MetadataSession) -> Result<String, Failure> {
        session.execute("BEGIN", []).await?;
        assert!(how != "panic", "as it was asked to");
        Ok(format!("{:?}", session.query("SELECT 1", []).await?.rows))
    }
    let directory = tempfile::tempdir().expect("a directory");
    let manager = ConnectionManager::builder()
        .data_directory(directory.path())
        .option("metadata_pool_size", "1")
        .option("metadata_max_overflow", "0")
        .open()
        .await
        .expect("opens");
    let layer = OrganizationLayer::new((*manager).clone(), manager.access().clone());
    let app = Router::new().route("/{how}", get(use_it)).layer(layer);
    let ask = |path| app.clone().oneshot(Request::get(path).body(Body::empty()).expect("a request"));
    assert!(AssertUnwindSafe(ask("/panic")).catch_unwind().await.is_err());
    // There is one connection, and nobody has it any more.
    assert_eq!(ask("/go").await.expect("answers").status(), StatusCode::OK);
    manager.shut_down().await;
}

#[test]
fn the_program_serves_what_its_page_says() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut program = Command::new(env!("CARGO_BIN_EXE_organizations"))
        .arg("127.0.0.1:0")
        .env_clear()
        .env("ROWHOUSE_DATA_DIRECTORY", "data")
        .current_dir(directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut line = String::new();
    BufReader::new(program.stdout.take().expect("piped")).read_line(&mut line).expect("it says where");
    let address = line.trim().strip_prefix("served on ").expect("it says where").to_owned();
    let page =
        std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("a page");
    let commands: Vec<_> = page.lines().filter(|line| line.starts_with("curl ")).collect();
    assert!(3 < commands.len());
    let mut told = Vec::new();
    for command in commands {
        let command = command.replace("127.0.0.1:8000", &address);
        let output = Command::new("sh").args(["-c", &command]).output().expect("it runs");
        assert!(output.status.success(), "{command}");
        told.push(String::from_utf8(output.stdout).expect("UTF-8"));
    }
    program.kill().expect("it runs");
    program.wait().expect("it ended");
    assert!(
        told[0].contains("Acme, Inc.") && told.last().expect("one").contains("\"status\":\"ready\""),
        "{told:?}"
    );
}
