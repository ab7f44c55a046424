//! Signals: none ends the process before it is ready, and each does what it says.
use crate::support::{Home, await_line, finish, text};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::io::Read as _;
use std::process::{Child, Command};

const ORDERS: [Signal; 3] = [Signal::USR1, Signal::USR2, Signal::HUP];

/// Sends signals as fast as they go until the server has told its banner, and returns how many.
fn pester(child: &Child, signals: &[Signal]) -> u32 {
    let pid = Pid::from_child(child);
    let mut sent = 0;
    let banner = child.stdout.as_ref().expect("it is piped");
    rustix::io::ioctl_fionbio(banner, true).expect("a pipe");
    let (mut said, mut chunk) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&said).contains("encryption") {
        for signal in signals {
            kill_process(pid, *signal).expect("it lives");
            sent += 1;
        }
        match rustix::io::read(banner, &mut chunk) {
            Ok(0) => return sent,
            Ok(read) => said.extend_from_slice(&chunk[..read]),
            Err(_nothing_yet) => {}
        }
    }
    rustix::io::ioctl_fionbio(banner, false).expect("a pipe");
    sent
}

/// Whether the process catches all of [`ORDERS`].
fn catches(child: &Child) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or("0");
    let caught = u64::from_str_radix(caught.trim(), 16).expect("a mask");
    ORDERS.iter().all(|order| caught & (1 << (order.as_raw() - 1)) != 0)
}

fn start(home: &Home) -> Command {
    home.command(&["start", "0", "--tcp-address", "tcp://127.0.0.1:0", "--data-directory", "data"])
}

/// Before its first line a program has no say: who starts it keeps signals from it until then.
#[test]
fn no_signal_from_the_very_start_on_ends_the_process() {
    let home = Home::new();
    let rowhouse = start(&home);
    for _ in 0..10 {
        let mut shell =
            home.program("sh".as_ref(), &["-c", "trap '' USR1 USR2 HUP; echo; exec \"$@\"", "sh"]);
        shell.arg(rowhouse.get_program()).args(rowhouse.get_args());
        let mut child = shell.spawn().expect("a shell is there");
        let mut first = [0];
        child.stdout.as_mut().expect("it is piped").read_exact(&mut first).expect("its signals are ignored");
        let sent = pester(&child, &ORDERS);
        kill_process(Pid::from_child(&child), Signal::TERM).expect("it lives");
        let output = finish(child);
        assert!(output.status.success() && 0 < sent, "{}: {}", output.status, text(&output));
    }
}

#[test]
fn signals_are_taken_before_anything_else_and_remembered() {
    let home = Home::new();
    for _ in 0..10 {
        let log = home.path().join("stderr.txt");
        let stderr = File::create(&log).expect("a file of the test's own");
        let mut child = start(&home).stderr(stderr).spawn().expect("the binary was built");
        while !catches(&child) {
            assert!(child.try_wait().expect("it can be asked").is_none(), "it lives");
        }
        let sent = pester(&child, &ORDERS);
        await_line(&log, "configuration reloaded");
        kill_process(Pid::from_child(&child), Signal::TERM).expect("it lives");
        let output = finish(child);
        assert!(output.status.success() && 0 < sent, "{}: {}", output.status, text(&output));
    }
}
