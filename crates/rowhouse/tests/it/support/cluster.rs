//! The PostgreSQL server of the tests, and a way to it that can be cut.
use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// How the tests find the server.
const VARIABLE: &str = "ROWHOUSE_TEST_POSTGRES";

/// Names on the server that are nobody else's. What is called so is dropped in the end.
pub(crate) struct Cluster {
    url: String,
    prefix: String,
}

/// A way to the server that can be cut.
pub(crate) struct Way {
    pub(crate) address: SocketAddr,
    to: String,
    task: JoinHandle<()>,
}

// === impl Cluster ===

impl Cluster {
    /// Names of a test's own; `None` where there is no server, which is said.
    pub(crate) fn find() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let Some(url) = std::env::var_os(VARIABLE) else {
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{VARIABLE} names no server");
            println!("SKIPPED: {VARIABLE} names no server; `cargo xtask test` starts one");
            return None;
        };
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("e{}_{count}_", std::process::id());
        Some(Self { url: url.into_string().expect("UTF-8"), prefix })
    }

    /// What `results_db_template` says for this test.
    pub(crate) fn template(&self) -> String {
        self.dsn(&format!("{}mad_results_{{org_id}}", self.prefix))
    }

    /// What `database_url` says for this test.
    pub(crate) fn metadata(&self) -> String {
        self.dsn(&format!("{}mad", self.prefix))
    }

    /// The same by another way to the server.
    pub(crate) fn template_by(&self, way: &Way) -> String {
        self.template().replace(self.host(), &way.address.to_string())
    }

    /// A DSN of a database.
    pub(crate) fn dsn(&self, database: &str) -> String {
        self.url.replacen("/postgres?", &format!("/{database}?"), 1)
    }

    /// The password that may stand in no output.
    pub(crate) fn password(&self) -> &str {
        self.url.split([':', '@']).nth(2).expect("a password")
    }

    /// The address and port.
    pub(crate) fn host(&self) -> &str {
        self.url.split(['@', '/']).nth(3).expect("a host")
    }

    /// What the database of a name is called.
    pub(crate) fn physical(&self, name: &str) -> String {
        format!("{}mad_results_{name}", self.prefix)
    }

    /// What a query yields as the superuser, unaligned.
    pub(crate) fn psql(&self, sql: &str) -> String {
        self.psql_in(&self.url, sql)
    }

    /// The same in the database of a DSN.
    pub(crate) fn psql_in(&self, dsn: &str, sql: &str) -> String {
        let output = Command::new("psql")
            .args(["--no-psqlrc", "-At", "--set=ON_ERROR_STOP=1", "--command", sql, dsn])
            .output()
            .expect("psql is installed with the server");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8").trim().to_owned();
        assert!(output.status.success(), "{sql}: {}", text(output.stderr));
        text(output.stdout)
    }

    /// The databases of this test that are tenants', without what stands before each name.
    pub(crate) fn databases(&self) -> Vec<String> {
        let before = self.physical("");
        let all = format!("SELECT datname FROM pg_database WHERE starts_with(datname, '{}')", self.prefix);
        let all = self.psql(&all);
        let mut names: Vec<_> =
            all.lines().filter_map(|name| name.strip_prefix(&before)).map(str::to_owned).collect();
        names.retain(|name| !name.starts_with('~'));
        names.sort();
        names
    }

    /// Drops what the test has made. A server that was asked to make a database goes on with it when nobody
    /// waits for it any more: what comes late is dropped, too.
    pub(crate) fn done(self) {
        let prefix = &self.prefix;
        let databases = format!("SELECT datname FROM pg_database WHERE starts_with(datname, '{prefix}')");
        let roles = format!("SELECT rolname FROM pg_roles WHERE starts_with(rolname, '{prefix}')");
        let templates =
            format!("UPDATE pg_database SET datistemplate = false WHERE starts_with(datname, '{prefix}')");
        let under_way = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE query ~ '^CREATE DATABASE' AND query ~ '{prefix}' \
             AND pid <> pg_backend_pid()"
        );
        for _ in 0..600 {
            if self.psql(&under_way) == "0" {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        self.psql(&templates);
        for name in self.psql(&databases).lines() {
            self.psql(&format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)"));
        }
        for name in self.psql(&roles).lines() {
            self.psql(&format!("DROP OWNED BY \"{name}\"; DROP ROLE IF EXISTS \"{name}\""));
        }
    }
}

// === impl Way ===

impl Way {
    /// A way to the server of the tests.
    pub(crate) async fn open(cluster: &Cluster) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let to = cluster.host().to_owned();
        Self { address, task: go(listener, to.clone()), to }
    }

    /// Ends every connection, and takes no more.
    pub(crate) async fn cut(&mut self) {
        self.task.abort();
        // It was aborted, and all that it has carried is closed.
        let _aborted = (&mut self.task).await;
    }

    /// Takes connections again, at the same place.
    pub(crate) async fn mend(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("nobody else has taken it");
        self.task = go(listener, self.to.clone());
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn go(listener: TcpListener, to: String) -> JoinHandle<()> {
    let mut all = JoinSet::new();
    let carry = async move {
        loop {
            let (mut here, _from) = listener.accept().await.expect("it listens");
            let to = to.clone();
            all.spawn(async move {
                let mut there = TcpStream::connect(&*to).await.expect("the server runs");
                // Either end may have gone.
                let _gone = copy_bidirectional(&mut here, &mut there).await;
            });
        }
    };
    tokio_util::task::TaskTracker::new().spawn(carry)
}
