//! `rowhouse keygen`: make keys for encryption, and say where their copies go.
use super::lower;
use clap::{Args, ValueEnum};
use rowhouse::config::{ConfigError, Layers, key_files};
use rowhouse::curve::{KeyFiles, Side};
use std::io::Write;
use std::path::PathBuf;

/// The command of sqlite_rx that this is.
pub(super) const NAME: &str = "curve-keygen";

/// Make a pair of keys for encryption, a client's or the server's.
#[derive(Debug, Args)]
pub(crate) struct Keygen {
    /// Whose keys
    #[arg(long, value_enum, default_value_t = Mode::Client)]
    mode: Mode,
    /// A configuration file (TOML) that says where the keys are; also ROWHOUSE_CONFIG
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The directory of the keys [default: ~/.curve]
    #[arg(long, short, value_name = "DIRECTORY")]
    curve_dir: Option<String>,
    /// The name of the files without their endings [default: id_MODE_HOSTNAME_curve]
    #[arg(long, short, value_name = "ID")]
    key_id: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Mode {
    Client,
    Server,
}

impl Keygen {
    /// Makes the keys.
    pub(crate) fn run(&self, out: &mut impl Write) -> anyhow::Result<()> {
        let files = self.files()?;
        files.make()?;
        writeln!(out, "{} (public)", files.public().display())?;
        writeln!(out, "{} (secret: give it to nobody)", files.secret().display())?;
        self.advise(&files, out)?;
        Ok(())
    }

    fn files(&self) -> Result<KeyFiles, ConfigError> {
        let mut layers = Layers::new();
        lower(&mut layers, self.config.as_deref())?;
        if let Some(directory) = &self.curve_dir {
            layers.flag("curve_dir", directory, "--curve-dir");
        }
        if let Some(id) = &self.key_id {
            layers.flag("key_id", id, "--key-id");
        }
        key_files(&layers, self.mode.side())
    }

    fn advise(&self, files: &KeyFiles, out: &mut impl Write) -> std::io::Result<()> {
        let (directory, clients) = (files.directory().display(), files.clients());
        let public = files.public();
        let name = public.file_name().unwrap_or_default().to_string_lossy();
        match self.mode {
            Mode::Client => {
                writeln!(out, "copy {name} into {} of the server's key directory,", KeyFiles::CLIENTS)?;
                writeln!(out, "and the server's public key (id_server_..._curve.key) into {directory}")
            }
            Mode::Server => {
                let id = name.trim_end_matches(".key");
                writeln!(out, "copy {name} to each client, into its key directory (~/.curve),")?;
                writeln!(out, "and the public key of each client into {}", clients.display())?;
                writeln!(out, "then: rowhouse start --curvezmq --zap --curve-dir {directory} --key-id {id}")
            }
        }
    }
}

impl Mode {
    fn side(self) -> Side {
        match self {
            Self::Client => Side::Client,
            Self::Server => Side::Server,
        }
    }
}
