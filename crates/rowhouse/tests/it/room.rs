//! Room for fewer databases than are used: what it costs, whom, and what is said of it.
use crate::support::{Home, Python, Server, text};
use rustix::process::Signal;
use serde_json::Value;

/// Cycles in CI, and in a soak.
const CYCLES: (&str, &str) = ("10000", "100000");

/// Flags of a server that opens and creates databases by name, with a log for programs.
const FLAGS: [&str; 4] = ["--auto-connect", "--auto-create", "--set", "log_format=json"];

#[test]
fn ten_thousand_openings_and_evictions_soak_leave_the_process_as_it_was() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let cycles = if std::env::var_os("ROWHOUSE_SOAK").is_some() { CYCLES.1 } else { CYCLES.0 };
    let server = Server::start(&home, &[&FLAGS[..], &["--max-connections", "8"]].concat());
    python.script("cycles.py", &[server.address(), &server.pid().to_string(), "8", cycles]);
    let lines = log(server);
    let told: Vec<_> = lines.iter().filter(|line| message(line).starts_with("thrashing")).collect();
    assert!((1..20).contains(&told.len()), "once a minute: {told:?}");
    let fields = &told[0]["fields"];
    assert_eq!(fields["max_connections"], 8, "{fields}");
    let fits = fields["suggested_max_connections"].as_u64().expect("a number");
    assert!((9..=24).contains(&fits), "{fields}");
    assert!(10 <= fields["reopened"].as_u64().expect("a number"), "{fields}");
}

#[test]
fn a_client_that_goes_through_a_thousand_names_leaves_the_others_their_databases_open() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    python.make_database(&home.path().join("one.db"), "PRAGMA journal_mode=WAL; CREATE TABLE t (x);");
    for n in 0..1_000 {
        let file = home.database(&format!("evil-{n}"));
        std::fs::copy(home.path().join("one.db"), file).expect("there is room");
    }
    let server = Server::start(&home, &[&FLAGS[..], &["--max-connections", "20"]].concat());
    python.script("fair.py", &[server.address(), "20"]);
}

fn log(server: Server) -> Vec<Value> {
    let output = server.end(Signal::TERM);
    assert!(output.status.success(), "{}", text(&output));
    let said = String::from_utf8(output.stderr).expect("the log is UTF-8");
    said.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

fn message(line: &Value) -> &str {
    line["fields"]["message"].as_str().expect("every line has a message")
}
