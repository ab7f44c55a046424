//! What is told of changes: what the test says.
use super::Fake;
use futures::future::BoxFuture;
use rowhouse_engine::{Listener, Listening, News};
use std::sync::Arc;

/// Somebody listens to a fake database, until this is dropped.
#[derive(Debug)]
pub(super) struct Heard {
    fake: Fake,
    at: String,
    listener: Arc<dyn Listener>,
}

impl Fake {
    /// Tells who listens to a database, if anybody does.
    pub fn tell(&self, name: &str, news: News) {
        let listener = self.state().listeners.get(name).cloned();
        if let Some(listener) = listener {
            listener.hear(news);
        }
    }

    /// Whether anybody listens to a database.
    pub fn is_heard(&self, name: &str) -> bool {
        self.state().listeners.contains_key(name)
    }

    pub(super) async fn heard(&self, at: &str, listener: Arc<dyn Listener>) -> Box<dyn Listening> {
        self.pass().await;
        self.state().listeners.insert(at.to_owned(), listener.clone());
        Box::new(Heard { fake: self.clone(), at: at.to_owned(), listener })
    }
}

impl Listening for Heard {
    fn look(&self) -> BoxFuture<'_, ()> {
        Box::pin(async { self.fake.state().tally.looked += 1 })
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        let mut state = self.fake.state();
        if state.listeners.get(&self.at).is_some_and(|now| Arc::ptr_eq(now, &self.listener)) {
            state.listeners.remove(&self.at);
        }
    }
}
