//! More databases in use than there is room for: each insert goes to the next of them.

use std::time::Duration;

use anyhow::{Result, ensure};
use tempfile::TempDir;

use crate::bench::fixture::{self, ADD_ROW, COUNT_ROWS, ROW};
use crate::bench::floor;
use crate::bench::load::Plan;
use crate::bench::peer::Peer;
use crate::bench::report::{ROWHOUSE, RUSQLITE, Results};
use crate::bench::target::Target;

/// Databases in rotation.
const DATABASES: usize = 50;
/// Room for some, and for all.
const ROOMS: [u32; 2] = [20, 50];
/// How many insert.
const CLIENTS: [usize; 2] = [1, 8];
/// How long they do.
const DURATION: Duration = Duration::from_secs(3);
/// How long SQLite in process does.
const IN_PROCESS: Duration = Duration::from_secs(1);

/// A server with its databases.
struct Served {
    room: u32,
    peer: Peer,
    folder: TempDir,
    /// Rows that must be there.
    rows: u64,
}

/// Measures both rooms in turn, then both in process.
pub(super) async fn run(results: &mut Results) -> Result<()> {
    let names = fixture::names("rotated", DATABASES);
    let mut servers = ROOMS.iter().map(|room| Served::start(*room, &names)).collect::<Result<Vec<_>>>()?;
    for server in &mut servers {
        server.peer.ready().await?;
    }
    for clients in CLIENTS {
        for server in &mut servers {
            let plan =
                Plan { databases: &names, query: ADD_ROW, argument: Some(ROW), clients, duration: DURATION };
            let load = plan.run(&server.peer).await?;
            server.rows += load.answers as u64;
            results.of(ROWHOUSE).load(&what(server.room, clients), &load);
        }
    }
    for server in servers {
        server.end(&names).await?;
    }
    for room in ROOMS {
        let folder = fixture::folder()?;
        fixture::prepare_many(folder.path(), &names, 0)?;
        let files: Vec<_> = names.iter().map(|name| fixture::file(folder.path(), name)).collect();
        let load = floor::rotate(&files, usize::try_from(room)?, IN_PROCESS)?;
        results.of(RUSQLITE).load(&what(room, 1), &load);
    }
    Ok(())
}

/// How much slower rotation is than having room for all.
pub(super) fn targets(results: &Results) -> Option<Vec<Target>> {
    let [some, all] = ROOMS;
    let rate = |room, clients| results.median(&what(room, clients), ROWHOUSE);
    let target = |clients| {
        let slower = rate(all, clients)? / rate(some, clients)?;
        Some(Target::at_most(
            format!("50 databases in rotation, {clients} client(s), slower with room for 20"),
            "times",
            5.0,
            slower,
        ))
    };
    CLIENTS.into_iter().map(target).collect()
}

fn what(room: u32, clients: usize) -> String {
    let s = if clients == 1 { "" } else { "s" };
    format!("INSERT to the next of 50, room for {room}, {clients} client{s}")
}

// === impl Served ===

impl Served {
    fn start(room: u32, names: &[String]) -> Result<Self> {
        let folder = fixture::folder()?;
        fixture::prepare_many(folder.path(), names, 0)?;
        let peer = Peer::rowhouse(folder.path(), room)?;
        Ok(Self { room, peer, folder, rows: u64::try_from(names.len())? })
    }

    /// Makes sure that every row that was acknowledged is there once, and stops the server.
    async fn end(self, names: &[String]) -> Result<()> {
        let client = self.peer.connect().await?;
        let mut rows = 0;
        for name in names {
            rows += client.number(name, COUNT_ROWS).await?;
        }
        let Self { room, rows: wanted, .. } = self;
        ensure!(rows == wanted, "with room for {room}: {rows} rows where {wanted} were acknowledged");
        self.peer.stop()?;
        Ok(self.folder.close()?)
    }
}
