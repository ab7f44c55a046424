//! Real clients: each script asserts what it was promised, and these tests run the scripts.
use crate::support::{Home, Machine, Python, Server, repository};

/// Flags of a server that opens and creates databases by name.
const DYNAMIC: [&str; 2] = ["--auto-connect", "--auto-create"];

#[test]
fn the_public_client_gets_every_reply_it_expects() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &[]);
    python.script("pypi_client.py", &[server.address()]);
}

#[test]
fn a_client_that_names_databases_gets_its_own_and_no_other() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &[&DYNAMIC[..], &["--max-connections", "4"]].concat());
    let root = home.path().to_str().expect("temporary directories have plain names");
    python.script("named_client.py", &[server.address(), root]);
}

#[test]
fn hostile_bytes_are_refused_and_everybody_else_is_served() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &DYNAMIC);
    python.script("hostile.py", &[server.address(), "--pid", &server.pid().to_string()]);
}

#[test]
fn what_clients_send_again_is_executed_exactly_once() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &["--default-database", "system.db"]);
    python.script("resend.py", &[server.address()]);
    server.stop();
}

#[test]
fn a_transaction_left_open_is_rolled_back_and_its_owner_told() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let bounds = ["--set", "idle_transaction_timeout=1s", "--set", "transaction_timeout=2s"];
    let server = Server::start(&home, &bounds);
    python.script("transactions.py", &[server.address()]);
}

#[test]
fn a_timeout_is_told_across_resends_and_means_not_applied() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &["--default-database", "system.db", "--set", "statement_timeout=4s"]);
    python.script("resend.py", &[server.address(), "--timeout"]);
}

#[test]
fn who_connects_and_says_nothing_keeps_no_client_out() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &["3"]);
    python.script("silent.py", &[server.address(), "3"]);
}

#[test]
fn one_client_too_many_is_told_so_and_served_as_soon_as_there_is_room() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &["3"]);
    python.script("full.py", &[server.address(), "3"]);
    server.stop();
}

#[test]
fn thousands_of_half_open_sockets_do_not_delay_a_new_client_s_first_answer() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let bounds = ["--set", "handshake_timeout=1h"];
    let server = Server::start_on(Machine::alone(), &home, &bounds);
    python.script("half_open.py", &[server.address()]);
    server.stop();
}

#[test]
fn a_hundred_first_requests_for_one_name_create_it_once_and_all_succeed() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &DYNAMIC);
    python.script("stampede.py", &[server.address()]);
    assert_eq!(home.listing().first().map(String::as_str), Some("stampede.db"));
}

/// Also a soak: longer where `ROWHOUSE_SOAK` is set.
#[test]
fn eviction_under_load_soak_loses_doubles_and_mixes_nothing() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let server = Server::start(&home, &[&DYNAMIC[..], &["--max-connections", "4"]].concat());
    let operations = if std::env::var_os("ROWHOUSE_SOAK").is_some() { "4000" } else { "800" };
    python.script("churn.py", &[server.address(), "4", operations]);
}

#[test]
fn a_slow_query_leaves_the_other_databases_fast() {
    let Some(python) = Python::find() else { return };
    let home = Home::new();
    let server = Server::start_on(Machine::alone(), &home, &DYNAMIC);
    python.script("slow_query.py", &[server.address()]);
}

#[test]
fn the_python_package_passes_its_own_tests() {
    let Some(python) = Python::find() else { return };
    let tests = repository().join("clients/python/tests");
    python.succeeds(&["-m".as_ref(), "unittest".as_ref(), "discover".as_ref(), tests.as_os_str()]);
}
