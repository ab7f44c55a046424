//! Asking before something is gone for good.
use super::Usage;
use std::io::{self, IsTerminal as _, Write as _};

/// Asks on the terminal to type `word`; `what` says what happens then.
///
/// Without a terminal nobody can be asked: then `flags` are to be given.
pub(super) fn confirm(word: &str, what: &str, flags: &str) -> anyhow::Result<()> {
    if !io::stdin().is_terminal() {
        return Err(Usage(format!("{what}: give {flags}")).into());
    }
    let mut err = io::stderr();
    write!(err, "{what}\ntype {word} to go on: ")?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if answer.trim() != word {
        anyhow::bail!("nothing was done: the answer was another");
    }
    Ok(())
}
