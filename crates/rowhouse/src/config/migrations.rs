//! What the configuration means for migrations.
use super::error::ConfigError;
use super::layers::Layers;
use super::meant::absolute;
use rowhouse_gateway::migrate::OnOpen;
use std::path::{Path, PathBuf};

/// Where migrations are, and when they are applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrations {
    /// Those of databases opened by name, absolute.
    pub organizations: Option<PathBuf>,
    /// Those of the metadata database, absolute.
    pub metadata: Option<PathBuf>,
    /// Which databases are brought to the newest schema when they are opened.
    pub on_open: OnOpen,
}

// === impl Migrations ===

impl Migrations {
    pub(super) fn resolve(layers: &Layers) -> Result<Self, ConfigError> {
        let directory = |key| layers.text(key).map(|path| path.map(|path| absolute(Path::new(&path))));
        Ok(Self {
            organizations: directory("org_migrations")?,
            metadata: directory("metadata_migrations")?,
            on_open: if layers.boolean("migrate_on_open")? { OnOpen::All } else { OnOpen::New },
        })
    }
}
