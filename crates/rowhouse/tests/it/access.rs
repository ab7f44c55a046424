//! Tokens and users from the command line, and what they open over HTTP.
use crate::support::{Home, Operator, PATIENCE, Served, await_line, has, serve, text};
use futures::{SinkExt, StreamExt};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{KeyPair, PKCS_ED25519};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// The status with which a query of this database is answered.
fn status(operator: &Operator, credentials: &str, (database, sql): (&str, &str)) -> String {
    let at = operator.server.http();
    operator.prints(&format!(
        "curl -s -o answer -w '%{{http_code}}' {at}/db/{database}/query {credentials} -d '{{\"sql\": \"{sql}\"}}'"
    ))
}

#[test]
fn a_token_opens_its_databases_over_http_until_it_is_taken_back_and_nothing_is_opened_for_others() {
    if !has(&["curl"]) {
        return;
    }
    let operator = Operator::start("rowhouse", "100", &["--auto-connect", "--auto-create"]);
    let made = operator.prints(
        "rowhouse token create ci --scopes write,create --databases 'acme,eu-*' --lasts 1h --port 9090 -q",
    );
    let ci = format!("-H 'Authorization: Bearer {}'", made.trim());
    let made =
        operator.prints("rowhouse token create reader --scopes read --databases 'acme,eu-2' --port 9090 -q");
    let reader = format!("-H 'Authorization: Bearer {}'", made.trim());
    for (credentials, asked, expected) in [
        ("", ("acme", "SELECT 1"), "401"),
        ("-u alice:wrong-password", ("acme", "SELECT 1"), "401"),
        ("-H 'Authorization: Bearer rh_wrong'", ("acme", "SELECT 1"), "401"),
        (&reader, ("acme", "SELECT 1"), "404"),
        (&ci, ("acme", "CREATE TABLE t (a)"), "200"),
        (&ci, ("eu-1", "SELECT 1"), "200"),
        (&ci, ("other", "SELECT 1"), "403"),
        (&reader, ("acme", "SELECT * FROM t"), "200"),
        (&reader, ("acme", "INSERT INTO t VALUES (1)"), "403"),
        (&reader, ("eu-1", "SELECT 1"), "403"),
        (&reader, ("eu-2", "SELECT 1"), "404"),
        (&reader, ("nowhere", "SELECT 1"), "403"),
    ] {
        assert_eq!(status(&operator, credentials, asked), expected, "{credentials} {asked:?}");
    }
    let listed = operator.prints("rowhouse token list --json --port 9090");
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!(listed["tokens"][0]["name"], "ci");
    assert_eq!(operator.prints("rowhouse token revoke ci --port 9090"), "Success: Token ci revoked\n");
    assert_eq!(status(&operator, &ci, ("acme", "SELECT 1")), "401");
    let names: Vec<_> = operator.home.listing().into_iter().filter(|name| name.ends_with(".db")).collect();
    assert_eq!(names, ["acme.db", "eu-1.db"], "nothing else was made");
    let secret = made.trim().to_owned();
    let Operator { home, server } = operator;
    let output = server.end(Signal::TERM);
    let told = text(&output);
    assert!(told.contains("credentials refused") && !told.contains(&secret), "{told}");
    assert!(!home.ends(0, &["audit", "--data-directory", "data", "--json"]).contains(&secret));
}

#[test]
fn tokens_and_users_are_made_without_a_server_and_hold_when_it_starts() {
    if !has(&["curl"]) {
        return;
    }
    let home = Home::new();
    let directory = ["--data-directory", "data"];
    let token = |words: &[&str]| home.ends(0, &[&["token"], words, &directory].concat());
    let made = token(&["create", "ops", "--scopes", "read,create", "--databases", "*", "--quiet"]);
    assert!(made.starts_with("rh_"), "{made}");
    token(&["create", "gone", "--scopes", "read", "--databases", "*"]);
    assert_eq!(token(&["revoke", "gone"]), "Success: Token gone revoked\n");
    assert!(token(&["list"]).contains("ops   read,create  *"), "{}", token(&["list"]));
    let again =
        [&["token", "create", "ops", "--scopes", "read", "--databases", "*"][..], &directory].concat();
    assert!(home.ends(1, &again).contains("there is a token \"ops\" already"));
    let wrong = [&["token", "create", "x", "--scopes", "reed", "--databases", "*"][..], &directory].concat();
    assert!(home.ends(2, &wrong).contains("\"reed\" is no scope"));

    let operator = Operator::start_in(home, "rowhouse", &["100", "--auto-connect", "--auto-create"]);
    let bearer = format!("-H 'Authorization: Bearer {}'", made.trim());
    assert_eq!(status(&operator, &bearer, ("acme", "SELECT 1")), "200");
    assert_eq!(status(&operator, "", ("acme", "SELECT 1")), "401");
    operator.server.stop();
}

/// Makes this one the only user of the file.
fn write_user(home: &Home, name: &str) {
    let _link = home.command_as("rowhouse", &[]);
    let add = format!("./rowhouse user add {name} --scopes read,create --databases '*' --print");
    let script = format!("(umask 077; echo 'correct horse' | {add} > users)");
    let mut shell = home.program(Path::new("bash"), &["-euc", &script]);
    assert!(shell.status().expect("bash is there").success());
}

#[test]
fn users_of_a_file_come_in_by_their_passwords_and_are_exchanged_by_a_signal() {
    if !has(&["curl"]) {
        return;
    }
    let home = Home::new();
    write_user(&home, "alice");
    let operator = Operator::start_in(
        home,
        "rowhouse",
        &["100", "--auto-connect", "--auto-create", "--users-file", "users"],
    );
    let (alice, bob) = ("-u 'alice:correct horse'", "-u 'bob:correct horse'");
    assert_eq!(status(&operator, alice, ("acme", "SELECT 1")), "200");
    assert_eq!(status(&operator, bob, ("acme", "SELECT 1")), "401");
    write_user(&operator.home, "bob");
    let pid = Pid::from_raw(operator.server.pid().cast_signed()).expect("it runs");
    kill_process(pid, Signal::HUP).expect("it runs");
    await_line(&operator.home.path().join("stderr.txt"), "configuration reloaded");
    // The files are read right after that is said: the first who is let in shows that they were.
    while status(&operator, bob, ("acme", "SELECT 1")) != "200" {}
    assert_eq!(status(&operator, alice, ("acme", "SELECT 1")), "401");
    operator.server.stop();
}

/// Signs a JWT of these claims that is good for an hour.
fn signed(pair: &KeyPair, mut claims: Value) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    claims["exp"] = json!(now.as_secs() + 3600);
    let key = EncodingKey::from_ed_der(pair.serialized_der());
    jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &key).expect("signed")
}

/// The status with which a request is answered, whatever its body: a feed's has no end.
async fn answered(served: &Served, head: &str, body: &str) -> String {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    let mut socket = TcpStream::connect(served.address).await.expect("it listens");
    let request = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    socket.write_all(request.as_bytes()).await.expect("it reads");
    let mut line = String::new();
    timeout(PATIENCE, BufReader::new(socket).read_line(&mut line))
        .await
        .expect("in time")
        .expect("an answer");
    line.split(' ').nth(1).expect("a status").to_owned()
}

/// What is answered over WebSocket to a hello with this token, at this path.
async fn greeted(served: &Served, path: &str, token: &str) -> Value {
    let stream = TcpStream::connect(served.address).await.expect("it listens");
    let url = format!("ws://localhost:{}{path}", served.address.port());
    let mut request = url.into_client_request().expect("a request");
    request.headers_mut().insert("sec-websocket-protocol", "hrana3".parse().expect("a name"));
    let (mut socket, _answer) = client_async(request, stream).await.expect("who it is comes in a message");
    let hello = json!({"type": "hello", "jwt": token}).to_string();
    socket.send(Message::text(hello)).await.expect("it reads");
    let told = timeout(PATIENCE, socket.next()).await.expect("in time").expect("open").expect("a message");
    serde_json::from_str(told.to_text().expect("text")).expect("JSON")
}

#[tokio::test]
async fn a_jwt_of_one_database_is_refused_on_every_other_by_every_way_and_nothing_is_made() {
    let home = TempDir::new().expect("a directory");
    let pair = KeyPair::generate_for(&PKCS_ED25519).expect("a key");
    let file = home.path().join("key.pem");
    std::fs::write(&file, pair.public_key_pem()).expect("writable");
    let served =
        serve(&[("jwt_key_file", file.to_str().expect("plain names")), ("base_domains", "db.example")]).await;
    let claims = json!({"databases": ["acme"], "scopes": ["read", "write", "create"]});
    let token = signed(&pair, claims);
    let stranger = signed(&KeyPair::generate_for(&PKCS_ED25519).expect("a key"), json!({"id": "acme"}));
    let bearer = format!("Authorization: Bearer {token}");
    let pipeline =
        r#"{"requests": [{"type": "execute", "stmt": {"sql": "CREATE TABLE IF NOT EXISTS t (a)"}}]}"#;
    let query = r#"{"sql": "SELECT 1"}"#;
    for (database, expected) in [("other", "403"), ("acme", "200"), ("acme2", "403")] {
        for (head, body) in [
            (format!("POST /db/{database}/v2/pipeline HTTP/1.1\r\nHost: localhost\r\n{bearer}"), pipeline),
            (
                format!("POST /dev/{database}/v3/cursor HTTP/1.1\r\nHost: localhost\r\n{bearer}"),
                r#"{"batch": {"steps": []}}"#,
            ),
            (format!("POST /db/{database}/query HTTP/1.1\r\nHost: localhost\r\n{bearer}"), query),
            (format!("POST /v2/pipeline HTTP/1.1\r\nHost: {database}.db.example\r\n{bearer}"), pipeline),
            (
                format!(
                    "POST /v2/pipeline HTTP/1.1\r\nHost: localhost\r\nx-namespace: {database}\r\n{bearer}"
                ),
                pipeline,
            ),
            (format!("GET /db/{database}/live HTTP/1.1\r\nHost: localhost\r\n{bearer}"), ""),
        ] {
            let status = answered(&served, &head, body).await;
            assert!(status.starts_with(expected), "{status}: {head}");
        }
    }
    let hello = greeted(&served, "/db/other/", &token).await;
    assert_eq!(
        (&hello["type"], &hello["error"]["code"]),
        (&json!("hello_error"), &json!("FORBIDDEN")),
        "{hello}"
    );
    assert_eq!(greeted(&served, "/db/acme/", &stranger).await["type"], "hello_error");
    assert_eq!(greeted(&served, "/db/acme/", &token).await, json!({"type": "hello_ok"}));
    let made = std::fs::read_dir(served.data()).expect("its directory").filter_map(|entry| {
        let name = entry.expect("an entry").file_name().into_string().expect("plain names");
        name.ends_with(".db").then_some(name)
    });
    assert_eq!(made.collect::<Vec<_>>(), ["acme.db"], "nothing else was made");
}

#[tokio::test]
async fn a_stream_goes_on_for_who_may_do_the_same_under_the_same_key_and_for_nobody_else() {
    let home = TempDir::new().expect("a directory");
    let (pair, other) = (KeyPair::generate_for(&PKCS_ED25519), KeyPair::generate_for(&PKCS_ED25519));
    let (pair, other) = (pair.expect("a key"), other.expect("a key"));
    let file = home.path().join("keys.pem");
    std::fs::write(&file, format!("{}\n{}", pair.public_key_pem(), other.public_key_pem()))
        .expect("writable");
    let served = serve(&[("jwt_key_file", file.to_str().expect("plain names"))]).await;
    let ask = async |token: &str, baton: Option<&str>, sql: &str| {
        let body =
            json!({"baton": baton, "requests": [{"type": "execute", "stmt": {"sql": sql}}]}).to_string();
        let bearer = format!("Authorization: Bearer {token}\r\n");
        let answer = served.post("/db/acme/v3/pipeline", &bearer, body).await;
        let body: Value = serde_json::from_str(&answer.body).expect("JSON");
        (answer.status, body)
    };
    for subject in [json!("alice"), Value::Null] {
        let of = |pair: &KeyPair, scopes: &str, id: u32| {
            signed(
                pair,
                json!({"sub": subject, "scopes": scopes, "databases": "acme", "jti": id.to_string()}),
            )
        };
        let (_, begun) = ask(&of(&pair, "read write create", 1), None, "BEGIN").await;
        let baton = begun["baton"].as_str().expect("a transaction");
        for stranger in [of(&pair, "read", 1), of(&other, "read write create", 1)] {
            let (status, refused) = ask(&stranger, Some(baton), "SELECT 1").await;
            assert_eq!((status, &refused["code"]), (400, &json!("STREAM_EXPIRED")), "{refused}");
        }
        let (status, went_on) = ask(&of(&pair, "read write create", 2), Some(baton), "COMMIT").await;
        assert_eq!((status, &went_on["results"][0]["type"]), (200, &json!("ok")), "made anew: {went_on}");
    }
}
