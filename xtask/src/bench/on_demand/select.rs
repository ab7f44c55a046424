//! `SELECT 1` on an open database: what a request costs when the database costs nothing.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::bench::load::Plan;
use crate::bench::peer::Peer;
use crate::bench::report::{CODEC, ECHO, ROWHOUSE, ROWHOUSE_CURVE, Results, SQLITE_RX};
use crate::bench::target::Target;
use crate::bench::{codec, fixture};

/// How many ask, and for how long.
const LOADS: [(usize, Duration); 2] = [(1, Duration::from_secs(2)), (16, Duration::from_secs(3))];
/// Room for the one database.
const MAX_CONNECTIONS: u32 = 20;
/// Messages that the codec reads and writes.
const IN_PROCESS: u32 = 200_000;
/// What the server may take of the processor, in echoes plus their codec.
const SHARE: f64 = 2.0;
/// The database that is asked.
const NAME: &str = "warm";

/// Measures the server, the peer and the floors.
pub(super) async fn run(results: &mut Results, python: &Path) -> Result<()> {
    let (folder, secret, other) = (fixture::folder()?, fixture::folder()?, fixture::folder()?);
    for folder in [&folder, &secret, &other] {
        fixture::prepare(&fixture::file(folder.path(), NAME))?;
    }
    let (named, default) = ([NAME.to_owned()], [String::new()]);
    let mut peers = [
        (ROWHOUSE, &named, Peer::rowhouse(folder.path(), MAX_CONNECTIONS)?),
        (ROWHOUSE_CURVE, &named, Peer::rowhouse_encrypted(secret.path(), MAX_CONNECTIONS)?),
        (ECHO, &named, Peer::echo()?),
        (SQLITE_RX, &default, Peer::sqlite_rx(python, &fixture::file(other.path(), NAME))?),
    ];
    for (_, _, peer) in &mut peers {
        peer.ready().await?;
    }
    for (clients, duration) in LOADS {
        for (subject, databases, peer) in &peers {
            let plan = Plan { databases: *databases, query: "SELECT 1", argument: None, clients, duration };
            let load = plan.run(peer).await?;
            results.of(subject).load(&what(clients), &load);
        }
        let codec = codec::select_one(NAME, IN_PROCESS)?.as_secs_f64() * 1e6;
        results.of(CODEC).add(format!("{}, server CPU", what(clients)), "µs/request", codec);
    }
    for (subject, _, peer) in peers {
        results.of(subject).add("memory after SELECT 1 (PSS)", "KiB", peer.memory()? as f64);
        peer.stop()?;
    }
    Ok(())
}

/// The processor time of a request against that of an echo and the codec.
pub(super) fn targets(results: &Results) -> Option<Vec<Target>> {
    let target = |(clients, _)| {
        let name = format!("{}, server CPU", what(clients));
        let cpu = |subject| results.median(&name, subject);
        let share = cpu(ROWHOUSE)? / (cpu(ECHO)? + cpu(CODEC)?);
        Some(Target::at_most(format!("{name}, to an echo plus its codec"), "times", SHARE, share))
    };
    LOADS.into_iter().map(target).collect()
}

/// What a load of so many clients is called.
pub(super) fn what(clients: usize) -> String {
    let s = if clients == 1 { "" } else { "s" };
    format!("warm SELECT 1, {clients} client{s}")
}
