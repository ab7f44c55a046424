//! What was measured: medians over rounds, as a table and as JSON.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::load::Load;
use super::target::Target;
use crate::run;

/// The subjects of comparisons, in the order of a table's columns; those not measured have none.
const SUBJECTS: [&str; 11] = [
    ROWHOUSE,
    ROWHOUSE_CURVE,
    ROWHOUSE_BY_PROCESS,
    RUSQLITE,
    ECHO,
    CODEC,
    SEMAPHORE,
    AXUM,
    WEBSOCKET,
    BY_HAND,
    SQLITE_RX,
];
/// The server.
pub(super) const ROWHOUSE: &str = "rowhouse";
/// The server, encrypting.
pub(super) const ROWHOUSE_CURVE: &str = "rowhouse, CURVE";
/// The server, with a process for each database.
pub(super) const ROWHOUSE_BY_PROCESS: &str = "rowhouse, by process";
/// The floor of an engine: SQLite in process.
pub(super) const RUSQLITE: &str = "SQLite in process";
/// The floor of a transport: the same bytes sent back.
pub(super) const ECHO: &str = "ZeroMQ echo";
/// The floor of a protocol: the same bytes read and written, in process.
pub(super) const CODEC: &str = "codec in process";
/// The floor of a limit: the semaphore that most programs use, which cannot be resized exactly.
pub(super) const SEMAPHORE: &str = "tokio Semaphore";
/// The floor of HTTP: a handler that parses the same request and answers the same bytes.
pub(super) const AXUM: &str = "bare axum handler";
/// The floor of WebSocket: each message answered with the same bytes.
pub(super) const WEBSOCKET: &str = "bare WebSocket";
/// The floor of provisioning: the same statements in `psql`, without spares.
pub(super) const BY_HAND: &str = "CREATE DATABASE by hand";
/// The peer: the sqlite_rx package's own server of one database.
pub(super) const SQLITE_RX: &str = "sqlite_rx 1.3.0";

/// A share of all requests, by its usual name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Percentile {
    name: &'static str,
    per_mille: usize,
}

/// The time that half of all requests did not exceed.
pub(super) const P50: Percentile = Percentile { name: "p50", per_mille: 500 };
/// The time that 99 of 100 requests did not exceed.
pub(super) const P99: Percentile = Percentile { name: "p99", per_mille: 990 };
/// The time that 999 of 1,000 requests did not exceed.
pub(super) const P999: Percentile = Percentile { name: "p99.9", per_mille: 999 };

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Metric {
    /// What was measured.
    name: String,
    /// In what.
    unit: &'static str,
}

/// The values of one metric for one subject, one per round.
struct Series {
    part: &'static str,
    metric: Metric,
    subject: &'static str,
    rounds: Vec<f64>,
}

/// Everything one comparison measured.
pub(super) struct Results {
    bench: &'static str,
    /// The part that is being measured; empty when the comparison has none.
    part: &'static str,
    series: Vec<Series>,
}

/// Where one subject's values go.
pub(super) struct Column<'a> {
    results: &'a mut Results,
    subject: &'static str,
}

/// Times of single requests, sorted.
pub(super) struct Times(Vec<Duration>);

// === impl Results ===

impl Results {
    pub(super) fn new(bench: &'static str) -> Self {
        Self { bench, part: "", series: Vec::new() }
    }

    /// Begins a part: what is added from now on is in its table.
    pub(super) fn begin(&mut self, part: &'static str) {
        self.part = part;
    }

    /// Returns where a subject's values of this round go.
    pub(super) fn of(&mut self, subject: &'static str) -> Column<'_> {
        debug_assert!(SUBJECTS.contains(&subject), "{subject} has no column");
        Column { results: self, subject }
    }

    /// Returns the median over the rounds, if it was measured.
    pub(super) fn median(&self, name: &str, subject: &str) -> Option<f64> {
        let found = self.series.iter().find(|series| series.metric.name == name && series.subject == subject);
        found.map(|series| median(&series.rounds))
    }

    /// Writes a part's medians as a Markdown table, aligned to be read as it is.
    fn table(&self, part: &str) -> String {
        let measured = |subject: &&str| {
            self.series.iter().any(|series| series.part == part && series.subject == *subject)
        };
        let subjects: Vec<&str> = SUBJECTS.into_iter().filter(|subject| measured(subject)).collect();
        let head = ["metric", "unit"].into_iter().chain(subjects.iter().copied());
        let mut rows = vec![head.map(str::to_owned).collect::<Vec<_>>()];
        for metric in self.metrics(part) {
            let cells = subjects.iter().map(|subject| self.cell(&metric.name, subject));
            rows.push([metric.name.clone(), metric.unit.to_owned()].into_iter().chain(cells).collect());
        }
        let widths: Vec<usize> = (0..rows[0].len())
            .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
            .collect();
        let mut lines: Vec<String> = rows.iter().map(|row| line(row, &widths)).collect();
        let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
        lines.insert(1, line(&rule, &widths));
        lines.join("\n")
    }

    /// Writes a table for each part, where it was measured, and how the targets were met, ready for the documentation.
    pub(super) fn page(&self, targets: &[Target]) -> String {
        let rounds = self.series.iter().map(|series| series.rounds.len()).max().unwrap_or(0);
        let mut page = format!("{}, revision {}, {rounds} round(s).\n\n", machine(), revision());
        for part in self.parts() {
            if !part.is_empty() {
                page += &format!("### {part}\n\n");
            }
            page += &format!("{}\n\n", self.table(part));
        }
        if !targets.is_empty() {
            page += "### Targets\n\n";
            page += &targets.iter().map(|target| format!("- {target}")).collect::<Vec<_>>().join("\n");
        }
        page.trim_end().to_owned() + "\n"
    }

    /// Returns every round's values and the targets, and on what machine they were measured.
    pub(super) fn json(&self, targets: &[Target]) -> Value {
        let series = self.series.iter().map(|series| {
            json!({
                "part": series.part,
                "metric": series.metric.name,
                "unit": series.metric.unit,
                "subject": series.subject,
                "median": median(&series.rounds),
                "rounds": series.rounds,
            })
        });
        json!({
            "bench": self.bench,
            "revision": revision(),
            "machine": machine(),
            "targets": targets.iter().map(Target::json).collect::<Vec<_>>(),
            "series": series.collect::<Vec<_>>(),
        })
    }

    /// Returns the parts in the order in which they were first measured.
    fn parts(&self) -> Vec<&'static str> {
        let mut parts = Vec::new();
        for series in &self.series {
            if !parts.contains(&series.part) {
                parts.push(series.part);
            }
        }
        parts
    }

    /// Returns a part's metrics in the order in which they were first measured.
    fn metrics(&self, part: &str) -> Vec<&Metric> {
        let mut metrics = Vec::new();
        for series in self.series.iter().filter(|series| series.part == part) {
            if !metrics.contains(&&series.metric) {
                metrics.push(&series.metric);
            }
        }
        metrics
    }

    fn cell(&self, name: &str, subject: &str) -> String {
        self.median(name, subject).map_or_else(|| "-".to_owned(), number)
    }
}

// === impl Column ===

impl Column<'_> {
    /// Adds this round's value.
    pub(super) fn add(&mut self, name: impl Into<String>, unit: &'static str, value: f64) {
        let metric = Metric { name: name.into(), unit };
        let Self { results: Results { part, series, .. }, subject } = self;
        let known = series.iter_mut().find(|series| series.metric == metric && series.subject == *subject);
        match known {
            Some(series) => series.rounds.push(value),
            None => series.push(Series { part, metric, subject, rounds: vec![value] }),
        }
    }

    /// Adds this round's percentiles of some times.
    pub(super) fn times(&mut self, what: &str, times: &Times, of: &[Percentile]) {
        for percentile in of {
            self.add(format!("{what}, {}", percentile.name), "µs", times.at(*percentile));
        }
    }

    /// Adds what a load did: throughput, times, and the server's processor time.
    pub(super) fn load(&mut self, what: &str, load: &Load) {
        self.add(what, "requests/s", load.rate());
        self.times(what, &load.times, &[P50, P99, P999]);
        self.add(format!("{what}, server CPU"), "µs/request", load.cpu_per_request());
    }
}

/// Writes a report, in a folder that is made if it is missing.
///
/// # Errors
///
/// When the file cannot be written.
pub(super) fn write(file: &Path, text: &str) -> Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
    format!("| {} |", padded.collect::<Vec<_>>().join(" | "))
}

/// Writes a number with about three figures.
pub(super) fn number(value: f64) -> String {
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

    /// Returns the time, in µs, that this share of all requests did not exceed.
    pub(super) fn at(&self, percentile: Percentile) -> f64 {
        let Some(last) = self.0.len().checked_sub(1) else { return f64::NAN };
        let index = (self.0.len() * percentile.per_mille).div_ceil(1000).saturating_sub(1).min(last);
        self.0[index].as_secs_f64() * 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[9.0, 1.0, 5.0]), 5.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), 3.0);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times = Times::new((1..=1000).rev().map(Duration::from_micros).collect());
        assert_eq!(times.at(P50).round(), 500.0);
        assert_eq!(times.at(P99).round(), 990.0);
        assert_eq!(times.at(P999).round(), 999.0);
        assert_eq!(Times::new(vec![Duration::from_micros(7)]).at(P999).round(), 7.0);
    }

    fn cells(line: &str) -> Vec<&str> {
        line.split('|').map(str::trim).collect()
    }

    #[test]
    fn the_table_shows_medians_and_gaps() {
        let mut results = Results::new("test");
        for value in [3.0, 1.0, 200.0] {
            results.of(ROWHOUSE).add("cold", "µs", value);
        }
        results.of(ECHO).add("warm", "µs", 42.0);

        let table = results.table("");

        let lines: Vec<_> = table.lines().map(cells).collect();
        assert_eq!(lines[2], ["", "cold", "µs", "3.00", "-", ""]);
        assert_eq!(lines[3], ["", "warm", "µs", "-", "42.0", ""]);
    }

    #[test]
    fn only_what_was_measured_has_a_column() {
        let mut results = Results::new("test");
        results.of(SQLITE_RX).add("warm", "µs", 1.0);
        results.of(ROWHOUSE).add("warm", "µs", 1.0);

        let table = results.table("");

        assert_eq!(cells(table.lines().next().unwrap()), ["", "metric", "unit", ROWHOUSE, SQLITE_RX, ""]);
        assert_eq!(results.median("warm", ECHO), None);
    }

    #[test]
    fn every_part_has_a_table_of_its_own() {
        let mut results = Results::new("test");
        for (part, subject) in [("read", ROWHOUSE), ("write", SQLITE_RX)] {
            results.begin(part);
            results.of(subject).add(part, "µs", 1.0);
        }

        let page = results.page(&[]);

        let (read, write) = page.split_once("### write").unwrap();
        assert!(read.contains("### read") && read.contains(ROWHOUSE) && !read.contains(SQLITE_RX));
        assert!(write.contains(SQLITE_RX) && !write.contains(ROWHOUSE));
    }

    #[test]
    fn the_page_ends_with_the_targets() {
        let mut results = Results::new("test");
        results.of(ROWHOUSE).add("warm", "µs", 2.0);
        let targets = [Target::at_most("quick", "µs", 3.0, 2.0)];

        let page = results.page(&targets);

        assert!(page.contains("1 round(s)"), "{page}");
        assert!(page.lines().last().unwrap().starts_with("- **met**"), "{page}");
    }
}
