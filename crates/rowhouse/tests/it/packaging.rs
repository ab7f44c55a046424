//! What packages install, and what systemd and containers make of it.
use crate::support::{Home, Server, ended, repository, text};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A file of `packaging`.
fn packaged(file: &str) -> String {
    fs::read_to_string(repository().join("packaging").join(file)).expect("a file of packaging")
}

/// Runs the script that installs, into a directory of `home`, which is returned.
fn install(home: &Home) -> PathBuf {
    let root = home.path().join("root");
    // As somebody whose own files nobody else reads.
    let mut command = Command::new("sh");
    command.args(["-c", "umask 077; exec \"$@\"", "sh"]).arg(repository().join("packaging/install.sh"));
    command.arg(env!("CARGO_BIN_EXE_rowhouse")).env("DESTDIR", &root).env("PREFIX", "/usr");
    let output = command.output().expect("a shell is there");
    assert!(output.status.success(), "{}", text(&output));
    root
}

#[test]
fn the_example_is_what_the_binary_prints() {
    let said = Home::new().ends(0, &["config", "example"]);
    assert!(
        said == packaged("rowhouse.toml"),
        "packaging/rowhouse.toml is old: write `rowhouse config example` into it"
    );
}

#[test]
fn the_install_script_puts_the_names_the_pages_and_the_unit_in_place() {
    let home = Home::new();
    let root = install(&home);
    for name in ["sqlite-multi-server", "sqlite-multiprocess-server", "curve-keygen", "shibudb"] {
        let said = ended(0, home.program(&root.join("usr/bin").join(name), &["--version"]));
        assert!(said.starts_with(name), "{said}");
    }
    for file in [
        "usr/share/man/man1/rowhouse-start.1",
        "usr/share/man/man1/sqlite-multiprocess-server.1",
        "usr/share/bash-completion/completions/sqlite-multi-server",
        "usr/share/zsh/site-functions/_rowhouse",
        "usr/share/fish/vendor_completions.d/rowhouse.fish",
        "usr/lib/systemd/system/rowhouse.service",
        "usr/lib/sysusers.d/rowhouse.conf",
    ] {
        let about = root.join(file).metadata().expect("it was installed");
        assert!(0 < about.len(), "{file}");
        assert_eq!(about.permissions().mode() & 0o777, 0o644, "{file}");
        for above in Path::new(file).ancestors().skip(1) {
            let about = root.join(above).metadata().expect("it was made");
            assert_eq!(about.permissions().mode() & 0o777, 0o755, "{}", above.display());
        }
    }
}

#[test]
fn the_installed_configuration_serves_and_is_kept_when_installed_again() {
    let home = Home::new();
    let config = install(&home).join("etc/rowhouse/rowhouse.toml");
    let path = config.to_str().expect("temporary directories have plain names");
    home.ends(0, &["config", "check", path]);
    let said = home.ends(0, &["config", "explain", "data_directory", "--config", path]);
    assert!(said.starts_with("data_directory = \"/var/lib/rowhouse\"\n"), "{said}");
    let mut command = home.command(&["start", "--config", path]);
    command.env("ROWHOUSE_TCP_ADDRESS", "tcp://127.0.0.1:0").env("ROWHOUSE_DATA_DIRECTORY", home.data());
    Server::run(&home, command).stop();
    assert_eq!(config.metadata().expect("it is there").permissions().mode() & 0o777, 0o644);
    fs::write(&config, "max_connections = 7\n").expect("it can be changed");
    fs::set_permissions(&config, Permissions::from_mode(0o600)).expect("it is ours");
    install(&home);
    assert_eq!(config.metadata().expect("it is there").permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_to_string(&config).expect("it is there"), "max_connections = 7\n");
}

/// The seconds or the words that a unit sets for a key.
fn setting<'a>(unit: &'a str, key: &str) -> &'a str {
    let line = unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("the unit says nothing of {key}"))
}

#[test]
fn the_unit_gives_the_server_time_to_drain_and_nothing_it_does_not_need() {
    let unit = packaged("systemd/rowhouse.service");
    let drain = Home::new().ends(0, &["config", "explain", "drain_timeout"]);
    let drain: u32 =
        drain.split('"').nth(1).and_then(|time| time.strip_suffix('s')?.parse().ok()).expect("seconds");
    let stop: u32 = setting(&unit, "TimeoutStopSec").parse().expect("seconds");
    assert!(drain < stop, "systemd would kill it while it drains: {stop} s, but drain_timeout is {drain} s");
    for (key, value) in [
        ("Type", "notify"),
        ("KillSignal", "SIGTERM"),
        ("Restart", "on-failure"),
        ("RestartPreventExitStatus", "2"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("StateDirectory", "rowhouse"),
        ("User", "rowhouse"),
        ("CapabilityBoundingSet", ""),
    ] {
        assert_eq!(setting(&unit, key), value, "{key}");
    }
    let users = packaged("systemd/rowhouse.sysusers");
    assert!(users.starts_with(&format!("u {} ", setting(&unit, "User"))), "{users}");
}

#[test]
fn systemd_accepts_the_unit_where_it_is_installed() {
    let home = Home::new();
    let root = install(&home);
    let unit = packaged("systemd/rowhouse.service");
    let program = root.join("usr/bin/rowhouse");
    let unit = unit.replace("/usr/bin/rowhouse", program.to_str().expect("a plain name"));
    let verify = |text: &str| -> Option<Output> {
        let file = home.write("rowhouse.service", text);
        let mut command = Command::new("systemd-analyze");
        command.arg("verify").arg(file).env("MANPATH", root.join("usr/share/man"));
        command.output().ok()
    };
    // Without systemd, what the unit says is looked at by the test above.
    let Some(good) = verify(&unit) else { return };
    assert!(good.status.success() && text(&good).is_empty(), "{}", text(&good));
    let bad = verify(&unit.replace("Restart=on-failure", "Restart=perhaps")).expect("it is there");
    assert!(text(&bad).contains("perhaps"), "it would accept anything: {}", text(&bad));
    let mut command = Command::new("systemd-analyze");
    command.args(["security", "--offline=true", "--no-pager", "--threshold=20"]);
    let exposure = command.arg(home.write("rowhouse.service", &unit)).output().expect("it is there");
    assert!(exposure.status.success(), "{}", text(&exposure));
}

/// The arguments of an instruction written as a JSON array.
fn words(containerfile: &str, instruction: &str) -> Vec<String> {
    let mut lines = containerfile.lines().filter_map(|line| line.strip_prefix(instruction));
    let array = lines.next().unwrap_or_else(|| panic!("no {instruction}"));
    serde_json::from_str(array).unwrap_or_else(|_| panic!("{instruction} is run by a shell: {array}"))
}

#[test]
fn the_container_starts_as_nobody_is_asked_for_its_health_and_stops_in_time() {
    let containerfile = packaged("container/Containerfile");
    for line in ["USER 65532:65532", "STOPSIGNAL SIGTERM", "VOLUME /var/lib/rowhouse"] {
        assert!(containerfile.lines().any(|found| found == line), "no line {line}");
    }
    let cargo = fs::read_to_string(repository().join("Cargo.toml")).expect("the workspace");
    let rust =
        cargo.split("rust-version = \"").nth(1).and_then(|rest| rest.split('"').next()).expect("an MSRV");
    assert!(containerfile.contains(&format!("rust:{rust}-")), "it is not built with Rust {rust}");

    let home = Home::new();
    let root = install(&home);
    let program = |words: &[String]| {
        let (name, arguments) = words.split_first().expect("a program");
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        home.program(&root.join("usr/bin").join(name), &arguments)
    };
    let data = home.data();
    let config = packaged("container/rowhouse.toml");
    let config = config.replace("/var/lib/rowhouse", data.to_str().expect("a plain name"));
    let config = home.write("container.toml", &config.replace(":5000", ":0"));
    let mut start = program(&[words(&containerfile, "ENTRYPOINT "), words(&containerfile, "CMD ")].concat());
    start.env("ROWHOUSE_CONFIG", &config);
    let server = Server::run(&home, start);
    let health = containerfile.lines().find(|line| line.starts_with("HEALTHCHECK ")).expect("a health check");
    let (_, health) = health.split_once(" CMD ").expect("a command");
    let mut ask = program(&words(&format!("CMD {health}"), "CMD "));
    ask.env("ROWHOUSE_CONFIG", &config).env("ROWHOUSE_TCP_ADDRESS", server.address());
    ended(0, ask);
    server.stop();
    let drain = config_of(&home, &config, "drain_timeout");
    assert_eq!(drain, "drain_timeout = \"8s\"", "docker stop waits 10 s");
}

fn config_of(home: &Home, file: &Path, key: &str) -> String {
    let file = file.to_str().expect("a plain name");
    let said = home.ends(0, &["config", "explain", key, "--config", file]);
    said.lines().next().expect("a line").to_owned()
}

/// As process 1 the kernel gives a process only the signals it handles, so that both must be.
#[test]
fn as_process_1_it_gets_its_signals_and_ends_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let home = Home::new();
        let server = Server::start(&home, &[]);
        let status = fs::read_to_string(format!("/proc/{}/status", server.pid()));
        if let Ok(status) = status {
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("a mask");
            let caught = u64::from_str_radix(caught.trim(), 16).expect("a mask");
            let bit = 1 << (signal.as_raw() - 1);
            assert_ne!(caught & bit, 0, "{signal:?} would be lost");
        }
        server.stop();

        let inside = ["--user", "--map-current-user", "--pid", "--fork", "--kill-child"];
        if !Command::new("unshare")
            .args(inside)
            .arg("true")
            .output()
            .is_ok_and(|output| output.status.success())
        {
            println!("namespaces cannot be had here: the signals that it handles were looked at");
            continue;
        }
        let start = home.command(&["start", "0", "--tcp-address", "tcp://127.0.0.1:0"]);
        let mut command = home.program(Path::new("unshare"), &inside);
        command.arg(start.get_program()).args(start.get_args());
        let server = Server::run(&home, command);
        let outside = server.pid();
        let children =
            fs::read_to_string(format!("/proc/{outside}/task/{outside}/children")).expect("procfs");
        let child: i32 = children.trim().parse().expect("one child");
        let status = fs::read_to_string(format!("/proc/{child}/status")).expect("it runs");
        let pids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).expect("its ids");
        assert_eq!(pids.split_whitespace().next_back(), Some("1"), "it is process 1 inside");
        kill_process(Pid::from_raw(child).expect("an id"), signal).expect("it runs");
        let output = server.ended();
        assert!(output.status.success(), "{signal:?}: {}", text(&output));
        assert!(text(&output).contains("stopped"), "{}", text(&output));
    }
}
