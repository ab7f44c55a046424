//! Bearer tokens: who may call, and by what name that is recorded.
//!
//! The file holds one token a line, alone or after a name and a space; `#` begins a comment. Two tokens
//! side by side let one be exchanged for the other without a gap.
use rowhouse_access::{FileError, read_secret};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// The shortest token.
const TOKEN_MIN: usize = 16;

/// The longest token.
const TOKEN_MAX: usize = 512;

/// The most tokens.
const TOKENS_MAX: usize = 64;

/// The tokens of a file. Cloning yields another handle: what one reloads, all have.
#[derive(Clone)]
pub struct Tokens {
    file: PathBuf,
    known: Arc<RwLock<Vec<Token>>>,
}

struct Token {
    name: String,
    secret: Zeroizing<String>,
}

/// Why there are no tokens.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be had.
    #[error(transparent)]
    File(#[from] FileError),
    /// A line is none.
    #[error(
        "line {line} of the token file {} is no token: write one a line, {TOKEN_MIN} to {TOKEN_MAX} printable characters, after a name and a space if you like",
        file.display()
    )]
    Line {
        /// The file.
        file: PathBuf,
        /// The line's number, from 1.
        line: usize,
    },
    /// There is none, or too many.
    #[error("the token file {} holds {count} tokens: 1 to {TOKENS_MAX} are understood", file.display())]
    Count {
        /// The file.
        file: PathBuf,
        /// How many.
        count: usize,
    },
}

// === impl Tokens ===

impl Tokens {
    /// Reads the tokens of a file that nobody but its owner may read.
    ///
    /// # Errors
    ///
    /// When others may read it, or it does not hold tokens.
    pub fn load(file: impl Into<PathBuf>) -> Result<Self, TokenError> {
        let file = file.into();
        let known = tokens(&file)?;
        Ok(Self { file, known: Arc::new(RwLock::new(known)) })
    }

    /// Reads the file again. Until that has worked, the tokens of before are known.
    ///
    /// # Errors
    ///
    /// As of [`Tokens::load`].
    pub fn reload(&self) -> Result<(), TokenError> {
        let known = tokens(&self.file)?;
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(())
    }

    /// The name of who presents this token; takes as long whichever it is.
    pub(crate) fn name(&self, presented: &str) -> Option<String> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut found = None;
        for token in &*known {
            if bool::from(token.secret.as_bytes().ct_eq(presented.as_bytes())) {
                found = Some(&token.name);
            }
        }
        found.cloned()
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("file", &self.file).finish_non_exhaustive()
    }
}

fn tokens(file: &Path) -> Result<Vec<Token>, TokenError> {
    let text = read_secret(file)?;
    let mut tokens = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, secret) = line.split_once(' ').unwrap_or(("token", line));
        let secret = secret.trim();
        let is_token = (TOKEN_MIN..=TOKEN_MAX).contains(&secret.len())
            && secret.bytes().all(|byte| byte.is_ascii_graphic())
            && !name.contains(char::is_control);
        if !is_token {
            return Err(TokenError::Line { file: file.to_owned(), line: at + 1 });
        }
        tokens.push(Token { name: name.to_owned(), secret: Zeroizing::new(secret.to_owned()) });
    }
    match tokens.len() {
        1..=TOKENS_MAX => Ok(tokens),
        count => Err(TokenError::Count { file: file.to_owned(), count }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    fn file(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("tokens");
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        (directory, file)
    }

    #[test]
    fn a_token_is_known_by_its_name_and_nothing_else_is() {
        let text = "# whose\nalice 0123456789abcdef\n\nfedcba9876543210\n";
        let (_directory, file) = file(text, 0o600);
        let tokens = Tokens::load(&file).unwrap();
        assert_eq!(tokens.name("0123456789abcdef").as_deref(), Some("alice"));
        assert_eq!(tokens.name("fedcba9876543210").as_deref(), Some("token"));
        for wrong in ["", "alice", "0123456789abcde", "0123456789abcdef0", "alice 0123456789abcdef"] {
            assert_eq!(tokens.name(wrong), None, "{wrong}");
        }
        assert!(!format!("{tokens:?}").contains("0123456789abcdef"));
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        for mode in [0o640, 0o604, 0o644, 0o620, 0o601] {
            let (_directory, file) = file("0123456789abcdef\n", mode);
            let error = Tokens::load(&file).unwrap_err().to_string();
            assert!(error.contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn what_is_no_token_is_told_by_its_line() {
        for text in ["short\n", "0123456789abcdef\nshort\n", "a 0123456789 abcdef\n"] {
            let (_directory, file) = file(text, 0o600);
            let error = Tokens::load(&file).unwrap_err();
            assert!(matches!(error, TokenError::Line { line, .. } if line == text.lines().count()));
            assert!(!error.to_string().contains("0123456789"));
        }
        let (_directory, file) = file("# none\n", 0o600);
        assert!(matches!(Tokens::load(&file), Err(TokenError::Count { count: 0, .. })));
    }

    #[test]
    fn a_reload_exchanges_tokens_and_a_bad_one_keeps_them() {
        let (_directory, file) = file("0123456789abcdef\n", 0o600);
        let tokens = Tokens::load(&file).unwrap();
        let other = tokens.clone();
        std::fs::write(&file, "fedcba9876543210\n").unwrap();
        tokens.reload().unwrap();
        assert_eq!(other.name("0123456789abcdef"), None);
        std::fs::write(&file, "bad\n").unwrap();
        tokens.reload().unwrap_err();
        assert!(other.name("fedcba9876543210").is_some());
    }
}
