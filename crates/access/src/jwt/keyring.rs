//! All keys there are, by the name a token calls its own; exchanged while the server runs.
//!
//! Invariants: a key that is there after an exchange as before it stands as before; one that is not, stands no
//! more, and with it everybody who came in by it. What cannot be read exchanges nothing.
use super::key::{Key, NoKey, in_jwks, in_pem};
use crate::databases::{Databases, NoDatabases, Pattern};
use crate::file::{FileError, read_public};
use crate::identity::Standing;
use rowhouse_types::Target;
use std::collections::HashMap;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The most keys.
const KEYS_MAX: usize = 16_384;

/// The most keys of the server's that have no name: all of them are tried.
const NAMELESS_MAX: usize = 16;

/// The most files with keys for the beginnings of names.
const BEGINNINGS_MAX: usize = 256;

/// The most names of databases in a token that are looked up for its key.
const NAMES_MAX: usize = 4;

/// The most keys that one token is tried with.
const CANDIDATES_MAX: usize = 32;

/// Where keys lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyFiles {
    /// Of the server, in PEM.
    pub(crate) pem: Option<PathBuf>,
    /// Of the server, as a set in JSON.
    pub(crate) jwks: Option<PathBuf>,
    /// Of single databases: files called by the name, with the ending .pem, .jwks or .json.
    pub(crate) directory: Option<PathBuf>,
}

/// Why keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file cannot be.
    #[error(transparent)]
    File(#[from] FileError),
    /// The directory cannot be read.
    #[error("cannot read the directory {}", directory.display())]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others may put keys there.
    #[error(
        "others than its owner may change the directory {}, and so decide who comes in: `chmod 755` it and look at what is in it",
        .0.display()
    )]
    Changeable(PathBuf),
    /// A file holds no key of use.
    #[error("{} is no file of public keys", file.display())]
    NoKey {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: NoKey,
    },
    /// A file is called as no database can be.
    #[error("{} is not called by the name of a database, or the beginning of names and `*`", file.display())]
    Name {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: NoDatabases,
    },
    /// There are too many.
    #[error("{} holds more than {most} {what}", file.display())]
    TooMany {
        /// The file or directory.
        file: PathBuf,
        /// How many there may be.
        most: usize,
        /// Of what.
        what: &'static str,
    },
}

/// All keys there are.
#[derive(Debug, Default)]
pub(crate) struct Keyring {
    /// Whether each is still one of ours, by its print.
    standings: HashMap<[u8; 32], Standing>,
    /// Those that have a name of their own.
    by_id: HashMap<String, Vec<Arc<Key>>>,
    /// The server's without one.
    nameless: Vec<Arc<Key>>,
    /// The databases' without one, by the name of their file without its ending.
    by_database: HashMap<String, Vec<Arc<Key>>>,
    /// Those of these files that are for the beginnings of names, and so not found by a name.
    beginnings: Vec<Pattern>,
}

// === impl KeyFiles ===

impl KeyFiles {
    /// Whether there are any.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Reads all of them. A key that was there before stands as before.
    pub(crate) fn read(&self, before: &Keyring) -> Result<Keyring, KeyError> {
        let mut keyring = Keyring::default();
        for (file, is_set) in [(&self.pem, false), (&self.jwks, true)] {
            let Some(file) = file else { continue };
            for key in keys_in(file, is_set)? {
                keyring.add(key, before);
            }
            keyring.check(file)?;
        }
        let Some(directory) = &self.directory else { return Ok(keyring) };
        for (file, stem, is_set) in key_files(directory)? {
            let name = |source| KeyError::Name { file: file.clone(), source };
            let pattern: Pattern = stem.parse().map_err(name)?;
            if matches!(pattern, Pattern::Beginning(_)) {
                keyring.beginnings.push(pattern.clone());
            }
            for key in keys_in(&file, is_set)? {
                let databases = Databases(vec![pattern.clone()]);
                keyring.add(key.only_for(databases), before);
            }
            keyring.check(directory)?;
        }
        Ok(keyring)
    }
}

// === impl Keyring ===

impl Keyring {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.standings.len()
    }

    /// Others take its place: those of its keys that are not among them stand no more.
    pub(crate) fn give_way_to(&self, others: &Self) {
        let gone = self.standings.iter().filter(|(print, _)| !others.standings.contains_key(*print));
        gone.for_each(|(_, standing)| standing.end());
    }

    /// The keys that may have signed a token that calls its key so, or says to be for databases of these
    /// names.
    pub(super) fn candidates<'a>(
        &self,
        id: Option<&str>,
        names: impl FnOnce() -> Vec<&'a str>,
    ) -> Vec<Arc<Key>> {
        if let Some(named) = id.and_then(|id| self.by_id.get(id)) {
            return named.clone();
        }
        let mut candidates = self.nameless.clone();
        if self.by_database.is_empty() {
            return candidates;
        }
        let mut of =
            |file: &str| candidates.extend(self.by_database.get(file).into_iter().flatten().cloned());
        for name in names().into_iter().chain(id).take(NAMES_MAX) {
            of(name);
            let target = name.parse().map(Target::Named);
            let beginnings = self.beginnings.iter();
            let begins = |pattern: &&Pattern| target.as_ref().is_ok_and(|target| pattern.is_for(target));
            beginnings.filter(begins).for_each(|pattern| of(&pattern.to_string()));
        }
        candidates.truncate(CANDIDATES_MAX);
        candidates
    }

    fn add(&mut self, mut key: Key, before: &Self) {
        if let Some(standing) = before.standings.get(&key.print).or_else(|| self.standings.get(&key.print)) {
            key.standing = standing.clone();
        }
        self.standings.insert(key.print, key.standing.clone());
        let place = match (&key.id, &key.databases) {
            (Some(id), _) => self.by_id.entry(id.clone()).or_default(),
            (None, Some(databases)) => self.by_database.entry(databases.to_string()).or_default(),
            (None, None) => &mut self.nameless,
        };
        place.push(Arc::new(key));
    }

    /// Fails when a bound was passed with what lies here.
    fn check(&self, file: &Path) -> Result<(), KeyError> {
        for (count, most, what) in [
            (self.len(), KEYS_MAX, "keys"),
            (self.nameless.len(), NAMELESS_MAX, "keys without a `kid`"),
            (self.beginnings.len(), BEGINNINGS_MAX, "files for the beginnings of names"),
        ] {
            if most < count {
                return Err(KeyError::TooMany { file: file.to_owned(), most, what });
            }
        }
        Ok(())
    }
}

/// The keys of a file.
fn keys_in(file: &Path, is_set: bool) -> Result<Vec<Key>, KeyError> {
    let text = read_public(file)?;
    let keys = if is_set { in_jwks(&text) } else { in_pem(&text) };
    keys.map_err(|source| KeyError::NoKey { file: file.to_owned(), source })
}

/// The files of keys in a directory, how each is called without its ending, and whether it is a set.
fn key_files(directory: &Path) -> Result<Vec<(PathBuf, String, bool)>, KeyError> {
    let failed = |source| KeyError::Directory { directory: directory.to_owned(), source };
    let mode = std::fs::metadata(directory).map_err(failed)?.mode();
    if mode & 0o022 != 0 {
        return Err(KeyError::Changeable(directory.to_owned()));
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        let is_set = match file.extension().and_then(|ending| ending.to_str()) {
            Some("pem") => false,
            Some("jwks" | "json") => true,
            _ => continue,
        };
        let Some(stem) = file.file_stem().and_then(|stem| stem.to_str()) else { continue };
        files.push((file.clone(), stem.to_owned(), is_set));
    }
    files.sort();
    Ok(files)
}
