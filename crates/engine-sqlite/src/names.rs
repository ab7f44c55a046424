//! Which names are taken in the data directory, whatever the case of their letters.
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How old the index may be when a database is created.
const FRESH: Duration = Duration::from_secs(1);

/// The file names of a directory by their folding. Files made behind our back appear within
/// [`FRESH`].
#[derive(Debug, Default)]
pub(crate) struct Names {
    by_folding: HashMap<String, String>,
    read: Option<Instant>,
}

// === impl Names ===

impl Names {
    pub(crate) fn is_stale(&self) -> bool {
        self.read.is_none_or(|read| FRESH <= read.elapsed())
    }

    /// Takes over what the directory holds.
    pub(crate) fn refresh(&mut self, found: impl IntoIterator<Item = String>) {
        self.by_folding = found.into_iter().map(|name| (name.to_ascii_lowercase(), name)).collect();
        self.read = Some(Instant::now());
    }

    /// The file that has `name` in other letters.
    pub(crate) fn twin(&self, name: &str) -> Option<&str> {
        let taken = self.by_folding.get(&name.to_ascii_lowercase())?;
        (taken != name).then_some(taken)
    }

    pub(crate) fn insert(&mut self, name: &str) {
        self.by_folding.insert(name.to_ascii_lowercase(), name.to_owned());
    }

    pub(crate) fn remove(&mut self, name: &str) {
        let folded = name.to_ascii_lowercase();
        if self.by_folding.get(&folded).is_some_and(|taken| taken == name) {
            self.by_folding.remove(&folded);
        }
    }
}
