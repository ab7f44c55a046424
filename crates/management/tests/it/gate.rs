//! Who may ask at all: hosts, origins, tokens, addresses.
use super::support::{Managed, plain, request};
use rowhouse_management::{BindError, Listen, Management, Settings, Tokens};
use std::os::unix::fs::PermissionsExt as _;
use tokio::runtime::Handle;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_was_made_to_lead_here_is_refused_before_it_is_looked_what_for() {
    let managed = Managed::start().await;
    let port = managed.address().port();
    let with = |host: &str| format!("GET /nope HTTP/1.1\r\n{host}Connection: close\r\n\r\n");
    for host in ["evil.com", "evil.com:80", "localhost.evil.com", "127.0.0.1.nip.io", "10.0.0.1", ""] {
        let answer = managed.send(&with(&format!("Host: {host}\r\n"))).await;
        assert_eq!(answer.status, 403, "{host}: {answer:?}");
    }
    for host in ["localhost", "LOCALHOST:10090", "127.0.0.1", "[::1]:1", &format!("127.0.0.1:{port}")] {
        assert_eq!(managed.send(&with(&format!("Host: {host}\r\n"))).await.status, 404, "{host}");
    }
    assert_eq!(managed.send(&with("")).await.status, 400);
    assert_eq!(managed.send(&with("Host: localhost\r\nHost: evil.com\r\n")).await.status, 400);
    let absolute = "GET http://evil.com/limit HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(managed.send(absolute).await.status, 403);
    assert_eq!(managed.send("GET /health HTTP/1.0\r\n\r\n").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configured_name_is_served() {
    let settings = Settings { allowed_hosts: vec!["db.example.org".to_owned()], ..plain() };
    let managed = Managed::with(settings, Handle::current()).await;
    let answer =
        managed.send("GET /health HTTP/1.1\r\nHost: db.example.org:1\r\nConnection: close\r\n\r\n").await;
    assert_eq!(answer.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_web_page_changes_nothing() {
    let managed = Managed::start().await;
    let json = "Content-Type: application/json\r\n";
    for (headers, status) in [
        ("Content-Type: application/x-www-form-urlencoded\r\nOrigin: http://evil.com\r\n".to_owned(), 403),
        ("Content-Type: text/plain\r\n".to_owned(), 415),
        (format!("{json}Origin: http://evil.com\r\n"), 403),
        (format!("{json}Origin: http://localhost:3000\r\n"), 403),
        (format!("{json}Origin: null\r\n"), 403),
        (format!("{json}Sec-Fetch-Site: cross-site\r\n"), 403),
        (format!("{json}Sec-Fetch-Site: same-site\r\n"), 403),
        (format!("{json}Origin: http://localhost\r\nSec-Fetch-Site: same-origin\r\n"), 200),
        (json.to_owned(), 200),
    ] {
        let answer = managed.send(&request("PUT", "/limit", &headers, "{\"limit\":77}")).await;
        assert_eq!(answer.status, status, "{headers}");
        assert!(!answer.headers.keys().any(|name| name.starts_with("access-control-")), "{answer:?}");
        let limit = if status == 200 { 77 } else { 1000 };
        assert_eq!(managed.json("/limit").await["current_limit"], limit, "{headers}");
        managed.write("PUT", "/limit", "{\"limit\":1000}").await;
    }
    let preflight =
        request("OPTIONS", "/limit", "Origin: http://evil.com\r\nAccess-Control-Request-Method: PUT\r\n", "");
    let answer = managed.send(&preflight).await;
    assert_eq!(answer.status, 403);
    assert!(!answer.headers.keys().any(|name| name.starts_with("access-control-")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_tokens_nobody_else_comes_in_and_who_does_is_recorded_by_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("tokens");
    std::fs::write(&file, "alice 0123456789abcdef\n").expect("writable");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("ours");
    let tokens = Tokens::load(&file).expect("tokens");
    let settings = Settings { tokens: Some(tokens.clone()), ..plain() };
    let managed = Managed::with(settings, Handle::current()).await;
    for token in
        ["", "Authorization: Bearer wrong-wrong-wrong\r\n", "Authorization: Basic 0123456789abcdef\r\n"]
    {
        let answer = managed.send(&request("GET", "/limit", token, "")).await;
        assert_eq!(answer.status, 401, "{token}");
        assert!(answer.headers["www-authenticate"].starts_with("Bearer"));
        assert_eq!(managed.send(&request("GET", "/nope", token, "")).await.status, 401);
    }
    assert_eq!(managed.get("/health").await.status, 200);
    let json = "Content-Type: application/json\r\nrowhouse-interface: cli\r\n";
    let with = format!("Authorization: Bearer 0123456789abcdef\r\n{json}");
    assert_eq!(managed.send(&request("PUT", "/limit", &with, "{\"limit\":5}")).await.status, 200);
    let history = managed.send(&request("GET", "/limit/history", &with, "")).await;
    assert!(history.body.contains("\"source\":\"cli\"") && history.body.contains("\"who\":\"alice\""));
    std::fs::write(&file, "bob fedcba9876543210\n").expect("writable");
    tokens.reload().expect("tokens");
    assert_eq!(managed.send(&request("GET", "/limit", &with, "")).await.status, 401);
}

#[tokio::test]
async fn beyond_loopback_it_is_not_served_without_token_and_tls() {
    let settings = Settings { listen: Listen::At("0.0.0.0:0".parse().expect("an address")), ..plain() };
    assert!(matches!(Management::bind(settings), Err(BindError::Exposed(_))));
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_listens_on_loopback_only() {
    let managed = Managed::start().await;
    let port = format!(":{:04X}", managed.address().port());
    let mut found = 0;
    for (table, loopback) in
        [("/proc/net/tcp", "0100007F"), ("/proc/net/tcp6", "00000000000000000000000001000000")]
    {
        // A machine without IPv6 has no second table.
        let Ok(table) = std::fs::read_to_string(table) else { continue };
        for line in table.lines().skip(1) {
            let mut words = line.split_whitespace().skip(1);
            let (local, state) = (words.next().expect("an address"), words.nth(1).expect("a state"));
            if state == "0A" && local.ends_with(&port) {
                assert_eq!(local.trim_end_matches(&port), loopback);
                found += 1;
            }
        }
    }
    assert_eq!(found, managed.running.addresses().len());
}
