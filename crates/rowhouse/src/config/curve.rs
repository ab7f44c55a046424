//! Encryption as configured: where the key files are, and whose keys are let in.
use super::error::ConfigError;
use super::layers::{Layers, Origin};
use rowhouse_protocol_sqlite_rx::curve::{KeyFiles, Side};
use std::path::{Path, PathBuf};

/// Encryption as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Curve {
    /// The server's key files.
    pub keys: KeyFiles,
    /// Whether only clients are let in whose keys are in the directory's `authorized_clients`.
    pub listed_only: bool,
}

impl Curve {
    /// What the layers mean; `None` without encryption.
    ///
    /// # Errors
    ///
    /// When a value is not one its option takes, or two options do not go together.
    pub fn resolve(layers: &Layers) -> Result<Option<Self>, ConfigError> {
        let listed_only = layers.boolean("zap")?;
        if layers.boolean("curvezmq")? {
            return Ok(Some(Self { keys: key_files(layers, Side::Server)?, listed_only }));
        }
        // A wrong name is told whether or not it is used.
        layers.key_id("key_id")?;
        if listed_only {
            return Err(ConfigError::Conflict(format!(
                "ZAP requires CurveZMQ(use_encryption = True) to be enabled: --zap is on ({}) and --curvezmq is off ({}); give --curvezmq, or --no-zap",
                layers.origin("zap"),
                layers.origin("curvezmq"),
            )));
        }
        Ok(None)
    }
}

/// Where the key files of one side are. A key id is the server's, unless it comes from the command line.
///
/// # Errors
///
/// When a value is not one its option takes, or `~` leads nowhere.
pub fn key_files(layers: &Layers, side: Side) -> Result<KeyFiles, ConfigError> {
    let directory = layers.text("curve_dir")?.expect("an option with a default");
    let key_id = layers.key_id("key_id")?;
    let meant = side == Side::Server || matches!(layers.origin("key_id"), Origin::Flag(_));
    let key_id = key_id.filter(|_| meant);
    let directory = beneath_home(&directory).ok_or_else(|| {
        ConfigError::Conflict(format!(
            "curve_dir {directory} ({}) needs a home directory, and there is none: set HOME, or give --curve-dir",
            layers.origin("curve_dir")
        ))
    })?;
    Ok(KeyFiles::new(super::meant::absolute(&directory), key_id.unwrap_or_else(|| side.key_id())))
}

/// The path that is meant, where a leading `~` is the home directory.
fn beneath_home(path: &str) -> Option<PathBuf> {
    match path.strip_prefix('~') {
        Some("") => home(),
        Some(rest) if rest.starts_with('/') => Some(home()?.join(rest.trim_start_matches('/'))),
        _ => Some(Path::new(path).to_owned()),
    }
}

fn home() -> Option<PathBuf> {
    std::env::home_dir().filter(|home| !home.as_os_str().is_empty())
}
