//! Hrana over HTTP and over WebSocket, beside what the same bytes cost without a database behind them.
//!
//! Each part is a file; each round runs every part, and each part every subject in turn.

mod ask;
mod bare;
mod insert;
mod line;
mod load;
mod rotation;
mod select;
mod socket;

use anyhow::{Context, Result};

use super::report::Results;
use super::target::Target;

pub(super) use bare::serve as serve_bare;

/// Runs the comparison for so many rounds.
///
/// # Errors
///
/// When a server cannot be started, or answers wrongly.
pub(super) async fn run(rounds: u32) -> Result<Results> {
    let mut results = Results::new("hrana");
    for round in 1..=rounds {
        println!("round {round} of {rounds}");
        part(&mut results).await.with_context(|| format!("in round {round}"))?;
    }
    Ok(results)
}

async fn part(results: &mut Results) -> Result<()> {
    results.begin("pipeline");
    select::run(results).await.context("pipeline")?;
    results.begin("insert");
    insert::run(results).await.context("insert")?;
    results.begin("websocket");
    socket::run(results).await.context("websocket")?;
    results.begin("rotation");
    rotation::run(results).await.context("rotation")
}

/// Returns the targets of what was measured.
pub(super) fn targets(results: &Results) -> Vec<Target> {
    [select::targets, insert::targets, socket::targets, rotation::targets]
        .into_iter()
        .flat_map(|targets| targets(results).unwrap_or_default())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_has_no_target() {
        assert!(targets(&Results::new("nothing")).is_empty());
    }
}
