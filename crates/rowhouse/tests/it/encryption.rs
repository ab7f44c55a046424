//! Encryption: keys made, found, refused, and who is served with them.
use crate::support::{Home, Python, Server, finish, text};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

/// A home with the server's keys, made by the binary itself.
struct Keyed {
    home: Home,
    curve_dir: String,
}

impl Keyed {
    fn new() -> Self {
        let home = Home::new();
        let curve_dir = home.path().join("curve");
        let curve_dir = curve_dir.to_str().expect("temporary directories have plain names").to_owned();
        home.ends(0, &["keygen", "--mode", "server", "--key-id", "id_server", "--curve-dir", &curve_dir]);
        Self { home, curve_dir }
    }

    fn file(&self, name: &str) -> PathBuf {
        PathBuf::from(&self.curve_dir).join(name)
    }

    /// A server with these keys and flags.
    fn start(&self, flags: &[&str]) -> Server {
        self.start_as("id_server", flags)
    }

    /// A server with other keys in the same directory.
    fn start_as(&self, key_id: &str, flags: &[&str]) -> Server {
        let keys = ["--curve-dir", &self.curve_dir, "--key-id", key_id, "--auto-connect", "--auto-create"];
        Server::start(&self.home, &[&keys[..], flags].concat())
    }

    /// What the binary says when it refuses to start with these keys.
    fn refuses(&self, code: i32, flags: &[&str]) -> String {
        self.refuses_as("id_server", code, flags)
    }

    fn refuses_as(&self, key_id: &str, code: i32, flags: &[&str]) -> String {
        let start = ["start", "0", "--tcp-address", "tcp://127.0.0.1:0", "--curve-dir", &self.curve_dir];
        let said = self.home.ends(code, &[&start[..], &["--key-id", key_id], flags].concat());
        assert!(!said.contains("panicked"), "{said}");
        said
    }

    /// The secret itself.
    fn secret(&self) -> String {
        let text = fs::read_to_string(self.file("id_server.key_secret")).expect("keygen wrote it");
        text.rsplit('"').nth(1).expect("a key in quotes").to_owned()
    }
}

#[test]
fn only_authorized_keys_are_served_and_revoked_ones_no_longer() {
    let Some(python) = Python::find() else { return };
    let keyed = Keyed::new();
    let server = keyed.start(&["--curvezmq", "--zap"]);
    python.script("curve.py", &["listed", server.address(), &keyed.curve_dir]);
    let said = text(&server.end(rustix::process::Signal::TERM));
    assert!(said.contains("its key is not among the authorized clients"), "{said}");
    assert!(!said.contains(&keyed.secret()), "{said}");
}

#[test]
fn without_a_list_any_key_is_served_but_no_plain_client() {
    let Some(python) = Python::find() else { return };
    let keyed = Keyed::new();
    let server = keyed.start(&["--curvezmq"]);
    python.script("curve.py", &["any", server.address(), &keyed.curve_dir]);
}

#[test]
fn a_plain_server_gives_encrypted_clients_nothing() {
    let Some(python) = Python::find() else { return };
    let keyed = Keyed::new();
    let server = keyed.start(&[]);
    python.script("curve.py", &["plain", server.address(), &keyed.curve_dir]);
}

#[test]
fn a_crowd_of_strangers_costs_authorized_clients_no_request() {
    let Some(python) = Python::find() else { return };
    let keyed = Keyed::new();
    // Nobody's time runs out: who waits at the door leaves for others only.
    let server = keyed.start(&["--curvezmq", "--zap", "--set", "handshake_timeout=1h"]);
    python.script("crowd.py", &[server.address(), &keyed.curve_dir]);
    server.stop();
}

#[test]
fn an_encrypted_server_tells_its_health_to_who_has_its_keys() {
    let keyed = Keyed::new();
    let server = keyed.start(&["--curvezmq", "--zap"]);
    let ask = ["health", "-a", server.address(), "--curve-dir", &keyed.curve_dir, "--key-id", "id_server"];
    let said = keyed.home.ends(0, &[&ask[..], &["--curvezmq", "--zap"]].concat());
    assert!(said.contains("databases opened by name are open"), "{said}");
    keyed.home.ends(1, &ask);
    let strangers = Keyed::new();
    let arguments = ["health", "-a", server.address(), "--curvezmq", "--curve-dir", &strangers.curve_dir];
    keyed.home.ends(1, &[&arguments[..], &["--key-id", "id_server"]].concat());
}

#[test]
fn the_commands_of_sqlite_rx_take_the_flags_of_encryption() {
    let home = Home::new();
    let make = |mode| {
        finish(home.command_as("curve-keygen", mode).env("HOME", home.path()).spawn().expect("a link"))
    };
    for mode in [&["--mode", "server"][..], &["--mode=client"]] {
        assert!(make(mode).status.success(), "{}", text(&make(mode)));
        assert_eq!(make(mode).status.code(), Some(1), "keys are never overwritten");
    }
    let flags = ["-a", "tcp://127.0.0.1:0", "--curvezmq", "--zap", "-c", ".curve"];
    let server = Server::run(&home, home.command_as("sqlite-multiprocess-server", &flags));
    let ask = ["health", "-a", server.address(), "--curvezmq", "--curve-dir", ".curve"];
    home.ends(0, &ask);
    let refused =
        finish(home.command_as("sqlite-multi-server", &["--zap", "-k", "x"]).spawn().expect("a link"));
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
}

#[test]
fn keys_are_made_once_and_never_overwritten() {
    let keyed = Keyed::new();
    let before = fs::read(keyed.file("id_server.key_secret")).expect("keygen wrote it");
    let arguments = ["keygen", "--mode", "server", "--key-id", "id_server", "--curve-dir", &keyed.curve_dir];
    let said = keyed.home.ends(1, &arguments);
    assert!(said.contains("id_server.key_secret exists"), "{said}");
    assert_eq!(fs::read(keyed.file("id_server.key_secret")).expect("it is there"), before);
    for (file, mode) in [("", 0o700), ("authorized_clients", 0o700), ("id_server.key", 0o600)] {
        let found = keyed.file(file).metadata().expect("keygen made it").permissions().mode() & 0o7777;
        assert_eq!(found, mode, "{file}");
    }
    keyed.home.ends(2, &["keygen", "--mode", "other", "--curve-dir", &keyed.curve_dir]);
    keyed.home.ends(2, &["keygen", "--key-id", "../id", "--curve-dir", &keyed.curve_dir]);
}

#[test]
fn the_public_package_reads_the_keys_and_its_own_keys_are_read() {
    let Some(python) = Python::find() else { return };
    let keyed = Keyed::new();
    let read = "import sys, zmq.auth; p, s = zmq.auth.load_certificate(sys.argv[1]); \
                q, _ = zmq.auth.load_certificate(sys.argv[2]); import zmq; assert p == q == zmq.curve_public(s)";
    let (secret, public) = (keyed.file("id_server.key_secret"), keyed.file("id_server.key"));
    python.succeeds(&["-c".as_ref(), read.as_ref(), secret.as_os_str(), public.as_os_str()]);
    let make = "import sys, os; from sqlite_rx.auth import KeyGenerator; d, k = sys.argv[1:]; \
                os.umask(0o077); KeyGenerator(key_id=k, destination_dir=d).generate()";
    python.succeeds(&["-c".as_ref(), make.as_ref(), keyed.curve_dir.as_ref(), "theirs".as_ref()]);
    keyed.start_as("theirs", &["--curvezmq"]).stop();
}

#[test]
fn zap_needs_curvezmq() {
    let keyed = Keyed::new();
    for flags in [&["--zap"][..], &["--zap", "--no-curvezmq"], &["--curvezmq", "--zap", "--no-curvezmq"]] {
        let said = keyed.refuses(2, flags);
        assert!(said.contains("ZAP requires CurveZMQ(use_encryption = True) to be enabled"), "{said}");
    }
    keyed.start(&["--zap", "--no-zap"]).stop();
}

#[test]
fn missing_keys_say_how_to_make_them() {
    let keyed = Keyed::new();
    let said = keyed.refuses_as("nobody", 1, &["--curvezmq"]);
    assert!(said.contains("nobody.key_secret") && said.contains("rowhouse keygen --mode server"), "{said}");
    fs::remove_dir(keyed.file("authorized_clients")).expect("it is empty");
    let said = keyed.refuses(1, &["--curvezmq", "--zap"]);
    assert!(said.contains("authorized_clients") && said.contains("0700"), "{said}");
    keyed.start(&["--curvezmq"]).stop();
}

#[test]
fn keys_that_are_open_or_damaged_are_refused_and_never_shown() {
    let keyed = Keyed::new();
    let (path, secret) = (keyed.file("id_server.key_secret"), keyed.secret());
    fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("it is ours");
    let said = keyed.refuses(1, &["--curvezmq"]);
    assert!(said.contains("chmod 600") && said.contains("id_server.key_secret"), "{said}");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("it is ours");
    let other = Keyed::new();
    let good = fs::read_to_string(&path).expect("keygen wrote it");
    for (bad, why) in [
        (good.replace(&secret, &other.secret()), "does not belong to its secret key"),
        (good.replace(&secret, &secret[1..]), "not 40 characters of Z85"),
        (String::new(), "secret-key"),
    ] {
        fs::write(&path, bad).expect("it is ours");
        let said = keyed.refuses(1, &["--curvezmq"]);
        assert!(said.contains("id_server.key_secret") && said.contains(why), "{said}");
        assert!(!said.contains(&secret[1..]) && !said.contains(&other.secret()), "{said}");
    }
    fs::write(&path, good).expect("it is ours");
    fs::copy(other.file("id_server.key"), keyed.file("id_server.key")).expect("a copy");
    let said = keyed.refuses(1, &["--curvezmq"]);
    assert!(said.contains("id_server.key ") && said.contains("does not belong"), "{said}");
}

#[test]
fn an_empty_list_and_one_that_others_may_change_are_warned_of() {
    let keyed = Keyed::new();
    let said = text(&keyed.start(&["--curvezmq", "--zap"]).end(rustix::process::Signal::TERM));
    assert!(said.contains("no client is authorized"), "{said}");
    let clients = keyed.file("authorized_clients");
    fs::set_permissions(&clients, Permissions::from_mode(0o777)).expect("it is ours");
    let said = text(&keyed.start(&["--curvezmq", "--zap"]).end(rustix::process::Signal::TERM));
    assert!(said.contains("chmod 700"), "{said}");
}
