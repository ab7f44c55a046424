//! Tokens and users over HTTP, and who may administer by them.
use super::support::{Answer, Managed, plain, request};
use rowhouse_management::{Settings, Tokens};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use tokio::runtime::Handle;

fn body(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).expect("json")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_made_told_once_listed_without_its_secret_and_taken_back() {
    let managed = Managed::start().await;
    let new = "{\"name\":\"ci\",\"scopes\":[\"write\"],\"databases\":[\"acme\",\"eu-*\"],\"lasts\":\"1h\",\"rate\":5}";
    let made = managed.write("POST", "/tokens", new).await;
    assert_eq!(made.status, 200, "{made:?}");
    let secret = body(&made)["secret"].as_str().expect("a secret").to_owned();
    assert!(secret.starts_with("rh_"));
    assert_eq!(managed.write("POST", "/tokens", new).await.status, 409);
    let listed = managed.get("/tokens").await;
    assert!(!listed.body.contains(&secret) && !listed.body.contains("digest"), "{listed:?}");
    let token = &body(&listed)["tokens"][0];
    assert_eq!(token["name"], "ci");
    assert_eq!(token["scopes"], serde_json::json!(["read", "write"]));
    assert_eq!(token["databases"], serde_json::json!(["acme", "eu-*"]));
    assert_eq!((&token["rate"], &token["expired"]), (&5.into(), &false.into()));
    assert_eq!(managed.write("DELETE", "/tokens/ci", "").await.status, 200);
    assert_eq!(managed.write("DELETE", "/tokens/ci", "").await.status, 404);
    assert!(managed.roster.access().tokens().is_empty());
    let audit = managed.get("/audit").await;
    assert!(audit.body.contains("\"issue_token\"") && audit.body.contains("\"revoke_token\""));
    assert!(!audit.body.contains(&secret));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_a_token_or_a_user_is_refused_in_words() {
    let managed = Managed::start().await;
    for (new, word) in [
        ("{\"name\":\"a b\",\"scopes\":[\"read\"],\"databases\":[\"a\"]}", "a name is"),
        ("{\"name\":\"a\",\"scopes\":[\"reed\"],\"databases\":[\"a\"]}", "no scope"),
        ("{\"name\":\"a\",\"scopes\":[],\"databases\":[\"a\"]}", "allow nothing"),
        ("{\"name\":\"a\",\"scopes\":[\"read\"],\"databases\":[\"../a\"]}", "names no databases"),
        ("{\"name\":\"a\",\"scopes\":[\"read\"],\"databases\":[\"a\"],\"lasts\":\"soon\"}", "lasts must be"),
        (
            "{\"name\":\"a\",\"scopes\":[\"read\"],\"databases\":[\"a\"],\"lasts\":\"9999999y\"}",
            "beyond all years",
        ),
        ("{\"name\":\"a\",\"scopes\":[\"read\"],\"databases\":[\"a\"],\"rate\":0}", "rate must be"),
        ("{\"name\":\"a\",\"scopes\":[\"read\"],\"databases\":[\"a\"],\"x\":0}", "unknown field"),
    ] {
        let answer = managed.write("POST", "/tokens", new).await;
        assert_eq!(answer.status, 400, "{new}: {answer:?}");
        assert!(answer.body.contains(word), "{new}: {answer:?}");
    }
    let short = "{\"name\":\"a\",\"password\":\"short\",\"scopes\":[\"read\"],\"databases\":[\"a\"]}";
    let answer = managed.write("POST", "/users", short).await;
    assert!(answer.status == 400 && !answer.body.contains("short\""), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_read_page_by_page() {
    let managed = Managed::start().await;
    for name in ["c", "a", "b"] {
        let new = format!("{{\"name\":\"{name}\",\"scopes\":[\"read\"],\"databases\":[\"*\"]}}");
        assert_eq!(managed.write("POST", "/tokens", &new).await.status, 200);
    }
    let first = managed.json("/tokens?limit=2").await;
    assert_eq!((&first["tokens"][0]["name"], &first["next"]), (&"a".into(), &"b".into()));
    let last = managed.json("/tokens?limit=2&after=b").await;
    assert_eq!((&last["tokens"][0]["name"], &last["next"]), (&"c".into(), &Value::Null));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_the_scope_admin_administers_that_database_or_everything() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("tokens");
    std::fs::write(&file, "root 0123456789abcdef\n").expect("writable");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("ours");
    let settings = Settings { tokens: Some(Tokens::load(&file).expect("tokens")), ..plain() };
    let managed = Managed::with(settings, Handle::current()).await;
    let json = "Content-Type: application/json\r\n";
    let root = format!("Authorization: Bearer 0123456789abcdef\r\n{json}");
    let mut secrets = Vec::new();
    for (name, scopes, databases) in [("one", "admin", "acme"), ("all", "admin", "*"), ("none", "write", "*")]
    {
        let new =
            format!("{{\"name\":\"{name}\",\"scopes\":[\"{scopes}\"],\"databases\":[\"{databases}\"]}}");
        let made = managed.send(&request("POST", "/tokens", &root, &new)).await;
        secrets.push(body(&made)["secret"].as_str().expect("a secret").to_owned());
    }
    let user =
        "{\"name\":\"op\",\"password\":\"battery staple\",\"scopes\":[\"admin\"],\"databases\":[\"*\"]}";
    assert_eq!(managed.send(&request("POST", "/users", &root, user)).await.status, 200);
    let new = "{\"name\":\"acme\"}";
    assert_eq!(managed.send(&request("POST", "/databases", &root, new)).await.status, 200);
    let bearer = |secret: &str| format!("Authorization: Bearer {secret}\r\n{json}");
    let basic = |text: &str| format!("Authorization: Basic {text}\r\n{json}");
    for (headers, path, status) in [
        (bearer(&secrets[0]), "/databases/acme", 200),
        (bearer(&secrets[0]), "/databases/acme/limits", 200),
        (bearer(&secrets[0]), "/databases/~default", 403),
        (bearer(&secrets[0]), "/databases/%61cme", 403),
        (bearer(&secrets[0]), "/databases", 403),
        (bearer(&secrets[0]), "/tokens", 403),
        (bearer(&secrets[1]), "/tokens", 200),
        (bearer(&secrets[1]), "/databases/acme", 200),
        (bearer(&secrets[2]), "/databases/acme", 403),
        (bearer("rh_wrong"), "/databases/acme", 401),
        (basic("b3A6YmF0dGVyeSBzdGFwbGU="), "/tokens", 200),
        (basic("b3A6d3Jvbmc="), "/tokens", 401),
        (json.to_owned(), "/tokens", 401),
        (bearer("rh_wrong"), "/health", 200),
    ] {
        let answer = managed.send(&request("GET", path, &headers, "")).await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
    }
    let history = managed.send(&request("PUT", "/limit", &bearer(&secrets[1]), "{\"limit\":9}")).await;
    assert_eq!(history.status, 200);
    let history = managed.send(&request("GET", "/limit/history", &root, "")).await;
    assert!(history.body.contains("\"who\":\"token:all\""), "{history:?}");
}
