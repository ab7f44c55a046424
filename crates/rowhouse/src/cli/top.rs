//! `rowhouse top`: how busy a running server is, each second anew.
use super::api::{Api, Reach, USUAL};
use super::repeat::{interval, repeat};
use super::table::plain;
use super::{Failure, listing};
use clap::Args;
use rowhouse_wire::management::{Clients, Database, Databases, Pools, Server, StatsDetail};
use std::cmp::Reverse;
use std::io::Write;
use std::time::Duration;

/// How wide the bar is.
const BAR: usize = 40;

/// In place on a terminal, a block after the other elsewhere; ended by an interrupt.
#[derive(Debug, Args)]
pub(crate) struct Top {
    /// The main port of the server [default: the configured one, 9090]
    port: Option<u16>,
    /// Show it once
    #[arg(long)]
    once: bool,
    /// How often it is looked at
    #[arg(long, short, value_name = "SECONDS", default_value = "1", value_parser = interval)]
    interval: Duration,
    /// How many databases and connections are shown at most
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 7)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
    rows: u16,
    #[command(flatten)]
    reach: Reach,
}

// === impl Top ===

impl Top {
    /// Writes what there is to see.
    pub(crate) fn run(&self, out: &mut impl Write) -> anyhow::Result<()> {
        let api = self.reach.api(self.port, USUAL)?;
        if self.once {
            return self.look(&api, out);
        }
        repeat(self.interval, out, |block| self.look(&api, block))
    }

    fn look(&self, api: &Api, out: &mut impl Write) -> anyhow::Result<()> {
        let rows = self.rows;
        let failed = Failure::from;
        let stats: StatsDetail =
            api.get("/stats?detail=true").and_then(|answer| answer.read()).map_err(failed)?;
        let open = api.all("/databases?state=open&limit=1000", "databases", "after").map_err(failed)?;
        let open: Databases =
            serde_json::from_value(open).map_err(super::api::ApiError::Unknown).map_err(failed)?;
        let pools = api.get("/pools?limit=1");
        let pools: Pools = pools.and_then(|answer| answer.read()).map_err(failed)?;
        let idle = api.get(format!("/connections?sort=idle&limit={rows}"));
        let idle: Clients = idle.and_then(|answer| answer.read()).map_err(failed)?;

        writeln!(out, "rowhouse at {}", api.url(""))?;
        writeln!(out)?;
        let (active, limit) = (stats.active_connections, stats.max_connections);
        let share = stats.usage_percentage.value();
        writeln!(
            out,
            "clients    {active} of {limit}, {} free  [{}] {share:.1}%",
            stats.available_slots,
            bar(share)
        )?;
        writeln!(
            out,
            "           {} busy, {} idle, {} unidentified, {} refused since the start",
            stats.busy_connections,
            stats.idle_connections,
            stats.unidentified_connections,
            stats.refused_connections
        )?;
        writeln!(out, "databases  {} open", open.open)?;
        for server in &pools.servers {
            writeln!(out, "{}", connections(server))?;
        }
        writeln!(out)?;
        writeln!(out, "busiest databases")?;
        write!(out, "{}", listing::databases(busiest(&open.databases, rows.into())))?;
        writeln!(out)?;
        writeln!(out, "longest idle connections")?;
        write!(out, "{}", listing::connections(&idle.connections))?;
        Ok(())
    }
}

/// What a server has to do.
fn connections(server: &Server) -> String {
    let budget = server.budget.map_or("unknown".to_owned(), |budget| budget.to_string());
    let Server { in_use, idle, waiting, .. } = server;
    format!(
        "server     {}: {in_use} in use and {idle} idle of {budget}, {waiting} waiting",
        plain(&server.server)
    )
}

/// Those with the most sessions at work, at most so many.
fn busiest(databases: &[Database], most: usize) -> impl Iterator<Item = &Database> {
    let mut all: Vec<_> = databases.iter().collect();
    all.sort_by_key(|database| (Reverse(database.sessions), &database.name));
    all.into_iter().take(most)
}

/// A share in percent as a bar, full from 100 on.
fn bar(share: f64) -> String {
    let filled = (0..BAR).filter(|step| {
        let reached = f64::from(u32::try_from(*step).expect("a small number")) * 100.0 / 40.0;
        reached < share
    });
    let filled = filled.count();
    format!("{}{}", "#".repeat(filled), ".".repeat(BAR - filled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_empty_at_0_shows_the_first_client_and_is_full_from_100_on() {
        let filled = |share| bar(share).matches('#').count();
        assert_eq!([0.0, 0.1, 50.0, 99.9, 100.0, 250.0].map(filled), [0, 1, 20, 40, 40, 40]);
        assert!([0.0, 33.3, 250.0].map(bar).iter().all(|bar| bar.len() == BAR));
    }

    #[test]
    fn the_busiest_come_first_and_then_by_name() {
        let database =
            |name: &str, sessions| Database { name: name.to_owned(), sessions, state: "open".to_owned() };
        let all = [database("b", 1), database("c", 9), database("a", 1), database("d", 0)];
        let names: Vec<_> = busiest(&all, 3).map(|database| database.name.as_str()).collect();
        assert_eq!(names, ["c", "a", "b"]);
    }
}
