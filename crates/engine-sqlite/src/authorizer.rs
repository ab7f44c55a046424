//! What SQL may do, asked by SQLite while it compiles a statement.
//!
//! The verdict depends on the policy in force at that moment, so a compiled statement must not be
//! run under another policy than it was compiled under.
use crate::facts::Heard;
use rowhouse_engine::SqlPolicy;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// Functions that reach out of the database, or into the process, or change what is stored though they are
/// called to read (`optimize`, which `INSERT INTO t (t) VALUES ('optimize')` does too).
const DENIED_FUNCTIONS: &[&str] = &[
    "load_extension",
    "fts3_tokenizer",
    "sqlite_log",
    "readfile",
    "writefile",
    "edit",
    "optimize",
    "fsdir",
    "zipfile",
    "lsmode",
    "sqlar_uncompress",
];

/// Functions whose work is about as much as what they are given, and gives no more: what calls others may
/// take long however few rows it reads.
const CHEAP_FUNCTIONS: &[&str] = &[
    "count",
    "sum",
    "total",
    "avg",
    "min",
    "max",
    "abs",
    "round",
    "sign",
    "coalesce",
    "ifnull",
    "nullif",
    "iif",
    "if",
    "typeof",
    "length",
    "octet_length",
    "lower",
    "upper",
    "substr",
    "substring",
    "date",
    "time",
    "datetime",
    "julianday",
    "unixepoch",
    "strftime",
    "random",
    "changes",
    "total_changes",
    "last_insert_rowid",
    "json_extract",
    "->",
    "->>",
];

/// The modules a virtual table may be created with.
const ALLOWED_MODULES: &[&str] =
    &["fts3", "fts4", "fts4aux", "fts5", "fts5vocab", "rtree", "rtree_i32", "geopoly"];

/// Tables that show what lies below the rows: pages, files, the process.
const DENIED_TABLES: &[&str] =
    &["dbstat", "sqlite_dbpage", "sqlite_stmt", "bytecode", "tables_used", "fsdir"];

/// Pragmas that only tell, with or without an argument.
const TELLING: &[&str] = &[
    "table_info",
    "table_xinfo",
    "table_list",
    "index_list",
    "index_info",
    "index_xinfo",
    "foreign_key_list",
    "foreign_key_check",
    "function_list",
    "integrity_check",
    "quick_check",
    "page_count",
    "freelist_count",
    "data_version",
    "collation_list",
    "compile_options",
];

/// Pragmas that tell when they have no argument, and must not have one.
const READ_ONLY: &[&str] = &["schema_version", "encoding", "page_size", "synchronous", "busy_timeout"];

/// Pragmas that belong to the database and may be changed.
const WRITABLE: &[&str] = &["user_version", "application_id", "optimize"];

/// Pragmas that belong to the session and may be changed.
const SESSION: &[&str] = &[
    "foreign_keys",
    "recursive_triggers",
    "defer_foreign_keys",
    "reverse_unordered_selects",
    "ignore_check_constraints",
];

/// Shared by a connection and its authorizer.
#[derive(Debug, Default)]
pub(crate) struct Gatekeeper {
    mode: AtomicU8,
    /// Whether something was compiled that leaves a trace in the session.
    touched: AtomicBool,
    /// Whether anything was compiled since this was looked at last.
    compiled: AtomicBool,
    /// Whether it calls what may take long however little it reads.
    costly: AtomicBool,
    /// Whether it calls `count`.
    counts: AtomicBool,
}

/// Who wrote the SQL that is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Author {
    /// We did.
    House,
    /// A client, under a policy.
    Client(SqlPolicy),
    /// A client, under a policy, who only wants to know what it is: it must not act when it is compiled.
    Asking(SqlPolicy),
}

/// Each author, by the number it is kept as.
const AUTHORS: [Author; 7] = [
    Author::House,
    Author::Client(SqlPolicy::Standard),
    Author::Client(SqlPolicy::Guarded),
    Author::Client(SqlPolicy::ReadOnly),
    Author::Asking(SqlPolicy::Standard),
    Author::Asking(SqlPolicy::Guarded),
    Author::Asking(SqlPolicy::ReadOnly),
];

// === impl Author ===

impl Author {
    /// Its place among [`AUTHORS`].
    fn number(self) -> u8 {
        let of = |policy| match policy {
            SqlPolicy::Standard => 1,
            SqlPolicy::Guarded => 2,
            SqlPolicy::ReadOnly => 3,
        };
        match self {
            Self::House => 0,
            Self::Client(policy) => of(policy),
            Self::Asking(policy) => 3 + of(policy),
        }
    }
}

// === impl Gatekeeper ===

impl Gatekeeper {
    /// Sets who wrote what is compiled from now on.
    pub(crate) fn admit(&self, author: Author) {
        // One thread at a time uses a connection, and passes it on under a lock.
        self.mode.store(author.number(), Ordering::Relaxed);
    }

    fn author(&self) -> Author {
        AUTHORS[usize::from(self.mode.load(Ordering::Relaxed))]
    }

    /// What was compiled since this was asked last.
    pub(crate) fn heard(&self) -> Heard {
        if !self.compiled.load(Ordering::Relaxed) {
            return Heard::default();
        }
        self.compiled.store(false, Ordering::Relaxed);
        let costly = self.costly.load(Ordering::Relaxed);
        self.costly.store(false, Ordering::Relaxed);
        self.counts.store(false, Ordering::Relaxed);
        Heard { compiled: true, costly }
    }

    /// Whether the session may hold temporary objects or changed settings.
    pub(crate) fn touched(&self) -> bool {
        self.touched.load(Ordering::SeqCst)
    }

    /// Notes whether it may take long however little it reads.
    fn listen(&self, action: AuthAction<'_>) {
        let is_costly = match action {
            AuthAction::Function { function_name } => {
                if function_name.eq_ignore_ascii_case("count") {
                    self.counts.store(true, Ordering::Relaxed);
                }
                !is_among(function_name, CHEAP_FUNCTIONS)
            }
            // A table of which no column is wanted is counted in one instruction, whatever its size.
            AuthAction::Read { column_name: "", .. } => self.counts.load(Ordering::Relaxed),
            _ => false,
        };
        if is_costly {
            self.costly.store(true, Ordering::Relaxed);
        }
    }

    /// The verdict on one action.
    pub(crate) fn judge(&self, context: AuthContext<'_>) -> Authorization {
        let (policy, asks) = match self.author() {
            Author::House => return Authorization::Allow,
            Author::Client(policy) => (policy, false),
            Author::Asking(policy) => (policy, true),
        };
        self.compiled.store(true, Ordering::Relaxed);
        self.listen(context.action);
        let verdict = judge(context.action, policy);
        match (verdict, context.action) {
            (Authorization::Allow, AuthAction::Pragma { pragma_name, .. })
                if asks && !is_among(pragma_name, TELLING) =>
            {
                Authorization::Ignore
            }
            (Authorization::Allow, _) if !asks && leaves_a_trace(context) => {
                self.touched.store(true, Ordering::SeqCst);
                verdict
            }
            _ => verdict,
        }
    }
}

fn judge(action: AuthAction<'_>, policy: SqlPolicy) -> Authorization {
    let guarded = policy == SqlPolicy::Guarded;
    match action {
        AuthAction::Unknown { .. } | AuthAction::Attach { .. } | AuthAction::Detach { .. } => {
            Authorization::Deny
        }
        AuthAction::Function { function_name } => deny_if(is_among(function_name, DENIED_FUNCTIONS)),
        AuthAction::CreateVtable { module_name, .. } => deny_if(!is_among(module_name, ALLOWED_MODULES)),
        AuthAction::Read { table_name, .. }
        | AuthAction::Insert { table_name }
        | AuthAction::Update { table_name, .. } => deny_if(is_among(table_name, DENIED_TABLES)),
        AuthAction::Delete { .. }
        | AuthAction::DropIndex { .. }
        | AuthAction::DropTable { .. }
        | AuthAction::DropTempIndex { .. }
        | AuthAction::DropTempTable { .. }
        | AuthAction::DropTempTrigger { .. }
        | AuthAction::DropTempView { .. }
        | AuthAction::DropTrigger { .. }
        | AuthAction::DropView { .. }
        | AuthAction::DropVtable { .. } => deny_if(guarded),
        AuthAction::Pragma { .. } if guarded => Authorization::Ignore,
        AuthAction::Pragma { pragma_name, pragma_value } => judge_pragma(pragma_name, pragma_value),
        _ => Authorization::Allow,
    }
}

fn judge_pragma(name: &str, value: Option<&str>) -> Authorization {
    if is_among(name, TELLING) || is_among(name, WRITABLE) || is_among(name, SESSION) {
        return Authorization::Allow;
    }
    match value {
        None if is_among(name, READ_ONLY) || name.eq_ignore_ascii_case("journal_mode") => {
            Authorization::Allow
        }
        // Drivers ask for what is in force already.
        Some(mode) if name.eq_ignore_ascii_case("journal_mode") && mode.eq_ignore_ascii_case("wal") => {
            Authorization::Allow
        }
        // It would take the place of our handler, which knows the deadline.
        Some(_) if name.eq_ignore_ascii_case("busy_timeout") => Authorization::Ignore,
        _ => Authorization::Deny,
    }
}

fn leaves_a_trace(context: AuthContext<'_>) -> bool {
    match context.action {
        AuthAction::CreateTempIndex { .. }
        | AuthAction::CreateTempTable { .. }
        | AuthAction::CreateTempTrigger { .. }
        | AuthAction::CreateTempView { .. } => true,
        AuthAction::CreateVtable { .. } => context.database_name == Some("temp"),
        AuthAction::Pragma { pragma_name, pragma_value: Some(_) } => is_among(pragma_name, SESSION),
        _ => false,
    }
}

fn is_among(name: &str, names: &[&str]) -> bool {
    names.iter().any(|each| each.eq_ignore_ascii_case(name))
}

fn deny_if(denied: bool) -> Authorization {
    if denied { Authorization::Deny } else { Authorization::Allow }
}
