//! A fake engine: databases are names in a set, and every statement answers with its database's place, but
//! for `FAIL` and a native code, which fails so and rolls back.
mod server;
mod tally;
mod told;

pub use tally::Tally;

use futures::future::BoxFuture;
use futures::stream::StreamExt;
use rowhouse_engine::{
    Batch, Chunk, Chunks, Claim, Claimant, Column, Condition, Connection, Course, Database, Description,
    Engine, EngineError, Listener, Listening, Location, Options, Outcome, Over, Presence, Restoration,
    Server, SessionState, Stage, Stamp,
};
use rowhouse_types::{DatabaseName, Request, ValueRef};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::{Semaphore, oneshot};

/// A fake engine. Cloning yields another handle.
#[derive(Clone, Debug)]
pub struct Fake {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Every opening and closing takes one permit for its duration.
    gate: Semaphore,
}

#[derive(Debug, Default)]
struct State {
    present: BTreeSet<String>,
    broken: BTreeSet<String>,
    /// How often each was replaced.
    generations: BTreeMap<String, u64>,
    /// How often each was touched.
    touched: BTreeMap<String, u64>,
    /// The most bytes that each may take, as was said last.
    bounds: BTreeMap<String, Option<u64>>,
    frozen: BTreeSet<String>,
    /// Whether it tells nobody which databases there are.
    is_mute: bool,
    /// Who listens to each.
    listeners: BTreeMap<String, Arc<dyn Listener>>,
    /// The server of databases whose place begins with a label and a slash.
    servers: BTreeMap<String, server::Load>,
    /// Databases whose connections answer no longer.
    silent: BTreeSet<String>,
    /// Whoever looks next waits for it before it is told what it found.
    late_look: Option<oneshot::Receiver<()>>,
    tally: Tally,
}

/// A database that is open somewhere else.
#[derive(Debug)]
struct Claimed {
    fake: Fake,
    at: String,
    generation: u64,
}

impl Claim for Claimed {
    fn verify(&self) -> Result<(), EngineError> {
        self.fake.verify(&self.at, self.generation)
    }

    fn size(&self) -> BoxFuture<'_, Option<u64>> {
        Box::pin(async { None })
    }
}

impl Default for Fake {
    fn default() -> Self {
        let shared = Shared { state: Mutex::default(), gate: Semaphore::new(Semaphore::MAX_PERMITS) };
        Self { shared: Arc::new(shared) }
    }
}

impl Fake {
    /// Puts a database there.
    pub fn put(&self, name: &str) {
        self.state().present.insert(name.to_owned());
    }

    /// Puts another database in the place of one.
    pub fn replace(&self, name: &str) {
        *self.state().generations.entry(name.to_owned()).or_default() += 1;
    }

    /// Takes a database away, open or not.
    pub fn remove(&self, name: &str) {
        self.state().present.remove(name);
        self.replace(name);
    }

    /// Makes a database fail to open, or mends it.
    pub fn set_broken(&self, name: &str, broken: bool) {
        let mut state = self.state();
        if broken {
            state.broken.insert(name.to_owned());
        } else {
            state.broken.remove(name);
        }
    }

    /// Changes a database.
    pub fn touch(&self, name: &str) {
        *self.state().touched.entry(name.to_owned()).or_default() += 1;
    }

    /// The most bytes that an open database may take, as it was told last.
    pub fn bound_of(&self, name: &str) -> Option<u64> {
        self.state().bounds.get(name).copied().flatten()
    }

    /// Makes a database frozen at its bound, or thaws it.
    pub fn set_frozen(&self, name: &str, frozen: bool) {
        let mut state = self.state();
        if frozen {
            state.frozen.insert(name.to_owned());
        } else {
            state.frozen.remove(name);
        }
    }

    /// Makes it unable to list its databases, or able again.
    pub fn set_mute(&self, mute: bool) {
        self.state().is_mute = mute;
    }

    /// Whoever looks next whether a database is there is told what it found only when this is dropped.
    pub fn delay_next_look(&self) -> oneshot::Sender<()> {
        let (release, late) = oneshot::channel();
        self.state().late_look = Some(late);
        release
    }

    /// Whether somebody waits as [`Fake::delay_next_look`] says.
    pub fn is_looked_for(&self) -> bool {
        self.state().late_look.is_none()
    }

    /// Holds every opening, closing and backup until [`Fake::resume`].
    pub fn pause(&self) {
        self.shared.gate.forget_permits(usize::MAX);
    }

    /// Lets openings and closings go on.
    pub fn resume(&self) {
        self.shared.gate.add_permits(Semaphore::MAX_PERMITS);
    }

    /// What has happened so far.
    pub fn tally(&self) -> Tally {
        self.state().tally
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().expect("never panics while locked")
    }

    fn verify(&self, name: &str, generation: u64) -> Result<(), EngineError> {
        let same = self.state().generation(name) == generation;
        if same { Ok(()) } else { Err(EngineError::Replaced) }
    }

    fn stamp_of(&self, at: &str) -> Stamp {
        Stamp::of(&[1, self.state().touched.get(at).copied().unwrap_or(0)])
    }

    /// Writes the database's place into the file, if it is not broken.
    async fn copy(&self, at: &str, to: &Path, course: &Course) -> Result<(), EngineError> {
        {
            let tally = &mut self.state().tally;
            tally.copying += 1;
            tally.most_copying = tally.most_copying.max(tally.copying);
        }
        course.tell(Stage::Copying, 0, 1);
        while !course.must_stop() && self.shared.gate.available_permits() == 0 {
            tokio::task::yield_now().await;
        }
        let mut state = self.state();
        state.tally.copying -= 1;
        if course.must_stop() {
            return Err(EngineError::Cancelled);
        }
        if state.broken.contains(at) || !state.present.contains(at) {
            return Err(EngineError::NotADatabase);
        }
        std::fs::write(to, at).map_err(|error| EngineError::Storage(Arc::new(error)))?;
        state.tally.backed_up += 1;
        Ok(())
    }

    async fn pass(&self) {
        drop(self.shared.gate.acquire().await);
        tokio::task::yield_now().await;
    }
}

impl State {
    fn generation(&self, name: &str) -> u64 {
        self.generations.get(name).copied().unwrap_or(0)
    }
}

impl Engine for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn locate(&self, name: &DatabaseName) -> Location {
        Location(self.place_of(name))
    }

    fn is_served(&self, at: &Location) -> bool {
        self.server_of(&at.0).is_some()
    }

    fn probe<'a>(&'a self, at: &'a Location) -> BoxFuture<'a, Result<Presence, EngineError>> {
        Box::pin(async move {
            let (present, late) = {
                let mut state = self.state();
                (state.present.contains(&at.0), state.late_look.take())
            };
            if let Some(late) = late {
                // It is dropped, as a rule.
                let _either = late.await;
            }
            Ok(if present { Presence::Present } else { Presence::Absent })
        })
    }

    fn create<'a>(&'a self, at: &'a Location) -> BoxFuture<'a, Result<(), EngineError>> {
        Box::pin(async move {
            let mut state = self.state();
            if !state.present.insert(at.0.clone()) {
                return Err(EngineError::AlreadyExists);
            }
            state.tally.created += 1;
            Ok(())
        })
    }

    fn claim<'a>(
        &'a self,
        at: &'a Location,
        _by: Claimant,
    ) -> BoxFuture<'a, Result<Box<dyn Claim>, EngineError>> {
        Box::pin(async move {
            let generation = self.state().generation(&at.0);
            let claim: Box<dyn Claim> =
                Box::new(Claimed { fake: self.clone(), at: at.0.clone(), generation });
            Ok(claim)
        })
    }

    fn open<'a>(&'a self, at: &'a Location) -> BoxFuture<'a, Result<Arc<dyn Database>, EngineError>> {
        Box::pin(async move {
            self.pass().await;
            let mut state = self.state();
            if state.broken.contains(&at.0) {
                return Err(EngineError::NotADatabase);
            }
            if !state.present.contains(&at.0) {
                return Err(EngineError::NoSuchDatabase);
            }
            let tally = &mut state.tally;
            tally.opened += 1;
            tally.open += 1;
            tally.most_open = tally.most_open.max(tally.open);
            let generation = state.generation(&at.0);
            let database = FakeDatabase { engine: self.clone(), at: at.0.clone(), generation };
            Ok(Arc::new(database) as Arc<dyn Database>)
        })
    }

    fn destroy<'a>(&'a self, at: &'a Location) -> BoxFuture<'a, Result<(), EngineError>> {
        Box::pin(async move {
            let removed = self.state().present.remove(&at.0);
            if removed { Ok(()) } else { Err(EngineError::NoSuchDatabase) }
        })
    }

    fn size<'a>(&'a self, _at: &'a Location) -> BoxFuture<'a, Option<u64>> {
        Box::pin(async { None })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<DatabaseName>, EngineError>> {
        Box::pin(async move {
            let state = self.state();
            if state.is_mute {
                return Err(EngineError::Unreachable(Arc::new(std::io::ErrorKind::ConnectionRefused.into())));
            }
            Ok(state.present.iter().filter_map(|name| name.parse().ok()).collect())
        })
    }

    fn stamp<'a>(&'a self, at: &'a Location) -> BoxFuture<'a, Result<Stamp, EngineError>> {
        Box::pin(async move { Ok(self.stamp_of(&at.0)) })
    }

    fn backup<'a>(
        &'a self,
        at: &'a Location,
        to: &'a Path,
        course: &'a Course,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        Box::pin(self.copy(&at.0, to, course))
    }

    fn restore<'a>(
        &'a self,
        at: &'a Location,
        restoration: Restoration<'a>,
        _course: &'a Course,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        Box::pin(async move {
            let new = self.state().present.insert(at.0.clone());
            match (restoration.over, new) {
                (Over::Nothing, false) => Err(EngineError::AlreadyExists),
                _ => Ok(()),
            }
        })
    }
}

#[derive(Debug)]
struct FakeDatabase {
    engine: Fake,
    at: String,
    generation: u64,
}

impl Database for FakeDatabase {
    fn connect(&self) -> BoxFuture<'_, Result<Box<dyn Connection>, EngineError>> {
        self.engine.state().tally.connected += 1;
        Box::pin(async move {
            let seat = self.engine.sit_down(&self.at).await?;
            let connection = FakeConnection {
                engine: self.engine.clone(),
                at: self.at.clone(),
                generation: self.generation,
                state: SessionState::Clean,
                unbegun: None,
                seat,
            };
            Ok(Box::new(connection) as Box<dyn Connection>)
        })
    }

    fn server(&self) -> Option<Arc<dyn Server>> {
        self.engine.server_of(&self.at)
    }

    fn verify(&self) -> Result<(), EngineError> {
        self.engine.verify(&self.at, self.generation)
    }

    fn size(&self) -> BoxFuture<'_, Option<u64>> {
        Box::pin(async { None })
    }

    fn bound(&self, max_bytes: Option<u64>) {
        self.engine.state().bounds.insert(self.at.clone(), max_bytes);
    }

    fn is_frozen(&self) -> BoxFuture<'_, Result<bool, EngineError>> {
        Box::pin(async { Ok(self.engine.state().frozen.contains(&self.at)) })
    }

    fn checkpoint(&self) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async {
            self.engine.pass().await;
            self.engine.state().tally.checkpoints += 1;
            Ok(())
        })
    }

    fn listen(&self, listener: Arc<dyn Listener>) -> BoxFuture<'_, Result<Box<dyn Listening>, EngineError>> {
        Box::pin(async { Ok(self.engine.heard(&self.at, listener).await) })
    }

    fn stamp(&self) -> BoxFuture<'_, Result<Option<Stamp>, EngineError>> {
        Box::pin(async { Ok(Some(self.engine.stamp_of(&self.at))) })
    }

    fn backup<'a>(&'a self, to: &'a Path, course: &'a Course) -> BoxFuture<'a, Result<(), EngineError>> {
        Box::pin(self.engine.copy(&self.at, to, course))
    }

    fn close(&self) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async {
            self.engine.pass().await;
            self.engine.state().tally.open -= 1;
            Ok(())
        })
    }
}

#[derive(Debug)]
struct FakeConnection {
    engine: Fake,
    at: String,
    generation: u64,
    state: SessionState,
    unbegun: Option<Request>,
    /// What it takes up of a server.
    seat: Option<server::Seat>,
}

impl FakeConnection {
    /// Fails as if that had ended the transaction.
    fn roll_back(&mut self, native: i32) -> Chunks<'_> {
        self.state = SessionState::Clean;
        let message = "it failed, and the transaction is rolled back".to_owned();
        let error = EngineError::Statement { condition: Condition::Other, message, native };
        futures::stream::once(async { Err(error) }).boxed()
    }
}

impl Connection for FakeConnection {
    fn run(&mut self, request: Request, _options: Options) -> Chunks<'_> {
        if let Err(error) = self.engine.verify(&self.at, self.generation) {
            self.unbegun = Some(request);
            return futures::stream::once(async { Err(error) }).boxed();
        }
        self.state = match request.sql() {
            "BEGIN" => SessionState::Transaction,
            "COMMIT" => SessionState::Clean,
            sql => match sql.strip_prefix("FAIL ").and_then(|code| code.parse().ok()) {
                Some(native) => return self.roll_back(native),
                None => self.state,
            },
        };
        let mut rows = Batch::new(1);
        rows.push(ValueRef::Text(&self.at));
        let columns = [Column { name: "place".to_owned(), decl_type: None }];
        let chunk = Chunk { columns: Some(columns.into()), rows, outcome: Some(Outcome::default()) };
        futures::stream::once(async { Ok(chunk) }).boxed()
    }

    fn describe<'a>(
        &'a mut self,
        _sql: &'a str,
        _options: Options,
    ) -> BoxFuture<'a, Result<Description, EngineError>> {
        let verified = self.engine.verify(&self.at, self.generation);
        Box::pin(
            async move { verified.map(|()| Description { is_readonly: true, ..Description::default() }) },
        )
    }

    fn take_back(&mut self) -> Option<Request> {
        self.unbegun.take()
    }

    fn state(&self) -> SessionState {
        self.state
    }

    fn ping(&mut self) -> BoxFuture<'_, Result<(), EngineError>> {
        let is_silent = self.engine.state().silent.contains(&self.at);
        Box::pin(async move { if is_silent { Err(EngineError::Lost) } else { Ok(()) } })
    }

    fn reset(&mut self) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async {
            self.engine.pass().await;
            self.engine.state().tally.reset += 1;
            self.state = SessionState::Clean;
            Ok(())
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            if let Some(seat) = self.seat {
                seat.stand_up().await;
            }
        })
    }
}
