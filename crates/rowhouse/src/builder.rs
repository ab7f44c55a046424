//! A server configured in code.
use crate::config::{ConfigError, Layers};
use crate::life::Source;
use crate::server::Server;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Configures a [`Server`] in code; every option not set has its documented default.
#[derive(Clone, Debug)]
pub struct ServerBuilder {
    layers: Layers,
}

// === impl ServerBuilder ===

/// Nothing but defaults; HTTP is served, and manages the server, only if that is asked for.
impl Default for ServerBuilder {
    fn default() -> Self {
        let mut layers = Layers::new();
        layers.code("management", "false");
        layers.code("http", "false");
        Self { layers }
    }
}

impl ServerBuilder {
    /// Where sqlite_rx clients are served, such as `tcp://127.0.0.1:5000`; port 0 means any.
    #[must_use]
    pub fn bind_address(self, address: &str) -> Self {
        self.option("tcp_address", address)
    }

    /// Where HTTP clients are served, such as `127.0.0.1:9090`; port 0 means any. Unless asked for, they are not.
    #[must_use]
    pub fn http_address(self, address: &str) -> Self {
        self.option("http", "true").option("http_address", address)
    }

    /// The database of requests that name none: a file or `:memory:`.
    #[must_use]
    pub fn default_database(self, database: &str) -> Self {
        self.option("default_database", database)
    }

    /// Databases by name that are always open.
    #[must_use]
    pub fn database_map<'a>(self, map: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let map: serde_json::Map<_, _> =
            map.into_iter().map(|(name, place)| (name.to_owned(), place.into())).collect();
        self.option("database_map", &serde_json::Value::Object(map).to_string())
    }

    /// Where databases opened by name live.
    #[must_use]
    pub fn data_directory(self, path: impl AsRef<Path>) -> Self {
        self.option("data_directory", &path.as_ref().to_string_lossy())
    }

    /// Whether databases in the data directory are opened by name.
    #[must_use]
    pub fn auto_connect(self, on: bool) -> Self {
        self.option("auto_connect", &on.to_string())
    }

    /// Whether missing databases are created.
    #[must_use]
    pub fn auto_create(self, on: bool) -> Self {
        self.option("auto_create", &on.to_string())
    }

    /// The most databases opened by name that are open at once.
    #[must_use]
    pub fn max_connections(self, most: u32) -> Self {
        self.option("max_connections", &most.to_string())
    }

    /// Whether sqlite_rx is encrypted (CURVE), with the keys in `curve_dir`.
    #[must_use]
    pub fn curvezmq(self, on: bool) -> Self {
        self.option("curvezmq", &on.to_string())
    }

    /// Whether only clients are served whose public keys are in `authorized_clients`.
    #[must_use]
    pub fn zap(self, on: bool) -> Self {
        self.option("zap", &on.to_string())
    }

    /// Where the key files are.
    #[must_use]
    pub fn curve_dir(self, path: impl AsRef<Path>) -> Self {
        self.option("curve_dir", &path.as_ref().to_string_lossy())
    }

    /// The server's key files, without their endings.
    #[must_use]
    pub fn key_id(self, id: &str) -> Self {
        self.option("key_id", id)
    }

    /// Where backups lie; without it none are made.
    #[must_use]
    pub fn backup_dir(self, path: impl AsRef<Path>) -> Self {
        self.option("backup_dir", &path.as_ref().to_string_lossy())
    }

    /// How often every database that has changed is backed up.
    #[must_use]
    pub fn backup_interval(self, interval: Duration) -> Self {
        self.option("backup_interval", &interval.as_secs_f64().to_string())
    }

    /// How many backups are kept of each database.
    #[must_use]
    pub fn backup_keep(self, count: u32) -> Self {
        self.option("backup_keep", &count.to_string())
    }

    /// Whether it is managed over HTTP too, and on which port; 0 means any free one. Unless asked for, it
    /// is not: a program has the gateway itself.
    #[must_use]
    pub fn management_port(self, port: u16) -> Self {
        self.option("management", "true").option("management_port", &port.to_string())
    }

    /// The program that runs a database where databases run in processes of their own
    /// (`isolation`): `rowhouse`, or one that calls [`serve_as_worker`](crate::serve_as_worker).
    #[must_use]
    pub fn worker_program(mut self, program: impl Into<PathBuf>) -> Self {
        self.layers.set_worker_program(program.into());
        self
    }

    /// Any option by its key in the table of options.
    ///
    /// # Panics
    ///
    /// When there is no such option.
    #[must_use]
    pub fn option(mut self, key: &str, value: &str) -> Self {
        let option = crate::config::Opt::find(key).expect("an option of the table");
        self.layers.code(option.key, value);
        self
    }

    /// Checks the configuration.
    ///
    /// # Errors
    ///
    /// When a value is not one its option takes, or two options do not go together.
    pub fn build(self) -> Result<Server, ConfigError> {
        Server::new(Source::fixed(self.layers))
    }
}
