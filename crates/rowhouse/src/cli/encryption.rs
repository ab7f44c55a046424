//! The flags of encryption, which every command that serves or asks a server has.
use clap::Args;
use rowhouse::config::Layers;

#[derive(Debug, Args)]
pub(super) struct Encryption {
    /// Encrypt sqlite_rx (CURVE) and serve no other clients; needs keys, see `rowhouse keygen`
    #[arg(long, overrides_with = "no_curvezmq")]
    curvezmq: bool,
    /// Do not encrypt [default]
    #[arg(long, overrides_with = "curvezmq")]
    no_curvezmq: bool,
    /// Serve only clients whose public keys are in authorized_clients; needs --curvezmq
    #[arg(long, overrides_with = "no_zap")]
    zap: bool,
    /// Serve clients whatever their key [default]
    #[arg(long, overrides_with = "zap")]
    no_zap: bool,
    /// Where the key files are [default: ~/.curve]
    #[arg(long, short, value_name = "DIRECTORY")]
    curve_dir: Option<String>,
    /// The server's key files without their endings [default: id_server_HOSTNAME_curve]
    #[arg(long, short, value_name = "ID")]
    key_id: Option<String>,
}

// === impl Encryption ===

impl Encryption {
    /// Puts what was given over `layers`.
    pub(super) fn flags(&self, layers: &mut Layers) {
        let texts = [("curve_dir", &self.curve_dir, "--curve-dir"), ("key_id", &self.key_id, "--key-id")];
        for (key, value, flag) in texts {
            if let Some(text) = value {
                layers.flag(key, text, flag);
            }
        }
        let switches = [
            ("curvezmq", self.curvezmq, "true", "--curvezmq"),
            ("curvezmq", self.no_curvezmq, "false", "--no-curvezmq"),
            ("zap", self.zap, "true", "--zap"),
            ("zap", self.no_zap, "false", "--no-zap"),
        ];
        for (key, given, value, flag) in switches {
            if given {
                layers.flag(key, value, flag);
            }
        }
    }
}
