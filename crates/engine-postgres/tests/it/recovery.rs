//! Whatever step a process is killed at, and whatever connection is: nothing half-made is served, and the
//! next one goes on.
use crate::support::{Cluster, needs_postgres, psql};
use rowhouse_engine::conformance::{Harness, integer, query};
use rowhouse_engine::{Course, Engine, EngineError, Location, Over, Pace, Presence, Restoration};
use rowhouse_engine_postgres::{Step, Steps};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Stops at a step, once: as if the process had been killed, or the connection on the server.
#[derive(Debug)]
struct StopAt {
    step: Step,
    /// What the administrative connections call themselves.
    kill: Option<String>,
    is_done: AtomicBool,
}

impl Steps for StopAt {
    fn reached(&self, step: Step, _name: &str) -> ControlFlow<()> {
        if step != self.step || self.is_done.swap(true, Ordering::SeqCst) {
            return ControlFlow::Continue(());
        }
        match &self.kill {
            None => ControlFlow::Break(()),
            Some(application) => {
                let kill =
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name";
                psql(&format!("{kill} = '{application}'")).expect("kills");
                ControlFlow::Continue(())
            }
        }
    }
}

/// Waits until the server has noticed that nobody is connected any more who calls itself so.
fn forgotten(cluster: &Cluster) {
    let left =
        format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'doomed {}'", cluster.prefix);
    while cluster.psql(&left) != "0" {}
}

/// How a step is not got over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Process,
    Connection,
}

/// An engine that does not get over a step, beside one that does.
fn doomed(cluster: &Cluster, (step, fate): (Step, Fate), spares: u32) -> (Arc<impl Engine>, Arc<StopAt>) {
    let application = format!("doomed {}", cluster.prefix);
    let kill = matches!(fate, Fate::Connection).then(|| application.clone());
    let stop = Arc::new(StopAt { step, kill, is_done: AtomicBool::new(false) });
    let engine = Cluster::beside(&cluster.prefix, |config| {
        config.steps = stop.clone();
        config.spares = spares;
        config.servers[0].admin.application_name = application;
    });
    (engine, stop)
}

/// It can be used, is the only one of its name, and nothing is left beside it.
async fn is_whole(cluster: &Cluster, at: &Location, told: &str) {
    let database = cluster.engine.open(at).await.unwrap_or_else(|error| panic!("{told}: {error:?}"));
    let mut one = database.connect().await.unwrap_or_else(|error| panic!("{told}: {error:?}"));
    query(&mut *one, "CREATE TABLE IF NOT EXISTS t (n int)").await;
    one.close().await;
    database.close().await.expect("closes");
    let names: Vec<_> = cluster.names().into_iter().filter(|name| !name.contains("~spare~")).collect();
    let expected = ["database tenant", "database ~template", "role tenant", "role ~tenants"];
    assert_eq!(names, expected, "{told}");
}

#[tokio::test]
async fn a_creation_that_is_killed_at_any_step_is_done_by_the_next() {
    needs_postgres!();
    for (step, spares) in [(Step::Locked, 0), (Step::Created, 0), (Step::Named, 0), (Step::Chosen, 1)] {
        for fate in [Fate::Process, Fate::Connection] {
            let told = format!("{step:?} {fate:?}");
            let cluster = Cluster::with(|config| config.spares = spares);
            cluster.engine.prepare().await.expect("prepares");
            let at = cluster.at("tenant");
            let (engine, stop) = doomed(&cluster, (step, fate), spares);
            let first = engine.create(&at).await;
            assert!(stop.is_done.load(Ordering::SeqCst), "{told}: the step was not reached");
            // Once it has its name it is made, whoever is told so.
            let is_made = first.is_ok() || step == Step::Named;
            let presence = cluster.engine.probe(&at).await.expect("probes");
            assert_eq!(presence == Presence::Present, is_made, "{told}: {first:?}");
            match cluster.engine.create(&at).await {
                Ok(()) => assert!(!is_made, "{told}"),
                Err(EngineError::AlreadyExists) => assert!(is_made, "{told}"),
                Err(error) => panic!("{told}: {error:?}"),
            }
            is_whole(&cluster, &at, &told).await;
            cluster.done().await;
        }
    }
}

#[tokio::test]
async fn what_a_killed_creation_has_left_is_cleared() {
    needs_postgres!();
    let cluster = Cluster::open();
    cluster.engine.prepare().await.expect("prepares");
    let (engine, _stop) = doomed(&cluster, (Step::Created, Fate::Process), 0);
    engine.create(&cluster.at("tenant")).await.expect_err("killed");
    drop(engine);
    forgotten(&cluster);
    assert!(cluster.names().iter().any(|name| name.contains("~new~")), "{:?}", cluster.names());
    // Nobody else takes it for a database.
    assert!(cluster.engine.list().await.expect("lists").is_empty());
    cluster.engine.prepare().await.expect("recovers");
    assert_eq!(cluster.names(), ["database ~template", "role ~tenants"]);
    cluster.done().await;
}

#[tokio::test]
async fn a_removal_that_is_killed_at_any_step_is_done_or_never_was() {
    needs_postgres!();
    for step in [Step::Locked, Step::Fenced, Step::Renamed] {
        for fate in [Fate::Process, Fate::Connection] {
            let told = format!("{step:?} {fate:?}");
            let cluster = Cluster::open();
            let at = cluster.at("tenant");
            cluster.engine.create(&at).await.expect("creates");
            let (engine, stop) = doomed(&cluster, (step, fate), 0);
            let first = engine.destroy(&at).await;
            assert!(stop.is_done.load(Ordering::SeqCst), "{told}: the step was not reached");
            drop(engine);
            if fate == Fate::Process {
                forgotten(&cluster);
            }
            cluster.engine.prepare().await.expect("recovers");
            let presence = cluster.engine.probe(&at).await.expect("probes");
            let is_gone = first.is_ok() || step == Step::Renamed;
            assert_eq!(presence == Presence::Absent, is_gone, "{told}: {first:?}");
            if is_gone {
                cluster.engine.create(&at).await.expect("creates");
            }
            // What the doomed one has left to do is not in the way of anybody.
            cluster.engine.prepare().await.expect("recovers");
            is_whole(&cluster, &at, &told).await;
            cluster.engine.destroy(&at).await.expect("destroys");
            cluster.done().await;
        }
    }
}

#[tokio::test]
async fn a_restore_that_is_killed_leaves_the_database_as_it_was() {
    needs_postgres!();
    let cluster = Cluster::open();
    let at = cluster.at("tenant");
    let database = cluster.open_new("tenant").await;
    let mut one = database.connect().await.expect("connects");
    query(&mut *one, "CREATE TABLE t (n int)").await;
    query(&mut *one, "INSERT INTO t VALUES (1)").await;
    let from = cluster.scratch("backup");
    cluster.engine.backup(&at, &from, &Course::new(Pace::Full)).await.expect("backs up");
    query(&mut *one, "INSERT INTO t VALUES (2)").await;
    one.close().await;
    database.close().await.expect("closes");
    let restoration = Restoration { from: &from, over: Over::Existing };
    let (engine, _stop) = doomed(&cluster, (Step::Restored, Fate::Process), 0);
    engine.restore(&at, restoration, &Course::new(Pace::Full)).await.expect_err("killed");
    // The server holds what a killed process had locked until it has seen that it is gone.
    for _ in 0..100 {
        cluster.engine.prepare().await.expect("recovers");
        if !cluster.names().iter().any(|name| name.contains("~new~")) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    is_whole(&cluster, &at, "killed").await;
    let count = async |expected: i64| {
        let database = cluster.engine.open(&at).await.expect("opens");
        let mut one = database.connect().await.expect("connects");
        assert_eq!(integer(&mut *one, "SELECT count(*) FROM t").await, expected);
        one.close().await;
        database.close().await.expect("closes");
    };
    count(2).await;
    cluster.engine.restore(&at, restoration, &Course::new(Pace::Full)).await.expect("restores");
    count(1).await;
    is_whole(&cluster, &at, "restored").await;
    cluster.done().await;
}

/// A backup is a stranger's: it is run as the tenant, which may do nothing elsewhere.
#[tokio::test]
async fn a_crafted_backup_does_nothing_outside_of_its_database() {
    needs_postgres!();
    let cluster = Cluster::open();
    cluster.engine.prepare().await.expect("prepares");
    // Made by somebody who is a superuser where it was made.
    let source = cluster.physical("source");
    cluster.psql(&format!("CREATE DATABASE \"{source}\""));
    let url = crate::support::url().replace("/postgres?", &format!("/{source}?"));
    let run = |program: &str, arguments: &[&str]| {
        let status = std::process::Command::new(program).args(arguments).status().expect("starts");
        assert!(status.success(), "{program}");
    };
    let crafted = "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS \
                   'BEGIN EXECUTE ''CREATE ROLE crafted SUPERUSER''; RETURN 1; END'; \
                   CREATE TABLE t (n int); INSERT INTO t VALUES (1); \
                   CREATE MATERIALIZED VIEW v AS SELECT n FROM t; \
                   CREATE INDEX i ON t ((n + 1));";
    run("psql", &["-q", "--no-psqlrc", &url, "-c", crafted]);
    run(
        "psql",
        &[
            "-q",
            "--no-psqlrc",
            &url,
            "-c",
            "CREATE FUNCTION g() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
        ],
    );
    run(
        "psql",
        &["-q", "--no-psqlrc", &url, "-c", "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION g()"],
    );
    let from = cluster.scratch("crafted");
    let dump = crate::support::programs().map_or_else(|| "pg_dump".into(), |bin| bin.join("pg_dump"));
    run(dump.to_str().expect("UTF-8"), &["-Fc", "--file", from.to_str().expect("UTF-8"), &url]);
    let to = cluster.at("tenant");
    let restoration = Restoration { from: &from, over: Over::Nothing };
    let refused = cluster.engine.restore(&to, restoration, &Course::new(Pace::Full)).await;
    assert!(matches!(refused, Err(EngineError::BadBackup { .. })), "{refused:?}");
    assert_eq!(cluster.engine.probe(&to).await.expect("probes"), Presence::Absent);
    assert_eq!(cluster.psql("SELECT count(*) FROM pg_roles WHERE rolname = 'crafted'"), "0");
    cluster.done().await;
}
