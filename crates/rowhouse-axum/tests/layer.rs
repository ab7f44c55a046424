//! Requests through the layer and the extractors: whose database they reach, who is refused, and that every
//! session is given back.
use axum::body::Body;
use axum::extract::Path;
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use futures::FutureExt as _;
use http_body_util::BodyExt as _;
use rowhouse_access::{Access, AccessParts, Digest, Secret, Token};
use rowhouse_axum::{Caller, Failure, OrgSession, Organization, OrganizationLayer, Rule};
use rowhouse_engine::Location;
use rowhouse_gateway::{
    Action, Catalog, ConnectionManager, Dynamic, Gateway, Journal, Limits, Parts, Query, Silent, Spec,
};
use rowhouse_testing::Fake;
use rowhouse_types::{DatabaseName, Target, Value};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tower::ServiceExt as _;

struct Home {
    fake: Fake,
    manager: ConnectionManager,
    journal: Journal,
    access: Access,
}

/// Told when it is dropped.
struct Dropped(mpsc::Sender<&'static str>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.try_send("dropped").expect("there is room");
    }
}

impl Home {
    async fn new() -> Self {
        let (fake, journal) = (Fake::default(), Journal::in_memory());
        let default = Spec { target: Target::Default, location: Location("default".into()) };
        let parts = Parts {
            catalog: Catalog::new([default], Dynamic::Create).expect("valid"),
            engine: Arc::new(fake.clone()),
            observer: Arc::new(Silent),
            limits: Limits::default(),
            journal: journal.clone(),
            metadata: None,
            migrator: None,
        };
        let manager = ConnectionManager::new(Gateway::start(parts).await.expect("starts"));
        Self { fake, manager, journal, access: Access::new(AccessParts::default()).expect("nothing is read") }
    }

    fn layer(&self) -> OrganizationLayer {
        OrganizationLayer::new(self.manager.clone(), self.access.clone())
    }

    /// A token for these.
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
        self.access.add_token(token).expect("new");
        format!("Bearer {}", secret.reveal())
    }

    fn open(&self) -> Vec<String> {
        self.manager.engines().into_keys().map(|name| name.to_string()).collect()
    }

    async fn at_work(&self, name: &str) -> u32 {
        let engines = self.manager.engines();
        let status = engines[&name.parse::<DatabaseName>().expect("a name")].status().await;
        status.expect("it is open").active
    }

    async fn refusals(&self) -> Vec<(String, Option<Target>)> {
        let query = Query { action: Some(Action::Access), ..Query::default() };
        let entries = self.journal.entries(query).await.expect("they are kept");
        entries.into_iter().map(|recorded| (recorded.entry.cause.who, recorded.entry.database)).collect()
    }
}

/// The place of the database that the session is with, as the fake engine tells it.
async fn place(mut session: OrgSession) -> Result<String, Failure> {
    let rows = session.query("SELECT 1", []).await?;
    match rows.rows.first().and_then(|row| row.first()) {
        Some(Value::Text(place)) => Ok(place.clone()),
        other => panic!("the fake engine tells its place, not {other:?}"),
    }
}

fn app(layer: OrganizationLayer) -> Router {
    Router::new()
        .route("/organizations/{org_id}", get(place))
        .route("/mine", get(place))
        .route(
            "/me",
            get(|Caller(identity): Caller| async move { identity.who.as_deref().unwrap_or("").to_owned() }),
        )
        .route("/name", get(|Organization(name): Organization| async move { name.to_string() }))
        .route("/ready", get(|| async { "ready" }))
        .layer(layer)
}

fn request(path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let request =
        headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
    request.body(Body::empty()).expect("a request")
}

async fn ask(app: &Router, path: &str, headers: &[(&str, &str)]) -> (StatusCode, String) {
    let response = app.clone().oneshot(request(path, headers)).await.expect("it never fails");
    (response.status(), text(response).await)
}

async fn text(response: Response) -> String {
    let body = response.into_body().collect().await.expect("it is whole").to_bytes();
    String::from_utf8(body.to_vec()).expect("UTF-8")
}

fn code(body: &str) -> String {
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    body["error"]["code"].as_str().expect("a code").to_owned()
}

#[tokio::test]
async fn each_source_names_the_database_and_all_that_speak_must_agree() {
    let home = Home::new().await;
    let app = app(home.layer());
    let one = home.token("acme", "read,write,create", "acme");
    let all = home.token("all", "read,write,create", "*");
    let (one, all) = (("authorization", one.as_str()), ("authorization", all.as_str()));
    let is = |name: &str| (StatusCode::OK, name.to_owned());
    assert_eq!(ask(&app, "/organizations/acme", &[all]).await, is("acme"));
    assert_eq!(ask(&app, "/organizations/%61cme", &[all]).await, is("acme"));
    assert_eq!(ask(&app, "/mine", &[one]).await, is("acme"));
    assert_eq!(ask(&app, "/mine", &[all, ("x-org-id", "globex")]).await, is("globex"));
    assert_eq!(ask(&app, "/mine", &[all, ("host", "initech.localhost:80")]).await, is("initech"));
    assert_eq!(ask(&app, "/name", &[all, ("x-org-id", "globex")]).await, is("globex"));
    assert_eq!(ask(&app, "/organizations/acme", &[one, ("x-org-id", "acme")]).await, is("acme"));
    for (path, headers, status, said) in [
        ("/organizations/acme", vec![all, ("x-org-id", "globex")], 400, "route_conflict"),
        ("/mine", vec![all, ("x-org-id", "a"), ("x-org-id", "b")], 400, "route_conflict"),
        ("/mine", vec![all], 404, "invalid_name"),
        ("/organizations/..%2Fx", vec![all], 404, "invalid_name"),
        ("/organizations/%ff", vec![all], 404, "invalid_name"),
        ("/organizations/x%22;%20DROP", vec![all], 404, "invalid_name"),
    ] {
        let (got, body) = ask(&app, path, &headers).await;
        assert_eq!((got.as_u16(), code(&body).as_str()), (status, said), "{path} {headers:?}");
    }
    assert_eq!(home.open(), ["acme", "globex", "initech"]);
}

#[tokio::test]
async fn the_order_and_the_sources_are_configurable() {
    let home = Home::new().await;
    let layer = home.layer().sources(&[Rule::Header], []).expect("one rule");
    let app = app(layer);
    let headers = [("x-org-id", "globex")];
    // What is not read says nothing, and so contradicts nothing.
    assert_eq!(ask(&app, "/organizations/acme", &headers).await, (StatusCode::OK, "globex".to_owned()));
    let (status, _) = ask(&app, "/organizations/acme", &[]).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let domain = "example.com".parse().expect("a domain");
    let layer = home.layer().path_parameter("tenant").sources(&[Rule::Subdomain, Rule::Path], [domain]);
    let app = Router::new().route("/t/{tenant}", get(place)).layer(layer.expect("two rules"));
    let (status, body) = ask(&app, "/t/acme", &[("host", "acme.example.com")]).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "acme"));
    assert!(home.layer().sources(&[Rule::Path, Rule::Path], []).is_err());
}

#[tokio::test]
async fn who_asks_for_another_organization_than_their_token_s_is_refused_and_nothing_is_opened() {
    let home = Home::new().await;
    let app = app(home.layer().prewarm(true));
    let acme = home.token("acme", "read,write,create", "acme");
    let two = home.token("two", "read,write,create", "acme,initech");
    for (token, who) in [(&acme, "token:acme"), (&two, "token:two")] {
        let headers = [("authorization", token.as_str())];
        let (status, body) = ask(&app, "/organizations/globex", &headers).await;
        assert_eq!((status, code(&body).as_str()), (StatusCode::FORBIDDEN, "forbidden"));
        let refusals = home.refusals().await;
        let globex = Target::Named("globex".parse().expect("a name"));
        assert_eq!(refusals[0], (who.to_owned(), Some(globex)));
    }
    assert_eq!(home.fake.tally().created, 1, "the default database alone");
    assert!(home.open().is_empty());
}

#[tokio::test]
async fn who_says_nothing_or_something_wrong_is_refused_where_an_organization_is_named() {
    let home = Home::new().await;
    let app = app(home.layer());
    let token = home.token("acme", "read", "acme");
    for headers in [
        vec![],
        vec![("authorization", "Bearer rwh_nonsense")],
        vec![("authorization", "Digest x")],
        vec![("authorization", token.as_str()), ("authorization", token.as_str())],
    ] {
        let response = app.clone().oneshot(request("/organizations/acme", &headers)).await.expect("answers");
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{headers:?}");
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer");
        assert_eq!(code(&text(response).await), "unauthenticated");
        let (status, _) = ask(&app, "/me", &headers).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        // What is nobody's passes through.
        assert_eq!(ask(&app, "/ready", &headers).await, (StatusCode::OK, "ready".to_owned()));
    }
    let (_, who) = ask(&app, "/me", &[("authorization", token.as_str())]).await;
    assert_eq!(who, "token:acme");
    assert!(home.open().is_empty());
}

#[tokio::test]
async fn who_may_not_create_has_none_made_and_is_told_as_of_any_that_is_missing() {
    let home = Home::new().await;
    home.fake.put("there");
    let app = app(home.layer().prewarm(true));
    let token = home.token("reader", "read", "*");
    let headers = [("authorization", token.as_str())];
    let (status, body) = ask(&app, "/organizations/acme", &headers).await;
    assert_eq!((status, code(&body).as_str()), (StatusCode::NOT_FOUND, "creation_not_allowed"));
    assert!(body.contains("there is no such database"), "{body}");
    assert_eq!(ask(&app, "/organizations/there", &headers).await.0, StatusCode::OK);
    assert_eq!((home.fake.tally().created, home.open()), (1, vec!["there".to_owned()]));
}

#[tokio::test]
async fn an_organization_is_open_before_its_handler_runs_if_that_is_asked_for() {
    for prewarm in [false, true] {
        let home = Home::new().await;
        let manager = home.manager.clone();
        let open = move || async move { manager.engines().len().to_string() };
        let app = Router::new().route("/{org_id}", get(open)).layer(home.layer().prewarm(prewarm));
        let (_, open) = ask(&app, "/acme", &[]).await;
        assert_eq!(open, u32::from(prewarm).to_string());
    }
}

#[tokio::test]
async fn an_extractor_looks_at_the_path_where_the_layer_could_not() {
    let home = Home::new().await;
    let token = home.token("acme", "read,write,create", "acme");
    let inner = Router::new().route("/organizations/{org_id}", get(place));
    // Around the router, the layer sees the token alone.
    let app = Router::new().fallback_service(tower::Layer::layer(&home.layer(), inner));
    let (status, body) = ask(&app, "/organizations/globex", &[("authorization", &token)]).await;
    assert_eq!((status, code(&body).as_str()), (StatusCode::FORBIDDEN, "forbidden"));
    assert!(home.open().is_empty());
}

#[tokio::test]
async fn a_route_without_the_layer_says_so_and_lends_nothing() {
    let home = Home::new().await;
    let app = Router::new().route("/{org_id}", get(place));
    let (status, body) = ask(&app, "/acme", &[]).await;
    assert_eq!((status, code(&body).as_str()), (StatusCode::INTERNAL_SERVER_ERROR, "internal"));
    assert!(home.open().is_empty());
}

#[tokio::test]
async fn a_session_is_given_back_when_its_handler_returns_fails_or_panics() {
    async fn leave(Path((_, how)): Path<(String, String)>, mut session: OrgSession) -> Result<(), Failure> {
        session.execute("BEGIN", []).await?;
        match how.as_str() {
            "panic" => panic!("as it was asked to"),
            // The fake engine fails so.
            "fail" => session.execute("FAIL 1", []).await.map(drop)?,
            _ => {}
        }
        Ok(())
    }
    let home = Home::new().await;
    let app = Router::new().route("/{org_id}/{how}", get(leave)).layer(home.layer());
    for (how, answered) in [("return", Some(true)), ("fail", Some(false)), ("panic", None)] {
        let asked = app.clone().oneshot(request(&format!("/acme/{how}"), &[]));
        let response = AssertUnwindSafe(asked).catch_unwind().await;
        let response = response.ok().map(|response| response.expect("answers").status().is_success());
        assert_eq!(response, answered, "{how}");
        given_back(&home).await;
    }
}

#[tokio::test]
async fn a_session_is_given_back_when_its_client_leaves() {
    let home = Home::new().await;
    let (tell, mut told) = mpsc::channel(4);
    let hold = |Extension(tell): Extension<mpsc::Sender<&'static str>>, session: OrgSession| async move {
        // Dropped in this order.
        let _held = (session, Dropped(tell.clone()));
        tell.try_send("held").expect("there is room");
        std::future::pending::<()>().await;
    };
    let app = Router::new().route("/{org_id}", get(hold)).layer(home.layer()).layer(Extension(tell));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let tracker = tokio_util::task::TaskTracker::new();
    let server = tracker.spawn(async move { axum::serve(listener, app).await });
    let mut client = TcpStream::connect(address).await.expect("it listens");
    client.write_all(b"GET /acme HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("it reads");
    assert_eq!(told.recv().await, Some("held"));
    assert_eq!(home.at_work("acme").await, 1);
    drop(client);
    assert_eq!(told.recv().await, Some("dropped"));
    given_back(&home).await;
    server.abort();
}

/// What a session holds is undone in the background; then nobody is at work, and the database can be closed.
async fn given_back(home: &Home) {
    while home.at_work("acme").await != 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(home.at_work("acme").await, 0);
    assert!(home.manager.org_session(&"acme".parse().expect("a name")).await.is_ok());
}
