//! libSQL's public clients, as their users have them: each script asserts what it was promised.
use crate::support::{Home, Libsql, Node, Python, Server};

/// The name of a database nobody has asked for yet.
const NAME: &str = "acme";

/// The same of those whose streams end when they are left.
const LEFT: &str = "left";

/// A server that opens and creates databases by name, and leaves streams much time.
fn serve(home: &Home) -> Server {
    let patience = ["--set", "stream_idle_timeout=10min", "--set", "idle_transaction_timeout=10min"];
    Server::start(home, &[&["--auto-connect", "--auto-create"], &patience[..]].concat())
}

/// A server that ends streams that are left for a while.
fn serve_impatiently(home: &Home) -> Server {
    Server::start(home, &["--auto-connect", "--auto-create", "--set", "stream_idle_timeout=4s"])
}

#[test]
fn libsql_client_gets_all_it_expects_over_http() {
    let Some(node) = Node::find() else { return };
    let home = Home::new();
    let server = serve(&home);
    node.script("libsql_client.mjs", &[&server.database(NAME), "http"]);
    assert!(home.database(NAME).exists());
    server.stop();
}

#[test]
fn libsql_client_gets_all_it_expects_over_websocket() {
    let Some(node) = Node::find() else { return };
    let home = Home::new();
    let server = serve(&home);
    node.script("libsql_client.mjs", &[&server.database(NAME), "ws"]);
    assert!(home.database(NAME).exists());
    server.stop();
}

#[test]
fn hrana_client_gets_all_it_expects_in_json_and_in_protobuf() {
    let Some(node) = Node::find() else { return };
    let home = Home::new();
    let server = serve(&home);
    for scheme in ["http", "ws"] {
        for version in ["2", "3"] {
            let name = format!("{NAME}-{scheme}-{version}");
            node.script("hrana_client.mjs", &[&server.database(&name), scheme, version]);
        }
    }
    server.stop();
}

#[test]
fn the_serverless_driver_gets_all_it_expects() {
    let Some(node) = Node::find() else { return };
    let home = Home::new();
    let server = serve(&home);
    node.script("serverless.mjs", &[&server.database(NAME)]);
    server.stop();
}

#[test]
fn drizzle_migrates_relates_and_rolls_back() {
    let Some(node) = Node::find() else { return };
    let home = Home::new();
    let server = serve(&home);
    for scheme in ["http", "ws"] {
        let name = format!("{NAME}-{scheme}");
        node.script("drizzle.mjs", &[&server.database(&name), scheme]);
    }
    server.stop();
}

#[test]
fn streams_of_javascript_end_when_they_are_left() {
    let Some(node) = Node::find() else { return };
    let home = Home::new();
    let server = serve_impatiently(&home);
    for scheme in ["http", "ws"] {
        let name = format!("{LEFT}-{scheme}");
        node.script("libsql_client.mjs", &[&server.database(&name), scheme, "expiry"]);
        let name = format!("{LEFT}-{scheme}-protobuf");
        node.script("hrana_client.mjs", &[&server.database(&name), scheme, "3", "expiry"]);
    }
    node.script("serverless.mjs", &[&server.database(LEFT), "expiry"]);
    server.stop();
}

#[test]
fn pypi_libsql_gets_all_it_expects() {
    let Some(python) = Python::with(&["libsql"]) else { return };
    let home = Home::new();
    let server = serve(&home);
    // It adds a path of its own, after a slash.
    let url = |server: &Server, name| server.database(name).trim_end_matches('/').to_owned();
    python.script("pypi_libsql.py", &[&url(&server, NAME)]);
    server.stop();
    let server = serve_impatiently(&home);
    python.script("pypi_libsql.py", &[&url(&server, LEFT), "expiry"]);
    server.stop();
}

#[test]
fn pypi_libsql_client_gets_all_it_expects_over_http_and_websocket() {
    let Some(python) = Python::with(&["libsql_client"]) else { return };
    let home = Home::new();
    let server = serve(&home);
    for scheme in ["http", "ws"] {
        let name = format!("{NAME}-{scheme}");
        python.script("pypi_libsql_client.py", &[&server.database(&name), scheme]);
    }
    server.stop();
    let server = serve_impatiently(&home);
    python.script("pypi_libsql_client.py", &[&server.database(LEFT), "ws", "expiry"]);
    server.stop();
}

#[test]
fn the_libsql_crate_gets_all_it_expects_of_the_database_that_its_header_names() {
    let Some(libsql) = Libsql::find() else { return };
    let home = Home::new();
    let server = serve(&home);
    libsql.runs(&[server.http(), NAME]);
    assert!(home.database(NAME).exists());
    server.stop();
    let server = serve_impatiently(&home);
    libsql.runs(&[server.http(), LEFT, "expiry"]);
    server.stop();
}
