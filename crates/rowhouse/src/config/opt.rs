//! One option of the table.
use super::kind::Kind;
use super::options::OPTIONS;

/// One option.
#[derive(Clone, Copy, Debug)]
pub struct Opt {
    /// The key in the file; in the environment it is `ROWHOUSE_` and the key in capitals.
    pub key: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// The default, as one would write it; empty for none.
    pub default: &'static str,
    /// What it says, in one sentence.
    pub about: &'static str,
    /// Whether it changes while the server runs; else a restart is needed.
    pub live: bool,
    /// A second name in the environment and in `.env`, if it has one.
    pub also: Option<&'static str>,
}

pub(super) const fn opt(key: &'static str, kind: Kind, default: &'static str, about: &'static str) -> Opt {
    Opt { key, kind, default, about, live: false, also: None }
}

impl Opt {
    /// The option, which changes while the server runs.
    pub(super) const fn live(mut self) -> Self {
        self.live = true;
        self
    }

    /// The option, which has a second name in the environment, one that other programs know too.
    pub(super) const fn also(mut self, name: &'static str) -> Self {
        self.also = Some(name);
        self
    }

    /// The option with this key.
    pub fn find(key: &str) -> Option<&'static Self> {
        OPTIONS.iter().find(|option| option.key == key)
    }

    /// The option with this second name.
    pub fn called(name: &str) -> Option<&'static Self> {
        OPTIONS.iter().find(|option| option.also == Some(name))
    }

    /// The key that a person meant who wrote it as a flag or as a variable of the environment.
    pub fn plain(written: &str) -> String {
        let key = written.trim_start_matches('-').to_lowercase().replace('-', "_");
        key.strip_prefix("rowhouse_").unwrap_or(&key).to_owned()
    }

    /// Its flag, or what stands for it, on the command line of `rowhouse start`.
    pub fn flag(&self) -> String {
        match self.key {
            "port" => "PORT".to_owned(),
            "client_limit" => "LIMIT".to_owned(),
            key => format!("--{}", key.replace('_', "-")),
        }
    }
}
