//! The one table of options: what the file, the environment, the command line and the
//! documentation know.
mod postgres;

use super::kind::Kind;
use super::opt::{Opt, opt};

const MIB: u64 = 1 << 20;

/// The rules by which requests are routed.
const ROUTING: &[&str] = &["path", "subdomain", "header", "claim", "default"];

/// Every option, in the order of the documentation.
pub const OPTIONS: &[Opt] = &joined::<{ FIRST.len() + postgres::ROWS.len() }>();

const fn joined<const COUNT: usize>() -> [Opt; COUNT] {
    let mut all = [FIRST[0]; COUNT];
    let mut at = 1;
    while at < COUNT {
        all[at] = if at < FIRST.len() { FIRST[at] } else { postgres::ROWS[at - FIRST.len()] };
        at += 1;
    }
    all
}

const FIRST: &[Opt] = &[
    opt("port", Kind::Integer(0, 65535), "9090", "The main port, on which HTTP is served; 0 means any free one."),
    opt(
        "client_limit",
        // All that the limit takes while the server runs.
        Kind::Integer(1, rowhouse_gateway::Change::LIMIT_MAX as u64),
        "1000",
        "The most clients connected at once, over all listeners.",
    )
    .live(),
    opt(
        "persist_limit",
        Kind::Boolean,
        "false",
        "Whether a client limit set while the server runs is kept and in force at the next start, unless the command line says another; needs data_directory.",
    ),
    opt(
        "audit_keep",
        Kind::Integer(1000, 10_000_000),
        "100000",
        "How many entries of the history of changes are kept, the latest.",
    ),
    opt(
        "signal_limits",
        Kind::Boolean,
        "true",
        "Whether SIGUSR1 raises LIMIT by 100 and SIGUSR2 lowers it by 100.",
    )
    .live(),
    opt("autoscale", Kind::Boolean, "false", "Whether LIMIT follows its usage.").live(),
    opt("autoscale_min", Kind::Integer(1, 1_000_000), "100", "The lowest LIMIT that autoscale sets.").live(),
    opt("autoscale_max", Kind::Integer(1, 1_000_000), "5000", "The highest LIMIT that autoscale sets.")
        .live(),
    opt(
        "autoscale_up_at",
        Kind::Integer(1, 100),
        "80",
        "Above so many percent of LIMIT in use, autoscale raises it.",
    )
    .live(),
    opt(
        "autoscale_down_at",
        Kind::Integer(0, 99),
        "30",
        "Below so many percent of LIMIT in use, autoscale lowers it.",
    )
    .live(),
    opt("autoscale_step_up", Kind::Integer(1, 1_000_000), "200", "By how many autoscale raises LIMIT.")
        .live(),
    opt("autoscale_step_down", Kind::Integer(1, 1_000_000), "100", "By how many autoscale lowers LIMIT.")
        .live(),
    opt("autoscale_interval", Kind::Duration, "60s", "How often autoscale looks at the usage.").live(),
    opt(
        "autoscale_cooldown",
        Kind::Duration,
        "60s",
        "How long after a change of autoscale's the next one comes at the earliest.",
    )
    .live(),
    opt("tcp_address", Kind::Address, "", "Where sqlite_rx clients are served; without it they are not."),
    opt(
        "routing",
        Kind::Words(ROUTING),
        "path,subdomain,header,claim,default",
        "Which parts of a request over HTTP may name its database, in the order in which they are read; those that do must agree.",
    ),
    opt(
        "base_domains",
        Kind::Hosts,
        "",
        "Domains below which each host names a database, beside localhost: with example.com, acme.example.com is acme.",
    ),
    opt(
        "http",
        Kind::Boolean,
        "true",
        "Whether HTTP and WebSocket are served: Hrana for libSQL clients, and plain SQL.",
    ),
    opt("http_address", Kind::Socket, "", "Where HTTP is served; 127.0.0.1 and PORT unless set."),
    opt(
        "allow_anonymous",
        Kind::Boolean,
        "false",
        "Whether who says nothing of themselves is served over HTTP, whatever else is configured, and also on an address that other machines reach.",
    ),
    opt(
        "jwt_key_file",
        Kind::Path,
        "",
        "The public keys of those who sign JWTs, in PEM, or one of Ed25519 in base64; read again on SIGHUP.",
    ),
    opt(
        "jwks_file",
        Kind::Path,
        "",
        "The same as a set in JSON (JWKS), whose keys tokens choose by their `kid`.",
    ),
    opt(
        "database_keys_directory",
        Kind::Path,
        "",
        "Public keys that speak for single databases: files called NAME.pem or NAME.jwks, or with the beginning of names and `*` for NAME.",
    ),
    opt(
        "jwt_issuer",
        Kind::Texts,
        "",
        "Who may have issued JWTs (`iss`), separated by commas; anybody with a key unless set.",
    ),
    opt(
        "jwt_audience",
        Kind::Texts,
        "",
        "For whom JWTs may be (`aud`), separated by commas; those that say so are refused unless set.",
    ),
    opt(
        "users_file",
        Kind::Path,
        "",
        "Users, one a line as NAME:HASH:SCOPES:DATABASES (`rowhouse user add --print`); nobody else may read it; read again on SIGHUP.",
    ),
    opt(
        "http_allowed_hosts",
        Kind::Hosts,
        "",
        "The names under which HTTP may be called on loopback where nobody has to say who they are, beside localhost, addresses and base_domains.",
    ),
    opt(
        "http_allowed_origins",
        Kind::Origins,
        "",
        "The web pages that may ask over HTTP, by origin, separated by commas, or * for all; none but the server's own unless set.",
    ),
    opt("http_tls_cert", Kind::Path, "", "The certificate of HTTP, with its chain, in PEM; with it HTTP is encrypted."),
    opt("http_tls_key", Kind::Path, "", "The key of that certificate, in PEM; nobody else may read it."),
    opt(
        "http_compression",
        Kind::Boolean,
        "true",
        "Whether answers over HTTP of more than a kilobyte are compressed for clients that take gzip.",
    ),
    opt(
        "http_sql_policy",
        Kind::Word(&["standard", "sqlite-rx"]),
        "standard",
        "What SQL may do over HTTP, by the words of sql_policy.",
    ),
    opt(
        "http_body_timeout",
        Kind::Duration,
        "30s",
        "How long a client may take to send the body of a request over HTTP.",
    )
    .live(),
    opt(
        "http_idle_timeout",
        Kind::Duration,
        "60s",
        "How long a connection of HTTP may be idle from one request to the next.",
    )
    .live(),
    opt(
        "stream_idle_timeout",
        Kind::Duration,
        "10s",
        "How long a stream of Hrana's may be idle before its transaction is rolled back.",
    )
    .live(),
    opt(
        "live_window",
        Kind::Integer(1, 1_000_000),
        "10000",
        "The changes of each database kept for those who read its feed slowly or come again.",
    )
    .live(),
    opt(
        "live_window_bytes",
        Kind::Bytes(4096, 1024 * MIB),
        "8MiB",
        "The bytes that the changes kept of each database may take.",
    )
    .live(),
    opt(
        "live_subscribers",
        Kind::Integer(0, 1_000_000),
        "1000",
        "The most who may read the feed of one database at once.",
    )
    .live(),
    opt("data_directory", Kind::Path, "", "Where databases opened by name live, and the server's state."),
    opt("default_database", Kind::Database, ":memory:", "The database of requests that name none."),
    opt(
        "database_map",
        Kind::DatabaseMap,
        "{}",
        "Databases by name that are always open, never evicted, never counted.",
    ),
    opt(
        "auto_connect",
        Kind::Boolean,
        "false",
        "Whether databases in the data directory are opened by name.",
    ),
    opt("auto_create", Kind::Boolean, "false", "Whether missing ones are created; needs auto_connect."),
    opt(
        "max_connections",
        Kind::Integer(1, 1_000_000),
        "20",
        "The most databases opened by name that are open at once.",
    ).live(),
    opt(
        "max_waiting",
        Kind::Integer(0, 1_000_000),
        "10000",
        "The most names that may wait for room to be opened.",
    ).live(),
    opt(
        "room_timeout",
        Kind::Duration,
        "5s",
        "How long a name waits for room when every open database is in use.",
    ).live(),
    opt(
        "fair_window",
        Kind::Duration,
        "1m",
        "How lately a database was used to count as in use when clients compete for room; then each client keeps its share.",
    ).live(),
    opt(
        "create_rate",
        Kind::Integer(1, 1_000_000),
        "100",
        "The most databases one client may create in a second; what goes beyond waits.",
    ).live(),
    opt(
        "pool_size",
        Kind::Integer(1, 10_000),
        "100",
        "The most sessions of one database in use at once; in PostgreSQL org_pool_size takes its place.",
    )
    .live(),
    opt(
        "max_overflow",
        Kind::Integer(0, 10_000),
        "0",
        "How many sessions more may be in use at once; in PostgreSQL org_max_overflow takes its place.",
    )
    .live(),
    opt(
        "database_threads",
        Kind::Integer(1, 1000),
        "8",
        "The most threads that run SQL of one database at once; who writes comes on top.",
    ),
    opt(
        "pool_queue",
        Kind::Integer(0, 1_000_000),
        "10000",
        "The most requests that may wait for a session of one database.",
    ).live(),
    opt(
        "requests_per_second",
        Kind::Integer(1, 1_000_000),
        "",
        "The most requests to one database in a second, of which a second's worth may come at once; what goes beyond waits. No bound unless set.",
    ).live(),
    opt("acquire_timeout", Kind::Duration, "10s", "How long a request waits for a session, for a connection to its server, or for its turn.").live(),
    opt(
        "idle_timeout",
        Kind::Duration,
        "30s",
        "How long a database's connections beyond the first stay open unused; in PostgreSQL those beyond org_pool_size.",
    )
    .live(),
    opt("backup_dir", Kind::Path, "", "Where backups lie, apart from the data; without it none are made."),
    opt("backup_interval", Kind::Duration, "600s", "How often every database that has changed is backed up."),
    opt("backup_keep", Kind::Integer(1, 10_000), "3", "How many backups are kept of each database."),
    opt(
        "org_migrations",
        Kind::Path,
        "",
        "The directory of the migrations of databases opened by name: V1__name.sql and so on.",
    ),
    opt("metadata_migrations", Kind::Path, "", "The directory of the migrations of the metadata database."),
    opt(
        "migrate_on_open",
        Kind::Boolean,
        "true",
        "Whether a database opened by name is brought to the newest of org_migrations when it is opened; one that is made always is.",
    ),
    opt(
        "sql_policy",
        Kind::Word(&["sqlite-rx", "standard"]),
        "sqlite-rx",
        "What SQL may do over sqlite_rx: as sqlite_rx (no DELETE, no DROP, PRAGMA ignored), or all that concerns its own database only.",
    ),
    opt(
        "statement_timeout",
        Kind::Duration,
        "30s",
        "How long a statement may take, waits included; then it is undone.",
    ).live(),
    opt(
        "idle_transaction_timeout",
        Kind::Duration,
        "30s",
        "How long a transaction may be idle; then it is rolled back.",
    ).live(),
    opt(
        "transaction_timeout",
        Kind::Duration,
        "5min",
        "How long a transaction may last, idle or not; then it is rolled back.",
    ).live(),
    opt(
        "max_result_rows",
        Kind::Integer(1, u64::MAX >> 1),
        "1000000",
        "The most rows of a result, which is one message.",
    ).live(),
    opt(
        "max_result_bytes",
        Kind::Bytes(1, u64::MAX >> 1),
        "64MiB",
        "The most bytes of a result, which is one message; each value counts 8 and its length.",
    ).live(),
    opt(
        "max_request_bytes",
        Kind::Bytes(1024, 1024 * MIB),
        "64MiB",
        "The most bytes of a request, packed and inflated.",
    ),
    opt(
        "max_value_bytes",
        Kind::Bytes(1024, 1024 * MIB),
        "64MiB",
        "The longest text, blob or row in a database.",
    ),
    opt(
        "max_written_bytes",
        Kind::Bytes(MIB, u64::MAX >> 1),
        "4GiB",
        "The most a statement may write to disk, temporary files included, and the most a connection's temporary tables may take.",
    ),
    opt(
        "max_database_bytes",
        Kind::Bytes(64 * 1024, u64::MAX >> 1),
        "",
        "The most bytes of a database in use; at it, only reading and deleting go on. No bound unless set.",
    ).live(),
    opt(
        "synchronous",
        Kind::Word(&["full", "normal", "off"]),
        "full",
        "What a commit waits for: the disk; the disk at checkpoints only; nothing.",
    ),
    opt(
        "executor_threads",
        Kind::Integer(2, 4096),
        "64",
        "The most threads that run SQL, shared by all databases.",
    ),
    opt(
        "isolation",
        Kind::Word(&["thread", "process"]),
        "thread",
        "Where databases run: on threads of the server, or each in a process of its own.",
    ),
    opt(
        "worker_memory",
        Kind::Bytes(64 * MIB, u64::MAX >> 1),
        "1GiB",
        "The most memory the process of a database may take, with isolation by processes.",
    ),
    opt(
        "curvezmq",
        Kind::Boolean,
        "false",
        "Whether sqlite_rx is encrypted (CURVE); clients that are not are not served then.",
    ),
    opt(
        "zap",
        Kind::Boolean,
        "false",
        "Whether only clients are served whose public keys are in `authorized_clients`; needs curvezmq.",
    ),
    opt("curve_dir", Kind::Path, "~/.curve", "Where the key files are; `~` is the home directory."),
    opt(
        "key_id",
        Kind::KeyId,
        "",
        "The server's key files without their endings; `id_server_HOSTNAME_curve` unless set.",
    ),
    opt(
        "handshake_limit",
        Kind::Integer(1, 100_000),
        "512",
        "The most clients that have not said who they are, beside a quarter of LIMIT; for one more, the oldest of the address with the most is dropped.",
    ).live(),
    opt("handshake_timeout", Kind::Duration, "10s", "How long a client may take to say who it is.").live(),
    opt("write_timeout", Kind::Duration, "30s", "How long a client may take to read a reply.").live(),
    opt(
        "management",
        Kind::Boolean,
        "true",
        "Whether the server is managed over HTTP, which is how `rowhouse manager` reaches it.",
    ),
    opt(
        "management_port",
        Kind::Integer(0, 65535),
        "",
        "The management port; PORT + 1000 unless set, 0 means any free one.",
    ),
    opt(
        "management_listen",
        Kind::Ip,
        "",
        "Where management listens in place of 127.0.0.1 and [::1]; beyond loopback it needs a token file and TLS.",
    ),
    opt(
        "management_token_file",
        Kind::Path,
        "",
        "A file with the tokens of who may manage, one a line; nobody else may read it.",
    ),
    opt(
        "management_allowed_hosts",
        Kind::Hosts,
        "",
        "More names under which management may be called, beside localhost and addresses.",
    ),
    opt("management_tls_cert", Kind::Path, "", "The certificate of management (PEM), with its chain."),
    opt("management_tls_key", Kind::Path, "", "The certificate's key (PEM); nobody else may read it."),
    opt(
        "ready_requires",
        Kind::Word(&["all", "metadata"]),
        "all",
        "Which databases must answer for the server to be ready: all that are open, or the metadata database only.",
    )
    .live(),
    opt("service_name", Kind::Service, "rowhouse", "What management calls the service."),
    opt(
        "drain_timeout",
        Kind::Duration,
        "30s",
        "How long requests in flight may take to end when the server stops.",
    )
    .live(),
    opt(
        "log_level",
        Kind::Filter,
        "info",
        "What is logged: error, warn, info, debug, trace, or a filter by module.",
    )
    .live(),
    opt("log_format", Kind::Word(&["text", "json"]), "text", "How it is logged."),
];
