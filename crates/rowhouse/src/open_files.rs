//! The limit of open files: raised as far as allowed, and checked against the configuration.
use crate::config::Config;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limit of open files does not suffice.
#[derive(Debug, thiserror::Error)]
#[error(
    "the limit of open files is {limit}, but max_connections {databases} and a client limit of {clients}{} may need {needed}: raise the limit (ulimit -Hn), or lower one of them",
    if *scaled { " (autoscale_max)" } else { "" }
)]
pub struct OpenFilesError {
    limit: u64,
    needed: u64,
    databases: u32,
    clients: u32,
    scaled: bool,
}

/// Raises the soft limit of open files to the hard one, and checks that it suffices.
pub fn raise(config: &Config) -> Result<(), OpenFilesError> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    suffices(config, if raised.is_ok() { maximum } else { current })
}

/// Checks that the limit in force suffices.
pub(crate) fn check(config: &Config) -> Result<(), OpenFilesError> {
    suffices(config, getrlimit(Resource::Nofile).current)
}

/// The limit that a server would have, if it suffices.
pub(crate) fn examine(config: &Config) -> Result<String, OpenFilesError> {
    let limit = getrlimit(Resource::Nofile).maximum;
    suffices(config, limit)?;
    Ok(limit.map_or_else(|| "any number".to_owned(), |limit| limit.to_string()))
}

fn suffices(config: &Config, limit: Option<u64>) -> Result<(), OpenFilesError> {
    let needed = config.files_needed();
    match limit {
        Some(limit) if limit < needed => Err(OpenFilesError {
            limit,
            needed,
            databases: config.limits.max_connections.get(),
            clients: config.clients_most(),
            scaled: config.client_limit.get() < config.clients_most(),
        }),
        _ => Ok(()),
    }
}
