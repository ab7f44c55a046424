//! The table of options, as an example file and as documentation.
use super::kind::Kind;
use super::opt::Opt;
use super::options::OPTIONS;
use std::fmt::Write as _;

/// A configuration file with every option at its default, commented out where there is none.
pub fn example() -> String {
    let mut out = String::from(
        "# rowhouse configuration. Every option, at its default. Layers, the later over the earlier:\n\
         # defaults, --dev, this file, .env, environment (ROWHOUSE_*), command line.\n",
    );
    for option in OPTIONS {
        write!(out, "\n# {}\n# Takes {}.\n", option.about, option.kind.expected()).expect("into memory");
        let line = match (option.default, option.kind) {
            ("", kind) => format!("# {} = {}", option.key, sample(option.key, kind)),
            (default, _) => format!("{} = {}", option.key, quoted(option, default)),
        };
        writeln!(out, "{line}").expect("into memory");
    }
    out
}

/// The table of options, in Markdown.
pub fn table() -> String {
    let mut out = String::from(
        "| option | flag | default | takes | changes at run time | what it says |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for option in OPTIONS {
        let also = option.also.map_or(String::new(), |also| format!(" Also `{also}` in the environment."));
        let default =
            if option.default.is_empty() { "none".to_owned() } else { format!("`{}`", option.default) };
        writeln!(
            out,
            "| `{}` | `{}` | {} | {} | {} | {}{also} |",
            option.key,
            option.flag(),
            default,
            option.kind.expected(),
            if option.live { "yes" } else { "" },
            option.about
        )
        .expect("into memory");
    }
    out
}

/// A value as it stands in a file.
pub(super) fn quoted(option: &Opt, default: &str) -> String {
    match option.kind {
        Kind::Boolean | Kind::Integer(..) | Kind::DatabaseMap | Kind::DsnMap => default.to_owned(),
        _ => format!("{default:?}"),
    }
}

fn sample(key: &str, kind: Kind) -> &'static str {
    match kind {
        Kind::Dsn if key == "results_db_template" => "\"postgresql://mad@localhost/mad_results_{org_id}\"",
        Kind::Dsn if key == "admin_url" => "\"postgresql://mad@localhost/postgres\"",
        Kind::Dsn => "\"postgresql://mad@localhost/mad\"",
        Kind::Path if key == "postgres_secret_file" => "\"./postgres.secret\"",
        Kind::Path if key == "postgres_programs" => "\"/usr/lib/postgresql/17/bin\"",
        Kind::Integer(1, 10_000) => "100",
        Kind::Path if key == "backup_dir" => "\"./backups\"",
        Kind::Path if key == "management_token_file" => "\"./tokens\"",
        Kind::Path if matches!(key, "management_tls_cert" | "http_tls_cert") => "\"./cert.pem\"",
        Kind::Path if matches!(key, "management_tls_key" | "http_tls_key") => "\"./key.pem\"",
        Kind::Integer(0, 65535) => "10090",
        Kind::Integer(..) => "100000",
        Kind::Bytes(..) => "\"64MiB\"",
        Kind::Address => "\"tcp://127.0.0.1:5000\"",
        Kind::KeyId => "\"id_server_curve\"",
        Kind::Socket => "\"127.0.0.1:9090\"",
        Kind::Ip => "\"127.0.0.1\"",
        Kind::Texts => "\"https://issuer.example.com\"",
        Kind::Origins => "\"https://app.example.com\"",
        Kind::Hosts => "\"db.example.com\"",
        _ => "\"./data\"",
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Layers};
    use super::*;
    use std::path::Path;

    #[test]
    fn the_example_means_the_defaults() {
        let mut layers = Layers::new();
        layers.toml(&example(), Path::new("example.toml")).expect("valid");
        let written = format!("{:?}", Config::resolve(&layers).expect("valid"));
        let default = format!("{:?}", Config::resolve(&Layers::new()).expect("valid"));
        assert_eq!(written, default);
    }

    #[test]
    fn the_documentation_has_every_error_code() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors.md");
        let page = std::fs::read_to_string(path).expect("docs/errors.md");
        for code in rowhouse_types::ErrorCode::ALL {
            let line = format!("| `{code}` | {} |", code.meaning().trim());
            assert!(page.contains(&line), "docs/errors.md lacks: {line}");
        }
    }

    #[test]
    fn the_documentation_has_the_table_of_the_code() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/options.md");
        let page = std::fs::read_to_string(path).expect("docs/options.md");
        assert!(page.contains(&table()), "docs/options.md is old: write `rowhouse config table` into it");
    }
}
