//! How much the statement under way has written to disk, temporary files included.
//!
//! SQLite bounds neither what a sort nor what an intermediate table spills, but a statement runs on one
//! thread from start to end, and the system counts what each thread writes.
use std::io::Read;
use std::time::{Duration, Instant};

/// How long a statement runs before it is looked at, and between two looks. The first time what it
/// wrote before is not counted: it cannot be much.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The longest text the system tells it in.
const TEXT_MAX: usize = 512;

/// What one statement has written.
#[derive(Debug, Default)]
pub(crate) struct Spent {
    looked: Option<Instant>,
    /// What its thread had written before.
    before: Option<u64>,
}

// === impl Spent ===

impl Spent {
    /// Whether it has written more than `most` bytes. Called on its thread, and often.
    pub(crate) fn exceeds(&mut self, most: u64) -> bool {
        let now = Instant::now();
        if now.duration_since(*self.looked.get_or_insert(now)) < LOOK_EVERY {
            return false;
        }
        self.looked = Some(now);
        let Some(written) = written_by_this_thread() else { return false };
        most < written.saturating_sub(*self.before.get_or_insert(written))
    }
}

/// What this thread has ever written; `None` where the system does not tell.
fn written_by_this_thread() -> Option<u64> {
    let mut text = [0; TEXT_MAX];
    let length = std::fs::File::open("/proc/thread-self/io").ok()?.read(&mut text).ok()?;
    let text = std::str::from_utf8(&text[..length]).ok()?;
    text.lines().find_map(|line| line.strip_prefix("wchar: "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    #[cfg(target_os = "linux")]
    fn what_this_thread_writes_is_counted_and_nobody_elses() {
        let written = |bytes: usize| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&vec![1; bytes]).unwrap();
        };
        let before = written_by_this_thread().unwrap();
        std::thread::spawn(move || written(1 << 20)).join().unwrap();
        assert_eq!(written_by_this_thread().unwrap(), before);
        written(1 << 16);
        assert_eq!(written_by_this_thread().unwrap(), before + (1 << 16));
    }
}
