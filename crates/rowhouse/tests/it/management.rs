//! Management of the binary: on which port, for whom, and what it never is.
use crate::support::{Home, Server, text};
use rustix::process::Signal;
use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;

/// Sends bytes to a port, and returns what is answered until the end.
fn send(port: u16, bytes: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.write_all(bytes.as_bytes()).expect("it reads");
    let mut answer = Vec::new();
    // Who speaks another language is cut off, and told nothing.
    let _cut = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn get(port: u16, path: &str, headers: &str) -> String {
    send(port, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n"))
}

fn port_of(address: &str) -> u16 {
    address.rsplit_once(':').expect("an address has a port").1.parse().expect("a number")
}

/// A file nobody else may read.
fn secret(home: &Home, name: &str, contents: &str) -> String {
    let path = home.write(name, contents);
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("ours");
    path.to_str().expect("plain names").to_owned()
}

#[test]
fn a_main_port_that_leaves_none_for_management_needs_it_said() {
    let home = Home::new();
    let said = home.ends(2, &["start", "64536", "--tcp-address", "tcp://127.0.0.1:0"]);
    assert!(said.contains("64536 + 1000") && said.contains("--management-port"), "{said}");
    let mut command = home.command(&["start", "65535", "--tcp-address", "tcp://127.0.0.1:0"]);
    command.args(["--management-port", "0"]);
    let server = Server::run(&home, command);
    assert!(
        get(server.management(), "/health", "")
            .ends_with("{\"service\":\"rowhouse\",\"status\":\"healthy\"}\n")
    );
    server.stop();
}

#[test]
fn it_can_be_switched_off_and_named() {
    let home = Home::new();
    let server = Server::start(&home, &["--management", "false"]);
    assert_eq!(server.managed(), None);
    server.stop();
    let server = Server::start(&home, &["--service-name", "shibudb"]);
    assert!(get(server.management(), "/health", "").contains("\"service\":\"shibudb\""));
    server.stop();
}

#[test]
fn what_others_could_reach_is_not_served_without_token_and_tls() {
    let home = Home::new();
    let start = ["start", "0", "--tcp-address", "tcp://127.0.0.1:0", "--management-listen", "0.0.0.0"];
    let said = home.ends(2, &start);
    for option in ["management_token_file", "management_tls_cert", "management_tls_key"] {
        assert!(said.contains(option), "{said}");
    }
    let tokens = home.write("tokens", "0123456789abcdef\n");
    fs::set_permissions(&tokens, Permissions::from_mode(0o644)).expect("ours");
    let start = ["start", "0", "--tcp-address", "tcp://127.0.0.1:0", "--management-token-file", "tokens"];
    let said = home.ends(1, &start);
    assert!(said.contains("chmod 600"), "{said}");
}

#[test]
fn a_taken_port_is_an_error_and_skipped_in_development() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").port();
    let said = home.ends(
        1,
        &["start", "0", "--tcp-address", "tcp://127.0.0.1:0", "--management-port", &port.to_string()],
    );
    assert!(said.contains(&format!("127.0.0.1:{port}")) && said.contains("--management-port"), "{said}");
    if let Some(main) = port.checked_sub(1000).filter(|main| *main != 0) {
        let main = main.to_string();
        let command = home.command(&["start", &main, "--dev", "--tcp-address", "tcp://127.0.0.1:0"]);
        let server = Server::run(&home, command);
        assert_eq!(server.managed(), None);
        let output = server.end(Signal::TERM);
        assert!(text(&output).contains("the server is not managed over HTTP"), "{}", text(&output));
    }
}

#[test]
fn tokens_are_read_again_on_sighup_and_a_bad_file_keeps_them() {
    let home = Home::new();
    let file = secret(&home, "tokens", "alice 0123456789abcdef\n");
    let server = Server::start(&home, &["--management-token-file", &file]);
    let port = server.management();
    let status = |token: &str| {
        let answer = get(port, "/limit", &format!("Authorization: Bearer {token}\r\n"));
        answer.split(' ').nth(1).map(str::to_owned).expect("a status")
    };
    assert_eq!((status("0123456789abcdef"), status("wrong")), ("200".to_owned(), "401".to_owned()));
    secret(&home, "tokens", "bob fedcba9876543210\n");
    let pid = rustix::process::Pid::from_raw(server.pid().try_into().expect("a number")).expect("a process");
    rustix::process::kill_process(pid, Signal::HUP).expect("it runs");
    // Each question is one more step of the server's; the reload is one of them.
    let reloaded = (0..10_000).any(|_| status("fedcba9876543210") == "200");
    assert!(reloaded && status("0123456789abcdef") == "401");
    server.stop();
}

#[test]
fn the_data_port_knows_nothing_of_management() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    let data = port_of(server.address());
    for request in [
        "GET /limit HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "PUT /limit HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{\"limit\":5}",
    ] {
        let answer = send(data, request);
        assert!(!answer.contains("HTTP/") && !answer.contains("limit"), "{answer}");
    }
    assert!(get(server.management(), "/limit", "").contains("\"current_limit\":1000"));
    server.stop();
}

#[test]
fn it_is_ready_while_it_serves_and_gone_when_the_server_is() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    assert!(get(server.management(), "/ready", "").contains("\"not_draining\":true"));
    let port = server.management();
    server.stop();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}
