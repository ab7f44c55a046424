//! Databases on demand: opened cold and after a kill, created, read, written, kept and rotated.
//!
//! Each part is a file; each round runs every part, and each part every subject in turn, so that a noisy
//! minute strikes all of them alike. A part also says which of its figures have a target.

mod cold;
mod create;
mod insert;
mod memory;
mod neighbour;
mod rotation;
mod select;

use std::path::Path;

use anyhow::{Context, Result};

use super::part::Part;
use super::report::Results;
use super::target::Target;

/// The comparison, with what its rounds share.
struct Comparison<'a> {
    results: Results,
    python: &'a Path,
    /// Made when the first round needs it, for it takes long.
    cold: Option<cold::Fixture>,
}

/// Runs the comparison for so many rounds, or one part of it.
///
/// # Errors
///
/// When a peer cannot be started, or answers wrongly.
pub(super) async fn run(rounds: u32, only: Option<Part>, python: &Path) -> Result<Results> {
    let mut comparison = Comparison { results: Results::new("on-demand"), python, cold: None };
    for round in 1..=rounds {
        for part in Part::ON_DEMAND.iter().filter(|part| only.is_none_or(|only| only == **part)) {
            println!("round {round} of {rounds}: {}", part.as_str());
            comparison.results.begin(part.as_str());
            comparison.part(*part).await.with_context(|| format!("{} in round {round}", part.as_str()))?;
        }
    }
    Ok(comparison.results)
}

/// Returns the targets of the parts that were measured.
pub(super) fn targets(results: &Results) -> Vec<Target> {
    [cold::targets, select::targets, insert::targets, memory::targets, rotation::targets, neighbour::targets]
        .into_iter()
        .flat_map(|targets| targets(results).unwrap_or_default())
        .collect()
}

// === impl Comparison ===

impl Comparison<'_> {
    async fn part(&mut self, part: Part) -> Result<()> {
        let Self { results, python, cold } = self;
        match part {
            Part::ColdOpen => {
                let fixture = match cold.take() {
                    Some(fixture) => fixture,
                    None => cold::Fixture::make().await.context("making databases and killing a server")?,
                };
                cold::run(results, cold.insert(fixture)).await
            }
            Part::Create => create::run(results).await,
            Part::Select => select::run(results, python).await,
            Part::Insert => insert::run(results, python).await,
            Part::Memory => memory::run(results).await,
            Part::Rotation => rotation::run(results).await,
            Part::Neighbour => neighbour::run(results).await,
            Part::Pipeline | Part::Websocket => unreachable!("no part of this comparison"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_has_no_target() {
        assert!(targets(&Results::new("nothing")).is_empty());
    }
}
