//! Limits that change while the server runs: what a permit costs, what a change costs, and whether the
//! management listener answers whatever the data plane does.
//!
//! Each part is a file; each round runs every part, and each part every subject in turn.

mod change;
mod half_open;
mod health;
mod metrics;
mod permit;

use anyhow::{Context, Result};

use super::report::Results;
use super::target::Target;

/// Runs the comparison for so many rounds.
///
/// # Errors
///
/// When a server cannot be started, or answers wrongly.
pub(super) async fn run(rounds: u32) -> Result<Results> {
    let mut results = Results::new("limits");
    for round in 1..=rounds {
        println!("round {round} of {rounds}");
        part(&mut results).await.with_context(|| format!("in round {round}"))?;
    }
    Ok(results)
}

async fn part(results: &mut Results) -> Result<()> {
    results.begin("permit");
    permit::run(results).context("permit")?;
    results.begin("change");
    change::run(results).await.context("change")?;
    results.begin("health");
    health::run(results).await.context("health")?;
    results.begin("half-open");
    half_open::run(results).await.context("half-open")?;
    results.begin("metrics");
    metrics::run(results).await.context("metrics")
}

/// Returns the targets of what was measured.
pub(super) fn targets(results: &Results) -> Vec<Target> {
    [permit::targets, change::targets, health::targets, half_open::targets, metrics::targets]
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
