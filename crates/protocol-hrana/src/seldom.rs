//! What seldom happens to a connection, apart from what often does, so that it is not looked at each time.
use crate::line::Line;
use crate::shared::Shared;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use std::sync::Arc;

/// What seldom happens. As long as nothing of it does, nothing of it is looked at.
pub(crate) type Seldom<'a, T> = FuturesUnordered<BoxFuture<'a, T>>;

/// Serves a connection until that has ended by itself, or has to whatever it is doing.
pub(crate) async fn until_ended(line: Arc<Line>, shared: &Shared, serving: impl Future<Output = ()>) {
    let mut ends = Seldom::new();
    ends.push(line.sent_away().map(|()| "sent away").boxed());
    ends.push(shared.context.abort.clone().cancelled_owned().map(|()| "all are").boxed());
    tokio::select! {
        biased;
        () = serving => {}
        Some(why) = ends.next() => tracing::debug!(from = %line.from, why, "connection ended"),
    }
}
