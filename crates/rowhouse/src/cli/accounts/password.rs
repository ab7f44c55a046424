//! A password, asked for on a terminal without showing it, or read from what is piped in.
use rowhouse_access::Label;
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::process::Command;
use zeroize::Zeroizing;

/// The most bytes that are read for one.
const READ_MAX: u64 = 4096;

/// A terminal that does not show what is typed, until this is dropped.
struct Unseen;

// === impl Unseen ===

impl Unseen {
    /// `None` where that cannot be had.
    fn begin() -> Option<Self> {
        stty("-echo").then_some(Self)
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        stty("echo");
    }
}

fn stty(how: &str) -> bool {
    Command::new("stty").arg(how).status().is_ok_and(|status| status.success())
}

/// The password of this user.
pub(super) fn ask(name: &Label) -> anyhow::Result<Zeroizing<String>> {
    let input = io::stdin();
    if !input.is_terminal() {
        return first_line();
    }
    let (once, again) = {
        let _unseen = Unseen::begin();
        (asked(&format!("password of {}: ", name.as_str()))?, asked("once more: ")?)
    };
    anyhow::ensure!(once == again, "nothing was done: the two are not the same");
    Ok(once)
}

fn asked(what: &str) -> anyhow::Result<Zeroizing<String>> {
    let mut err = io::stderr();
    write!(err, "{what}")?;
    err.flush()?;
    let line = first_line()?;
    writeln!(err)?;
    Ok(line)
}

fn first_line() -> anyhow::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    io::stdin().lock().take(READ_MAX).read_line(&mut line)?;
    Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()))
}
