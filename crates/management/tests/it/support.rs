//! A listener with all that is behind it, and a client that sends just the bytes it is given.
use rowhouse_access::Access;
use rowhouse_engine::Location;
use rowhouse_engine_sqlite::{Config as SqliteConfig, Executor, ExecutorConfig, SqliteEngine};
use rowhouse_gateway::metadata::{Metadata, MetadataParts};
use rowhouse_gateway::migrate::Fleet;
use rowhouse_gateway::{
    Catalog, Cause, Clients, ClientsParts, Dynamic, Gateway, Journal, Limits, Parts, Recording, Roster,
    Silent, Spec,
};
use rowhouse_management::{
    ConfigChange, Context, Listen, Management, Operator, OperatorError, Readiness, Running, Settings,
};
use rowhouse_testing::Fake;
use rowhouse_types::Target;
use rowhouse_wire::management::ConfigEntry;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Handle;

/// A listener with all that is behind it.
pub(crate) struct Managed {
    pub(crate) running: Running,
    pub(crate) clients: Clients,
    pub(crate) gateway: Gateway,
    pub(crate) roster: Roster,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

/// A program that has one option, and logs what it is told to.
#[derive(Debug)]
struct Program {
    journal: Journal,
}

impl Operator for Program {
    fn config(&self) -> Vec<ConfigEntry> {
        let entry = ConfigEntry {
            changes: true,
            key: "log_level".to_owned(),
            origin: "by default".to_owned(),
            value: self.log_level().into(),
        };
        vec![entry]
    }

    fn change_config(
        &self,
        changes: &BTreeMap<String, Value>,
        _cause: Cause,
    ) -> Result<ConfigChange, OperatorError> {
        match changes.keys().next() {
            Some(key) if key != "log_level" => Err(OperatorError(format!("there is no option {key}"))),
            _ => Ok(ConfigChange { changed: changes.keys().cloned().collect(), ..ConfigChange::default() }),
        }
    }

    fn log_level(&self) -> String {
        "info".to_owned()
    }

    fn set_log_level(&self, _filter: &str, cause: Cause) -> Result<Recording, OperatorError> {
        Ok(self.journal.record(rowhouse_gateway::Entry::of(rowhouse_gateway::Action::LogLevel, cause)))
    }

    fn metrics(&self, out: &mut String) {
        out.push_str("program_metric 1\n");
    }

    fn ready(&self) -> Readiness {
        Readiness { latches: [("listening", true)].into(), takes_all: true }
    }
}

/// Settings without anything optional, on any free port.
pub(crate) fn plain() -> Settings {
    Settings {
        listen: Listen::Loopback(0),
        service_name: "rowhouse".to_owned(),
        allowed_hosts: Vec::new(),
        tokens: None,
        tls: None,
    }
}

/// A metadata database in memory, with one organization and one member.
fn metadata() -> Metadata {
    let executor = Executor::new(ExecutorConfig::default());
    let engine = SqliteEngine::new(SqliteConfig::default(), executor).expect("works anywhere");
    Metadata::new(MetadataParts {
        engine: Arc::new(engine),
        location: Location(":memory:".to_owned()),
        pool: Limits::default().metadata,
        is_exclusive: true,
    })
}

// === impl Managed ===

impl Managed {
    pub(crate) async fn start() -> Self {
        Self::with(plain(), Handle::current()).await
    }

    /// With these settings, and databases served on that runtime.
    pub(crate) async fn with(settings: Settings, data: Handle) -> Self {
        let journal = Journal::in_memory();
        let default = Spec { target: Target::Default, location: Location("default".into()) };
        let parts = Parts {
            catalog: Catalog::new([default], Dynamic::Create).expect("valid"),
            engine: Arc::new(Fake::default()),
            observer: Arc::new(Silent),
            limits: Limits { max_connections: NonZeroU32::new(1000).expect("positive"), ..Limits::default() },
            journal: journal.clone(),
            metadata: Some(metadata()),
            migrator: None,
        };
        let gateway = Gateway::start(parts).await.expect("starts");
        let clients = Clients::new(ClientsParts {
            limit: NonZeroU32::new(1000).expect("positive"),
            handshake_limit: NonZeroU32::new(512).expect("positive"),
            observer: Arc::new(Silent),
            journal: journal.clone(),
        });
        let roster = Roster::open(Access::default(), journal.clone()).await.expect("empty");
        let context = Context {
            roster: roster.clone(),
            clients: clients.clone(),
            gateway: gateway.clone(),
            fleet: Fleet::new(gateway.clone(), None),
            backups: None,
            operator: Arc::new(Program { journal: journal.clone() }),
            journal,
            data,
        };
        let running = Management::bind(settings).expect("a free port").start(context).expect("a thread");
        Self { running, clients, gateway, roster }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running.addresses()[0]
    }

    /// Sends bytes on a connection of its own, and reads what is answered until the end.
    pub(crate) async fn send(&self, bytes: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address()).await.expect("it listens");
        stream.write_all(bytes.as_bytes()).await.expect("it reads");
        Answer::read(stream).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")).await
    }

    /// A write of JSON.
    pub(crate) async fn write(&self, method: &str, path: &str, body: &str) -> Answer {
        self.send(&request(method, path, "Content-Type: application/json\r\n", body)).await
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{path}: {error}: {answer:?}"))
    }
}

/// The bytes of a request that closes its connection.
pub(crate) fn request(method: &str, path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    )
}

// === impl Answer ===

impl Answer {
    pub(crate) async fn read(mut stream: impl tokio::io::AsyncRead + Unpin) -> Self {
        let mut bytes = Vec::new();
        // Who is cut off has been told nothing, which the text shows.
        let _cut = stream.read_to_end(&mut bytes).await;
        let text = String::from_utf8(bytes).expect("UTF-8");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").expect("a header");
            (name.to_lowercase(), value.to_owned())
        };
        Self { status: status.unwrap_or(0), headers: lines.map(header).collect(), body: body.to_owned() }
    }

    #[track_caller]
    pub(crate) fn is(&self, status: u16, body: &str) {
        assert_eq!((self.status, self.body.as_str()), (status, body));
    }
}
