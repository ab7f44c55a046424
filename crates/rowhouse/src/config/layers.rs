//! Configuration as written: every key's value, the layer it comes from, and what that layer overrode.
use super::error::ConfigError;
use super::kind::Kind;
use super::opt::Opt;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use toml::Value;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A command that has defaults of its own.
    Command(&'static str),
    /// `--dev`.
    Dev,
    /// A file.
    File(PathBuf),
    /// The file `.env` in the working directory.
    DotEnv(String),
    /// The environment.
    Environment(String),
    /// The command line.
    Flag(String),
    /// The program that this library is part of.
    Code,
    /// Changed while the server runs, by whom.
    RunTime(String),
}

/// Configuration as written.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// Of each key all values, the one in force last.
    values: BTreeMap<&'static str, Vec<(Value, Origin)>>,
    /// What an operator should know of what was read.
    warnings: Vec<String>,
    /// No option: which program it is, is known to nobody but the program.
    worker_program: Option<PathBuf>,
}

/// What `--dev` asks for.
const DEV: &[(&str, &str)] = &[
    ("tcp_address", "tcp://127.0.0.1:5000"),
    ("data_directory", "./rowhouse-data"),
    ("auto_connect", "true"),
    ("auto_create", "true"),
];

const PREFIX: &str = "ROWHOUSE_";

/// What the second names of options begin with.
const SECOND: &str = "DB_";

impl Layers {
    /// Nothing but defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells which program a worker is.
    pub fn set_worker_program(&mut self, program: PathBuf) {
        self.worker_program = Some(program);
    }

    pub(super) fn worker_program(&self) -> Option<&Path> {
        self.worker_program.as_deref()
    }

    /// Adds what `--dev` asks for.
    pub fn dev(&mut self) {
        self.known(DEV, &Origin::Dev);
    }

    /// Adds the defaults that the command of that name has instead of those in the table of options.
    ///
    /// # Panics
    ///
    /// When a key is none of the table.
    pub fn command(&mut self, name: &'static str, defaults: &[(&str, &str)]) {
        self.known(defaults, &Origin::Command(name));
    }

    fn known(&mut self, pairs: &[(&str, &str)], origin: &Origin) {
        for (key, text) in pairs {
            let option = Opt::find(key).expect("a known option");
            self.push(option.key, Value::String((*text).to_owned()), origin.clone());
        }
    }

    /// Adds a file's values.
    pub fn file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        self.toml(&text, path)
    }

    /// Adds a file's values, read already.
    pub fn toml(&mut self, text: &str, path: &Path) -> Result<(), ConfigError> {
        let table: toml::Table = toml::from_str(text)
            .map_err(|source| ConfigError::Syntax { path: path.to_owned(), source: Box::new(source) })?;
        for (key, value) in table {
            self.put(&key, value, Origin::File(path.to_owned()))?;
        }
        Ok(())
    }

    /// Adds what `.env` says.
    pub fn dot_env(
        &mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        self.variables(variables, Origin::DotEnv)
    }

    /// Adds the environment's values.
    pub fn environment(
        &mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        self.variables(variables, Origin::Environment)
    }

    /// Second names first: where both are given, the first one is over the other.
    fn variables(
        &mut self,
        variables: impl IntoIterator<Item = (String, String)>,
        origin: fn(String) -> Origin,
    ) -> Result<(), ConfigError> {
        let (own, others): (Vec<_>, Vec<_>) =
            variables.into_iter().partition(|(name, _)| name.starts_with(PREFIX));
        for (name, text) in others.into_iter().filter(|(name, _)| name.starts_with(SECOND)) {
            match Opt::called(&name) {
                Some(option) => self.push(option.key, Value::String(text), origin(name)),
                None => self.warnings.push(unknown_second(&name, &origin(name.clone()))),
            }
        }
        own.into_iter().try_for_each(|(name, text)| self.variable(&name, text, origin(name.clone())))
    }

    fn variable(&mut self, name: &str, text: String, origin: Origin) -> Result<(), ConfigError> {
        match name.strip_prefix(PREFIX) {
            // The one that names the file itself.
            None | Some("CONFIG") => Ok(()),
            Some(key) => match Opt::find(&key.to_lowercase()) {
                Some(option) => self.put(option.key, Value::String(text), origin),
                None => Err(ConfigError::Unknown { key: name.to_owned(), origin }),
            },
        }
    }

    /// What an operator should know of what was read.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Adds one value, as text, from the command line.
    pub fn flag(&mut self, key: &'static str, text: impl Into<String>, flag: impl Into<String>) {
        debug_assert!(Opt::find(key).is_some());
        self.push(key, Value::String(text.into()), Origin::Flag(flag.into()));
    }

    /// Adds one value by its key as a person wrote it.
    pub fn set(&mut self, key: &str, text: &str) -> Result<(), ConfigError> {
        self.put(key, Value::String(text.to_owned()), Origin::Flag(format!("--set {key}")))
    }

    /// Adds one value from a program.
    pub fn code(&mut self, key: &'static str, text: impl Into<String>) {
        debug_assert!(Opt::find(key).is_some());
        self.push(key, Value::String(text.into()), Origin::Code);
    }

    /// Changes one option while the server runs: over all layers, in place of an earlier such change.
    ///
    /// # Panics
    ///
    /// When there is no such option.
    pub fn run_time(&mut self, key: &str, value: Value, by: &str) {
        self.forget_run_time(key);
        let option = Opt::find(key).expect("a known option");
        self.push(option.key, value, Origin::RunTime(by.to_owned()));
    }

    /// Undoes what was changed while the server runs: the value beneath is in force again.
    pub fn forget_run_time(&mut self, key: &str) {
        if let Some(values) = self.values.get_mut(key) {
            values.retain(|(_, origin)| !matches!(origin, Origin::RunTime(_)));
        }
    }

    /// What was changed while the server runs, and by whom.
    pub fn changed_at_run_time(&self, key: &str) -> Option<(Value, String)> {
        match self.get(key) {
            Some((value, Origin::RunTime(by))) => Some((value, by)),
            _ => None,
        }
    }

    /// Takes one option with all its values from `others`.
    ///
    /// # Panics
    ///
    /// When there is no such option.
    pub fn take(&mut self, key: &str, others: &Self) {
        let option = Opt::find(key).expect("a known option");
        match others.values.get(key) {
            Some(values) => self.values.insert(option.key, values.clone()),
            None => self.values.remove(key),
        };
    }

    fn put(&mut self, key: &str, value: Value, origin: Origin) -> Result<(), ConfigError> {
        let Some(option) = Opt::find(key) else {
            return Err(ConfigError::Unknown { key: key.to_owned(), origin });
        };
        self.push(option.key, value, origin);
        Ok(())
    }

    fn push(&mut self, key: &'static str, value: Value, origin: Origin) {
        // A table is one value, later layers replace it whole.
        self.values.entry(key).or_default().push((value, origin));
    }

    /// The value of an option as written, and where from; `None` where nobody set it and there is no default.
    pub fn get(&self, key: &str) -> Option<(Value, Origin)> {
        self.all(key).next_back()
    }

    /// Every value of an option, each over the one before it: the first is the default, the last is in force.
    pub fn all(&self, key: &str) -> impl DoubleEndedIterator<Item = (Value, Origin)> {
        let default = Opt::find(key).expect("a known option").default;
        let default = (!default.is_empty()).then(|| (Value::String(default.to_owned()), Origin::Default));
        default.into_iter().chain(self.values.get(key).into_iter().flatten().cloned())
    }

    /// Where an option's value comes from.
    pub fn origin(&self, key: &str) -> Origin {
        self.get(key).map_or(Origin::Default, |(_, origin)| origin)
    }
}

/// Other programs have such variables too: it may be a slip, or none of ours.
fn unknown_second(name: &str, origin: &Origin) -> String {
    let seconds = super::OPTIONS.iter().filter_map(|option| option.also);
    let near = seconds.map(|second| (strsim::jaro_winkler(name, second), second));
    let nearest = near.max_by(|(a, _), (b, _)| a.total_cmp(b)).filter(|(likeness, _)| 0.9 < *likeness);
    let hint = nearest.map_or(String::new(), |(_, second)| format!("; did you mean {second}?"));
    format!("{origin} is no option, and is not heeded{hint}")
}

/// The variables in a file such as `.env`; none if there is no such file.
///
/// # Errors
///
/// When it cannot be read, or is none. The error repeats nothing of it but names, for the file may hold
/// other programs' secrets.
pub fn dot_env(path: &Path) -> Result<Vec<(String, String)>, ConfigError> {
    let mut read: Vec<(String, String)> = Vec::new();
    let pairs = match dotenvy::from_path_iter(path) {
        Ok(pairs) => pairs,
        Err(error) if error.not_found() => return Ok(read),
        Err(error) => return Err(unreadable(error, None)),
    };
    for pair in pairs {
        read.push(pair.map_err(|error| unreadable(error, read.last()))?);
    }
    Ok(read)
}

fn unreadable(error: dotenvy::Error, last: Option<&(String, String)>) -> ConfigError {
    match error {
        dotenvy::Error::Io(source) => ConfigError::DotEnvUnreadable(source),
        _ => ConfigError::DotEnvSyntax { after: last.map(|(name, _)| name.clone()) },
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("by default"),
            Self::Command(name) => write!(f, "by default of {name}"),
            Self::Dev => f.write_str("from --dev"),
            Self::File(path) => write!(f, "in {}", path.display()),
            Self::DotEnv(name) => write!(f, "{name} in .env"),
            Self::Environment(name) => write!(f, "{name} in the environment"),
            Self::Flag(flag) => write!(f, "from {flag}"),
            Self::Code => f.write_str("set by the program"),
            Self::RunTime(by) => write!(f, "changed at run time by {by}"),
        }
    }
}

impl Kind {
    /// What values it takes, in words.
    pub fn expected(self) -> String {
        match self {
            Self::Boolean => "true or false".to_owned(),
            Self::Integer(low, high) => format!("a whole number from {low} to {high}"),
            Self::Duration => "a time such as 500ms or 30s, from 1ms to 1day".to_owned(),
            Self::Bytes(low, high) => format!("a size such as 64MiB, from {low} to {high} bytes"),
            Self::Word(words) => format!("one of {}", words.join(", ")),
            Self::Path => "a path".to_owned(),
            Self::Database => "a file or :memory:".to_owned(),
            Self::DatabaseMap => {
                "a table of names (A-Z a-z 0-9 _ -, at most 64) and files or :memory:, in JSON such as {\"users\": \"users.db\"}".to_owned()
            }
            Self::Address => "an address such as tcp://127.0.0.1:5000".to_owned(),
            Self::Filter => "a log filter such as info or rowhouse=debug".to_owned(),
            Self::KeyId => "the name of key files without .key, without / and not beginning with a dot".to_owned(),
            Self::Socket => "an address such as 127.0.0.1:9090".to_owned(),
            Self::Ip => "an IP address such as 127.0.0.1".to_owned(),
            Self::Hosts => "names of hosts, separated by commas".to_owned(),
            Self::Texts => "texts, separated by commas".to_owned(),
            Self::Origins => "origins such as https://app.example.com, separated by commas, or *".to_owned(),
            Self::Words(words) => format!("some of {}, separated by commas", words.join(", ")),
            Self::Service => "1 to 64 characters of A-Z a-z 0-9 . _ -".to_owned(),
            Self::Dsn => "a DSN such as postgresql://user:password@localhost/database".to_owned(),
            Self::DsnMap => {
                "a table of labels (a-z 0-9 _ -, at most 32) and DSNs, in JSON such as {\"second\": \"postgresql://user@localhost:5433/postgres\"}".to_owned()
            }
        }
    }
}
