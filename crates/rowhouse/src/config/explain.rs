//! Why an option has its value: the layer that set it, and what that layer overrode.
use super::error::ConfigError;
use super::kind::Kind;
use super::layers::{Layers, Origin};
use super::opt::Opt;
use super::options::OPTIONS;
use super::show::quoted;
use std::fmt::Write as _;
use toml::Value;

/// Explains one option: its value, who set it over what, what it takes and what it says.
///
/// The key may also be written as a flag or as a variable of the environment.
///
/// # Errors
///
/// When there is no such option.
pub fn explain(layers: &Layers, key: &str) -> Result<String, ConfigError> {
    let named = || OPTIONS.iter().find(|option| option.flag().eq_ignore_ascii_case(key));
    match Opt::find(&Opt::plain(key)).or_else(named).or_else(|| Opt::called(key)) {
        Some(option) => Ok(describe(layers, option)),
        None => Err(ConfigError::Unknown {
            key: key.to_owned(),
            origin: Origin::Flag("config explain".to_owned()),
        }),
    }
}

/// Explains every option that somebody set.
pub fn explain_changed(layers: &Layers) -> String {
    let changed = OPTIONS.iter().filter(|option| layers.origin(option.key) != Origin::Default);
    let described: Vec<_> = changed.map(|option| describe(layers, option)).collect();
    if described.is_empty() {
        return "every option is at its default\n".to_owned();
    }
    described.join("\n")
}

fn describe(layers: &Layers, option: &Opt) -> String {
    let mut out = String::new();
    let mut values = layers.all(option.key).rev();
    match values.next() {
        None => writeln!(out, "{} is not set", option.key),
        Some((value, origin)) => {
            writeln!(out, "{} = {}", option.key, shown(option, &value)).expect("into memory");
            writeln!(out, "  set    {origin}")
        }
    }
    .expect("into memory");
    for (value, origin) in values {
        writeln!(out, "  over   {} ({origin})", shown(option, &value)).expect("into memory");
    }
    writeln!(out, "  takes  {}", option.kind.expected()).expect("into memory");
    writeln!(out, "  says   {}", option.about).expect("into memory");
    if let Some(also) = option.also {
        writeln!(out, "  also   {also} in the environment and in .env").expect("into memory");
    }
    let when = if option.live { "while the server runs" } else { "with a restart" };
    writeln!(out, "  change {when}").expect("into memory");
    out
}

/// A value as it would stand in a file, whichever layer it comes from.
fn shown(option: &Opt, value: &Value) -> String {
    match (value, option.kind) {
        (value, kind) if kind.is_secret() => super::postgres::shown(value, kind).to_string(),
        // JSON in the environment and on the command line.
        (Value::String(text), Kind::DatabaseMap) => text.clone(),
        (Value::String(text), _) => quoted(option, text),
        (value, _) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn layers() -> Layers {
        let mut layers = Layers::new();
        layers.command("sqlite-multi-server", &[("tcp_address", "tcp://0.0.0.0:5000")]);
        layers.toml("max_connections = 7\nauto_connect = true\n", Path::new("a.toml")).expect("valid");
        let variable = ("ROWHOUSE_MAX_CONNECTIONS".to_owned(), "8".to_owned());
        layers.environment([variable]).expect("valid");
        layers.flag("max_connections", "9", "--max-connections");
        layers
    }

    #[test]
    fn a_value_is_explained_from_the_layer_in_force_down_to_the_default() {
        let said = explain(&layers(), "max_connections").expect("a known option");
        assert_eq!(
            said,
            "max_connections = 9\n  \
               set    from --max-connections\n  \
               over   8 (ROWHOUSE_MAX_CONNECTIONS in the environment)\n  \
               over   7 (in a.toml)\n  \
               over   20 (by default)\n  \
               takes  a whole number from 1 to 1000000\n  \
               says   The most databases opened by name that are open at once.\n  \
               change while the server runs\n"
        );
    }

    #[test]
    fn the_key_may_be_written_as_a_flag_or_a_variable() {
        let said = explain(&layers(), "max_connections").expect("a known option");
        for key in ["--max-connections", "max-connections", "ROWHOUSE_MAX_CONNECTIONS"] {
            assert_eq!(explain(&layers(), key).expect("a known option"), said, "{key}");
        }
        let said = explain(&layers(), "LIMIT").expect("as the command line calls it");
        assert!(said.starts_with("client_limit = 1000\n"), "{said}");
    }

    #[test]
    fn what_nobody_set_is_at_its_default_or_not_set() {
        let said = explain(&layers(), "pool_size").expect("a known option");
        assert!(said.starts_with("pool_size = 100\n  set    by default\n  takes"), "{said}");
        let said = explain(&layers(), "data_directory").expect("a known option");
        assert!(said.starts_with("data_directory is not set\n  takes  a path\n"), "{said}");
    }

    #[test]
    fn without_a_key_all_that_was_set_is_explained_and_nothing_else() {
        let said = explain_changed(&layers());
        let keys: Vec<_> = said.lines().filter(|line| !line.starts_with(' ') && !line.is_empty()).collect();
        assert_eq!(
            keys,
            ["tcp_address = \"tcp://0.0.0.0:5000\"", "auto_connect = true", "max_connections = 9"]
        );
        assert!(said.contains("  set    by default of sqlite-multi-server\n"), "{said}");
        assert_eq!(explain_changed(&Layers::new()), "every option is at its default\n");
    }

    #[test]
    fn an_unknown_key_gets_a_suggestion() {
        let error = explain(&layers(), "max_conections").expect_err("no such option").to_string();
        assert!(error.contains("did you mean \"max_connections\"?"), "{error}");
    }
}
