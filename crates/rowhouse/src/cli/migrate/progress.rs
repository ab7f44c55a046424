//! How far a run is: a bar on a terminal, a line now and then otherwise.
use rowhouse_wire::management::{MigrationRun, StartMigration};
use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// How wide the bar is.
const WIDTH: u64 = 30;

/// What takes less shows nothing.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often a line is written where there is no terminal.
const EVERY: Duration = Duration::from_secs(10);

/// Shows how far a run is.
#[derive(Debug)]
pub(super) struct Progress {
    verb: &'static str,
    is_terminal: bool,
    next: Instant,
    is_shown: bool,
}

// === impl Progress ===

impl Progress {
    pub(super) fn new(asked: &StartMigration) -> Self {
        let verb = match asked.errand.as_str() {
            "up" => "migrating",
            "verify" => "verifying",
            _ => "looking",
        };
        let is_terminal = io::stderr().is_terminal();
        let patience = if is_terminal { PATIENCE } else { EVERY };
        Self { verb, is_terminal, next: Instant::now() + patience, is_shown: false }
    }

    /// Shows it, if it is time to.
    pub(super) fn show(&mut self, run: &MigrationRun) {
        if Instant::now() < self.next {
            return;
        }
        let mut err = io::stderr();
        let line = self.line(run);
        // Nobody may be left to read it.
        let _unread = match self.is_terminal {
            true => write!(err, "\r\x1b[K{line}").and_then(|()| err.flush()),
            false => writeln!(err, "{line}"),
        };
        self.is_shown = true;
        if !self.is_terminal {
            self.next = Instant::now() + EVERY;
        }
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        if self.is_terminal && self.is_shown {
            let mut err = io::stderr();
            let _unread = write!(err, "\r\x1b[K").and_then(|()| err.flush());
        }
    }

    fn line(&self, run: &MigrationRun) -> String {
        let MigrationRun { done, total, failed, different, .. } = run;
        let (verb, total) = (self.verb, *total);
        let share = |of: u64| done.saturating_mul(of).checked_div(total).unwrap_or(0).min(of);
        let bad = match failed + different {
            0 => String::new(),
            bad => format!(", {bad} not well"),
        };
        if !self.is_terminal {
            return format!("{verb}: {done} of {total}{bad}");
        }
        let full = usize::try_from(share(WIDTH)).unwrap_or(0);
        let bar = format!("{:<width$}", "#".repeat(full), width = usize::try_from(WIDTH).unwrap_or(0));
        format!("{verb} [{bar}] {} % ({done} of {total}{bad})", share(100))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_it_is_is_told_in_one_line() {
        let run = MigrationRun { done: 50, total: 200, failed: 2, ..MigrationRun::default() };
        let asked = StartMigration { errand: "up".to_owned(), ..StartMigration::default() };
        let progress = |is_terminal| Progress { is_terminal, ..Progress::new(&asked) };
        assert_eq!(progress(false).line(&run), "migrating: 50 of 200, 2 not well");
        let bar = progress(true).line(&run);
        assert_eq!(bar, "migrating [#######                       ] 25 % (50 of 200, 2 not well)");
        assert_eq!(progress(false).line(&MigrationRun::default()), "migrating: 0 of 0");
    }
}
