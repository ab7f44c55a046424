//! What a process finds around it: the file that is named, `.env` in the working directory, the environment.
use super::error::ConfigError;
use super::layers::{Layers, dot_env};
use std::path::Path;

impl Layers {
    /// Puts over these what is found around the process: `file`, or else the one that `ROWHOUSE_CONFIG` names;
    /// `.env`; the environment.
    ///
    /// # Errors
    ///
    /// When one of them cannot be read, or names an option that there is not.
    pub fn surroundings(&mut self, file: Option<&Path>) -> Result<(), ConfigError> {
        let (near, variables) = (dot_env(Path::new(".env"))?, environment()?);
        let named = variables.iter().chain(&near).find(|(name, _)| name == "ROWHOUSE_CONFIG");
        if let Some(path) = file.or(named.map(|(_, path)| Path::new(path))) {
            self.file(path)?;
        }
        self.dot_env(near)?;
        self.environment(variables)
    }
}

fn environment() -> Result<Vec<(String, String)>, ConfigError> {
    let mut variables = Vec::new();
    for (name, value) in std::env::vars_os() {
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => variables.push((name, value)),
            (Ok(name), Err(_)) if name.starts_with("ROWHOUSE_") => {
                return Err(ConfigError::Conflict(format!("{name} in the environment is not UTF-8")));
            }
            // Other programs' variables are no business of ours.
            _ => {}
        }
    }
    Ok(variables)
}
