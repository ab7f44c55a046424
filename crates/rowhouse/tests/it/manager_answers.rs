//! What `rowhouse manager` makes of answers that no good server would give.
use crate::support::{Home, finish, text};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Output;
use std::thread::{self, JoinHandle};

/// Whoever listens there and answers each connection with the next of these bytes.
struct Stranger {
    port: u16,
    asked: JoinHandle<Vec<String>>,
}

// === impl Stranger ===

impl Stranger {
    fn saying(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let asked = thread::spawn(move || {
            let answer = |answer: String| {
                let (mut stream, _from) = listener.accept().expect("a client comes");
                let mut asked = vec![0; 65_536];
                let length = stream.read(&mut asked).expect("it asks in one piece");
                stream.write_all(answer.as_bytes()).expect("it listens");
                String::from_utf8_lossy(&asked[..length]).into_owned()
            };
            answers.into_iter().map(answer).collect()
        });
        Self { port, asked }
    }

    /// Runs the manager against it, and returns what it was asked.
    fn manages(self, home: &Home, arguments: &[&str]) -> (Output, Vec<String>) {
        let port = self.port.to_string();
        let arguments = [&["manager", "--management-port", &port], arguments].concat();
        let output = finish(home.command(&arguments).spawn().expect("it is built"));
        (output, self.asked.join().expect("all was asked"))
    }
}

fn http(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[track_caller]
fn fails(answer: String, command: &[&str], said: &str) {
    let (output, _asked) = Stranger::saying(vec![answer]).manages(&Home::new(), command);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.starts_with("Error: ") && error.contains(said), "{error}");
    assert!(!error.contains("panicked"), "{error}");
}

#[test]
fn what_is_no_answer_of_a_management_server_is_told() {
    fails("SSH-2.0-OpenSSH_9.6\r\n".to_owned(), &["status"], "management port");
    fails(String::new(), &["status"], "management port");
    fails(http("200 OK", "{}"), &["status"], "one version");
    fails(http("200 OK", "<html>"), &["stats"], "one version");
    fails(http("404 Not Found", "404 page not found\n"), &["status"], "404 page not found");
    fails(http("502 Bad Gateway", ""), &["status"], "502 Bad Gateway");
    fails(
        http("401 Unauthorized", r#"{"error":"a token is needed","status":"failed"}"#),
        &["status"],
        "--token-file",
    );
    fails("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{".to_owned(), &["status"], "management server");
    fails("HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n{".to_owned(), &["status"], "larger than");
    fails(http("200 OK", r#"{"service":"x","status":"sick"}"#), &["health"], "the server is sick");
    fails(http("200 OK", r#"{"service":"x","status":"sick"}"#), &["health", "--json"], "the server is sick");
}

#[test]
fn nothing_that_a_server_says_is_obeyed_by_a_terminal() {
    let body = r#"{"error":"no \u001b[2J\nError: forged","status":"failed"}"#;
    let (output, _asked) =
        Stranger::saying(vec![http("400 Bad Request", body)]).manages(&Home::new(), &["reset"]);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "Error: no \\u{1b}[2J\\nError: forged\n");
}

#[test]
fn a_server_that_does_not_answer_is_not_waited_for() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("it is bound").port().to_string();
    let said = Home::new().ends(1, &["manager", "--management-port", &port, "status", "--timeout", "200ms"]);
    assert!(
        said.starts_with("Error: Failed to connect to management server: no answer within 200ms"),
        "{said}"
    );
}

#[test]
fn a_refusal_is_told_and_in_json_given_as_it_came() {
    let body = r#"{"active_connections":3,"current_limit":3,"error":"cannot decrease limit to 2 when 3 connections are active","minimum_allowed":3,"status":"failed"}"#;
    let refused = || Stranger::saying(vec![http("400 Bad Request", &format!("{body}\n"))]);
    let (output, _asked) = refused().manages(&Home::new(), &["decrease", "1"]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        error.starts_with(
            "Error: cannot decrease limit to 2 when 3 connections are active\nMinimum Allowed: 3 "
        ),
        "{error}"
    );
    let (output, _asked) = refused().manages(&Home::new(), &["decrease", "1", "--json"]);
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stdout).trim_end()), (Some(1), body));
}

#[test]
fn a_listing_of_many_pages_is_one() {
    let page = |number: u32, next: &str| {
        http(
            "200 OK",
            &format!(
                r#"{{"databases":[{{"name":"db{number}","sessions":0,"state":"closed"}}],"known":3,"next":{next},"open":0}}"#
            ),
        )
    };
    let stranger = Stranger::saying(vec![page(1, "\"db1\""), page(2, "\"db2\""), page(3, "null")]);
    let (output, asked) = stranger.manages(&Home::new(), &["databases", "--json"]);
    assert!(output.status.success(), "{}", text(&output));
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let names: Vec<_> =
        said["databases"].as_array().expect("a list").iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["db1", "db2", "db3"]);
    assert_eq!(said["next"], serde_json::Value::Null);
    let paths: Vec<_> = asked.iter().map(|asked| asked.split_whitespace().nth(1).expect("a path")).collect();
    assert_eq!(
        paths,
        ["/databases?limit=1000", "/databases?limit=1000&after=db1", "/databases?limit=1000&after=db2"]
    );
}

#[test]
fn it_says_who_asks_and_shows_its_token() {
    let home = Home::new();
    home.write("token", "# night shift\n\nowl s3cret-t0ken\nlark 0ther-t0ken\n");
    let stranger = Stranger::saying(vec![http(
        "200 OK",
        r#"{"message":"Connection limit updated to 5","new_limit":5,"status":"success"}"#,
    )]);
    let port = stranger.port;
    let (output, asked) =
        stranger.manages(&home, &["limit", "5", "--drain", "--reason", "night", "--token-file", "token"]);
    assert_eq!(text(&output), "Success: Connection limit updated to 5\n");
    let asked = asked[0].to_lowercase();
    for line in [
        "put /limit http/1.1".to_owned(),
        format!("host: localhost:{port}"),
        "content-type: application/json".to_owned(),
        "rowhouse-interface: cli".to_owned(),
        "authorization: bearer s3cret-t0ken".to_owned(),
        r#"{"drain":true,"limit":5,"reason":"night"}"#.to_owned(),
    ] {
        assert!(asked.lines().any(|said| said == line), "no {line} in {asked}");
    }
}
