//! Pools of connections to a real PostgreSQL, and the budget that they share.
use crate::support::{Cluster, Home, Operator, Way};
use futures::StreamExt;
use futures::future::join_all;
use rowhouse_engine::{EngineError, Options, SqlPolicy};
use rowhouse_engine_postgres::{Config, Dsn, NameTemplate, PostgresEngine, Secret};
use rowhouse_gateway::{
    Catalog, DatabaseLimits, Dynamic, Gateway, Journal, Limits, Parts, PoolSize, Session, Silent,
};
use rowhouse_types::{Request, Target, ValueRef};
use std::io::{BufRead, BufReader, Write};
use std::num::NonZeroU32;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

/// How long anything here may take on a machine with much to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// A gateway whose databases are on the server of the tests.
struct House {
    gateway: Gateway,
    engine: Arc<PostgresEngine>,
}

/// A session of the test's own that looks at the server again and again.
struct Lookout {
    stop: Arc<AtomicBool>,
    most: JoinHandle<u32>,
}

/// A psql that is asked one thing after the other.
struct Psql(Child);

// === impl House ===

impl House {
    async fn open(template: &str, change: impl FnOnce(&mut Limits)) -> Self {
        let dsn = Dsn::parse(template).expect("a DSN");
        let names = NameTemplate::parse(&dsn.database).expect("a template");
        let admin = Dsn { database: "postgres".to_owned(), ..dsn };
        let engine = PostgresEngine::new(Config::new(admin, names, Secret::new("a secret of the tests")));
        let engine = Arc::new(engine.expect("an engine"));
        engine.prepare().await.expect("the server runs");
        let mut limits = Limits { max_connections: n(1_000), ..Limits::default() };
        limits.database.acquire_timeout = PATIENCE;
        change(&mut limits);
        let parts = Parts {
            catalog: Catalog::new([], Dynamic::Create).expect("a catalog"),
            engine: engine.clone(),
            observer: Arc::new(Silent),
            limits,
            journal: Journal::in_memory(),
            metadata: None,
            migrator: None,
        };
        Self { gateway: Gateway::start(parts).await.expect("it starts"), engine }
    }

    async fn session(&self, name: &str) -> Session {
        self.gateway.connect(&named(name), None).await.expect("a session")
    }

    async fn end(self) {
        self.gateway.shut_down().await;
        self.engine.shut_down().await;
    }

    fn open_connections(&self) -> u32 {
        self.gateway.budgets()[0].open
    }

    /// Waits until so many connections are open, those being closed included.
    async fn until_open(&self, count: u32) {
        let reached = async {
            while self.open_connections() != count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let open = || format!("{} are open", self.open_connections());
        tokio::time::timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("{}", open()));
    }
}

fn n(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).expect("positive")
}

fn named(name: &str) -> Target {
    Target::Named(name.parse().expect("a name"))
}

async fn ask(session: &mut Session, sql: &str) -> Result<String, EngineError> {
    let options = Options {
        deadline: Some(Instant::now() + PATIENCE),
        policy: SqlPolicy::Standard,
        foreign_keys: true,
        max_rows: None,
        max_bytes: None,
    };
    let mut answer = String::new();
    let mut chunks = session.run(Request::execute(sql), options);
    while let Some(chunk) = chunks.next().await {
        for row in chunk?.rows.rows() {
            match row.values().next() {
                Some(ValueRef::Text(text)) => answer.push_str(text),
                Some(ValueRef::Integer(number)) => answer.push_str(&number.to_string()),
                other => panic!("{other:?}"),
            }
        }
    }
    Ok(answer)
}

async fn told(session: &mut Session, sql: &str) -> String {
    ask(session, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

// === impl Psql ===

impl Psql {
    fn start(cluster: &Cluster) -> Self {
        let mut command = Command::new("psql");
        command.args(["--no-psqlrc", "-qAt", &cluster.dsn("postgres")]);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        Self(child.expect("psql is installed with the server"))
    }
}

impl Drop for Psql {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ended = self.0.wait();
    }
}

// === impl Lookout ===

impl Lookout {
    /// Counts the sessions of tenants' roles, again and again; the administrator's are not among them.
    fn begin(cluster: &Cluster, tasks: &TaskTracker) -> Self {
        let psql = Psql::start(cluster);
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE starts_with(usename, '{}');\n",
            cluster.physical("")
        );
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, mut psql) = (stop.clone(), psql);
        let most = tasks.spawn_blocking(move || {
            let mut answers = BufReader::new(psql.0.stdout.take().expect("a pipe"));
            let (mut most, mut line) = (0, String::new());
            while !stopped.load(Ordering::Relaxed) {
                psql.0.stdin.as_mut().expect("a pipe").write_all(sql.as_bytes()).expect("psql reads");
                line.clear();
                answers.read_line(&mut line).expect("psql answers");
                most = most.max(line.trim().parse().expect("a number"));
            }
            most
        });
        Self { stop, most }
    }

    /// The most that were seen at once.
    async fn end(mut self) -> u32 {
        self.stop.store(true, Ordering::Relaxed);
        (&mut self.most).await.expect("it does not panic")
    }
}

impl Drop for Lookout {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

const ORGANIZATIONS: usize = 50;
const CLIENTS: usize = 400;
const BUDGET: u32 = 10;
const ROUNDS: u32 = 10;

/// 50 organizations, 400 clients that ask again and again, 10 connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_organizations_share_ten_connections_and_everybody_is_served_in_turn() {
    let Some(cluster) = Cluster::find() else { return };
    let house = House::open(&cluster.template(), |limits| limits.server_connections = Some(n(BUDGET))).await;
    let tasks = TaskTracker::new();
    let lookout = Lookout::begin(&cluster, &tasks);
    let own: Vec<_> = (0..ORGANIZATIONS).map(|number| cluster.physical(&format!("org{number}"))).collect();
    join_all((0..ORGANIZATIONS).map(|number| {
        let house = &house;
        async move { drop(house.session(&format!("org{number}")).await) }
    }))
    .await;
    let clients = (0..CLIENTS).map(|client| {
        let (gateway, own) = (house.gateway.clone(), own[client % ORGANIZATIONS].clone());
        tasks.spawn(async move {
            let target = named(&format!("org{}", client % ORGANIZATIONS));
            let mut longest = Duration::ZERO;
            for round in 0..ROUNDS {
                let asked = Instant::now();
                let mut session = gateway.connect(&target, None).await.expect("everybody is served");
                longest = longest.max(asked.elapsed());
                let marker = format!("client {client} round {round}");
                let sql = format!("SELECT '{marker}' || ' of ' || current_database()");
                assert_eq!(told(&mut session, &sql).await, format!("{marker} of {own}"));
            }
            longest
        })
    });
    let waits = tokio::time::timeout(PATIENCE, join_all(clients)).await.expect("nothing hangs");
    let longest = waits.into_iter().map(|wait| wait.expect("no client fails")).max().expect("some");
    // What the last one waits if each organization has a connection for one turn, one after the other.
    let budget = &house.gateway.budgets()[0];
    let share = (budget.turn + budget.opening) * u32::try_from(ORGANIZATIONS).expect("few") / BUDGET;
    assert!(longest <= share * 4, "the longest wait was {longest:?}, where a fair share is {share:?}");
    let most = lookout.end().await;
    assert!(0 < most && most <= BUDGET, "{most} connections at once, {BUDGET} allowed");
    assert_eq!(house.gateway.budgets()[0].waiting, 0);
    house.end().await;
    cluster.done();
}

/// The server ends every session, and is away for a while, while clients work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_away_and_comes_back_gives_nobody_what_is_anothers() {
    let Some(cluster) = Cluster::find() else { return };
    let mut way = Way::open(&cluster).await;
    let house =
        House::open(&cluster.template_by(&way), |limits| limits.server_connections = Some(n(6))).await;
    for number in 0..10 {
        drop(house.session(&format!("org{number}")).await);
    }
    let (tasks, stop) = (TaskTracker::new(), Arc::new(AtomicBool::new(false)));
    let (good, bad) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let clients: Vec<_> = (0..60)
        .map(|client| {
            let (gateway, stop) = (house.gateway.clone(), stop.clone());
            let (good, bad) = (good.clone(), bad.clone());
            let target = named(&format!("org{}", client % 10));
            tasks.spawn(async move {
                let mut round = 0_u32;
                while !stop.load(Ordering::Relaxed) {
                    round += 1;
                    let marker = format!("client {client} round {round}");
                    let asked = async {
                        let mut session = gateway.connect(&target, None).await.ok()?;
                        ask(&mut session, &format!("SELECT '{marker}'")).await.ok()
                    };
                    match asked.await {
                        Some(answer) => {
                            assert_eq!(answer, marker);
                            good.fetch_add(1, Ordering::Relaxed);
                        }
                        None => {
                            bad.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    let more = async |count: &AtomicU32| {
        let before = count.load(Ordering::Relaxed);
        let grown = async {
            while count.load(Ordering::Relaxed) < before + 200 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, grown).await.expect("clients go on");
    };
    more(&good).await;
    let end = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE starts_with(usename, '{}')",
        cluster.physical("")
    );
    cluster.psql(&end);
    more(&good).await;
    way.cut().await;
    more(&bad).await;
    way.mend().await;
    more(&good).await;
    stop.store(true, Ordering::Relaxed);
    let ended = tokio::time::timeout(PATIENCE, join_all(clients)).await.expect("nothing hangs");
    ended.into_iter().for_each(|client| client.expect("nobody read what is another's"));
    assert!(house.open_connections() <= 6);
    house.end().await;
    cluster.done();
}

#[tokio::test]
async fn a_session_leaves_nothing_to_the_next_one() {
    let Some(cluster) = Cluster::find() else { return };
    let one = PoolSize { size: n(1), overflow: 0 };
    let house = House::open(&cluster.template(), |limits| limits.organizations = one).await;
    let (lock, backend) = (
        "SELECT 'locks: ' || count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
        "SELECT pg_backend_pid()",
    );
    let mut session = house.session("acme").await;
    let first = told(&mut session, backend).await;
    for sql in [
        "SET search_path = pg_temp",
        "SET application_name = 'mine'",
        "CREATE TEMP TABLE secret (n int)",
        "PREPARE mine AS SELECT 42",
        "SELECT 'x' FROM pg_advisory_lock(4711)",
        "LISTEN mine",
        "BEGIN",
    ] {
        told(&mut session, sql).await;
    }
    drop(session);
    let mut session = house.session("acme").await;
    assert_eq!(told(&mut session, backend).await, first, "it is the same connection");
    assert_eq!(told(&mut session, lock).await, "locks: 0");
    let all = "SELECT current_setting('search_path') || ' ' || (to_regclass('pg_temp.secret') IS NULL) || ' ' \
               || (SELECT count(*) FROM pg_prepared_statements WHERE name = 'mine') || ' ' \
               || (SELECT count(*) FROM pg_listening_channels()) || ' ' \
               || (current_setting('application_name') = 'mine')";
    assert_eq!(told(&mut session, all).await, "\"$user\", public true 0 0 false");
    assert!(ask(&mut session, "EXECUTE mine").await.is_err());
    drop(session);
    house.end().await;
    cluster.done();
}

#[tokio::test]
async fn the_sixteenth_session_waits_and_after_a_burst_five_connections_are_left() {
    let Some(cluster) = Cluster::find() else { return };
    let house = House::open(&cluster.template(), |limits| {
        let idle_timeout = Duration::from_millis(50);
        limits.database = DatabaseLimits { idle_timeout, ..limits.database };
    })
    .await;
    let mut sessions = join_all((0..15).map(|_| house.session("acme"))).await;
    let target = named("acme");
    let mut sixteenth = Box::pin(house.gateway.connect(&target, None));
    tokio::select! {
        biased;
        _ = &mut sixteenth => panic!("there are fifteen"),
        () = tokio::task::yield_now() => {}
    }
    let count =
        format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{}'", cluster.physical("acme"));
    assert_eq!(cluster.psql(&count), "15");
    drop(sessions.pop());
    let mut session = sixteenth.await.expect("one came free");
    assert_eq!(told(&mut session, "SELECT 'here'").await, "here");
    drop((session, sessions));
    house.until_open(5).await;
    assert_eq!(cluster.psql(&count), "5");
    house.end().await;
    assert_eq!(cluster.psql(&count), "0");
    cluster.done();
}

#[tokio::test]
async fn a_session_that_the_server_has_ended_costs_the_next_request_nothing() {
    let Some(cluster) = Cluster::find() else { return };
    let house = House::open(&cluster.template(), |_| {}).await;
    let mut sessions = join_all((0..3).map(|_| house.session("acme"))).await;
    for session in &mut sessions {
        told(session, "SELECT 'warm'").await;
    }
    drop(sessions);
    let end = format!(
        "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE usename = '{}'",
        cluster.physical("acme")
    );
    assert_eq!(cluster.psql(&end), "3");
    for mut session in join_all((0..3).map(|_| house.session("acme"))).await {
        assert_eq!(told(&mut session, "SELECT 'here'").await, "here");
    }
    house.end().await;
    cluster.done();
}

#[tokio::test]
async fn the_budget_is_what_the_server_can_take_less_what_administration_needs() {
    let Some(cluster) = Cluster::find() else { return };
    let house = House::open(&cluster.template(), |_| {}).await;
    drop(house.session("acme").await);
    let status = &house.gateway.budgets()[0];
    let capacity = status.capacity.expect("it was asked for");
    let takes = cluster.psql(
        "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int",
    );
    assert_eq!((&*status.server, capacity.connections.to_string()), ("main", takes));
    assert_eq!(capacity.reserved, 10, "two for each of four administrators, and two more");
    assert_eq!(status.budget, Some(n(capacity.connections - 10)));
    house.end().await;
    cluster.done();
}

#[test]
fn operators_see_pools_and_change_them_while_the_server_runs() {
    let Some(cluster) = Cluster::find() else { return };
    let home = Home::new();
    home.write("rowhouse.toml", &format!("results_db_template = '{}'\n", cluster.template()));
    let operator = Operator::start_in(home, "rowhouse", &["10", "--config", "rowhouse.toml"]);
    let db = |words: &str| operator.prints(&format!("rowhouse db {words} --port 9090"));
    let url = operator.server.database("acme");
    operator.prints(&format!("curl --silent --fail {url}query --data '{{\"sql\": \"SELECT 1\"}}'"));
    let line = |said: &str, name: &str| {
        let line =
            said.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {said}"));
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let said = db("pools");
    assert_eq!(line(&said, "main")[2..], ["0", "1", "0", "0", "0"], "{said}");
    assert_eq!(line(&said, "acme"), ["acme", "main", "0", "1", "5+10", "0", "0"], "{said}");
    assert!(
        db("limits acme pool_size=2 max_overflow=1 pre_ping=false max_lifetime=1h")
            .contains("max_overflow = 1")
    );
    assert_eq!(line(&db("pools"), "acme")[4], "2+1");
    let changed = "curl --silent --fail -X PATCH http://localhost:10090/config -H 'Content-Type: application/json' \
                   -d '{\"server_connections\": 3, \"org_pool_size\": 4}'";
    assert!(operator.prints(changed).contains("server_connections"));
    assert_eq!(line(&db("pools"), "main")[1], "3");
    assert!(db("show acme").contains("Connections: 0 lent, 1 idle, 0 waited for, 0 reclaimed"));
    let top = operator.prints("rowhouse top 9090 --once");
    assert!(top.contains("server     main: 0 in use and 1 idle of 3, 0 waiting"), "{top}");
    let metrics = operator.prints("curl --silent --fail http://localhost:10090/metrics");
    for sample in [
        "rowhouse_server_connections{server=\"main\",state=\"idle\"} 1",
        "rowhouse_server_connections_budget{server=\"main\"} 3",
        "rowhouse_database_connections{database=\"acme\"} 1",
    ] {
        assert!(metrics.contains(sample), "{sample}: {metrics}");
    }
    drop(operator);
    cluster.done();
}
