//! Waits that end.
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::Path;
use std::process::{Child, Output};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take that takes a moment.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `child` ends and returns what it said; kills it and panics when it does not end.
pub(crate) fn finish(child: Child) -> Output {
    let pid = Pid::from_child(&child);
    let (send, receive) = sync_channel(1);
    let waiter = thread::spawn(move || {
        let output = child.wait_with_output();
        // The receiver is gone only after it panicked.
        let _gone = send.send(());
        output
    });
    let ended = receive.recv_timeout(PATIENCE);
    if ended == Err(RecvTimeoutError::Timeout) {
        kill_process(pid, Signal::KILL).expect("it runs");
    }
    let output = waiter.join().expect("it only waits").expect("a child can be waited for");
    assert!(ended.is_ok(), "process {pid:?} did not end in {PATIENCE:?}: {output:?}");
    output
}

/// Waits until a file has a line with these words in it.
pub(crate) fn await_line(file: &Path, words: &str) {
    let since = Instant::now();
    loop {
        let text = fs::read_to_string(file).expect("a file of the test's own");
        if text.contains(words) {
            return;
        }
        assert!(since.elapsed() < PATIENCE, "no {words:?} within {PATIENCE:?} in:\n{text}");
        thread::yield_now();
    }
}
