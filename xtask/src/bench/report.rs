//! What was measured: medians over rounds, as a table and as JSON.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;

use crate::run;

/// The subjects of a comparison, in the order of the table's columns.
const SUBJECTS: [&str; 4] = [ROWHOUSE, RUSQLITE, ECHO, SQLITE_RX];
/// The server.
pub(super) const ROWHOUSE: &str = "rowhouse";
/// The floor of an engine: SQLite in process.
pub(super) const RUSQLITE: &str = "SQLite in process";
/// The floor of a transport: the same bytes sent back.
pub(super) const ECHO: &str = "ZeroMQ echo";
/// The peer: the sqlite_rx package's own server of one database.
pub(super) const SQLITE_RX: &str = "sqlite_rx 1.3.0";

/// One line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Metric {
    /// What was measured.
    pub(super) name: &'static str,
    /// In what.
    pub(super) unit: &'static str,
}

/// The values of one metric for one subject, one per round.
struct Series {
    metric: Metric,
    subject: &'static str,
    rounds: Vec<f64>,
}

/// Everything one comparison measured.
pub(super) struct Results {
    bench: &'static str,
    series: Vec<Series>,
}

/// Times of single requests, sorted.
pub(super) struct Times(Vec<Duration>);

// === impl Results ===

impl Results {
    pub(super) fn new(bench: &'static str) -> Self {
        Self { bench, series: Vec::new() }
    }

    /// Adds this round's value.
    pub(super) fn add(&mut self, metric: Metric, subject: &'static str, value: f64) {
        let known =
            self.series.iter_mut().find(|series| series.metric == metric && series.subject == subject);
        match known {
            Some(series) => series.rounds.push(value),
            None => self.series.push(Series { metric, subject, rounds: vec![value] }),
        }
    }

    /// Writes the medians as a Markdown table, aligned to be read as it is.
    pub(super) fn table(&self) -> String {
        let mut rows =
            vec![["metric", "unit"].into_iter().chain(SUBJECTS).map(str::to_owned).collect::<Vec<_>>()];
        for metric in self.metrics() {
            let cells = SUBJECTS.iter().map(|subject| self.cell(metric, subject));
            rows.push([metric.name.to_owned(), metric.unit.to_owned()].into_iter().chain(cells).collect());
        }
        let widths: Vec<usize> = (0..rows[0].len())
            .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
            .collect();
        let mut lines: Vec<String> = rows.iter().map(|row| line(row, &widths)).collect();
        let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
        lines.insert(1, line(&rule, &widths));
        lines.join("\n")
    }

    /// Writes every round's values, and on what machine they were measured.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub(super) fn write(&self, file: &Path) -> Result<()> {
        let series = self.series.iter().map(|series| {
            json!({
                "metric": series.metric.name,
                "unit": series.metric.unit,
                "subject": series.subject,
                "median": median(&series.rounds),
                "rounds": series.rounds,
            })
        });
        let all = json!({
            "bench": self.bench,
            "revision": revision(),
            "machine": machine(),
            "series": series.collect::<Vec<_>>(),
        });
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        fs::write(file, format!("{all:#}\n")).with_context(|| format!("cannot write {}", file.display()))
    }

    /// Returns the metrics in the order in which they were first measured.
    fn metrics(&self) -> Vec<Metric> {
        let mut metrics = Vec::new();
        for series in &self.series {
            if !metrics.contains(&series.metric) {
                metrics.push(series.metric);
            }
        }
        metrics
    }

    fn cell(&self, metric: Metric, subject: &str) -> String {
        let found = self.series.iter().find(|series| series.metric == metric && series.subject == subject);
        found.map_or_else(|| "-".to_owned(), |series| number(median(&series.rounds)))
    }
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
    format!("| {} |", padded.collect::<Vec<_>>().join(" | "))
}

/// Writes a number with about three figures.
fn number(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => sorted[count / 2],
        count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
    }
}

/// Describes the machine in one line.
fn machine() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown processor");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{}, {cores} cores, Linux {}", model.trim_start_matches(['\t', ' ', ':']), kernel.trim())
}

fn revision() -> String {
    let revision = run::output(&mut run::program("git", &["rev-parse", "--short", "HEAD"]));
    revision.map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

// === impl Times ===

impl Times {
    pub(super) fn new(mut times: Vec<Duration>) -> Self {
        times.sort();
        Self(times)
    }

    /// Returns the time, in µs, that so many of a thousand requests did not exceed.
    pub(super) fn per_mille(&self, share: usize) -> f64 {
        let Some(last) = self.0.len().checked_sub(1) else { return f64::NAN };
        let index = (self.0.len() * share).div_ceil(1000).saturating_sub(1).min(last);
        self.0[index].as_secs_f64() * 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLD: Metric = Metric { name: "cold", unit: "µs" };

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[9.0, 1.0, 5.0]), 5.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), 3.0);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times = Times::new((1..=1000).rev().map(Duration::from_micros).collect());
        assert_eq!(times.per_mille(500).round(), 500.0);
        assert_eq!(times.per_mille(990).round(), 990.0);
        assert_eq!(times.per_mille(999).round(), 999.0);
        assert_eq!(Times::new(vec![Duration::from_micros(7)]).per_mille(999).round(), 7.0);
    }

    #[test]
    fn the_table_shows_medians_and_gaps() {
        let mut results = Results::new("test");
        for value in [3.0, 1.0, 200.0] {
            results.add(COLD, ROWHOUSE, value);
        }
        results.add(COLD, ECHO, 42.0);

        let table = results.table();

        let last = table.lines().last().unwrap();
        let cells: Vec<&str> = last.split('|').map(str::trim).collect();
        assert_eq!(cells, ["", "cold", "µs", "3.00", "-", "42.0", "-", ""]);
    }
}
