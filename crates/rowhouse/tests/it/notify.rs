//! What the service manager is told, as systemd would hear it.
use crate::support::{Home, PATIENCE, finish, text};
use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command};

/// A service manager with one service.
struct Manager {
    home: Home,
    socket: UnixDatagram,
}

impl Manager {
    fn new() -> Self {
        let home = Home::new();
        let socket = UnixDatagram::bind(home.path().join("notify")).expect("a socket of the test's own");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Self { home, socket }
    }

    fn command(&self) -> Command {
        let file = self.home.write("a.toml", "");
        let file = file.to_str().expect("a plain name");
        let mut command =
            self.home.command(&["start", "0", "--tcp-address", "tcp://127.0.0.1:0", "--config", file]);
        command.env("NOTIFY_SOCKET", self.home.path().join("notify"));
        command
    }

    /// The lines of the next message.
    fn hear(&self) -> Vec<String> {
        let mut message = [0; 4096];
        let read = self.socket.recv(&mut message).expect("it is told in time");
        let message = String::from_utf8(message[..read].to_vec()).expect("UTF-8");
        message.lines().map(str::to_owned).collect()
    }

    /// Ends the service, which says that it ends.
    fn stop(&self, child: Child) {
        kill_process(Pid::from_child(&child), Signal::TERM).expect("it lives");
        loop {
            let heard = self.hear();
            if heard == ["STOPPING=1"] {
                break;
            }
            assert_eq!(heard, ["WATCHDOG=1"]);
        }
        let output = finish(child);
        assert!(output.status.success(), "{}", text(&output));
    }
}

fn is_ready(heard: &[String]) -> bool {
    matches!(heard, [ready, status] if ready == "READY=1" && status.starts_with("STATUS=serving on tcp://127.0.0.1:"))
}

#[test]
fn the_service_manager_hears_of_start_reload_and_end() {
    let manager = Manager::new();
    let child = manager.command().spawn().expect("the binary was built");
    let heard = manager.hear();
    assert!(is_ready(&heard), "{heard:?}");
    kill_process(Pid::from_child(&child), Signal::HUP).expect("it lives");
    let heard = manager.hear();
    let micros = heard.get(1).and_then(|line| line.strip_prefix("MONOTONIC_USEC="));
    assert_eq!(heard[0], "RELOADING=1");
    assert!(micros.is_some_and(|micros| micros.parse::<u64>().is_ok_and(|micros| 0 < micros)), "{heard:?}");
    let heard = manager.hear();
    assert!(is_ready(&heard), "{heard:?}");
    manager.stop(child);
}

#[test]
fn a_watchdog_hears_that_the_server_is_well_only_where_it_asks() {
    let manager = Manager::new();
    let child = manager.command().env("WATCHDOG_USEC", "100000").spawn().expect("the binary was built");
    assert!(is_ready(&manager.hear()));
    for _ in 0..3 {
        assert_eq!(manager.hear(), ["WATCHDOG=1"]);
    }
    manager.stop(child);
}
