//! Metrics: what happened, counted, in Prometheus' text format.
//!
//! Invariant: labels are words of the code's, never a client's; so the text is bounded.
use rowhouse_gateway::{Event, Observer};
use rowhouse_types::Reportable as _;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::Duration;

/// The upper bounds of the buckets of times, in seconds.
const BUCKETS: [f64; 9] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 10.0];

/// The observer that counts.
#[derive(Debug, Default)]
pub struct Metrics {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By family and labels.
    counts: BTreeMap<(Family, [&'static str; 2]), u64>,
    opened: Times,
    closed: Times,
    backed_up: Times,
    migrated: Times,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    Created,
    Closed,
    OpenFailed,
    Failed,
    CloseFailed,
    BackupFailed,
    NotReady,
    MigrationFailed,
    Refused,
    TurnedAway,
    Reopened,
    UsageHigh,
}

/// How long something took, each time.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    /// How many took at most as long as each of [`BUCKETS`], and longer than the one before.
    buckets: [u64; BUCKETS.len()],
    count: u64,
    sum: Duration,
}

// === impl Metrics ===

impl Metrics {
    /// Appends all families.
    pub fn write(&self, out: &mut String) {
        let state = self.state.lock().expect("never panics while locked");
        for family in Family::ALL {
            family.write(&state.counts, out);
        }
        state.opened.write(("rowhouse_database_open_seconds", "How long opening a database took."), out);
        state.closed.write(("rowhouse_database_close_seconds", "How long closing a database took."), out);
        state.backed_up.write(("rowhouse_backup_seconds", "How long backing up a database took."), out);
        let migrated = "How long bringing a database to the newest schema took, where it was not there.";
        state.migrated.write(("rowhouse_migration_seconds", migrated), out);
    }
}

impl Observer for Metrics {
    fn observe(&self, event: &Event<'_>) {
        let mut state = self.state.lock().expect("never panics while locked");
        let (series, many) = match event {
            Event::DatabaseCreated { .. } => ((Family::Created, ["", ""]), 1),
            Event::DatabaseOpened { took, .. } => return state.opened.add(*took),
            Event::DatabaseClosed { reason, took, .. } => {
                state.closed.add(*took);
                ((Family::Closed, [reason.as_str(), ""]), 1)
            }
            Event::OpenFailed { code, .. } => ((Family::OpenFailed, [code.as_str(), ""]), 1),
            Event::DatabaseFailed { code, .. } => ((Family::Failed, [code.as_str(), ""]), 1),
            Event::CloseFailed { .. } => ((Family::CloseFailed, ["", ""]), 1),
            Event::Migrated { took, .. } => return state.migrated.add(*took),
            Event::MigrationFailed { error, .. } => {
                ((Family::MigrationFailed, [error.code().as_str(), ""]), 1)
            }
            Event::BackedUp { took, .. } => return state.backed_up.add(*took),
            Event::BackupFailed { code, .. } => ((Family::BackupFailed, [code.as_str(), ""]), 1),
            Event::BackupsNotListed { .. } => ((Family::BackupFailed, ["not_listed", ""]), 1),
            Event::EngineNotReady { engine, .. } => ((Family::NotReady, [engine, ""]), 1),
            Event::Refused { reason, code, .. } => ((Family::Refused, [reason.as_str(), code.as_str()]), 1),
            Event::ClientUnauthorized { .. } => ((Family::TurnedAway, ["unauthorized", ""]), 1),
            Event::ClientRevoked { .. } => ((Family::TurnedAway, ["revoked", ""]), 1),
            Event::HandshakesCrowded { .. } => ((Family::TurnedAway, ["crowded", ""]), 1),
            Event::ClientEnded { .. } => ((Family::TurnedAway, ["ended", ""]), 1),
            Event::Thrashing { reopened, .. } => ((Family::Reopened, ["", ""]), *reopened),
            Event::ClientUsageHigh { .. } => ((Family::UsageHigh, ["", ""]), 1),
            // Clients at the limit and its changes are counted where they are decided.
            _ => return,
        };
        *state.counts.entry(series).or_default() += many;
    }
}

// === impl Family ===

impl Family {
    const ALL: [Self; 12] = [
        Self::Created,
        Self::Closed,
        Self::OpenFailed,
        Self::Failed,
        Self::CloseFailed,
        Self::BackupFailed,
        Self::NotReady,
        Self::MigrationFailed,
        Self::Refused,
        Self::TurnedAway,
        Self::Reopened,
        Self::UsageHigh,
    ];

    /// Its name, the names of its labels, and what it counts.
    fn about(self) -> (&'static str, &'static [&'static str], &'static str) {
        match self {
            Self::Created => ("rowhouse_databases_created_total", &[], "Databases created."),
            Self::Closed => ("rowhouse_databases_closed_total", &["reason"], "Databases closed."),
            Self::OpenFailed => (
                "rowhouse_database_open_failures_total",
                &["code"],
                "Databases not opened, by the engine's fault.",
            ),
            Self::Failed => (
                "rowhouse_database_failures_total",
                &["code"],
                "Requests that failed by the database's or the disk's fault.",
            ),
            Self::CloseFailed => {
                ("rowhouse_database_close_failures_total", &[], "Databases that did not close cleanly.")
            }
            Self::BackupFailed => ("rowhouse_backup_failures_total", &["code"], "Backups that failed."),
            Self::NotReady => (
                "rowhouse_engine_not_ready_total",
                &["engine"],
                "Times that what an engine needs to make databases could not be made ready.",
            ),
            Self::MigrationFailed => (
                "rowhouse_migration_failures_total",
                &["code"],
                "Databases that could not be brought to the newest schema.",
            ),
            Self::Refused => (
                "rowhouse_requests_refused_total",
                &["reason", "code"],
                "Requests refused by a rule or a limit.",
            ),
            Self::TurnedAway => (
                "rowhouse_connections_ended_total",
                &["reason"],
                "Connections ended by the server: not authorized (any longer), crowded out while unidentified, or by an operator.",
            ),
            Self::Reopened => (
                "rowhouse_databases_reopened_total",
                &[],
                "Databases opened soon after they were evicted, in minutes with many of them.",
            ),
            Self::UsageHigh => (
                "rowhouse_connections_usage_high_total",
                &[],
                "Times the usage of the limit of clients became high.",
            ),
        }
    }

    fn write(self, counts: &BTreeMap<(Self, [&'static str; 2]), u64>, out: &mut String) {
        let (name, labels, help) = self.about();
        write!(out, "# HELP {name} {help}\n# TYPE {name} counter\n").expect("into memory");
        if labels.is_empty() {
            let count = counts.get(&(self, ["", ""])).copied().unwrap_or_default();
            writeln!(out, "{name} {count}").expect("into memory");
            return;
        }
        for ((_, values), count) in
            counts.range((self, ["", ""])..).take_while(|((family, _), _)| *family == self)
        {
            let pairs: Vec<_> =
                labels.iter().zip(values).map(|(label, value)| format!("{label}=\"{value}\"")).collect();
            writeln!(out, "{name}{{{}}} {count}", pairs.join(",")).expect("into memory");
        }
    }
}

// === impl Times ===

impl Times {
    fn add(&mut self, took: Duration) {
        let fits = BUCKETS.iter().position(|bound| took.as_secs_f64() <= *bound);
        if let Some(bucket) = fits {
            self.buckets[bucket] += 1;
        }
        self.count += 1;
        self.sum += took;
    }

    fn write(&self, (name, help): (&str, &str), out: &mut String) {
        write!(out, "# HELP {name} {help}\n# TYPE {name} histogram\n").expect("into memory");
        let mut within = 0;
        for (bound, count) in BUCKETS.iter().zip(self.buckets) {
            within += count;
            writeln!(out, "{name}_bucket{{le=\"{bound}\"}} {within}").expect("into memory");
        }
        let Self { count, sum, .. } = self;
        writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {count}").expect("into memory");
        writeln!(out, "{name}_sum {}\n{name}_count {count}", sum.as_secs_f64()).expect("into memory");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rowhouse_gateway::{CloseReason, Refusal};
    use rowhouse_types::{ErrorCode, Target};

    #[test]
    fn what_happens_is_counted_by_words_of_the_code() {
        let metrics = Metrics::default();
        let database = &Target::Named("secret-tenant".parse().expect("valid"));
        for took in [1, 3, 20_000].map(Duration::from_millis) {
            metrics.observe(&Event::DatabaseOpened { database, took });
            metrics.observe(&Event::DatabaseClosed { database, reason: CloseReason::Evicted, took });
        }
        let (reason, code) = (Refusal::Room, ErrorCode::DatabaseLimitReached);
        metrics.observe(&Event::Refused { database, reason, code });
        let mut out = String::new();
        metrics.write(&mut out);
        for line in [
            "rowhouse_databases_created_total 0",
            "rowhouse_databases_closed_total{reason=\"evicted\"} 3",
            "rowhouse_requests_refused_total{reason=\"room\",code=\"database_limit_reached\"} 1",
            "rowhouse_database_open_seconds_bucket{le=\"0.0005\"} 0",
            "rowhouse_database_open_seconds_bucket{le=\"0.001\"} 1",
            "rowhouse_database_open_seconds_bucket{le=\"10\"} 2",
            "rowhouse_database_open_seconds_bucket{le=\"+Inf\"} 3",
            "rowhouse_database_open_seconds_sum 20.004",
            "rowhouse_database_open_seconds_count 3",
        ] {
            assert!(out.lines().any(|found| found == line), "no {line} in:\n{out}");
        }
        assert!(!out.contains("secret-tenant"));
        let types = out.lines().filter(|line| line.starts_with("# TYPE")).count();
        assert_eq!(types, Family::ALL.len() + 4, "each family once");
    }
}
