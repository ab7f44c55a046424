//! First answers of databases that are created by being named.

use anyhow::{Result, ensure};

use crate::bench::peer::Peer;
use crate::bench::report::{P50, P99, ROWHOUSE, RUSQLITE, Results, Times};
use crate::bench::{fixture, opening};

/// Databases created per round.
const CREATED: usize = 200;
/// Room for all of them.
const MAX_CONNECTIONS: u32 = 1000;

const WHAT: &str = "create, SELECT 1";

/// Measures creation by name, and in process.
pub(super) async fn run(results: &mut Results) -> Result<()> {
    let (served, bare) = (fixture::folder()?, fixture::folder()?);
    let mut server = Peer::rowhouse(served.path(), MAX_CONNECTIONS)?;
    server.ready().await?;
    let client = server.connect().await?;
    client.query("", "SELECT 1").await?;
    let names = fixture::names("new", CREATED);
    let times = opening::served(&client, &names, "SELECT 1").await?;
    for name in &names {
        ensure!(fixture::file(served.path(), name).exists(), "{name} was answered without a file");
    }
    results.of(ROWHOUSE).times(WHAT, &Times::new(times), &[P50, P99]);
    let (times, _open) = opening::in_process(bare.path(), &names, "SELECT 1")?;
    results.of(RUSQLITE).times(WHAT, &Times::new(times), &[P50, P99]);
    server.stop()
}
