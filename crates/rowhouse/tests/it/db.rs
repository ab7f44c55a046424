//! `rowhouse db` on a data directory without a server, and what it says without either.
use crate::support::{Home, Operator, Python, Server, ended};

#[test]
fn databases_are_created_listed_and_dropped_without_a_server() {
    let home = Home::new();
    let db = |words: &[&str]| home.ends(0, &[&["db"], words, &["--data-directory", "data"]].concat());
    assert_eq!(db(&["create", "b"]), "Success: Database b created\n");
    assert_eq!(db(&["create", "a"]), "Success: Database a created\n");
    assert_eq!(db(&["list"]), "Known Databases: 2\nNAME\na\nb\n");
    assert_eq!(db(&["drop", "b", "--yes"]), "Success: Database b dropped\n");
    assert_eq!(home.listing(), ["a.db"]);
    let listed: serde_json::Value = serde_json::from_str(&db(&["list", "--json"])).expect("JSON");
    assert_eq!((&listed["known"], &listed["databases"][0]["name"]), (&1.into(), &"a".into()));
}

#[test]
fn what_is_done_without_a_server_is_recorded_and_leaves_no_limits_behind() {
    let operator = Operator::start("rowhouse", "10", &["--auto-connect", "--auto-create"]);
    operator.prints("set -e\nrowhouse db create a --port 9090\nrowhouse db limit a 7 --port 9090");
    let Operator { home, server } = operator;
    server.stop();
    home.ends(0, &["db", "drop", "a", "--yes", "--data-directory", "data"]);
    home.ends(0, &["db", "create", "a", "--data-directory", "data"]);
    let audit = home.ends(0, &["audit", "--data-directory", "data", "--json"]);
    for action in ["drop_database", "create_database"] {
        let told = |line: &&str| line.contains(action) && line.contains("uid ") && line.contains("\"cli\"");
        assert!(audit.lines().any(|line| told(&line)), "no {action} in {audit}");
    }
    let server = Server::start(&home, &["--auto-connect"]);
    let operator = Operator { home, server };
    let limit = operator.prints("rowhouse db limit a --port 9090");
    assert!(!limit.contains("Current Limit: 7\n"), "{limit}");
}

#[test]
fn what_is_there_is_not_made_and_what_is_not_there_is_not_dropped() {
    let home = Home::new();
    let directory = ["--data-directory", "data"];
    home.ends(0, &[&["db", "create", "a"][..], &directory].concat());
    for (words, said) in [
        (&["create", "a"][..], "error: database a exists already"),
        (&["create", "A"], "but for the case of letters"),
        (&["drop", "b", "--yes"], "error: there is no database b"),
    ] {
        let said_in_fact = home.ends(1, &[&["db"], words, &directory].concat());
        assert!(said_in_fact.contains(said), "{words:?}: {said_in_fact}");
    }
    let said = home.ends(1, &["db", "list", "--data-directory", "elsewhere"]);
    assert!(said.contains("does not exist") && !home.path().join("elsewhere").exists(), "{said}");
    home.write("rowhouse.toml", "database_map = { users = \"users.db\" }\n");
    for words in [&["create", "users"][..], &["drop", "users", "--yes"]] {
        let said = home.ends(1, &[&["db"], words, &directory, &["--config", "rowhouse.toml"]].concat());
        assert!(said.contains("database users is configured"), "{said}");
    }
    assert_eq!(home.listing(), ["a.db"]);
}

#[test]
fn a_directory_that_a_server_uses_is_the_servers() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    for words in [&["list"][..], &["create", "a"], &["drop", "a", "--yes"]] {
        let said = home.ends(1, &[&["db"], words, &["--data-directory", "data"]].concat());
        assert!(said.contains("another rowhouse process uses the data directory"), "{said}");
    }
    server.stop();
    assert!(home.listing().is_empty());
}

#[test]
fn nothing_is_dropped_unasked() {
    let home = Home::new();
    home.ends(0, &["db", "create", "a", "--data-directory", "data"]);
    let said = home.ends(2, &["db", "drop", "a", "--data-directory", "data"]);
    assert!(said.contains("give --yes"), "{said}");
    assert_eq!(home.listing(), ["a.db"]);
    let Some(python) = Python::find() else { return };
    // On a terminal, as a person at one: the name is to be typed.
    let terminal = "import os, pty, sys\n\
        pid, terminal = pty.fork()\n\
        if pid == 0: os.execv(sys.argv[1], sys.argv[1:2] + sys.argv[3:])\n\
        os.write(terminal, (sys.argv[2] + '\\n').encode())\n\
        try:\n    \
            while said := os.read(terminal, 4096): os.write(1, said)\n\
        except OSError: pass\n\
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n";
    for (answer, code, left) in [("yes", 1, &["a.db"][..]), ("a", 0, &[])] {
        let binary = env!("CARGO_BIN_EXE_rowhouse");
        let words = ["-c", terminal, binary, answer, "db", "drop", "a", "--data-directory", "data"];
        let said = ended(code, home.program(python.path(), &words));
        assert!(said.contains("type a to go on"), "{said}");
        assert_eq!(home.listing(), left);
    }
}

#[test]
fn without_a_server_the_documented_line_comes_first() {
    let home = Home::new();
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("it is bound").port().to_string();
    drop(listener);
    for words in [
        &["db", "list"][..],
        &["db", "show", "a"],
        &["db", "create", "a"],
        &["db", "drop", "a", "--yes"],
        &["db", "limit", "a", "-5"],
        &["db", "limits", "a", "requests_per_second=5"],
        &["db", "checkpoint", "~default"],
        &["top", "--once"],
    ] {
        let said = home.ends(1, &[words, &["--management-port", &port]].concat());
        assert!(
            said.starts_with("Error: Failed to connect to management server: connection refused\n"),
            "{words:?}: {said}"
        );
    }
}

#[test]
fn words_that_make_no_sense_ask_nobody() {
    let home = Home::new();
    for (words, said) in [
        (&["show", "../a"][..], "names no database"),
        (&["show", "a/limit"], "names no database"),
        (&["limit", "a", "many"], "takes a number, or +N or -N"),
        (&["limits", "a", "requests_per_second"], "takes KEY=VALUE"),
        (&["evict", "a", "--data-directory", "data"], "only list, create and drop"),
        (&["drop", "~default", "--yes", "--data-directory", "data"], "neither created nor dropped"),
        (&["list", "--data-directory", "data", "--port", "9090"], "cannot be used with"),
    ] {
        let said_in_fact = home.ends(2, &[&["db"], words].concat());
        assert!(said_in_fact.contains(said), "{words:?}: {said_in_fact}");
    }
}
