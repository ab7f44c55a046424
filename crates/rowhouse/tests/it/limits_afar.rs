//! Management with a token, and beyond loopback: by a certificate that is trusted too, or not at all.
use crate::support::{Home, Operator, text};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A token, and a certificate for localhost with its key, where only their owner may read them.
fn secrets(home: &Home) -> [String; 3] {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let file = |name: &str, contents: &str| -> String {
        let path: PathBuf = home.write(name, contents);
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("it is ours");
        path.to_str().expect("temporary directories have plain names").to_owned()
    };
    [
        file("token", &format!("night {TOKEN}\n")),
        file("cert.pem", &made.cert.pem()),
        file("key.pem", &made.signing_key.serialize_pem()),
    ]
}

#[test]
fn over_tls_the_certificate_and_the_token_are_looked_at() {
    let at = Home::new();
    let [token, certificate, key] = secrets(&at);
    let operator = Operator::start(
        "rowhouse",
        "1000",
        &[
            "--management-listen",
            "0.0.0.0",
            "--management-token-file",
            &token,
            "--management-tls-cert",
            &certificate,
            "--management-tls-key",
            &key,
        ],
    );
    let ask = "rowhouse manager --url https://localhost:10090 status";
    let said = operator.prints(&format!("{ask} --cacert {certificate} --token-file {token}"));
    assert_eq!(said, "Connection Status:\nCurrent Limit: 1000\nActive Connections: 0\n");
    for (command, told) in [
        (format!("{ask} --token-file {token}"), "--cacert"),
        (format!("{ask} --cacert {certificate}"), "--token-file"),
        (format!("rowhouse manager 9090 status --token-file {token}"), "management port"),
    ] {
        let output = operator.runs(&command);
        assert_eq!(output.status.code(), Some(1), "{command}: {}", text(&output));
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.starts_with("Error: ") && error.contains(told), "{command}: {error}");
    }
    // Who made a change is told by the name of the token.
    operator.prints(&format!(
        "rowhouse manager --url https://localhost:10090 increase --cacert {certificate} --token-file {token}"
    ));
    let history = operator.prints(&format!(
        "rowhouse manager --url https://localhost:10090 history --cacert {certificate} --token-file {token}"
    ));
    assert!(
        history.lines().nth(1).is_some_and(|line| line.contains(" cli ") && line.contains(" night ")),
        "{history}"
    );
}

#[test]
fn a_token_is_shown_or_nothing_is_told() {
    let at = Home::new();
    let [token, ..] = secrets(&at);
    let operator = Operator::start("rowhouse", "1000", &["--management-token-file", &token]);
    let output = operator.runs("rowhouse manager 9090 status");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("--token-file"), "{}", text(&output));
    operator.prints(&format!("rowhouse manager 9090 status --token-file {token}"));
    operator.prints(&format!("ROWHOUSE_MANAGEMENT_TOKEN_FILE={token} rowhouse manager 9090 status"));
    let said =
        operator.prints(&format!("curl -s -H 'Authorization: Bearer {TOKEN}' http://localhost:10090/limit"));
    assert!(said.contains("current_limit"), "{said}");
}
