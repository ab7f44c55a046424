//! `sqlite-multi-server`, also `sqlite-multiprocess-server`: the command of that name of sqlite_rx, with its flags
//! and its defaults, over the same server.
use super::encryption::Encryption;
use super::lower;
use clap::{ArgAction, Args, ValueEnum};
use rowhouse::config::{ConfigError, Layers};

/// The names under which this program is that command.
pub(crate) const NAMES: [&str; 2] = ["sqlite-multi-server", "sqlite-multiprocess-server"];

/// Where that command's defaults are not those of the table of options.
const DEFAULTS: &[(&str, &str)] = &[
    ("tcp_address", "tcp://0.0.0.0:5000"),
    // That command has no such port, and several of it may run on one machine.
    ("management", "false"),
    ("http", "false"),
];

/// Serve many SQLite databases to sqlite_rx clients until SIGTERM or SIGINT.
#[derive(Debug, Args)]
pub(crate) struct MultiServer {
    /// What is logged, by Python's names [default: INFO]
    #[arg(long, short, value_name = "LEVEL", ignore_case = true)]
    log_level: Option<Level>,
    /// Where clients are served [default: tcp://0.0.0.0:5000]
    #[arg(long, short = 'a', value_name = "ADDRESS")]
    tcp_address: Option<String>,
    /// The database of requests that name none [default: :memory:]
    #[arg(long, short, value_name = "DATABASE")]
    default_database: Option<String>,
    /// Databases by name that are always open, in JSON [default: {}]
    #[arg(long, short = 'm', value_name = "JSON")]
    database_map: Option<String>,
    /// Accepted and ignored: databases have no processes, so no ports
    #[arg(long, short = 'p', value_name = "PORT")]
    base_port: Option<u16>,
    /// Where databases opened by name live, and the server's state
    #[arg(long, value_name = "DIRECTORY")]
    data_directory: Option<String>,
    /// Where backups lie, apart from the data directory; without it none are made
    #[arg(long, short, value_name = "DIRECTORY")]
    backup_dir: Option<String>,
    /// How often every database that has changed is backed up, in seconds or as 10m [default: 600]
    #[arg(long, short = 'i', value_name = "TIME")]
    backup_interval: Option<String>,
    /// Open databases in the data directory by name
    #[arg(long, overrides_with = "no_auto_connect")]
    auto_connect: bool,
    /// Open configured databases only [default]
    #[arg(long, overrides_with = "auto_connect")]
    no_auto_connect: bool,
    /// Create missing databases; needs --auto-connect
    #[arg(long, overrides_with = "no_auto_create")]
    auto_create: bool,
    /// Create no databases [default]
    #[arg(long, overrides_with = "auto_create")]
    no_auto_create: bool,
    /// The most databases opened by name that are open at once [default: 20]
    #[arg(long, value_name = "COUNT", allow_hyphen_values = true)]
    max_connections: Option<String>,
    #[command(flatten)]
    encryption: Encryption,
    /// Print version
    #[arg(long, short = 'v', action = ArgAction::Version)]
    version: Option<bool>,
}

/// Python's names of log levels.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "UPPER")]
enum Level {
    Critical,
    Fatal,
    Error,
    Warn,
    Warning,
    Info,
    Debug,
    Notset,
}

// === impl MultiServer ===

impl MultiServer {
    /// Collects every layer: defaults, the command's, file, `.env`, environment, flags.
    pub(crate) fn layers(&self) -> Result<Layers, ConfigError> {
        let mut layers = Layers::new();
        layers.command(NAMES[0], DEFAULTS);
        lower(&mut layers, None)?;
        let level = self.log_level.map(|level| level.filter().to_owned());
        let texts = [
            ("log_level", &level, "--log-level"),
            ("tcp_address", &self.tcp_address, "--tcp-address"),
            ("default_database", &self.default_database, "--default-database"),
            ("database_map", &self.database_map, "--database-map"),
            ("data_directory", &self.data_directory, "--data-directory"),
            ("backup_dir", &self.backup_dir, "--backup-dir"),
            ("backup_interval", &self.backup_interval, "--backup-interval"),
            ("max_connections", &self.max_connections, "--max-connections"),
        ];
        for (key, value, flag) in texts {
            if let Some(text) = value {
                layers.flag(key, text, flag);
            }
        }
        let switches = [
            ("auto_connect", self.auto_connect, "true", "--auto-connect"),
            ("auto_connect", self.no_auto_connect, "false", "--no-auto-connect"),
            ("auto_create", self.auto_create, "true", "--auto-create"),
            ("auto_create", self.no_auto_create, "false", "--no-auto-create"),
        ];
        for (key, given, value, flag) in switches {
            if given {
                layers.flag(key, value, flag);
            }
        }
        self.encryption.flags(&mut layers);
        Ok(layers)
    }

    /// What the operator should know of the flags.
    pub(crate) fn notices(&self) -> Vec<String> {
        let port = self.base_port.map(|port| {
            format!("--base-port {port} is deprecated and ignored: databases have no processes, so no ports; leave it out")
        });
        port.into_iter().collect()
    }
}

// === impl Level ===

impl Level {
    /// The filter that lets through what Python's logging would.
    fn filter(self) -> &'static str {
        match self {
            // Nothing is logged above an error.
            Self::Critical | Self::Fatal | Self::Error => "error",
            Self::Warn | Self::Warning => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Notset => "trace",
        }
    }
}
