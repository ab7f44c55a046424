//! New organizations on PostgreSQL: from a warm spare by the server, and by hand.
//!
//! Both on one server of PostgreSQL's that waits for the disk, quiet and while somebody writes and checkpoints.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::fixture;
use super::http::Http;
use super::peer::Peer;
use super::report::{BY_HAND, P50, P99, ROWHOUSE, Results, Times};
use super::target::Target;
use crate::postgres::Cluster;
use crate::run;

/// Organizations made by each way, per round and state.
const MADE: usize = 20;
/// Databases kept ready: each that is taken is replaced while the next is made.
const SPARES: u32 = 10;
/// Room for all of them.
const MAX_CONNECTIONS: u32 = 1000;
/// From one that is made to the next: they come one by one, and not as fast as they can.
const PAUSE: Duration = Duration::from_millis(250);
/// How long the spares may take to be there.
const READY: Duration = Duration::from_secs(120);

/// What is measured.
const MAKE: &str = "an organization, from claim to ready";
const ANSWER: &str = "its first answer over HTTP";

/// What somebody else does on the same server meanwhile.
const BUSY: &str = "CREATE TABLE IF NOT EXISTS busy (t text); \
    SELECT 'INSERT INTO busy SELECT repeat(md5(n::text), 30) FROM generate_series(1, 20000) n; CHECKPOINT; TRUNCATE busy' \
    FROM generate_series(1, 100000) \\gexec";

/// One round: a cluster and a server of its own.
struct Round<'a> {
    cluster: &'a Cluster,
    management: Http,
    http: Http,
    number: u32,
    by_hand: usize,
}

/// Runs the comparison for so many rounds.
///
/// # Errors
///
/// When PostgreSQL or the server cannot be started, or answers wrongly.
pub(super) async fn run(rounds: u32) -> Result<Results> {
    let mut results = Results::new("organizations");
    let cluster = Cluster::durable()?;
    for number in 1..=rounds {
        println!("round {number} of {rounds}");
        let template = cluster.url().replacen("/postgres?", &format!("/r{number}_{{org_id}}?"), 1);
        let folder = fixture::folder()?;
        let (mut server, http) =
            Peer::rowhouse_on_postgres(folder.path(), MAX_CONNECTIONS, (&template, SPARES))?;
        server.ready().await?;
        let (management, http) = (Http::connect(server.management())?, Http::connect(http)?);
        let mut round = Round { cluster: &cluster, management, http, number, by_hand: 0 };
        round.wait_for_spares()?;
        for state in ["quiet", "busy"] {
            results.begin(state);
            let load = (state == "busy").then(|| Load::begin(&cluster)).transpose()?;
            round.measure(&mut results, state)?;
            drop(load);
        }
        server.stop()?;
    }
    Ok(results)
}

/// The time that an organization takes, its first connection apart.
pub(super) fn targets(results: &Results) -> Vec<Target> {
    let of = |state: &str| results.median(&format!("{MAKE}, {state}, p50"), ROWHOUSE);
    let (Some(quiet), Some(busy)) = (of("quiet"), of("busy")) else { return Vec::new() };
    vec![
        Target::at_most("an organization from a warm spare, p50", "ms", 8.0, quiet / 1e3),
        Target::at_most("the same while somebody writes and checkpoints, p50", "ms", 8.0, busy / 1e3),
    ]
}

// === impl Round ===

impl Round<'_> {
    /// The two ways in turn, one organization each.
    fn measure(&mut self, results: &mut Results, state: &str) -> Result<()> {
        let (mut made, mut answered, mut by_hand) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..MADE {
            let name = format!("{state}-{number}");
            let (before, start) = (self.opening()?, Instant::now());
            let answer =
                self.http.post(&format!("/db/{name}/query"), "{\"sql\":\"SELECT current_database()\"}")?;
            answered.push(start.elapsed());
            made.push(self.opening()?.saturating_sub(before));
            let physical = format!("r{}_{name}", self.number);
            ensure!(answer.contains(&physical), "{name} answered {answer}");
            std::thread::sleep(PAUSE);
            by_hand.push(self.make_by_hand()?);
            std::thread::sleep(PAUSE);
        }
        let mut add = |subject, what: &str, times| {
            results.of(subject).times(&format!("{what}, {state}"), &Times::new(times), &[P50, P99]);
        };
        add(ROWHOUSE, MAKE, made);
        add(BY_HAND, MAKE, by_hand);
        add(ROWHOUSE, ANSWER, answered);
        Ok(())
    }

    /// A database from the same template, with a role that it is granted to; as `psql` measures it.
    fn make_by_hand(&mut self) -> Result<Duration> {
        self.by_hand += 1;
        let (round, number) = (self.number, self.by_hand);
        let name = format!("hand{round}_{number}");
        let said = psql(self.cluster)
            .args(["--command", "\\timing on"])
            .args([
                "--command",
                &format!("CREATE DATABASE {name} TEMPLATE \"r{round}_~template\" STRATEGY wal_log"),
            ])
            .args(["--command", &format!("CREATE ROLE {name} LOGIN PASSWORD 'known'")])
            .args(["--command", &format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC")])
            .args(["--command", &format!("GRANT CONNECT, TEMPORARY ON DATABASE {name} TO {name}")])
            .output()
            .context("psql is installed with the server")?;
        let text = String::from_utf8_lossy(&said.stdout);
        let times: Vec<f64> = text
            .lines()
            .filter_map(|line| line.strip_prefix("Time: ")?.split(' ').next()?.parse().ok())
            .collect();
        if times.len() != 4 {
            bail!("psql said {text}{}", String::from_utf8_lossy(&said.stderr));
        }
        Ok(Duration::from_secs_f64(times.iter().sum::<f64>() / 1e3))
    }

    /// How long the server has taken to open databases by now, as it counts itself: without connections.
    fn opening(&mut self) -> Result<Duration> {
        let metrics = self.management.get("/metrics")?;
        let sum = metrics.lines().find_map(|line| line.strip_prefix("rowhouse_database_open_seconds_sum "));
        let seconds = sum.and_then(|sum| sum.parse().ok()).context("the metrics tell no time of opening")?;
        Ok(Duration::from_secs_f64(seconds))
    }

    fn wait_for_spares(&self) -> Result<()> {
        let count = format!(
            "SELECT count(*) FROM pg_database WHERE starts_with(datname, 'r{}_~spare~')",
            self.number
        );
        let until = Instant::now() + READY;
        loop {
            let said = run::output(psql(self.cluster).args(["-At", "--command", &count]))?;
            if said.trim().parse() == Ok(SPARES) {
                return Ok(());
            }
            ensure!(Instant::now() < until, "there are {} spares of {SPARES}", said.trim());
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

fn psql(cluster: &Cluster) -> Command {
    let mut command = Command::new("psql");
    command.args(["--no-psqlrc", "--set=ON_ERROR_STOP=1", "--dbname", cluster.url()]).stdin(Stdio::null());
    command
}

/// Somebody who writes and checkpoints, until it is dropped.
struct Load(Child);

// === impl Load ===

impl Load {
    fn begin(cluster: &Cluster) -> Result<Self> {
        let mut command = Command::new("psql");
        command.args(["--no-psqlrc", "--quiet", "--dbname", cluster.url()]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().context("psql is installed with the server")?;
        let mut stdin = child.stdin.take().context("it is piped")?;
        std::io::Write::write_all(&mut stdin, BUSY.as_bytes())?;
        Ok(Self(child))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.0.kill();
        let _status = self.0.wait();
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
