//! Reading a directory of migrations: `V12__name.sql`, or `V12__name.sqlite.sql` and `V12__name.postgres.sql`
//! beside each other.
//!
//! Invariant: what is read is right in itself, as far as can be told without a database. What is wrong is told by
//! file and rule, and nothing of the directory is used then.
use super::plan::{Manner, Plans};
use super::statements::statements;
use rowhouse_engine::Dialect;
use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The most files a directory may have.
const MAX_FILES: usize = 10_000;

/// The most bytes of a file.
const MAX_BYTES: u64 = 4 << 20;

/// The longest name, in bytes.
const MAX_NAME: usize = 100;

/// How the first line says how a migration is run.
const DIRECTIVE: &str = "-- rowhouse:";

/// Why a directory cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DirectoryError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// What cannot.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
    /// A file breaks a rule.
    #[error("{file}: {rule}")]
    Rule {
        /// Its name.
        file: String,
        /// The rule, and what to do.
        rule: String,
    },
    /// There are too many files.
    #[error("{} has more than {MAX_FILES} files", .0.display())]
    TooMany(PathBuf),
}

/// What the name of a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    version: u64,
    name: String,
    dialect: Option<Dialect>,
}

/// Files of one version: for one dialect each, or for all.
type Files = BTreeMap<Option<Dialect>, (String, String)>;

/// Reads all migrations of a directory. Blocks.
///
/// Names that begin with a dot, and files that do not end in `.sql`, are passed over.
///
/// # Errors
///
/// With the first file that breaks a rule.
pub(super) fn read(directory: &Path) -> Result<Plans, DirectoryError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error: io::Error| DirectoryError::Io { path, source: Arc::new(error) }
    };
    let real = directory.canonicalize().map_err(failed(directory))?;
    let mut files = Vec::new();
    for entry in real.read_dir().map_err(failed(directory))? {
        files.push(entry.map_err(failed(directory))?.file_name());
        if MAX_FILES < files.len() {
            return Err(DirectoryError::TooMany(directory.to_owned()));
        }
    }
    files.sort();
    let mut versions: BTreeMap<u64, (String, Files)> = BTreeMap::new();
    for file in files {
        let Some(file) = file.to_str().map(str::to_owned) else {
            return Err(rule(&file.to_string_lossy(), "its name is not UTF-8: rename it"));
        };
        if file.starts_with('.') {
            continue;
        }
        let path = real.join(&file);
        let real_path = path.canonicalize().map_err(failed(&path))?;
        if real_path.is_dir() {
            return Err(rule(&file, "a directory: migrations lie side by side, none deeper"));
        }
        if !file.ends_with(".sql") {
            continue;
        }
        if !real_path.starts_with(&real) {
            return Err(rule(&file, "a link that leads out of the directory: put the file itself there"));
        }
        let Named { version, name, dialect } = Named::read(&file).map_err(|why| rule(&file, why))?;
        let text = text_of(&file, &real_path)?;
        let (known_as, files) = versions.entry(version).or_insert_with(|| (name.clone(), Files::new()));
        if *known_as != name {
            let why = format!("version {version} is {known_as:?} already: give it another number");
            return Err(rule(&file, why));
        }
        if let Some((other, _)) = files.get(&dialect) {
            return Err(rule(&file, format!("version {version} is {other} already: give it another number")));
        }
        files.insert(dialect, (file, text));
    }
    plans(versions)
}

fn plans(versions: BTreeMap<u64, (String, Files)>) -> Result<Plans, DirectoryError> {
    let mut plans = Plans::default();
    for (version, (name, files)) in versions {
        if let (Some((all, _)), Some((one, _))) =
            (files.get(&None), files.values().nth(1).filter(|_| files.contains_key(&None)))
        {
            return Err(rule(one, format!("{all} is for every engine already: name each for its engine")));
        }
        for (dialect, (file, text)) in files {
            let sql: Arc<str> = text.into();
            let dialects = dialect.map_or(Dialect::ALL.to_vec(), |only| vec![only]);
            let manner = check(&sql, &dialects).map_err(|why| rule(&file, why))?;
            for dialect in dialects {
                plans.of_mut(dialect).push(version, &name, (sql.clone(), manner));
            }
        }
    }
    Ok(plans)
}

/// The text of a file, with the ends of its lines as they are everywhere.
fn text_of(file: &str, path: &Path) -> Result<String, DirectoryError> {
    let failed = |error: io::Error| DirectoryError::Io { path: path.to_owned(), source: Arc::new(error) };
    let opened = std::fs::File::open(path).map_err(failed)?;
    if !opened.metadata().map_err(failed)?.is_file() {
        return Err(rule(file, "no plain file"));
    }
    let mut bytes = Vec::new();
    opened.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if MAX_BYTES < bytes.len() as u64 {
        return Err(rule(file, format!("larger than {MAX_BYTES} bytes: make several migrations of it")));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        rule(file, format!("not UTF-8 at byte {at}: save it as UTF-8"))
    })?;
    if text.contains('\0') {
        return Err(rule(file, "it has a NUL character"));
    }
    Ok(text.strip_prefix('\u{feff}').unwrap_or(&text).replace("\r\n", "\n"))
}

/// How a migration is run, if it can be by one of these: what is for all may be understood by one only.
fn check(sql: &str, dialects: &[Dialect]) -> Result<Manner, String> {
    let manner = Manner::read(sql.lines().next().unwrap_or_default())?;
    let mut refused = Ok(());
    for dialect in dialects {
        let statements = statements(sql, *dialect);
        if statements.is_empty() {
            return Err("empty: it has no statement".to_owned());
        }
        let found = statements.iter().find_map(|each| Some((each.line, each.ends_transaction()?)));
        let Some((line, word)) = found else { return Ok(manner) };
        refused = Err(format!(
            "line {line}: {word} is not for migrations: each runs in a transaction of its own, or without any if its first line is `{DIRECTIVE} no-transaction`"
        ));
    }
    refused.map(|()| manner)
}

fn rule(file: &str, rule: impl Into<String>) -> DirectoryError {
    DirectoryError::Rule { file: file.to_owned(), rule: rule.into() }
}

// === impl Manner ===

impl Manner {
    /// Reads the first line of a file.
    fn read(line: &str) -> Result<Self, String> {
        let mut manner = Self::default();
        let Some(words) = line.trim().strip_prefix(DIRECTIVE) else { return Ok(manner) };
        for word in words.split(',').map(str::trim) {
            match word {
                "no-transaction" => manner.piecemeal = true,
                "no-foreign-keys" => manner.loose_keys = true,
                other => {
                    return Err(format!(
                        "line 1: {other:?} is not known: `{DIRECTIVE}` is followed by no-transaction or no-foreign-keys, or both with a comma between"
                    ));
                }
            }
        }
        Ok(manner)
    }
}

// === impl Named ===

impl Named {
    /// Reads the name of a file that ends in `.sql`.
    fn read(file: &str) -> Result<Self, String> {
        let wrong = || {
            "its name is not V<number>__<name>.sql, such as V12__add_notes.sql, or V12__add_notes.sqlite.sql and V12__add_notes.postgres.sql for one engine each"
                .to_owned()
        };
        let stem = file.strip_suffix(".sql").ok_or_else(wrong)?;
        let one = Dialect::ALL.into_iter().find_map(|dialect| {
            let stem = stem.strip_suffix(dialect.as_str())?.strip_suffix('.')?;
            Some((stem, dialect))
        });
        let (stem, dialect) = one.map_or((stem, None), |(stem, dialect)| (stem, Some(dialect)));
        let (number, name) =
            stem.strip_prefix('V').and_then(|rest| rest.split_once("__")).ok_or_else(wrong)?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if name.is_empty() || MAX_NAME < name.len() || !name.bytes().all(is_name) {
            return Err(format!(
                "its name after V<number>__ has 1 to {MAX_NAME} of the characters A-Z a-z 0-9 _ - only"
            ));
        }
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        match number.parse::<u64>() {
            Ok(version) if version != 0 && i64::try_from(version).is_ok() => {
                Ok(Self { version, name: name.to_owned(), dialect })
            }
            _ => Err(format!("its number is from 1 to {}", i64::MAX)),
        }
    }
}

#[cfg(test)]
mod tests;
