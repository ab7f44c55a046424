//! The configuration in force: read at the start, read again on demand, changed option by option.
//!
//! Invariants: everything is checked before anything changes; what needs a restart keeps the value of the
//! start; what is told is what is in force.
use super::log_level;
use crate::config::{Config, ConfigError, Layers, OPTIONS, Opt, Origin};
use rowhouse_gateway::{Action, Cause, Entry, InvalidLimit, Journal, Recording};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

/// Where the configuration is read from, at the start and each time after.
#[derive(Clone)]
pub struct Source(Arc<Read>);

type Read = dyn Fn() -> Result<Layers, ConfigError> + Send + Sync;

/// What makes changes take effect.
pub(crate) trait Effect: fmt::Debug + Send + Sync {
    /// Puts the limit of the second configuration in force, if the first has another. The recording of it.
    ///
    /// # Errors
    ///
    /// When the limit refuses it.
    fn limit(&self, change: (&Config, &Config), cause: &Cause) -> Result<Option<Recording>, Unchanged>;

    /// Puts in force what else the second configuration has otherwise than the first: nothing that was
    /// checked is refused.
    fn apply(&self, change: (&Config, &Config));

    /// The options that others change as well, with what is in force of them.
    fn changed_elsewhere(&self) -> Vec<(&'static str, Json)>;
}

/// How changes go together.
#[derive(Debug)]
enum Together {
    /// All of them, or none.
    AllOrNone,
    /// As many as can be; these cannot.
    But(Vec<Unchanged>),
}

/// An option that keeps its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unchanged {
    /// Which.
    pub key: &'static str,
    /// Why, with the value that stays in force.
    pub reason: String,
}

/// An option that has another value now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Which.
    pub key: &'static str,
    /// Its value before; null where it had none.
    pub from: Json,
    /// Its value now.
    pub to: Json,
}

/// What a change did.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What has another value now.
    pub changed: Vec<Changed>,
    /// What should have, and has not.
    pub unchanged: Vec<Unchanged>,
    /// Resolve when what was changed is safe on disk in the journal.
    pub recordings: Vec<Recording>,
}

/// Why an option cannot be changed while the server runs. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// There is no such option, a value is none it takes, or two do not go together.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The log filter makes no sense.
    #[error(transparent)]
    Filter(#[from] super::BadFilter),
    /// A limit of databases cannot be that.
    #[error(transparent)]
    Limit(#[from] InvalidLimit),
    /// What was asked for would not fit into the limit of open files.
    #[error(transparent)]
    Files(#[from] crate::OpenFilesError),
    /// The option needs a restart, or its limit refuses the value.
    #[error("{}", .0.reason)]
    Refused(Unchanged),
}

/// One option as it is in force.
#[derive(Clone, Debug)]
pub struct OptionInForce {
    /// Which.
    pub option: &'static Opt,
    /// Its value; null where it has none.
    pub value: Json,
    /// Where the value comes from.
    pub origin: Origin,
}

/// The configuration in force.
#[derive(Debug)]
pub struct InForce {
    source: Source,
    effect: Box<dyn Effect>,
    journal: Journal,
    state: Mutex<State>,
}

/// What a configuration in force is made of.
#[derive(Debug)]
pub(crate) struct InForceParts {
    pub(crate) source: Source,
    /// What was read at the start, and what it means.
    pub(crate) read: (Layers, Config),
    pub(crate) effect: Box<dyn Effect>,
    /// Where changes are recorded.
    pub(crate) journal: Journal,
}

#[derive(Debug)]
struct State {
    layers: Layers,
    config: Arc<Config>,
}

/// Who changed what was not changed here; the history of limits says who that was.
const ELSEWHERE: &str = "a change of the limit";

// === impl Source ===

impl Source {
    /// A configuration that `read` reads anew each time.
    pub fn new(read: impl Fn() -> Result<Layers, ConfigError> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// One that is always the same.
    pub fn fixed(layers: Layers) -> Self {
        Self::new(move || Ok(layers.clone()))
    }

    /// Reads it.
    ///
    /// # Errors
    ///
    /// When what is there cannot be read.
    pub fn read(&self) -> Result<Layers, ConfigError> {
        (self.0)()
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

// === impl InForce ===

impl InForce {
    /// What was read at the start is in force.
    pub(crate) fn new(parts: InForceParts) -> Self {
        let InForceParts { source, read: (layers, config), effect, journal } = parts;
        Self { source, effect, journal, state: Mutex::new(State { layers, config: Arc::new(config) }) }
    }

    /// What the options in force mean.
    pub fn config(&self) -> Arc<Config> {
        self.lock().config.clone()
    }

    /// Every option, its value and where it comes from.
    pub fn options(&self) -> Vec<OptionInForce> {
        let state = self.lock();
        let told = |option: &'static Opt| OptionInForce {
            option,
            value: json(&state.layers, option.key),
            origin: state.layers.origin(option.key),
        };
        OPTIONS.iter().map(told).collect()
    }

    /// Reads the configuration again. What was edited takes effect, also over what was changed at run
    /// time; what needs a restart is told and keeps its value.
    ///
    /// # Errors
    ///
    /// When what is read is not as it should be; nothing has changed then.
    pub fn reload(&self, cause: &Cause) -> Result<Outcome, ChangeError> {
        let mut state = self.lock();
        let outcome = self.reread(&mut state, cause);
        self.record(Action::Reload, cause, outcome.as_ref().map(Outcome::to_string));
        outcome
    }

    fn reread(&self, state: &mut State, cause: &Cause) -> Result<Outcome, ChangeError> {
        let read = self.source.read()?;
        check(&read)?;
        let mut after = read.clone();
        let mut unchanged = Vec::new();
        for option in OPTIONS {
            let key = option.key;
            if option.live {
                keep_change(key, &mut after, &state.layers);
            } else {
                if is_other(option, &read, &state.layers) {
                    unchanged.push(needs_restart(option, &json(&state.layers, key)));
                }
                after.take(key, &state.layers);
            }
        }
        self.put(state, after, (cause, Together::But(unchanged)))
    }

    /// Changes options while the server runs; null undoes what was changed so.
    ///
    /// # Errors
    ///
    /// When one of them cannot be changed so; nothing has changed then.
    pub fn change(&self, values: &BTreeMap<String, Json>, cause: &Cause) -> Result<Outcome, ChangeError> {
        let mut state = self.lock();
        let outcome = self.change_some(&mut state, values, cause);
        if let Err(error) = &outcome {
            self.record(Action::Config, cause, Err(error));
        }
        outcome
    }

    fn change_some(
        &self,
        state: &mut State,
        values: &BTreeMap<String, Json>,
        cause: &Cause,
    ) -> Result<Outcome, ChangeError> {
        let by = cause.interface.as_str();
        let mut after = state.layers.clone();
        for (key, value) in values {
            let origin = Origin::RunTime(by.to_owned());
            let option = Opt::find(key)
                .ok_or_else(|| ConfigError::Unknown { key: key.clone(), origin: origin.clone() })?;
            if !option.live {
                return Err(ChangeError::Refused(needs_restart(option, &json(&state.layers, key))));
            }
            match to_toml(value) {
                Some(value) => after.run_time(key, value, by),
                None if value.is_null() => after.forget_run_time(key),
                None => {
                    let (expected, found) = (option.kind.expected(), value.to_string());
                    return Err(ConfigError::Value { key: option.key, expected, found, origin }.into());
                }
            }
        }
        self.put(state, after, (cause, Together::AllOrNone))
    }

    /// Puts `after` in force, as far as the limits let it.
    fn put(
        &self,
        state: &mut State,
        mut after: Layers,
        (cause, together): (&Cause, Together),
    ) -> Result<Outcome, ChangeError> {
        let mut config = check(&after)?;
        if state.config.files_needed() < config.files_needed() {
            crate::open_files::check(&config)?;
        }
        // First, for it may be refused; the rest was checked.
        let limited = self.effect.limit((&state.config, &config), cause);
        let (mut recordings, unchanged) = match (limited, together) {
            (Ok(recording), Together::AllOrNone) => (Vec::from_iter(recording), Vec::new()),
            (Ok(recording), Together::But(unchanged)) => (Vec::from_iter(recording), unchanged),
            (Err(refused), Together::AllOrNone) => return Err(ChangeError::Refused(refused)),
            (Err(refused), Together::But(mut unchanged)) => {
                after.take(refused.key, &state.layers);
                config = Config::resolve(&after)?;
                unchanged.push(refused);
                (Vec::new(), unchanged)
            }
        };
        self.effect.apply((&state.config, &config));
        let differs = |option: &&Opt| json(&after, option.key) != json(&state.layers, option.key);
        let changed = OPTIONS.iter().filter(differs).map(|option| Changed {
            key: option.key,
            from: json(&state.layers, option.key),
            to: json(&after, option.key),
        });
        let changed: Vec<_> = changed.collect();
        recordings.extend(changed.iter().filter_map(|changed| self.tell(changed, cause)));
        *state = State { layers: after, config: Arc::new(config) };
        Ok(Outcome { changed, unchanged, recordings })
    }

    /// Tells of a change; that of the client limit has been told by the limit itself.
    fn tell(&self, changed: &Changed, cause: &Cause) -> Option<Recording> {
        let Changed { key, from, to } = changed;
        if *key == "client_limit" {
            return None;
        }
        let (source, by) = (cause.interface.as_str(), &cause.who);
        tracing::info!(option = key, %from, %to, source, by, "configuration changed");
        let action = if *key == "log_level" { Action::LogLevel } else { Action::Config };
        let (from, to) = (Some(format!("{key} = {from}")), Some(format!("{key} = {to}")));
        Some(self.journal.record(Entry { from, to, ..Entry::of(action, cause.clone()) }))
    }

    fn record(&self, action: Action, cause: &Cause, outcome: Result<String, &ChangeError>) {
        let (to, result) = match outcome {
            Ok(done) => (Some(done), Ok(())),
            Err(error) => (None, Err(crate::observe::chain(error))),
        };
        drop(self.journal.record(Entry { to, result, ..Entry::of(action, cause.clone()) }));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().expect("no step of a change panics");
        for (key, value) in self.effect.changed_elsewhere() {
            if json(&state.layers, key) != value {
                state.learn(key, &value);
            }
        }
        state
    }
}

// === impl Outcome ===

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} options changed", self.changed.len())?;
        match self.unchanged.len() {
            0 => Ok(()),
            kept => write!(f, ", {kept} kept as they are"),
        }
    }
}

// === impl State ===

impl State {
    /// Takes over what is in force because somebody changed it by another way.
    fn learn(&mut self, key: &'static str, value: &Json) {
        let mut layers = self.layers.clone();
        layers.run_time(key, to_toml(value).expect("what is in force has a value"), ELSEWHERE);
        // What goes with no other option alone is told by the next reload.
        if let Ok(config) = Config::resolve(&layers) {
            *self = Self { layers, config: Arc::new(config) };
        }
    }
}

/// Puts what was changed at run time over what was read, unless that was edited since.
fn keep_change(key: &'static str, read: &mut Layers, before: &Layers) {
    let Some((value, by)) = before.changed_at_run_time(key) else { return };
    let mut beneath = before.clone();
    beneath.forget_run_time(key);
    if json(read, key) == json(&beneath, key) {
        read.run_time(key, value, &by);
    }
}

/// Works out what the layers mean, and checks what is only looked at where it is used.
fn check(layers: &Layers) -> Result<Config, ChangeError> {
    let config = Config::resolve(layers)?;
    log_level::parse(&config.log_level)?;
    config.limits.database.check()?;
    Ok(config)
}

fn needs_restart(option: &Opt, value: &Json) -> Unchanged {
    let value = if value.is_null() { "not set".to_owned() } else { value.to_string() };
    let key = option.key;
    Unchanged { key: option.key, reason: format!("{key} stays {value}: to change it, restart the server") }
}

/// An option's value; null where it has none, and where it has one it does not take.
fn json(layers: &Layers, key: &str) -> Json {
    layers.value(key).ok().flatten().unwrap_or_default()
}

/// Whether an option has another value. What is not shown of a secret may differ too.
fn is_other(option: &Opt, one: &Layers, other: &Layers) -> bool {
    let written = |layers: &Layers| layers.get(option.key).map(|(value, _)| value);
    json(one, option.key) != json(other, option.key)
        || option.kind.is_secret() && written(one) != written(other)
}

fn to_toml(value: &Json) -> Option<toml::Value> {
    Some(match value {
        Json::Bool(truth) => (*truth).into(),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64()?.into(),
        },
        Json::String(text) => text.clone().into(),
        _ => return None,
    })
}

#[cfg(test)]
#[path = "in_force/tests.rs"]
mod tests;
