//! What the configuration means for backups, and the rule that they lie apart from databases.
use super::error::ConfigError;
use super::layers::Layers;
use super::meant::{absolute, positive};
use rowhouse_gateway::{Catalog, Plan};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

/// How backups are made; `None` when there is no place for them.
pub(super) fn plan(
    layers: &Layers,
    data_directory: Option<&Path>,
    catalog: &Catalog,
) -> Result<Option<Plan>, ConfigError> {
    let (interval, keep) = (layers.duration("backup_interval")?, positive(layers.integer("backup_keep")?));
    let Some(directory) = layers.text("backup_dir")?.map(|path| real(&absolute(Path::new(&path)))) else {
        return Ok(None);
    };
    if directory.exists() && !directory.is_dir() {
        let origin = layers.origin("backup_dir");
        return Err(ConfigError::Conflict(format!(
            "--backup-dir ({origin}) is a file: give it a directory, which is made where there is none"
        )));
    }
    if let Some(data) = data_directory {
        let data = real(data);
        if within(&data, &directory) || within(&directory, &data) {
            return Err(ConfigError::Conflict(format!(
                "--backup-dir ({}) and --data-directory ({}) must be apart, neither inside the other: give --backup-dir another directory, best on another disk",
                layers.origin("backup_dir"),
                layers.origin("data_directory"),
            )));
        }
    }
    for spec in catalog.configured().filter(|spec| spec.location.0 != ":memory:") {
        if within(&real(Path::new(&spec.location.0)), &directory) {
            return Err(ConfigError::Conflict(format!(
                "a database of --default-database or --database-map lies inside --backup-dir ({}): give --backup-dir another directory",
                layers.origin("backup_dir"),
            )));
        }
    }
    Ok(Some(Plan { directory, interval, keep }))
}

/// The path without links, as far as it exists; what is missing would be made as it is written.
pub(super) fn real(path: &Path) -> PathBuf {
    let mut real = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(real.pop()),
            part => real.push(part),
        }
        if let Ok(existing) = real.canonicalize() {
            real = existing;
        }
    }
    real
}

/// Whether `inner` is `outer` or lies inside it, also where one directory has two paths.
pub(super) fn within(inner: &Path, outer: &Path) -> bool {
    let identity = |path: &Path| path.metadata().ok().map(|about| (about.dev(), about.ino()));
    let outside = identity(outer);
    inner.starts_with(outer) || inner.ancestors().any(|above| outside.is_some() && identity(above) == outside)
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;
    use std::os::unix::fs::symlink;

    fn resolve(data: &Path, backups: &Path) -> Result<Option<Plan>, String> {
        let mut layers = Layers::new();
        layers.code("data_directory", data.to_str().expect("UTF-8"));
        layers.code("backup_dir", backups.to_str().expect("UTF-8"));
        layers.code("default_database", "system.db");
        Config::resolve(&layers).map(|config| config.backups).map_err(|error| error.to_string())
    }

    #[test]
    fn backups_and_data_lie_apart_also_through_links() {
        let home = tempfile::tempdir().expect("a directory");
        let at = |name: &str| home.path().join(name);
        std::fs::create_dir_all(at("data/inner")).expect("writable");
        symlink(at("data"), at("link")).expect("writable");
        symlink(at("data/inner"), at("deep")).expect("writable");
        for (data, backups) in [
            ("data", "data"),
            ("data", "data/backups"),
            ("data/inner", "data"),
            ("data", "link"),
            ("link", "data/new/backups"),
            ("data", "deep/backups"),
            ("link/inner", "data"),
            ("new", "new/backups"),
            ("data", "other/../data"),
        ] {
            let message = resolve(&at(data), &at(backups)).expect_err(backups);
            assert!(message.contains("--backup-dir") && message.contains("--data-directory"), "{message}");
        }
        let plan = resolve(&at("data"), &at("backups")).expect("apart").expect("there is a place");
        assert_eq!(plan.keep.get(), 3);
        assert!(resolve(&at("data"), &at("data-backups")).is_ok());
        std::fs::write(at("file"), "").expect("writable");
        let message = resolve(&at("data"), &at("file")).expect_err("no directory");
        assert!(message.contains("--backup-dir") && message.contains("is a file"), "{message}");
    }

    #[test]
    fn no_configured_database_lies_among_the_backups() {
        let home = tempfile::tempdir().expect("a directory");
        let mut layers = Layers::new();
        layers.code("backup_dir", home.path().join("backups").to_str().expect("UTF-8"));
        layers.code("default_database", home.path().join("backups/x.db").to_str().expect("UTF-8"));
        let message = Config::resolve(&layers).expect_err("inside").to_string();
        assert!(message.contains("--backup-dir") && message.contains("--default-database"), "{message}");
    }
}
