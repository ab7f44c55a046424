//! Those who have not said who they are, in the order in which they are sent away.
//!
//! Invariant: a host is in `crowds` exactly if it is in `hosts`, under its count and its oldest.
use super::host::Host;
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

/// By host, in the order of arrival. Every step costs O(log n).
#[derive(Debug, Default)]
pub(super) struct Strangers {
    hosts: HashMap<Host, BTreeSet<u64>>,
    /// The one with most last; of those with as many, the one with the oldest.
    crowds: BTreeSet<(usize, Reverse<u64>, Host)>,
    count: usize,
}

// === impl Strangers ===

impl Strangers {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn arrive(&mut self, host: Host, id: u64) {
        self.change(host, |ids| ids.insert(id));
        self.count += 1;
    }

    pub(super) fn leave(&mut self, host: Host, id: u64) {
        self.change(host, |ids| ids.remove(&id));
        self.count -= 1;
    }

    /// Who is to go first: the oldest of the host with the most.
    pub(super) fn first_to_go(&self) -> Option<(Host, u64)> {
        self.crowds.last().map(|&(_, Reverse(oldest), host)| (host, oldest))
    }

    fn change(&mut self, host: Host, change: impl FnOnce(&mut BTreeSet<u64>) -> bool) {
        let ids = self.hosts.entry(host).or_default();
        if let Some(&oldest) = ids.first() {
            self.crowds.remove(&(ids.len(), Reverse(oldest), host));
        }
        assert!(change(ids), "one arrives once and leaves once");
        match ids.first() {
            Some(&oldest) => {
                self.crowds.insert((ids.len(), Reverse(oldest), host));
            }
            None => {
                self.hosts.remove(&host);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(last: u8) -> Host {
        Host::of([10, 0, 0, last].into())
    }

    #[test]
    fn the_oldest_of_the_host_with_the_most_goes_first() {
        let mut strangers = Strangers::default();
        strangers.arrive(host(1), 1);
        strangers.arrive(host(2), 2);
        assert_eq!(strangers.first_to_go(), Some((host(1), 1)), "of as many, who has the oldest");
        strangers.arrive(host(2), 3);
        assert_eq!(strangers.first_to_go(), Some((host(2), 2)));
        strangers.leave(host(2), 2);
        assert_eq!(strangers.first_to_go(), Some((host(1), 1)));
        strangers.leave(host(1), 1);
        strangers.leave(host(2), 3);
        assert!(strangers.hosts.is_empty() && strangers.crowds.is_empty() && strangers.len() == 0);
    }
}
