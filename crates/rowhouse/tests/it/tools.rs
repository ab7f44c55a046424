//! The commands that answer and end: explain, health, completions, manual pages.
use crate::support::{Home, Server, ended};
use std::fs;
use std::process::Command;

const NAMES: [&str; 5] =
    ["rowhouse", "sqlite-multi-server", "sqlite-multiprocess-server", "curve-keygen", "shibudb"];

#[test]
fn explain_names_each_layer_from_the_flag_down_to_the_default() {
    let home = Home::new();
    home.write("rowhouse.toml", "max_connections = 7\n");
    home.write(".env", "ROWHOUSE_MAX_CONNECTIONS=70\n");
    let flags = ["--config", "rowhouse.toml", "--set", "max_connections=8", "--max-connections", "9"];
    let mut command = home.command(&[&["config", "explain", "max_connections"], &flags[..]].concat());
    command.env("ROWHOUSE_MAX_CONNECTIONS", "700");
    let said = ended(0, command);
    let first: Vec<_> = said.lines().take(7).map(str::trim).collect();
    assert_eq!(
        first,
        [
            "max_connections = 9",
            "set    from --max-connections",
            "over   8 (from --set max_connections)",
            "over   700 (ROWHOUSE_MAX_CONNECTIONS in the environment)",
            "over   70 (ROWHOUSE_MAX_CONNECTIONS in .env)",
            "over   7 (in rowhouse.toml)",
            "over   20 (by default)",
        ]
    );
}

#[test]
fn explain_without_a_key_tells_all_that_is_not_at_its_default() {
    let home = Home::new();
    assert_eq!(home.ends(0, &["config", "explain"]).trim(), "every option is at its default");
    let said = home.ends(0, &["config", "explain", "--dev", "--set", "pool_size=3"]);
    let keys: Vec<_> = said.lines().filter(|line| line.contains(" = ")).collect();
    assert_eq!(
        keys,
        [
            "tcp_address = \"tcp://127.0.0.1:5000\"",
            "data_directory = \"./rowhouse-data\"",
            "auto_connect = true",
            "auto_create = true",
            "pool_size = 3",
        ]
    );
}

#[test]
fn explain_suggests_the_key_that_was_meant() {
    let said = Home::new().ends(2, &["config", "explain", "max-conections"]);
    assert!(said.contains("did you mean \"max_connections\"?"), "{said}");
}

#[test]
fn explain_tells_a_wrong_value_and_where_it_is_from_before_refusing_it() {
    let home = Home::new();
    let mut command = home.command(&["config", "explain", "pool_size"]);
    command.env("ROWHOUSE_POOL_SIZE", "many");
    let said = ended(2, command);
    assert!(said.starts_with("pool_size = many\n  set    ROWHOUSE_POOL_SIZE in the environment\n"), "{said}");
    assert!(said.contains("error: pool_size must be"), "{said}");
}

#[test]
fn health_is_0_with_an_answer_and_1_without() {
    let home = Home::new();
    let server = Server::start(&home, &["--auto-connect", "--max-connections", "3"]);
    let address = server.address().to_owned();
    let said = home.ends(0, &["health", "--tcp-address", &address]);
    assert!(said.contains("0 of 3 databases opened by name are open"), "{said}");
    // As in a container: the server listens everywhere, and only the environment says where.
    let mut command = home.command(&["health"]);
    command.env("ROWHOUSE_TCP_ADDRESS", address.replace("127.0.0.1", "0.0.0.0"));
    ended(0, command);
    server.stop();
    let said = home.ends(1, &["health", "-a", &address]);
    assert!(said.contains(&format!("no answer from {address}")), "{said}");
}

#[test]
fn health_waits_no_longer_than_allowed_for_what_never_answers() {
    let home = Home::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("tcp://{}", silent.local_addr().expect("it is bound"));
    let said = home.ends(1, &["health", "-a", &address, "--timeout", "50ms"]);
    assert!(said.contains("it took longer than 0.05 s"), "{said}");
    for arguments in [["health", "-a", "nowhere"], ["health", "--timeout", "soon"]] {
        home.ends(2, &arguments);
    }
}

#[test]
fn completions_of_every_shell_name_every_flag() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        for (name, word) in [
            (NAMES[0], "data-directory"),
            (NAMES[1], "base-port"),
            (NAMES[2], "base-port"),
            (NAMES[3], "curve-dir"),
        ] {
            let script = home.ends(0, &["completions", shell, name]);
            assert!(script.contains(word) && script.contains(name), "{shell}, {name}:\n{script}");
            accepted(&home, shell, &script);
        }
    }
    home.ends(2, &["completions", "bash", "no-such-program"]);
    home.ends(2, &["completions", "no-such-shell"]);
}

/// Asserts that the shell itself, where it is installed, can read the script.
fn accepted(home: &Home, shell: &str, script: &str) {
    let file = home.write("completions", script);
    if let Ok(output) = Command::new(shell).arg("-n").arg(&file).output() {
        assert!(output.status.success(), "{shell}: {}", crate::support::text(&output));
    }
}

#[test]
fn bash_completes_commands_and_flags() {
    let home = Home::new();
    for (name, words, completed) in [
        ("rowhouse", "rowhouse conf", "config"),
        ("rowhouse", "rowhouse start --data-d", "--data-directory"),
        ("rowhouse", "rowhouse config expl", "explain"),
        ("curve-keygen", "curve-keygen --curve", "--curve-dir"),
        ("sqlite-multi-server", "sqlite-multi-server --base", "--base-port"),
    ] {
        let file = home.write("completions", &home.ends(0, &["completions", "bash", name]));
        let ask = "source \"$1\"; COMP_WORDS=($2); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); \
                   function=$(complete -p \"$3\" | sed 's/.*-F \\([^ ]*\\).*/\\1/'); \
                   \"$function\" \"$3\" \"${COMP_WORDS[-1]}\" \"${COMP_WORDS[-2]}\"; echo \"${COMPREPLY[@]}\"";
        let output = Command::new("bash").args(["-c", ask, "bash"]).arg(file).args([words, name]).output();
        let said = crate::support::text(&output.expect("bash is there"));
        assert_eq!(said.trim(), completed, "{words}");
    }
}

#[test]
fn there_is_a_manual_page_for_every_command_and_it_renders() {
    let home = Home::new();
    home.ends(0, &["man", "--out", "man"]);
    let mut pages: Vec<_> = fs::read_dir(home.path().join("man")).expect("it was made").collect();
    pages.sort_by_key(|entry| entry.as_ref().expect("an entry").path());
    let names: Vec<_> = pages
        .iter()
        .map(|entry| entry.as_ref().expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    let help = home.ends(0, &["--help"]);
    let commands =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let commands: Vec<_> = commands.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(commands.contains(&"start"), "{help}");
    for command in commands.into_iter().filter(|&command| command != "help") {
        assert!(names.contains(&format!("rowhouse-{command}.1")), "no page for {command}: {names:?}");
    }
    for name in NAMES {
        assert!(names.contains(&format!("{name}.1")), "{names:?}");
    }
    for entry in pages {
        let path = entry.expect("an entry").path();
        let page = fs::read_to_string(&path).expect("a page");
        for part in [".TH ", ".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION"] {
            assert!(page.contains(part), "{} lacks {part}", path.display());
        }
        if let Ok(output) =
            Command::new("groff").args(["-man", "-Tascii", "-P-cbou", "-ww"]).arg(&path).output()
        {
            assert!(output.status.success() && output.stderr.is_empty(), "{}", crate::support::text(&output));
            assert!(String::from_utf8_lossy(&output.stdout).contains("SYNOPSIS"));
        }
    }
    let said = home.ends(0, &["man"]);
    assert_eq!(said, fs::read_to_string(home.path().join("man/rowhouse.1")).expect("a page"));
}
