//! Signals: taken from the first line of `main` on, remembered until the server is ready, and counted.
//!
//! Invariants: from [`Signals::install`] on, none of the signals taken ends the process by itself. Every
//! delivery of `SIGUSR1` and `SIGUSR2` counts: a byte in a pipe for each, so that a burst is not one. Who
//! asks to stop is heard however many orders wait to be obeyed.
use rustix::fs::{OFlags, fcntl_setfl};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::{SignalOnly, WithOrigin};
use signal_hook::low_level::pipe;
use signal_hook::low_level::siginfo::Origin;
use std::fmt;
use std::io::{self, PipeReader, Read as _};
use std::thread;
use tokio::sync::mpsc;

/// The most orders that wait to be obeyed; what comes beyond waits in the pipes.
const ORDERS: usize = 256;

/// The most that ask to stop and wait to be heard; the second one ends the process.
const STOPS: usize = 2;

/// The signals this process takes, with their senders.
#[derive(Debug)]
pub struct Signals {
    stopping: SignalsInfo<SignalOnly>,
    arriving: SignalsInfo<WithOrigin>,
    raises: Deliveries,
    lowers: Deliveries,
}

/// Signals as they are heard.
#[derive(Debug)]
pub struct Heard {
    /// One that was heard and is to be heard again.
    again: Option<&'static str>,
    stops: mpsc::Receiver<&'static str>,
    orders: mpsc::Receiver<Arrived>,
    reloads: mpsc::Receiver<Sender>,
}

/// Signals that change the client limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// What they ask for.
    pub order: Order,
    /// How many they were, at least one.
    pub times: u32,
    /// Who sent the last of them, as far as the system tells.
    pub sender: Sender,
}

/// How a signal changes the client limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// `SIGUSR1`: more.
    Raise,
    /// `SIGUSR2`: less.
    Lower,
}

/// What is heard next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// A signal of this name asks to stop.
    Stop(&'static str),
    /// The configuration is to be read again.
    Reload(Sender),
    /// The client limit is to be changed.
    Obey(Arrived),
}

/// Who sent a signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// The process and its user; `None` where the system does not tell.
    pub process: Option<(i32, u32)>,
}

/// How often one signal was delivered, with a byte for each time.
#[derive(Debug)]
struct Deliveries {
    bytes: PipeReader,
}

// === impl Signals ===

impl Signals {
    /// Takes the signals that a server obeys. They are remembered until they are heard.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn install() -> io::Result<Self> {
        // Before what wakes the reader: the bytes of a signal are there when it is heard.
        let (raises, lowers) = (Deliveries::count(SIGUSR1)?, Deliveries::count(SIGUSR2)?);
        let arriving = SignalsInfo::with_exfiltrator([SIGUSR1, SIGUSR2, SIGHUP], WithOrigin::default())?;
        Ok(Self { stopping: SignalsInfo::new([SIGTERM, SIGINT])?, arriving, raises, lowers })
    }

    /// Hears what has come and what will come, on threads of its own that live as long as the process.
    ///
    /// # Errors
    ///
    /// When there can be no threads.
    pub fn hear(mut self) -> io::Result<Heard> {
        let (stop, stops) = mpsc::channel(STOPS);
        let (order, orders) = mpsc::channel(ORDERS);
        // One that has not begun yet reads all that was edited until it does.
        let (reload, reloads) = mpsc::channel(1);
        // By itself: the other one waits while nobody obeys.
        thread::Builder::new().name("rowhouse-stop".to_owned()).spawn(move || {
            for signal in self.stopping.forever() {
                // When it is full, the second is on its way already.
                let _full = stop.try_send(if signal == SIGTERM { "SIGTERM" } else { "SIGINT" });
            }
        })?;
        thread::Builder::new().name("rowhouse-signal".to_owned()).spawn(move || {
            for origin in self.arriving.forever() {
                let sender = Sender::of(&origin);
                let (asked, times) = match origin.signal {
                    SIGUSR1 => (Order::Raise, self.raises.take()),
                    SIGUSR2 => (Order::Lower, self.lowers.take()),
                    _hangup => {
                        let _full = reload.try_send(sender);
                        continue;
                    }
                };
                let arrived = Arrived { order: asked, times, sender };
                if times != 0 && order.blocking_send(arrived).is_err() {
                    tracing::debug!(?asked, "signal not obeyed: the server is stopping");
                }
            }
        })?;
        Ok(Heard { again: None, stops, orders, reloads })
    }
}

// === impl Heard ===

impl Heard {
    /// The next signal that asks to stop.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn stop(&mut self) -> &'static str {
        Self::first(&mut self.again, &mut self.stops).await
    }

    async fn first(
        again: &mut Option<&'static str>,
        stops: &mut mpsc::Receiver<&'static str>,
    ) -> &'static str {
        if let Some(name) = again.take() {
            return name;
        }
        match stops.recv().await {
            Some(name) => name,
            // The thread that hears has ended: nothing comes any more.
            None => std::future::pending().await,
        }
    }

    /// Has a signal of this name be heard again, as the first that asks to stop.
    pub fn again(&mut self, name: &'static str) {
        self.again = Some(name);
    }

    /// The next of either: who asks to stop goes first.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Next {
        tokio::select! {
            biased;
            name = Self::first(&mut self.again, &mut self.stops) => Next::Stop(name),
            Some(sender) = self.reloads.recv() => Next::Reload(sender),
            Some(arrived) = self.orders.recv() => Next::Obey(arrived),
        }
    }
}

// === impl Deliveries ===

impl Deliveries {
    /// Counts the deliveries of `signal` from now on.
    fn count(signal: i32) -> io::Result<Self> {
        let (bytes, written) = io::pipe()?;
        fcntl_setfl(&bytes, OFlags::NONBLOCK)?;
        pipe::register(signal, written)?;
        Ok(Self { bytes })
    }

    /// How many there were since the last call.
    fn take(&mut self) -> u32 {
        let (mut taken, mut chunk) = (0, [0; 1024]);
        // Ends when nothing is left: then reading would block.
        while let Ok(read @ 1..) = self.bytes.read(&mut chunk) {
            taken += u32::try_from(read).expect("no more than the chunk");
        }
        taken
    }
}

// === impl Sender ===

impl Sender {
    fn of(origin: &Origin) -> Self {
        Self { process: origin.process.as_ref().map(|process| (process.pid, process.uid)) }
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.process {
            Some((pid, uid)) => write!(f, "process {pid} of user {uid}"),
            None => f.write_str("signal"),
        }
    }
}

// === impl Order ===

impl Order {
    /// The signal's name.
    pub fn signal(self) -> &'static str {
        match self {
            Self::Raise => "SIGUSR1",
            Self::Lower => "SIGUSR2",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use signal_hook::low_level::raise;
    use std::time::Duration;
    use tokio::time::timeout;

    /// Its own process's signals: nextest runs each test in one of its own.
    #[tokio::test]
    async fn a_burst_before_anybody_hears_counts_signal_by_signal() {
        let signals = Signals::install().expect("signals");
        for _ in 0..1000 {
            // Delivered when this returns.
            raise(SIGUSR1).expect("sent");
        }
        raise(SIGUSR2).expect("sent");
        (0..10).for_each(|_| raise(SIGHUP).expect("sent"));
        let mut heard = signals.hear().expect("a thread");
        let (mut raised, mut lowered, mut reloads) = (0, 0, 0);
        while raised < 1000 || lowered < 1 || reloads < 1 {
            match timeout(Duration::from_secs(60), heard.next()).await.expect("all are heard") {
                Next::Obey(Arrived { order: Order::Raise, times, sender }) => {
                    let own = i32::try_from(std::process::id()).expect("a process id");
                    assert!(sender.process.is_none_or(|(pid, _)| pid == own), "{sender}");
                    raised += times;
                }
                Next::Obey(Arrived { order: Order::Lower, times, .. }) => lowered += times,
                Next::Reload(_) => reloads += 1,
                Next::Stop(name) => panic!("nobody sent {name}"),
            }
        }
        assert_eq!((raised, lowered), (1000, 1));
        raise(SIGUSR2).expect("sent");
        raise(SIGTERM).expect("sent");
        assert_eq!(heard.stop().await, "SIGTERM");
        heard.again("SIGTERM");
        assert_eq!(heard.next().await, Next::Stop("SIGTERM"), "who asks to stop goes first");
    }

    #[tokio::test]
    async fn who_asks_to_stop_is_heard_however_much_nobody_obeys() {
        let mut heard = Signals::install().expect("signals").hear().expect("a thread");
        while heard.orders.len() < ORDERS {
            raise(SIGUSR1).expect("sent");
            raise(SIGUSR2).expect("sent");
        }
        // Whatever the thread does with one more, it does it now.
        (0..100).for_each(|_| raise(SIGUSR1).expect("sent"));
        raise(SIGTERM).expect("sent");
        let stopped = timeout(Duration::from_secs(60), heard.stop()).await;
        assert_eq!(stopped, Ok("SIGTERM"));
    }
}
