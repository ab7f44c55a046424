//! Servers whose connections databases take: those called `LABEL-name`, once there is a server of that label.
use super::Fake;
use futures::future::BoxFuture;
use rowhouse_engine::{Capacity, EngineError, Server};
use rowhouse_types::DatabaseName;
use std::sync::Arc;

/// What stands between a server's label and the rest of a place.
const SIGN: char = '/';

/// What a server can take, and what it has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    capacity: Capacity,
    open: u32,
    most: u32,
    refuses: bool,
}

/// A server of a fake engine's.
#[derive(Debug)]
struct FakeServer {
    fake: Fake,
    label: String,
}

/// A connection, to its server.
#[derive(Debug)]
pub(super) struct Seat {
    fake: Fake,
    label: String,
}

impl Server for FakeServer {
    fn label(&self) -> &str {
        &self.label
    }

    fn capacity(&self) -> BoxFuture<'_, Result<Capacity, EngineError>> {
        let capacity = self.fake.load(&self.label).map(|load| load.capacity);
        Box::pin(async move { capacity.ok_or(EngineError::Lost) })
    }
}

impl Fake {
    /// From now on databases whose names begin with `label-` are on a server that can take so many
    /// connections, and refuses one more.
    pub fn serve(&self, label: &str, connections: u32) {
        let capacity = Capacity { connections, reserved: 0 };
        let load = Load { capacity, open: 0, most: 0, refuses: false };
        self.state().servers.entry(label.to_owned()).or_insert(load).capacity = capacity;
    }

    /// Makes a server refuse every connection, or take them again.
    pub fn set_refusing(&self, label: &str, refuses: bool) {
        self.state().servers.get_mut(label).expect("it serves").refuses = refuses;
    }

    /// How many connections a server has now, and the most that it has had at once.
    pub fn backends(&self, label: &str) -> (u32, u32) {
        let load = self.load(label).expect("it serves");
        (load.open, load.most)
    }

    /// Makes the connections of a database's that are open answer no longer, or again.
    pub fn set_silent(&self, name: &str, silent: bool) {
        let at = self.place_of(&name.parse().expect("a name"));
        let mut state = self.state();
        if silent {
            state.silent.insert(at);
        } else {
            state.silent.remove(&at);
        }
    }

    pub(super) fn place_of(&self, name: &DatabaseName) -> String {
        let name = name.to_string();
        match name.split_once('-') {
            Some((label, rest)) if self.load(label).is_some() => format!("{label}{SIGN}{rest}"),
            _ => name,
        }
    }

    pub(super) fn server_of(&self, at: &str) -> Option<Arc<dyn Server>> {
        let label = at.split_once(SIGN)?.0.to_owned();
        self.load(&label)?;
        Some(Arc::new(FakeServer { fake: self.clone(), label }))
    }

    /// Connects to the server of a database that has one.
    pub(super) async fn sit_down(&self, at: &str) -> Result<Option<Seat>, EngineError> {
        let Some((label, _)) = at.split_once(SIGN).filter(|(label, _)| self.load(label).is_some()) else {
            return Ok(None);
        };
        self.pass().await;
        let mut state = self.state();
        let load = state.servers.get_mut(label).expect("it serves");
        if load.refuses || load.capacity.connections <= load.open {
            return Err(EngineError::Lost);
        }
        load.open += 1;
        load.most = load.most.max(load.open);
        Ok(Some(Seat { fake: self.clone(), label: label.to_owned() }))
    }

    fn load(&self, label: &str) -> Option<Load> {
        self.state().servers.get(label).copied()
    }
}

impl Seat {
    pub(super) async fn stand_up(self) {
        self.fake.pass().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(load) = self.fake.state().servers.get_mut(&self.label) {
            load.open -= 1;
        }
    }
}
