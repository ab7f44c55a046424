//! Several engines behind one port, told apart by where a database lives.
//!
//! Invariant: a location that begins with the name of an added engine and a colon is that engine's, which is
//! told what follows; every other one is the home engine's, as it is. What comes back is always whole.
use futures::future::{BoxFuture, join, join_all};
use rowhouse_engine::{
    Claim, Claimant, Course, Database, Dialect, Engine, EngineError, Groundwork, Location, Presence,
    Processes, Restoration, Stamp, Whereabouts,
};
use rowhouse_types::DatabaseName;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What stands between the name of an engine and what it calls the place.
const SIGN: char = ':';

/// A home engine and others, as one engine.
#[derive(Debug)]
pub struct Engines {
    home: Arc<dyn Engine>,
    others: Vec<Named>,
    /// Who new databases go to, of the others; the home engine if nobody.
    newcomers: Option<usize>,
}

/// An engine that is told by its name.
#[derive(Debug)]
struct Named {
    engine: Arc<dyn Engine>,
    /// What it listed when it answered last: as many names as it has databases.
    listed: Mutex<Vec<DatabaseName>>,
}

// === impl Engines ===

impl Engines {
    /// The home engine alone: everything is its own, and new databases are.
    pub fn new(home: Arc<dyn Engine>) -> Self {
        Self { home, others: Vec::new(), newcomers: None }
    }

    /// Adds an engine, for the places that begin with its name and a colon.
    ///
    /// # Panics
    ///
    /// When there is one of this name.
    #[must_use]
    pub fn with(mut self, engine: Arc<dyn Engine>) -> Self {
        let name = engine.name();
        assert!(self.position(name).is_none(), "each engine is added once");
        self.others.push(Named { engine, listed: Mutex::default() });
        self
    }

    /// New databases go to the added engine of this name from now on.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    pub fn newcomers_to(mut self, name: &str) -> Self {
        self.newcomers = Some(self.position(name).expect("it was added before"));
        self
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.others.iter().position(|other| other.engine.name() == name)
    }

    /// Whose a place is, and what that engine calls it.
    fn find<'a>(&'a self, at: &'a Location) -> (&'a dyn Engine, Cow<'a, Location>) {
        let other = at.0.split_once(SIGN).and_then(|(name, rest)| Some((self.position(name)?, rest)));
        match other {
            Some((index, rest)) => (&*self.others[index].engine, Cow::Owned(Location(rest.to_owned()))),
            None => (&*self.home, Cow::Borrowed(at)),
        }
    }

    /// What is called so by an engine, as it is called here.
    fn whole(&self, index: Option<usize>, Location(place): Location) -> Location {
        match index {
            Some(index) => Location(format!("{}{SIGN}{place}", self.others[index].engine.name())),
            None => Location(place),
        }
    }

    /// Who new databases go to.
    fn newcomer(&self) -> &dyn Engine {
        self.newcomers.map_or(&*self.home, |index| &*self.others[index].engine)
    }
}

// === impl Named ===

impl Named {
    /// Its databases. Those there were when it answered last, if it does not: one server that is down keeps
    /// nobody from the databases of the others.
    async fn list(&self) -> Vec<DatabaseName> {
        let listed = self.engine.list().await;
        let mut last = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        // Why it does not, is the engine's to log.
        if let Ok(names) = listed {
            *last = names;
        }
        last.clone()
    }
}

impl Engine for Engines {
    /// The home engine's.
    fn name(&self) -> &'static str {
        self.home.name()
    }

    /// The home engine's: databases of the others run elsewhere.
    fn processes(&self) -> Option<Processes> {
        self.home.processes()
    }

    fn locate(&self, name: &DatabaseName) -> Location {
        self.whole(self.newcomers, self.newcomer().locate(name))
    }

    fn choose<'a>(&'a self, name: &'a DatabaseName) -> BoxFuture<'a, Result<Location, EngineError>> {
        Box::pin(async move { Ok(self.whole(self.newcomers, self.newcomer().choose(name).await?)) })
    }

    /// The home engine's first: what lies there was there before any other engine was added.
    fn places(&self, name: &DatabaseName) -> Vec<Location> {
        let mut places = self.home.places(name);
        for (index, other) in self.others.iter().enumerate() {
            let theirs = other.engine.places(name).into_iter();
            places.extend(theirs.map(|place| self.whole(Some(index), place)));
        }
        places
    }

    fn whereabouts(&self, name: &DatabaseName, at: &Location) -> Whereabouts {
        let (engine, at) = self.find(at);
        engine.whereabouts(name, &at)
    }

    fn place(&self, name: &DatabaseName, kept: &Whereabouts) -> Option<Location> {
        match self.position(&kept.engine) {
            Some(index) => {
                let place = self.others[index].engine.place(name, kept)?;
                Some(self.whole(Some(index), place))
            }
            None => self.home.place(name, kept),
        }
    }

    fn is_served(&self, at: &Location) -> bool {
        let (engine, at) = self.find(at);
        engine.is_served(&at)
    }

    fn probe<'a>(&'a self, at: &'a Location) -> BoxFuture<'a, Result<Presence, EngineError>> {
        let (engine, at) = self.find(at);
        Box::pin(async move { engine.probe(&at).await })
    }

    fn create<'a>(&'a self, at: &'a Location) -> BoxFuture<'a, Result<(), EngineError>> {
        let (engine, at) = self.find(at);
        Box::pin(async move { engine.create(&at).await })
    }

    fn claim<'a>(
        &'a self,
        at: &'a Location,
        by: Claimant,
    ) -> BoxFuture<'a, Result<Box<dyn Claim>, EngineError>> {
        let (engine, at) = self.find(at);
        Box::pin(async move { engine.claim(&at, by).await })
    }

    fn open<'a>(&'a self, at: &'a Location) -> BoxFuture<'a, Result<Arc<dyn Database>, EngineError>> {
        let (engine, at) = self.find(at);
        Box::pin(async move { engine.open(&at).await })
    }

    fn destroy<'a>(&'a self, at: &'a Location) -> BoxFuture<'a, Result<(), EngineError>> {
        let (engine, at) = self.find(at);
        Box::pin(async move { engine.destroy(&at).await })
    }

    fn size<'a>(&'a self, at: &'a Location) -> BoxFuture<'a, Option<u64>> {
        let (engine, at) = self.find(at);
        Box::pin(async move { engine.size(&at).await })
    }

    fn clear_leftovers(&self, age: Duration) -> BoxFuture<'_, ()> {
        let others = self.others.iter().map(move |other| other.engine.clear_leftovers(age));
        let all = join(self.home.clear_leftovers(age), join_all(others));
        Box::pin(async move { drop(all.await) })
    }

    fn lay<'a>(
        &'a self,
        dialect: Dialect,
        groundwork: &'a Groundwork,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        Box::pin(async move {
            self.home.lay(dialect, groundwork).await?;
            for other in &self.others {
                other.engine.lay(dialect, groundwork).await?;
            }
            Ok(())
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<DatabaseName>, EngineError>> {
        Box::pin(async move {
            let (home, others) = join(self.home.list(), join_all(self.others.iter().map(Named::list))).await;
            if others.is_empty() {
                return home;
            }
            let names: BTreeSet<_> = home?.into_iter().chain(others.into_iter().flatten()).collect();
            Ok(names.into_iter().collect())
        })
    }

    fn stamp<'a>(&'a self, at: &'a Location) -> BoxFuture<'a, Result<Stamp, EngineError>> {
        let (engine, at) = self.find(at);
        Box::pin(async move { engine.stamp(&at).await })
    }

    fn backup<'a>(
        &'a self,
        at: &'a Location,
        to: &'a Path,
        course: &'a Course,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        let (engine, at) = self.find(at);
        Box::pin(async move { engine.backup(&at, to, course).await })
    }

    fn restore<'a>(
        &'a self,
        at: &'a Location,
        restoration: Restoration<'a>,
        course: &'a Course,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        let (engine, at) = self.find(at);
        Box::pin(async move { engine.restore(&at, restoration, course).await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rowhouse_engine::{Over, Pace};
    use rowhouse_testing::Fake;

    fn name(text: &str) -> DatabaseName {
        text.parse().expect("a name")
    }

    fn at(text: &str) -> Location {
        Location(text.to_owned())
    }

    /// Two fakes, the second of which is told by its name.
    fn two() -> (Fake, Fake, Engines) {
        let (home, other) = (Fake::default(), Fake::default());
        let engines = Engines::new(Arc::new(home.clone())).with(Arc::new(other.clone()));
        (home, other, engines)
    }

    #[tokio::test]
    async fn the_place_says_whose_a_database_is() {
        let (home, other, engines) = two();
        engines.create(&at("a")).await.expect("creates");
        engines.create(&at("fake:main/a")).await.expect("creates");
        assert_eq!((home.tally().created, other.tally().created), (1, 1));
        assert_eq!(engines.probe(&at("main/a")).await.expect("probes"), Presence::Absent);
        assert_eq!(engines.probe(&at("fake:main/a")).await.expect("probes"), Presence::Present);
        let _database = engines.open(&at("fake:main/a")).await.expect("opens");
        assert_eq!((home.tally().opened, other.tally().opened), (0, 1));
        other.touch("main/a");
        let stamp = engines.stamp(&at("a")).await.expect("tells");
        assert!(!engines.stamp(&at("fake:main/a")).await.expect("tells").is_unchanged_since(stamp));
        engines.destroy(&at("fake:main/a")).await.expect("destroys");
        assert_eq!(engines.probe(&at("a")).await.expect("probes"), Presence::Present);
    }

    #[tokio::test]
    async fn a_place_that_begins_with_nobodys_name_is_at_home() {
        let (home, other, engines) = two();
        for place in ["/data/fake:a.db", ":memory:", "other:a", "fake"] {
            engines.create(&at(place)).await.expect("creates");
            assert_eq!(home.probe(&at(place)).await.expect("probes"), Presence::Present, "{place}");
        }
        assert_eq!(other.tally().created, 0);
    }

    #[tokio::test]
    async fn new_databases_are_at_home_unless_it_is_said_where() {
        let (_, _, engines) = two();
        assert_eq!(engines.locate(&name("a")), at("a"));
        let engines = engines.newcomers_to("fake");
        assert_eq!(engines.locate(&name("a")), at("fake:a"));
        assert_eq!(engines.choose(&name("a")).await.expect("chooses"), at("fake:a"));
        assert_eq!(engines.places(&name("a")), [at("a"), at("fake:a")]);
    }

    #[tokio::test]
    async fn the_databases_of_all_are_listed_once_each() {
        let (home, other, engines) = two();
        for (engine, place) in [(&home, "b"), (&home, "c"), (&other, "a"), (&other, "b")] {
            engine.put(place);
        }
        assert_eq!(engines.list().await.expect("lists"), [name("a"), name("b"), name("c")]);
    }

    #[tokio::test]
    async fn who_does_not_answer_has_what_it_had() {
        let (home, other, engines) = two();
        home.put("a");
        other.put("b");
        engines.list().await.expect("lists");
        other.set_mute(true);
        home.put("c");
        assert_eq!(engines.list().await.expect("lists"), [name("a"), name("b"), name("c")]);
        home.set_mute(true);
        assert!(engines.list().await.is_err(), "what is at home is not guessed");
    }

    #[tokio::test]
    async fn copies_are_made_where_the_database_is() {
        let (home, other, engines) = two();
        other.put("main/a");
        let directory = tempfile::tempdir().expect("a directory");
        let (file, course) = (directory.path().join("copy"), Course::new(Pace::Full));
        engines.backup(&at("fake:main/a"), &file, &course).await.expect("backs up");
        assert_eq!((home.tally().backed_up, other.tally().backed_up), (0, 1));
        let restoration = Restoration { from: &file, over: Over::Nothing };
        engines.restore(&at("fake:main/b"), restoration, &course).await.expect("restores");
        assert_eq!(other.probe(&at("main/b")).await.expect("probes"), Presence::Present);
    }
}
