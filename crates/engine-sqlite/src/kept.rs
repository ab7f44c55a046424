//! The empty logs of databases that were closed a moment ago.
//!
//! To make and to remove the two files that SQLite has beside an open database is a good part of what opening
//! and closing it costs. So a database that is closed leaves them, empty, for a while: one that is used
//! again and again finds them there. They hold nothing; whoever finds them after a crash is not misled.
//!
//! Invariant: never more than `most`. Where there is no room for another, a database is closed with nothing left
//! beside it.
use crate::config::Config;
use crate::copying::open;
use crate::errors::translate;
use crate::files::{Identity, Place};
use crate::occupancy::Occupancy;
use rusqlite::Connection;
use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The logs that were left, by the path of their database. Cloning yields another handle.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    most: usize,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    logs: HashMap<PathBuf, Log>,
    /// Paths in the order in which they were left. Of some, the log has been used again since, or cleared.
    order: VecDeque<(Instant, PathBuf)>,
}

#[derive(Debug)]
struct Log {
    place: Place,
    identity: Identity,
    since: Instant,
}

// === impl Kept ===

impl Kept {
    /// Of at most so many databases.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, state: Arc::default() }
    }

    /// Whether the database at `place`, which is about to be closed, leaves its log; then it has room for it.
    pub(crate) fn leave(&self, place: &Place, identity: Identity) -> bool {
        let (mut state, since) = (self.state(), Instant::now());
        if self.most <= state.logs.len() {
            return false;
        }
        let path = place.path().to_owned();
        state.order.push_back((since, path.clone()));
        state.logs.insert(path, Log { place: place.clone(), identity, since });
        state.compact();
        true
    }

    /// Which file was closed at `path` and left its log, if one did.
    pub(crate) fn identity(&self, path: &Path) -> Option<Identity> {
        self.state().logs.get(path).map(|log| log.identity)
    }

    /// What lies beside the database at `place` is others' from now on: it is open, gone or replaced.
    pub(crate) fn reuse(&self, place: &Place) {
        if self.most != 0 {
            self.state().logs.remove(place.path());
        }
    }

    /// Removes what was left for as long as that, unless it is in use. Blocks.
    pub(crate) fn clear(&self, age: Duration, config: &Config, occupancy: &Occupancy) {
        while let Some(log) = self.take_older(age) {
            log.clear(config, occupancy);
        }
    }

    fn take_older(&self, age: Duration) -> Option<Log> {
        let mut state = self.state();
        loop {
            let (since, _) = state.order.front()?;
            if since.elapsed() < age {
                return None;
            }
            let (since, path) = state.order.pop_front()?;
            if state.logs.get(&path).is_some_and(|log| log.since == since) {
                return state.logs.remove(&path);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    /// Forgets the places in the order that stand for nothing, once they are most.
    fn compact(&mut self) {
        if 2 * self.logs.len() + 16 < self.order.len() {
            let logs = &self.logs;
            self.order.retain(|(since, path)| logs.get(path).is_some_and(|log| log.since == *since));
        }
    }
}

// === impl Log ===

impl Log {
    /// Lets SQLite remove it, which knows whether others use it: as the last to close its database.
    fn clear(self, config: &Config, occupancy: &Occupancy) {
        // Somebody else is at that path now: what is beside it is theirs.
        let Ok(_visiting) = occupancy.visit(&self.place, self.identity) else { return };
        if self.place.verify(self.identity).is_err() {
            return;
        }
        let close = |connection: Connection| {
            // Whoever locks it will remove it.
            connection.busy_timeout(Duration::ZERO)?;
            // Only who has read the database has its log open; and it is not opened where the file itself
            // does not say that there is one, but was used only because there was one.
            connection.query_row("PRAGMA main.journal_mode=WAL", [], |_| Ok(()))?;
            connection.query_row("PRAGMA main.schema_version", [], |_| Ok(()))?;
            connection.close().map_err(|(_, error)| error)
        };
        let cleared = open(self.place.path(), config)
            .and_then(|connection| close(connection).map_err(|error| translate(&error)));
        if let Err(error) = cleared {
            tracing::debug!(%error, "an empty log could not be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house::House;
    use rowhouse_engine::conformance::query;
    use rowhouse_engine::{Database, Engine};

    impl House {
        /// Opens it, writes a row and closes it.
        async fn use_once(&self, name: &str) {
            let database = self.open(name).await;
            let mut session = database.session();
            query(&mut session, "CREATE TABLE IF NOT EXISTS t (n)").await;
            query(&mut session, "INSERT INTO t VALUES (1)").await;
            drop(session);
            database.close().await.unwrap();
        }

        /// The names of the files there are.
        fn files(&self) -> Vec<String> {
            let entries = self.directory.path().read_dir().unwrap();
            let mut names: Vec<_> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }

        fn log_is_empty(&self, name: &str) -> bool {
            self.directory.path().join(format!("{name}.db-wal")).metadata().unwrap().len() == 0
        }
    }

    #[tokio::test]
    async fn a_closed_database_leaves_an_empty_log_until_it_is_cleared() {
        let house = House::new(2);
        house.use_once("a").await;
        assert_eq!(house.files(), ["a.db", "a.db-shm", "a.db-wal"]);
        assert!(house.log_is_empty("a"));
        // Used again, it leaves it again.
        house.use_once("a").await;
        assert!(house.log_is_empty("a"));
        house.engine.clear_leftovers(Duration::from_secs(60)).await;
        assert_eq!(house.files().len(), 3, "it is not old enough");
        house.engine.clear_leftovers(Duration::ZERO).await;
        assert_eq!(house.files(), ["a.db"]);
        house.use_once("a").await;
        assert_eq!(house.files().len(), 3);
    }

    #[tokio::test]
    async fn of_more_than_may_be_kept_the_others_leave_nothing() {
        let house = House::new(1);
        for name in ["a", "b", "a", "b"] {
            house.use_once(name).await;
        }
        assert_eq!(house.files(), ["a.db", "a.db-shm", "a.db-wal", "b.db"]);
        let off = House::new(0);
        off.use_once("a").await;
        assert_eq!(off.files(), ["a.db"]);
    }

    #[tokio::test]
    async fn what_was_beside_it_before_is_cleared_too() {
        let house = House::new(2);
        let plain = Connection::open(house.directory.path().join("a.db")).unwrap();
        plain.execute_batch("PRAGMA journal_mode=DELETE; CREATE TABLE t (n)").unwrap();
        plain.close().unwrap();
        for suffix in ["wal", "shm"] {
            let junk = house.directory.path().join(format!("a.db-{suffix}"));
            std::fs::write(junk, "no log of any kind. ".repeat(3000)).unwrap();
        }
        house.use_once("a").await;
        assert!(house.log_is_empty("a"));
        house.engine.clear_leftovers(Duration::ZERO).await;
        assert_eq!(house.files(), ["a.db"]);
    }

    #[tokio::test]
    async fn what_is_open_again_is_not_cleared() {
        let house = House::new(2);
        house.use_once("a").await;
        let database = house.open("a").await;
        query(&mut database.session(), "INSERT INTO t VALUES (2)").await;
        house.engine.clear_leftovers(Duration::ZERO).await;
        assert_eq!(house.files().len(), 3);
        query(&mut database.session(), "INSERT INTO t VALUES (3)").await;
        database.close().await.unwrap();
        house.engine.clear_leftovers(Duration::ZERO).await;
        assert_eq!(house.files(), ["a.db"]);
    }

    #[tokio::test]
    async fn the_log_of_a_file_that_was_replaced_is_left_to_the_new_one() {
        let house = House::new(2);
        house.use_once("a").await;
        let file = house.directory.path().join("a.db");
        std::fs::copy(&file, house.directory.path().join("copy")).unwrap();
        std::fs::rename(house.directory.path().join("copy"), &file).unwrap();
        house.engine.clear_leftovers(Duration::ZERO).await;
        house.use_once("a").await;
        house.engine.clear_leftovers(Duration::ZERO).await;
        assert_eq!(house.files(), ["a.db"]);
    }
}
