//! A thousand databases in rotation: each read goes to the next of them, with room for all and for a tenth.

use std::time::Duration;

use anyhow::Result;

use super::ask::Statement;
use super::line::Asked;
use super::load::{self, Questions};
use super::select::connect;
use crate::bench::fixture;
use crate::bench::peer::Peer;
use crate::bench::report::{ROWHOUSE, Results};
use crate::bench::target::Target;

/// Databases in rotation.
const DATABASES: usize = 1000;
/// Room for all, and for a tenth.
const ROOMS: [u32; 2] = [1000, 100];
/// How many ask at once.
const CONNECTIONS: usize = 64;
/// For how long.
const DURATION: Duration = Duration::from_secs(4);
const ONE: &str = "look-up in one database, 64 connections";

/// Measures one database, and both rooms. Any error ends the bench.
pub(super) async fn run(results: &mut Results) -> Result<()> {
    let folder = fixture::folder()?;
    let names = fixture::names("rotated", DATABASES);
    fixture::prepare_many(folder.path(), &names, 0)?;
    let ask = |name: &String| Asked::Http(Statement::look_up().pipeline(name));
    let all: Questions = names.iter().map(ask).collect();
    for room in ROOMS {
        let (mut server, address) = Peer::rowhouse_http(folder.path(), room)?;
        server.ready().await?;
        if room == ROOMS[0] {
            let one: Questions = names[..1].iter().map(ask).collect();
            let load = load::run(&server, connect(address, CONNECTIONS).await?, one, DURATION).await?;
            results.of(ROWHOUSE).load(ONE, &load);
        }
        // Each was asked for before it is measured: opening what nobody has used is another bench's.
        let first = load::run(&server, connect(address, CONNECTIONS).await?, all.clone(), DURATION / 2);
        first.await?;
        let load = load::run(&server, connect(address, CONNECTIONS).await?, all.clone(), DURATION).await?;
        let mut column = results.of(ROWHOUSE);
        column.load(&what(room), &load);
        column.add(format!("memory, room for {room} (PSS)"), "KiB", server.memory()? as f64);
        server.stop()?;
    }
    Ok(())
}

fn what(room: u32) -> String {
    format!("look-up in the next of {DATABASES}, room for {room}")
}

/// How much rotation costs.
pub(super) fn targets(results: &Results) -> Option<Vec<Target>> {
    let rate = |name: &str| results.median(name, ROWHOUSE);
    let [all, some] = ROOMS.map(|room| rate(&what(room)));
    let (one, all, some) = (rate(ONE)?, all?, some?);
    Some(vec![
        Target::at_least("1,000 databases open and in rotation, to one database", "times", 0.8, all / one),
        Target::at_least("1,000 in rotation with room for 100, to room for all", "times", 0.2, some / all),
    ])
}
