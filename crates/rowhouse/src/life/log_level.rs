//! What is logged, changed while the process runs.
use std::fmt;
use std::sync::{Arc, Mutex};
use tracing_subscriber::EnvFilter;

/// What is logged. Cloning yields another handle.
#[derive(Clone)]
pub struct LogLevel {
    state: Arc<Mutex<State>>,
}

struct State {
    filter: String,
    /// Puts a filter in force; `None` while nobody logs, as in a library.
    put: Option<Put>,
}

type Put = Box<dyn Fn(EnvFilter) + Send>;

/// A log filter makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("log_level must be a filter such as info or rowhouse=debug, not {0:?}")]
pub struct BadFilter(pub String);

// === impl LogLevel ===

impl LogLevel {
    /// What is logged from the start; `put` is called with each filter that comes after it.
    ///
    /// # Errors
    ///
    /// When it is no filter.
    pub fn new(filter: &str, put: impl Fn(EnvFilter) + Send + 'static) -> Result<Self, BadFilter> {
        parse(filter)?;
        Ok(Self::with(filter, Some(Box::new(put))))
    }

    /// For a process that does its own logging: what is asked for is remembered and told, no more.
    pub fn detached(filter: &str) -> Self {
        Self::with(filter, None)
    }

    fn with(filter: &str, put: Option<Put>) -> Self {
        Self { state: Arc::new(Mutex::new(State { filter: filter.to_owned(), put })) }
    }

    /// The filter in force.
    pub fn get(&self) -> String {
        self.state.lock().expect("never panics while locked").filter.clone()
    }

    /// Puts another filter in force; it is when this returns.
    ///
    /// # Errors
    ///
    /// When it is no filter; the old one is still in force then.
    pub fn set(&self, filter: &str) -> Result<(), BadFilter> {
        let parsed = parse(filter)?;
        let mut state = self.state.lock().expect("never panics while locked");
        if let Some(put) = &state.put {
            put(parsed);
        }
        filter.clone_into(&mut state.filter);
        Ok(())
    }
}

impl fmt::Debug for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogLevel").field(&self.get()).finish()
    }
}

/// Reads a filter, which may be a level or name modules.
///
/// # Errors
///
/// When it is none.
pub fn parse(filter: &str) -> Result<EnvFilter, BadFilter> {
    EnvFilter::try_new(filter).map_err(|_| BadFilter(filter.to_owned()))
}
