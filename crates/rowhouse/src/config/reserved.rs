//! The rule that no database lies where the server's own state is: who could change that could change the
//! record of what was done.
use super::backups::{real, within};
use super::error::ConfigError;
use rowhouse_gateway::Catalog;
use std::path::Path;

/// Fails when a configured database lies in the state's directory, by whatever path.
pub(super) fn check(catalog: &Catalog, data_directory: Option<&Path>) -> Result<(), ConfigError> {
    let Some(data_directory) = data_directory else { return Ok(()) };
    let state = real(&data_directory.join(".rowhouse"));
    for spec in catalog.configured().filter(|spec| spec.location.0 != ":memory:") {
        if within(&real(Path::new(&spec.location.0)), &state) {
            let message = "a database of --default-database or --database-map lies in .rowhouse of --data-directory, where the server keeps its own state: give it another place";
            return Err(ConfigError::Conflict(message.to_owned()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Layers};
    use std::os::unix::fs::symlink;

    #[test]
    fn no_database_lies_among_the_servers_own_state_also_through_links() {
        let home = tempfile::tempdir().expect("a directory");
        let data = home.path().join("data");
        std::fs::create_dir_all(data.join(".rowhouse/tmp")).expect("writable");
        symlink(data.join(".rowhouse"), data.join("link")).expect("writable");
        let elsewhere = home.path().join("data/.rowhouse/state.db");
        let elsewhere = elsewhere.to_str().expect("UTF-8");
        for place in [
            ".rowhouse/state.db",
            "./.rowhouse/new.db",
            "link/state.db",
            "x/../.rowhouse/tmp/a.db",
            elsewhere,
        ] {
            for (key, value) in
                [("default_database", place.to_owned()), ("database_map", format!("{{\"a\": \"{place}\"}}"))]
            {
                let mut layers = Layers::new();
                layers.code("data_directory", data.to_str().expect("UTF-8"));
                layers.code(key, value);
                let error = Config::resolve(&layers).expect_err(place).to_string();
                assert!(error.contains(".rowhouse") && error.contains("give it another place"), "{error}");
            }
        }
    }
}
