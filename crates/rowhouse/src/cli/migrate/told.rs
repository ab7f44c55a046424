//! What is told of a run.
use super::super::table::plain;
use rowhouse_wire::management::{MigrationDifference, MigrationFinding, MigrationRun};
use std::io::{self, Write};
use std::time::Duration;

/// Writes what came of it: a line for each database that is not as it should be, then one for all.
pub(super) fn run(run: &MigrationRun, is_dry: bool, out: &mut impl Write) -> io::Result<()> {
    for MigrationFinding { name, state, why, quarantined, differences } in &run.databases {
        let state = if is_dry && state == "behind" { "would be migrated" } else { state };
        let quarantined = if *quarantined { " (quarantined)" } else { "" };
        writeln!(out, "{name}: {state}{quarantined}: {}", plain(why))?;
        for MigrationDifference { part, expected, found } in differences {
            let say = |text: &Option<String>| text.as_deref().map_or("nothing".to_owned(), plain);
            writeln!(out, "  {}: expected {}, found {}", plain(part), say(expected), say(found))?;
        }
    }
    let told = run.databases.len() as u64;
    let all = run.behind + run.ahead + run.failed + run.different;
    if told < all {
        writeln!(out, "and {} more", all - told)?;
    }
    let took = Duration::from_millis(Duration::from_secs_f64(run.seconds).as_millis().max(1) as u64);
    let counts = [
        (run.migrated, "migrated"),
        (run.up_to_date, if run.errand == "verify" { "equal" } else { "up to date" }),
        (run.behind, "behind"),
        (run.ahead, "ahead"),
        (run.failed, "failed"),
        (run.different, "different"),
    ];
    let counts: Vec<_> = counts
        .iter()
        .filter(|(count, _)| *count != 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let counts = if counts.is_empty() { String::new() } else { format!(": {}", counts.join(", ")) };
    let s = if run.total == 1 { "" } else { "s" };
    writeln!(out, "{} database{s}{counts} ({})", run.total, humantime::format_duration(took))
}

/// Why it is not well.
pub(super) fn verdict(run: &MigrationRun) -> String {
    let bad = run.behind + run.ahead + run.failed + run.different;
    match (run.end.as_deref(), &run.error) {
        (Some("stopped"), _) => {
            format!("error: stopped after {} of {} databases: run it again to go on", run.done, run.total)
        }
        (_, Some(error)) => format!("error: {}", plain(error)),
        _ if run.errand == "verify" => {
            format!("error: {bad} of {} databases are not equal to what the migrations make", run.total)
        }
        _ => format!("error: {bad} of {} databases are not at the newest schema", run.total),
    }
}
