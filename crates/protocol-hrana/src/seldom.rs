//! What seldom happens to a connection, apart from what often does, so that it is not looked at each time.
use crate::line::Line;
use crate::shared::Shared;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use std::sync::Arc;

/// What seldom happens. As long as nothing of it does, nothing of it is looked at.
pub(crate) type Seldom<'a, T> = FuturesUnordered<BoxFuture<'a, T>>;

/// What ends a connection whatever it is doing, and why.
pub(crate) fn ends(line: &Arc<Line>, shared: &Shared) -> Seldom<'static, &'static str> {
    let ends = Seldom::new();
    ends.push(line.sent_away().map(|()| "sent away").boxed());
    ends.push(shared.context.abort.clone().cancelled_owned().map(|()| "all are").boxed());
    ends
}
