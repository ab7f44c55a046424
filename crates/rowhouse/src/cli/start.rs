//! `rowhouse start`: serve databases.
use super::encryption::Encryption;
use super::others::Others;
use super::{Program, lower, shibudb};
use clap::{ArgAction, Args};
use rowhouse::config::{ConfigError, Layers};
use std::path::PathBuf;

/// What whoever names a main port asks for, where nothing else says who is served.
pub(super) const SERVED: &[(&str, &str)] = &[("tcp_address", "tcp://127.0.0.1:5000")];

#[derive(Debug, Args)]
pub(crate) struct Start {
    /// The main port, on which HTTP is served [default: 9090]
    port: Option<String>,
    /// The most clients connected at once, over all listeners [default: 1000]
    limit: Option<String>,
    #[command(flatten)]
    options: Options,
    /// As which program it was called.
    #[arg(skip)]
    pub(super) program: Program,
}

/// What `start` and the commands that look at its configuration take.
///
/// Values are texts here: the table of options says what each takes, for every layer alike.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Serve all there is on loopback, create databases by name under ./rowhouse-data
    #[arg(long)]
    dev: bool,
    /// A configuration file (TOML); also ROWHOUSE_CONFIG
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Serve sqlite_rx clients here, such as tcp://127.0.0.1:5000
    #[arg(long, short = 'a', value_name = "ADDRESS")]
    tcp_address: Option<String>,
    /// Where databases opened by name live, and the server's state
    #[arg(long, value_name = "DIRECTORY")]
    data_directory: Option<String>,
    /// The database of requests that name none [default: :memory:]
    #[arg(long, short, value_name = "DATABASE")]
    default_database: Option<String>,
    /// Databases by name that are always open, in JSON such as {"users": "users.db"}
    #[arg(long, short = 'm', value_name = "JSON")]
    database_map: Option<String>,
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
    /// What SQL may do: sqlite-rx (no DELETE, no DROP, PRAGMA ignored) or standard [default: sqlite-rx]
    #[arg(long, value_name = "POLICY")]
    sql_policy: Option<String>,
    #[command(flatten)]
    encryption: Encryption,
    /// What is logged: error, warn, info, debug, trace, or a filter by module [default: info]
    #[arg(long, short, value_name = "FILTER")]
    log_level: Option<String>,
    /// Any option of the table in docs/options.md by its key; each has a flag too, see --help
    #[arg(long = "set", value_name = "KEY=VALUE", action = ArgAction::Append)]
    set: Vec<String>,
    #[command(flatten)]
    others: Others,
}

impl Start {
    /// The defaults of this command, as it is called.
    fn beneath(&self) -> Layers {
        let mut layers = match self.program {
            Program::Rowhouse => Layers::new(),
            Program::Shibudb => shibudb::layers(),
        };
        if self.port.is_some() {
            layers.command("rowhouse start PORT", SERVED);
        }
        layers
    }

    /// Collects every layer: defaults, `--dev`, file, `.env`, environment, flags.
    pub(crate) fn layers(&self) -> Result<Layers, ConfigError> {
        let mut layers = self.beneath();
        self.options.over(&mut layers)?;
        for (key, value, name) in [("port", &self.port, "PORT"), ("client_limit", &self.limit, "LIMIT")] {
            if let Some(text) = value {
                layers.flag(key, text, name);
            }
        }
        Ok(layers)
    }
}

impl Options {
    /// Collects every layer.
    pub(crate) fn layers(&self) -> Result<Layers, ConfigError> {
        let mut layers = Layers::new();
        self.over(&mut layers)?;
        Ok(layers)
    }

    /// Puts every layer over `layers`.
    fn over(&self, layers: &mut Layers) -> Result<(), ConfigError> {
        if self.dev {
            layers.dev();
        }
        lower(layers, self.config.as_deref())?;
        self.flags(layers)
    }

    fn flags(&self, layers: &mut Layers) -> Result<(), ConfigError> {
        for pair in &self.set {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            layers.set(key, value)?;
        }
        let texts = [
            ("tcp_address", &self.tcp_address, "--tcp-address"),
            ("data_directory", &self.data_directory, "--data-directory"),
            ("backup_dir", &self.backup_dir, "--backup-dir"),
            ("backup_interval", &self.backup_interval, "--backup-interval"),
            ("default_database", &self.default_database, "--default-database"),
            ("database_map", &self.database_map, "--database-map"),
            ("max_connections", &self.max_connections, "--max-connections"),
            ("sql_policy", &self.sql_policy, "--sql-policy"),
            ("log_level", &self.log_level, "--log-level"),
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
        self.encryption.flags(layers);
        self.others.flags(layers);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Cli, Command, program};
    use super::*;
    use clap::Parser as _;
    use rowhouse::config::{Kind, OPTIONS, Opt, Origin};
    use std::collections::BTreeSet;

    /// What sets an option on the command line of `start`, as clap knows it.
    fn known() -> BTreeSet<String> {
        let program = program("rowhouse");
        let start = program.find_subcommand("start").expect("a command");
        let flags = start.get_opts().filter_map(|flag| Some(format!("--{}", flag.get_long()?)));
        let places = start.get_positionals().filter_map(|place| place.get_value_names());
        flags.chain(places.flatten().map(ToString::to_string)).collect()
    }

    #[test]
    fn the_flags_of_the_table_are_those_of_the_command_line() {
        let told: BTreeSet<_> = OPTIONS.iter().map(Opt::flag).collect();
        let more =
            ["--config", "--dev", "--no-auto-connect", "--no-auto-create", "--no-curvezmq", "--no-zap"];
        let more = more.into_iter().chain(["--set"]).map(str::to_owned);
        assert_eq!(known(), told.into_iter().chain(more).collect());
    }

    #[test]
    fn a_main_port_alone_asks_for_a_listener_beneath_all_that_is_said() {
        let address = |words: &[&str]| {
            let words = [&["rowhouse", "start"], words].concat();
            let Command::Start(start) = Cli::try_parse_from(words).expect("a command").command else {
                panic!("start is start")
            };
            start.beneath().get("tcp_address").map(|(value, origin)| (value.to_string(), origin))
        };
        assert_eq!(address(&[]), None);
        let (address, origin) = address(&["9090", "1000"]).expect("a listener");
        assert_eq!(address, "\"tcp://127.0.0.1:5000\"");
        assert_eq!(origin, Origin::Command("rowhouse start PORT"));
    }

    #[test]
    fn a_flag_that_says_yes_alone_takes_no_other_flag_for_its_value() {
        for option in OPTIONS.iter().filter(|option| option.kind == Kind::Boolean) {
            let words = ["rowhouse", "start", &option.flag(), "--max-connections", "7"];
            let Command::Start(start) = Cli::try_parse_from(words).expect("two flags").command else {
                panic!("start is start")
            };
            // Not those of the environment, which is this test's.
            let mut layers = Layers::new();
            start.options.flags(&mut layers).expect("two flags");
            assert_eq!(layers.origin(option.key), Origin::Flag(option.flag()));
            assert_eq!(layers.origin("max_connections"), Origin::Flag("--max-connections".to_owned()));
            assert!(start.port.is_none(), "{}", option.flag());
        }
    }

    #[test]
    fn each_flag_sets_its_own_option() {
        for option in OPTIONS.iter().filter(|option| option.flag().starts_with("--")) {
            let flag = option.flag();
            let value = (option.kind != Kind::Boolean).then_some("x");
            let words = ["rowhouse", "start", &flag].into_iter().chain(value);
            let Command::Start(start) = Cli::try_parse_from(words).expect("a flag").command else {
                panic!("start is start")
            };
            let mut layers = Layers::new();
            start.options.flags(&mut layers).expect("a flag");
            let set: Vec<_> =
                OPTIONS.iter().filter(|known| layers.origin(known.key) != Origin::Default).collect();
            assert_eq!(set.iter().map(|set| set.key).collect::<Vec<_>>(), [option.key]);
            assert_eq!(layers.origin(option.key), Origin::Flag(flag));
        }
    }
}
