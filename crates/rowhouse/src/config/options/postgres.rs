//! Options of PostgreSQL: where it is, and what may be used of it.
use super::{Kind, Opt, opt};

/// The rows of the table.
pub(super) const ROWS: &[Opt] = &[
    opt(
        "database_url",
        Kind::Dsn,
        "",
        "The metadata database, in PostgreSQL; its server is administered as this user unless admin_url says otherwise.",
    )
    .also("DB_DATABASE_URL"),
    opt(
        "results_db_template",
        Kind::Dsn,
        "",
        "Where databases of new names are: on this PostgreSQL server, called so, with the name in the place of {org_id}; files unless set.",
    )
    .also("DB_RESULTS_DB_TEMPLATE"),
    opt(
        "admin_url",
        Kind::Dsn,
        "",
        "How the server of results_db_template is administered: as a role that may create databases and roles; derived from database_url, else from results_db_template, unless set.",
    ),
    opt(
        "postgres_servers",
        Kind::DsnMap,
        "{}",
        "Further PostgreSQL servers for databases of new names: a label, and how each is administered.",
    ),
    opt(
        "auto_create_org_dbs",
        Kind::Boolean,
        "true",
        "Whether a missing database is created when its name is used for the first time, with results_db_template.",
    )
    .also("DB_AUTO_CREATE_ORG_DBS"),
    opt(
        "postgres_spares",
        Kind::Integer(0, 100),
        "2",
        "How many databases each PostgreSQL server has ready for new names.",
    ),
    opt(
        "postgres_role_connections",
        Kind::Integer(1, 10_000),
        "",
        "The most connections the role of one PostgreSQL database may have, over all processes; no bound unless set.",
    ),
    opt(
        "postgres_administrators",
        Kind::Integer(1, 100),
        "4",
        "The most connections to each PostgreSQL server for creating, removing and looking after databases.",
    ),
    opt(
        "postgres_secret_file",
        Kind::Path,
        "",
        "What the passwords of roles are derived from, the same for all who share the servers; made as postgres.secret among the server's state unless set.",
    ),
    opt(
        "postgres_programs",
        Kind::Path,
        "",
        "The directory of pg_dump and pg_restore, by which PostgreSQL databases are backed up; where the system finds them unless set.",
    ),
    opt(
        "metadata_pool_size",
        Kind::Integer(1, 10_000),
        "20",
        "The connections to the metadata database that stay open.",
    )
    .also("DB_POOL_SIZE")
    .live(),
    opt(
        "metadata_max_overflow",
        Kind::Integer(0, 10_000),
        "30",
        "The most connections to the metadata database beyond those that stay open.",
    )
    .also("DB_MAX_OVERFLOW")
    .live(),
    opt(
        "org_pool_size",
        Kind::Integer(1, 10_000),
        "5",
        "The connections to each PostgreSQL database that stay open, in the place of pool_size.",
    )
    .also("DB_ORG_POOL_SIZE")
    .live(),
    opt(
        "org_max_overflow",
        Kind::Integer(0, 10_000),
        "10",
        "The most connections to each PostgreSQL database beyond those that stay open, in the place of max_overflow.",
    )
    .also("DB_ORG_MAX_OVERFLOW")
    .live(),
    opt(
        "server_connections",
        Kind::Integer(1, 100_000),
        "",
        "The most connections to one PostgreSQL server that all databases on it have together; what the server can take, less what administration needs, unless set.",
    )
    .live(),
    opt(
        "pre_ping",
        Kind::Boolean,
        "true",
        "Whether a connection to PostgreSQL that nobody has used for a second is tried before it is lent.",
    )
    .live(),
    opt(
        "max_lifetime",
        Kind::Duration,
        "30min",
        "How old a connection to PostgreSQL may be that is lent again; some end up to a tenth earlier.",
    )
    .live(),
];
