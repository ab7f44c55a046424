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

use super::part::Part;
use super::report::Results;
use super::target::Target;

pub(super) use bare::serve as serve_bare;

/// Runs the comparison for so many rounds, or one part of it.
///
/// # Errors
///
/// When a server cannot be started, or answers wrongly.
pub(super) async fn run(rounds: u32, only: Option<Part>) -> Result<Results> {
    let mut results = Results::new("hrana");
    for round in 1..=rounds {
        for part in Part::HRANA.iter().filter(|part| only.is_none_or(|only| only == **part)) {
            println!("round {round} of {rounds}: {}", part.as_str());
            results.begin(part.as_str());
            run_part(*part, &mut results)
                .await
                .with_context(|| format!("{} in round {round}", part.as_str()))?;
        }
    }
    Ok(results)
}

async fn run_part(part: Part, results: &mut Results) -> Result<()> {
    match part {
        Part::Pipeline => select::run(results).await,
        Part::Insert => insert::run(results).await,
        Part::Websocket => socket::run(results).await,
        Part::Rotation => rotation::run(results).await,
        _ => unreachable!("no part of this comparison"),
    }
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
